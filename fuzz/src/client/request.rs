//! Requests of any configuration: what passes is one request with just these fields.

use roomwire_core::client::{Client, ClientConfig};
use roomwire_core::http::{Authority, HeadLimits, Parsed, RequestHead};

use super::{SEED, answered};
use crate::input::Choices;

/// Lines: host, target, origin, subprotocols, then names and values in turn.
pub(super) fn check(choices: &mut Choices<'_>) {
    let text = String::from_utf8_lossy(choices.rest()).into_owned();
    let mut lines = text.splitn(MOST_LINES, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let mut config = ClientConfig::new(line());
    config.target = line().to_owned();
    config.origin = Some(line().to_owned()).filter(|origin| !origin.is_empty());
    config.protocols = line().split_whitespace().map(str::to_owned).collect();
    let mut rest = lines.map(str::to_owned);
    while let Some(name) = rest.next() {
        config.headers.push((name, rest.next().unwrap_or_default()));
    }
    check_shown(&config);
    match Client::new(config.clone(), SEED) {
        Ok(client) => check_request(&config, client.unsent()),
        Err(error) => {
            assert!(!is_plain(&config), "{error}");
            assert!(error.to_string().contains(&error.key));
        }
    }
}

/// What may be secret makes no difference to what is logged of a configuration.
fn check_shown(config: &ClientConfig) {
    let mut other = config.clone();
    if let Some((path, _)) = config.target.split_once('?') {
        other.target = format!("{path}?another");
    }
    let values = other.headers.iter_mut().map(|(_, value)| value);
    values.chain(&mut other.protocols).for_each(|secret| {
        *secret = "another".to_owned();
    });
    let shown = format!("{config:?}");
    assert_eq!(shown, format!("{other:?}"));
    assert!(shown.contains(&format!("{:?}", config.host)));
}

const MOST_LINES: usize = 20;

/// Letters and digits, where there must be any: nothing to object to.
fn is_plain(config: &ClientConfig) -> bool {
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let target = config.target.strip_prefix('/');
    let mut protocols = config.protocols.clone();
    protocols.sort_unstable();
    protocols.dedup();
    let mut headers = config.headers.iter();
    is_word(&config.host)
        && config.host.len() <= Authority::MAX_HOST_BYTES
        && target.is_some_and(|rest| rest.is_empty() || is_word(rest))
        && config.origin.as_deref().is_none_or(is_word)
        && protocols.len() == config.protocols.len()
        && protocols.iter().all(|protocol| is_word(protocol))
        && headers.all(|(name, value)| name.starts_with("X1") && is_word(name) && is_word(value))
}

/// Another reader finds the fields as they were given, and the server's half of the handshake takes them.
fn check_request(config: &ClientConfig, request: &[u8]) {
    let limits = HeadLimits {
        max_bytes: request.len() + 1,
        max_headers: 64,
    };
    let parsed = RequestHead::parse(request, &limits, &mut 0);
    let Ok(Parsed::Complete { head, consumed }) = parsed else {
        panic!("{parsed:?}");
    };
    assert_eq!(consumed, request.len());
    let query = head.target.query().map(|query| format!("?{query}"));
    let target = format!("{}{}", head.target.path(), query.unwrap_or_default());
    assert_eq!(target, config.target);
    let came: Vec<(&str, &[u8])> = head.headers().collect();
    let mut names = came.iter().map(|(name, _)| *name);
    for expected in [
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
    ] {
        assert_eq!(names.next(), Some(expected));
    }
    let count = config.headers.len() + usize::from(config.origin.is_some());
    let given = config.origin.iter().map(|origin| ("Origin", origin));
    let given = given.chain(config.headers.iter().map(|(name, value)| (&**name, value)));
    for ((name, value), (came, of)) in given.zip(&came[came.len() - count..]) {
        assert_eq!(
            (name, value.trim_matches([' ', '\t']).as_bytes()),
            (*came, *of)
        );
    }
    let own = 6 + usize::from(!config.protocols.is_empty());
    assert_eq!(came.len(), own + count);
    assert_eq!(answered(request), super::accept());
}

//! Answers to the handshake, made of parts; and a reader of its own that says which are good.

use roomwire_core::client::ClientConfig;

use super::{PROTOCOLS, accept};
use crate::input::Choices;

/// An answer.
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// What it agrees to compress, if it opens the connection.
    pub(super) opens: Option<bool>,
    pub(super) protocol: Option<String>,
}

/// One line for each rule: with how it is kept, and how it is broken.
pub(super) fn recipe(config: &ClientConfig, choices: &mut Choices<'_>) -> Answer {
    let accept = accept();
    let good_accept = [
        format!("Sec-WebSocket-Accept: {accept}"),
        format!("sec-websocket-accept:\t{accept} "),
    ];
    let bad_accept = [
        String::new(),
        format!("Sec-WebSocket-Accept: {}", accept.to_lowercase()),
        format!("Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Accept: {accept}"),
        format!("Sec-WebSocket-Accept: {accept}, {accept}"),
    ];
    let mut parts = Parts {
        lines: Vec::new(),
        is_good: true,
    };
    parts.choose(choices, &STATUS, &BAD_STATUS);
    parts.choose(choices, &UPGRADE, &BAD_UPGRADE);
    parts.choose(choices, &CONNECTION, &BAD_CONNECTION);
    parts.choose(choices, &good_accept, &bad_accept);
    parts.choose(choices, &OTHERS, &BAD_OTHERS);
    let protocol = match choices.below(6) {
        0..3 => None,
        3 => Some("chat"),
        4 => Some("superchat"),
        _ => Some("soap"),
    };
    if let Some(protocol) = protocol {
        parts
            .lines
            .push(format!("Sec-WebSocket-Protocol: {protocol}"));
        parts.is_good &= config.protocols.iter().any(|offered| offered == protocol);
    }
    let deflate = extension(config, choices, &mut parts);
    let mut bytes = match choices.below(4) {
        1 => b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec(),
        _ => Vec::new(),
    };
    let lines = parts.lines.iter().filter(|line| !line.is_empty());
    lines.for_each(|line| bytes.extend_from_slice(format!("{line}\r\n").as_bytes()));
    bytes.extend_from_slice(b"\r\n");
    Answer {
        bytes,
        opens: parts.is_good.then_some(deflate),
        protocol: protocol.map(str::to_owned),
    }
}

struct Parts {
    lines: Vec<String>,
    is_good: bool,
}

impl Parts {
    fn choose<S: AsRef<str>>(&mut self, choices: &mut Choices<'_>, good: &[S], bad: &[S]) {
        let choice = choices.byte();
        let (of, is_good) = if choice < 0xe0 {
            (good, true)
        } else {
            (bad, false)
        };
        self.lines
            .push(of[usize::from(choice) % of.len()].as_ref().to_owned());
        self.is_good &= is_good;
    }
}

/// Adds the line about compression, or not; whether it agrees to it.
fn extension(config: &ClientConfig, choices: &mut Choices<'_>, parts: &mut Parts) -> bool {
    let value = match choices.byte() {
        0..0x40 => return false,
        choice @ 0x40..0xe0 => {
            let offered = config.deflate.and_then(|deflate| deflate.server_window);
            let server = offered.map_or(15, |window| window.bits());
            let client = 8 + choice % 8;
            parts.is_good &= config.deflate.is_some();
            format!(
                "server_no_context_takeover; server_max_window_bits={server}; client_max_window_bits=\"{client}\""
            )
        }
        choice => {
            parts.is_good = false;
            BAD_EXTENSION[usize::from(choice) % BAD_EXTENSION.len()].to_owned()
        }
    };
    parts.lines.push(format!(
        "Sec-WebSocket-Extensions: permessage-deflate; {value}"
    ));
    true
}

const STATUS: [&str; 3] = [
    "HTTP/1.1 101 Switching Protocols",
    "HTTP/1.1 101",
    "HTTP/1.1 101 \u{e4}",
];
const BAD_STATUS: [&str; 9] = [
    "HTTP/1.0 101 Switching Protocols",
    "HTTP/2 101",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 101 a\nb",
    "HTTP/1.1 99 a",
    "",
    "HTTP/1.1 302 Found\r\nLocation: /there",
    "HTTP/1.1 503 Busy\r\nRetry-After: 7",
    "HTTP/1.1 503 \u{0}",
];
const UPGRADE: [&str; 3] = [
    "Upgrade: websocket",
    "upgrade:WebSocket",
    "UPGRADE: \twebsocket\t",
];
const BAD_UPGRADE: [&str; 4] = [
    "",
    "Upgrade: h2c",
    "Upgrade: websocket, h2c",
    "Upgrade : websocket",
];
const CONNECTION: [&str; 3] = [
    "Connection: Upgrade",
    "Connection: keep-alive, upgrade",
    "Connection: close\r\nConnection: ,UPGRADE,",
];
const BAD_CONNECTION: [&str; 4] = [
    "",
    "Connection: close",
    "Connection: Upgrade2",
    "Connection",
];
const OTHERS: [&str; 4] = ["", "Server: a", "A: \u{e4}\u{80}", "Date: now\r\nX-Long:"];
const BAD_OTHERS: [&str; 6] = [
    "A: \u{1}",
    " folded: a",
    ": a",
    "A B: c",
    "A: b\rc",
    "A: b\n",
];
const BAD_EXTENSION: [&str; 6] = [
    "client_no_context_takeover",
    "server_no_context_takeover; server_no_context_takeover",
    "server_no_context_takeover; server_max_window_bits=16",
    "server_no_context_takeover; client_max_window_bits",
    "server_no_context_takeover, permessage-deflate; server_no_context_takeover",
    "server_no_context_takeover; x=1",
];

/// What a connection was opened by keeps to the rules: as they are read line by line.
pub(super) fn check_opened(
    config: &ClientConfig,
    bytes: &[u8],
    protocol: Option<&str>,
    deflate: bool,
) {
    let mut rest = bytes;
    let lines: Vec<Vec<u8>> = loop {
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, behind) = rest.split_at(end.expect("a head") + 4);
        let mut lines: Vec<Vec<u8>> = head
            .split(|&byte| byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        for line in &mut lines {
            assert!(line.pop() != Some(b'\n') || line.is_empty());
        }
        // What announces another answer is passed over.
        if lines[0].starts_with(b"HTTP/1.1 101") {
            break lines;
        }
        assert!(lines[0].starts_with(b"HTTP/1.") && lines[0].get(8..10) == Some(b" 1"));
        rest = behind;
    };
    assert!(bytes.len() - rest.len() <= config.max_head_bytes);
    let values = |name: &str| -> Vec<String> {
        let fields = lines[1..].iter().filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let (of, value) = line.split_at(colon);
            let value = String::from_utf8_lossy(&value[1..]).into_owned();
            of.eq_ignore_ascii_case(name.as_bytes())
                .then(|| value.trim_matches([' ', '\t']).to_owned())
        });
        fields.collect()
    };
    assert_eq!(values("sec-websocket-accept"), [accept()]);
    let elements = |name: &str| -> Vec<String> {
        let list = values(name).join(",").to_ascii_lowercase();
        let elements = list
            .split(',')
            .map(|element| element.trim_matches([' ', '\t']));
        elements
            .filter(|element| !element.is_empty())
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(elements("upgrade"), ["websocket"]);
    assert!(elements("connection").contains(&"upgrade".to_owned()));
    let chosen = values("sec-websocket-protocol");
    assert_eq!(chosen.first().map(String::as_str), protocol);
    assert!(chosen.len() <= 1 && (chosen.is_empty() || !config.protocols.is_empty()));
    assert!(protocol.is_none_or(|protocol| PROTOCOLS.contains(&protocol)));
    let extensions = values("sec-websocket-extensions");
    assert_eq!(extensions.is_empty(), !deflate);
    assert!(!deflate || config.deflate.is_some());
    let promises = |value: &String| {
        value.contains("permessage-deflate") && value.contains("server_no_context_takeover")
    };
    assert!(extensions.iter().all(promises) && extensions.len() <= 1);
}

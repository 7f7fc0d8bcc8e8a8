//! Request heads, what is read out of them, and the answers to them.
//!
//! Promises: however the bytes are cut, the outcome is the same; what passes cannot be read in two ways; every
//! answer is a response that another parser understands.

use roomwire_core::auth::origin;
use roomwire_core::config::OriginPolicy;
use roomwire_core::http::{
    Authority, Framing, HeadLimits, Method, Parsed, Refusal, ReplyTo, RequestHead, Response,
    Status, Version,
};
use roomwire_core::websocket::handshake::{self, extension::Offers};

use crate::input::{Choices, Cuts};

/// A few bytes of choices, then what a client sends.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let limits = HeadLimits {
        max_bytes: [64, 128, 1_024, 16 * 1_024][choices.below(4)],
        max_headers: [1, 5, 64, 128][choices.below(4)],
    };
    let cuts = Cuts::choose(&mut choices);
    let unix_ms = choices.number();
    let policy = policy(choices.byte());
    let seconds = choices.byte().checked_sub(1).map(u32::from);
    let bytes = choices.rest();

    let whole = RequestHead::parse(bytes, &limits, &mut 0);
    let outcome = Outcome::of(&whole);
    assert_eq!(outcome, in_pieces(bytes, &limits, cuts));
    if bytes.len() <= 512 {
        assert_eq!(outcome, in_pieces(bytes, &limits, Cuts::BYTEWISE));
    }
    match whole {
        Ok(Parsed::Partial) => assert!(bytes.len() < limits.max_bytes),
        Ok(Parsed::Complete { head, consumed }) => {
            check_extent(bytes, consumed, &limits);
            check_head(&head);
            check_spelled_again(&head);
            check_answers(&head, unix_ms, &policy);
        }
        Err(refusal) => {
            assert!(!refusal.keeps_connection(), "{refusal:?}");
            check_refusal(&refusal, &ReplyTo::unparsed(unix_ms));
        }
    }
    check_authority(bytes);
    for refusal in [
        Refusal::bad_request("bad"),
        Refusal::forbidden("no"),
        Refusal::not_found(),
        Refusal::method_not_allowed("GET"),
        Refusal::request_timeout(),
        Refusal::content_too_large(),
        Refusal::expectation_failed(),
        Refusal::upgrade_required(),
        Refusal::head_too_large(),
        Refusal::not_implemented("what"),
        Refusal::unavailable("later", seconds),
        Refusal::version_not_supported(),
    ] {
        check_refusal(&refusal, &ReplyTo::unparsed(unix_ms));
    }
}

/// What a parse came to, without borrowing.
#[derive(Debug, PartialEq)]
enum Outcome {
    Partial,
    Refused(Refusal),
    Complete(Box<Facts>, usize),
}

/// Everything that a head says.
#[derive(Debug, PartialEq)]
struct Facts {
    method: Method,
    path: String,
    query: Option<String>,
    version: Version,
    host: Option<(String, Option<u16>)>,
    framing: Framing,
    keep_alive: bool,
    expects_continue: bool,
    headers: Vec<(String, Vec<u8>)>,
}

impl Outcome {
    fn of(parsed: &Result<Parsed<'_>, Refusal>) -> Self {
        match parsed {
            Ok(Parsed::Partial) => Self::Partial,
            Ok(Parsed::Complete { head, consumed }) => {
                Self::Complete(Box::new(Facts::of(head)), *consumed)
            }
            Err(refusal) => Self::Refused(*refusal),
        }
    }
}

impl Facts {
    fn of(head: &RequestHead<'_>) -> Self {
        Self {
            method: head.method,
            path: head.target.path().to_owned(),
            query: head.target.query().map(str::to_owned),
            version: head.version,
            host: head.host.map(|host| (host.host().to_owned(), host.port())),
            framing: head.framing,
            keep_alive: head.keep_alive,
            expects_continue: head.expects_continue,
            headers: head
                .headers()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

/// The first outcome that is not "partial", with the buffer growing as `cuts` says.
fn in_pieces(bytes: &[u8], limits: &HeadLimits, cuts: Cuts) -> Outcome {
    let mut scan = 0;
    for end in cuts.ends(bytes.len()) {
        let outcome = Outcome::of(&RequestHead::parse(&bytes[..end], limits, &mut scan));
        assert!(scan <= end);
        if outcome != Outcome::Partial {
            return outcome;
        }
    }
    Outcome::Partial
}

fn check_extent(bytes: &[u8], consumed: usize, limits: &HeadLimits) {
    assert!(consumed <= limits.max_bytes && consumed <= bytes.len());
    assert!(bytes[..consumed].ends_with(b"\r\n\r\n"));
    let blank_lines = bytes[..consumed].windows(4).filter(|w| w == b"\r\n\r\n");
    assert_eq!(blank_lines.count(), 1);
    // Nothing that follows changes what the head says, and nothing shorter is one.
    let alone = RequestHead::parse(&bytes[..consumed], limits, &mut 0);
    let with_rest = RequestHead::parse(bytes, limits, &mut 0);
    assert_eq!(Outcome::of(&alone), Outcome::of(&with_rest));
    let shorter = RequestHead::parse(&bytes[..consumed - 1], limits, &mut 0);
    assert_eq!(Outcome::of(&shorter), Outcome::Partial);
}

fn check_head(head: &RequestHead<'_>) {
    assert_ne!(head.method, Method::Connect);
    for (name, value) in head.headers() {
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':'));
        assert!(!value.iter().any(|b| matches!(b, b'\r' | b'\n' | b'\0')));
        assert!(!value.starts_with(b" ") && !value.ends_with(b" "));
    }
    let count = |name| head.values(name).count();
    match head.framing {
        Framing::Chunked => {
            assert_eq!(
                (count("transfer-encoding"), count("content-length")),
                (1, 0)
            );
            assert_eq!(head.version, Version::Http11);
        }
        Framing::Length(_) => {
            assert_eq!(
                (count("transfer-encoding"), count("content-length")),
                (0, 1)
            );
        }
        Framing::None => {
            assert_eq!(
                (count("transfer-encoding"), count("content-length")),
                (0, 0)
            );
        }
    }
    assert!(count("host") <= 1);
    assert!(head.version == Version::Http10 || head.host.is_some());
    assert!(!head.keep_alive || !head.has_token("connection", "close"));
    assert!(!head.expects_continue || head.framing.has_body());
    for name in ["", "token", "a b"] {
        let value = head.target.query_value(name);
        assert!(value.is_none() || head.target.query().is_some());
    }
}

/// A head that is spelled in the plainest way says the same.
fn check_spelled_again(head: &RequestHead<'_>) {
    let facts = Facts::of(head);
    let mut plain = method_name(facts.method).as_bytes().to_vec();
    plain.push(b' ');
    plain.extend_from_slice(facts.path.as_bytes());
    if let Some(query) = &facts.query {
        plain.push(b'?');
        plain.extend_from_slice(query.as_bytes());
    }
    plain.extend_from_slice(match facts.version {
        Version::Http10 => b" HTTP/1.0\r\n",
        Version::Http11 => b" HTTP/1.1\r\n",
    });
    for (name, value) in &facts.headers {
        plain.extend_from_slice(name.as_bytes());
        plain.extend_from_slice(b": ");
        plain.extend_from_slice(value);
        plain.extend_from_slice(b"\r\n");
    }
    plain.extend_from_slice(b"\r\n");
    let limits = HeadLimits {
        max_bytes: 64 * 1_024,
        max_headers: 128,
    };
    let again = RequestHead::parse(&plain, &limits, &mut 0);
    assert_eq!(
        Outcome::of(&again),
        Outcome::Complete(Box::new(facts), plain.len())
    );
}

const fn method_name(method: Method) -> &'static str {
    match method {
        Method::Connect => "CONNECT",
        Method::Delete => "DELETE",
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Options => "OPTIONS",
        Method::Patch => "PATCH",
        Method::Post => "POST",
        Method::Put => "PUT",
        _ => "TRACE",
    }
}

fn check_answers(head: &RequestHead<'_>, unix_ms: u64, policy: &OriginPolicy) {
    let reply = ReplyTo::request(head, unix_ms);
    let supported = ["roomwire.json.v1", "chat"];
    match handshake::check(head, &supported, true) {
        Ok(upgrade) => {
            assert_eq!((head.method, head.version), (Method::Get, Version::Http11));
            assert!(!head.framing.has_body());
            if let Some(protocol) = upgrade.protocol() {
                assert!(supported.contains(&protocol));
                let mut offers = head.elements("sec-websocket-protocol");
                assert!(offers.any(|offer| offer == protocol.as_bytes()));
            }
            let mut out = Vec::new();
            upgrade.write(&mut out);
            let (code, body) = parse_response(&out);
            assert_eq!((code, body), (101, 0));
        }
        Err(refusal) => check_refusal(&refusal, &reply),
    }
    if let Ok(offers) = Offers::of(head) {
        for offer in offers.take(1_000) {
            assert!(!offer.name().is_empty());
            for (name, value) in offer.parameters() {
                assert!(!name.is_empty() && value.is_none_or(|value| !value.is_empty()));
            }
        }
    }
    let missing = head.values("origin").next().is_none();
    let allowed = origin::allowed(policy, head.values("origin"), head.host.as_ref());
    assert!(!missing || allowed == policy.allow_missing);

    let mut out = Vec::new();
    Response::text(Status::Ok, "healthy")
        .no_store()
        .write(&reply, &mut out);
    let (code, body) = parse_response(&out);
    assert_eq!(code, 200);
    assert_eq!(body, if reply.head_only { 0 } else { "healthy".len() });
    check_files(&reply);
}

/// Of a file, and of the word that it has not changed: both name its version, and say the same about it.
fn check_files(reply: &ReplyTo) {
    const BODY: &[u8] = b"body {}";
    let (kind, tag) = ("text/css", reply.unix_ms);
    for file in [
        Response::public_file(kind, BODY, tag),
        Response::page_file(kind, BODY, tag),
    ] {
        let [whole, unchanged] = [file, file.not_modified()].map(|response| {
            let mut out = Vec::new();
            response.write(reply, &mut out);
            out
        });
        let body = if reply.head_only { 0 } else { BODY.len() };
        assert_eq!(parse_response(&whole), (200, body));
        assert_eq!(parse_response(&unchanged), (304, 0));
        let unchanged = fields(&unchanged);
        assert!(unchanged.contains(&format!("ETag: \"{tag:016x}\"")));
        let mut also = fields(&whole);
        assert!(also.contains(&format!("Content-Length: {}", BODY.len())));
        also.retain(|field| {
            !field.starts_with("Content-Type") && !field.starts_with("Content-Length")
        });
        assert_eq!(also, unchanged);
    }
    let mut out = Vec::new();
    Response::json(Status::Ok, b"{}").write(reply, &mut out);
    assert_eq!(
        parse_response(&out),
        (200, if reply.head_only { 0 } else { 2 })
    );
    assert!(fields(&out).contains(&"Content-Type: application/json".to_owned()));
}

/// The lines of a response's head behind the first one.
fn fields(out: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(out);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    head.split("\r\n").skip(1).map(str::to_owned).collect()
}

fn check_refusal(refusal: &Refusal, reply: &ReplyTo) {
    let mut out = Vec::new();
    refusal.write(reply, &mut out);
    let (code, body) = parse_response(&out);
    assert_eq!(code, refusal.status().code());
    assert!(code >= 400);
    assert_eq!(
        body,
        if reply.head_only {
            0
        } else {
            refusal.text().len()
        }
    );
    let stays = reply.keep_alive && refusal.keeps_connection();
    let fields = fields(&out);
    let connection = fields.iter().find(|it| it.starts_with("Connection: "));
    assert_eq!(
        connection.is_some_and(|it| it.contains("keep-alive")),
        stays
    );
    let mut own = refusal.headers();
    assert!(own.all(|(name, value)| fields.contains(&format!("{name}: {value}"))));
    let first = format!("HTTP/1.1 {code} {}\r\n", refusal.status().reason());
    assert!(out.starts_with(first.as_bytes()));
}

/// Parses a response with another parser; its status and how long its body is.
fn parse_response(out: &[u8]) -> (u16, usize) {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = response.parse(out) else {
        panic!("not a response: {:?}", String::from_utf8_lossy(out));
    };
    (response.code.unwrap_or_default(), out.len() - head)
}

/// An authority that is accepted and written out again is the same one.
fn check_authority(bytes: &[u8]) {
    let Some(authority) = Authority::parse(bytes) else {
        return;
    };
    let spelled = match authority.port() {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    };
    let again = Authority::parse(spelled.as_bytes());
    assert!(again.is_some_and(|again| again.same_as(&authority, 80) && again == authority));
}

fn policy(choice: u8) -> OriginPolicy {
    let listed = match choice >> 3 & 3 {
        0 => vec![],
        1 => vec!["*".to_owned()],
        2 => vec!["https://app.example.com".to_owned(), "null".to_owned()],
        _ => vec!["http://[::1]:8080".to_owned()],
    };
    OriginPolicy {
        allow: listed,
        allow_same_host: choice & 1 == 0,
        allow_localhost: choice & 2 == 0,
        allow_missing: choice & 4 == 0,
    }
}

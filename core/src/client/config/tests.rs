use super::*;

fn request(config: &ClientConfig) -> String {
    let mut out = Vec::new();
    config.write_request("dGhlIHNhbXBsZSBub25jZQ==", &mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn a_plain_request_to_the_byte() {
    let config = ClientConfig::new("server.example.com");
    assert_eq!(config.check(), Ok(()));
    assert_eq!(
        request(&config),
        "GET / HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         client_max_window_bits\r\n\r\n"
    );
}

#[test]
fn everything_that_can_be_asked_for_has_its_place() {
    let config = ClientConfig {
        deflate: None,
        target: "/chat?room=a%20b".to_owned(),
        origin: Some("http://example.com".to_owned()),
        headers: vec![
            ("X-One".to_owned(), "1, \"ä\"".to_owned()),
            ("Cookie".to_owned(), String::new()),
        ],
        protocols: vec!["chat".to_owned(), "superchat".to_owned()],
        ..ClientConfig::new("[::1]:8080")
    };
    assert_eq!(config.check(), Ok(()));
    assert_eq!(
        request(&config),
        "GET /chat?room=a%20b HTTP/1.1\r\nHost: [::1]:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: chat, superchat\r\nOrigin: http://example.com\r\n\
         X-One: 1, \"ä\"\r\nCookie: \r\n\r\n"
    );
}

#[test]
fn nothing_breaks_out_of_its_field() {
    let named = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let with = |change: fn(&mut ClientConfig)| {
        let mut config = ClientConfig::new("example.com");
        change(&mut config);
        config.check().map_err(|error| error.key)
    };
    for host in ["", "a b", "a\r\nX: y", "user@a", "a/b", "::1", "a:65536"] {
        let error = ClientConfig::new(host).check().expect_err(host);
        assert_eq!(error.key, "host", "{host:?}");
    }
    assert_eq!(with(|c| c.target = String::new()), Err("target".to_owned()));
    assert_eq!(
        with(|c| c.target = "x".to_owned()),
        Err("target".to_owned())
    );
    assert_eq!(
        with(|c| c.target = "/a b".to_owned()),
        Err("target".to_owned())
    );
    assert_eq!(
        with(|c| c.target = "/a\nb".to_owned()),
        Err("target".to_owned())
    );
    assert_eq!(
        with(|c| c.target = "/#a".to_owned()),
        Err("target".to_owned())
    );
    assert_eq!(
        with(|c| c.target = "/ä".to_owned()),
        Err("target".to_owned())
    );
    assert_eq!(
        with(|c| c.origin = Some("a\r\nb".to_owned())),
        Err("origin".to_owned())
    );
    for (name, value) in [
        ("", "v"),
        ("a b", "v"),
        ("a:", "v"),
        ("X", "a\r\nb"),
        ("X", "a\0b"),
        ("X", "a\x7f"),
        ("HOST", "v"),
        ("sec-websocket-key", "v"),
        ("Content-Length", "1"),
        ("Transfer-Encoding", "chunked"),
    ] {
        let headers = named(name, value);
        let config = ClientConfig {
            headers,
            ..ClientConfig::new("example.com")
        };
        let error = config.check().expect_err(name);
        assert_eq!(error.key, "headers", "{name:?}: {value:?}");
    }
    assert_eq!(
        with(|c| c.protocols = vec![String::new()]),
        Err("protocols".to_owned())
    );
    assert_eq!(
        with(|c| c.protocols = vec!["a,b".to_owned()]),
        Err("protocols".to_owned())
    );
    let twice = || vec!["a".to_owned(), "b".to_owned(), "a".to_owned()];
    let config = ClientConfig {
        protocols: twice(),
        ..ClientConfig::new("example.com")
    };
    let text = config.check().expect_err("twice").to_string();
    assert_eq!(
        text,
        "protocols = \"a\": allowed is tokens (RFC 9110), each once"
    );
}

#[test]
fn it_is_shown_without_its_secrets() {
    let mut config = ClientConfig::new("server.example.com");
    config.target = "/chat?token=secret".to_owned();
    config.headers = vec![("Authorization".to_owned(), "Bearer secret".to_owned())];
    config.protocols = vec!["secret".to_owned()];
    let shown = format!("{config:?}");
    assert!(!shown.contains("secret"), "{shown}");
    assert!(
        shown.contains("/chat") && shown.contains("Authorization"),
        "{shown}"
    );
}

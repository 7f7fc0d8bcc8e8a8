use super::*;

fn read(text: &str) -> Url {
    text.parse().expect(text)
}

#[test]
fn what_is_left_out_has_a_default() {
    for (text, tls, host, port, target, shown) in [
        (
            "ws://example.com",
            false,
            "example.com",
            80,
            "/",
            "ws://example.com/",
        ),
        (
            "WS://example.com:80/",
            false,
            "example.com",
            80,
            "/",
            "ws://example.com/",
        ),
        (
            "wss://example.com",
            true,
            "example.com",
            443,
            "/",
            "wss://example.com/",
        ),
        (
            "wss://a:8443/ws?x=/1:2@3",
            true,
            "a",
            8443,
            "/ws?x=/1:2@3",
            "wss://a:8443/ws?x=/1:2@3",
        ),
        ("ws://a?x=1", false, "a", 80, "/?x=1", "ws://a/?x=1"),
        (
            "ws://[::1]:8080/ws",
            false,
            "::1",
            8080,
            "/ws",
            "ws://[::1]:8080/ws",
        ),
        (
            "ws://127.0.0.1:443",
            false,
            "127.0.0.1",
            443,
            "/",
            "ws://127.0.0.1:443/",
        ),
    ] {
        let url = read(text);
        let expected = Url {
            tls,
            host: host.to_owned(),
            port,
            target: target.to_owned(),
        };
        assert_eq!(url, expected, "{text}");
        assert_eq!(url.to_string(), shown);
    }
}

#[test]
fn the_host_field_leaves_out_the_schemes_port() {
    for (text, field) in [
        ("ws://a:80", "a"),
        ("ws://a:443", "a:443"),
        ("wss://a:443", "a"),
        ("wss://[::1]:80", "[::1]:80"),
        ("wss://[::1]", "[::1]"),
    ] {
        assert_eq!(read(text).host_field(), field, "{text}");
    }
}

#[test]
fn mistakes_say_what_is_expected() {
    for (text, part) in [
        ("example.com", "expected ws:// or wss://"),
        ("http://example.com", "http:// is not for WebSocket"),
        ("ws://", "\"\" is no host"),
        ("ws://a:65536/", "\"a:65536\" is no host"),
        ("ws://::1/", "\"::1\" is no host"),
        ("ws://a b/", "\"a b\" is no host"),
        ("ws://me:secret@a/", "--header"),
        ("ws://a/#b", "no fragment"),
    ] {
        let error = text.parse::<Url>().expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    }
}

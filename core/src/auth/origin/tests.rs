use super::*;

fn none() -> OriginPolicy {
    OriginPolicy {
        allow: Vec::new(),
        allow_same_host: false,
        allow_localhost: false,
        allow_missing: false,
    }
}

fn listing(origins: &[&str]) -> OriginPolicy {
    OriginPolicy {
        allow: origins.iter().map(|&it| it.to_owned()).collect(),
        ..none()
    }
}

fn check(policy: &OriginPolicy, origins: &[&str], host: &str) -> bool {
    let host = Authority::parse(host.as_bytes());
    allowed(
        policy,
        origins.iter().map(|origin| origin.as_bytes()),
        host.as_ref(),
    )
}

#[track_caller]
fn table(policy: &OriginPolicy, host: &str, cases: &[(&str, bool)]) {
    for (origin, expected) in cases {
        assert_eq!(check(policy, &[origin], host), *expected, "{origin}");
    }
}

#[test]
fn listed_origins() {
    let policy = listing(&[
        "https://example.com",
        "https://App.Example.com:8443",
        "http://[::1]:3000",
    ]);
    table(
        &policy,
        "example.com",
        &[
            ("https://example.com", true),
            ("HTTPS://EXAMPLE.COM", true),
            ("https://example.com:443", true),
            ("https://example.com:", true),
            ("https://app.example.com:8443", true),
            ("http://[::1]:3000", true),
            ("http://example.com", false),
            ("http://example.com:443", false),
            ("wss://example.com", false),
            ("https://example.com:8443", false),
            ("https://app.example.com", false),
            ("https://example.com.evil.com", false),
            ("https://evil-example.com", false),
            ("https://evil.com/example.com", false),
            ("https://evil.com?https://example.com", false),
            ("https://evil.com#https://example.com", false),
            ("https://example.com@evil.com", false),
            ("https://user@example.com", false),
            ("https://user:pw@example.com", false),
            ("https://example.com.", false),
            ("https://.example.com", false),
            ("https://sub.example.com", false),
            ("https://example.com/", false),
            ("https://example.com/path", false),
            ("https://example.com ", false),
            (" https://example.com", false),
            ("https:// example.com", false),
            ("https:/example.com", false),
            ("https:example.com", false),
            ("//example.com", false),
            ("example.com", false),
            ("https://example.com, https://evil.com", false),
            ("https://example.com https://evil.com", false),
            ("https://example.com\\evil.com", false),
            ("https://example.com%00.evil.com", false),
            ("https://example\u{3002}com", false),
            ("https://ex\u{430}mple.com", false),
            ("https://", false),
            ("https://*", false),
            ("*", false),
            ("null", false),
            ("", false),
        ],
    );
}

#[test]
fn everything_but_a_missing_origin_matches_a_star() {
    let policy = listing(&["*"]);
    table(
        &policy,
        "a",
        &[
            ("https://evil.com", true),
            ("null", true),
            ("", true),
            ("garbage", true),
        ],
    );
    assert!(check(&policy, &["https://a", "https://b"], "a"));
    assert!(allowed(&policy, [&b"\xff"[..]], None));
    assert!(!check(&policy, &[], "a"));
}

#[test]
fn opaque_origins_are_listed_literally() {
    let policy = listing(&["null", "chrome-extension://abcdef", "file://"]);
    table(
        &policy,
        "a",
        &[
            ("null", true),
            ("NULL", true),
            ("chrome-extension://ABCDEF", true),
            ("file://", true),
            ("chrome-extension://abcdeg", false),
            ("nullx", false),
            ("https://null", false),
        ],
    );
}

#[test]
fn same_host() {
    let policy = OriginPolicy {
        allow_same_host: true,
        ..none()
    };
    let cases = [
        ("https://example.com", "example.com", true),
        ("http://example.com", "example.com", true),
        ("https://EXAMPLE.com", "example.COM", true),
        ("https://example.com", "example.com:443", true),
        ("https://example.com:443", "example.com", true),
        ("http://example.com", "example.com:80", true),
        ("http://example.com:8080", "example.com:8080", true),
        ("http://[::1]:8080", "[::1]:8080", true),
        ("https://example.com", "example.com:80", false),
        ("http://example.com", "example.com:443", false),
        ("http://example.com:8080", "example.com", false),
        ("http://example.com", "example.com:8080", false),
        ("https://example.com.", "example.com", false),
        ("https://example.com.evil.com", "example.com", false),
        ("https://evil.com@example.com", "example.com", false),
        ("ftp://example.com", "example.com", false),
        ("ws://example.com", "example.com", false),
        ("chrome-extension://example.com", "example.com", false),
        ("null", "null", false),
        ("https://localhost", "example.com", false),
        ("https://example.com", "", false),
    ];
    for (origin, host, expected) in cases {
        assert_eq!(check(&policy, &[origin], host), expected, "{origin} {host}");
    }
}

#[test]
fn localhost() {
    let policy = OriginPolicy {
        allow_localhost: true,
        ..none()
    };
    table(
        &policy,
        "example.com",
        &[
            ("http://localhost", true),
            ("https://LocalHost:3000", true),
            ("http://127.0.0.1:8080", true),
            ("https://[::1]", true),
            ("http://[::1]:5173", true),
            ("http://localhost.evil", false),
            ("http://localhost.", false),
            ("http://evil.localhost", false),
            ("http://localhost@evil.com", false),
            ("http://127.0.0.1.evil.com", false),
            ("http://127.0.0.2", false),
            ("http://127.1", false),
            ("http://2130706433", false),
            ("http://0.0.0.0", false),
            ("http://[::ffff:127.0.0.1]", false),
            ("http://localhost:80:80", false),
            ("http://localhost:99999", false),
            ("capacitor://localhost", false),
            ("file://localhost", false),
            ("wss://localhost", false),
            ("http://example.com", false),
        ],
    );
}

#[test]
fn a_missing_origin_is_a_matter_of_its_own() {
    let missing = OriginPolicy {
        allow_missing: true,
        ..none()
    };
    assert!(check(&missing, &[], "a"));
    assert!(!check(&missing, &[""], "a"));
    assert!(!check(&missing, &["null"], "a"));
    assert!(!check(&listing(&["https://a"]), &[], "a"));
}

#[test]
fn several_origins_are_none() {
    let policy = OriginPolicy {
        allow: vec!["https://a".to_owned()],
        ..OriginPolicy::default()
    };
    assert!(check(&policy, &["https://a"], "a"));
    assert!(!check(&policy, &["https://a", "https://a"], "a"));
    assert!(!check(&policy, &["https://a", "https://evil.com"], "a"));
}

#[test]
fn text_that_is_not_utf8_is_never_listed() {
    assert!(!allowed(
        &OriginPolicy::default(),
        [&b"http://\xff"[..]],
        None
    ));
}

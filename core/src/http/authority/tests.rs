use super::*;

#[test]
fn authorities() {
    let long = "a".repeat(255);
    let too_long = "a".repeat(256);
    let cases = [
        ("example.com", Some(("example.com", None))),
        ("Example.COM:8080", Some(("Example.COM", Some(8080)))),
        ("a:", Some(("a", None))),
        ("a:0", Some(("a", Some(0)))),
        ("a:00080", Some(("a", Some(80)))),
        ("a.", Some(("a.", None))),
        ("my_service-1", Some(("my_service-1", None))),
        ("10.0.0.1:1", Some(("10.0.0.1", Some(1)))),
        ("[::1]", Some(("[::1]", None))),
        ("[2001:db8::1]:443", Some(("[2001:db8::1]", Some(443)))),
        ("[::ffff:1.2.3.4]:", Some(("[::ffff:1.2.3.4]", None))),
        (long.as_str(), Some((long.as_str(), None))),
        (too_long.as_str(), None),
        ("", None),
        (":80", None),
        (".", None),
        (".a", None),
        ("a..b", None),
        ("a..", None),
        ("a:000080", None),
        ("a:-1", None),
        ("a:+1", None),
        ("a:1 ", None),
        ("a:65536", None),
        ("a:b:1", None),
        ("user@a", None),
        ("user:pw@a", None),
        ("a b", None),
        ("a\\b", None),
        ("a/b", None),
        ("a%20b", None),
        ("é", None),
        ("a\0", None),
        ("[]", None),
        ("[", None),
        ("]", None),
        ("[::1", None),
        ("[[::1]]", None),
        ("[::1]a", None),
        ("[::1]80", None),
        ("[fe80::1%25eth0]", None),
        ("[1.2.3.4]", None),
        ("x[::1]", None),
    ];
    for (text, expected) in cases {
        let parsed = Authority::parse(text.as_bytes());
        let found = parsed.map(|it| (it.host(), it.port()));
        assert_eq!(found, expected, "{text}");
    }
    assert_eq!(Authority::parse(b"\xff"), None);
}

#[test]
fn sameness_ignores_case_and_spelt_out_default_ports() {
    let same = |one: &str, other: &str| {
        let (Some(one), Some(other)) = (
            Authority::parse(one.as_bytes()),
            Authority::parse(other.as_bytes()),
        ) else {
            panic!("{one} {other}");
        };
        one.same_as(&other, 80)
    };
    assert!(same("a", "A"));
    assert!(same("a", "a:80"));
    assert!(same("a:", "a:80"));
    assert!(same("[::A]:81", "[::a]:81"));
    assert!(!same("a", "a:443"));
    assert!(!same("a", "a."));
    assert!(!same("a", "b"));
}

use proptest::prelude::*;

use super::*;

fn target(raw: &str) -> Target<'_> {
    match Target::parse(raw, Method::Get, Authority::parse(b"a").as_ref()) {
        Ok(target) => target,
        Err(refusal) => panic!("{raw}: {refusal:?}"),
    }
}

#[test]
fn paths_and_queries() {
    let cases = [
        ("/", "/", None),
        ("/?", "/", Some("")),
        ("/health", "/health", None),
        ("/health?x=1", "/health", Some("x=1")),
        ("/a?b?c", "/a", Some("b?c")),
        ("/%68ealth", "/%68ealth", None),
        ("//health", "//health", None),
        ("/../health", "/../health", None),
        ("/http://b/", "/http://b/", None),
        ("http://a", "/", None),
        ("http://a?x", "/", Some("x")),
        ("http://a/?x", "/", Some("x")),
        ("HTTP://A:80/b/c", "/b/c", None),
        ("wss://a:443/b", "/b", None),
    ];
    for (raw, path, query) in cases {
        let host = if raw.starts_with("wss") { "a:443" } else { "a" };
        let host = Authority::parse(host.as_bytes());
        let Ok(target) = Target::parse(raw, Method::Get, host.as_ref()) else {
            panic!("{raw}");
        };
        assert_eq!((target.path(), target.query()), (path, query), "{raw}");
    }
}

#[test]
fn the_whole_server_is_a_target_of_options_only() {
    let path = |method| Target::parse("*", method, None).map(|target| target.path());
    assert_eq!(path(Method::Options), Ok("*"));
    assert!(path(Method::Get).is_err());
}

#[test]
fn query_values() {
    let query =
        "/?a=1&b=x%20y&c=x+y&d&e=&f=%zz&g=%4&h=%&i=%ff&%6a=k&a=2&k==&l=%C3%BC&m=a%00b&&=n&é";
    let cases: &[(&str, Option<&str>)] = &[
        ("a", Some("1")),
        ("b", Some("x y")),
        ("c", Some("x y")),
        ("d", Some("")),
        ("e", Some("")),
        ("f", Some("%zz")),
        ("g", Some("%4")),
        ("h", Some("%")),
        ("i", None),
        ("j", Some("k")),
        ("k", Some("=")),
        ("l", Some("ü")),
        ("m", Some("a\0b")),
        ("A", None),
        ("n", None),
        ("", Some("")),
    ];
    let target = Target::split(query);
    for (name, expected) in cases {
        assert_eq!(target.query_value(name).as_deref(), *expected, "{name}");
    }
    assert_eq!(Target::split("/").query_value("a"), None);
}

#[test]
fn plain_values_are_borrowed() {
    let target = target("/?token=abc");
    assert!(matches!(
        target.query_value("token"),
        Some(Cow::Borrowed("abc"))
    ));
}

proptest! {
    #[test]
    fn values_survive_encoding(value in ".{0,16}") {
        let encoded: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let query = format!("/?x=%&v={encoded}&v=z");
        let target = Target::split(&query);
        prop_assert_eq!(target.query_value("v"), Some(Cow::Owned(value)));
    }

    #[test]
    fn any_query_is_read(query in ".{0,40}", name in ".{0,3}") {
        let raw = format!("/?{query}");
        let _ = Target::split(&raw).query_value(&name);
    }
}

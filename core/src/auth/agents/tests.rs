use proptest::prelude::*;

use super::*;
use crate::config::Compression;

#[test]
fn a_star_stands_for_any_characters() {
    for (pattern, agent, expected) in [
        ("", "", true),
        ("", "a", false),
        ("a", "a", true),
        ("a", "A", false),
        ("a", "ab", false),
        ("*", "", true),
        ("*", "anything", true),
        ("a*", "a", true),
        ("a*", "ba", false),
        ("*a", "bca", true),
        ("*a", "ab", false),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("a*b*c", "a-b-c", true),
        ("a*b*c", "a-c-b", false),
        ("*ab*ab*", "abab", true),
        ("*ab*ab*", "aba", false),
        ("**", "x", true),
    ] {
        assert_eq!(
            matches(pattern, agent.as_bytes()),
            expected,
            "{pattern} {agent}"
        );
    }
}

#[test]
fn safari_15_0_to_15_3_is_denied_compression() {
    let mac = |version: &str| {
        format!(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
             Version/{version} Safari/605.1.15"
        )
    };
    let phone = |version: &str| {
        format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 15_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
             Version/{version} Mobile/15E148 Safari/604.1"
        )
    };
    let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
    let patterns = Compression::default().deny_user_agents;
    let denied = |agent: &str| {
        patterns
            .iter()
            .any(|pattern| matches(pattern, agent.as_bytes()))
    };
    for version in ["15.0", "15.1", "15.2", "15.3"] {
        assert!(denied(&mac(version)), "{version}");
        assert!(denied(&phone(version)), "{version}");
    }
    for version in ["15.4", "15.6.1", "14.1.2", "16.0", "26.0", "115.0", "15"] {
        assert!(!denied(&mac(version)), "{version}");
        assert!(!denied(&phone(version)), "{version}");
    }
    assert!(!denied(chrome));
    assert!(!denied("something else Version/15.1 "));
}

/// As one would explain it.
fn reference(pattern: &[u8], agent: &[u8]) -> bool {
    match pattern.split_first() {
        None => agent.is_empty(),
        Some((b'*', rest)) => (0..=agent.len()).any(|at| reference(rest, &agent[at..])),
        Some((byte, rest)) => agent.first() == Some(byte) && reference(rest, &agent[1..]),
    }
}

proptest! {
    #[test]
    fn it_is_as_explained(pattern in "[ab*]{0,8}", agent in "[ab]{0,10}") {
        prop_assert_eq!(matches(&pattern, agent.as_bytes()), reference(pattern.as_bytes(), agent.as_bytes()));
    }
}

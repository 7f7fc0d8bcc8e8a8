use super::*;
use crate::Config;
use crate::config::Sessions;

const DIGITS: &str = "00000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1dff";

fn read(key: &str) -> Result<Config, serde_json::Error> {
    serde_json::from_str(&format!(r#"{{"sessions":{{"key":{key}}}}}"#))
}

#[test]
fn it_is_64_digits_in_either_case() {
    let config = read(&format!("{DIGITS:?}")).expect("a key");
    let key = config.sessions.key.expect("a key");
    assert_eq!((key.0[2], key.0[31]), (1, 0xff));
    let upper = read(&format!("{:?}", DIGITS.to_uppercase())).expect("a key");
    assert_eq!(upper.sessions.key, Some(key));
    let again = serde_json::to_string(&key).expect("text");
    assert_eq!(again, format!("{DIGITS:?}"));
    assert_eq!(Sessions::default().key, None);
}

#[test]
fn anything_else_is_refused_and_not_repeated() {
    for wrong in [
        "\"\"",
        "\"secret\"",
        "7",
        &format!("{:?}", &DIGITS[2..]),
        &format!("\"g{}\"", &DIGITS[1..]),
    ] {
        let refused = read(wrong).expect_err("no key").to_string();
        let shows = wrong.len() > 2 && refused.contains(wrong.trim_matches('"'));
        assert!(wrong == "7" || !shows, "{refused}");
        assert!(
            wrong == "7" || refused.contains("64 hexadecimal digits"),
            "{refused}"
        );
    }
}

#[test]
fn it_is_not_shown() {
    let sessions = Sessions {
        key: Some(SessionKey([0xab; 32])),
        ..Sessions::default()
    };
    let shown = format!("{sessions:?}");
    assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
}

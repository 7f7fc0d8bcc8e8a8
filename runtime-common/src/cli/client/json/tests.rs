use super::*;

#[test]
fn requests_hold_what_they_are_given() {
    assert_eq!(
        join("te\"a", "1"),
        r#"{"type":"join","room":"te\"a","id":"1"}"#
    );
    assert_eq!(
        say("tea", "{\"a\":\n1}", "2"),
        r#"{"type":"room_message","room":"tea","data":"{\"a\":\n1}","id":"2"}"#
    );
    assert_eq!(fence("3"), r#"{"type":"ping","id":"3"}"#);
}

#[test]
fn ids_are_as_they_are_written() {
    for (request, expected) in [
        (r#"{"id":3.0,"type":"ping"}"#, Some("3.0")),
        (
            r#"{"type":"ping", "id" : "a\u0062" }"#,
            Some(r#""a\u0062""#),
        ),
        (r#"{"id":1,"id":2}"#, Some("2")),
        (r#"{"type":"ping"}"#, None),
        (r#"{"id":null}"#, None),
        ("{bad", None),
        ("[1]", None),
    ] {
        assert_eq!(id(request).as_deref(), expected, "{request}");
    }
}

#[test]
fn an_outcome_is_told_by_its_id_and_type() {
    let fact = |id: Option<&str>, refusal| Facts {
        id: id.map(str::to_owned),
        refusal,
    };
    let refusal = |code: &str, message: &str, retry_after_ms| {
        let (code, message) = (code.to_owned(), message.to_owned());
        Some(Refusal {
            code,
            message,
            retry_after_ms,
        })
    };
    for (message, expected) in [
        (r#"{"type":"ack","id":1}"#, vec![fact(Some("1"), None)]),
        (r#"{"type":"welcome"}"#, vec![fact(None, None)]),
        (
            r#"{"type":"error","id":"a","code":"rate_limited","message":"Slow down","retryAfterMs":600}"#,
            vec![fact(
                Some("\"a\""),
                refusal("rate_limited", "Slow down", Some(600)),
            )],
        ),
        // An application's own fields may be anything.
        (
            r#"{"type":"rolled","id":2,"code":7,"messages":1}"#,
            vec![fact(Some("2"), None)],
        ),
        (r#"{"type":7,"id":2}"#, vec![fact(Some("2"), None)]),
        (
            r#"{"type":"batch","messages":[{"type":"ack","id":1},{"type":"error","code":"x"}, 3]}"#,
            vec![
                fact(Some("1"), None),
                fact(None, refusal("x", "", None)),
                fact(None, None),
            ],
        ),
        ("hello", vec![]),
        ("[]", vec![]),
    ] {
        assert_eq!(read(message), expected, "{message}");
    }
}

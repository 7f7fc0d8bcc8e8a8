use super::*;

/// 13:46:40.123 UTC.
const TIME: u64 = 1_700_056_000_123;

#[test]
fn bare_lines_are_messages_that_came() {
    let bare = |came, shown| line(Form::Bare, TIME, came, shown);
    assert_eq!(bare(true, Shown::Text("{\"a\": 1}")), "{\"a\": 1}\n");
    assert_eq!(bare(true, Shown::Binary(&[0, 255])), "binary 00ff\n");
    assert_eq!(bare(false, Shown::Text("{}")), "");
    assert_eq!(bare(true, Shown::Open { protocol: None }), "");
    assert_eq!(bare(true, Shown::Ping(b"")), "");
    let close = Shown::Close {
        code: Some(1000),
        reason: "",
    };
    assert_eq!(bare(true, close), "");
}

#[test]
fn lines_for_people_have_time_direction_and_size() {
    let text = |came, shown| line(Form::Text, TIME, came, shown);
    assert_eq!(
        text(true, Shown::Text("{\"ä\":1}")),
        "13:46:40.123 <       8 {\"ä\":1}\n"
    );
    assert_eq!(
        text(false, Shown::Text("{}")),
        "13:46:40.123 >       2 {}\n"
    );
    assert_eq!(
        text(true, Shown::Binary(&[1, 171])),
        "13:46:40.123 <       2 binary 01ab\n"
    );
    assert_eq!(
        text(true, Shown::Ping(b"abc")),
        "13:46:40.123 <       3 ping\n"
    );
    assert_eq!(
        text(true, Shown::Pong(b"")),
        "13:46:40.123 <       0 pong\n"
    );
    let open = Shown::Open {
        protocol: Some("p.v1"),
    };
    assert_eq!(text(true, open), "13:46:40.123 <       0 open p.v1\n");
    let close = Shown::Close {
        code: Some(1012),
        reason: "a\nb",
    };
    assert_eq!(text(true, close), "13:46:40.123 <       0 close 1012 a b\n");
    let close = Shown::Close {
        code: None,
        reason: "",
    };
    assert_eq!(
        text(true, close),
        "13:46:40.123 <       0 close without a code\n"
    );
}

#[test]
fn objects_keep_messages_as_they_are_written() {
    let object = |came, shown| line(Form::Json, 5, came, shown);
    assert_eq!(
        object(true, Shown::Text("{ \"n\":\n 123456789012345678901.50 }")),
        "{\"unixMs\":5,\"direction\":\"in\",\"kind\":\"text\",\"bytes\":34,\
         \"message\":{ \"n\":  123456789012345678901.50 }}\n"
    );
    assert_eq!(
        object(false, Shown::Text("no \"JSON\"\n\u{1b}[2J")),
        "{\"unixMs\":5,\"direction\":\"out\",\"kind\":\"text\",\"bytes\":14,\
         \"text\":\"no \\\"JSON\\\"\\n\\u001b[2J\"}\n"
    );
    assert_eq!(
        object(true, Shown::Ping(&[16])),
        "{\"unixMs\":5,\"direction\":\"in\",\"kind\":\"ping\",\"bytes\":1,\"hex\":\"10\"}\n"
    );
    assert_eq!(
        object(
            true,
            Shown::Open {
                protocol: Some("p")
            }
        ),
        "{\"unixMs\":5,\"direction\":\"in\",\"kind\":\"open\",\"bytes\":0,\"protocol\":\"p\"}\n"
    );
    let close = Shown::Close {
        code: Some(1000),
        reason: "",
    };
    assert_eq!(
        object(true, close),
        "{\"unixMs\":5,\"direction\":\"in\",\"kind\":\"close\",\"bytes\":0,\"code\":1000,\"reason\":\"\"}\n"
    );
}

/// What a terminal would obey, and what would make two lines of one.
#[test]
fn hostile_characters_are_written_out() {
    let hostile = "a\r\nb\u{1b}[31m\u{7f}\u{9b}2J\t\u{0}ä";
    assert_eq!(
        one_line(hostile),
        "a  b\\u001b[31m\\u007f\\u009b2J\t\\u0000ä"
    );
    // In JSON they mean the same as before.
    let json = "{\"a\":\n\"\u{7f}\u{9b}\"}";
    let before: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let after: serde_json::Value = serde_json::from_str(&one_line(json)).expect("JSON");
    assert_eq!(before, after);
}

use super::*;
use core::time::Duration;

const PLAIN: Pen = Pen { colours: false };
const COLOURS: Pen = Pen { colours: true };
const ADA: &str = "client_AAAAAAAAAAAAAAAAAAAAAAAA";

fn said(data: &str) -> Said {
    Said {
        from: ClientId::parse(ADA).expect("an id"),
        data: SaidData::Json(data.to_owned()),
        timestamp: 1_700_000_000_999,
    }
}

#[test]
fn what_is_said_is_one_line_that_no_terminal_obeys() {
    let line = PLAIN.said("tea", &said(r#""two\nlines \u001b[2J""#));
    assert_eq!(line, "22:13:20 tea AAAAAA: two lines \\u001b[2J");
    assert_eq!(
        PLAIN.said("tea", &said(r#"{"a": 1}"#)),
        r#"22:13:20 tea AAAAAA: {"a": 1}"#
    );
    let coloured = COLOURS.said("t\u{1b}ea", &said("1"));
    assert!(
        coloured.contains("\u{1b}[36mt\\u001bea\u{1b}[0m"),
        "{coloured:?}"
    );
    assert!(coloured.contains("mAAAAAA\u{1b}[0m: 1"), "{coloured:?}");
}

#[test]
fn the_server_has_lines_of_its_own() {
    for (text, line) in [
        (r#"{"type":"ack"}"#, None),
        (r#"{"type":"news","n":1}"#, Some(r#"{"type":"news","n":1}"#)),
        (
            r#"{"type":"error","code":"forbidden","message":"No","retryAfterMs":5}"#,
            Some("! refused: forbidden: No; it may be tried again after 5 ms"),
        ),
        (
            r#"{"type":"member_joined","room":"tea","clientId":"client_AAAAAAAAAAAAAAAAAAAAAAAA"}"#,
            Some("* AAAAAA has come to tea"),
        ),
        (
            r#"{"type":"left_room","room":"tea"}"#,
            Some("* no longer in tea"),
        ),
    ] {
        let message = Message::read(text.to_owned());
        assert_eq!(PLAIN.message(&message).as_deref(), line, "{text}");
    }
}

#[test]
fn an_end_says_why_and_when_it_is_tried_again() {
    let mut closed = Closed {
        code: 1012,
        reason: "back soon".to_owned(),
        cause: CloseCause::CloseFrame,
        reconnect_in: Some(Duration::from_millis(1_250)),
    };
    let line = PLAIN.closed(&closed, None);
    assert_eq!(
        line,
        "! the server closed with 1012: back soon; trying again in 1.2 s"
    );
    closed.cause = CloseCause::ConnectFailed;
    closed.reconnect_in = None;
    assert_eq!(
        PLAIN.closed(&closed, Some("nobody is there")),
        "! nobody is there"
    );
    assert_eq!(
        COLOURS.closed(&closed, None),
        "\u{1b}[31m! it cannot connect\u{1b}[0m"
    );
}

/// As the server would have spelled it.
#[test]
fn a_room_message_is_json() {
    let text = room_message("a \"b\"", &said("[1]"), Some(7));
    let message = Message::read(text);
    let Told::RoomMessage {
        room,
        said: read,
        offset,
    } = message.told
    else {
        panic!("{message:?}");
    };
    assert_eq!((&*room, offset), ("a \"b\"", Some(7)));
    assert_eq!(read, said("[1]"));
    let bytes = Said {
        data: SaidData::Bytes(vec![1, 2]),
        ..said("1")
    };
    let message = Message::read(room_message("tea", &bytes, None));
    let Told::RoomMessage { said: read, .. } = message.told else {
        panic!("{message:?}");
    };
    assert_eq!(read, bytes);
}

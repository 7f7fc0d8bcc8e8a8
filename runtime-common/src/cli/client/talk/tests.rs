use roomwire_core::websocket::DecodeError;

use super::*;

const URL: &str = "ws://example.com/";

fn plan() -> Plan {
    Plan {
        rooms: vec!["tea".to_owned()],
        says: Vec::new(),
        messages: Vec::new(),
        count: None,
        reads_input: true,
        stays: false,
        form: Form::Bare,
        binary: false,
    }
}

/// One whose connection stands, and what it says first.
fn open(plan: Plan) -> (Talk, Vec<String>) {
    let mut talk = Talk::new(plan, URL.to_owned());
    assert!(!talk.wants_input());
    talk.take(0, &Event::Open { protocol: None });
    let said = said(&mut talk);
    (talk, said)
}

/// Takes what is to be sent.
fn said(talk: &mut Talk) -> Vec<String> {
    let mut said = Vec::new();
    while let Some(message) = talk.next_message().cloned() {
        talk.sent(0);
        said.push(match message {
            Message::Text(text) => text,
            Message::Binary(frame) => panic!("{frame:?}"),
        });
    }
    said
}

fn hear(talk: &mut Talk, text: &str) {
    talk.take(0, &Event::Text(text));
}

const JOIN: &str = r#"{"type":"join","room":"tea","id":"roomwire-cli-1"}"#;
const JOINED: &str =
    r#"{"type":"joined_room","id":"roomwire-cli-1","room":"tea","members":[],"total":1}"#;

#[test]
fn it_says_what_was_asked_and_leaves_when_all_of_it_was_taken() {
    let (mut talk, said) = open(Plan {
        rooms: vec!["tea".to_owned(), "milk".to_owned()],
        says: vec!["hi".to_owned()],
        messages: vec![r#"{"type":"ping","id":7}"#.to_owned()],
        reads_input: false,
        ..plan()
    });
    assert_eq!(
        said,
        [
            JOIN,
            r#"{"type":"join","room":"milk","id":"roomwire-cli-2"}"#,
            r#"{"type":"room_message","room":"tea","data":"hi","id":"roomwire-cli-3"}"#,
            r#"{"type":"room_message","room":"milk","data":"hi","id":"roomwire-cli-4"}"#,
            r#"{"type":"ping","id":7}"#,
        ]
    );
    for id in [
        "\"roomwire-cli-1\"",
        "\"roomwire-cli-2\"",
        "\"roomwire-cli-3\"",
        "\"roomwire-cli-4\"",
        "7",
    ] {
        assert_eq!(talk.stage(), Stage::Finishing, "{id}");
        hear(&mut talk, &format!(r#"{{"type":"ack","id":{id}}}"#));
    }
    assert_eq!(talk.stage(), Stage::Closing);
    assert!(talk.succeeded());
    assert_eq!(talk.take_complaints(), [""; 0]);
    assert_eq!(talk.take_lines().lines().count(), 5);
}

#[test]
fn a_refusal_is_told_and_remembered() {
    let (mut talk, _) = open(Plan {
        says: vec!["hi".to_owned()],
        reads_input: false,
        ..plan()
    });
    hear(
        &mut talk,
        r#"{"type":"error","id":"roomwire-cli-1","code":"room_full","message":"No\u001b"}"#,
    );
    hear(
        &mut talk,
        r#"{"type":"error","id":"roomwire-cli-2","code":"rate_limited","message":"Slow","retryAfterMs":9}"#,
    );
    assert_eq!(talk.stage(), Stage::Closing);
    assert!(!talk.succeeded());
    assert_eq!(
        talk.take_complaints(),
        [
            "refused: room_full: No\\u001b",
            "refused: rate_limited: Slow; it may be tried again after 9 ms"
        ]
    );
}

#[test]
fn lines_are_messages_and_their_end_is_the_end() {
    let (mut talk, first) = open(plan());
    assert_eq!(first, [JOIN]);
    assert!(talk.wants_input());
    hear(&mut talk, JOINED);
    talk.line("hello");
    assert!(!talk.wants_input(), "not before that was sent");
    talk.line("");
    talk.line(" {no");
    talk.line(r#"{"type":"typing_start","room":"tea"}"#);
    assert_eq!(
        said(&mut talk),
        [
            r#"{"type":"room_message","room":"tea","data":"hello","id":"roomwire-cli-2"}"#,
            r#"{"type":"room_message","room":"tea","data":" {no","id":"roomwire-cli-3"}"#,
            r#"{"type":"typing_start","room":"tea"}"#,
        ]
    );
    talk.input_ended();
    assert!(!talk.wants_input());
    // Whether the last one was taken nobody would say.
    assert_eq!(
        said(&mut talk),
        [r#"{"type":"ping","id":"roomwire-cli-4"}"#]
    );
    hear(&mut talk, r#"{"type":"ack","id":"roomwire-cli-2"}"#);
    hear(&mut talk, r#"{"type":"ack","id":"roomwire-cli-3"}"#);
    assert_eq!(talk.stage(), Stage::Finishing);
    talk.take_lines();
    hear(&mut talk, r#"{"type":"pong","id":"roomwire-cli-4"}"#);
    assert_eq!(talk.take_lines(), "", "nobody asked for it");
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, true));
}

#[test]
fn a_refused_fence_is_a_fence() {
    let (mut talk, _) = open(Plan {
        rooms: Vec::new(),
        messages: vec!["hello".to_owned()],
        reads_input: false,
        ..plan()
    });
    hear(
        &mut talk,
        r#"{"type":"error","id":"roomwire-cli-1","code":"rate_limited","message":""}"#,
    );
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, true));

    let (mut talk, _) = open(Plan {
        messages: vec!["hello".to_owned()],
        reads_input: false,
        ..plan()
    });
    hear(
        &mut talk,
        r#"{"type":"error","code":"bad_json","message":"Invalid message format"}"#,
    );
    hear(&mut talk, JOINED);
    hear(&mut talk, r#"{"type":"pong","id":"roomwire-cli-2"}"#);
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, false));
}

#[test]
fn a_line_needs_a_room() {
    let (mut talk, _) = open(Plan {
        rooms: Vec::new(),
        ..plan()
    });
    talk.line("hello");
    talk.bad_line("it is not UTF-8");
    assert_eq!(said(&mut talk), [""; 0]);
    let complaints = talk.take_complaints();
    assert!(complaints[0].contains("--room"), "{complaints:?}");
    assert_eq!(complaints[1], "a line was not sent: it is not UTF-8");
    talk.input_ended();
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, false));
}

#[test]
fn a_count_ends_it_and_nothing_else_does() {
    let (mut talk, _) = open(Plan {
        count: Some(2),
        ..plan()
    });
    talk.input_ended();
    hear(&mut talk, "1");
    assert_eq!(talk.stage(), Stage::Talking);
    talk.take(0, &Event::Ping(b""));
    assert_eq!(talk.stage(), Stage::Talking, "a ping is no message");
    talk.take(0, &Event::Binary(&[2]));
    assert_eq!(
        talk.stage(),
        Stage::Finishing,
        "the join has no outcome yet"
    );
    hear(&mut talk, JOINED);
    assert_eq!(talk.stage(), Stage::Closing);
    hear(&mut talk, "4");
    assert_eq!(
        talk.take_lines(),
        "1\nbinary 02\n",
        "no more than asked for"
    );
    assert!(talk.succeeded());
}

#[test]
fn with_a_count_no_outcomes_are_asked_for() {
    let (mut talk, first) = open(Plan {
        messages: vec!["hello".to_owned()],
        count: Some(1),
        reads_input: false,
        ..plan()
    });
    assert_eq!(first, [JOIN, "hello"]);
    hear(&mut talk, JOINED);
    assert_eq!(said(&mut talk), [""; 0]);
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, true));
}

#[test]
fn a_tap_stays_unless_a_room_refuses_it() {
    let tap = || Plan {
        reads_input: false,
        stays: true,
        form: Form::Text,
        ..plan()
    };
    let (mut talk, first) = open(tap());
    assert_eq!(first, [JOIN]);
    hear(&mut talk, JOINED);
    assert_eq!(talk.stage(), Stage::Talking);
    talk.interrupt();
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, true));
    let lines = talk.take_lines();
    let ways: Vec<&str> = lines.lines().map(|line| &line[13..14]).collect();
    assert_eq!(ways, ["<", ">", "<"], "{lines}");

    let (mut talk, _) = open(tap());
    hear(
        &mut talk,
        r#"{"type":"error","id":"roomwire-cli-1","code":"reserved","message":"No"}"#,
    );
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, false));
    talk.interrupt();
    assert!(!talk.succeeded(), "it has ended already");
}

#[test]
fn an_interrupt_is_an_orderly_end() {
    let (mut talk, _) = open(plan());
    hear(
        &mut talk,
        r#"{"type":"error","code":"bad_json","message":""}"#,
    );
    assert!(!talk.succeeded());
    talk.interrupt();
    talk.take(
        0,
        &Event::Closed {
            code: Some(1000),
            reason: "",
        },
    );
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, true));
    // Nobody listens any more: also an end.
    let (mut talk, _) = open(plan());
    talk.unheard();
    talk.take(0, &Event::Lost);
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, true));
}

#[test]
fn what_ends_it_early_is_explained() {
    let end = |event: Event<'_>| {
        let (mut talk, _) = open(plan());
        talk.take(0, &event);
        assert_eq!(
            (talk.stage(), talk.succeeded()),
            (Stage::Closing, false),
            "{event:?}"
        );
        talk.take_complaints().join("; ")
    };
    let refused = |status, retry_after_s| Event::Refused {
        status,
        reason: "Why",
        retry_after_s,
        location: None,
    };
    for (event, part) in [
        (Event::Lost, "ended without a goodbye"),
        (
            Event::Closed {
                code: Some(1012),
                reason: "bye",
            },
            "the server closed with 1012: bye",
        ),
        (
            Event::Closed {
                code: Some(1000),
                reason: "",
            },
            "the server closed with 1000",
        ),
        (
            Event::Closed {
                code: None,
                reason: "",
            },
            "the server closed without a code",
        ),
        (
            refused(403, None),
            "refused with 403 Why, where 101 was expected: --origin",
        ),
        (refused(404, None), "roomwire's are / and /ws"),
        (refused(400, None), "(wss://)"),
        (refused(401, None), "--header"),
        (refused(302, None), "elsewhere"),
        (
            Event::Refused {
                status: 302,
                reason: "Found",
                retry_after_s: None,
                location: Some("wss://b.example/\n"),
            },
            "refused with 302 Found, where 101 was expected: the server is elsewhere: at wss://b.example/",
        ),
        (refused(503, Some(3)), "tried again in 3 s"),
        (refused(200, None), "is there a WebSocket server"),
        (
            Event::BadResponse(ResponseError::NotHttp("\"S\"".to_owned())),
            "does it speak TLS (wss://)?",
        ),
        (
            Event::BadResponse(ResponseError::Upgrade("none".to_owned())),
            "expected Upgrade: websocket in the response, got none: is there",
        ),
        (
            Event::Violation(DecodeError::MaskedFrame),
            "a masked frame from a server; closed with 1002",
        ),
    ] {
        let told = end(event);
        assert!(
            told.starts_with(URL) && told.contains(part),
            "{part}: {told}"
        );
    }
}

#[test]
fn stages_that_take_too_long_are_explained() {
    let mut talk = Talk::new(plan(), URL.to_owned());
    talk.timed_out(50);
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, false));
    let complaints = talk.take_complaints();
    assert!(
        complaints[0].contains("no answer to the handshake within 50 ms"),
        "{complaints:?}"
    );

    let (mut talk, _) = open(Plan {
        says: vec!["hi".to_owned()],
        reads_input: false,
        ..plan()
    });
    talk.timed_out(50);
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, false));
    let complaints = talk.take_complaints();
    assert!(
        complaints[0].contains("2 requests have no outcome within 50 ms"),
        "{complaints:?}"
    );
}

#[test]
fn what_is_too_large_is_not_awaited() {
    let (mut talk, _) = open(plan());
    hear(&mut talk, JOINED);
    talk.line("large");
    talk.too_large();
    talk.input_ended();
    assert_eq!((talk.stage(), talk.succeeded()), (Stage::Closing, false));
    assert!(talk.take_complaints()[0].contains("too large to be sent"));
}

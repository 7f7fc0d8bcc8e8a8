//! Requests and messages.

use super::*;

/// covers A4-09: nobody else's message passes for one of the session's own events; covers A4-10: what comes is typed.
#[test]
fn messages_have_a_namespace_of_their_own() {
    let mut world = World::welcome_to(quiet());
    let names = [
        "open",
        "close",
        "state",
        "message",
        "dropped",
        "Ended",
        "__proto__",
        "constructor",
    ];
    for name in names {
        world.say(&format!(r#"{{"type":"{name}"}}"#));
    }
    for text in [
        "null",
        "7",
        "\"open\"",
        "[1]",
        "no JSON",
        "{}",
        r#"{"type":7}"#,
    ] {
        world.say(text);
    }
    let told = world.told();
    assert_eq!(told.len(), 15);
    for event in &told {
        let Event::Message(message) = event else {
            panic!("{event:?}");
        };
        assert_eq!(message.told, Told::Other);
    }
    assert_eq!(world.session.state(), State::Open);
    world.bytes(b"\x82\x02\x01\x02");
    assert_eq!(world.told(), [Event::Binary(vec![1, 2])]);
}

#[test]
fn a_request_has_the_outcome_with_its_id() {
    let mut world = World::welcome_to(quiet());
    world.request(1, r#"{"type":"broadcast","data":1}"#);
    world.request(2, r#"{"type":"members","room":"tea","id":7}"#);
    let sent = world.sent();
    let (first, second) = (id_of(&sent[0]), id_of(&sent[1]));
    assert_ne!(first, second);
    // Not its own, though it looks like it, and not twice.
    for id in [
        "7",
        "\"7\"",
        "\"rw01\"",
        "\"rw\"",
        "\"rw999\"",
        "null",
        "[1]",
    ] {
        world.say(&format!(r#"{{"type":"ack","id":{id}}}"#));
    }
    assert_eq!(world.outcomes(), []);
    let members = format!(r#"{{"type":"members","id":{second},"room":"tea","members":[]}}"#);
    world.say(&members);
    world.say(&members);
    world.say(&format!(
        r#"{{"type":"error","id":{first},"code":"forbidden","message":"no"}}"#
    ));
    assert_eq!(
        world.outcomes(),
        [(2, members), (1, "forbidden".to_owned())]
    );
}

#[test]
fn replies_that_come_together_are_told_apart() {
    let mut world = World::welcome_to(quiet());
    for item in 1..=2 {
        world.request(item, "{}");
    }
    let ids: Vec<String> = world.sent().iter().map(|it| id_of(it)).collect();
    world.say(&format!(
        r#"{{"type":"batch","messages":[{{"type":"ack","id":{}}},{{"type":"pong","id":{},"timestamp":1}},{{"type":"x"}}]}}"#,
        ids[1], ids[0]
    ));
    let told = world.told();
    let done: Vec<u64> = outcomes(&told).iter().map(|(item, _)| *item).collect();
    assert_eq!(done, [2, 1]);
    assert!(matches!(&told[2], Event::Message(message) if message.text == r#"{"type":"x"}"#));
}

/// covers A4-17: an error tells its cause.
#[test]
fn an_error_that_answers_nothing_is_told_as_it_is() {
    let mut world = World::welcome_to(quiet());
    world.say(r#"{"type":"error","code":"rate_limited","message":"slowly","retryAfterMs":600}"#);
    let told = world.told();
    let [Event::Message(message)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        message.told,
        Told::Error {
            code: Some(crate::ErrorCode::RateLimited),
            message: "slowly".to_owned(),
            retry_after_ms: Some(600)
        }
    );
}

/// covers A4-17: a server that breaks a rule is told so, and that is the cause.
#[test]
fn a_violation_ends_the_connection() {
    let mut world = World::welcome_to(quiet());
    world.bytes(b"\x81\x81\x01\x02\x03\x04\x60");
    assert_eq!(world.sent(), ["close 1002 "]);
    let told = world.told();
    let cause = CloseCause::Violation(crate::websocket::DecodeError::MaskedFrame);
    assert_eq!(
        (closed(&told)[0].code, &closed(&told)[0].cause),
        (1006, &cause)
    );
    assert_eq!(world.session.state(), State::Waiting);
}

/// Whatever is in one read, what is behind an end is nobody's.
#[test]
fn nothing_is_told_behind_a_close_frame() {
    let mut world = World::welcome_to(quiet());
    world.bytes(b"\x81\x02{}\x88\x02\x03\xf4\x81\x02{}");
    let told = world.told();
    assert!(matches!(
        &told[..],
        [
            Event::Message(_),
            Event::State(State::Waiting),
            Event::Closed(_)
        ]
    ));
}

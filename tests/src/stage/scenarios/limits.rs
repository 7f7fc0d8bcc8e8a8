//! How often, and what comes of not listening. The settings are such that no quota fills up while a scenario lasts.

use super::{list, with};
use crate::frame::{Opcode, masked};
use crate::stage::Play;

list! {
    requests_have_a_quota: || with(|config| config.rate_limit.messages = 3),
    who_does_not_stop_is_closed: || with(|config| {
        config.rate_limit.messages = 1;
        config.rate_limit.refusals = 2;
        config.rate_limit.throttle_after = 2;
    }),
    refusals_of_any_kind_count: || with(|config| config.rate_limit.refusals = 3),
    bad_messages_are_counted: || with(|config| config.limits.max_bad_messages = 2),
    unknown_types_are_counted: || with(|config| config.limits.max_unknown_types = Some(1)),
    pings_have_a_quota: || with(|config| config.rate_limit.pings = 3),
    open_requests_are_counted: || with(|config| {
        config.application_types = vec!["dice".to_owned()];
        config.limits.max_pending_requests = 2;
    }),
    nothing_is_limited_where_that_is_off: || with(|config| {
        config.rate_limit.messages = 1;
        config.rate_limit.enabled = false;
    }),
}

const HELLO: &str = r#"{"type":"hello","id":1}"#;

fn requests_have_a_quota(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    for _ in 0..2 {
        play.say(ada, HELLO);
        play.hears(ada, "ack");
    }
    play.say(
        ada,
        r#"{"type":"room_message","room":"tea","data":1,"id":2}"#,
    );
    play.hears(ada, r#""id":2,"code":"rate_limited""#);
    play.hears(ada, r#""retryAfterMs":<wait>"#);
    play.hears_nothing(bob);
    // Pings have a quota of their own, and so has everybody else.
    play.say(ada, r#"{"type":"ping"}"#);
    play.hears(ada, "pong");
    play.say(bob, r#"{"type":"room_message","room":"tea","data":1}"#);
    play.hears(ada, "room_message");
}

fn who_does_not_stop_is_closed(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(bob, "tea");
    play.join(ada, "tea");
    for _ in 0..2 {
        play.say(ada, HELLO);
        play.hears(ada, "rate_limited");
    }
    play.say(ada, HELLO);
    play.hears(
        ada,
        r#"{"type":"closing","code":1008,"reason":"too many refused requests"}"#,
    );
    play.hears(ada, "Close(1008, ");
    play.hears(bob, r#""clientId":"<ada>","reason":"kicked""#);
    play.program_hears("<ada> closed: Abuse, 1008");
}

fn refusals_of_any_kind_count(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.join(ada, "");
    play.say(ada, r#"{"type":"leave","room":"tea"}"#);
    play.say(ada, r#"{"type":"private_message","to":"nobody","data":1}"#);
    play.hears(ada, "target_not_found");
    play.say(ada, HELLO);
    play.hears(ada, "ack");
    play.join(ada, "user:1");
    play.hears(ada, "Close(1008, ");
}

fn bad_messages_are_counted(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.say(ada, "hello");
    play.frame(ada, Opcode::Binary, b"hello");
    let three = masked(Opcode::Text, true, b"[]").repeat(3);
    play.bytes(ada, &three);
    play.hears(ada, r#""code":1008,"reason":"too many bad messages""#);
    play.hears(ada, "the end");
}

fn unknown_types_are_counted(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.say(ada, r#"{"type":"jion"}"#);
    play.hears(ada, "unknown_type");
    play.say(ada, r#"{"type":"jion"}"#);
    play.hears(ada, "Close(1008, ");
}

fn pings_have_a_quota(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    for _ in 0..3 {
        play.frame(ada, Opcode::Ping, b"x");
        play.hears(ada, "Pong");
        play.say(bob, r#"{"type":"ping"}"#);
        play.hears(bob, "pong");
    }
    play.frame(ada, Opcode::Ping, b"x");
    play.hears(ada, "Close(1008, ");
    play.say(bob, r#"{"type":"ping","id":4}"#);
    play.hears(bob, "rate_limited");
    play.hears(bob, "Close(1008, ");
}

fn open_requests_are_counted(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    for number in 1..=2 {
        play.say(ada, &format!(r#"{{"type":"dice","id":{number}}}"#));
        play.program_hears("<ada> asks for dice");
    }
    play.say(ada, r#"{"type":"dice","id":3}"#);
    play.hears(ada, r#""id":3,"code":"rate_limited""#);
    play.program_answers(roomwire_core::server::Outcome::Ack);
    play.hears(ada, r#"{"type":"ack","id":1}"#);
    play.say(ada, r#"{"type":"dice","id":4}"#);
    play.program_hears(r#""id":4"#);
}

fn nothing_is_limited_where_that_is_off(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.bytes(
        ada,
        &masked(Opcode::Text, true, HELLO.as_bytes()).repeat(200),
    );
    play.hears(ada, "ack");
}

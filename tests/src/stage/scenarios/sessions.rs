//! Sessions: clients that come back as who they were.

use roomwire_core::config::{RoomRule, Sessions};

use super::{list, with};
use crate::stage::Play;

list! {
    nobody_sees_a_client_come_back: || with(|config| config.sessions = long()),
    who_does_not_come_back_has_left: || with(|config| {
        config.sessions = Sessions { away_ms: 200, ..long() };
    }),
    a_session_has_one_connection: || with(|config| config.sessions = long()),
    what_is_sent_again_is_told_once: || with(|config| {
        config.sessions = long();
        config.rooms = vec![RoomRule {
            history_messages: 9,
            history_ms: super::LONG_MS,
            ..RoomRule::default()
        }];
    }),
}

/// Nobody is late.
fn long() -> Sessions {
    Sessions {
        window_ms: super::LONG_MS,
        away_ms: super::LONG_MS,
        ..Sessions::default()
    }
}

const RESUME: &str =
    r#"{"type":"resume","clientId":"<bob>","sessionSecret":"<secret of bob>","id":1}"#;

fn nobody_sees_a_client_come_back(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.say(bob, r#"{"type":"resume"}"#);
    play.hears(bob, r#""sessionSecret":"<secret>","resumed":false"#);
    play.say(bob, r#"{"type":"set_metadata","metadata":{"n":1}}"#);
    play.hears(bob, "metadata_updated");
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.hears(ada, "member_joined");
    play.reset(bob);
    let bert = play.connect("bert");
    play.say(bert, RESUME);
    play.hears(
        bert,
        r#"{"type":"session","id":1,"clientId":"<bob>","sessionSecret":"<secret>","resumed":true"#,
    );
    play.join(bert, "tea");
    play.hears(bert, r#""total":2"#);
    play.hears_nothing(ada);
    play.say(bert, r#"{"type":"room_message","room":"tea","data":2}"#);
    play.hears(ada, r#""from":"<bob>","data":2"#);
    let message = r#"{"type":"private_message","to":"<bob>","data":3,"id":1}"#;
    play.say(ada, message);
    play.hears(ada, "ack");
    play.hears(bert, r#""from":"<ada>","data":3"#);
    play.say(bert, r#"{"type":"set_metadata","metadata":{"m":2}}"#);
    play.hears(bert, r#""metadata":{"n":1,"m":2}"#);
    play.hears(ada, "member_updated");
    play.close(bert, 1000, "");
    play.hears(ada, r#""clientId":"<bob>","reason":"disconnected""#);
    let late = play.connect("late");
    play.say(late, RESUME);
    play.hears(late, r#"{"type":"error","id":1,"code":"stale_session""#);
}

fn what_is_sent_again_is_told_once(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.say(bob, r#"{"type":"resume"}"#);
    play.hears(bob, "session");
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.hears(ada, "member_joined");
    let message = r#"{"type":"room_message","room":"tea","data":1,"messageId":"m","key":"k","ttlMs":600000,"id":2}"#;
    play.say(bob, message);
    play.hears(bob, r#"{"type":"ack","id":2,"offset":1}"#);
    play.hears(ada, r#""data":1"#);
    play.say(
        ada,
        r#"{"type":"private_message","to":"<bob>","data":2,"messageId":"m","id":3}"#,
    );
    play.hears(ada, r#"{"type":"ack","id":3}"#);
    play.hears(bob, r#""data":2"#);
    play.reset(bob);
    let bert = play.connect("bert");
    play.say(bert, RESUME);
    play.hears(bert, r#""resumed":true"#);
    play.hears(bert, r#""data":2"#);
    play.join(bert, "tea");
    play.say(bert, message);
    play.hears(bert, r#"{"type":"ack","id":2,"offset":1,"duplicate":true}"#);
    play.say(
        ada,
        r#"{"type":"private_message","to":"<bob>","data":2,"messageId":"m","id":3}"#,
    );
    play.hears(ada, r#"{"type":"ack","id":3,"duplicate":true}"#);
    play.say(bert, r#"{"type":"ack","offset":1,"id":4}"#);
    play.hears(bert, r#"{"type":"ack","id":4}"#);
    play.say(
        bert,
        r#"{"type":"room_message","room":"tea","data":3,"key":"k","id":5}"#,
    );
    play.hears(bert, r#"{"type":"ack","id":5,"offset":2}"#);
    play.hears(ada, r#""data":3"#);
    play.say(ada, r#"{"type":"history","room":"tea","after":0,"id":6}"#);
    play.hears(ada, r#""leftOut":[{"from":1,"to":1}]"#);
    play.hears_nothing(bert);
}

fn who_does_not_come_back_has_left(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.say(bob, r#"{"type":"resume"}"#);
    play.hears(bob, "session");
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.hears(ada, "member_joined");
    play.reset(bob);
    play.pass(200);
    play.hears(ada, r#""clientId":"<bob>","reason":"disconnected""#);
    let bert = play.connect("bert");
    play.say(bert, RESUME);
    play.hears(bert, r#""resumed":true"#);
    play.join(bert, "tea");
    play.hears(
        ada,
        r#"{"type":"member_joined","room":"tea","clientId":"<bob>"}"#,
    );
}

fn a_session_has_one_connection(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.say(bob, r#"{"type":"resume"}"#);
    play.hears(bob, "session");
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.hears(ada, "member_joined");
    let bert = play.connect("bert");
    play.say(bert, RESUME);
    play.hears(bob, r#"{"type":"closing","code":4409,"#);
    play.hears(bob, "Close(4409, ");
    play.hears(bert, r#""resumed":true"#);
    play.finish(bob);
    play.join(bert, "tea");
    play.hears_nothing(ada);
    play.say(ada, r#"{"type":"room_message","room":"tea","data":1}"#);
    play.hears(bert, r#""data":1"#);
}

//! Metadata and typing.

use super::{list, usual, with};
use crate::stage::Play;

list! {
    metadata_is_told_to_those_who_share_a_room: usual,
    metadata_can_be_kept_from_a_room: || with(|config| {
        config.rooms = vec![roomwire_core::config::RoomRule {
            pattern: "quiet*".to_owned(),
            metadata_notices: false,
            ..Default::default()
        }];
    }),
    metadata_has_its_limits: || with(|config| {
        config.limits.max_metadata_keys = 2;
        config.limits.max_metadata_bytes = 60;
    }),
    typing_is_told_once: usual,
    typing_ends_with_the_membership: usual,
    typing_ends_by_itself: || with(|config| config.timeouts.typing_ms = 100),
}

fn metadata_is_told_to_those_who_share_a_room(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.join(eve, "milk");
    play.say(
        ada,
        r#"{"type":"set_metadata","metadata":{"name":"Ada","mood":{"deep": [1,2]}},"id":1}"#,
    );
    play.hears(
        ada,
        r#"{"type":"metadata_updated","id":1,"metadata":{"name":"Ada","mood":{"deep": [1,2]}}}"#,
    );
    play.hears(
        bob,
        r#"{"type":"member_updated","room":"tea","clientId":"<ada>","metadata""#,
    );
    play.hears_nothing(eve);
    play.say(
        ada,
        r#"{"type":"set_metadata","metadata":{"mood":null,"n":1e400}}"#,
    );
    play.hears(bob, r#""metadata":{"name":"Ada","n":1e400}}"#);
    play.say(
        ada,
        r#"{"type":"set_metadata","metadata":{"name":null,"n":null}}"#,
    );
    play.hears(bob, r#""metadata":{}}"#);
    for bad in ["7", "null", "[]", "\"name\""] {
        play.say(
            ada,
            &format!(r#"{{"type":"set_metadata","metadata":{bad},"id":2}}"#),
        );
        play.hears(ada, "bad_message");
        play.hears_nothing(bob);
    }
}

fn metadata_can_be_kept_from_a_room(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    play.join(ada, "quiet one");
    play.join(ada, "loud");
    play.join(bob, "quiet one");
    play.join(eve, "loud");
    play.say(ada, r#"{"type":"set_metadata","metadata":{"n":1}}"#);
    play.hears_nothing(bob);
    play.hears(eve, r#""room":"loud""#);
}

fn metadata_has_its_limits(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.say(ada, r#"{"type":"set_metadata","metadata":{"a":1,"b":2}}"#);
    play.hears(ada, "metadata_updated");
    play.say(
        ada,
        r#"{"type":"set_metadata","metadata":{"c":3},"id":"3"}"#,
    );
    play.hears(ada, "too_large");
    let long = "x".repeat(60);
    play.say(
        ada,
        &format!(r#"{{"type":"set_metadata","metadata":{{"a":"{long}"}}}}"#),
    );
    play.hears(ada, "too_large");
    play.say(
        ada,
        r#"{"type":"set_metadata","metadata":{"a":null,"c":3}}"#,
    );
    play.hears(ada, r#""metadata":{"b":2,"c":3}"#);
}

fn typing_is_told_once(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    for who in [ada, bob, eve] {
        play.join(who, "tea");
    }
    play.say(ada, r#"{"type":"typing_start","room":"tea","id":1}"#);
    play.hears(ada, r#"{"type":"ack","id":1}"#);
    play.hears(
        bob,
        r#"{"type":"user_typing","room":"tea","clientId":"<ada>"}"#,
    );
    play.say(ada, r#"{"type":"typing_start","room":"tea","id":2}"#);
    play.hears_nothing(bob);
    play.say(bob, r#"{"type":"typing_start","room":"tea","id":1}"#);
    play.hears(eve, "user_typing");
    play.say(ada, r#"{"type":"typing_stop","room":"tea","id":3}"#);
    play.hears(
        eve,
        r#"{"type":"user_stopped_typing","room":"tea","clientId":"<ada>"}"#,
    );
    play.say(ada, r#"{"type":"typing_stop","room":"tea","id":4}"#);
    play.hears(ada, "ack");
    play.hears_nothing(eve);
    play.say(bob, r#"{"type":"typing_stop","room":"tea","id":2}"#);
}

fn typing_ends_with_the_membership(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    for who in [ada, bob, eve] {
        play.join(who, "tea");
    }
    for who in [bob, eve] {
        play.say(who, r#"{"type":"typing_start","room":"tea","id":1}"#);
    }
    play.say(bob, r#"{"type":"leave","room":"tea"}"#);
    play.hears(ada, "user_stopped_typing");
    play.hears(ada, "member_left");
    play.reset(eve);
    play.hears(ada, "member_left");
}

fn typing_ends_by_itself(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.say(ada, r#"{"type":"typing_start","room":"tea"}"#);
    play.hears(bob, "user_typing");
    play.pass(100);
    play.hears(bob, "user_stopped_typing");
    play.hears_nothing(ada);
}

//! Rooms: joining and leaving, names, lists of members.

use super::{list, usual, with};
use crate::stage::Play;

list! {
    a_room_is_joined_and_left: usual,
    who_joins_again_is_told_again: usual,
    one_client_is_in_many_rooms: usual,
    names_of_rooms_are_checked: || with(|config| config.room_names.max_bytes = 8),
    other_characters_are_not_allowed: || with(|config| {
        config.room_names.allowed_punctuation = Some("-".to_owned());
    }),
    rooms_are_full: || with(|config| {
        config.limits.max_members_per_room = 2;
        config.limits.max_rooms_per_client = 2;
    }),
    who_is_no_member_may_nothing: usual,
    members_come_in_pages: usual,
    pages_carry_metadata: usual,
    a_room_that_was_empty_is_another: usual,
    an_empty_room_stays_for_a_while: || with(|config| {
        config.rooms = vec![roomwire_core::config::RoomRule {
            linger_ms: 60_000,
            ..Default::default()
        }];
    }),
    a_room_keeps_what_is_said: || with(|config| {
        config.rooms = vec![roomwire_core::config::RoomRule {
            pattern: "tea".to_owned(),
            history_messages: 2,
            ..Default::default()
        }];
    }),
    what_is_held_comes_a_moment_later: || with(|config| {
        config.rooms = vec![roomwire_core::config::RoomRule {
            flush_delay_ms: Some(20),
            ..Default::default()
        }];
    }),
    members_are_told_sums: || with(|config| {
        config.rooms = vec![roomwire_core::config::RoomRule {
            notice_members: 2,
            notice_interval_ms: 100,
            ..Default::default()
        }];
    }),
}

fn a_room_is_joined_and_left(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    play.hears(
        eve,
        r#"{"type":"welcome","clientId":"<eve>","timestamp":<now>"#,
    );
    play.program_hears("<eve> opened from 127.0.0.1");
    play.join(ada, "tea");
    play.hears(
        ada,
        r#"{"type":"joined_room","room":"tea","members":["<ada>"],"total":1}"#,
    );
    play.say(bob, r#"{"type":"join","room":"tea","id":1}"#);
    play.hears(
        bob,
        r#"{"type":"joined_room","id":1,"room":"tea","members":["<ada>","<bob>"],"total":2}"#,
    );
    play.hears(
        ada,
        r#"{"type":"member_joined","room":"tea","clientId":"<bob>"}"#,
    );
    play.hears_nothing(eve);
    play.join(eve, "tea");
    play.hears(eve, r#""total":3"#);
    play.say(bob, r#"{"type":"leave","room":"tea","id":"l"}"#);
    play.hears(bob, r#"{"type":"left_room","id":"l","room":"tea"}"#);
    play.hears(
        eve,
        r#"{"type":"member_left","room":"tea","clientId":"<bob>","reason":"left"}"#,
    );
    play.join(bob, "tea");
    play.hears(ada, "member_joined");
}

fn what_is_held_comes_a_moment_later(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "game");
    play.join(bob, "game");
    play.pass(50);
    play.hears(ada, "member_joined");
    for number in 1..=3 {
        let message = format!(r#"{{"type":"room_message","room":"game","data":{number}}}"#);
        play.say(ada, &message);
    }
    play.pass(50);
    for number in 1..=3 {
        play.hears(bob, &format!(r#""from":"<ada>","data":{number}"#));
    }
    play.hears_nothing(ada);
    play.say(bob, r#"{"type":"room_message","room":"game","data":4}"#);
    play.close(bob, 1000, "");
    play.pass(50);
    play.hears(ada, r#""from":"<bob>","data":4"#);
    play.hears(ada, "member_left");
}

fn who_joins_again_is_told_again(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.join(bob, "tea");
    play.hears(bob, r#""members":["<ada>","<bob>"],"total":2"#);
    play.hears_nothing(ada);
    play.say(bob, r#"{"type":"join","room":"\u0074ea"}"#);
    play.hears(bob, r#""room":"tea""#);
    play.hears_nothing(ada);
}

fn one_client_is_in_many_rooms(play: &mut Play<'_>) {
    let (ada, bob, eve) = (
        play.connect("ada"),
        play.connect("bob"),
        play.connect("eve"),
    );
    for room in ["tea", "milk", "sugar", "\u{2615}"] {
        play.join(ada, room);
    }
    play.join(bob, "tea");
    play.join(bob, "milk");
    play.join(eve, "\u{2615}");
    play.hears(ada, "member_joined");
    play.say(
        ada,
        r#"{"type":"room_message","room":"milk","data":1,"id":1}"#,
    );
    play.hears(bob, r#""room":"milk","from":"<ada>","data":1"#);
    play.hears_nothing(eve);
    play.say(
        eve,
        r#"{"type":"room_message","room":"☕","data":2,"id":1}"#,
    );
    play.hears(ada, r#""room":"☕","from":"<eve>","data":2"#);
    play.close(eve, 1000, "");
    play.hears(
        ada,
        r#"{"type":"member_left","room":"☕","clientId":"<eve>","reason":"disconnected"}"#,
    );
    // One notice for each room that is shared: over which thread the first comes is left open.
    play.say(bob, r#"{"type":"leave","room":"milk"}"#);
    play.reset(ada);
    play.hears(
        bob,
        r#""room":"tea","clientId":"<ada>","reason":"disconnected""#,
    );
}

fn names_of_rooms_are_checked(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.join(ada, "12345678");
    play.hears(ada, "joined_room");
    for room in ["", "123456789", "\\u0007", "ä123456ö"] {
        play.join(ada, room);
        play.hears(ada, "invalid_room");
    }
    play.join(ada, "user:ada");
    play.hears(ada, r#""code":"reserved""#);
    for room in ["7", "null", "{}", "[\"tea\"]", "\"\\ud800\""] {
        play.say(ada, &format!(r#"{{"type":"join","room":{room},"id":9}}"#));
        play.hears(ada, "bad_message");
    }
}

fn other_characters_are_not_allowed(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.join(ada, "A-1");
    play.hears(ada, "joined_room");
    play.join(ada, "a_1");
    play.hears(ada, "invalid_room");
}

fn rooms_are_full(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.join(eve, "tea");
    play.hears(eve, r#""code":"room_full""#);
    play.hears_nothing(ada);
    play.join(ada, "milk");
    play.join(ada, "sugar");
    play.hears(ada, r#""code":"too_many_rooms""#);
    play.join(ada, "milk");
    play.hears(ada, "joined_room");
    // Who leaves makes room, for others and for another room.
    play.say(ada, r#"{"type":"leave","room":"tea"}"#);
    play.hears(bob, "member_left");
    play.join(eve, "tea");
    play.hears(bob, "member_joined");
    play.join(ada, "sugar");
    play.hears(ada, "joined_room");
}

fn who_is_no_member_may_nothing(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(bob, "tea");
    for (room, code) in [("tea", "not_member"), ("milk", "no_such_room")] {
        for request in ["leave", "members", "typing_start", "typing_stop"] {
            play.say(
                ada,
                &format!(r#"{{"type":"{request}","room":"{room}","id":"{request}"}}"#),
            );
            play.hears(ada, code);
        }
        play.say(
            ada,
            &format!(r#"{{"type":"room_message","room":"{room}","data":1}}"#),
        );
        play.hears(ada, code);
        play.hears_nothing(bob);
    }
}

fn members_come_in_pages(play: &mut Play<'_>) {
    let names = ["ada", "bob", "eve", "ian", "zoe"];
    let all = names.map(|name| play.connect(name));
    let [ada, bob, ..] = play.sort(all);
    for who in [ada, bob] {
        play.join(who, "tea");
    }
    play.hears(bob, r#""members":["<ada>","<bob>"],"total":2"#);
    play.join(all[4], "tea");
    play.join(all[2], "milk");
    let page = |after: &str| format!(r#"{{"type":"members","room":"tea"{after},"id":1}}"#);
    play.say(ada, &page(""));
    play.hears(
        ada,
        r#""members":["<ada>","<bob>","<zoe>"],"total":3,"more":false"#,
    );
    play.join(all[3], "tea");
    play.say(bob, &page(r#","limit":3"#));
    play.hears(
        bob,
        r#""members":["<ada>","<bob>","<ian>"],"total":4,"more":true"#,
    );
    play.say(bob, &page(r#","after":"<ian>""#));
    play.hears(bob, r#""members":["<zoe>"],"total":4,"more":false"#);
    play.say(bob, &page(r#","after":"<bob>","limit":1"#));
    play.hears(bob, r#""members":["<ian>"],"total":4,"more":true"#);
    play.say(bob, &page(r#","after":"client_zzzzzzzzzzzzzzzzzzzzzzzz""#));
    play.hears(bob, r#""members":[],"total":4,"more":false"#);
    for bad in [
        r#","limit":0"#,
        r#","limit":1.5"#,
        r#","limit":"1""#,
        r#","after":7"#,
    ] {
        play.say(bob, &page(bad));
    }
    play.hears(bob, "bad_message");
}

fn pages_carry_metadata(play: &mut Play<'_>) {
    let all = ["ada", "bob"].map(|name| play.connect(name));
    let [ada, bob] = play.sort(all);
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.say(
        ada,
        r#"{"type":"set_metadata","metadata":{"name": "Ada","n":1.50}}"#,
    );
    play.hears(bob, "member_updated");
    play.say(bob, r#"{"type":"members","room":"tea","metadata":true}"#);
    play.hears(bob, r#""metadata":{"<ada>":{"name":"Ada","n":1.50}"#);
    play.say(
        bob,
        r#"{"type":"members","room":"tea","metadata":true,"after":"<ada>"}"#,
    );
    play.hears(bob, r#""members":["<bob>"]"#);
}

fn a_room_that_was_empty_is_another(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    for round in 0..3 {
        play.join(ada, "tea");
        play.hears(ada, r#""members":["<ada>"],"total":1"#);
        play.say(
            ada,
            &format!(r#"{{"type":"leave","room":"tea","id":{round}}}"#),
        );
        play.hears(ada, "left_room");
        play.say(ada, r#"{"type":"room_message","room":"tea","data":1}"#);
        play.hears(ada, "no_such_room");
    }
}

fn an_empty_room_stays_for_a_while(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.say(ada, r#"{"type":"leave","room":"tea"}"#);
    play.hears(bob, "member_left");
    play.say(bob, r#"{"type":"leave","room":"tea","id":1}"#);
    play.say(bob, r#"{"type":"leave","room":"tea","id":2}"#);
    play.hears(bob, "not_member");
}

fn members_are_told_sums(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.hears(ada, "member_joined");
    play.join(eve, "tea");
    play.hears_nothing(ada);
    play.pass(200);
    for who in [ada, bob, eve] {
        play.hears(
            who,
            r#"{"type":"members_changed","room":"tea","joined":1,"left":0,"total":3}"#,
        );
    }
    play.close(ada, 1000, "");
    play.pass(200);
    play.hears(bob, r#""joined":0,"left":1,"total":2"#);
}

fn a_room_keeps_what_is_said(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.hears(ada, r#""total":1,"history":{"epoch":"<epoch>","last":0}"#);
    play.join(bob, "tea");
    for number in 1..=3 {
        let message = format!(r#"{{"type":"room_message","room":"tea","data":[{number}]}}"#);
        play.say(ada, &message);
        play.hears(bob, &format!(r#""timestamp":<now>,"offset":{number}"#));
    }
    play.say(bob, r#"{"type":"history","room":"tea","after":0,"id":7}"#);
    play.hears(
        bob,
        concat!(
            r#"{"type":"history","id":7,"room":"tea","epoch":"<epoch>","last":3,"messages":["#,
            r#"{"offset":2,"from":"<ada>","data":[2],"timestamp":<now>},"#,
            r#"{"offset":3,"from":"<ada>","data":[3],"timestamp":<now>}],"#,
            r#""more":false,"gap":{"from":1,"to":1}}"#,
        ),
    );
    play.say(bob, r#"{"type":"history","room":"tea","before":3}"#);
    play.hears(bob, r#""messages":[{"offset":2,"#);
    let other = r#"{"type":"history","room":"tea","epoch":"0123456789abcdef","after":3}"#;
    play.say(ada, other);
    play.hears(ada, r#""more":false,"reset":true"#);
    play.say(bob, r#"{"type":"leave","room":"tea"}"#);
    play.hears(bob, "left_room");
    play.hears(ada, "member_left");
    let message = r#"{"type":"room_message","room":"tea","data":4,"id":1}"#;
    play.say(ada, message);
    play.hears(ada, r#"{"type":"ack","id":1}"#);
    // Where there are several threads, an ack may come before the log has it; her next request comes after it.
    play.say(ada, r#"{"type":"history","room":"tea","after":4}"#);
    play.hears(ada, r#""last":4"#);
    play.say(bob, r#"{"type":"join","room":"tea","after":1}"#);
    play.hears(bob, r#""total":2,"history":{"epoch":"<epoch>","last":4}"#);
    play.hears(bob, r#""more":false,"gap":{"from":2,"to":2}}"#);
    let resumed = r#"{"type":"resumed","room":"tea","epoch":"<epoch>","last":4,"complete":false}"#;
    play.hears(bob, resumed);
    play.hears(ada, "member_joined");
    play.say(bob, r#"{"type":"join","room":"tea","after":4}"#);
    play.hears(bob, "joined_room");
    play.hears(bob, r#""last":4,"complete":true}"#);
    play.join(ada, "milk");
    play.say(ada, r#"{"type":"history","room":"milk"}"#);
    play.hears(ada, r#""code":"no_history""#);
}

//! What clients say to each other, and what the server takes for no message.

use roomwire_core::Config;
use roomwire_core::config::{ListenerConfig, Permission};

use super::{list, usual, with};
use crate::frame::{Opcode, masked};
use crate::stage::Play;

list! {
    pings_are_answered: usual,
    a_room_message_reaches_the_others: usual,
    data_is_carried_byte_for_byte: usual,
    long_messages_are_carried: usual,
    much_at_once_arrives_in_its_order: usual,
    what_waits_for_a_slow_reader_arrives_in_its_order: || with(|config| {
        config.limits.max_queued_bytes = 64 * 1024 * 1024;
    }),
    a_private_message_reaches_one: usual,
    strangers_are_kept_apart: || with(|config| config.private_messages_need_shared_room = true),
    a_broadcast_reaches_everybody_else: usual,
    broadcasts_are_forbidden: || with(|config| config.broadcast = Permission::Deny),
    a_greeting_has_its_limit: || with(|config| config.limits.max_user_bytes = 8),
    what_is_no_message_is_told: usual,
    depth_and_fields_are_limited: || with(|config| {
        config.limits.max_json_depth = 3;
        config.limits.max_json_fields = 8;
        config.limits.max_id_bytes = 6;
    }),
    an_id_comes_back_as_it_was_written: usual,
    requests_are_carried_out_in_their_order: usual,
    a_conversation_arrives_in_its_order: usual,
    messages_come_in_batches: || with(|config| config.limits.max_batch_messages = 5),
    replies_come_in_batches: usual,
    payloads_come_bare_where_that_is_wanted: two_listeners,
}

fn pings_are_answered(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.say(ada, r#"{"type":"ping"}"#);
    play.hears(ada, r#"{"type":"pong","timestamp":<now>}"#);
    play.say(
        ada,
        r#"{"type":"ping","timestamp":1700000000123.5,"id":"p"}"#,
    );
    play.hears(
        ada,
        r#""id":"p","timestamp":<now>,"clientTimestamp":1700000000123.5}"#,
    );
    for stamp in ["null", "\"now\"", "true", "{}", "[1]"] {
        play.say(ada, &format!(r#"{{"type":"ping","timestamp":{stamp}}}"#));
    }
}

fn a_room_message_reaches_the_others(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    for who in [ada, bob] {
        play.join(who, "tea");
    }
    play.say(
        ada,
        r#"{"type":"room_message","room":"tea","data":"hello","id":1}"#,
    );
    play.hears(ada, r#"{"type":"ack","id":1}"#);
    play.hears(
        bob,
        r#"{"type":"room_message","room":"tea","from":"<ada>","data":"hello","timestamp":<now>}"#,
    );
    play.hears_nothing(eve);
    play.say(
        bob,
        r#"{"type":"room_message","room":"tea","data":"hello","from":"<eve>"}"#,
    );
    play.hears(ada, r#""from":"<bob>""#);
    play.hears_nothing(bob);
    play.say(ada, r#"{"type":"room_message","room":"tea","id":2}"#);
    play.hears(ada, "bad_message");
    play.say(
        eve,
        r#"{"type":"room_message","room":"tea","data":1,"id":2}"#,
    );
    play.hears(eve, "not_member");
    play.hears_nothing(bob);
}

fn data_is_carried_byte_for_byte(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    for data in [
        r#"{ "n": 123456789012345678901.50, "s":"\u00e9<b>" }"#,
        r#"{"a":1,"a":2}"#,
        "[ ]",
        "-0.0e-0",
        "null",
        r#""\ud800""#,
        "\"\u{1F375} tea\"",
        "{\"a\" :\n\t1}",
    ] {
        let rest = format!(r#""data":{data}"#);
        play.say(
            ada,
            &format!(r#"{{"type":"room_message","room":"tea",{rest}}}"#),
        );
        play.hears(bob, &rest);
        play.say(
            bob,
            &format!(r#"{{"type":"private_message","to":"<ada>",{rest}}}"#),
        );
        play.hears(ada, &rest);
        play.say(ada, &format!(r#"{{"type":"broadcast",{rest}}}"#));
        play.hears(bob, &rest);
    }
}

fn long_messages_are_carried(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    for who in [ada, bob, eve] {
        play.join(who, "tea");
    }
    // More than a buffer, a record of TLS and a socket take.
    for length in [125, 126, 16 * 1024, 65_535, 65_536, 1_000_000] {
        let data = "0123456789".repeat(length / 10 + 1);
        let data = &data[..length];
        play.say(
            ada,
            &format!(r#"{{"type":"room_message","room":"tea","data":"{data}"}}"#),
        );
        play.hears(bob, data);
        play.hears(eve, data);
    }
}

/// More than sockets and threads take at a time: it waits in queues, and is written piece by piece.
fn much_at_once_arrives_in_its_order(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    for who in [ada, bob, eve] {
        play.join(who, "tea");
    }
    let much = |head: &str| {
        let mut frames = Vec::new();
        for digit in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] {
            let text = format!(r#"{{{head},"data":"{}"}}"#, digit.repeat(120_000));
            frames.extend(masked(Opcode::Text, true, text.as_bytes()));
        }
        frames
    };
    play.bytes(ada, &much(r#""type":"room_message","room":"tea""#));
    play.hears(bob, "8888");
    play.hears(eve, "9999");
    let head = play.fill(r#""type":"private_message","to":"<eve>""#);
    play.bytes(bob, &much(&head));
    play.hears(eve, "9999");
    play.hears_nothing(ada);
}

/// More than its socket holds: it waits in the server, and goes out in writes that take some of it.
fn what_waits_for_a_slow_reader_arrives_in_its_order(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.stall(bob);
    for digit in ["0", "1", "2", "3", "4", "5"] {
        let data = digit.repeat(1_000_000);
        let text = format!(r#"{{"type":"room_message","room":"tea","data":"{data}","id":1}}"#);
        play.bytes(ada, &masked(Opcode::Text, true, text.as_bytes()));
        play.hears(ada, "ack");
        play.hears_nothing(bob);
    }
    for number in 0..20 {
        play.say(
            ada,
            &format!(r#"{{"type":"room_message","room":"tea","data":{number},"id":2}}"#),
        );
        play.say(
            ada,
            &format!(r#"{{"type":"typing_start","room":"tea","id":{number}}}"#),
        );
        play.say(
            ada,
            &format!(r#"{{"type":"typing_stop","room":"tea","id":{number}}}"#),
        );
    }
    play.hears_nothing(bob);
    play.release(bob);
    play.hears(bob, "5555");
    play.hears(bob, r#""data":19,"#);
}

fn a_private_message_reaches_one(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    play.say(
        ada,
        r#"{"type":"private_message","to":"<bob>","data":{"text":"psst"},"id":"m1"}"#,
    );
    play.hears(ada, r#"{"type":"ack","id":"m1"}"#);
    play.hears(
        bob,
        r#"{"type":"private_message","from":"<ada>","data":{"text":"psst"},"timestamp":<now>}"#,
    );
    play.hears_nothing(eve);
    play.say(
        ada,
        r#"{"type":"private_message","to":"<ada>","data":1,"id":"m2"}"#,
    );
    play.hears(ada, "private_message");
    for nobody in ["nobody", "client_AAAAAAAAAAAAAAAAAAAAAAAA", ""] {
        play.say(
            ada,
            &format!(r#"{{"type":"private_message","to":"{nobody}","data":1,"id":1}}"#),
        );
        play.hears(ada, "target_not_found");
    }
    play.close(bob, 1000, "");
    play.program_hears("<bob> closed");
    play.say(
        ada,
        r#"{"type":"private_message","to":"<bob>","data":1,"id":1}"#,
    );
    play.hears(ada, "target_not_found");
    play.say(ada, r#"{"type":"private_message","to":7,"data":1,"id":1}"#);
    play.hears(ada, "bad_message");
}

fn strangers_are_kept_apart(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    let psst = r#"{"type":"private_message","to":"<bob>","data":1,"id":1}"#;
    play.say(ada, psst);
    play.hears(ada, "target_not_found");
    play.hears_nothing(bob);
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.say(ada, psst);
    play.hears(bob, "private_message");
    play.say(bob, r#"{"type":"leave","room":"tea"}"#);
    play.say(ada, psst);
    play.hears(ada, "target_not_found");
}

fn a_broadcast_reaches_everybody_else(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    play.say(bob, r#"{"type":"broadcast","data":[1,2, 3]}"#);
    for who in [ada, eve] {
        play.hears(
            who,
            r#"{"type":"broadcast","from":"<bob>","data":[1,2, 3],"timestamp":<now>}"#,
        );
    }
    play.hears_nothing(bob);
    play.say(eve, r#"{"type":"broadcast","data":0,"id":4}"#);
    play.hears(eve, r#"{"type":"ack","id":4}"#);
}

fn broadcasts_are_forbidden(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.say(ada, r#"{"type":"broadcast","data":1}"#);
    play.hears(ada, "forbidden");
    play.hears_nothing(bob);
}

fn a_greeting_has_its_limit(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.say(ada, r#"{"type":"hello","user":"123456","id":1}"#);
    play.hears(ada, r#"{"type":"ack","id":1}"#);
    play.say(ada, r#"{"type":"hello","user":"1234567"}"#);
    play.hears(ada, "too_large");
    play.say(ada, r#"{"type":"hello","id":2}"#);
    play.hears(ada, r#"{"type":"ack","id":2}"#);
}

fn what_is_no_message_is_told(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    for text in [
        "hello",
        "",
        "{",
        "{\"type\":\"ping\"",
        "{\"a\":01}",
        "\u{feff}{}",
        "{} {}",
    ] {
        play.say(ada, text);
        play.hears(
            ada,
            r#"{"type":"error","code":"bad_json","message":"Invalid message format"}"#,
        );
    }
    for text in [
        "[1,2]",
        "7",
        "null",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":null,"id":1}"#,
    ] {
        play.say(ada, text);
        play.hears(ada, r#""code":"bad_message""#);
    }
    play.frame(ada, Opcode::Binary, &[1, 2, 3]);
    play.hears(ada, r#""code":"bad_message""#);
    play.say(ada, r#"{"type":"jion","room":"tea","id":6}"#);
    play.hears(ada, r#"{"type":"error","id":6,"code":"unknown_type""#);
    play.say(ada, r#"{"type":"welcome","id":7}"#);
    play.hears(ada, r#""id":7,"code":"#);
    play.say(
        ada,
        r#"{"colour":"blue","type":"pong","type":"ping","id":8}"#,
    );
    play.hears(ada, r#"{"type":"pong","id":8"#);
}

fn depth_and_fields_are_limited(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.join(ada, "tea");
    for (data, wrong) in [("[[]]", false), ("[[[]]]", true), ("{\"a\":{}}", false)] {
        play.say(
            ada,
            &format!(r#"{{"type":"room_message","room":"tea","data":{data},"id":1}}"#),
        );
        play.hears(ada, if wrong { "bad_message" } else { "ack" });
    }
    for (rest, wrong) in [(r#""a":1"#, false), (r#""a":1,"b":2"#, true)] {
        let some = r#""c":3,"d":4,"e":5,"f":6,"g":7,"id":1"#;
        play.say(ada, &format!(r#"{{"type":"hello",{some},{rest}}}"#));
        play.hears(ada, if wrong { "bad_message" } else { "ack" });
    }
    for (id, wrong) in [
        ("\"1234\"", false),
        ("\"12345\"", true),
        ("123456", false),
        ("1234567", true),
    ] {
        play.say(ada, &format!(r#"{{"type":"hello","id":{id}}}"#));
        play.hears(ada, if wrong { "bad_message" } else { "ack" });
    }
}

fn an_id_comes_back_as_it_was_written(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    for id in [
        r#""\u0031""#,
        "1.50",
        "-0",
        "123456789012345678901",
        "\"\"",
        "\"\u{e9}\"",
    ] {
        play.say(ada, &format!(r#"{{"type":"hello","id":{id}}}"#));
        play.hears(ada, &format!(r#"{{"type":"ack","id":{id}}}"#));
    }
    for id in ["{}", "[]", "true"] {
        play.say(ada, &format!(r#"{{"type":"hello","id":{id}}}"#));
        play.hears(ada, "bad_message");
    }
}

fn requests_are_carried_out_in_their_order(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(bob, "tea");
    let requests = [
        r#"{"type":"hello","id":1}"#,
        r#"{"type":"join","room":"tea","id":2}"#,
        r#"{"type":"room_message","room":"tea","data":"first","id":3}"#,
        r#"{"type":"ping","id":4}"#,
        "no JSON",
        r#"{"type":"room_message","room":"tea","data":"second","id":5}"#,
        r#"{"type":"members","room":"milk","id":6}"#,
        r#"{"type":"leave","room":"tea","id":7}"#,
        r#"{"type":"leave","room":"tea","id":8}"#,
    ];
    let frames = requests.map(|text| masked(Opcode::Text, true, text.as_bytes()));
    play.bytes(ada, &frames.concat());
    play.hears(ada, r#""id":8,"code":"not_member""#);
    play.hears(bob, "member_left");
}

// covers A7-03
fn messages_come_in_batches(play: &mut Play<'_>) {
    let [ada, bob] = ["ada", "bob"].map(|name| play.connect(name));
    play.join(bob, "tea");
    // One that has to be asked of another thread in front of what follows from it.
    play.say(
        ada,
        r#"{"type":"batch","messages":[
            {"type":"join","room":"tea","id":1},
            {"type":"room_message","room":"tea","data":"hello","id":2},
            {"type":"batch","messages":[{"type":"ping"}],"id":3},
            {"type":"members","room":"milk","id":4},
            {"type":"room_message","room":"tea","data":"again"}],"id":5}"#,
    );
    for (what, id) in [
        ("joined_room", 1),
        ("ack", 2),
        ("bad_message", 3),
        ("no_such_room", 4),
    ] {
        play.hears(ada, &format!(r#""id":{id}"#));
        play.hears(ada, what);
    }
    play.hears(ada, r#"{"type":"ack","id":5}"#);
    play.hears(bob, r#""data":"hello""#);
    play.hears(bob, r#""data":"again""#);
    play.say(ada, r#"{"type":"batch","messages":[1,2,3,4,5,6],"id":6}"#);
    play.hears(ada, "too_large");
}

// covers A2-11
fn replies_come_in_batches(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.say(ada, r#"{"type":"hello","batch":true}"#);
    play.say(
        ada,
        r#"{"type":"batch","messages":[{"type":"ping","id":1},{"type":"hello","id":2},{"id":3}]}"#,
    );
    play.hears(ada, r#"{"type":"batch","messages":[{"type":"pong","id":1,"#);
    play.say(
        ada,
        r#"{"type":"batch","messages":[{"type":"ping","id":4}]}"#,
    );
    play.hears(ada, r#"{"type":"pong","id":4,"timestamp":<now>}"#);
}

fn a_conversation_arrives_in_its_order(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    for who in [ada, bob, eve] {
        play.join(who, "tea");
    }
    let mut frames = Vec::new();
    for number in 0..80 {
        let text = format!(r#"{{"type":"room_message","room":"tea","data":{number}}}"#);
        frames.extend(masked(Opcode::Text, true, text.as_bytes()));
    }
    play.bytes(ada, &frames);
    play.hears(eve, r#""data":79"#);
    // However it is cut.
    for bytes in frames.chunks(7).take(200) {
        play.bytes(bob, bytes);
    }
}

fn two_listeners() -> Config {
    with(|config| {
        let bare = ListenerConfig {
            raw_payloads: true,
            ..ListenerConfig::default()
        };
        config.listeners = vec![ListenerConfig::default(), bare];
    })
}

fn payloads_come_bare_where_that_is_wanted(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    let bare = play.connect_at("bare", 1, "/ws", "");
    let other = play.connect_at("other", 1, "/", "");
    play.program_hears("<other> opened from 127.0.0.1 at ListenerId(1)");
    for who in [ada, bare, other] {
        play.join(who, "tea");
    }
    play.say(
        ada,
        r#"{"type":"room_message","room":"tea","data":{"type":"chat", "text":"hi"}}"#,
    );
    play.hears(bare, r#"{"type":"chat", "text":"hi"}"#);
    play.say(bare, r#"{"type":"broadcast","data": 1.50 ,"id":1}"#);
    play.hears(other, "1.50");
    play.hears(ada, r#""from":"<bare>""#);
    play.say(ada, r#"{"type":"broadcast","data":{"type":"welcome"}}"#);
    play.hears(ada, r#""code":"reserved""#);
    play.say(
        other,
        r#"{"type":"private_message","to":"<bare>","data":{"type":"chat"}}"#,
    );
    play.hears(bare, r#"{"type":"private_message","from":"<other>""#);
}

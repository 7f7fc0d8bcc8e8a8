//! Ends: of connections that are lost, too slow or silent, and of the server.

use roomwire_core::config::Heartbeat;

use super::{list, usual, with};
use crate::frame::{Opcode, masked};
use crate::stage::Play;

list! {
    a_client_that_is_lost_leaves_its_room: usual,
    a_client_that_finishes_is_heard_to_the_end: usual,
    a_client_goes_before_it_is_welcomed: || with(|config| config.timeouts.welcome_delay_ms = 10_000),
    a_welcome_is_held_back: || with(|config| config.timeouts.welcome_delay_ms = 50),
    a_client_that_speaks_is_welcomed_at_once: || with(|config| {
        config.timeouts.welcome_delay_ms = 10_000;
    }),
    a_request_has_its_time: || with(|config| config.timeouts.handshake_ms = 1_000),
    a_connection_is_not_kept_for_ever: || with(|config| config.timeouts.keep_alive_ms = 100),
    a_message_has_its_time: || with(|config| config.timeouts.message_ms = 200),
    a_silent_client_is_given_up: || with(|config| {
        config.heartbeat = Heartbeat { interval_ms: 1_000, timeout_ms: 1_000 };
    }),
    the_server_says_goodbye_to_everybody: usual,
    the_server_leaves_with_whatever_is_open: usual,
    the_server_leaves_for_another_reason: || with(|config| config.drain.code = 1001),
}

fn a_client_that_is_lost_leaves_its_room(play: &mut Play<'_>) {
    let [ada, bob, eve, zoe] = ["ada", "bob", "eve", "zoe"].map(|name| play.connect(name));
    for who in [ada, bob, eve, zoe] {
        play.join(who, "tea");
    }
    let gone = |name: &str| {
        format!(
            r#"{{"type":"member_left","room":"tea","clientId":"<{name}>","reason":"disconnected"}}"#
        )
    };
    // In the middle of a frame.
    play.bytes(
        bob,
        &masked(Opcode::Text, true, br#"{"type":"broadcast","data":1}"#)[..20],
    );
    play.reset(bob);
    play.hears(ada, &gone("bob"));
    play.hears(eve, &gone("bob"));
    play.bytes(
        eve,
        &masked(Opcode::Text, false, br#"{"type":"broadcast","#),
    );
    play.finish(eve);
    play.hears(eve, "the end");
    play.hears(ada, &gone("eve"));
    play.close(zoe, 1000, "");
    play.hears(ada, &gone("zoe"));
}

fn a_client_that_finishes_is_heard_to_the_end(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.say(
        bob,
        r#"{"type":"room_message","room":"tea","data":"last words"}"#,
    );
    play.finish(bob);
    play.hears(ada, "member_left");
    play.hears(bob, "the end");
}

fn a_client_goes_before_it_is_welcomed(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.hears(ada, "101 Switching Protocols");
    let bob = play.connect("bob");
    play.reset(bob);
    play.finish(ada);
    play.hears(ada, "the end");
    // Nobody had been there.
    let eve = play.connect("eve");
    play.say(eve, r#"{"type":"broadcast","data":1,"id":1}"#);
    play.hears(eve, "ack");
}

fn a_welcome_is_held_back(play: &mut Play<'_>) {
    // Where time passes by itself, a welcome may come along with the answer: both are one step then.
    let ada = play.open("ada", 0);
    play.upgrade_and_pass(ada, 50);
    play.hears(ada, "101 Switching Protocols");
    play.hears(ada, "welcome");
}

fn a_client_that_speaks_is_welcomed_at_once(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.hears(bob, "101 Switching Protocols");
    play.say(ada, r#"{"type":"ping","id":1}"#);
    play.hears(ada, "welcome");
    play.hears(ada, "pong");
    play.frame(bob, Opcode::Ping, b"x");
    play.hears(bob, "welcome");
    play.say(ada, r#"{"type":"broadcast","data":1}"#);
    play.hears(bob, "broadcast");
}

fn a_request_has_its_time(play: &mut Play<'_>) {
    let slow = play.open("slow", 0);
    play.bytes(slow, b"GET /health HTTP/1.1\r\nHo");
    play.pass(1_000);
    play.hears(slow, "408 Request Timeout");
    play.hears(slow, "the end");
}

fn a_connection_is_not_kept_for_ever(play: &mut Play<'_>) {
    let web = play.open("web", 0);
    play.ask(web, "GET /health", "Connection: close\r\n");
    play.hears(web, "the end");
    let idle = play.open("idle", 0);
    play.ask_and_pass(idle, "GET /health", 100);
    play.hears(idle, "200 OK");
    play.hears(idle, "the end");
}

fn a_message_has_its_time(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.bytes(bob, &masked(Opcode::Text, false, b"{"));
    play.pass(200);
    play.hears(bob, "Close(1008, ");
    play.hears(ada, "member_left");
}

fn a_silent_client_is_given_up(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.mute(bob);
    play.pass(2_000);
    play.hears(bob, r#"Close(1001, "no sign of life")"#);
    play.hears(ada, r#""clientId":"<bob>","reason":"timeout""#);
    play.program_hears("<bob> closed: Timeout, 1001");
}

fn the_server_says_goodbye_to_everybody(play: &mut Play<'_>) {
    let all = ["ada", "bob", "eve"].map(|name| play.connect(name));
    for who in all {
        play.join(who, "tea");
    }
    play.drain();
    for who in all {
        play.hears(who, r#"{"type":"closing","code":1012,"reason":"server is restarting","reconnectAfterMs":700}"#);
        play.hears(who, r#"Close(1012, "server is restarting")"#);
        play.hears(who, "the end");
    }
    play.program_hears("<ada> closed: Drain, 1012");
    play.program_hears("Drained");
    play.program_hears("the server has ended");
}

fn the_server_leaves_with_whatever_is_open(play: &mut Play<'_>) {
    // Each has been answered: what has only arrived may also be cut off unread.
    let web = play.open("web", 0);
    play.ask(web, "GET /health", "");
    let half = play.open("half", 0);
    play.ask(half, "GET /health", "Content-Length: 5\r\n");
    let ada = play.connect("ada");
    play.bytes(ada, &masked(Opcode::Text, false, b"{"));
    play.drain();
    play.hears(ada, "Close(1012, ");
    play.hears(web, "the end");
    play.hears(half, "the end");
    play.program_hears("Drained");
}

fn the_server_leaves_for_another_reason(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.drain();
    play.hears(ada, r#""code":1001"#);
    play.hears(ada, "Close(1001, ");
}

//! WebSocket itself: parts, control frames, broken frames, close frames. RFC 6455.

use roomwire_core::Config;
use roomwire_core::config::ListenerConfig;

use super::{list, usual, with};
use crate::frame::{Opcode, masked};
use crate::stage::{Play, Who};

list! {
    a_message_may_come_in_parts: usual,
    a_frame_may_come_byte_by_byte: usual,
    frames_may_come_with_the_upgrade: usual,
    pings_of_websocket_are_answered: usual,
    broken_frames_end_the_connection: usual,
    broken_messages_end_the_connection: usual,
    text_that_is_not_utf8_ends_the_connection: usual,
    a_message_that_is_too_large_ends_the_connection: || with(|config| {
        config.limits.max_message_bytes = 1_000;
    }),
    a_close_frame_is_answered: usual,
    nothing_follows_a_close_frame: usual,
    an_echo_sends_everything_back: echo,
}

fn a_message_may_come_in_parts(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.bytes(ada, &masked(Opcode::Text, false, br#"{"type":"room_mess"#));
    play.frame(ada, Opcode::Ping, b"between");
    play.hears(ada, "Pong");
    play.bytes(
        ada,
        &masked(Opcode::Continuation, false, br#"age","room":"tea","#),
    );
    play.bytes(ada, &masked(Opcode::Continuation, false, b""));
    play.frame(ada, Opcode::Pong, b"");
    play.bytes(
        ada,
        &masked(
            Opcode::Continuation,
            true,
            "\"data\":\"\u{e9}\"}".as_bytes(),
        ),
    );
    play.hears(bob, "\"data\":\"\u{e9}\"");
    // The parts of a character are parts, too.
    play.bytes(
        ada,
        &masked(
            Opcode::Text,
            false,
            b"{\"type\":\"broadcast\",\"data\":\"\xF0\x9F",
        ),
    );
    play.bytes(ada, &masked(Opcode::Continuation, true, b"\x8D\xB5\"}"));
    play.hears(bob, "\u{1F375}");
}

fn a_frame_may_come_byte_by_byte(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    let mut bytes = masked(Opcode::Text, false, br#"{"type":"#);
    bytes.extend(masked(Opcode::Ping, true, b"ping"));
    bytes.extend(masked(Opcode::Continuation, true, br#""ping","id":1}"#));
    for byte in bytes {
        play.bytes(ada, &[byte]);
    }
    play.hears(ada, r#"{"type":"pong","id":1"#);
}

fn frames_may_come_with_the_upgrade(play: &mut Play<'_>) {
    let ada = play.open("ada", 0);
    let mut bytes = crate::stage::play::upgrade("/ws", "");
    bytes.extend(masked(
        Opcode::Text,
        true,
        br#"{"type":"join","room":"tea"}"#,
    ));
    bytes.extend(masked(Opcode::Ping, true, b"x"));
    bytes.extend(masked(Opcode::Text, true, br#"{"type":"ping","id":1}"#));
    play.ask_at_once(ada, &bytes, 1);
    play.hears(ada, "101 Switching Protocols");
    play.hears(ada, "welcome");
    play.hears(ada, r#"{"type":"pong","id":1"#);
}

fn pings_of_websocket_are_answered(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    for length in [0, 1, 125] {
        play.frame(ada, Opcode::Ping, &vec![b'x'; length]);
        play.hears(ada, "Pong");
    }
    let three = [b"a", b"b", b"c"].map(|payload| masked(Opcode::Ping, true, payload));
    play.bytes(ada, &three.concat());
}

/// Several clients, one after the other, each of which does something wrong; somebody in the same room sees each go.
fn each_is_closed(play: &mut Play<'_>, wrongs: &[(&str, Vec<u8>)], code: u16) {
    let witness = play.connect("witness");
    play.join(witness, "tea");
    for (name, bytes) in wrongs {
        let who = play.connect(name);
        play.join(who, "tea");
        play.bytes(who, bytes);
        closed(play, who, code);
        play.hears(witness, "\"member_left\"");
    }
}

fn closed(play: &Play<'_>, who: Who, code: u16) {
    play.hears(who, &format!("Close({code}, "));
    play.hears(who, "the end");
}

fn header(first: u8, length: u64) -> Vec<u8> {
    let mut frame = vec![first, 0xFF];
    frame.extend(length.to_be_bytes());
    frame.extend([1, 2, 3, 4]);
    frame
}

fn broken_frames_end_the_connection(play: &mut Play<'_>) {
    let wrongs = [
        ("not masked", vec![0x81, 0x02, b'h', b'i']),
        ("rsv1", vec![0xC1, 0x80, 0, 0, 0, 0]),
        ("rsv2", vec![0xA1, 0x80, 0, 0, 0, 0]),
        ("rsv3", vec![0x91, 0x80, 0, 0, 0, 0]),
        ("opcode 3", vec![0x83, 0x80, 0, 0, 0, 0]),
        ("opcode 11", vec![0x8B, 0x80, 0, 0, 0, 0]),
        ("a ping in parts", masked(Opcode::Ping, false, b"x")),
        ("a long ping", masked(Opcode::Ping, true, &[0; 126])),
        ("length 2^63", header(0x82, 1 << 63)),
    ];
    each_is_closed(play, &wrongs, 1002);
}

fn broken_messages_end_the_connection(play: &mut Play<'_>) {
    let mut two = masked(Opcode::Text, false, b"x");
    two.extend(masked(Opcode::Text, true, b"x"));
    let wrongs = [
        ("no beginning", masked(Opcode::Continuation, true, b"x")),
        ("a message in a message", two),
        ("half a close code", masked(Opcode::Close, true, &[3])),
        (
            "code 1005",
            masked(Opcode::Close, true, &1005_u16.to_be_bytes()),
        ),
        (
            "code 1006",
            masked(Opcode::Close, true, &1006_u16.to_be_bytes()),
        ),
        (
            "code 999",
            masked(Opcode::Close, true, &999_u16.to_be_bytes()),
        ),
    ];
    each_is_closed(play, &wrongs, 1002);
}

fn text_that_is_not_utf8_ends_the_connection(play: &mut Play<'_>) {
    let mut cut = masked(Opcode::Text, false, b"\xE2\x82");
    cut.extend(masked(Opcode::Continuation, true, b"x"));
    let wrongs = [
        ("a bad byte", masked(Opcode::Text, true, b"\xFF")),
        ("overlong", masked(Opcode::Text, true, b"ok \xC0\xAF")),
        ("a surrogate", masked(Opcode::Text, false, b"\xED\xA0\x80")),
        (
            "a character cut off",
            masked(Opcode::Text, true, b"\xE2\x82"),
        ),
        ("a character torn", cut),
        ("a reason", masked(Opcode::Close, true, b"\x03\xE8\xFF")),
    ];
    each_is_closed(play, &wrongs, 1007);
}

fn a_message_that_is_too_large_ends_the_connection(play: &mut Play<'_>) {
    let mut parts = masked(Opcode::Text, false, &[b'x'; 999]);
    parts.extend(masked(Opcode::Continuation, true, b"xx"));
    let wrongs = [
        ("a frame", masked(Opcode::Text, true, &[b'x'; 1_001])),
        ("parts", parts),
        ("a promise", header(0x82, 1 << 40)),
    ];
    each_is_closed(play, &wrongs, 1009);
    let ada = play.connect("ada");
    play.frame(ada, Opcode::Text, &[b'x'; 1_000]);
    play.hears(ada, "bad_json");
}

fn a_close_frame_is_answered(play: &mut Play<'_>) {
    let witness = play.connect("witness");
    play.join(witness, "tea");
    for code in [1000, 1001, 1011, 3000, 4000, 4999] {
        let who = play.connect(&format!("client {code}"));
        play.join(who, "tea");
        play.close(who, code, "bye");
        closed(play, who, code);
        play.hears(witness, r#""reason":"disconnected""#);
        play.program_hears(&format!("closed: Client, {code}, after 1 messages"));
    }
    let who = play.connect("client without a code");
    play.frame(who, Opcode::Close, b"");
    closed(play, who, 1005);
}

fn nothing_follows_a_close_frame(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    let mut bytes = masked(Opcode::Close, true, &1000_u16.to_be_bytes());
    bytes.extend(masked(
        Opcode::Text,
        true,
        br#"{"type":"broadcast","data":1}"#,
    ));
    play.bytes(ada, &bytes);
    closed(play, ada, 1000);
    play.hears_nothing(bob);
}

fn echo() -> Config {
    with(|config| {
        config.listeners = vec![ListenerConfig {
            echo: true,
            ..ListenerConfig::default()
        }];
    })
}

fn an_echo_sends_everything_back(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    let echo = play.connect_at("echo", 0, "/echo", "");
    play.hears(echo, "101 Switching Protocols");
    for length in [0, 1, 126, 70_000] {
        play.frame(echo, Opcode::Text, &vec![b'x'; length]);
        play.hears(echo, "text ");
        play.frame(echo, Opcode::Binary, &vec![0xFF; length]);
        play.hears(echo, "Binary");
    }
    play.bytes(echo, &masked(Opcode::Text, false, b"in "));
    play.bytes(echo, &masked(Opcode::Continuation, true, b"parts"));
    play.frame(echo, Opcode::Ping, b"ping");
    play.say(ada, r#"{"type":"broadcast","data":1,"id":1}"#);
    play.hears_nothing(echo);
    play.frame(echo, Opcode::Text, b"\xFF");
    closed(play, echo, 1007);
}

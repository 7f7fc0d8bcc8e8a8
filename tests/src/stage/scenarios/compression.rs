//! Compressed messages: what is agreed on, what is said and heard, what cannot be inflated. RFC 7692.

use roomwire_core::Config;
use roomwire_core::config::ListenerConfig;

use super::{list, usual, with};
use crate::deflate::{compressed, deflated};
use crate::frame::{Opcode, masked};
use crate::stage::{Play, Who};

list! {
    compression_is_agreed_on: usual,
    compression_is_switched_off: || with(|config| config.compression.enabled = false),
    compressed_messages_come_as_they_were: usual,
    compressed_messages_may_come_in_parts: usual,
    an_echo_compresses_what_is_long: echo,
    what_cannot_be_inflated_ends_the_connection: usual,
    a_bomb_is_cut: || with(|config| config.limits.max_message_bytes = 10_000),
}

fn echo() -> Config {
    with(|config| {
        config.listeners = vec![ListenerConfig {
            echo: true,
            ..ListenerConfig::default()
        }];
    })
}

/// A client that offers compression with these parameters.
fn offers(play: &mut Play<'_>, name: &str, path: &str, parameters: &str) -> Who {
    let headers = format!("Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n");
    play.connect_at(name, 0, path, &headers)
}

fn compression_is_agreed_on(play: &mut Play<'_>) {
    let answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (name, parameters, more) in [
        ("plain", "", ""),
        ("browser", "; client_max_window_bits", ""),
        (
            "small",
            "; server_max_window_bits=9",
            "; server_max_window_bits=9",
        ),
        (
            "second",
            "; server_max_window_bits=8, permessage-deflate; client_max_window_bits=9",
            "; client_max_window_bits=9",
        ),
    ] {
        let who = offers(play, name, "/", parameters);
        play.hears(who, &format!("{answer}{more}"));
        play.hears(who, "welcome");
    }
    for (name, parameters) in [("tiny", "; server_max_window_bits=8"), ("odd", "; x=1")] {
        let who = offers(play, name, "/", parameters);
        play.hears(who, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        play.hears(who, "welcome");
    }
}

fn compression_is_switched_off(play: &mut Play<'_>) {
    let ada = offers(play, "ada", "/", "");
    play.hears(ada, "welcome");
    let ping = deflated(br#"{"type":"ping"}"#);
    play.bytes(ada, &compressed(Opcode::Text, true, &ping));
    play.hears(ada, "Close(1002");
}

/// What is said to a room, of so many letters and more.
fn long(letters: usize) -> String {
    let data = "tea, and more tea; ".repeat(letters.div_ceil(19));
    format!(r#"{{"type":"room_message","room":"tea","data":"{data}","id":1}}"#)
}

fn compressed_messages_come_as_they_were(play: &mut Play<'_>) {
    let ada = offers(play, "ada", "/", "");
    let bob = offers(play, "bob", "/", "; server_max_window_bits=9");
    let eve = play.connect("eve");
    for who in [ada, bob, eve] {
        play.join(who, "tea");
    }
    for letters in [10, 1_000, 60_000] {
        let say = long(letters);
        for who in [ada, bob, eve] {
            play.say(who, &say);
            play.hears(who, "ack");
        }
        for who in [ada, bob] {
            play.bytes(
                who,
                &compressed(Opcode::Text, true, &deflated(say.as_bytes())),
            );
            play.hears(who, "ack");
            play.hears(eve, "tea, and more tea; ");
        }
    }
    // Again to one alone.
    let data = "milk".repeat(1_000);
    play.say(
        eve,
        &format!(r#"{{"type":"private_message","to":"<ada>","data":"{data}"}}"#),
    );
    play.hears(ada, &data);
}

fn compressed_messages_may_come_in_parts(play: &mut Play<'_>) {
    let (ada, bob) = (offers(play, "ada", "/", ""), offers(play, "bob", "/", ""));
    play.join(ada, "tea");
    play.join(bob, "tea");
    let payload = deflated(long(5_000).as_bytes());
    let (first, second) = payload.split_at(payload.len() / 2);
    play.bytes(ada, &compressed(Opcode::Text, false, first));
    play.frame(ada, Opcode::Ping, b"between");
    play.hears(ada, "Pong");
    play.bytes(ada, &masked(Opcode::Continuation, false, b""));
    play.bytes(ada, &masked(Opcode::Continuation, true, second));
    play.hears(bob, "room_message");
    for byte in compressed(Opcode::Text, true, &deflated(br#"{"type":"ping","id":1}"#)) {
        play.bytes(ada, &[byte]);
    }
    play.hears(ada, r#"{"type":"pong","id":1"#);
}

fn an_echo_compresses_what_is_long(play: &mut Play<'_>) {
    let who = offers(play, "echo", "/echo", "");
    for message in [String::new(), "tea".to_owned(), long(100_000)] {
        let payload = deflated(message.as_bytes());
        play.bytes(who, &compressed(Opcode::Text, true, &payload));
        play.hears(who, &message);
        play.bytes(who, &compressed(Opcode::Binary, true, &payload));
        play.hears(who, "Binary");
    }
}

fn what_cannot_be_inflated_ends_the_connection(play: &mut Play<'_>) {
    for (name, bytes, close) in [
        (
            "corrupt",
            compressed(Opcode::Text, true, b"\x06"),
            "Close(1007",
        ),
        (
            "cut",
            compressed(Opcode::Binary, true, &deflated(b"Hello")[..3]),
            "Close(1007",
        ),
        (
            "no text",
            compressed(Opcode::Text, true, &deflated(b"\xFF")),
            "Close(1007",
        ),
        ("ping", compressed(Opcode::Ping, true, b""), "Close(1002"),
    ] {
        let who = offers(play, name, "/", "");
        play.bytes(who, &bytes);
        play.hears(who, close);
    }
    let who = play.connect("not agreed");
    play.bytes(who, &compressed(Opcode::Text, true, &deflated(b"{}")));
    play.hears(who, "Close(1002");
}

fn a_bomb_is_cut(play: &mut Play<'_>) {
    for (name, letters) in [("barely", 10_001), ("a thousand to one", 20_000_000)] {
        let who = offers(play, name, "/", "");
        let bomb = deflated(&vec![b' '; letters]);
        play.bytes(who, &compressed(Opcode::Text, true, &bomb));
        play.hears(who, "Close(1009");
    }
}

//! The binary dialect beside JSON: rooms are the same for both, replies come in the dialect of their request, everything
//! else in the connection's own. Frames are put together by hand, as `PROTOCOL.md` describes them.

use data_encoding::BASE64URL_NOPAD;
use roomwire_core::config::{Limits, ListenerConfig, RoomRule, SlowReader};
use roomwire_core::{Config, ListenerId};
use roomwire_tests::{Message, Opcode, Peer, Upgrade, World};
use serde_json::{Value, json};

use crate::{on_listener, quiet_world, unlimited};

const WELCOME: u8 = 0x01;
const HELLO: u8 = 0x02;
const PING: u8 = 0x03;
const PONG: u8 = 0x04;
const ACK: u8 = 0x05;
const ERROR: u8 = 0x06;
const CLOSING: u8 = 0x07;
const BATCH: u8 = 0x08;
const DROPPED: u8 = 0x09;
const JOIN: u8 = 0x20;
const JOINED_ROOM: u8 = 0x21;
const MEMBER_JOINED: u8 = 0x24;
const ROOM_MESSAGE: u8 = 0x40;
const BROADCAST: u8 = 0x41;
const PRIVATE_MESSAGE: u8 = 0x50;
const APPLICATION: u8 = 0x80;

const BYTES: u8 = 0;
const JSON: u8 = 1;

fn frame(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    stamped(kind, 0, parts)
}

fn stamped(kind: u8, timestamp: u64, parts: &[&[u8]]) -> Vec<u8> {
    let payload = parts.concat();
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut frame = vec![kind];
    frame.extend(timestamp.to_be_bytes());
    frame.extend(length.to_be_bytes());
    frame.extend(payload);
    frame
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn number(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// What the server has sent, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    kind: u8,
    timestamp: u64,
    payload: Vec<u8>,
}

impl Got {
    fn of(bytes: &[u8]) -> Self {
        let length = u32::from_be_bytes(bytes[9..13].try_into().expect("four bytes"));
        assert_eq!(bytes.len(), 13 + length as usize, "the header's length");
        Self {
            kind: bytes[0],
            timestamp: u64::from_be_bytes(bytes[1..9].try_into().expect("eight bytes")),
            payload: bytes[13..].to_vec(),
        }
    }
}

/// A client that is told everything in binary frames, and its id's bytes.
pub(crate) fn binary_client(world: &mut World) -> (Peer, Vec<u8>) {
    client_with(world, "/", "Sec-WebSocket-Protocol: roomwire.binary.v1\r\n")
}

fn client_with(world: &mut World, path: &'static str, headers: &str) -> (Peer, Vec<u8>) {
    let peer = world.knock(&Upgrade {
        path,
        headers: headers.to_owned(),
        ..Upgrade::default()
    });
    world.advance_ms(100);
    let welcome = got(world, peer);
    assert_eq!(welcome.kind, WELCOME);
    (peer, welcome.payload[..18].to_vec())
}

fn send(world: &mut World, peer: Peer, frame: &[u8]) {
    world.send_frame(peer, Opcode::Binary, frame);
}

fn join(world: &mut World, peer: Peer, room: &str) {
    send(world, peer, &frame(JOIN, &[&number(0), &text(room)]));
    let joined = got(world, peer);
    assert_eq!(joined.kind, JOINED_ROOM);
}

/// The next message, which must be binary.
fn got(world: &mut World, peer: Peer) -> Got {
    match world.next_message(peer) {
        Some(Message::Binary(bytes)) => Got::of(&bytes),
        other => panic!("not a binary message: {other:?}"),
    }
}

fn id_bytes(world: &World, peer: Peer) -> Vec<u8> {
    let id = world.id(peer).strip_prefix("client_").expect("an id");
    BASE64URL_NOPAD.decode(id.as_bytes()).expect("base64url")
}

fn id_text(bytes: &[u8]) -> String {
    format!("client_{}", BASE64URL_NOPAD.encode(bytes))
}

fn forget(world: &mut World) {
    world.settle();
    world.forget();
}

// covers A0-12, A5-10
#[test]
fn a_subprotocol_or_else_the_query_says_what_a_connection_speaks() {
    let mut world = quiet_world();
    binary_client(&mut world);
    client_with(&mut world, "/?dialect=binary", "");
    client_with(
        &mut world,
        "/ws?a=b&dialect=binary",
        "Sec-WebSocket-Protocol: chat\r\n",
    );
    // Who names a subprotocol means it.
    for (path, headers) in [
        (
            "/?dialect=binary",
            "Sec-WebSocket-Protocol: roomwire.json.v1, roomwire.binary.v1\r\n",
        ),
        ("/?dialect=json", ""),
        ("/?dialect=", ""),
        ("/", ""),
    ] {
        let headers = headers.to_owned();
        world.connect_as(&Upgrade {
            path,
            headers,
            ..Upgrade::default()
        });
    }
}

// covers A0-12, A5-09
#[test]
fn a_reply_comes_in_the_dialect_of_its_request_on_every_connection() {
    let mut world = quiet_world();
    let ada = world.connect();
    let (bob, _) = binary_client(&mut world);
    for client in [ada, bob] {
        send(&mut world, client, &stamped(PING, 77, &[&number(9)]));
        let pong = got(&mut world, client);
        assert_eq!(pong.kind, PONG);
        assert_eq!(
            pong.payload,
            [&number(9)[..], &77_u64.to_be_bytes()].concat()
        );
        world.send(client, &json!({"type": "ping", "id": "x"}));
        let pong = world.expect(client, "pong");
        assert_eq!(pong["id"], "x");
        // Outcomes, too, of success and of failure.
        send(
            &mut world,
            client,
            &frame(JOIN, &[&number(1), &text("tea")]),
        );
        assert_eq!(got(&mut world, client).kind, JOINED_ROOM);
        forget(&mut world);
        world.send(
            client,
            &json!({"type": "room_message", "room": "tea", "data": 1, "id": 5}),
        );
        assert_eq!(world.expect(client, "ack")["id"], 5);
        let nowhere = frame(
            ROOM_MESSAGE,
            &[&number(6), &[BYTES], &text("nowhere"), b"x"],
        );
        send(&mut world, client, &nowhere);
        let error = got(&mut world, client);
        assert_eq!(error.kind, ERROR);
        let expected = [&number(6)[..], &number(u32::MAX), &text("no_such_room")].concat();
        assert_eq!(error.payload[..expected.len()], expected);
        forget(&mut world);
    }
}

// covers A5-10, A0-12
#[test]
fn bytes_and_json_reach_every_member_in_its_own_form() {
    let config = Config {
        listeners: vec![
            ListenerConfig::default(),
            ListenerConfig {
                raw_payloads: true,
                ..ListenerConfig::default()
            },
        ],
        ..unlimited()
    };
    let mut world = World::new(config);
    let (ada, bare) = (world.connect(), world.connect_as(&on_listener(1)));
    let (bob, bob_id) = binary_client(&mut world);
    let (eve, eve_id) = binary_client(&mut world);
    for client in [ada, bare] {
        world.join(client, "tea");
    }
    for client in [bob, eve] {
        join(&mut world, client, "tea");
    }
    forget(&mut world);
    // Bytes of a binary member, all kinds of them.
    let bytes: Vec<u8> = (0..=255).collect();
    send(
        &mut world,
        bob,
        &frame(ROOM_MESSAGE, &[&number(0), &[BYTES], &text("tea"), &bytes]),
    );
    let said = world.expect(ada, "room_message");
    assert_eq!(said["data"], data_encoding::BASE64.encode(&bytes));
    assert_eq!(
        (said["encoding"].as_str(), said["from"].as_str()),
        (Some("base64"), Some(&*id_text(&bob_id)))
    );
    let expected = [&[BYTES][..], &bob_id, &text("tea"), &bytes].concat();
    for client in [eve, bare] {
        let said = got(&mut world, client);
        assert_eq!((said.kind, &said.payload), (ROOM_MESSAGE, &expected));
        assert!(said.timestamp > 0);
    }
    assert_eq!(world.next_message(bob), None);
    // JSON of a binary member stays what it is, to the byte.
    let raw = r#"{ "a" : 1.00, "b":"\u0041" }"#;
    send(
        &mut world,
        eve,
        &frame(
            ROOM_MESSAGE,
            &[&number(0), &[JSON], &text("tea"), raw.as_bytes()],
        ),
    );
    let said = world.next_text(ada).expect("text");
    assert!(said.contains(raw) && !said.contains("encoding"), "{said}");
    assert_eq!(world.next_text(bare).as_deref(), Some(raw));
    let expected = [&[JSON][..], &eve_id, &text("tea"), raw.as_bytes()].concat();
    assert_eq!(got(&mut world, bob).payload, expected);
    // JSON of a JSON member; and bytes, which it spells.
    let ada_id = id_bytes(&world, ada);
    world.send_text(ada, r#"{"type":"room_message","room":"tea","data":[1, 2]}"#);
    world.send_text(
        ada,
        r#"{"type":"room_message","room":"tea","encoding":"base64","data":"\/+8A"}"#,
    );
    for client in [bob, eve] {
        let expected = [&[JSON][..], &ada_id, &text("tea"), b"[1, 2]"].concat();
        assert_eq!(got(&mut world, client).payload, expected);
        let expected = [&[BYTES][..], &ada_id, &text("tea"), &[0xFF, 0xEF, 0x00]].concat();
        assert_eq!(got(&mut world, client).payload, expected);
    }
    assert_eq!(world.next_text(bare).as_deref(), Some("[1, 2]"));
    assert_eq!(got(&mut world, bare).kind, ROOM_MESSAGE);
    for client in [ada, bare, bob, eve] {
        assert_eq!(world.next_message(client), None);
    }
}

#[test]
fn what_is_not_base64_is_refused() {
    let mut world = quiet_world();
    let ada = world.connect();
    world.join(ada, "tea");
    for (data, encoding) in [
        (json!("AAA"), json!("base64")),
        (json!("AA=A"), json!("base64")),
        (json!("AAB="), json!("base64")),
        (json!("A A="), json!("base64")),
        (json!("_-8A"), json!("base64")),
        (json!(7), json!("base64")),
        (json!(["AAAA"]), json!("base64")),
        (json!("AAAA"), json!("hex")),
        (json!("AAAA"), json!(true)),
    ] {
        let said = json!({"type": "broadcast", "data": data, "encoding": encoding});
        assert_eq!(world.refused(ada, &said), "bad_message", "{said}");
    }
    let plain = json!({"type": "broadcast", "data": "AAA", "encoding": Value::Null, "id": 1});
    world.send(ada, &plain);
    world.expect(ada, "ack");
}

// covers A5-10
#[test]
fn clients_of_both_dialects_say_things_to_all_and_to_each_other() {
    let mut world = quiet_world();
    let ada = world.connect();
    let ada_id = id_bytes(&world, ada);
    let (bob, bob_id) = binary_client(&mut world);
    send(
        &mut world,
        bob,
        &frame(BROADCAST, &[&number(3), &[BYTES], b"\x00\xFF"]),
    );
    let ack = got(&mut world, bob);
    assert_eq!((ack.kind, &ack.payload[..]), (ACK, &number(3)[..]));
    let said = world.expect(ada, "broadcast");
    assert_eq!(
        (&said["data"], &said["encoding"]),
        (&json!("AP8="), &json!("base64"))
    );
    world.send_text(ada, r#"{"type":"broadcast","data":"hi"}"#);
    let said = got(&mut world, bob);
    assert_eq!(
        (said.kind, said.payload),
        (BROADCAST, [&[JSON][..], &ada_id, br#""hi""#].concat())
    );
    send(
        &mut world,
        bob,
        &frame(PRIVATE_MESSAGE, &[&number(4), &[BYTES], &ada_id, b"\x01"]),
    );
    assert_eq!(got(&mut world, bob).payload, number(4));
    let said = world.expect(ada, "private_message");
    assert_eq!(
        (&said["data"], &said["encoding"]),
        (&json!("AQ=="), &json!("base64"))
    );
    let to = id_text(&bob_id);
    world.send(
        ada,
        &json!({"type": "private_message", "to": to, "data": {"a": 1}, "id": 1}),
    );
    world.expect(ada, "ack");
    let said = got(&mut world, bob);
    assert_eq!(
        (said.kind, said.payload),
        (
            PRIVATE_MESSAGE,
            [&[JSON][..], &ada_id, br#"{"a":1}"#].concat()
        )
    );
    // Nobody has this id.
    send(
        &mut world,
        bob,
        &frame(PRIVATE_MESSAGE, &[&number(5), &[BYTES], &[0; 18], b""]),
    );
    let error = got(&mut world, bob);
    assert_eq!(error.payload[8..][..18], text("target_not_found"));
}

// covers A5-02, A5-03, A5-04, A5-05
#[test]
fn what_is_no_frame_is_refused_in_the_connections_own_dialect_and_what_is_one_in_binary() {
    let mut world = quiet_world();
    let ada = world.connect();
    let (bob, _) = binary_client(&mut world);
    let ping = frame(PING, &[&number(1)]);
    let mut lying = ping.clone();
    lying[12] += 1;
    let long = [&ping[..], &[0]].concat();
    for bad in [
        &b""[..],
        b"{\"type\":\"ping\"}",
        &ping[..12],
        &ping[..16],
        &lying,
        &long,
    ] {
        send(&mut world, ada, bad);
        let error = world.expect(ada, "error");
        assert_eq!(error["code"], "bad_message");
        let message = error["message"].as_str().expect("text");
        assert!(message.starts_with("a binary message must be"), "{error}");
        send(&mut world, bob, bad);
        let error = got(&mut world, bob);
        assert_eq!(
            (error.kind, &error.payload[8..21]),
            (ERROR, &text("bad_message")[..])
        );
    }
    // The frame is one, but what is in it is not what its type says.
    for bad in [
        frame(PING, &[]),
        frame(PING, &[&number(1), b"x"]),
        frame(JOIN, &[&number(1), &[0, 4], b"tea"]),
        frame(JOIN, &[&number(1), &[0, 3], b"te\xFF"]),
        frame(ROOM_MESSAGE, &[&number(1), &[2], &text("tea"), b"1"]),
        frame(ROOM_MESSAGE, &[&number(1), &[JSON], &text("tea"), b"{"]),
        frame(ROOM_MESSAGE, &[&number(1), &[JSON], &text("tea"), b"1 2"]),
        frame(HELLO, &[&number(1), &[0x80]]),
    ] {
        send(&mut world, ada, &bad);
        let error = got(&mut world, ada);
        assert_eq!(
            (error.kind, &error.payload[8..21]),
            (ERROR, &text("bad_message")[..]),
            "{bad:02x?}"
        );
    }
    for unknown in [0, ACK, 0x1F, 0x5F, 0x7F, 0xFF] {
        send(&mut world, ada, &frame(unknown, &[&number(1)]));
        let error = got(&mut world, ada);
        assert_eq!(
            (error.kind, &error.payload[8..22]),
            (ERROR, &text("unknown_type")[..])
        );
    }
    assert_eq!(world.stats().unknown_types, 6);
    // Text that is nothing at all.
    world.send_text(bob, "hello");
    let error = got(&mut world, bob);
    assert_eq!(
        (error.kind, &error.payload[8..18]),
        (ERROR, &text("bad_json")[..])
    );
}

#[test]
fn who_sends_too_much_that_is_no_frame_is_closed() {
    let mut world = World::new(Config {
        limits: Limits {
            max_bad_messages: 2,
            ..Limits::default()
        },
        ..unlimited()
    });
    let (bob, _) = binary_client(&mut world);
    for _ in 0..3 {
        send(&mut world, bob, b"?");
        assert_eq!(got(&mut world, bob).kind, ERROR);
    }
    let closing = got(&mut world, bob);
    assert_eq!(
        (closing.kind, &closing.payload[..2]),
        (CLOSING, &1008_u16.to_be_bytes()[..])
    );
    assert_eq!(closing.payload[2..6], [0xFF; 4]);
    assert_eq!(world.close_frame(bob).map(|(code, _)| code), Some(1008));
}

// covers A7-03, A7-06, A2-11
#[test]
fn batches_of_frames_have_an_outcome_each_and_one_message_of_replies() {
    // What another shard answers comes later, and by itself.
    let mut world = World::alone(unlimited());
    let ada = world.connect();
    world.join(ada, "tea");
    let (bob, _) = binary_client(&mut world);
    let say = |id, data: &[u8]| frame(ROOM_MESSAGE, &[&number(id), &[BYTES], &text("tea"), data]);
    let nested = frame(BATCH, &[&number(7), &say(8, b"no")]);
    let inner = [
        frame(JOIN, &[&number(1), &text("tea")]),
        say(2, b"a"),
        frame(0x7F, &[&number(3)]),
        nested,
        say(0, b"b"),
        say(4, b"c"),
    ]
    .concat();
    let batch = frame(BATCH, &[&number(5), &inner]);
    let kinds = [JOINED_ROOM, ACK, ERROR, ERROR, ACK, ACK];
    send(&mut world, bob, &batch);
    let each: Vec<u8> = (0..kinds.len())
        .map(|_| got(&mut world, bob).kind)
        .collect();
    assert_eq!(each, kinds);
    assert_eq!(world.next_message(bob), None);
    let data: Vec<Value> = world
        .all(ada)
        .iter()
        .filter(|m| m["type"] == "room_message")
        .map(|m| m["data"].clone())
        .collect();
    assert_eq!(data, ["YQ==", "Yg==", "Yw=="]);
    // The same, to a client that takes several replies in one message.
    send(&mut world, bob, &frame(HELLO, &[&number(0), &[1]]));
    send(&mut world, bob, &batch);
    let replies = got(&mut world, bob);
    assert_eq!(
        (replies.kind, &replies.payload[..4]),
        (BATCH, &number(0)[..])
    );
    let mut rest = &replies.payload[4..];
    let mut each = Vec::new();
    while !rest.is_empty() {
        let length = 13 + u32::from_be_bytes(rest[9..13].try_into().expect("four bytes")) as usize;
        each.push(Got::of(&rest[..length]).kind);
        rest = &rest[length..];
    }
    assert_eq!(each, kinds);
    assert_eq!(world.next_message(bob), None);
    // A batch of JSON on the same connection is answered in JSON.
    world.send(
        bob,
        &json!({"type": "batch", "messages": [{"type": "ping"}, {"type": "ping"}]}),
    );
    assert_eq!(
        world.expect(bob, "batch")["messages"]
            .as_array()
            .expect("a list")
            .len(),
        2
    );
    // Too many, none, and half a one.
    let many: Vec<u8> = (0..101).flat_map(|_| frame(PING, &[&number(0)])).collect();
    for (inner, code) in [
        (&many[..], "too_large"),
        (b"", "bad_message"),
        (&many[..20], "bad_message"),
    ] {
        send(&mut world, bob, &frame(BATCH, &[&number(1), inner]));
        let error = got(&mut world, bob);
        assert_eq!(error.payload[8..][..2 + code.len()], text(code), "{code}");
    }
}

#[test]
fn the_program_speaks_to_clients_of_both_dialects() {
    use roomwire_core::server::{Command, Event, Outcome};

    let mut config = unlimited();
    config.application_types = vec!["dice".to_owned()];
    let mut world = World::new(config);
    let ada = world.connect();
    world.join(ada, "tea");
    let (bob, _) = binary_client(&mut world);
    join(&mut world, bob, "tea");
    forget(&mut world);
    let message = r#"{"type":"dice","sides":6}"#.to_owned();
    world.command(Command::Publish {
        room: "tea".to_owned(),
        message: message.clone(),
    });
    world.expect(ada, "dice");
    let said = got(&mut world, bob);
    assert_eq!(
        (said.kind, said.payload),
        (APPLICATION, [&number(0)[..], message.as_bytes()].concat())
    );
    world.events();
    send(
        &mut world,
        bob,
        &frame(APPLICATION, &[&number(9), message.as_bytes()]),
    );
    let Some(Event::Application {
        request,
        kind,
        message: asked,
        ..
    }) = world.events().pop()
    else {
        panic!("no request");
    };
    assert_eq!((kind.as_str(), asked), ("dice", message));
    let reply = r#"{"type":"dice","result":3}"#.to_owned();
    world.command(Command::Reply {
        request,
        outcome: Outcome::Reply(reply.clone()),
    });
    let said = got(&mut world, bob);
    assert_eq!(
        (said.kind, said.payload),
        (APPLICATION, [&number(9)[..], reply.as_bytes()].concat())
    );
    // A type that nobody has registered.
    send(
        &mut world,
        bob,
        &frame(APPLICATION, &[&number(9), br#"{"type":"cards"}"#]),
    );
    let error = got(&mut world, bob);
    assert_eq!(
        (error.kind, &error.payload[8..22]),
        (ERROR, &text("unknown_type")[..])
    );
}

#[test]
fn a_slow_binary_reader_is_told_in_frames_what_it_missed_and_gets_the_last_message() {
    let mut config = unlimited();
    config.rooms = vec![RoomRule {
        slow_reader: SlowReader::Latest,
        ..RoomRule::default()
    }];
    let mut world = World::new(config);
    let ada = world.connect();
    let (bob, _) = binary_client(&mut world);
    world.join(ada, "tea");
    join(&mut world, bob, "tea");
    forget(&mut world);
    world.dam(bob);
    for data in 0..4 {
        world.send(
            ada,
            &json!({"type": "room_message", "room": "tea", "data": data}),
        );
    }
    world.release(bob);
    let mut kinds = Vec::new();
    while let Some(Message::Binary(bytes)) = world.next_message(bob) {
        let got = Got::of(&bytes);
        if got.kind == DROPPED {
            assert_eq!(got.payload[8..], text("tea"));
        }
        kinds.push((got.kind, got.payload.last().copied()));
    }
    assert_eq!(kinds.last(), Some(&(ROOM_MESSAGE, Some(b'3'))), "{kinds:?}");
    assert!(kinds.iter().any(|(kind, _)| *kind == DROPPED), "{kinds:?}");
    let newcomer = world.connect();
    world.join(newcomer, "tea");
    assert_eq!(got(&mut world, bob).kind, MEMBER_JOINED);
}

#[test]
fn listeners_have_no_part_in_it() {
    // Bare payloads are for those who are told in JSON.
    let config = Config {
        listeners: vec![ListenerConfig {
            raw_payloads: true,
            ..ListenerConfig::default()
        }],
        ..unlimited()
    };
    let mut world = World::new(config);
    let (bob, _) = binary_client(&mut world);
    let ada = world.connect_as(&on_listener(0));
    assert_eq!(ListenerId(0), on_listener(0).listener);
    world.send(ada, &json!({"type": "broadcast", "data": 1}));
    let said = got(&mut world, bob);
    assert_eq!((said.kind, said.payload.last()), (BROADCAST, Some(&b'1')));
}

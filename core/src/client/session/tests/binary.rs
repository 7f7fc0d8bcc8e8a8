//! A session that speaks binary frames, with the server of this crate.

use super::net::{ADA, BOB, EVE, Net};
use super::*;

/// Eve and bob speak binary, ada JSON.
fn all_there() -> Net {
    let mut net = Net::new(1);
    for index in [EVE, ADA, BOB] {
        net.join(index, "tea");
    }
    net.settle();
    let forms = [EVE, ADA, BOB].map(|index| {
        let opened = |event: &Event| match event {
            Event::Opened { protocol } => protocol.clone(),
            _ => None,
        };
        net.peers[index].events.iter().find_map(opened)
    });
    let [binary, json] = [BINARY_PROTOCOL, JSON_PROTOCOL].map(|it| Some(it.to_owned()));
    // Whoever sits at an even place does so in a run with an odd number.
    assert_eq!(forms, [binary.clone(), json, binary]);
    net
}

fn send(net: &mut Net, index: usize, content: Content) -> u64 {
    net.next_item += 1;
    let item = net.next_item;
    net.command(index, Command::Send(Send::new(Item(item), content)));
    net.pass(200);
    item
}

/// What was said in the room, by the time it was heard.
fn heard(net: &Net, index: usize) -> Vec<SaidData> {
    let said = |event: &Event| match event {
        Event::RoomMessage(message) => Some(message.said.data.clone()),
        _ => None,
    };
    net.peers[index].events.iter().filter_map(said).collect()
}

/// covers A4-07: bytes are bytes, and JSON is JSON, whatever the others speak.
#[test]
fn what_is_said_in_either_form_is_heard_in_both() {
    let mut net = all_there();
    for index in [EVE, ADA] {
        let item = send(&mut net, index, Content::say_bytes("tea", b"\xff\x00"));
        assert_eq!(net.outcomes(index)[&item], "ack");
        let content = Content::say("tea", r#"{ "a":1.0}"#).expect("JSON");
        let item = send(&mut net, index, content);
        assert_eq!(net.outcomes(index)[&item], "ack");
    }
    let bytes = SaidData::Bytes(b"\xff\x00".to_vec());
    let json = SaidData::Json(r#"{ "a":1.0}"#.to_owned());
    let once = [bytes, json];
    assert_eq!(heard(&net, BOB), [&once[..], &once[..]].concat());
    assert_eq!(
        (heard(&net, EVE), heard(&net, ADA)),
        (once.to_vec(), once.to_vec())
    );
}

#[test]
fn each_request_has_its_outcome_in_its_form() {
    let mut net = all_there();
    for (text, outcome) in [
        (r#"{"type":"leave","room":"milk"}"#, "no_such_room"),
        (r#"{"type":"room_message","room":"tea"}"#, "bad_message"),
        (r#"{"type":"jion","room":"tea"}"#, "unknown_type"),
        (r#"{"type":"hello","user":"Bob"}"#, "ack"),
        (r#"{"type":"leave","room":"tea"}"#, "left"),
    ] {
        let item = send(&mut net, BOB, Content::Request(text.to_owned()));
        assert_eq!(net.outcomes(BOB)[&item], outcome, "{text}");
    }
    let text = r#"{"type":"members","room":"tea"}"#;
    let item = send(&mut net, EVE, Content::Request(text.to_owned()));
    let answer = &net.outcomes(EVE)[&item];
    assert!(answer.contains(r#""type":"members""#), "{answer}");
    assert!(answer.contains(r#""total":2"#), "{answer}");
}

/// What is gathered goes as one message of frames, and has its outcomes one by one.
#[test]
fn what_is_gathered_is_a_batch() {
    let mut net = all_there();
    net.next_item += 1;
    let first = net.next_item;
    for number in 0..5 {
        net.next_item += 1;
        let content = Content::say("tea", &number.to_string()).expect("JSON");
        let item = Item(net.next_item);
        let send = Command::Send(Send::new(item, content));
        let _ = net.peers[BOB].session.handle(net.now, Input::Command(send));
    }
    // In between goes what has no frame.
    let text = r#"{"type":"ping","timestamp":"text"}"#.to_owned();
    let send = Command::Send(Send::new(Item(first), Content::Request(text)));
    let _ = net.peers[BOB].session.handle(net.now, Input::Command(send));
    net.pass(1_000);
    let outcomes = net.outcomes(BOB);
    for item in first + 1..=first + 5 {
        assert_eq!(outcomes[&item], "ack");
    }
    assert!(outcomes[&first].contains("pong"), "{}", outcomes[&first]);
    let numbers = (0..5).map(|number| SaidData::Json(number.to_string()));
    assert_eq!(heard(&net, EVE), numbers.collect::<Vec<_>>());
}

/// Frames that are none of the session's are the program's, in both directions.
#[test]
fn frames_of_the_programs_own_have_numbers_of_their_own() {
    let mut net = all_there();
    let ping = |number: u32| {
        let mut frame = vec![3];
        frame.extend(5_u64.to_be_bytes());
        frame.extend(4_u32.to_be_bytes());
        frame.extend(number.to_be_bytes());
        frame
    };
    let number = 0x8000_0001;
    let item = send(&mut net, BOB, Content::Binary(ping(number)));
    assert_eq!(net.outcomes(BOB)[&item], "Sent");
    let is_pong = |event: &&Event| {
        matches!(event, Event::Message(message)
            if matches!(message.told, Told::Pong { .. }) && message.id.as_deref() == Some("2147483649"))
    };
    assert_eq!(net.peers[BOB].events.iter().filter(is_pong).count(), 1);
    // And a connection lives on its own pings.
    net.pass(60_000);
    assert_eq!(net.peers[BOB].session.stats().attempts, 1);
    let unknown = b"\x1f\0\0\0\0\0\0\0\0\0\0\0\0";
    let connection = net.peers[BOB].connection.expect("a connection");
    let mut frame = Vec::new();
    put_frame(&mut frame, OpCode::Data(Data::Binary), unknown);
    let bytes = &mut frame;
    let _ = net.peers[BOB]
        .session
        .handle(net.now, Input::Received { connection, bytes });
    net.drain();
    let last = net.peers[BOB].events.last();
    assert_eq!(last, Some(&Event::Binary(unknown.to_vec())));
}

/// Where JSON is spoken, frames are the program's.
#[test]
fn frames_mean_nothing_where_json_is_spoken() {
    let mut world = World::welcome_to(quiet());
    let ack = b"\x05\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\x01";
    let mut frame = Vec::new();
    put_frame(&mut frame, OpCode::Data(Data::Binary), ack);
    world.bytes(&frame);
    assert_eq!(world.told(), [Event::Binary(ack.to_vec())]);
}

/// A server that speaks no binary is spoken to in JSON.
#[test]
fn the_server_chooses() {
    let mut config = SessionConfig::binary("example.com");
    config.resume = false;
    let mut world = World::new(config);
    world.join(1, "tea");
    world.welcome(ME);
    let id = world.only_id();
    world.say(&format!(
        r#"{{"type":"joined_room","id":{id},"room":"tea","members":[],"total":1}}"#
    ));
    assert_eq!(world.outcomes(), [(1, "joined, 1".to_owned())]);
}

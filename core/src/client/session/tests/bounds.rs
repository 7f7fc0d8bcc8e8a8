//! What a server, or a program, can make a session hold.

use super::*;

#[test]
fn events_that_nobody_polls_stop_the_reading() {
    let mut config = quiet();
    config.max_queued_events = 10;
    let mut world = World::welcome_to(config);
    let connection = world.connection.expect("a connection");
    let mut frame = Vec::new();
    put_frame(&mut frame, OpCode::Data(Data::Text), b"{}");
    for count in 1..=10 {
        let bytes = &mut frame.clone();
        let turn = world
            .session
            .handle(world.now, Input::Received { connection, bytes });
        assert_eq!(turn == Turn::Full, count == 10, "{count}");
    }
    world.drain();
    assert!(world.reading, "and it goes on when they are polled");
    assert_eq!(world.told().len(), 10);
}

#[test]
fn so_do_large_ones() {
    let mut config = quiet();
    config.max_queued_event_bytes = 1_000;
    let mut world = World::welcome_to(config);
    let connection = world.connection.expect("a connection");
    let mut frame = Vec::new();
    put_frame(&mut frame, OpCode::Data(Data::Binary), &[0; 1_000]);
    let bytes = &mut frame;
    let turn = world
        .session
        .handle(world.now, Input::Received { connection, bytes });
    assert_eq!(turn, Turn::Full);
    world.drain();
    assert_eq!(world.session.event_bytes, 0);
}

/// What comes in one go may say more than there is room for: it is read when there is.
#[test]
fn what_comes_in_one_go_is_read_as_there_is_room() {
    let mut config = quiet();
    config.max_queued_events = 10;
    let mut world = World::welcome_to(config);
    let connection = world.connection.expect("a connection");
    let mut bytes = Vec::new();
    let batch = format!(
        r#"{{"type":"batch","messages":[{}]}}"#,
        ["{}"; 20].join(",")
    );
    for number in 0..50 {
        let text = format!(r#"{{"number":{number}}}"#);
        put_frame(&mut bytes, OpCode::Data(Data::Text), text.as_bytes());
        put_frame(&mut bytes, OpCode::Data(Data::Text), batch.as_bytes());
    }
    let bytes = &mut bytes;
    let input = Input::Received { connection, bytes };
    assert_eq!(world.session.handle(world.now, input), Turn::Full);
    // And what comes behind it all the same waits its turn, the end among it.
    let mut last = Vec::new();
    put_frame(&mut last, OpCode::Data(Data::Text), b"{}");
    let (first, rest) = last.split_at_mut(1);
    for bytes in [first, rest] {
        let _ = world
            .session
            .handle(world.now, Input::Received { connection, bytes });
    }
    let _ = world
        .session
        .handle(world.now, Input::ReadEnd { connection });
    let mut told = Vec::new();
    for _ in 0..10_000 {
        // One message's worth beyond the bound.
        assert!(world.session.events.len() < 10 + 20);
        match world.session.poll() {
            Output::Event(event) => told.push(event),
            Output::ReadInterest { wanted, .. } => assert!(!wanted, "nothing more is there"),
            Output::Close {
                connection: it,
                reset,
            } => assert_eq!((it, reset), (connection, false)),
            Output::Idle { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    let texts = told.iter().filter_map(|event| match event {
        Event::Message(message) => Some(&*message.text),
        _ => None,
    });
    let texts: Vec<&str> = texts.collect();
    assert_eq!(texts.len(), 50 * 21 + 1);
    let numbers = texts.iter().filter(|text| **text != "{}");
    let expected: Vec<String> = (0..50).map(|it| format!(r#"{{"number":{it}}}"#)).collect();
    assert!(numbers.eq(&expected));
    assert_eq!(closed(&told).len(), 1);
    assert_eq!(state_of(&told), Some(State::Waiting));
}

/// It goes on until nothing is left, and only then is more read.
#[test]
fn reading_goes_on_when_all_that_came_is_read() {
    let mut config = quiet();
    config.max_queued_events = 10;
    let mut world = World::welcome_to(config);
    let connection = world.connection.expect("a connection");
    let mut bytes = Vec::new();
    for _ in 0..100 {
        put_frame(&mut bytes, OpCode::Data(Data::Text), b"{}");
    }
    let bytes = &mut bytes;
    let _ = world
        .session
        .handle(world.now, Input::Received { connection, bytes });
    let (mut told, mut interest) = (0, Vec::new());
    for _ in 0..1_000 {
        match world.session.poll() {
            Output::Event(_) => told += 1,
            Output::ReadInterest { wanted, .. } => interest.push((told, wanted)),
            Output::Idle { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, 100);
    assert_eq!(interest[0], (0, false));
    assert!(
        matches!(interest[..], [_, (95..=100, true)]),
        "{interest:?}"
    );
    // What is left when the socket ends is lost with it.
    let mut bytes = Vec::new();
    for _ in 0..100 {
        put_frame(&mut bytes, OpCode::Data(Data::Text), b"{}");
    }
    let bytes = &mut bytes;
    let _ = world
        .session
        .handle(world.now, Input::Received { connection, bytes });
    world.cut();
    let told = world.told();
    let messages = told.iter().filter(|it| matches!(it, Event::Message(_)));
    assert_eq!((messages.count(), closed(&told).len()), (10, 1));
}

/// What a server of this protocol never does.
#[track_caller]
fn is_broken_off(world: &mut World) {
    let told = world.told();
    let is_said = |event: &&Event| {
        matches!(
            event,
            Event::Message(_) | Event::RoomMessage(_) | Event::Binary(_)
        )
    };
    assert_eq!(told.iter().filter(is_said).count(), 0, "{told:?}");
    let [ended] = closed(&told)[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        (ended.code, &ended.cause),
        (1006, &CloseCause::BatchTooLong)
    );
    assert_eq!(state_of(&told), Some(State::Waiting));
    assert_eq!(world.sent(), ["close 1002 too many messages in one"]);
    // It does not wait for an answer for ever.
    world.pass(world.wait_ms());
    world.told();
    assert_eq!(world.connects, 2);
}

#[test]
fn a_batch_that_is_too_long_ends_the_connection() {
    for (count, fits) in [(5, true), (6, false), (100_000, false)] {
        let mut config = quiet();
        config.max_batch_messages = 5;
        let mut world = World::welcome_to(config);
        let messages = vec!["{}"; count].join(",");
        world.say(&format!(r#"{{"type":"batch","messages":[{messages}]}}"#));
        if fits {
            assert_eq!(world.told().len(), count);
        } else {
            is_broken_off(&mut world);
        }
    }
}

#[test]
fn so_does_one_of_frames() {
    for (count, fits) in [(5, true), (6, false), (100_000, false)] {
        let mut config = quiet();
        config.max_batch_messages = 5;
        config.connection.protocols = vec![BINARY_PROTOCOL.to_owned()];
        let mut world = World::new(config);
        world.open_as(BINARY_PROTOCOL);
        world.say(&format!(r#"{{"type":"welcome","clientId":"{ME}"}}"#));
        world.told();
        // A header: the type, a time, the length.
        let frame = |kind: u8, payload: &[u8]| {
            let length = u32::try_from(payload.len()).expect("a short one");
            let mut frame = vec![kind];
            frame.extend(5_u64.to_be_bytes());
            frame.extend(length.to_be_bytes());
            frame.extend(payload);
            frame
        };
        let mut messages = vec![0; 4];
        for _ in 0..count {
            messages.extend(frame(0xF0, &[]));
        }
        let mut bytes = Vec::new();
        put_frame(
            &mut bytes,
            OpCode::Data(Data::Binary),
            &frame(0x08, &messages),
        );
        world.bytes(&bytes);
        if fits {
            assert_eq!(world.told().len(), count);
        } else {
            is_broken_off(&mut world);
        }
    }
}

#[test]
fn so_does_a_page_of_a_room() {
    for (count, fits) in [(5, true), (6, false)] {
        let mut config = quiet();
        config.max_batch_messages = 5;
        let mut world = World::welcome_to(config);
        world.join(1, "tea");
        let joined = |id: &str| {
            format!(
                r#"{{"type":"joined_room","id":{id},"room":"tea","members":[],"total":1,"history":{{"epoch":"00000000000000aa","last":0}}}}"#
            )
        };
        let id = world.only_id();
        world.say(&joined(&id));
        world.cut();
        world.pass(1_000);
        world.welcome(ME);
        let id = world.only_id();
        world.say(&joined(&id));
        world.told();
        let messages = (1..=count).map(|offset| {
            format!(r#"{{"offset":{offset},"from":"{BOB}","data":1,"timestamp":1}}"#)
        });
        let messages = messages.collect::<Vec<_>>().join(",");
        let page = format!(
            r#"{{"type":"history","room":"tea","epoch":"00000000000000aa","last":9,"messages":[{messages}],"more":false}}"#
        );
        // In a batch, nothing behind it is heard.
        world.say(&format!(
            r#"{{"type":"batch","messages":[{page},{{"type":"joined_room","room":"milk","members":[],"total":1}}]}}"#
        ));
        if fits {
            assert_eq!(world.told().len(), count + 1);
            continue;
        }
        world.connects -= 1;
        is_broken_off(&mut world);
        world.welcome(ME);
        assert_eq!(world.sent().len(), 1, "only tea is joined again");
    }
}

#[test]
fn names_of_rooms_that_the_server_tells_of_are_bounded() {
    let mut config = quiet();
    config.max_room_name_bytes = 3;
    let mut world = World::welcome_to(config);
    for room in ["tea", "milk"] {
        world.say(&format!(
            r#"{{"type":"joined_room","room":"{room}","members":[],"total":1}}"#
        ));
    }
    world.come_back();
    assert_eq!(
        world.sent_plain(),
        [r#"{"type":"join","room":"tea","after":0}"#]
    );
}

#[test]
fn rooms_are_bounded_whoever_joins_them() {
    let mut config = quiet();
    config.max_rooms = 2;
    let mut world = World::welcome_to(config);
    for room in ["a", "b", "c"] {
        world.say(&format!(
            r#"{{"type":"joined_room","room":"{room}","members":[],"total":1}}"#
        ));
    }
    world.join(1, "d");
    assert_eq!(world.outcomes(), [(1, "TooManyRooms".to_owned())]);
    world.cut();
    world.pass(1_000);
    world.welcome(ME);
    assert_eq!(world.sent().len(), 2);
}

#[test]
fn so_are_those_who_wait_for_one_room() {
    let mut config = quiet();
    config.queue_messages = 3;
    let mut world = World::welcome_to(config);
    for item in 0..5 {
        world.join(item, "tea");
    }
    assert_eq!(world.sent().len(), 1);
    let full = |item| (item, "QueueFull".to_owned());
    assert_eq!(world.outcomes(), [full(3), full(4)]);
}

#[test]
fn its_own_former_ids_are_bounded() {
    let mut world = World::welcome_to(quiet());
    let client = |number| ClientId::from_bytes(&[number; ClientId::BYTES]);
    for number in 0..150 {
        let client = client(number);
        for _ in 0..2 {
            world.say(&format!(r#"{{"type":"welcome","clientId":"{client}"}}"#));
        }
        assert_eq!(world.session.client_id(), Some(client));
    }
    let identity = &world.session.identity;
    let known: Vec<u8> = (0..150)
        .filter(|it| identity.is_own(&client(*it)))
        .collect();
    assert_eq!(known, (50..150).collect::<Vec<_>>());
}

#[test]
fn it_accepts_nothing_and_relays_nothing() {
    let mut world = World::welcome_to(quiet());
    let refused = world
        .session
        .accept(world.now, PeerAddr::Local, ListenerId(0));
    assert_eq!(refused, None);
    assert!(world.session.take_relay(ShardId(0)).is_none());
    let stale = ConnectionId::from_bits(99 << 32).expect("an id");
    assert_eq!(world.session.unsent(stale).count(), 0);
    world.input(Input::LinkReady {
        to: ShardId(1),
        credits: 1,
    });
    assert_eq!(world.told(), []);
}

/// Time that goes backwards stands still.
#[test]
fn time_never_goes_backwards() {
    let mut world = World::welcome_to(config());
    world.pass(29_000);
    world.input(Input::Tick);
    let before = world.deadline;
    let early = Now {
        mono: Instant::ZERO,
        ..world.now
    };
    let _ = world.session.handle(early, Input::Tick);
    world.drain();
    assert_eq!(world.deadline, before);
    // What is counted from then on is counted from the latest time that there was.
    let connection = world.connection.take().expect("a connection");
    let end = TransportEnd::Reset;
    let _ = world
        .session
        .handle(early, Input::Ended { connection, end });
    world.drain();
    assert_eq!(world.wait_ms(), 1_000);
}

/// A driver that says what cannot be does no harm.
#[test]
fn what_a_driver_says_twice_means_nothing() {
    let mut world = World::welcome_to(quiet());
    world.connect();
    world.text(1, "still open");
    assert_eq!(world.sent(), ["still open"]);
    let connection = world.connection.expect("a connection");
    world.input(Input::Sent {
        connection,
        bytes: 1_000,
        blocked: false,
    });
    world.text(2, "and again");
    assert_eq!(world.sent(), ["and again"]);
    world.told();
    // One that had been made and could not be made has ended.
    world.connection = None;
    world.input(Input::ConnectFailed { connection });
    let told = world.told();
    assert_eq!(state_of(&told), Some(State::Waiting));
    assert_eq!(closed(&told)[0].cause, CloseCause::Lost);
}

/// A program that has no room for events hears of none, and holds up nothing else.
#[test]
fn events_that_are_held_hold_up_nothing() {
    let mut world = World::welcome_to(quiet());
    world.session.hold_events(true);
    world.say(r#"{"type":"news"}"#);
    world.text(1, "goes all the same");
    assert_eq!(world.told(), []);
    assert_eq!(world.sent(), ["goes all the same"]);
    world.command(Command::Close);
    world.cut();
    assert_eq!(world.told(), []);
    world.session.hold_events(false);
    world.input(Input::Tick);
    let told = world.told();
    assert!(matches!(told.first(), Some(Event::Message(_))), "{told:?}");
    assert!(matches!(told.last(), Some(Event::Ended(_))), "{told:?}");
}

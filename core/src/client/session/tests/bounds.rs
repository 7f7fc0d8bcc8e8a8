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

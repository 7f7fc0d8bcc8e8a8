//! The end of a session.

use super::*;

/// covers A4-11: final while a reconnect is pending, and as often as it is asked for.
#[test]
fn close_is_final_while_a_reconnect_is_pending() {
    let mut world = World::new(config());
    world.cut();
    world.told();
    world.command(Command::Close);
    world.command(Command::Close);
    assert_eq!(
        world.told(),
        [Event::State(State::Closed), Event::Ended(EndCause::Command)]
    );
    world.pass(100_000);
    world.command(Command::Wake);
    assert_eq!((world.connects, world.deadline), (1, None));
    assert_eq!(world.told(), []);
}

/// covers A4-11: code and reason, and then the server's agreement; covers A4-17.
#[test]
fn close_says_goodbye() {
    let mut world = World::welcome_to(config());
    world.request(1, r#"{"type":"hello"}"#);
    world.sent();
    world.command(Command::Close);
    world.command(Command::Close);
    assert_eq!(world.sent(), ["close 1000 Client closing connection"]);
    let told = world.told();
    assert_eq!(state_of(&told), Some(State::Closed));
    assert_eq!(outcomes(&told), [(1, "Closed".to_owned())]);
    // What the server still says is heard by nobody.
    world.say(r#"{"type":"broadcast","from":"x","data":1,"timestamp":1}"#);
    world.close(1000);
    let told = world.told();
    let [Event::Closed(closed), Event::Ended(EndCause::Command)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        (closed.code, &closed.cause),
        (1000, &CloseCause::CloseFrame)
    );
    assert_eq!((&*world.closes, world.deadline), (&[false][..], None));
    world.pass(100_000);
    assert_eq!((world.connects, world.told()), (1, vec![]));
}

/// covers A4-04: a close before the handshake is over is no attempt that failed.
#[test]
fn close_leaves_nothing_behind_at_any_time() {
    let before_connected = |_: &mut World| {};
    let in_handshake = |world: &mut World| world.connect();
    let before_welcome = |world: &mut World| world.open();
    let pinging = |world: &mut World| {
        world.welcome(ME);
        world.pass(30_000);
    };
    let arrivals: [&dyn Fn(&mut World); 4] =
        [&before_connected, &in_handshake, &before_welcome, &pinging];
    for (at, arrive) in arrivals.into_iter().enumerate() {
        let mut world = World::new(config());
        arrive(&mut world);
        world.told();
        world.command(Command::Close);
        world.pass(100_000);
        let told = world.told();
        assert_eq!(closed(&told).len(), 1, "{at}: {told:?}");
        assert_eq!(told.last(), Some(&Event::Ended(EndCause::Command)), "{at}");
        assert_eq!((world.connects, world.connection), (1, None), "{at}");
        assert_eq!(world.deadline, None, "{at}");
    }
}

#[test]
fn a_server_that_does_not_agree_has_its_time() {
    let mut world = World::welcome_to(config());
    world.command(Command::Close);
    world.told();
    world.pass(4_999);
    assert!(world.connection.is_some());
    world.pass(1);
    assert_eq!(&*world.closes, [true]);
    let told = world.told();
    assert_eq!(closed(&told)[0].code, 1006);
    assert_eq!(told.last(), Some(&Event::Ended(EndCause::Command)));
}

/// covers A4-06: nothing is sent afterwards, and that is told.
#[test]
fn what_is_asked_of_a_closed_session_has_an_outcome() {
    let mut world = World::welcome_to(config());
    world.command(Command::Close);
    world.close(1000);
    world.told();
    world.text(1, "late");
    world.request(2, r#"{"type":"hello"}"#);
    world.join(3, "tea");
    world.leave(4, "tea");
    let expected = [1, 2, 3, 4].map(|item| (item, "Closed".to_owned()));
    assert_eq!(world.outcomes(), expected);
    assert_eq!((world.deadline, world.connects), (None, 1));
}

#[test]
fn what_the_socket_takes_before_the_goodbye_is_sent() {
    let mut world = World::welcome_to(config());
    world.takes = Some(0);
    world.text(1, "first");
    world.text(2, "second");
    world.request(3, r#"{"type":"hello"}"#);
    world.command(Command::Close);
    assert_eq!(world.outcomes(), [(3, "Closed".to_owned())]);
    world.unblock();
    let sent = |item| (item, "Sent".to_owned());
    assert_eq!(world.outcomes(), [sent(1), sent(2)]);
    assert_eq!(world.sent().len(), 4);
    // Or it does not.
    let mut world = World::welcome_to(config());
    world.takes = Some(0);
    world.text(1, "first");
    world.command(Command::Close);
    world.told();
    world.cut();
    assert_eq!(world.outcomes(), [(1, "Closed".to_owned())]);
}

/// covers A4-12: at once, by name.
#[test]
fn settings_that_can_never_work_are_errors_at_once() {
    let keys = |change: &dyn Fn(&mut SessionConfig)| {
        let mut config = SessionConfig::new("example.com");
        change(&mut config);
        Session::new(config, [7; 32], Now::default()).map_err(|error| error.key)
    };
    assert!(keys(&|_| {}).is_ok());
    type Change = &'static dyn Fn(&mut SessionConfig);
    let cases: [(&str, Change); 9] = [
        ("host", &|it| it.connection.host = "no host".to_owned()),
        ("target", &|it| it.connection.target = "ws".to_owned()),
        ("connection.protocols", &|it| {
            it.connection.protocols = vec!["roomwire.tea.v1".to_owned()];
        }),
        ("connection.max_unsent_bytes", &|it| {
            it.connection.max_unsent_bytes = 10;
        }),
        ("connect_timeout_ms", &|it| it.connect_timeout_ms = 0),
        ("heartbeat_timeout_ms", &|it| it.heartbeat_timeout_ms = 0),
        ("max_hint_ms", &|it| it.max_hint_ms = u64::MAX),
        ("max_rooms", &|it| it.max_rooms = 0),
        ("batching.max_messages", &|it| {
            it.batching = Some(Batching {
                max_messages: 0,
                ..Batching::default()
            });
        }),
    ];
    for (key, change) in cases {
        assert_eq!(keys(change).err().as_deref(), Some(key));
    }
}

/// A close frame with this code, to which the socket does not take the answer.
fn closed_and_stuck(code: u16) -> World {
    let mut world = World::welcome_to(quiet());
    world.takes = Some(0);
    let mut frame = b"\x88\x02".to_vec();
    frame.extend(code.to_be_bytes());
    world.bytes(&frame);
    let told = world.told();
    assert_eq!(closed(&told)[0].code, code);
    assert!(!matches!(told.last(), Some(Event::Ended(_))));
    world
}

#[test]
fn an_answer_that_is_not_taken_has_its_time() {
    let mut world = closed_and_stuck(1008);
    world.pass(4_999);
    assert!(world.connection.is_some());
    world.pass(1);
    assert_eq!((&*world.closes, world.deadline), (&[true][..], None));
    assert!(matches!(
        world.told()[..],
        [Event::Ended(EndCause::Server(_))]
    ));
    // Or until there is another attempt.
    let mut world = closed_and_stuck(1012);
    world.pass(999);
    assert!(world.connection.is_some());
    world.pass(1);
    assert_eq!((&*world.closes, world.connects), (&[true][..], 2));
    assert!(world.connection.is_some());
}

#[test]
fn an_answer_still_goes_when_the_server_has_finished_writing() {
    let mut world = closed_and_stuck(1012);
    let connection = world.connection.expect("a connection");
    world.input(Input::ReadEnd { connection });
    assert!(world.connection.is_some());
    world.unblock();
    assert_eq!(world.sent(), ["close 1012 "]);
    assert_eq!((&*world.closes, world.connection), (&[false][..], None));
    // One without anything to say is closed at once.
    let mut world = World::welcome_to(quiet());
    let connection = world.connection.expect("a connection");
    world.input(Input::ReadEnd { connection });
    assert_eq!((&*world.closes, world.wait_ms()), (&[false][..], 1_000));
}

/// What the driver has not heard of it need not hear of the end of.
#[test]
fn a_connection_that_nobody_has_polled_is_not_closed() {
    let now = Now::default();
    let mut session = Session::new(config(), [7; 32], now).expect("a config");
    let _ = session.handle(now, Input::Command(Command::Close));
    let mut outputs = Vec::new();
    loop {
        match session.poll() {
            Output::Event(event) => outputs.push(event),
            output => {
                assert_eq!(output, Output::Idle { deadline: None });
                break;
            }
        }
    }
    assert!(matches!(
        outputs[..],
        [
            Event::State(State::Closed),
            Event::Closed(_),
            Event::Ended(EndCause::Command)
        ]
    ));
}

/// An id ends once: a socket that is gone by itself is not to be closed.
#[test]
fn what_has_ended_is_not_closed() {
    for fails in [false, true] {
        let mut world = World::new(config());
        let connection = world.connection.take().expect("a connection");
        let _ = world
            .session
            .handle(world.now, Input::Command(Command::Close));
        let end = TransportEnd::Reset;
        world.input(if fails {
            Input::ConnectFailed { connection }
        } else {
            Input::Ended { connection, end }
        });
        assert_eq!((&*world.closes, world.session.stats().stale), (&[][..], 0));
        let told = world.told();
        assert_eq!(closed(&told).len(), 1);
        assert_eq!(told.last(), Some(&Event::Ended(EndCause::Command)));
    }
}

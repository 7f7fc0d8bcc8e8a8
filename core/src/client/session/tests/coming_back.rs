//! When a session comes back, and whether.

use super::*;

/// covers A4-02: twice as long each time, up to half a minute.
#[test]
fn each_wait_is_twice_as_long() {
    let mut config = config();
    config.max_reconnect_attempts = None;
    let mut world = World::new(config);
    for (attempt, wait_s) in [1, 2, 4, 8, 16, 30, 30, 30].into_iter().enumerate() {
        world.cut();
        assert_eq!(world.wait_ms(), wait_s * 1_000);
        world.pass(wait_s * 1_000 - 1);
        assert_eq!(world.connects, attempt + 1);
        world.pass(1);
        assert_eq!(world.connects, attempt + 2);
    }
}

/// covers A4-02: the same seed waits the same parts of it, another one others.
#[test]
fn with_jitter_any_part_is_waited() {
    let waits = |seed: u8| -> Vec<u128> {
        let now = Now::default();
        let config = SessionConfig::unlimited("example.com");
        let mut session = Session::new(config, [seed; 32], now).expect("a config");
        let mut waits = Vec::new();
        let mut now = now;
        while waits.len() < 40 {
            match session.poll() {
                Output::Connect { connection, .. } => {
                    let _ = session.handle(now, Input::ConnectFailed { connection });
                }
                Output::Event(Event::Closed(closed)) => {
                    let wait = closed.reconnect_in.expect("another");
                    waits.push(wait.as_micros());
                }
                Output::Idle { deadline } => now.mono = deadline.expect("a deadline"),
                _ => {}
            }
            let _ = session.handle(now, Input::Tick);
        }
        waits
    };
    let first = waits(1);
    assert_eq!(first, waits(1));
    assert_ne!(first, waits(2));
    for (attempt, wait) in first.iter().enumerate() {
        let longest = (1_000_000_u128 << attempt.min(5)).min(30_000_000);
        assert!(*wait <= longest, "{wait} of {longest}");
    }
    let late = &first[5..];
    assert!(late.iter().any(|wait| *wait < 10_000_000), "{late:?}");
    assert!(late.iter().any(|wait| *wait > 20_000_000), "{late:?}");
}

/// covers A4-04: one last event, with its cause.
#[test]
fn it_is_given_up_after_so_many_attempts() {
    let mut config = config();
    config.max_reconnect_attempts = Some(3);
    let mut world = World::new(config);
    world.request(1, r#"{"type":"ping"}"#);
    world.join(2, "tea");
    for attempt in 0..3 {
        world.cut();
        assert_eq!(world.session.state(), State::Waiting);
        world.pass(1_000 << attempt);
    }
    world.told();
    world.cut();
    let told = world.told();
    assert_eq!(state_of(&told), Some(State::Closed));
    let dropped = |item| (item, "Closed".to_owned());
    assert_eq!(outcomes(&told), [dropped(1), dropped(2)]);
    let Some(Event::Ended(EndCause::TooManyAttempts(last))) = told.last() else {
        panic!("{told:?}");
    };
    assert_eq!((last.code, &last.cause), (1006, &CloseCause::Lost));
    assert_eq!((world.connects, world.deadline), (4, None));
    world.pass(1_000_000);
    assert_eq!(world.told(), []);
}

/// covers A4-05: an open socket is none that lasts, nor is one without a welcome.
#[test]
fn attempts_count_until_a_connection_has_lasted() {
    let mut config = quiet();
    config.max_reconnect_attempts = None;
    let mut world = World::new(config);
    let wait = |world: &mut World, ms| {
        world.cut();
        assert_eq!(world.wait_ms(), ms);
        world.pass(ms);
    };
    wait(&mut world, 1_000);
    world.welcome(ME);
    world.pass(4_999);
    wait(&mut world, 2_000);
    world.open();
    world.pass(14_000);
    wait(&mut world, 4_000);
    world.welcome(ME);
    world.pass(5_000);
    wait(&mut world, 1_000);
}

/// covers A4-03: the table of PROTOCOL.md, row by row.
#[test]
fn it_comes_back_or_not_as_the_close_code_says() {
    let protocol = include_str!("../../../../PROTOCOL.md");
    let table = protocol.split("| code | when | come back |\n").nth(1);
    let rows = table.and_then(|rest| rest.split("\n\n").next());
    let mut seen = 0;
    for row in rows.expect("a table").lines().skip(1) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let numbers = cells[1].split(|it: char| !it.is_ascii_digit());
        for code in numbers.filter_map(|it| it.parse().ok()) {
            let comes_back = cells[3] == "yes";
            assert_eq!(!is_final(code), comes_back, "{code}");
            seen += 1;
            // Those that a server never sends are what its end without them is called.
            if matches!(code, 1005 | 1006) {
                continue;
            }
            let mut world = World::welcome_to(quiet());
            world.close(code);
            let told = world.told();
            let expected = if comes_back {
                State::Waiting
            } else {
                State::Closed
            };
            assert_eq!(world.session.state(), expected, "{code}");
            let [closed] = closed(&told)[..] else {
                panic!("{told:?}");
            };
            assert_eq!((closed.code, &*closed.reason), (code, "bye"));
            assert_eq!(closed.reconnect_in.is_some(), comes_back);
            let ended = matches!(told.last(), Some(Event::Ended(EndCause::Server(_))));
            assert_eq!(ended, !comes_back, "{told:?}");
            assert_eq!(world.deadline.is_some(), comes_back);
        }
    }
    assert!(seen >= 15, "{seen} codes");
    for code in [1000, 1002, 1003, 1007, 1008, 1009, 1010] {
        assert!(is_final(code), "{code}");
    }
    for code in [1001, 1005, 1006, 1011, 1012, 1013] {
        assert!(!is_final(code), "{code}");
    }
}

/// covers A4-03: what the server says beats the code, and its time is the least.
#[test]
fn a_hint_of_the_server_overrides() {
    let mut world = World::welcome_to(quiet());
    world.say(
        r#"{"type":"closing","code":1012,"reason":"server is restarting","reconnectAfterMs":4000}"#,
    );
    world.close(1000);
    assert_eq!(
        (world.session.state(), world.wait_ms()),
        (State::Waiting, 4_000)
    );
    world.command(Command::Wake);
    assert_eq!(world.connects, 1, "the server has said when");
    world.pass(4_000);
    assert_eq!(world.connects, 2);
    world.welcome(ME);
    world.say(r#"{"type":"closing","code":1012,"reason":"do not come back"}"#);
    world.close(1012);
    assert_eq!(world.session.state(), State::Closed);
    // However far away, it is bounded.
    let mut world = World::welcome_to(quiet());
    let hint = u64::MAX;
    world.say(&format!(
        r#"{{"type":"closing","code":1012,"reason":"","reconnectAfterMs":{hint}}}"#
    ));
    world.close(1012);
    assert_eq!(world.wait_ms(), 86_400_000);
}

/// covers A4-03: a handshake that is refused in HTTP.
#[test]
fn a_refused_handshake_is_final_unless_it_may_pass() {
    for (status, is_final) in [
        (401, true),
        (403, true),
        (404, true),
        (426, true),
        (302, true),
        (501, true),
        (408, false),
        (429, false),
        (500, false),
        (502, false),
        (503, false),
    ] {
        let mut world = World::new(quiet());
        world.connect();
        world.bytes(format!("HTTP/1.1 {status} Reason\r\nRetry-After: 7\r\n\r\n").as_bytes());
        assert_eq!(world.session.state() == State::Closed, is_final, "{status}");
        let told = world.told();
        let [closed] = closed(&told)[..] else {
            panic!("{told:?}");
        };
        assert_eq!(closed.cause, CloseCause::Refused { status });
        if !is_final {
            assert_eq!(world.wait_ms(), 7_000, "{status}");
        }
    }
    let mut world = World::new(quiet());
    world.connect();
    world.bytes(b"SSH-2.0-server\r\n");
    let told = world.told();
    assert!(matches!(
        closed(&told)[..],
        [Closed {
            code: 1006,
            cause: CloseCause::BadResponse(_),
            ..
        }]
    ));
    assert_eq!(world.session.state(), State::Waiting);
}

/// covers A4-17: an attempt that fails tells why.
#[test]
fn an_attempt_that_fails_is_one() {
    let mut world = World::new(config());
    let connection = world.connection.take().expect("a connection");
    world.input(Input::ConnectFailed { connection });
    let told = world.told();
    let [failed] = closed(&told)[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        (failed.code, &failed.cause, failed.reconnect_in),
        (
            1006,
            &CloseCause::ConnectFailed,
            Some(Duration::from_secs(1))
        )
    );
    world.pass(1_000);
    assert_eq!(world.connects, 2);
}

/// covers A4-13: what a former connection still does is nobody's business.
#[test]
fn late_news_of_a_former_connection_changes_nothing() {
    let mut world = World::new(config());
    let first = world.connection.expect("a connection");
    world.pass(15_000);
    assert_eq!((&*world.closes, world.connection), (&[true][..], None));
    let told = world.told();
    assert_eq!(closed(&told)[0].cause, CloseCause::NoAnswer);
    world.pass(1_000);
    assert_eq!(world.connects, 2);
    let second = world.connection.expect("another");
    assert_ne!(first, second);
    world.told();
    let before = world.deadline;
    let connection = first;
    world.input(Input::Connected { connection });
    let mut bytes = b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec();
    world.input(Input::Received {
        connection,
        bytes: &mut bytes,
    });
    world.input(Input::Sent {
        connection,
        bytes: 5,
        blocked: true,
    });
    world.input(Input::Writable { connection });
    world.input(Input::ReadEnd { connection });
    world.input(Input::ConnectFailed { connection });
    world.input(Input::Ended {
        connection,
        end: TransportEnd::Reset,
    });
    assert_eq!(world.told(), []);
    assert_eq!(world.session.state(), State::Connecting);
    assert_eq!((world.deadline, world.session.stats().stale), (before, 7));
    world.welcome(ME);
    assert_eq!(world.session.state(), State::Open);
}

#[test]
fn who_is_woken_tries_at_once() {
    let mut config = config();
    config.reconnect_interval_ms = 20_000;
    let mut world = World::new(config);
    world.cut();
    world.command(Command::Wake);
    assert_eq!(
        (world.connects, world.session.state()),
        (2, State::Connecting)
    );
    world.command(Command::Wake);
    assert_eq!(world.connects, 2);
    // One that seems to be open is asked, once.
    world.welcome(ME);
    world.command(Command::Wake);
    world.command(Command::Wake);
    assert_eq!(world.sent_plain(), [r#"{"type":"ping"}"#]);
}

/// covers A4-14: one state, told in order.
#[test]
fn states_are_told_in_order() {
    let mut world = World::new(quiet());
    assert_eq!(world.session.state(), State::Connecting);
    world.join(1, "tea");
    world.welcome(ME);
    assert_eq!(world.session.state(), State::Resuming);
    assert_eq!(world.session.client_id(), ClientId::parse(ME));
    let id = world.only_id();
    world.say(&format!(
        r#"{{"type":"joined_room","id":{id},"room":"tea","members":[],"total":1}}"#
    ));
    world.cut();
    world.pass(1_000);
    world.command(Command::Close);
    assert_eq!(
        world.states(),
        [
            State::Resuming,
            State::Open,
            State::Waiting,
            State::Connecting,
            State::Closed
        ]
    );
}

//! Signs of life, on connections: the timing faults of the guide's client, each as it was.

use super::*;

/// One that has just pinged: the ping's id.
fn pinged() -> (World, String) {
    let mut world = World::welcome_to(config());
    world.pass(30_000);
    let id = world.only_id();
    (world, id)
}

fn pong(id: &str) -> String {
    format!(r#"{{"type":"pong","id":{id},"timestamp":1}}"#)
}

/// covers A4-08: a healthy link whose first answer is slow lives.
#[test]
fn a_slow_first_answer_kills_nothing() {
    let (mut world, mut id) = pinged();
    for _ in 0..5 {
        world.pass(14_999);
        world.say(&pong(&id));
        world.pass(30_000);
        let next = world.only_id();
        assert_ne!(next, id);
        id = next;
    }
    assert_eq!(world.told(), [], "and nobody is told of pings");
}

/// covers A4-08: a dead peer is found within interval and timeout, whenever it dies.
#[test]
fn the_dead_are_found_in_time() {
    for died_ms in (0..30_000).step_by(997) {
        let mut world = World::welcome_to(config());
        world.pass(died_ms);
        world.say(r#"{"type":"user_typing"}"#);
        let last = world.now.mono;
        world.told();
        while world.session.state() == State::Open {
            world.pass(world.wait_ms());
        }
        let found = world.now.mono.saturating_since(last);
        assert!(found <= Duration::from_secs(45), "{died_ms}: {found:?}");
        let told = world.told();
        assert_eq!(closed(&told)[0].cause, CloseCause::NoPong);
        assert_eq!((closed(&told)[0].code, &*world.closes), (1006, &[true][..]));
    }
}

/// covers A4-08: no timer outlives its connection; the next one begins with its own.
#[test]
fn no_timer_outlives_its_connection() {
    let (mut world, _) = pinged();
    world.cut();
    assert_eq!(world.wait_ms(), 1_000);
    world.pass(1_000);
    world.welcome(ME_AGAIN);
    world.sent();
    world.told();
    world.pass(29_999);
    assert_eq!((world.sent(), world.told()), (vec![], vec![]));
    assert_eq!((world.connects, world.session.state()), (2, State::Open));
    // The wait of that connection is whole, too.
    world.pass(1 + 14_999);
    assert_eq!(world.session.state(), State::Open);
    world.pass(1);
    assert_eq!(world.session.state(), State::Waiting);
}

/// covers A4-08: a pong of before is none of now.
#[test]
fn a_pong_that_is_late_for_another_ping_is_no_answer() {
    let (mut world, id) = pinged();
    world.say(&pong(&id));
    world.pass(30_000);
    world.say(&pong(&id));
    world.say(r#"{"type":"pong","timestamp":1}"#);
    world.pass(15_000);
    assert_eq!(world.session.state(), State::Waiting);
}

#[test]
fn a_pong_behind_other_messages_is_waited_for() {
    let (mut world, _) = pinged();
    world.pass(10_000);
    world.say(r#"{"type":"user_typing"}"#);
    world.pass(5_000);
    assert_eq!(world.session.state(), State::Open);
    assert_eq!(world.sent_plain(), [r#"{"type":"ping"}"#]);
    world.pass(14_999);
    // Half of a message is a sign, too, and so is a ping of the server.
    world.bytes(b"\x81\x05ab");
    world.pass(15_000);
    world.bytes(b"cde");
    world.pass(15_000);
    world.bytes(b"\x89\x00");
    world.pass(15_000);
    assert_eq!(world.session.state(), State::Open);
    world.pass(1);
    assert_eq!(world.session.state(), State::Waiting);
}

#[test]
fn a_timer_that_slept_asks_again_first_and_once() {
    let (mut world, _) = pinged();
    world.sleep(3_600_000);
    assert_eq!(world.session.state(), State::Open);
    let id = world.only_id();
    world.pass(14_000);
    world.say(&pong(&id));
    world.pass(30_000);
    world.sent();
    world.sleep(3_600_000);
    assert_eq!(world.sent().len(), 1);
    world.sleep(3_600_000);
    assert_eq!(world.session.state(), State::Waiting);
}

#[test]
fn pings_can_be_switched_off() {
    let mut world = World::welcome_to(quiet());
    world.pass(5_000);
    assert_eq!((world.deadline, world.sent()), (None, vec![]));
}

/// Silence while nothing is read proves nothing.
#[test]
fn who_does_not_read_gives_nobody_up() {
    let mut config = config();
    config.max_queued_events = 2;
    let mut world = World::welcome_to(config);
    world.pass(30_000);
    let id = world.only_id();
    // Nobody polls.
    for _ in 0..2 {
        let mut frame = Vec::new();
        put_frame(&mut frame, OpCode::Data(Data::Text), b"{\"type\":\"x\"}");
        let connection = world.connection.expect("a connection");
        let bytes = &mut frame;
        let _ = world
            .session
            .handle(world.now, Input::Received { connection, bytes });
    }
    let connection = world.connection.expect("a connection");
    let wanted = false;
    assert_eq!(
        world.session.poll(),
        Output::ReadInterest { connection, wanted }
    );
    world.now.mono = world.now.mono + Duration::from_millis(15_500);
    let _ = world.session.handle(world.now, Input::Tick);
    assert_eq!(world.session.state(), State::Open);
    world.drain();
    assert!(world.reading);
    world.say(&pong(&id));
    world.pass(14_000);
    assert_eq!(world.session.state(), State::Open);
}

/// An answer that came while nothing was read is only read now: silence is counted from here.
#[test]
fn nor_does_who_has_only_begun_to_read_again() {
    let mut config = config();
    config.max_queued_events = 2;
    let mut world = World::welcome_to(config);
    world.pass(29_000);
    let connection = world.connection.expect("a connection");
    for _ in 0..2 {
        let mut frame = Vec::new();
        put_frame(&mut frame, OpCode::Data(Data::Text), b"{\"type\":\"x\"}");
        let bytes = &mut frame;
        let _ = world
            .session
            .handle(world.now, Input::Received { connection, bytes });
    }
    let wanted = false;
    assert_eq!(
        world.session.poll(),
        Output::ReadInterest { connection, wanted }
    );
    // It pings, and nobody polls until the answer is all but due.
    for ms in [1_000, 14_900] {
        world.now.mono = world.now.mono + Duration::from_millis(ms);
        let _ = world.session.handle(world.now, Input::Tick);
    }
    world.drain();
    assert!(world.reading);
    world.sent();
    world.pass(100);
    assert_eq!(world.session.state(), State::Open);
    let id = world.only_id();
    world.say(&pong(&id));
    world.pass(29_999);
    assert_eq!(world.session.state(), State::Open);
}

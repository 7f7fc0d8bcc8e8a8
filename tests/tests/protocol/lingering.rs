//! After a client's close frame: it is answered, and its end is waited for, so that the answer is not lost to a
//! reset. A socket that is closed while something of the peer's lies in it unread is reset by the system.

use roomwire_core::Config;
use roomwire_core::server::{CloseCause, Command, Event};
use roomwire_tests::{Ending, Message, Opcode, Peer, World, masked};
use serde_json::json;

fn close_frame(code: u16) -> Vec<u8> {
    masked(Opcode::Close, true, &code.to_be_bytes())
}

/// What may follow a close frame: another one, messages, and what is no frame at all.
fn noise() -> Vec<u8> {
    let said = br#"{"type":"room_message","room":"tea","data":"noise","id":1}"#;
    let frames = [
        masked(Opcode::Close, true, &[]),
        masked(Opcode::Ping, true, b"noise"),
        masked(Opcode::Text, true, said),
        vec![0xFF; 1_000],
    ];
    frames.concat()
}

fn is_answered(world: &mut World, client: Peer, code: u16) {
    let answer = world.next_message(client);
    assert_eq!(answer, Some(Message::Close(code, String::new())));
}

/// It is over for the others, but its socket lives, is read, and takes no more writes.
fn assert_lingers(world: &mut World, client: Peer) {
    assert_eq!(world.ending(client), None);
    let connection = world.connection(client);
    let pipe = world.driver().pipe(connection);
    assert!(pipe.is_finished() && !pipe.is_paused());
}

fn closed_events(world: &mut World) -> Vec<(CloseCause, u16)> {
    let events = world.events().into_iter();
    let closed = events.filter_map(|event| match event {
        Event::Closed { cause, code, .. } => Some((cause, code)),
        _ => None,
    });
    closed.collect()
}

// covers A3-19
#[test]
fn what_comes_after_a_close_frame_is_thrown_away() {
    for in_one_read in [true, false] {
        let mut world = World::default();
        let (ada, bob) = (world.connect(), world.connect());
        world.join(ada, "tea");
        world.join(bob, "tea");
        world.expect(ada, "member_joined");
        world.events();
        if in_one_read {
            world.send_bytes(bob, &[close_frame(4000), noise()].concat());
        } else {
            world.send_bytes(bob, &close_frame(4000));
            world.send_bytes(bob, &noise());
        }
        is_answered(&mut world, bob, 4000);
        assert_lingers(&mut world, bob);
        world.send_bytes(bob, &noise());
        world.advance_ms(1_000);
        assert_lingers(&mut world, bob);
        assert_eq!(world.next_message(bob), None);
        // It has left when it said so.
        world.expect(ada, "member_left");
        world.expect_nothing(ada);
        let stats = world.stats();
        assert_eq!((stats.clients, stats.connections), (1, 2));
        assert_eq!(stats.buffered_bytes, 0);
        assert_eq!(closed_events(&mut world), []);
        world.finish(bob);
        assert_eq!(world.ending(bob), Some(Ending::Closed));
        assert_eq!(closed_events(&mut world), [(CloseCause::Client, 4000)]);
        world.close(ada);
        world.assert_empty();
    }
}

// covers A3-19
#[test]
fn an_end_along_with_the_close_frame_is_not_waited_for() {
    let mut world = World::default();
    let client = world.connect();
    world.post(client, &close_frame(1000));
    world.post(client, &noise());
    world.finish(client);
    is_answered(&mut world, client, 1000);
    assert_eq!(world.ending(client), Some(Ending::Closed));
    world.assert_empty();
}

/// A client that has said goodbye and stays is given up, in order: what it was sent may still be on its way.
// covers A3-16: timeouts.linger_ms
#[test]
fn a_client_that_says_goodbye_and_stays_is_closed() {
    let mut world = World::default();
    let client = world.connect();
    world.events();
    world.send_bytes(client, &close_frame(1000));
    world.advance_ms(2_000);
    // Speaking is no reason to wait longer.
    world.send_bytes(client, &noise());
    world.advance_ms(2_999);
    assert_lingers(&mut world, client);
    world.advance_ms(1);
    assert_eq!(world.ending(client), Some(Ending::Closed));
    is_answered(&mut world, client, 1000);
    assert_eq!(closed_events(&mut world), [(CloseCause::Client, 1000)]);
    world.assert_empty();
}

// covers A3-16: timeouts.linger_ms
#[test]
fn a_client_that_does_not_take_the_answer_is_reset() {
    let mut world = World::default();
    let client = world.connect();
    world.dam(client);
    world.send_bytes(client, &close_frame(1000));
    world.advance_ms(4_999);
    assert_eq!(world.ending(client), None);
    world.advance_ms(1);
    assert_eq!(world.ending(client), Some(Ending::Reset));
    world.assert_empty();
}

#[test]
fn no_more_is_thrown_away_than_16_mib() {
    const MOST: usize = 16 * 1024 * 1024;
    let mut world = World::default();
    let client = world.connect();
    world.send_bytes(client, &close_frame(1000));
    world.send_bytes(client, &vec![0; MOST - 1]);
    assert_lingers(&mut world, client);
    world.send_bytes(client, &[0]);
    assert_eq!(world.ending(client), Some(Ending::Reset));
    world.assert_empty();
}

// ---- who is not waited for

/// Its place is free when it has its answer, for whoever comes back.
// covers A3-16: limits.max_connections, limits.max_connections_per_ip
#[test]
fn a_place_that_others_may_want_is_not_held() {
    let total: fn(&mut Config) = |config| config.limits.max_connections = Some(3);
    let address: fn(&mut Config) = |config| config.limits.max_connections_per_ip = Some(3);
    for limit in [total, address] {
        let mut config = Config::default();
        limit(&mut config);
        let mut world = World::alone(config);
        let (first, second) = (world.connect(), world.connect());
        // There is a place left.
        world.send_bytes(first, &close_frame(1000));
        assert_lingers(&mut world, first);
        world.connect();
        // There is none.
        world.send_bytes(second, &close_frame(1000));
        is_answered(&mut world, second, 1000);
        assert_eq!(world.ending(second), Some(Ending::Closed));
        world.connect();
        assert_lingers(&mut world, first);
    }
}

/// Neither those who have said goodbye before, nor those who do so then.
#[test]
fn a_drain_does_not_wait_for_those_who_have_said_goodbye() {
    let mut world = World::default();
    let clients = world.connect_many(3);
    let [before, told, busy] = clients[..] else {
        panic!("three clients");
    };
    world.send_bytes(before, &close_frame(1000));
    world.dam(busy);
    world.send_bytes(busy, &close_frame(1000));
    assert_lingers(&mut world, before);
    world.command(Command::Drain);
    assert_eq!(world.ending(before), Some(Ending::Closed));
    // What has not left yet is not cut off; nor does it hold the drain up when it has.
    assert_eq!(world.ending(busy), None);
    world.release(busy);
    is_answered(&mut world, busy, 1000);
    assert_eq!(world.ending(busy), Some(Ending::Closed));
    assert!(!world.events().contains(&Event::Drained));
    world.close(told);
    assert!(world.events().contains(&Event::Drained));
    world.assert_empty();
}

/// Those who say nothing are told, as ever, and are waited for.
#[test]
fn a_drain_waits_for_those_whom_it_tells() {
    let mut world = World::default();
    let client = world.connect();
    world.command(Command::Drain);
    assert_eq!(world.expect(client, "closing")["code"], json!(1012));
    world.send_bytes(client, &close_frame(1012));
    world.advance_ms(4_999);
    assert_eq!(world.ending(client), None);
    world.finish(client);
    assert_eq!(world.ending(client), Some(Ending::Closed));
    assert!(world.events().contains(&Event::Drained));
}

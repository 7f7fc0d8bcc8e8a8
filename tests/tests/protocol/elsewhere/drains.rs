//! Sessions that leave a server as it is drained.

use roomwire_core::server::{Command, Event};
use roomwire_tests::Poll;

use super::*;

/// What a drain has let go is not there a second time, whoever has had it last and however it has ended.
#[test]
fn what_a_drain_has_let_go_is_gone() {
    for goodbye in [false, true] {
        let [(mut one, ada), _] = two();
        let bob = one.connect();
        let session = session(&mut one, bob);
        one.reset(bob);
        let back = one.connect();
        one.forget();
        one.send(back, &resume(&session));
        resumed(&mut one, back, &session);
        write(&mut one, ada, &session, 1);
        // The server waits for others that are slow to go.
        one.stall(ada);
        one.command(Command::Drain);
        let let_go = left(&mut one);
        assert_eq!(let_go.len(), 1, "it is told of once");
        assert!(let_go[0].1.is_some());
        if goodbye {
            one.reset(back);
        }
        assert_eq!(take(&mut one, id(&session)), None, "a second one");
    }
}

/// Clients are told to go before what nobody has leaves: a program that is slow to take that keeps nobody.
#[test]
fn clients_are_told_before_parked_sessions_leave() {
    const PARKED: usize = 20;
    let [(mut one, ada), _] = two();
    for _ in 0..PARKED {
        let peer = one.connect();
        session(&mut one, peer);
        one.reset(peer);
    }
    // Somebody is on every shard.
    one.connect_many(usize::from(shards_of_tests()));
    one.forget();
    one.events();
    let told = one.driver().transmits();
    one.driver().command(Command::Drain);
    let mut gone = 0;
    while one.driver().transmits() == told {
        assert_eq!(one.driver().poll(), Poll::Busy, "nobody is told");
        gone += one.driver().take_events().len();
    }
    assert_eq!(gone, 0, "events before anybody was told");
    one.settle();
    assert_eq!(one.close_frame(ada).map(|(code, _)| code), Some(1012));
    one.advance_ms(config(None).drain.timeout_ms);
    let events = one.events();
    assert_eq!(events.last(), Some(&Event::Drained));
    let left = events.iter().filter(|event| {
        matches!(
            event,
            Event::SessionLeft {
                session: Some(_),
                ..
            }
        )
    });
    assert_eq!(left.count(), PARKED);
}

/// A session that another server takes while the server leaves is not waited for any longer.
#[test]
fn a_drain_does_not_wait_for_what_was_taken() {
    let [(mut one, ada), _] = two();
    let bob = one.connect();
    let session = session(&mut one, bob);
    one.reset(bob);
    one.reset(ada);
    one.events();
    one.driver().command(Command::Drain);
    one.driver().command(Command::TakeSession {
        client: id(&session),
        asked_ms: u64::MAX,
    });
    one.settle();
    let events = one.events();
    assert_eq!(events.last(), Some(&Event::Drained), "{events:?}");
    let left = events
        .iter()
        .filter(|it| matches!(it, Event::SessionLeft { .. }));
    assert_eq!(left.count(), 1);
}

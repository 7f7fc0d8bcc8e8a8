//! Futures that are dropped, each after every number of polls: nothing is lost, nothing is done twice.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use roomwire_runtime::client::Item;

pub(super) fn play<R: Runtime>(start: Start) {
    receipts_that_are_dropped_lose_nothing::<R>(start);
    events_that_are_not_awaited_to_the_end_are_not_lost::<R>(start);
    those_who_wait_for_nothing_can_go::<R>(start);
}

/// Polls a future so often, with time to pass in between, and drops it then. What it came to, if it did.
fn polled<F: Future>(times: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for time in 0..times {
        if time > 0 {
            thread::sleep(Duration::from_micros(200));
        }
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
    }
    None
}

/// Every request is dropped after n polls, for every n until it is done by then. Each has one outcome, told by its receipt
/// or by an event, and each message is heard once, in order.
// covers A4-06, A4-07
fn receipts_that_are_dropped_lose_nothing<R: Runtime>(start: Start) {
    let server = free(start);
    let (ada, mut heard) = connect::<R>(settings(server.address));
    let (bob, mut told) = connect::<R>(settings(server.address));
    done(ada.join("tea"));
    done(bob.join("tea"));
    let mut awaited: BTreeMap<Item, u32> = BTreeMap::new();
    let mut outcomes: BTreeMap<Item, u32> = BTreeMap::new();
    let (mut said_count, mut done_in_time) = (0_u32, 0);
    // Far more polls than it takes, until several in a row were done before they were dropped.
    for polls in 0..10_000 {
        if done_in_time >= 20 {
            break;
        }
        let say = bob.say("tea", &said_count.to_string()).expect("room");
        said_count += 1;
        // And what has its effect in the client itself.
        let join = bob.join(&format!("room {}", polls % 3)).expect("room");
        let leave = bob.leave(&format!("room {}", polls % 3)).expect("room");
        done_in_time += 1;
        for receipt in [say, join, leave] {
            let item = receipt.item();
            *awaited.entry(item).or_default() += 1;
            match polled(polls, receipt) {
                Some(_) => *outcomes.entry(item).or_default() += 1,
                None => done_in_time = 0,
            }
        }
    }
    assert!(done_in_time >= 20, "they are never done");
    done(bob.say("tea", "\"end\""));
    let mut expected = 0;
    until(&mut heard, |event| {
        let text = said(event)?;
        if text == "\"end\"" {
            return Some(());
        }
        assert_eq!(
            text,
            expected.to_string(),
            "lost, or twice, or out of order"
        );
        expected += 1;
        None
    });
    assert_eq!(expected, said_count);
    // The events tell of the others.
    while outcomes.len() < awaited.len() {
        let (item, outcome) = until(&mut told, |event| match event {
            Event::Outcome { item, outcome } => Some((item, outcome)),
            _ => None,
        });
        assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
        *outcomes.entry(item).or_default() += 1;
    }
    bob.close();
    for event in told {
        assert!(
            !matches!(event, Event::Outcome { .. }),
            "{event:?} is told twice"
        );
    }
    assert_eq!(awaited, outcomes);
    (server.kill)();
}

/// The same for who takes events: each comes once, whenever nobody waited for it any more.
fn events_that_are_not_awaited_to_the_end_are_not_lost<R: Runtime>(start: Start) {
    let server = free(start);
    let (ada, mut heard) = connect::<R>(settings(server.address));
    let (bob, _) = connect::<R>(settings(server.address));
    done(ada.join("tea"));
    done(bob.join("tea"));
    let mut next = 0;
    for polls in 0..50 {
        for number in polls * 4..(polls + 1) * 4 {
            drop(bob.say("tea", &number.to_string()).expect("room"));
        }
        for _ in 0..6 {
            let event = polled(polls, Events::next(&mut heard)).flatten();
            if let Some(text) = event.and_then(said) {
                assert_eq!(text, next.to_string());
                next += 1;
            }
        }
    }
    while next < 200 {
        let text = until(&mut heard, said);
        assert_eq!(text, next.to_string());
        next += 1;
    }
    (server.kill)();
}

fn those_who_wait_for_nothing_can_go<R: Runtime>(start: Start) {
    let server = free(start);
    let (client, _) = connect::<R>(settings(server.address));
    for polls in 0..5 {
        assert!(polled(polls, client.closed()).is_none());
        if polls > 0 {
            assert_eq!(polled(polls, client.ready()), Some(Ok(())));
        }
    }
    done(client.join("tea"));
    client.close();
    assert!(client.wait_closed(PATIENCE));
    assert!(polled(1, client.closed()).is_some());
    assert!(polled(1, client.ready()).expect("an answer").is_err());
    (server.kill)();
}

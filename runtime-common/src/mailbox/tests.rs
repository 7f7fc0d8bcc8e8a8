use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::TryRecvError;
use std::thread;

use roomwire_core::server::{Command, Event};

use super::{Letter, MAILBOX, events, mailbox};
use crate::error::Ended;

/// Whether the loop would wake; takes what was rung.
fn rings(mut ear: &UnixStream) -> bool {
    ear.read(&mut [0; 8]).is_ok_and(|count| count > 0)
}

#[test]
fn a_batch_rings_once() {
    let (sender, mailbox) = mailbox().expect("descriptors");
    for _ in 0..3 {
        sender.send(Letter::Command(Command::Drain)).expect("there");
    }
    assert!(rings(&mailbox.ear));
    assert!(!rings(&mailbox.ear), "once is enough");
    sender.send(Letter::Abort).expect("there");
    assert!(!rings(&mailbox.ear), "the loop has not listened yet");
    mailbox.listen();
    assert_eq!(mailbox.letters.try_iter().count(), 4);
    sender.send(Letter::Abort).expect("there");
    assert!(rings(&mailbox.ear), "and now it has");
}

#[test]
fn a_loop_that_is_gone_is_told() {
    let (sender, mailbox) = mailbox().expect("descriptors");
    drop(mailbox);
    assert_eq!(sender.send(Letter::Abort), Err(Ended));
}

#[test]
fn events_wait_for_room_and_ring_when_there_is_some() {
    let (_, mailbox) = mailbox().expect("descriptors");
    let (sender, events) = events(&mailbox.bell);
    for _ in 0..MAILBOX {
        assert_eq!(sender.send(Event::Drained), None);
    }
    assert_eq!(sender.send(Event::Drained), Some(Event::Drained));
    assert!(!rings(&mailbox.ear));
    assert_eq!(events.try_recv(), Ok(Event::Drained));
    assert!(rings(&mailbox.ear), "there is room");
    mailbox.listen();
    assert_eq!(sender.send(Event::Drained), None);
    assert_eq!(events.try_recv(), Ok(Event::Drained));
    assert!(!rings(&mailbox.ear), "nobody waits");
}

#[test]
fn who_drops_the_events_frees_the_loop() {
    let (_, mailbox) = mailbox().expect("descriptors");
    let (sender, events) = events(&mailbox.bell);
    while sender.send(Event::Drained).is_none() {}
    drop(events);
    assert!(rings(&mailbox.ear));
    assert_eq!(sender.send(Event::Drained), None, "nobody wants it");
}

#[test]
fn events_end_with_the_loop() {
    let (_, mailbox) = mailbox().expect("descriptors");
    let (sender, mut events) = events(&mailbox.bell);
    let waiting = thread::spawn(move || {
        let all: Vec<Event> = events.by_ref().collect();
        (all, events.try_recv())
    });
    assert_eq!(sender.send(Event::Drained), None);
    drop(sender);
    let (all, end) = waiting.join().expect("no panic");
    assert_eq!(all, [Event::Drained]);
    assert_eq!(end, Err(TryRecvError::Disconnected));
}

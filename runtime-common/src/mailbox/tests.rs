use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::thread;

use roomwire_core::server::{Command, Event};

use roomwire_core::{ClientId, ShardId};

use super::{Bell, Letter, MAILBOX, events, mailbox, shard_of};
use crate::error::Ended;

fn bell() -> (Arc<Bell>, UnixStream) {
    let (bell, ear) = Bell::new().expect("descriptors");
    (Arc::new(bell), ear)
}

/// Whether the loop would wake; takes what was rung.
fn rings(mut ear: &UnixStream) -> bool {
    ear.read(&mut [0; 8]).is_ok_and(|count| count > 0)
}

#[test]
fn a_batch_rings_once() {
    let (bell, ear) = bell();
    let (sender, letters) = mailbox(&bell);
    for _ in 0..3 {
        sender.send(Letter::Command(Command::Drain)).expect("there");
    }
    assert!(rings(&ear));
    assert!(!rings(&ear), "once is enough");
    sender.send(Letter::Abort).expect("there");
    assert!(!rings(&ear), "the loop has not listened yet");
    bell.listen(|bytes| (&ear).read(bytes));
    assert_eq!(letters.try_iter().count(), 4);
    sender.send(Letter::Abort).expect("there");
    assert!(rings(&ear), "and now it has");
}

#[test]
fn a_loop_that_is_gone_is_told() {
    let (bell, _ear) = bell();
    let (sender, letters) = mailbox(&bell);
    drop(letters);
    assert_eq!(sender.send(Letter::Abort), Err(Ended));
}

#[test]
fn events_wait_for_room_and_ring_when_there_is_some() {
    let (bell, ear) = bell();
    let (mut senders, events) = events([&bell].into_iter());
    let sender = senders.remove(0);
    for _ in 0..MAILBOX {
        assert_eq!(sender.send(Event::Drained), None);
    }
    assert_eq!(sender.send(Event::Drained), Some(Event::Drained));
    assert!(!rings(&ear));
    assert_eq!(events.try_recv(), Ok(Event::Drained));
    assert!(rings(&ear), "there is room");
    bell.listen(|bytes| (&ear).read(bytes));
    assert_eq!(sender.send(Event::Drained), None);
    assert_eq!(events.try_recv(), Ok(Event::Drained));
    assert!(!rings(&ear), "nobody waits");
}

#[test]
fn who_drops_the_events_frees_the_loop() {
    let (bell, ear) = bell();
    let (mut senders, events) = events([&bell].into_iter());
    let sender = senders.remove(0);
    while sender.send(Event::Drained).is_none() {}
    drop(events);
    assert!(rings(&ear));
    assert_eq!(sender.send(Event::Drained), None, "nobody wants it");
}

#[test]
fn events_end_with_the_loop() {
    let (bell, _ear) = bell();
    let (mut senders, mut events) = events([&bell].into_iter());
    let sender = senders.remove(0);
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

#[test]
fn a_full_mailbox_gives_back_what_is_not_waited_for() {
    let (bell, ear) = bell();
    let (sender, letters) = mailbox(&bell);
    for _ in 0..MAILBOX {
        assert!(sender.try_send(Letter::Abort).is_ok());
    }
    assert!(rings(&ear));
    assert!(matches!(sender.try_send(Letter::Abort), Err(Letter::Abort)));
    drop(letters);
    assert!(sender.try_send(Letter::Abort).is_ok(), "nobody opens it");
}

#[test]
fn a_session_is_asked_of_all_and_given_to_one() {
    let client = ClientId::from_bytes(&[1; ClientId::BYTES]);
    let take = Command::TakeSession {
        client,
        asked_ms: 1,
    };
    assert_eq!(shard_of(&take), None);
    let (shard, session) = (ShardId(2), None);
    let give = Command::GiveSession {
        shard,
        client,
        asked_ms: 1,
        session,
    };
    assert_eq!(shard_of(&give), Some(shard));
}

/// Nobody makes a system call for a loop that is awake, and it does not go to sleep over what has rung.
#[test]
fn a_loop_that_is_awake_looks_again_by_itself() {
    let (bell, ear) = bell();
    let (sender, letters) = mailbox(&bell);
    assert!(!bell.wake());
    sender.send(Letter::Abort).expect("there");
    assert!(!rings(&ear), "it is awake");
    assert!(!bell.doze(), "somebody has rung");
    assert!(bell.wake());
    assert_eq!(letters.try_iter().count(), 1);
    assert!(bell.doze());
    sender.send(Letter::Abort).expect("there");
    sender.send(Letter::Abort).expect("there");
    let mut reads = Vec::new();
    Bell::hush(|bytes| {
        let read = (&ear).read(bytes);
        reads.push(read.as_ref().ok().copied());
        read
    });
    assert_eq!(reads, [Some(1)], "it was asleep, and woken once");
    assert!(bell.wake());
    assert_eq!(letters.try_iter().count(), 2);
}

/// Two threads that take turns: if a ring were ever lost, this would wait for ever.
#[test]
fn no_ring_is_lost_between_looking_and_sleeping() {
    let (bell, ear) = bell();
    ear.set_nonblocking(false).expect("an option");
    let (sender, letters) = mailbox(&bell);
    let ringer = thread::spawn(move || {
        (0..20_000).for_each(|_| sender.send(Letter::Abort).expect("there"));
    });
    let mut heard = 0;
    while heard < 20_000 {
        bell.wake();
        heard += letters.try_iter().count();
        if heard < 20_000 && bell.doze() {
            (&ear).read_exact(&mut [0]).expect("a ring");
        }
    }
    ringer.join().expect("it has rung");
}

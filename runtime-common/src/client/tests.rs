//! Handles, receipts and events around a desk whose driver is a test. Against servers, adapters test them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::mailbox::MAILBOX;

#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn take(&self) -> u32 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Nobody drives.
enum Test {}

impl Runtime for Test {
    fn start(_: Pilot) -> io::Result<()> {
        Ok(())
    }
}

fn desk() -> (Client<Test>, Events, Arc<Desk>) {
    let desk = Arc::new(Desk::new(4));
    let client = Client {
        owner: Arc::new(Owner(Arc::clone(&desk))),
        runtime: PhantomData,
    };
    (client, Events::new(Arc::clone(&desk)), desk)
}

fn outcome(item: Item) -> Event {
    let outcome = Outcome::Sent;
    Event::Outcome { item, outcome }
}

#[test]
fn an_outcome_goes_to_its_receipt_or_to_the_events() {
    let (client, mut events, desk) = desk();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let cx = Context::from_waker(&waker);
    let mut receipt = client.join("tea").expect("room");
    let left = client.join("tea").expect("room");
    let done = client.join("tea").expect("room");
    assert!(!receipt.is_queued());
    desk.take(Event::Queued(receipt.item()));
    assert!(receipt.is_queued());
    assert_eq!(desk.poll_outcome(receipt.item(), &cx), Poll::Pending);
    let items = [receipt.item(), left.item(), done.item()];
    // One goes before its outcome is there, one when it is.
    drop(left);
    for item in items {
        desk.take(outcome(item));
    }
    assert_eq!(count.take(), 1);
    drop(done);
    assert_eq!(receipt.wait_timeout(Duration::ZERO), Some(Ok(None)));
    assert_eq!(receipt.wait_timeout(Duration::ZERO), None, "told once");
    assert_eq!(events.try_recv(), Ok(outcome(items[1])));
    assert_eq!(events.try_recv(), Ok(outcome(items[2])));
    assert!(events.try_recv().is_err());
    drop(receipt);
    assert!(events.try_recv().is_err(), "told again");
}

#[test]
fn a_driver_that_ends_leaves_nobody_waiting() {
    let (client, mut events, desk) = desk();
    let receipt = client.say("tea", "1").expect("room");
    let left = client.say("tea", "2").expect("room");
    let item = left.item();
    drop(left);
    assert!(!client.wait_closed(Duration::ZERO));
    desk.end();
    assert_eq!(receipt.wait(), Err(Failed::Dropped(Dropped::Closed)));
    let outcome = Outcome::Dropped(Dropped::Closed);
    assert_eq!(events.recv(), Some(Event::Outcome { item, outcome }));
    assert_eq!(events.recv(), None);
    assert!(client.wait_closed(Duration::ZERO));
    assert_eq!(client.say("tea", "3").expect_err("over"), Refused::Closed);
}

#[test]
fn commands_are_bounded_and_room_is_told() {
    let (client, _events, desk) = desk();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let cx = Context::from_waker(&waker);
    let receipts: Vec<_> = (0..MAILBOX)
        .map(|_| client.request("{}").expect("room"))
        .collect();
    assert_eq!(client.request("{}").expect_err("full"), Refused::Full);
    for _ in 0..3 {
        assert_eq!(desk.poll_room(&cx), Poll::Pending);
    }
    assert!(desk.next_command().is_some());
    assert_eq!(count.take(), 1, "once, however often it was asked");
    assert_eq!(desk.poll_room(&cx), Poll::Ready(Ok(())));
    // While the program has no room for events, none is taken.
    for item in receipts.iter().take(4).map(Receipt::item) {
        desk.take(Event::Binary(vec![item.0 as u8]));
    }
    assert!(desk.is_full());
    assert_eq!(desk.next_command(), None);
    // But what ends it.
    client.wake();
    assert_eq!(desk.next_command(), Some(Command::Wake));
    client.close();
    client.close();
    let mut left = 0;
    while let Some(command) = desk.next_command() {
        left += 1;
        assert_eq!(command == Command::Close, left == MAILBOX, "last, and once");
    }
    assert_eq!(left, MAILBOX);
}

#[test]
fn a_driver_is_woken_by_news_and_by_room_for_events() {
    let (client, mut events, desk) = desk();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let cx = Context::from_waker(&waker);
    assert_eq!(desk.poll_news(&cx), Poll::Pending);
    let _receipt = client.join("tea").expect("room");
    assert_eq!(count.take(), 1);
    assert_eq!(desk.poll_news(&cx), Poll::Ready(()));
    assert_eq!(desk.poll_news(&cx), Poll::Pending);
    for _ in 0..4 {
        desk.take(Event::Binary(Vec::new()));
    }
    for expected in [0, 1, 0, 0] {
        assert!(events.try_recv().is_ok());
        assert_eq!(count.take(), expected);
    }
    // Where nobody takes them, they are gone.
    assert_eq!(desk.poll_news(&cx), Poll::Ready(()));
    drop(events);
    for _ in 0..100 {
        desk.take(Event::Binary(Vec::new()));
    }
    assert!(!desk.is_full());
    drop(client);
    let last: Vec<_> = std::iter::from_fn(|| desk.next_command()).collect();
    assert_eq!(last.last(), Some(&Command::Close));
}

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::error::Ended;
use crate::sessions::tests::{any, client, session};

/// Answers so, and counts how often it is asked.
struct Server<F> {
    answer: F,
    asked: Arc<AtomicUsize>,
}

impl<F> SessionHolder for Server<F>
where
    F: Fn(ClientId) -> Result<Option<SavedSession>, Ended> + Send + Sync + 'static,
{
    fn hand_over(&self, client: ClientId, asked_ms: u64) -> Result<Option<SavedSession>, Ended> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(asked_ms, 5);
        (self.answer)(client)
    }
}

fn attach(
    store: &MemoryStore,
    answer: impl Fn(ClientId) -> Result<Option<SavedSession>, Ended> + Send + Sync + 'static,
) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    store.attach(Server {
        answer,
        asked: count,
    });
    asked
}

#[test]
fn a_session_is_given_away_once() {
    let store = MemoryStore::new(10);
    assert!(store.is_empty());
    let [one, two] = [1, 2].map(any);
    store.save(one.clone());
    store.save(two.clone());
    assert_eq!((store.len(), store.dropped()), (2, 0));
    assert_eq!(store.take(client(3), 5), None);
    assert_eq!(store.take(client(1), 5), Some(one));
    assert_eq!(store.take(client(1), 5), None);
    assert_eq!(store.take(client(2), 5), Some(two));
    assert!(store.is_empty());
}

#[test]
fn the_latest_of_a_client_is_its_session() {
    let store = MemoryStore::new(10);
    let latest = session(1, Duration::from_secs(50));
    store.save(session(1, Duration::from_secs(100)));
    store.save(latest.clone());
    assert_eq!(store.len(), 1);
    assert_eq!(store.take(client(1), 5), Some(latest));
    assert_eq!(store.take(client(1), 5), None);
}

#[test]
fn of_too_many_those_go_that_are_over_first() {
    let store = MemoryStore::new(2);
    for (number, seconds) in [(1, 300), (2, 100), (3, 200), (4, 400)] {
        store.save(session(number, Duration::from_secs(seconds)));
    }
    assert_eq!((store.len(), store.dropped()), (2, 2));
    for (number, is_kept) in [(1, true), (2, false), (3, false), (4, true)] {
        assert_eq!(store.take(client(number), 5).is_some(), is_kept, "{number}");
    }
    let none = MemoryStore::new(0);
    none.save(any(1));
    assert_eq!((none.len(), none.dropped()), (0, 1));
}

#[test]
fn what_is_over_is_forgotten() {
    let store = MemoryStore::new(2);
    let over = session(1, Duration::ZERO);
    for _ in 0..3 {
        store.save(over.clone());
        assert_eq!(store.take(client(1), 5), None);
    }
    // It takes nobody's place, and is not counted.
    store.save(over);
    store.save(any(2));
    store.save(any(3));
    assert_eq!((store.len(), store.dropped()), (2, 0));
}

#[test]
fn servers_are_asked_one_after_the_other() {
    let store = MemoryStore::new(10);
    let none = attach(&store, |_| Ok(None));
    let gone = attach(&store, |_| Err(Ended));
    let one = any(1);
    let own = one.clone();
    let has = attach(&store, move |_| Ok(Some(own.clone())));
    let last = attach(&store, |_| Ok(None));
    let counts = || [&none, &gone, &has, &last].map(|count| count.load(Ordering::SeqCst));
    assert_eq!(store.take(client(1), 5), Some(one));
    assert_eq!(counts(), [1, 1, 1, 0]);
    // One that has ended is not asked again, and what is there is not asked for.
    assert!(store.take(client(1), 5).is_some());
    assert_eq!(counts(), [2, 1, 2, 0]);
    store.save(any(2));
    assert!(store.take(client(2), 5).is_some());
    assert_eq!(counts(), [2, 1, 2, 0]);
}

/// A server that ends gives what it has to the store, not to whoever asks it.
#[test]
fn what_leaves_a_server_meanwhile_is_found() {
    let store = Arc::new(MemoryStore::new(10));
    let one = any(1);
    let (to, left) = (Arc::downgrade(&store), one.clone());
    attach(&store, move |_| {
        let store = to.upgrade().expect("it is asked by it");
        store.save(left.clone());
        Err(Ended)
    });
    assert_eq!(store.take(client(1), 5), Some(one));
    assert!(store.is_empty());
}

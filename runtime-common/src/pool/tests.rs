//! Tests of the threads by themselves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

// covers A8-01
#[test]
fn threads_start_when_there_is_something_to_do_and_no_more_than_may() {
    let pool = Pool::new("pool", 2);
    assert_eq!(pool.threads(), 0);
    let (sender, done) = channel();
    for number in 0..100 {
        let sender = sender.clone();
        pool.give(Box::new(move || sender.send(number).unwrap_or_default()));
        assert!(pool.threads() <= 2);
    }
    let mut all: Vec<i32> = (0..100)
        .filter_map(|_| done.recv_timeout(PATIENCE).ok())
        .collect();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
    assert!((1..=2).contains(&pool.threads()));
}

// covers A8-01
#[test]
fn one_thread_keeps_the_order() {
    let pool = Pool::new("pool", 1);
    let (sender, done) = channel();
    for number in 0..100 {
        let sender = sender.clone();
        pool.give(Box::new(move || sender.send(number).unwrap_or_default()));
    }
    drop(sender);
    assert_eq!(
        done.iter().collect::<Vec<_>>(),
        (0..100).collect::<Vec<_>>()
    );
}

// covers A8-01: shutdown joins
#[test]
fn the_end_waits_for_what_is_under_way_and_forgets_the_rest() {
    let pool = Pool::new("pool", 1);
    let (begun, has_begun) = channel();
    let finished = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&finished);
    pool.give(Box::new(move || {
        begun.send(()).unwrap_or_default();
        thread::sleep(Duration::from_millis(100));
        count.fetch_add(1, Ordering::SeqCst);
    }));
    for _ in 0..10 {
        let count = Arc::clone(&finished);
        pool.give(Box::new(move || {
            count.fetch_add(100, Ordering::SeqCst);
        }));
    }
    has_begun.recv_timeout(PATIENCE).expect("it begins");
    let tasks = pool.tasks();
    drop(pool);
    assert_eq!(finished.load(Ordering::SeqCst), 1);
    // Nothing that was to be done is kept, nor what comes too late.
    let count = Arc::clone(&finished);
    tasks.push(Box::new(move || {
        count.fetch_add(100, Ordering::SeqCst);
    }));
    assert_eq!(Arc::strong_count(&finished), 1);
}

/// Where there are fewer cores than threads, those that serve go first.
#[cfg(target_os = "linux")]
#[test]
fn its_threads_stand_back() {
    let own = || {
        let thread = rustix::thread::gettid();
        rustix::process::getpriority_process(Some(thread)).expect("a priority")
    };
    let before = own();
    let pool = Pool::new("pool", 1);
    let (told, heard) = channel();
    pool.give(Box::new(move || {
        told.send(own()).expect("somebody listens");
    }));
    assert_eq!(heard.recv(), Ok(before.max(NICENESS)));
    assert_eq!(own(), before);
}

// covers A8-01: shutdown waits, but not for ever
#[test]
fn the_end_waits_no_longer_than_it_may_for_what_never_ends() {
    let pool = Pool::with_patience("pool", 2, || Duration::from_millis(1));
    let (begun, has_begun) = channel();
    let (release, released) = channel::<()>();
    let (told, heard) = channel();
    pool.give(Box::new(move || {
        begun.send(()).unwrap_or_default();
        // For ever, as far as the pool knows.
        let outcome = released.recv_timeout(PATIENCE);
        told.send(outcome).unwrap_or_default();
    }));
    has_begun.recv_timeout(PATIENCE).expect("it begins");
    drop(pool);
    // It is still at it.
    assert!(heard.try_recv().is_err());
    release.send(()).expect("it waits");
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(Ok(())));
}

// covers A8-01: shutdown waits
#[test]
fn the_end_waits_for_what_may_never_end_as_long_as_it_may() {
    let pool = Pool::with_patience("pool", 2, || PATIENCE);
    let (begun, has_begun) = channel();
    let finished = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&finished);
    pool.give(Box::new(move || {
        begun.send(()).unwrap_or_default();
        thread::sleep(Duration::from_millis(100));
        count.fetch_add(1, Ordering::SeqCst);
    }));
    has_begun.recv_timeout(PATIENCE).expect("it begins");
    drop(pool);
    assert_eq!(finished.load(Ordering::SeqCst), 1);
    // Its threads are gone, and what they have had.
    assert_eq!(Arc::strong_count(&finished), 1);
}

/// A task must not panic; if one does, nobody waits for it.
#[test]
fn a_thread_that_is_lost_is_not_waited_for() {
    let pool = Pool::with_patience("pool", 1, || Duration::MAX);
    let (begun, has_begun) = channel();
    pool.give(Box::new(move || {
        begun.send(()).unwrap_or_default();
        panic!("as asked for");
    }));
    has_begun.recv_timeout(PATIENCE).expect("it begins");
    drop(pool);
}

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

#[test]
fn the_end_forgets_nothing_that_is_to_be_done_surely() {
    let pool = Pool::with_patience("pool", 1, || PATIENCE);
    let (begun, has_begun) = channel();
    let (release, released) = channel::<()>();
    let done = Arc::new(Mutex::new(Vec::new()));
    pool.give(Box::new(move || {
        begun.send(()).unwrap_or_default();
        let _ = released.recv_timeout(PATIENCE);
    }));
    has_begun.recv_timeout(PATIENCE).expect("it begins");
    for number in 0..10 {
        let done = Arc::clone(&done);
        let task = Box::new(move || done.lock().expect("no panic").push(number));
        if number % 2 == 0 {
            pool.give(task);
        } else {
            pool.give_surely(task);
        }
    }
    release.send(()).expect("it waits");
    let tasks = pool.tasks();
    // The order in which the thread and this get to it decides what else is done.
    drop(pool);
    drop(tasks);
    let done = Arc::into_inner(done).expect("nobody has it");
    let done = done.into_inner().expect("no panic");
    let surely: Vec<_> = done.into_iter().filter(|number| number % 2 == 1).collect();
    assert_eq!(surely, [1, 3, 5, 7, 9]);
}

#[test]
fn the_end_waits_no_longer_than_it_may_for_what_is_to_be_done_surely() {
    let pool = Pool::with_patience("pool", 1, || Duration::from_millis(1));
    let (begun, has_begun) = channel();
    let (release, released) = channel::<()>();
    let (told, heard) = channel();
    pool.give_surely(Box::new(move || {
        begun.send(()).unwrap_or_default();
        let _ = released.recv_timeout(PATIENCE);
        told.send(()).unwrap_or_default();
    }));
    has_begun.recv_timeout(PATIENCE).expect("it begins");
    let late = Arc::new(());
    for _ in 0..3 {
        let late = Arc::clone(&late);
        pool.give_surely(Box::new(move || drop(late)));
    }
    let shared = Arc::clone(&pool.tasks.0);
    // One is under way, and three have not begun.
    assert_eq!(pool.wait_for_all_but(0, Duration::ZERO), (1, 4));
    drop(pool);
    assert_eq!(Arc::strong_count(&late), 1);
    release.send(()).expect("it waits");
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(()));
    assert!(shared.state().over);
}

/// One of its own threads may be the last that has it.
#[test]
fn what_is_to_be_done_surely_is_done_by_the_thread_that_ends_it() {
    let pool = Arc::new(Pool::with_patience("pool", 1, || PATIENCE));
    let own = Arc::clone(&pool);
    let (release, released) = channel::<()>();
    let (told, heard) = channel();
    pool.give(Box::new(move || {
        let _ = released.recv_timeout(PATIENCE);
        drop(own);
    }));
    pool.give_surely(Box::new(move || told.send(()).unwrap_or_default()));
    drop(pool);
    release.send(()).expect("it waits");
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(()));
}

//! Tests of who gets a session, and of what is bounded, with threads.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use roomwire_core::ClientId;

use super::asked::Asked;
use super::*;
use crate::desk::Desk;
use crate::error::Ended;
use crate::mailbox::{Bell, Letter};

const PATIENCE: Duration = Duration::from_secs(20);
const SHARD: ShardId = ShardId(0);

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.expect("a clock").as_millis()).expect("a date")
}

pub(super) fn client(number: u8) -> ClientId {
    ClientId::from_bytes(&[number; ClientId::BYTES])
}

/// Of a client, until so long from now; no server would take it.
pub(super) fn session(number: u8, left: Duration) -> SavedSession {
    let until_ms = now_ms() + u64::try_from(left.as_millis()).expect("a date");
    let mut bytes = vec![1];
    bytes.extend_from_slice(&client(number).to_bytes());
    bytes.extend_from_slice(&until_ms.to_be_bytes());
    bytes.extend_from_slice(&[number; 40]);
    SavedSession::from_bytes(&bytes).expect("a session")
}

pub(super) fn any(number: u8) -> SavedSession {
    session(number, PATIENCE)
}

/// Keeps what it is given, and says so; waits at every call for somebody to let it go on, if asked to.
struct Shelf {
    kept: Mutex<Vec<SavedSession>>,
    called: Sender<()>,
    go_on: Option<Mutex<Receiver<()>>>,
    panics: bool,
}

impl Shelf {
    fn new() -> (Arc<Self>, Receiver<()>) {
        Self::with(None, false)
    }

    fn with(go_on: Option<Receiver<()>>, panics: bool) -> (Arc<Self>, Receiver<()>) {
        let (called, calls) = channel();
        let shelf = Self {
            kept: Mutex::default(),
            called,
            go_on: go_on.map(Mutex::new),
            panics,
        };
        (Arc::new(shelf), calls)
    }

    fn kept(&self) -> Vec<SavedSession> {
        let kept = self.kept.lock();
        kept.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As if it had always been there.
    fn save_now(&self, session: SavedSession) {
        let kept = self.kept.lock();
        kept.unwrap_or_else(PoisonError::into_inner).push(session);
    }

    fn wait(&self) {
        self.called.send(()).unwrap_or_default();
        if let Some(go_on) = &self.go_on {
            let go_on = go_on.lock().unwrap_or_else(PoisonError::into_inner);
            // Longer than anybody who lets it.
            let _ = go_on.recv_timeout(2 * PATIENCE);
        }
        assert!(!self.panics, "as asked for");
    }
}

impl SessionStore for Shelf {
    fn save(&self, session: SavedSession) {
        self.wait();
        self.save_now(session);
    }

    fn take(&self, client: ClientId, asked_ms: u64) -> Option<SavedSession> {
        assert_eq!(asked_ms, 5);
        self.wait();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|it| it.client() == client)?;
        Some(kept.remove(place))
    }
}

/// A shard of a server of several.
struct Scene {
    pool: Option<Arc<Pool>>,
    exchange: Arc<Exchange>,
    keeper: Keeper,
    desk: Desk<Command>,
}

impl Scene {
    fn new(hook_threads: u16, shards: usize, store: Option<Arc<Shelf>>) -> Self {
        let patience = || PATIENCE;
        let pool = (hook_threads > 0)
            .then(|| Arc::new(Pool::with_patience("hook", hook_threads, patience)));
        let exchange = Exchange::new(pool.as_ref(), PATIENCE, shards);
        if let Some(store) = store {
            exchange.keep_in(store);
        }
        let (keeper, desk) = shard(&exchange, pool.as_ref());
        Self {
            pool,
            exchange,
            keeper,
            desk,
        }
    }

    fn ask(&self, number: u8) -> Result<Asked, Ended> {
        Asking::new(&self.exchange).ask(client(number))
    }

    /// So many answers to the shard, and no more.
    fn given(&self, count: usize) -> Vec<(ClientId, Option<SavedSession>)> {
        let end = Instant::now() + PATIENCE;
        let mut given = Vec::new();
        while given.len() < count {
            assert!(Instant::now() < end, "{} of {count}", given.len());
            given.extend(self.desk.take_commands().into_iter().map(answer));
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(given.len(), count);
        given
    }

    fn wants(&self, number: u8) -> Option<Event> {
        let (shard, client) = (SHARD, client(number));
        self.keeper.take(Event::SessionWanted {
            shard,
            client,
            asked_ms: 5,
        })
    }

    fn tells(&self, number: u8, session: Option<SavedSession>) -> Option<Event> {
        let client = client(number);
        self.keeper.take(Event::SessionLeft { client, session })
    }
}

fn answer(command: Command) -> (ClientId, Option<SavedSession>) {
    match command {
        Command::GiveSession {
            shard: SHARD,
            client,
            asked_ms: 5,
            session,
        } => (client, session),
        other => panic!("{other:?}"),
    }
}

fn shard(exchange: &Arc<Exchange>, pool: Option<&Arc<Pool>>) -> (Keeper, Desk<Command>) {
    shard_of(exchange, pool, None)
}

fn shard_of(
    exchange: &Arc<Exchange>,
    pool: Option<&Arc<Pool>>,
    max_connections: Option<u32>,
) -> (Keeper, Desk<Command>) {
    let (bell, _) = Bell::new().expect("a bell");
    let desk = Desk::new(None, &Arc::new(bell), 1);
    let limits = Limits {
        max_connections,
        max_queued_events: 2,
        ..Limits::default()
    };
    (Keeper::new(exchange, pool, desk.tray(), &limits), desk)
}

fn poll(asked: &mut Asked) -> Poll<Option<SavedSession>> {
    Pin::new(asked).poll(&mut Context::from_waker(Waker::noop()))
}

fn heard(calls: &Receiver<()>) {
    calls.recv_timeout(PATIENCE).expect("it is called");
}

// ---- who asks a server for its sessions

#[test]
fn each_answer_is_for_the_one_who_has_asked_first() {
    let scene = Scene::new(0, 1, None);
    let [mut first, mut other, mut second] = [7, 8, 7].map(|it| scene.ask(it).expect("it runs"));
    assert!(first.is_open() && other.is_open() && second.is_open());
    let seven = any(7);
    assert_eq!(scene.tells(7, Some(seven.clone())), None);
    assert_eq!(poll(&mut first), Poll::Ready(Some(seven)));
    assert!(poll(&mut other).is_pending());
    assert!(poll(&mut second).is_pending());
    assert_eq!(scene.tells(7, None), None);
    assert_eq!(poll(&mut second), Poll::Ready(None));
    assert_eq!(scene.tells(8, None), None);
    assert_eq!(poll(&mut other), Poll::Ready(None));
}

#[test]
fn who_is_gone_takes_nobodys_answer() {
    let scene = Scene::new(0, 1, None);
    drop(scene.ask(4).expect("it runs"));
    let mut waiting = scene.ask(4).expect("it runs");
    let four = any(4);
    assert_eq!(scene.tells(4, Some(four.clone())), None);
    assert_eq!(poll(&mut waiting), Poll::Ready(Some(four)));
}

#[test]
fn what_nobody_takes_is_kept() {
    for threads in [0, 1] {
        let (shelf, calls) = Shelf::new();
        let scene = Scene::new(threads, 1, Some(Arc::clone(&shelf)));
        // Nobody has asked; or is gone, before or after it is told.
        let gone = scene.ask(2).expect("it runs");
        drop(gone);
        let late = scene.ask(3).expect("it runs");
        let sessions = [1, 2, 3].map(any);
        for session in &sessions {
            let number = session.client().to_bytes()[0];
            assert_eq!(scene.tells(number, Some(session.clone())), None);
        }
        drop(late);
        for _ in &sessions {
            heard(&calls);
        }
        drop(scene);
        assert_eq!(shelf.kept(), sessions);
    }
}

#[test]
fn whoever_asks_waits_for_no_shard_that_fails_or_ends() {
    let scene = Scene::new(0, 2, None);
    let mut asked = scene.ask(1).expect("it runs");
    let (failing, _) = shard(&scene.exchange, None);
    failing.fail();
    drop(failing);
    assert_eq!(poll(&mut asked), Poll::Ready(None));
    // Of those that end, the last one ends it: the others may still tell.
    let mut asked = scene.ask(1).expect("it runs");
    drop(shard(&scene.exchange, None));
    assert!(poll(&mut asked).is_pending());
    assert!(scene.ask(2).is_ok());
    let Scene {
        keeper, exchange, ..
    } = scene;
    drop(keeper);
    assert_eq!(poll(&mut asked), Poll::Ready(None));
    let asking = Asking::new(&exchange);
    assert_eq!(asking.ask(client(1)).err(), Some(Ended));
    drop(exchange);
    assert_eq!(asking.ask(client(1)).err(), Some(Ended));
}

#[test]
fn a_server_that_is_gone_keeps_nobody_waiting() {
    let exchange = Exchange::new(None, PATIENCE, 1);
    let mut asked = Asking::new(&exchange).ask(client(1)).expect("it runs");
    drop(exchange);
    assert_eq!(poll(&mut asked), Poll::Ready(None));
}

#[test]
fn every_shard_is_asked_and_none_is_waited_for_too_long() {
    let exchange = Exchange::new(None, Duration::ZERO, 3);
    let asking = Asking::new(&exchange);
    let letters = Mutex::new(Vec::new());
    let full = AtomicUsize::new(0);
    let send = |shard: &u8, letter: Letter| {
        let command = Command::TakeSession {
            client: client(5),
            asked_ms: 9,
        };
        assert!(matches!(&letter, Letter::Command(it) if *it == command));
        if *shard == 1 && full.fetch_add(1, Ordering::Relaxed) < 2 {
            return Err(letter);
        }
        letters.lock().expect("no panic").push(*shard);
        Ok(())
    };
    assert_eq!(asking.ask_all((client(5), 9), &[0, 1, 2], send), Ok(None));
    assert_eq!(*letters.lock().expect("no panic"), [0, 1, 2]);
    let never = |_: &u8, letter| Err(letter);
    assert_eq!(asking.ask_all((client(5), 9), &[0], never), Ok(None));
    // A loop waits for no other one.
    let unasked = |_: &u8, _| panic!("it is asked");
    let outcome = on_loop(|| asking.ask_all((client(5), 9), &[0], unasked));
    assert_eq!(outcome, Ok(None));
    assert!(!is_on_loop());
}

// ---- what is on its way to a store

#[test]
fn what_waits_to_be_saved_is_still_there() {
    let (go_on, gate) = channel();
    let (shelf, calls) = Shelf::with(Some(gate), false);
    let scene = Scene::new(1, 1, Some(Arc::clone(&shelf)));
    let [first, second] = [1, 2].map(any);
    assert_eq!(scene.tells(1, Some(first.clone())), None);
    heard(&calls);
    assert_eq!(scene.tells(2, Some(second.clone())), None);
    // One is being saved: whoever asks is told when the store has it. The other one has not begun.
    let mut saved = scene.ask(1).expect("it runs");
    let mut waiting = scene.ask(2).expect("it runs");
    assert!(!saved.is_open() && !waiting.is_open());
    assert_eq!(poll(&mut waiting), Poll::Ready(Some(second)));
    assert!(poll(&mut saved).is_pending());
    go_on.send(()).expect("it waits");
    assert_eq!(saved.wait(Instant::now() + PATIENCE), None);
    assert_eq!(shelf.kept(), [first]);
    drop(scene);
    assert!(calls.try_recv().is_err());
}

#[test]
fn what_waits_to_be_saved_is_given_to_its_own_server() {
    let (go_on, gate) = channel();
    let (shelf, calls) = Shelf::with(Some(gate), false);
    let scene = Scene::new(2, 1, Some(Arc::clone(&shelf)));
    let first = any(1);
    assert_eq!(scene.tells(1, Some(first.clone())), None);
    heard(&calls);
    // It is looked for when it is there.
    assert_eq!(scene.wants(1), None);
    std::thread::sleep(Duration::from_millis(20));
    assert!(calls.try_recv().is_err());
    go_on.send(()).expect("it waits");
    heard(&calls);
    go_on.send(()).expect("it waits");
    assert_eq!(scene.given(1), [(client(1), Some(first))]);
}

#[test]
fn a_server_ends_when_all_is_saved() {
    let (shelf, calls) = Shelf::new();
    let scene = Scene::new(1, 1, Some(Arc::clone(&shelf)));
    let sessions: Vec<_> = (0..100).map(any).collect();
    for (number, session) in (0..).zip(&sessions) {
        assert_eq!(scene.tells(number, Some(session.clone())), None);
    }
    drop(scene);
    assert_eq!(shelf.kept(), sessions);
    assert_eq!(calls.try_iter().count(), 100);
}

#[test]
fn a_session_that_comes_too_late_goes_back() {
    let (go_on, gate) = channel();
    let (shelf, calls) = Shelf::with(Some(gate), false);
    let scene = Scene::new(1, 1, Some(Arc::clone(&shelf)));
    let sessions = [1, 2].map(any);
    for session in &sessions {
        shelf.save_now(session.clone());
    }
    // One is there and has not been looked at; one is found when nobody looks any more.
    assert_eq!(scene.wants(1), None);
    heard(&calls);
    go_on.send(()).expect("it waits");
    while !shelf.kept().iter().all(|it| it.client() == client(2)) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(scene.wants(2), None);
    heard(&calls);
    scene.keeper.close();
    go_on.send(()).expect("it waits");
    for _ in &sessions {
        heard(&calls);
        go_on.send(()).expect("it waits");
    }
    drop(scene);
    let mut kept = shelf.kept();
    kept.sort_by_key(SavedSession::client);
    assert_eq!(kept, sessions);
}

// ---- what a server wants

#[test]
fn each_wish_has_one_answer() {
    for threads in [0, 1, 3] {
        let (shelf, _calls) = Shelf::new();
        let scene = Scene::new(threads, 1, Some(Arc::clone(&shelf)));
        let one = any(1);
        shelf.save_now(one.clone());
        for (number, session) in [(1, Some(one)), (1, None), (2, None)] {
            assert_eq!(scene.wants(number), None);
            assert_eq!(scene.given(1), [(client(number), session)], "{threads}");
        }
        assert_eq!(scene.keeper.take(Event::Drained), Some(Event::Drained));
    }
}

#[test]
fn no_more_wait_than_may() {
    let (go_on, gate) = channel();
    let (shelf, calls) = Shelf::with(Some(gate), false);
    let scene = Scene::new(1, 1, Some(shelf));
    for number in 0..5 {
        assert_eq!(scene.wants(number), None);
    }
    heard(&calls);
    // Nobody says that there is none.
    let none =
        |numbers: &[u8]| -> Vec<_> { numbers.iter().map(|&it| (client(it), None)).collect() };
    go_on.send(()).expect("it waits");
    go_on.send(()).expect("it waits");
    assert_eq!(scene.given(2), none(&[0, 1]));
    // There is room again.
    assert_eq!(scene.wants(6), None);
    go_on.send(()).expect("it waits");
    assert_eq!(scene.given(1), none(&[6]));
    heard(&calls);
    heard(&calls);
}

/// All that a server has connections for can come back at once.
#[test]
fn everybody_may_come_back_at_once() {
    let (shelf, _) = Shelf::with(None, false);
    let mut scene = Scene::new(1, 1, Some(shelf));
    (scene.keeper, scene.desk) = shard_of(&scene.exchange, scene.pool.as_ref(), Some(100));
    for number in 0..100 {
        assert_eq!(scene.wants(number), None);
    }
    scene.given(100);
}

#[test]
fn a_store_that_panics_has_nothing() {
    for threads in [0, 1] {
        let (shelf, calls) = Shelf::with(None, true);
        let scene = Scene::new(threads, 1, Some(Arc::clone(&shelf)));
        for number in 0..5 {
            assert_eq!(scene.tells(number, Some(any(number))), None);
            assert_eq!(scene.wants(number), None);
            assert_eq!(scene.given(1), [(client(number), None)]);
        }
        // Its thread goes on.
        assert_eq!(
            scene.pool.as_ref().map_or(0, |pool| pool.threads()),
            usize::from(threads)
        );
        drop(scene);
        assert!(calls.try_iter().count() >= 5);
    }
}

#[test]
fn without_a_store_the_program_is_told_if_it_listens() {
    let scene = Scene::new(1, 1, None);
    assert_eq!(scene.wants(1), None);
    assert_eq!(scene.given(1), [(client(1), None)]);
    assert_eq!(scene.tells(1, Some(any(1))), None);
    scene.exchange.has_program();
    let (shard, client) = (SHARD, client(1));
    let wanted = Event::SessionWanted {
        shard,
        client,
        asked_ms: 5,
    };
    assert_eq!(scene.wants(1), Some(wanted));
    let session = Some(any(1));
    let left = Event::SessionLeft { client, session };
    assert_eq!(scene.keeper.take(left.clone()), Some(left.clone()));
    // What somebody has asked for is theirs.
    let mut asked = scene.ask(1).expect("it runs");
    assert_eq!(scene.keeper.take(left), None);
    assert!(matches!(poll(&mut asked), Poll::Ready(Some(_))));
    // A store is told in its place.
    scene.exchange.keep_in(Shelf::new().0);
    assert_eq!(scene.wants(1), None);
    assert_eq!(scene.tells(1, Some(any(1))), None);
}

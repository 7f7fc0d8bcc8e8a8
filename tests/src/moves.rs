//! Clients whose sessions go from one server to another, over real sockets: what every adapter's store is held to. Every
//! wait is bounded.

use std::fmt;
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use roomwire_core::ClientId;
use roomwire_core::config::{RoomRule, SessionKey};
use roomwire_core::server::SavedSession;
use roomwire_runtime::{
    Ended, Host, ListenerSettings, MemoryStore, Server, SessionHolder, SessionStore, Settings,
};
use serde_json::{Value, json};
use tungstenite::Message;

use crate::tcp::{Client, PATIENCE};

/// A server that runs on threads of its own.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Takes a session out of it.
    pub take: Box<dyn Fn(ClientId) -> Result<Option<SavedSession>, Ended>>,
    /// Has it say goodbye to all; returns when it is gone.
    pub drain: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Starts a server; with a store, if there is one, that asks it, too.
pub type Start = fn(Settings, Option<&Arc<MemoryStore>>) -> Running;

/// Has `H` start a server.
///
/// # Panics
/// If it cannot.
pub fn start<H: Host>(settings: Settings, store: Option<&Arc<MemoryStore>>) -> Running
where
    H::Handle: SessionHolder,
    Server<H>: Send,
{
    let mut server = Server::<H>::bind_now(&settings).expect("a free port");
    let address = server.local_addr().socket_addr().expect("TCP");
    let handle = server.handle();
    if let Some(store) = store {
        store.attach(handle.clone());
        let store = Arc::clone(store);
        server.sessions(store).expect("it has a key");
    }
    let thread = thread::spawn(|| server.run_blocking());
    let asked = handle.clone();
    Running {
        address,
        take: Box::new(move |client| asked.hand_over(client, u64::MAX)),
        drain: Box::new(move || {
            H::drain(&handle);
            let end = Instant::now() + PATIENCE;
            while !thread.is_finished() {
                assert!(Instant::now() < end, "the server does not end");
                thread::sleep(Duration::from_millis(2));
            }
            thread.join().expect("no panic").expect("an orderly end");
        }),
    }
}

/// Plays everything, one after the other, with servers that these start, each of so many threads.
///
/// # Panics
/// If a client is told what it should not be, or nothing.
pub fn play_all(here: Start, there: Start, threads: u8) {
    let pair = || Pair::start((here, there), threads, 2);
    a_session_goes_where_its_client_goes(pair());
    a_client_that_was_away_finds_what_waited(pair());
    who_is_told_goodbye_goes_on_elsewhere(pair());
    what_nobody_can_take_up_is_stale(pair());
    a_program_takes_a_session_itself(pair());
    rooms_are_those_of_each_server(pair());
    many_cross(Pair::start((here, there), threads, 1));
    without_threads_what_was_saved_is_found(Pair::start((here, there), threads, 0));
}

/// A program without a store takes a session itself, by a handle in its own way.
///
/// # Panics
/// If it does not get what it should.
pub fn play_taking<H: Host>(
    take: impl Fn(&H::Handle, ClientId) -> Result<Option<SavedSession>, Ended>,
) where
    Server<H>: Send,
{
    for threads in [1, 3] {
        let server = Server::<H>::bind_now(&settings(threads, 1)).expect("a free port");
        let address = server.local_addr().socket_addr().expect("TCP");
        let handle = server.handle();
        let thread = thread::spawn(|| server.run_blocking());
        for _ in 0..8 {
            let (mut ada, ticket) = Ticket::first(address);
            let taken = take(&handle, ticket.id()).expect("it runs");
            assert_eq!(taken.map(|it| it.client()), Some(ticket.id()));
            expect_replaced(&mut ada);
            assert_eq!(take(&handle, ticket.id()), Ok(None));
        }
        H::drain(&handle);
        thread.join().expect("no panic").expect("an orderly end");
        assert_eq!(take(&handle, ClientId::from_bytes(&[1; 18])), Err(Ended));
    }
}

/// A session of a server that has a key and no store is asked for in vain, and at once.
///
/// # Panics
/// If somebody waits.
pub fn play_alone(start: Start) {
    let server = start(settings(1, 1), None);
    let (mut ada, ticket) = Ticket::first(server.address);
    say_goodbye(&mut ada);
    expect_stale(&mut Client::connect(server.address), &ticket);
    (server.drain)();
}

/// Two servers with one key and one store.
struct Pair {
    here: Running,
    there: Running,
    store: Arc<MemoryStore>,
    /// One of another key, which asks the same store.
    start: Start,
}

impl Pair {
    fn start((here, there): (Start, Start), threads: u8, hook_threads: u16) -> Self {
        let store = Arc::new(MemoryStore::new(1_000));
        let settings = || {
            let mut settings = settings(threads, 1);
            settings.core.offload.hook_threads = hook_threads;
            settings
        };
        Self {
            here: here(settings(), Some(&store)),
            there: there(settings(), Some(&store)),
            store,
            start: here,
        }
    }

    fn stop(self) {
        (self.here.drain)();
        (self.there.drain)();
    }
}

fn settings(threads: u8, key: u8) -> Settings {
    let mut settings = Settings {
        listeners: vec![ListenerSettings::at(([127, 0, 0, 1], 0))],
        threads,
        ..Settings::default()
    };
    settings.core.rate_limit.enabled = false;
    settings.core.timeouts.welcome_delay_ms = 0;
    // Longer than any client here waits: what it is told is no timeout.
    settings.core.timeouts.relay_ms = 3 * PATIENCE.as_millis() as u64;
    settings.core.sessions.window_ms = 10 * PATIENCE.as_millis() as u64;
    // Rooms that a client has left behind are not waited for here.
    settings.core.sessions.away_ms = 100;
    settings.core.sessions.key = Some(SessionKey([key; 32]));
    settings.core.rooms.push(RoomRule {
        pattern: "kept".to_owned(),
        history_messages: 9,
        ..RoomRule::default()
    });
    settings
}

/// What a client comes back with.
#[derive(Clone)]
struct Ticket {
    client: String,
    secret: Value,
}

impl Ticket {
    /// A client that is able to come back.
    fn first(address: SocketAddr) -> (Client, Self) {
        let mut client = Client::connect(address);
        client.send(&json!({"type": "resume"}));
        let session = client.expect("session");
        let ticket = Self {
            client: client.id.clone(),
            secret: session["sessionSecret"].clone(),
        };
        (client, ticket)
    }

    fn request(&self, after: Option<u64>) -> Value {
        let Self { client, secret } = self;
        let mut request = json!({"type": "resume", "clientId": client, "sessionSecret": secret});
        if let Some(after) = after {
            request["after"] = after.into();
        }
        request
    }

    /// It is back, at another server.
    fn again(&self, address: SocketAddr, after: Option<u64>) -> (Client, Value) {
        let mut client = Client::connect(address);
        client.send(&self.request(after));
        let session = client.expect("session");
        assert_eq!(session["resumed"], true, "{session}");
        assert_eq!(session["clientId"], self.client);
        client.id.clone_from(&self.client);
        (client, session)
    }

    fn id(&self) -> ClientId {
        ClientId::parse(&self.client).expect("an id")
    }
}

/// Nothing was told that has not been looked at.
fn expect_nothing(client: &mut Client) {
    client.send(&json!({"type": "ping", "id": "behind"}));
    assert_eq!(client.expect("pong")["id"], "behind");
}

fn expect_stale(client: &mut Client, ticket: &Ticket) {
    client.send(&ticket.request(None));
    let error = client.expect("error");
    assert_eq!(error["code"], "stale_session", "{error}");
    // It goes on as who it is.
    expect_nothing(client);
}

/// A connection whose session has gone elsewhere.
fn expect_replaced(client: &mut Client) {
    let closing = client.expect("closing");
    assert_eq!(closing["code"], 4409, "{closing}");
    assert_eq!(u16::from(client.expect_close().code), 4409);
}

/// Its session is over.
fn say_goodbye(client: &mut Client) {
    client.socket().close(None).expect("it is there");
    let answer = client.socket().read();
    assert!(matches!(answer, Ok(Message::Close(_))), "{answer:?}");
}

/// Lost, without a goodbye.
fn lose(mut client: Client) {
    let stream = client.socket().get_mut();
    stream.shutdown(Shutdown::Both).expect("a socket");
}

fn set_metadata(client: &mut Client, metadata: &Value) -> Value {
    client.send(&json!({"type": "set_metadata", "metadata": metadata}));
    client.expect("metadata_updated")["metadata"].clone()
}

fn a_session_goes_where_its_client_goes(pair: Pair) {
    let (here, there) = (pair.here.address, pair.there.address);
    let (mut first, ticket) = Ticket::first(here);
    set_metadata(&mut first, &json!({"n": 0}));
    let mut last = first;
    for round in 1..=2 {
        for address in [there, here] {
            let (mut next, _) = ticket.again(address, None);
            expect_replaced(&mut last);
            let own = format!("{address}-{round}");
            let metadata = set_metadata(&mut next, &json!({ own: round }));
            let known = metadata.as_object().expect("an object");
            assert!(known.contains_key("n"), "{metadata}");
            last = next;
        }
    }
    let metadata = set_metadata(&mut last, &json!({"n": 1}));
    assert_eq!(metadata.as_object().map(serde_json::Map::len), Some(5));
    assert!(pair.store.is_empty());
    drop(last);
    pair.stop();
}

fn a_client_that_was_away_finds_what_waited(pair: Pair) {
    let (here, there) = (pair.here.address, pair.there.address);
    let (mut ada, ticket) = Ticket::first(here);
    set_metadata(&mut ada, &json!({"n": 1}));
    lose(ada);
    let mut bob = Client::connect(here);
    for data in 1..=3 {
        let message =
            json!({"type": "private_message", "to": ticket.client, "data": data, "id": 1});
        bob.send(&message);
        bob.expect("ack");
    }
    let (mut ada, session) = ticket.again(there, Some(1));
    assert_eq!(session["last"], 3);
    for data in 2..=3 {
        let told = ada.expect("private_message");
        assert_eq!(
            (&told["data"], &told["offset"]),
            (&json!(data), &json!(data))
        );
    }
    expect_nothing(&mut ada);
    assert_eq!(
        set_metadata(&mut ada, &json!({"m": 2})),
        json!({"n": 1, "m": 2})
    );
    // It is known here no more.
    let message = json!({"type": "private_message", "to": ticket.client, "data": 4, "id": 1});
    bob.send(&message);
    assert_eq!(bob.expect("error")["code"], "target_not_found");
    // What it has had stays had.
    let (mut back, session) = ticket.again(here, Some(3));
    assert_eq!(session["last"], 3);
    expect_nothing(&mut back);
    expect_replaced(&mut ada);
    bob.send(&message);
    bob.expect("ack");
    assert_eq!(back.expect("private_message")["offset"], 4);
    // Whom a server has told goodbye it waits for.
    drop((ada, back, bob));
    pair.stop();
}

fn rooms_are_those_of_each_server(pair: Pair) {
    let (mut ada, ticket) = Ticket::first(pair.here.address);
    let mut bob = Client::connect(pair.here.address);
    ada.send(&json!({"type": "join", "room": "kept"}));
    ada.expect("joined_room");
    bob.send(&json!({"type": "join", "room": "kept"}));
    bob.expect("joined_room");
    ada.expect("member_joined");
    ada.send(&json!({"type": "room_message", "room": "kept", "data": 1, "id": 1}));
    ada.expect("ack");
    bob.expect("room_message");
    ada.send(&json!({"type": "history", "room": "kept", "id": 2}));
    let known = ada.expect("history");
    let (mut back, _) = ticket.again(pair.there.address, None);
    let left = bob.expect("member_left");
    assert_eq!(
        (&left["clientId"], &left["reason"]),
        (&json!(ticket.client), &json!("disconnected"))
    );
    back.send(
        &json!({"type": "join", "room": "kept", "after": known["last"], "epoch": known["epoch"]}),
    );
    assert_eq!(back.expect("joined_room")["total"], 1);
    assert_eq!(back.expect("history")["reset"], true);
    assert_eq!(back.expect("resumed")["complete"], false);
    drop((ada, bob, back));
    pair.stop();
}

fn who_is_told_goodbye_goes_on_elsewhere(pair: Pair) {
    let Pair {
        here, there, store, ..
    } = pair;
    // Some are there as the server ends, and some are not.
    let there_ones: Vec<_> = (0..8).map(|_| Ticket::first(here.address)).collect();
    let away: Vec<_> = (0..8).map(|_| Ticket::first(here.address)).collect();
    let mut bob = Client::connect(here.address);
    let away: Vec<_> = away
        .into_iter()
        .map(|(mut client, ticket)| {
            set_metadata(&mut client, &json!({"n": 1}));
            lose(client);
            let message =
                json!({"type": "private_message", "to": ticket.client, "data": 7, "id": 1});
            bob.send(&message);
            bob.expect("ack");
            ticket
        })
        .collect();
    drop(bob);
    let ended = thread::spawn(here.drain);
    let mut back = Vec::new();
    for (mut client, ticket) in there_ones {
        let closing = client.expect("closing");
        assert_eq!(closing["code"], 1012, "{closing}");
        assert_eq!(u16::from(client.expect_close().code), 1012);
        // At once: the server that it was at may still be there.
        back.push(ticket.again(there.address, None).0);
    }
    ended.join().expect("an orderly end");
    assert_eq!((store.len(), store.dropped()), (away.len(), 0));
    for ticket in away {
        let (mut client, session) = ticket.again(there.address, Some(0));
        assert_eq!(session["last"], 1);
        assert_eq!(client.expect("private_message")["data"], 7);
        assert_eq!(set_metadata(&mut client, &json!({})), json!({"n": 1}));
    }
    assert!(store.is_empty());
    assert_eq!((here.take)(ClientId::from_bytes(&[1; 18])), Err(Ended));
    for client in &mut back {
        expect_nothing(client);
    }
    drop(back);
    (there.drain)();
}

fn what_nobody_can_take_up_is_stale(pair: Pair) {
    let (here, there) = (pair.here.address, pair.there.address);
    let (mut ada, ticket) = Ticket::first(here);
    let wrong = Ticket {
        secret: json!("AAAAAAAAAAAAAAAAAAAAAA"),
        ..ticket.clone()
    };
    expect_stale(&mut Client::connect(there), &wrong);
    let other = (pair.start)(settings(1, 2), Some(&pair.store));
    expect_stale(&mut Client::connect(other.address), &ticket);
    // Neither has touched it.
    expect_nothing(&mut ada);
    say_goodbye(&mut ada);
    // Its secret is right, and nobody has it.
    expect_stale(&mut Client::connect(there), &ticket);
    (other.drain)();
    pair.stop();
}

fn a_program_takes_a_session_itself(pair: Pair) {
    let (mut ada, ticket) = Ticket::first(pair.here.address);
    assert_eq!((pair.there.take)(ticket.id()), Ok(None));
    let taken = (pair.here.take)(ticket.id()).expect("it runs");
    let session = taken.expect("it was there");
    assert_eq!(session.client(), ticket.id());
    expect_replaced(&mut ada);
    assert_eq!((pair.here.take)(ticket.id()), Ok(None));
    pair.store.save(session);
    drop((ada, ticket.again(pair.there.address, None)));
    pair.stop();
}

/// Clients of each go over to the other at once, there and back.
fn many_cross(pair: Pair) {
    const EACH: usize = 12;
    let addresses = [pair.here.address, pair.there.address];
    let gate = Arc::new(Barrier::new(2 * EACH));
    let cross = |number: usize| {
        let gate = Arc::clone(&gate);
        thread::spawn(move || {
            let side = number % 2;
            let (mut client, ticket) = Ticket::first(addresses[side]);
            set_metadata(&mut client, &json!({"n": number}));
            for round in 1..=4 {
                gate.wait();
                let (mut next, _) = ticket.again(addresses[(side + round) % 2], None);
                let metadata = set_metadata(&mut next, &json!({}));
                assert_eq!(metadata, json!({"n": number}));
                expect_replaced(&mut client);
                client = next;
            }
            client
        })
    };
    let crossing: Vec<_> = (0..2 * EACH).map(cross).collect();
    for thread in crossing {
        let mut client = thread.join().expect("it has gone over");
        say_goodbye(&mut client);
    }
    assert!(pair.store.is_empty());
    pair.stop();
}

/// No loop waits for another one: who is still at the other server is not found, at once, and keeps what it has.
fn without_threads_what_was_saved_is_found(pair: Pair) {
    let Pair { here, there, .. } = pair;
    let (mut ada, ticket) = Ticket::first(here.address);
    expect_stale(&mut Client::connect(there.address), &ticket);
    set_metadata(&mut ada, &json!({"n": 1}));
    lose(ada);
    (here.drain)();
    let (mut ada, _) = ticket.again(there.address, None);
    assert_eq!(set_metadata(&mut ada, &json!({})), json!({"n": 1}));
    drop(ada);
    (there.drain)();
}

//! Work that takes long, on real sockets: what every adapter's pool is held to.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roomwire_core::server::Outcome;
use serde_json::{Value, json};

use crate::tcp::{Client, PATIENCE};

/// Message types that [`Gate::answer`] knows, to be registered.
pub const TYPES: [&str; 3] = ["wait", "quick", "panic"];

/// Holds up whoever is to answer, until it is opened.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    open: bool,
    /// How many have come to it.
    held: usize,
}

impl Gate {
    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.state().open = true;
        self.0.1.notify_all();
    }

    /// Waits until so many have come to it.
    ///
    /// # Panics
    /// If they do not come.
    pub fn await_held(&self, count: usize) {
        let (held, _) = self.wait_while(PATIENCE, |state| state.held < count);
        assert!(held >= count, "{held} of {count} have come to the gate");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many have come, and whether it is open.
    fn wait_while(&self, most: Duration, waits: impl Fn(&State) -> bool) -> (usize, bool) {
        let news = &self.0.1;
        let waited = news.wait_timeout_while(self.state(), most, |state| waits(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (state.held, state.open)
    }

    /// Answers a message, for `wait` once the gate is open.
    ///
    /// # Panics
    /// At `panic`, and if nobody opens the gate.
    pub fn answer(&self, kind: &str, message: &str) -> Outcome {
        assert_ne!(kind, "panic", "as asked for");
        if kind == "wait" {
            self.state().held += 1;
            self.0.1.notify_all();
            // Longer than anybody who waits for the end of a server.
            let (_, open) = self.wait_while(2 * PATIENCE, |state| !state.open);
            assert!(open, "nobody has opened the gate");
        }
        let message: Value = serde_json::from_str(message).unwrap_or_default();
        let answer = json!({"type": "answer", "number": message["number"]});
        Outcome::Reply(answer.to_string())
    }
}

/// While one client's message is answered, and another's is read, everybody else is served; and what each is told
/// comes in the order in which it has asked. For a server whose program answers with `gate`, on at least two threads.
pub fn work_beside_the_loop(address: SocketAddr, gate: &Gate) {
    let [mut ada, mut bob, mut eve] = [(); 3].map(|()| Client::connect(address));
    for (number, kind) in ["wait", "quick", "quick", "wait"].into_iter().enumerate() {
        ada.send(&json!({"type": kind, "number": number, "id": number}));
    }
    ada.send(&json!({"type": "ping", "id": "behind"}));
    // Its own other messages wait for no answer, either.
    assert_eq!(ada.expect("pong")["id"], "behind");
    bob.send(&json!({"type": "quick", "number": 7, "id": 7}));
    assert_eq!(bob.expect("answer")["number"], 7);

    // A message that is read by the pool: all that comes after it comes after it.
    bob.send(&json!({"type": "join", "room": "tea", "id": 1}));
    bob.expect("joined_room");
    eve.send(&json!({"type": "join", "room": "tea", "id": 1}));
    eve.expect("joined_room");
    bob.expect("member_joined");
    let large = vec![json!({"a": [1, 2, 3]}); 20_000];
    for number in 0..3 {
        eve.send(&json!({"type": "room_message", "room": "tea", "data": [number, large]}));
        eve.send(&json!({"type": "room_message", "room": "tea", "data": [number]}));
    }
    for number in 0..3 {
        for length in [2, 1] {
            let data = bob.expect("room_message")["data"].clone();
            assert_eq!(data.as_array().map(Vec::len), Some(length));
            assert_eq!(data[0], number);
        }
    }

    gate.open();
    for number in 0..4 {
        let answer = ada.expect("answer");
        assert_eq!(
            (&answer["number"], &answer["id"]),
            (&json!(number), &json!(number))
        );
    }
}

/// Whoever makes the server fail, at a message of the program's or at one of its own, is closed, and nobody else.
/// `faulty_bytes`: a message that long fails.
pub fn fail_beside_the_loop(address: SocketAddr, faulty_bytes: usize) {
    let mut bystander = Client::connect(address);
    let mut ada = Client::connect(address);
    ada.send(&json!({"type": "panic", "id": 1}));
    assert_eq!(ada.expect("closing")["code"], 1011);
    assert_eq!(u16::from(ada.expect_close().code), 1011);

    let mut bob = Client::connect(address);
    let empty = json!({"type": "ping", "x": ""}).to_string().len();
    let text = json!({"type": "ping", "x": "x".repeat(faulty_bytes - empty)}).to_string();
    assert_eq!(text.len(), faulty_bytes);
    bob.send_text(&text);
    assert_eq!(bob.expect("closing")["code"], 1011);
    assert_eq!(u16::from(bob.expect_close().code), 1011);

    bystander.send(&json!({"type": "quick", "number": 1, "id": 1}));
    bystander.expect("answer");
}

/// However long the program takes for the messages of some, those of the server itself are dealt with: for a server whose
/// program answers with `gate`, on `threads` threads. It is held up there when this ends, with clients that wait.
pub fn hold_every_hook(address: SocketAddr, gate: &Gate, threads: usize) -> Vec<Client> {
    let mut held: Vec<_> = (0..threads + 1).map(|_| Client::connect(address)).collect();
    for (number, client) in held.iter_mut().enumerate() {
        client.send(&json!({"type": "wait", "number": number, "id": number}));
    }
    gate.await_held(threads);
    let [mut bob, mut eve] = [(); 2].map(|()| Client::connect(address));
    for client in [&mut bob, &mut eve] {
        client.send(&json!({"type": "join", "room": "tea", "id": 1}));
        client.expect("joined_room");
    }
    bob.expect("member_joined");
    let large = vec![json!({"a": [1, 2, 3]}); 20_000];
    eve.send(&json!({"type": "room_message", "room": "tea", "data": large, "id": 2}));
    let told = bob.expect("room_message")["data"].clone();
    assert_eq!(told.as_array().map(Vec::len), Some(large.len()));
    assert_eq!(eve.expect("ack")["id"], 2);
    held
}

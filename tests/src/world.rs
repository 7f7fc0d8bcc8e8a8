//! A server, its driver and its clients, for tests that read like a scenario.
//!
//! ```
//! use roomwire_tests::World;
//! use serde_json::json;
//!
//! let mut world = World::default();
//! let (ada, bob) = (world.connect(), world.connect());
//! world.join(ada, "tea");
//! world.join(bob, "tea");
//! world.expect(ada, "member_joined");
//! world.send(bob, &json!({"type": "room_message", "room": "tea", "data": "hello"}));
//! assert_eq!(world.expect(ada, "room_message")["data"], "hello");
//! ```

use core::time::Duration;
use std::collections::BTreeMap;

use roomwire_core::server::{Command, Event};
use roomwire_core::{
    Config, ConnectionId, ListenerId, Machine as _, PeerAddr, ShardId, Stats, TransportEnd,
};
use serde_json::Value;

use crate::client::{Client, Message, json};
use crate::driver::Driver;
use crate::frame::{Opcode, masked};
use crate::pipe::Ending;
use crate::shards::{Shards, shards_of_tests};

/// A server and its clients.
#[derive(Debug)]
pub struct World {
    driver: Driver<Shards>,
    clients: Vec<Client>,
    by_connection: BTreeMap<ConnectionId, Peer>,
    requests: u64,
}

/// Names one client of a [`World`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer(usize);

/// How a client comes in.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// The far end of its socket.
    pub peer: PeerAddr,
    /// Where it comes in.
    pub listener: ListenerId,
    /// The request's path.
    pub path: &'static str,
    /// Further header lines, each with its CRLF.
    pub headers: String,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            peer: PeerAddr::Inet(([127, 0, 0, 1], 50_000).into()),
            listener: ListenerId(0),
            path: "/",
            headers: String::new(),
        }
    }
}

impl Upgrade {
    /// The request as it goes over the wire.
    pub fn request(&self) -> Vec<u8> {
        let Self { path, headers, .. } = self;
        format!(
            "GET {path} HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
        )
        .into_bytes()
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl World {
    /// A server with this config, a fixed seed and no clients; of as many shards as the tests are run with.
    pub fn new(config: Config) -> Self {
        Self::of_shards(config, shards_of_tests())
    }

    /// A server of one shard, for what only one promises.
    pub fn alone(config: Config) -> Self {
        Self::of_shards(config, 1)
    }

    /// A server of so many shards.
    pub fn of_shards(config: Config, shards: u8) -> Self {
        Self::with_seed(config, shards, 7)
    }

    /// One of several servers: with seeds of their own they give out ids of their own.
    pub fn with_seed(config: Config, shards: u8, seed: u8) -> Self {
        let config = config.validate().expect("a config that is allowed");
        Self {
            driver: Driver::new(Shards::new(&config, [seed; 32], shards)),
            clients: Vec::new(),
            by_connection: BTreeMap::new(),
            requests: 0,
        }
    }

    // ---- coming and going

    /// A client from loopback, welcomed.
    pub fn connect(&mut self) -> Peer {
        self.connect_as(&Upgrade::default())
    }

    /// Several clients from loopback, welcomed.
    pub fn connect_many(&mut self, count: usize) -> Vec<Peer> {
        (0..count).map(|_| self.connect()).collect()
    }

    /// A client that does its handshake and waits for its welcome.
    pub fn connect_as(&mut self, upgrade: &Upgrade) -> Peer {
        let peer = self.knock(upgrade);
        assert_eq!(self.client(peer).status(), 101, "{:?}", self.client(peer));
        let delay = self.driver.machine().config().timeouts.welcome_delay_ms;
        self.advance_ms(delay);
        let welcome = self.expect(peer, "welcome");
        let id = welcome["clientId"].as_str().expect("an id").to_owned();
        self.clients[peer.0].id = id;
        peer
    }

    /// The shard that has a client.
    pub fn shard(&self, peer: Peer) -> ShardId {
        self.connection(peer).shard()
    }

    /// A client that sends its upgrade request and reads what comes at once.
    pub fn knock(&mut self, upgrade: &Upgrade) -> Peer {
        let peer = self.accept(upgrade);
        self.send_bytes(peer, &upgrade.request());
        peer
    }

    /// A connection that says nothing yet.
    pub fn accept(&mut self, upgrade: &Upgrade) -> Peer {
        self.try_accept(upgrade).expect("the connection is taken")
    }

    /// A connection that says nothing yet; `None` if the server refuses it.
    pub fn try_accept(&mut self, upgrade: &Upgrade) -> Option<Peer> {
        let connection = self.driver.accept(upgrade.peer, upgrade.listener)?;
        let peer = Peer(self.clients.len());
        let mut client = Client::new(connection);
        if upgrade.listener == ListenerId::ADOPTED {
            client.response = Some("HTTP/1.1 101 by another server\r\n\r\n".to_owned());
        }
        self.clients.push(client);
        self.by_connection.insert(connection, peer);
        Some(peer)
    }

    /// The client closes in order: close frame, then its half of the socket.
    pub fn close(&mut self, peer: Peer) {
        self.send_frame(peer, Opcode::Close, &1000_u16.to_be_bytes());
        self.finish(peer);
    }

    /// A shard fails: its connections are gone, and it begins anew.
    pub fn restart(&mut self, shard: ShardId) {
        let lost: Vec<_> = self.driver.connections().map(|(id, _)| id).collect();
        for connection in lost.into_iter().filter(|id| id.shard() == shard) {
            self.driver.end(connection, TransportEnd::Failed);
        }
        self.driver.machine_mut().restart(shard);
        self.settle();
    }

    /// A shard has failed, and says goodbye to its clients.
    pub fn abandon(&mut self, shard: ShardId) {
        self.driver.machine_mut().abandon(shard);
        self.settle();
    }

    /// The client finishes writing.
    pub fn finish(&mut self, peer: Peer) {
        self.driver.finish(self.connection(peer));
        self.settle();
    }

    /// The client's socket is reset.
    pub fn reset(&mut self, peer: Peer) {
        let connection = self.connection(peer);
        self.driver.end(connection, TransportEnd::Reset);
        self.settle();
    }

    // ---- saying

    /// Sends a message and lets everything that follows from it happen.
    pub fn send(&mut self, peer: Peer, message: &Value) {
        self.send_text(peer, &message.to_string());
    }

    /// Sends text.
    pub fn send_text(&mut self, peer: Peer, text: &str) {
        self.send_frame(peer, Opcode::Text, text.as_bytes());
    }

    /// Sends one whole frame.
    pub fn send_frame(&mut self, peer: Peer, opcode: Opcode, payload: &[u8]) {
        self.send_bytes(peer, &masked(opcode, true, payload));
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, peer: Peer, bytes: &[u8]) {
        self.post(peer, bytes);
        self.settle();
    }

    /// Puts bytes on the wire; nothing happens before the next [`settle`](Self::settle).
    pub fn post(&mut self, peer: Peer, bytes: &[u8]) {
        self.driver.send(self.connection(peer), bytes);
    }

    /// Puts a message on the wire; nothing happens before the next [`settle`](Self::settle).
    pub fn post_json(&mut self, peer: Peer, message: &Value) {
        let frame = masked(Opcode::Text, true, message.to_string().as_bytes());
        self.post(peer, &frame);
    }

    /// Sends a message with an `id` of its own and returns its only outcome.
    pub fn request(&mut self, peer: Peer, message: &Value) -> Value {
        self.requests += 1;
        let id = format!("request {}", self.requests);
        let mut message = message.clone();
        message["id"] = id.as_str().into();
        self.send(peer, &message);
        let outcome = self.take_outcome(peer, &id);
        let outcome = outcome.unwrap_or_else(|| panic!("no outcome of {message}"));
        let second = self.take_outcome(peer, &id);
        assert_eq!(second, None, "a second outcome of {message}");
        outcome
    }

    fn take_outcome(&mut self, peer: Peer, id: &str) -> Option<Value> {
        let is_it = |text: &str| json(text)["id"] == id;
        self.clients[peer.0].take_text(is_it).map(|t| json(&t))
    }

    /// A request that must fail; returns its code.
    pub fn refused(&mut self, peer: Peer, message: &Value) -> String {
        let outcome = self.request(peer, message);
        assert_eq!(outcome["type"], "error", "{message} got {outcome}");
        outcome["code"].as_str().expect("a code").to_owned()
    }

    /// Joins a room; returns the reply.
    pub fn join(&mut self, peer: Peer, room: &str) -> Value {
        let reply = self.request(peer, &serde_json::json!({"type": "join", "room": room}));
        assert_eq!(reply["type"], "joined_room", "{reply}");
        reply
    }

    /// What the embedding program asks for.
    pub fn command(&mut self, command: Command) {
        self.driver.command(command);
        self.settle();
    }

    // ---- hearing

    /// The next message to a client, which must be of this type.
    pub fn expect(&mut self, peer: Peer, kind: &str) -> Value {
        let next = self.next(peer);
        let message = next.unwrap_or_else(|| panic!("nothing instead of {kind}"));
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// There must be no message for a client.
    pub fn expect_nothing(&mut self, peer: Peer) {
        assert_eq!(self.next(peer), None);
    }

    /// The next message to a client, as JSON.
    pub fn next(&mut self, peer: Peer) -> Option<Value> {
        self.clients[peer.0].next_json()
    }

    /// The next message to a client, as it came.
    pub fn next_text(&mut self, peer: Peer) -> Option<String> {
        self.clients[peer.0].next_text()
    }

    /// The next message or control frame to a client.
    pub fn next_message(&mut self, peer: Peer) -> Option<Message> {
        self.clients[peer.0].next_message()
    }

    /// All messages to a client so far.
    pub fn all(&mut self, peer: Peer) -> Vec<Value> {
        core::iter::from_fn(|| self.next(peer)).collect()
    }

    /// Forgets everything that anybody has heard.
    pub fn forget(&mut self) {
        for client in &mut self.clients {
            while client.next_message().is_some() {}
        }
        self.driver.take_events();
    }

    /// The close frame that a client got.
    pub fn close_frame(&self, peer: Peer) -> Option<(u16, &str)> {
        let close = self.clients[peer.0].close.as_ref();
        close.map(|(code, reason)| (*code, reason.as_str()))
    }

    /// How a client's connection ended; `None` while it lives.
    pub fn ending(&self, peer: Peer) -> Option<Ending> {
        self.driver.pipe(self.connection(peer)).ending()
    }

    /// Events since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        self.driver.take_events()
    }

    // ---- time and reading

    /// Lets everything happen that happens at once.
    pub fn settle(&mut self) {
        self.driver.settle();
        self.receive();
    }

    /// Lets time pass, sleeping exactly to each deadline; pings are answered on the way.
    pub fn advance_ms(&mut self, ms: u64) {
        self.advance_us(ms * 1_000);
    }

    /// The same in microseconds.
    pub fn advance_us(&mut self, micros: u64) {
        let end = self.driver.now().mono + Duration::from_micros(micros);
        while self.driver.step_to(end) {
            self.receive();
        }
        self.receive();
    }

    /// Sleeps to the next deadline; `false` if there is none.
    pub fn sleep(&mut self) -> bool {
        let slept = self.driver.sleep();
        self.receive();
        slept
    }

    /// The client reads nothing more.
    pub fn stall(&mut self, peer: Peer) {
        self.driver.stall(self.connection(peer));
    }

    /// The client reads nothing more, and its socket takes nothing either: all stays in the server.
    pub fn dam(&mut self, peer: Peer) {
        self.stall(peer);
        self.driver.resize(self.connection(peer), 0);
    }

    /// The client reads again.
    pub fn release(&mut self, peer: Peer) {
        let connection = self.connection(peer);
        self.driver.resize(connection, 256 * 1024);
        self.driver.release(connection);
        self.settle();
    }

    /// The client answers no more pings.
    pub fn mute(&mut self, peer: Peer) {
        self.clients[peer.0].answers_pings = false;
    }

    fn receive(&mut self) {
        let mut ponged = false;
        for connection in self.driver.take_news() {
            let Some(&Peer(index)) = self.by_connection.get(&connection) else {
                continue;
            };
            let client = &mut self.clients[index];
            client.receive(&self.driver.take_received(connection));
            let pings = core::mem::take(&mut client.pings);
            if client.answers_pings && pings > 0 {
                ponged = true;
                self.driver
                    .send(connection, &masked(Opcode::Pong, true, b""));
            }
        }
        if ponged {
            self.driver.settle();
        }
    }

    // ---- looking inside

    /// The driver.
    pub fn driver(&mut self) -> &mut Driver<Shards> {
        &mut self.driver
    }

    /// The server.
    pub fn machine(&self) -> &Shards {
        self.driver.machine()
    }

    /// A client's record.
    pub fn client(&self, peer: Peer) -> &Client {
        &self.clients[peer.0]
    }

    /// A client's public address.
    pub fn id(&self, peer: Peer) -> &str {
        &self.clients[peer.0].id
    }

    /// A client's connection.
    pub fn connection(&self, peer: Peer) -> ConnectionId {
        self.clients[peer.0].connection
    }

    /// The server's counters.
    pub fn stats(&self) -> Stats {
        self.driver.machine().stats()
    }

    /// Bytes that wait in the server for a client.
    pub fn queued_bytes(&self, peer: Peer) -> usize {
        let unsent = self.driver.machine().unsent(self.connection(peer));
        unsent.map(<[u8]>::len).sum()
    }

    /// Nothing must be left of anybody: every id has ended, every gauge is zero.
    pub fn assert_empty(&self) {
        let stats = self.stats();
        let left = (
            stats.connections,
            stats.clients,
            stats.rooms,
            stats.buffered_bytes,
        );
        assert_eq!(left, (0, 0, 0, 0), "{stats:?}");
        assert_eq!(stats.opened, stats.closed, "{stats:?}");
        let alive: Vec<_> = self.driver.connections().map(|(id, _)| id).collect();
        assert_eq!(alive, [], "these have not ended");
    }
}

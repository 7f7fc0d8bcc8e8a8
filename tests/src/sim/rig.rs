//! A test rig for a program around the server: its hooks, clients on a bad network, every request followed.
//!
//! The program is an [`App`]: it hears the server's events and asks for commands, at once or later. Clients
//! connect, ask, are cut off and come back; the rig knows of each request whether it has been answered, and
//! panics if one is answered twice. Everything comes from one seed.

use std::collections::BTreeMap;

use roomwire_core::server::{Command, Event};
use roomwire_core::{ListenerId, PeerAddr, Server, ValidConfig};
use serde_json::{Value, json};

use super::host::Driving;
use super::network::{HostId, Network, News, SocketId};
use super::observer::Observer;
use super::peer::{Codec, Heard, Peer};
use super::wire::Link;
use crate::frame::Opcode;
use crate::rng::Rng;

/// A program around the server.
pub trait App {
    /// The server has news. What the program asks for in turn goes into `orders`.
    fn event(&mut self, event: &Event, orders: &mut Orders);
}

/// Nobody listens.
impl App for () {
    fn event(&mut self, _: &Event, _: &mut Orders) {}
}

/// What a program asks for.
#[derive(Debug, Default)]
pub struct Orders {
    now_us: u64,
    commands: Vec<(u64, Command)>,
}

impl Orders {
    /// The clock, in microseconds.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// A command after so many microseconds; 0: at once.
    pub fn after(&mut self, micros: u64, command: Command) {
        self.commands.push((self.now_us + micros, command));
    }
}

/// A client of a rig.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RigClient(usize);

/// A request that a client has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(usize);

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// Nothing yet.
    Open,
    /// This is its outcome.
    Answered(Value),
    /// Its connection ended first.
    Lost,
}

/// A server, the program around it, and clients.
#[derive(Debug)]
pub struct Rig<A, O = ()> {
    net: Network<Server, O>,
    app: A,
    clients: Vec<Client>,
    tickets: Vec<(RigClient, Fate)>,
    later: BTreeMap<u64, Command>,
    next_timer: u64,
    /// Chance for tests, apart from that of the network.
    pub rng: Rng,
}

#[derive(Debug)]
struct Client {
    peer: PeerAddr,
    link: Link,
    socket: Option<SocketId>,
    codec: Peer,
    id: Option<String>,
    /// Requests by their `id`.
    open: BTreeMap<u64, Ticket>,
    /// Requests that wait for the handshake.
    waiting: Vec<Vec<u8>>,
    heard: Vec<Value>,
}

impl<A: App> Rig<A> {
    /// A rig that nobody watches.
    pub fn new(config: ValidConfig, app: A, seed: u64) -> Self {
        Self::watched(config, app, seed, ())
    }
}

impl<A: App, O: Observer<Server>> Rig<A, O> {
    /// A rig whose server is watched.
    pub fn watched(config: ValidConfig, app: A, seed: u64, observer: O) -> Self {
        let mut rng = Rng::new(seed);
        let mut key = [0; 32];
        for chunk in key.chunks_mut(8) {
            chunk.copy_from_slice(&rng.next().to_le_bytes());
        }
        let mut net = Network::new(rng.next(), observer);
        net.add(Server::new(config, key), Driving::default());
        Self {
            net,
            app,
            clients: Vec::new(),
            tickets: Vec::new(),
            later: BTreeMap::new(),
            next_timer: 0,
            rng,
        }
    }

    // ---- clients

    /// A client that connects now, over such a network.
    pub fn client(&mut self, link: Link) -> RigClient {
        let number = self.clients.len();
        let host = [10, 1, (number / 250) as u8, (number % 250) as u8];
        self.clients.push(Client {
            peer: PeerAddr::Inet((host, 50_000).into()),
            link,
            socket: None,
            codec: Peer::new(Codec::Own, number as u64),
            id: None,
            open: BTreeMap::new(),
            waiting: Vec::new(),
            heard: Vec::new(),
        });
        let client = RigClient(number);
        self.connect(client);
        client
    }

    /// Connects a client anew; what is open on its old connection is lost.
    pub fn connect(&mut self, client: RigClient) {
        self.reset(client);
        let entry = &mut self.clients[client.0];
        let socket = self
            .net
            .connect(HostId(0), entry.peer, ListenerId(0), &entry.link);
        entry.socket = Some(socket);
        entry.codec = Peer::new(Codec::Own, socket.0 as u64);
        entry.id = None;
        self.net.write(socket, UPGRADE);
    }

    /// Resets a client's connection.
    pub fn reset(&mut self, client: RigClient) {
        if let Some(socket) = self.clients[client.0].socket {
            self.net.reset(socket);
        }
        self.lose(client);
    }

    /// A client vanishes without a word; the server has to find out.
    pub fn vanish(&mut self, client: RigClient) {
        if let Some(socket) = self.clients[client.0].socket {
            self.net.vanish(socket);
        }
        self.lose(client);
    }

    /// Nothing gets through for so many microseconds.
    pub fn stall(&mut self, client: RigClient, micros: u64) {
        if let Some(socket) = self.clients[client.0].socket {
            self.net.stall(socket, micros);
        }
    }

    /// Whether a client has a connection, as far as it knows.
    pub fn is_connected(&self, client: RigClient) -> bool {
        self.clients[client.0].socket.is_some()
    }

    /// A client's id, once it was welcomed.
    pub fn id(&self, client: RigClient) -> Option<&str> {
        self.clients[client.0].id.as_deref()
    }

    /// A client asks for something: a JSON object, to which the `id` is added. One that has no connection is
    /// told at once that its request is lost.
    pub fn ask(&mut self, client: RigClient, mut request: Value) -> Ticket {
        let ticket = Ticket(self.tickets.len());
        request["id"] = json!(ticket.0);
        let entry = &mut self.clients[client.0];
        let Some(socket) = entry.socket else {
            self.tickets.push((client, Fate::Lost));
            return ticket;
        };
        self.tickets.push((client, Fate::Open));
        entry.open.insert(ticket.0 as u64, ticket);
        let text = request.to_string();
        let frame = entry.codec.frame(Opcode::Text, true, text.as_bytes());
        if entry.codec.is_open() {
            self.net.write(socket, &frame);
        } else {
            entry.waiting.push(frame);
        }
        ticket
    }

    /// What became of a request.
    pub fn fate(&self, ticket: Ticket) -> &Fate {
        &self.tickets[ticket.0].1
    }

    /// What a client was told that answers no request, since the last call.
    pub fn take_heard(&mut self, client: RigClient) -> Vec<Value> {
        core::mem::take(&mut self.clients[client.0].heard)
    }

    // ---- the server's side

    /// The program.
    pub fn app(&self) -> &A {
        &self.app
    }

    /// The server.
    pub fn server(&self) -> &Server {
        self.net.machine(HostId(0))
    }

    /// Who watches.
    pub fn observer(&self) -> &O {
        self.net.observer()
    }

    /// The program asks for something now.
    pub fn command(&mut self, command: Command) {
        self.net.command(HostId(0), command);
    }

    // ---- time

    /// The clock, in microseconds.
    pub fn now_us(&self) -> u64 {
        self.net.now_us()
    }

    /// Lets so many microseconds pass.
    pub fn run_for(&mut self, micros: u64) {
        let until = self.net.now_us() + micros;
        while let Some(news) = self.net.next_before(until) {
            self.news(news);
        }
    }

    fn news(&mut self, news: News<Event>) {
        match news {
            News::Event(_, event) => {
                let mut orders = Orders {
                    now_us: self.net.now_us(),
                    commands: Vec::new(),
                };
                self.app.event(&event, &mut orders);
                for (at, command) in orders.commands {
                    self.later.insert(self.next_timer, command);
                    self.net.set_timer(at, self.next_timer);
                    self.next_timer += 1;
                }
            }
            News::Timer(token) => {
                if let Some(command) = self.later.remove(&token) {
                    self.net.command(HostId(0), command);
                }
            }
            News::Received(socket, bytes) => {
                if let Some(client) = self.client_of(socket) {
                    self.received(client, socket, &bytes);
                }
            }
            News::Refused(socket) | News::Reset(socket) | News::Finished(socket) => {
                self.net.finish(socket);
                if let Some(client) = self.client_of(socket) {
                    self.lose(client);
                }
            }
            News::Connected(_) => {}
        }
    }

    fn client_of(&self, socket: SocketId) -> Option<RigClient> {
        let mut clients = self.clients.iter();
        let at = clients.position(|client| client.socket == Some(socket));
        at.map(RigClient)
    }

    fn received(&mut self, client: RigClient, socket: SocketId, bytes: &[u8]) {
        for heard in self.clients[client.0].codec.receive(bytes) {
            let entry = &mut self.clients[client.0];
            match heard {
                Heard::Upgraded => {
                    for frame in core::mem::take(&mut entry.waiting) {
                        self.net.write(socket, &frame);
                    }
                }
                Heard::Ping(payload) => {
                    let pong = entry.codec.frame(Opcode::Pong, true, &payload);
                    self.net.write(socket, &pong);
                }
                Heard::Text(text) => {
                    let value = serde_json::from_str(&text).expect("the server sends JSON");
                    self.told(client, value);
                }
                Heard::Close(code) => {
                    let code = code.to_be_bytes();
                    let close = entry.codec.frame(Opcode::Close, true, &code);
                    self.net.write(socket, &close);
                    self.net.finish(socket);
                }
                Heard::Broken(what) => panic!("client {}: {what}", client.0),
                Heard::Response(status) => panic!("client {}: refused with {status}", client.0),
                Heard::Binary(_) | Heard::Pong(_) => {}
            }
        }
    }

    fn told(&mut self, client: RigClient, value: Value) {
        let entry = &mut self.clients[client.0];
        if value["type"] == "welcome" {
            entry.id = value["clientId"].as_str().map(str::to_owned);
        }
        let Some(id) = value["id"].as_u64() else {
            entry.heard.push(value);
            return;
        };
        let ticket = entry.open.remove(&id);
        let ticket = ticket.unwrap_or_else(|| panic!("client {}: nobody asked: {value}", client.0));
        self.tickets[ticket.0].1 = Fate::Answered(value);
    }

    /// A client's connection is gone, and its open requests with it.
    fn lose(&mut self, client: RigClient) {
        let entry = &mut self.clients[client.0];
        entry.socket = None;
        entry.waiting.clear();
        for (_, ticket) in core::mem::take(&mut entry.open) {
            self.tickets[ticket.0].1 = Fate::Lost;
        }
    }
}

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

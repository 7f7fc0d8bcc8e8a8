//! The clients of a plan at work: they do what they are to do, and tell the oracle what they have said.

use serde_json::json;

use super::carrier::{About, Carrier, Said};
use super::content::Content;
use super::frames::{frame_of, text_of};
use super::network::{HostId, Network, Reading, SocketId};
use super::observer::Fingerprint;
use super::oracle::{Kind, Oracle, Outgoing, Request, Target};
use super::peer::{Codec, Heard, Peer};
use super::plan::{APPLICATION_TYPE, Act, Ask, Head, Parcel, Plan, ROOMS, Recipient, Wish};
use super::tape::{Hosted, Inside};
use super::wrong::{lie_bytes, request, rest};
use crate::frame::Opcode;
use crate::rng::Rng;

/// The network of a run.
pub(super) type Net = Network<Hosted, (Inside<Oracle>, Fingerprint)>;

/// All clients of a plan.
#[derive(Debug)]
pub(super) struct Cast<'a> {
    plan: &'a Plan,
    actors: Vec<Actor>,
    /// Sockets of clients that have vanished.
    vanished: Vec<SocketId>,
    /// Which shard takes a connection.
    dealer: Rng,
}

#[derive(Debug)]
struct Actor {
    /// The next thing that it does.
    next: usize,
    socket: Option<SocketId>,
    peer: Option<Peer>,
    /// What it was told is its id.
    id: Option<String>,
    /// What it says once it may.
    waiting: Vec<Ask>,
    mute: bool,
    /// Numbers its messages and requests.
    serial: u64,
    carrier: Option<Box<Carrier>>,
}

impl<'a> Cast<'a> {
    pub(super) fn new(plan: &'a Plan, net: &mut Net) -> Self {
        let beginning = net.now_us();
        let mut actors = Vec::new();
        for (number, client) in plan.clients.iter().enumerate() {
            if let Some((after, _)) = client.acts.first() {
                net.set_timer(beginning + after, number as u64);
            }
            actors.push(Actor {
                next: 0,
                socket: None,
                peer: None,
                id: None,
                waiting: Vec::new(),
                mute: false,
                serial: 0,
                carrier: client
                    .porter
                    .map(|porter| Box::new(Carrier::new(porter, plan.seed ^ number as u64))),
            });
        }
        Self {
            plan,
            actors,
            vanished: Vec::new(),
            dealer: Rng::new(plan.seed ^ 0xDEA1),
        }
    }

    /// The connection of a client.
    pub(super) fn socket(&self, client: usize) -> Option<SocketId> {
        self.actors.get(client)?.socket
    }

    /// It is time for a client's next act.
    pub(super) fn act(&mut self, net: &mut Net, number: usize) {
        let plan = &self.plan.clients[number];
        let index = self.actors[number].next;
        let Some((_, act)) = plan.acts.get(index) else {
            return;
        };
        self.actors[number].next += 1;
        if let Some((after, _)) = plan.acts.get(index + 1) {
            net.set_timer(net.now_us() + after, number as u64);
        }
        match act {
            Act::Connect(head) => self.connect(net, number, *head),
            Act::Refused => {
                let socket = net.connect_refused(HostId(0), plan.peer, &plan.link);
                watch(net).dialled(socket, false);
                fault(net, "a connect is refused by the network");
            }
            Act::Say(asks) => self.say(net, number, asks),
            Act::Offer(parcel) => self.offer(net, number, *parcel),
            Act::GiveUp => self.port(net, number, Carrier::give_up),
            act => {
                if let Some(socket) = self.actors[number].socket {
                    self.do_to(net, number, socket, act);
                }
            }
        }
    }

    fn connect(&mut self, net: &mut Net, number: usize, head: Head) {
        let plan = &self.plan.clients[number];
        if let Some(old) = self.actors[number].socket.take() {
            net.reset(old);
        }
        let host = HostId(self.dealer.below(usize::from(self.plan.shards.count)));
        let socket = net.connect(host, plan.peer, plan.listener, &plan.link);
        let listener = &self.plan.config.listeners[plan.listener.0 as usize];
        watch(net).dialled(socket, listener.raw_payloads);
        let actor = &mut self.actors[number];
        actor.socket = Some(socket);
        actor.peer = Some(Peer::new(plan.codec, socket.0 as u64));
        actor.id = None;
        actor.waiting.clear();
        actor.mute = false;
        if head != Head::Upgrade {
            fault(net, &format!("a wrong request: {head:?}"));
        }
        let mut request = request(head, plan.codec == Codec::Deflating);
        if let Some(carrier) = &mut actor.carrier {
            carrier.connects();
            if carrier.is_binary() {
                let rest = request.split_off(b"GET /ws".len());
                request.extend(b"?dialect=binary");
                request.extend(rest);
            }
        }
        write(net, socket, &request);
    }

    fn say(&mut self, net: &mut Net, number: usize, asks: &[Ask]) {
        let actor = &mut self.actors[number];
        let open = actor.peer.as_ref().is_some_and(Peer::is_open);
        if !open && !self.plan.clients[number].eager {
            actor.waiting.extend_from_slice(asks);
            return;
        }
        let Some(socket) = actor.socket.filter(|&socket| net.is_writable(socket)) else {
            return;
        };
        if asks.len() > 1 {
            fault(net, "several requests in one piece");
        }
        let mut bytes = Vec::new();
        for ask in asks {
            let (frames, request, outgoing) = self.compose(number, socket, ask);
            watch(net).written(socket, frames.len());
            watch(net).asked(socket, request, outgoing);
            bytes.extend(frames);
        }
        if let Some(peer) = self.actors[number].peer.as_mut() {
            watch(net).pinged(socket, peer.take_pings());
        }
        net.write(socket, &bytes);
    }

    /// One request as frames, and what the oracle should know of it.
    fn compose(
        &mut self,
        number: usize,
        socket: SocketId,
        ask: &Ask,
    ) -> (Vec<u8>, Request, Option<Outgoing>) {
        let fragments = self.plan.clients[number].fragments;
        let target = match ask.what {
            Wish::Private(to, _) => self.actors.get(to).and_then(|actor| {
                let id = actor.id.clone()?;
                Some((Target::Client(actor.socket?), id))
            }),
            _ => None,
        };
        let actor = &mut self.actors[number];
        actor.serial += 1;
        let serial = actor.serial;
        let data = |room: usize, padding: usize| json!({"c": socket.0, "n": serial, "w": room, "p": "x".repeat(padding)});
        let mut outgoing = None;
        let (kind, room, mut text) = match ask.what {
            Wish::Join(room) => {
                let mut text = json!({"type": "join", "room": ROOMS[room]});
                // Without a draw of its own: seeds that have found something keep their stories.
                let after = serial.is_multiple_of(3).then_some(serial / 3 % 7);
                if let Some(after) = after {
                    text["after"] = after.into();
                }
                (Kind::Join(after), room, text)
            }
            Wish::Leave(room) => {
                if let Some(carrier) = &mut actor.carrier {
                    carrier.leaves(ROOMS[room]);
                }
                let text = json!({"type": "leave", "room": ROOMS[room]});
                (Kind::Leave, room, text)
            }
            Wish::Room(room, padding) => {
                let to = Target::Room(room);
                outgoing = Some(Outgoing { to, padding });
                let data = data(room, padding);
                let text = json!({"type": "room_message", "room": ROOMS[room], "data": data});
                (Kind::Message, room, text)
            }
            Wish::Broadcast(padding) => {
                let to = Target::Room(0);
                outgoing = Some(Outgoing { to, padding });
                let text = json!({"type": "broadcast", "data": data(0, padding)});
                (Kind::Message, 0, text)
            }
            Wish::Private(_, padding) => {
                let nobody = "client_AAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
                let (to, id) = target.unwrap_or((Target::Nobody, nobody));
                outgoing = Some(Outgoing { to, padding });
                let data = data(0, padding);
                let text = json!({"type": "private_message", "to": id, "data": data});
                (Kind::Message, 0, text)
            }
            Wish::Metadata => {
                let metadata = json!({"serial": serial, "name": "client"});
                let text = json!({"type": "set_metadata", "metadata": metadata});
                (Kind::Metadata, 0, text)
            }
            Wish::Hello => (
                Kind::Plain,
                0,
                json!({"type": "hello", "user": "simulator"}),
            ),
            Wish::Members(room) => {
                let text = json!({"type": "members", "room": ROOMS[room], "metadata": serial.is_multiple_of(2)});
                (Kind::Members, room, text)
            }
            Wish::Typing(room, start) => {
                let kind = if start { "typing_start" } else { "typing_stop" };
                (
                    Kind::Typing,
                    room,
                    json!({"type": kind, "room": ROOMS[room]}),
                )
            }
            Wish::Ping => (Kind::Ping, 0, json!({"type": "ping", "timestamp": serial})),
            Wish::Application => {
                let known = !self.plan.config.application_types.is_empty();
                let kind = if known {
                    Kind::Application
                } else {
                    Kind::Wrong("unknown_type")
                };
                (kind, 0, json!({"type": APPLICATION_TYPE, "sides": 6}))
            }
            Wish::Unknown => {
                let kind = Kind::Wrong("unknown_type");
                (kind, 0, json!({"type": "jion", "room": "tea"}))
            }
            Wish::BadName => {
                let kind = Kind::Wrong("invalid_room");
                (kind, 0, json!({"type": "join", "room": ""}))
            }
            Wish::BadJson => (Kind::Wrong("bad_json"), 0, json!(null)),
            Wish::Binary => (Kind::Wrong("bad_message"), 0, json!(null)),
        };
        let is_binary = actor.speaks_binary();
        let bare = matches!(ask.what, Wish::BadJson | Wish::Binary);
        let id = (ask.named && !bare).then(|| {
            let id = if serial.is_multiple_of(2) || is_binary {
                json!(serial)
            } else {
                json!(format!("q\"{serial}"))
            };
            text["id"] = id.clone();
            id.as_str().map_or_else(|| id.to_string(), str::to_owned)
        });
        let (opcode, payload) = match ask.what {
            Wish::BadJson => (Opcode::Text, b"hello {".to_vec()),
            Wish::Binary => (Opcode::Binary, vec![0, 255, 7]),
            _ if is_binary => (
                Opcode::Binary,
                frame_of(&text.to_string(), &self.plan.config).expect("it has a frame"),
            ),
            _ => (Opcode::Text, text.to_string().into_bytes()),
        };
        let mut none = Peer::new(Codec::Own, 0);
        let peer = self.actors[number].peer.as_mut().unwrap_or(&mut none);
        let frames = peer.message(opcode, &payload, fragments);
        let request = Request {
            kind,
            id,
            room,
            serial: outgoing.map(|_| serial),
        };
        (frames, request, outgoing)
    }

    fn do_to(&mut self, net: &mut Net, number: usize, socket: SocketId, act: &Act) {
        match act {
            Act::Rest if net.is_writable(socket) => {
                let offers = self.plan.clients[number].codec == Codec::Deflating;
                write(net, socket, &rest(offers));
            }
            Act::Ping => self.frame(net, number, Opcode::Ping, b"are you there?"),
            Act::Close(code) => {
                fault(net, "a close frame from a client");
                let payload = code.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec());
                self.frame(net, number, Opcode::Close, &payload);
            }
            Act::Finish => {
                fault(net, "a half-close");
                net.finish(socket);
            }
            Act::Reset => {
                fault(net, "a reset by a client");
                net.reset(socket);
                self.actors[number].socket = None;
            }
            Act::Vanish => {
                fault(net, "a client vanishes");
                net.vanish(socket);
                self.vanished.push(socket);
                self.actors[number].socket = None;
            }
            Act::Fail => {
                fault(net, "the driver fails a connection");
                net.fail(socket);
            }
            Act::Stall(micros) => {
                fault(net, "a stall of the network");
                net.stall(socket, *micros);
            }
            Act::Read(reading) => {
                fault(
                    net,
                    match reading {
                        Reading::Prompt => "a reader goes on",
                        Reading::Slow { .. } => "a slow reader",
                        Reading::Stopped => "a reader stops",
                    },
                );
                net.set_reading(socket, *reading);
            }
            Act::Mute => {
                fault(net, "pings are not answered");
                self.actors[number].mute = true;
            }
            Act::Lie(lie) => {
                if net.is_writable(socket) && self.is_open(number) {
                    fault(net, &format!("a lie: {lie:?}"));
                    let bytes = lie_bytes(*lie, self.plan.config.limits.max_message_bytes);
                    watch(net).written(socket, bytes.len());
                    ends(net, socket, Kind::Lie);
                    net.write(socket, &bytes);
                }
            }
            Act::Connect(_)
            | Act::Refused
            | Act::Rest
            | Act::Say(_)
            | Act::Offer(_)
            | Act::GiveUp => {}
        }
    }

    fn is_open(&self, number: usize) -> bool {
        self.actors[number].peer.as_ref().is_some_and(Peer::is_open)
    }

    /// Sends a control frame.
    fn frame(&mut self, net: &mut Net, number: usize, opcode: Opcode, payload: &[u8]) {
        let actor = &mut self.actors[number];
        let (Some(socket), Some(peer)) = (actor.socket, actor.peer.as_mut()) else {
            return;
        };
        if !net.is_writable(socket) || !(peer.is_open() || opcode == Opcode::Close) {
            return;
        }
        let bytes = peer.frame(opcode, true, payload);
        let pings = peer.take_pings();
        watch(net).pinged(socket, pings);
        watch(net).written(socket, bytes.len());
        if opcode == Opcode::Close {
            ends(net, socket, Kind::Close);
        }
        net.write(socket, &bytes);
    }

    /// A client has read.
    pub(super) fn received(
        &mut self,
        net: &mut Net,
        socket: SocketId,
        bytes: &[u8],
    ) -> Result<(), String> {
        let current = |actor: &Actor| actor.socket == Some(socket);
        let Some(number) = self.actors.iter().position(current) else {
            return Ok(());
        };
        let Some(peer) = self.actors[number].peer.as_mut() else {
            return Ok(());
        };
        for heard in peer.receive(bytes) {
            match heard {
                Heard::Upgraded => {
                    let waiting = core::mem::take(&mut self.actors[number].waiting);
                    self.say(net, number, &waiting);
                }
                Heard::Ping(payload) if !self.actors[number].mute => {
                    self.frame(net, number, Opcode::Pong, &payload);
                }
                Heard::Text(text) => self.heard(net, number, &text)?,
                Heard::Binary(frame) => {
                    let text =
                        text_of(&frame).map_err(|error| format!("client {number}: {error}"))?;
                    self.heard(net, number, &text)?;
                }
                Heard::Close(code) => {
                    let payload = if code == 1005 {
                        Vec::new()
                    } else {
                        code.to_be_bytes().to_vec()
                    };
                    if !self.actors[number].mute {
                        self.frame(net, number, Opcode::Close, &payload);
                        net.finish(socket);
                    }
                }
                Heard::Broken(what) => return Err(format!("client {number}: {what}")),
                _ => {}
            }
        }
        Ok(())
    }

    fn heard(&mut self, net: &mut Net, number: usize, text: &str) -> Result<(), String> {
        let is_welcome = text.starts_with(r#"{"type":"welcome""#);
        if !is_welcome && self.actors[number].carrier.is_none() {
            return Ok(());
        }
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        if is_welcome {
            self.actors[number].id = value["clientId"].as_str().map(str::to_owned);
            self.port(net, number, Carrier::welcomed);
        } else {
            let now = net.now_us();
            let kind = value["type"].as_str().unwrap_or_default();
            self.port(net, number, |carrier| carrier.heard(now, kind, &value));
        }
        Ok(())
    }

    // ---- files

    /// A client sends a file.
    fn offer(&mut self, net: &mut Net, number: usize, parcel: Parcel) {
        let to = match parcel.to {
            Recipient::Room(room) => ("room", ROOMS[room].to_owned()),
            Recipient::Client(client) => {
                let id = self.actors.get(client).and_then(|actor| actor.id.clone());
                (
                    "to",
                    id.unwrap_or_else(|| "client_AAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
                )
            }
        };
        let actor = &mut self.actors[number];
        if actor.id.is_none() {
            return; // it is not connected
        }
        actor.serial += 1;
        let content = Content {
            seed: (number as u64) << 32 | actor.serial,
            size: u64::from(parcel.size),
        };
        let own = format!("t{}", actor.serial);
        self.port(net, number, |carrier| {
            carrier.offer(own, to, content, parcel.claim);
        });
    }

    /// It is time for a client's files.
    pub(super) fn carry(&mut self, net: &mut Net, number: usize) {
        let now = net.now_us();
        self.port(net, number, |carrier| carrier.tick(now));
    }

    /// Something happens to a client's files, of which it says what there is to say.
    fn port(&mut self, net: &mut Net, number: usize, happens: impl FnOnce(&mut Carrier)) {
        let Some(carrier) = self.actors[number].carrier.as_mut() else {
            return;
        };
        let before = carrier.next_due();
        happens(carrier);
        let says = carrier.take_says();
        let due = carrier.next_due();
        if let Some(due) = due
            && before != Some(due)
        {
            net.set_timer(due, FILES + number as u64);
        }
        let socket = self.actors[number].socket;
        let Some(socket) = socket.filter(|&socket| net.is_writable(socket)) else {
            return;
        };
        if self.is_open(number) {
            for said in says {
                self.tell(net, number, socket, said);
            }
        }
    }

    fn tell(&mut self, net: &mut Net, number: usize, socket: SocketId, said: Said) {
        let fragments = self.plan.clients[number].fragments;
        let actor = &mut self.actors[number];
        actor.serial += 1;
        let serial = actor.serial;
        let Said { mut text, about } = said;
        let (kind, named) = match about {
            About::Start { .. } => (Kind::FileStart, true),
            About::Complete(transfer) => (Kind::FileComplete(transfer), true),
            About::End(_) | About::Abort(_) => (Kind::File, serial.is_multiple_of(2)),
            About::Chunk(..) | About::Credit(..) => (Kind::File, false),
        };
        if named {
            text["id"] = json!(serial);
        }
        let text = text.to_string();
        let (opcode, payload) = if actor.speaks_binary() {
            let frame = frame_of(&text, &self.plan.config).expect("it has a frame");
            (Opcode::Binary, frame)
        } else {
            (Opcode::Text, text.into_bytes())
        };
        let Some(peer) = actor.peer.as_mut() else {
            return;
        };
        let frames = peer.message(opcode, &payload, fragments);
        let pings = peer.take_pings();
        let request = Request {
            kind,
            id: named.then(|| serial.to_string()),
            room: 0,
            serial: None,
        };
        watch(net).pinged(socket, pings);
        watch(net).written(socket, frames.len());
        watch(net).asked(socket, request, None);
        watch(net).said_of_file(socket, &about);
        net.write(socket, &frames);
    }

    /// The server has finished writing.
    pub(super) fn finished(&self, net: &mut Net, socket: SocketId) {
        let muted = |actor: &Actor| actor.socket == Some(socket) && actor.mute;
        if !self.actors.iter().any(muted) {
            net.finish(socket);
        }
    }

    /// A connection is gone.
    pub(super) fn gone(&mut self, socket: SocketId) {
        for actor in &mut self.actors {
            if actor.socket == Some(socket) {
                actor.socket = None;
            }
        }
    }

    /// A shard is about to be gone: its clients come back after a moment. Their timers count from `first`.
    pub(super) fn lost(&mut self, net: &mut Net, host: HostId, first: u64) {
        let now = net.now_us();
        for (number, actor) in self.actors.iter().enumerate() {
            if actor.socket.is_some_and(|socket| net.host(socket) == host) {
                let after = 100_000 + self.dealer.next() % 2_000_000;
                net.set_timer(now + after, first + number as u64);
            }
        }
    }

    /// A client comes back to the rooms that it has ever asked for.
    pub(super) fn come_back(&mut self, net: &mut Net, number: usize) {
        let next = self.actors[number].next;
        let Some(acts) = self.plan.clients[number].acts.get(..next) else {
            return; // everybody leaves
        };
        let socket = self.actors[number].socket;
        if socket.is_some_and(|socket| net.connection(socket).is_some()) {
            return; // it has done so already
        }
        self.connect(net, number, Head::Upgrade);
        let mut rooms: Vec<Ask> = Vec::new();
        for (_, act) in acts {
            if let Act::Say(asks) = act {
                let joins = asks.iter().filter(|ask| matches!(ask.what, Wish::Join(_)));
                rooms.extend(joins.cloned());
            }
        }
        rooms.dedup();
        self.actors[number].waiting = rooms;
    }

    /// Everybody leaves, each in its own way.
    pub(super) fn leave(&mut self, net: &mut Net) {
        for number in 0..self.actors.len() {
            self.actors[number].next = usize::MAX;
            let Some(socket) = self.actors[number].socket else {
                continue;
            };
            net.set_reading(socket, Reading::Prompt);
            match number % 4 {
                0 if self.is_open(number) => {
                    self.frame(net, number, Opcode::Close, &1000_u16.to_be_bytes());
                }
                1 => net.reset(socket),
                _ => net.finish(socket),
            }
        }
        for socket in core::mem::take(&mut self.vanished) {
            net.fail(socket);
        }
    }
}

impl Actor {
    fn speaks_binary(&self) -> bool {
        self.carrier
            .as_ref()
            .is_some_and(|carrier| carrier.is_binary())
    }
}

/// Timers of clients' files count from here.
pub(super) const FILES: u64 = 1 << 35;

fn watch(net: &mut Net) -> &mut Oracle {
    &mut net.observer_mut().0.0
}

fn fault(net: &mut Net, name: &str) {
    watch(net).coverage.fault(name);
}

fn write(net: &mut Net, socket: SocketId, bytes: &[u8]) {
    watch(net).written(socket, bytes.len());
    net.write(socket, bytes);
}

/// What the client has sent last ends its session.
fn ends(net: &mut Net, socket: SocketId, kind: Kind) {
    let request = Request {
        kind,
        id: None,
        room: 0,
        serial: None,
    };
    watch(net).asked(socket, request, None);
}

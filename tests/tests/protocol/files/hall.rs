//! Clients of both dialects that are told and heard alike: frames are put together and taken apart by hand, as
//! `PROTOCOL.md` describes them, and stand as the JSON that says the same.

use std::collections::{BTreeMap, VecDeque};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use roomwire_core::server::{Command, Event};
use roomwire_core::{Config, ShardId};
use roomwire_tests::{Message, Opcode, Peer, Upgrade, World};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Json,
    Binary,
}

pub(super) const BOTH: [Dialect; 2] = [Dialect::Json, Dialect::Binary];

/// A server and clients of both dialects.
pub(super) struct Hall {
    pub(super) world: World,
    ends: BTreeMap<Peer, End>,
    requests: u32,
}

struct End {
    dialect: Dialect,
    id: String,
    /// What has come and was not looked at.
    heard: VecDeque<Value>,
    /// How often each of its requests was answered.
    outcomes: BTreeMap<u32, u32>,
}

impl Hall {
    pub(super) fn new(config: Config) -> Self {
        Self::of(World::new(config))
    }

    pub(super) const fn of(world: World) -> Self {
        Self {
            world,
            ends: BTreeMap::new(),
            requests: 0,
        }
    }

    // ---- coming

    pub(super) fn client(&mut self, dialect: Dialect) -> Peer {
        let path = match dialect {
            Dialect::Json => "/",
            Dialect::Binary => "/?dialect=binary",
        };
        let peer = self.world.knock(&Upgrade {
            path,
            ..Upgrade::default()
        });
        let end = End {
            dialect,
            id: String::new(),
            heard: VecDeque::new(),
            outcomes: BTreeMap::new(),
        };
        self.ends.insert(peer, end);
        self.world.advance_ms(100);
        let id = match self.next(peer) {
            Some(welcome) if welcome["type"] == "welcome" => welcome["clientId"].clone(),
            other => panic!("no welcome but {other:?}"),
        };
        self.end(peer).id = id.as_str().expect("an id").to_owned();
        peer
    }

    /// A client in a room, whose other members have not heard of it.
    pub(super) fn member(&mut self, dialect: Dialect, room: &str) -> Peer {
        let peer = self.client(dialect);
        self.join(peer, room);
        peer
    }

    pub(super) fn join(&mut self, peer: Peer, room: &str) {
        let joined = self.ask(peer, &json!({"type": "join", "room": room}));
        assert_eq!(joined["type"], "joined_room", "{joined}");
    }

    /// A client on another shard than `peer`, if there is another.
    pub(super) fn client_elsewhere(&mut self, peer: Peer, dialect: Dialect) -> Peer {
        loop {
            let other = self.client(dialect);
            if self.shards() == 1 || self.world.shard(other) != self.world.shard(peer) {
                return other;
            }
        }
    }

    pub(super) fn shards(&self) -> usize {
        self.world.machine().count()
    }

    pub(super) fn id(&self, peer: Peer) -> &str {
        &self.ends[&peer].id
    }

    pub(super) fn restart(&mut self, shard: ShardId) {
        self.world.restart(shard);
    }

    fn end(&mut self, peer: Peer) -> &mut End {
        self.ends.get_mut(&peer).expect("a client of the hall")
    }

    // ---- saying

    /// Says something without asking for an outcome.
    pub(super) fn say(&mut self, peer: Peer, message: &Value) {
        match self.ends[&peer].dialect {
            Dialect::Json => self.world.send(peer, message),
            Dialect::Binary => {
                let frame = to_frame(message, 0);
                self.world.send_frame(peer, Opcode::Binary, &frame);
            }
        }
    }

    /// Says something and returns its outcome, of which there must be exactly one.
    pub(super) fn ask(&mut self, peer: Peer, message: &Value) -> Value {
        let number = self.begin(peer, message);
        let outcome = self.outcome(peer, number);
        outcome.unwrap_or_else(|| panic!("no outcome of {message}"))
    }

    /// Asks for something whose outcome may come later; its number.
    pub(super) fn begin(&mut self, peer: Peer, message: &Value) -> u32 {
        self.requests += 1;
        let number = self.requests;
        match self.ends[&peer].dialect {
            Dialect::Json => {
                let mut message = message.clone();
                message["id"] = number.into();
                self.world.send(peer, &message);
            }
            Dialect::Binary => {
                let frame = to_frame(message, number);
                self.world.send_frame(peer, Opcode::Binary, &frame);
            }
        }
        number
    }

    /// The outcome of a request, if it has come.
    pub(super) fn outcome(&mut self, peer: Peer, number: u32) -> Option<Value> {
        self.listen(peer);
        let heard = &mut self.end(peer).heard;
        let at = heard.iter().position(|heard| heard["id"] == number)?;
        heard.remove(at)
    }

    /// A request that must be acknowledged.
    pub(super) fn done(&mut self, peer: Peer, message: &Value) {
        let outcome = self.ask(peer, message);
        assert_eq!(outcome["type"], "ack", "{message} got {outcome}");
    }

    /// A request that must fail; its code.
    pub(super) fn refused(&mut self, peer: Peer, message: &Value) -> String {
        let outcome = self.ask(peer, message);
        assert_eq!(outcome["type"], "error", "{message} got {outcome}");
        let message = outcome["message"].as_str().expect("a message");
        assert!(!message.is_empty());
        outcome["code"].as_str().expect("a code").to_owned()
    }

    /// Something that has no outcome, and must fail; its code.
    pub(super) fn protested(&mut self, peer: Peer, message: &Value) -> String {
        self.say(peer, message);
        let error = self.expect(peer, "error");
        error["code"].as_str().expect("a code").to_owned()
    }

    /// Begins a transfer that must be accepted; its number.
    pub(super) fn start(&mut self, peer: Peer, start: &Value) -> Value {
        let accepted = self.ask(peer, start);
        assert_eq!(accepted["type"], "file_accepted", "{start} got {accepted}");
        assert_eq!(accepted["transferId"], start["transferId"]);
        accepted
    }

    pub(super) fn credit(&mut self, peer: Peer, transfer: u64, offset: u64, window: u32) {
        let credit = json!({"type": "file_credit", "transfer": transfer, "offset": offset, "window": window});
        self.say(peer, &credit);
    }

    pub(super) fn chunk(&mut self, peer: Peer, transfer: u64, offset: u64, data: &[u8]) {
        self.say(peer, &chunk(transfer, offset, data));
    }

    // ---- hearing

    fn listen(&mut self, peer: Peer) {
        while let Some(message) = self.world.next_message(peer) {
            let heard = match message {
                Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
                Message::Binary(frame) => from_frame(&frame),
                _ => continue,
            };
            let end = self.end(peer);
            if let Some(number) = heard["id"].as_u64() {
                *end.outcomes.entry(number as u32).or_default() += 1;
            }
            end.heard.push_back(heard);
        }
        let outcomes = &self.ends[&peer].outcomes;
        assert!(outcomes.values().all(|&count| count == 1), "{outcomes:?}");
    }

    /// The next thing that a client is told of files and errors; comings and goings are skipped.
    pub(super) fn next(&mut self, peer: Peer) -> Option<Value> {
        self.listen(peer);
        loop {
            let heard = self.end(peer).heard.pop_front()?;
            let kind = heard["type"].as_str().expect("a type");
            if !kind.starts_with("member") {
                return Some(heard);
            }
        }
    }

    /// The next thing, which must be of this kind; progress on the way to anything else is skipped.
    pub(super) fn expect(&mut self, peer: Peer, kind: &str) -> Value {
        let mut next = self.next(peer);
        while kind != "file_progress" && next.as_ref().is_some_and(is_progress) {
            next = self.next(peer);
        }
        let next = next.unwrap_or_else(|| panic!("nothing instead of {kind}"));
        assert_eq!(next["type"], kind, "{next}");
        next
    }

    pub(super) fn expect_nothing(&mut self, peer: Peer) {
        let mut all = self.all(peer);
        all.retain(|heard| !is_progress(heard));
        assert_eq!(all, [] as [Value; 0]);
    }

    /// All that a client has been told.
    pub(super) fn all(&mut self, peer: Peer) -> Vec<Value> {
        core::iter::from_fn(|| self.next(peer)).collect()
    }

    /// The first thing of this kind; what came before it is forgotten, but for the failure of a transfer.
    pub(super) fn await_kind(&mut self, peer: Peer, kind: &str) -> Value {
        let mut before = Vec::new();
        while let Some(heard) = self.next(peer) {
            if heard["type"] == kind {
                return heard;
            }
            assert_ne!(heard["type"], "file_error", "before {kind}");
            before.push(heard["type"].clone());
        }
        panic!("no {kind} after {before:?}");
    }

    pub(super) fn forget(&mut self) {
        for peer in self.ends.keys().copied().collect::<Vec<_>>() {
            self.all(peer);
        }
    }

    // ---- events

    /// What the program is told of files.
    pub(super) fn file_events(&mut self) -> Vec<Event> {
        let mut events = self.world.events();
        events.retain(|event| {
            matches!(
                event,
                Event::FileStarted { .. }
                    | Event::FileChunk { .. }
                    | Event::FileEnded { .. }
                    | Event::FileFailed { .. }
            )
        });
        events
    }

    pub(super) fn kick(&mut self, peer: Peer, room: &str) {
        let connection = self.world.connection(peer);
        self.world.command(Command::Kick {
            connection,
            room: room.to_owned(),
        });
    }

    /// No transfer is left on any shard.
    pub(super) fn assert_no_transfers(&self) {
        let stats = self.world.stats();
        let ended = stats.files_completed + stats.files_failed;
        assert_eq!(stats.files_started, ended, "{stats:?}");
    }

    /// Nobody and nothing is left.
    pub(super) fn close_all(&mut self) {
        for peer in self.ends.keys().copied().collect::<Vec<_>>() {
            if self.world.ending(peer).is_none() {
                self.world.reset(peer);
            }
        }
        self.world.advance_ms(200_000);
        self.world.assert_empty();
        self.assert_no_transfers();
        for server in self.world.machine().servers() {
            let held = server.memory().files;
            assert!(held < 16 * 1024, "{held} bytes are held for files");
        }
    }
}

fn is_progress(heard: &Value) -> bool {
    heard["type"] == "file_progress"
}

// ---- files

/// Bytes that no two places have in common.
pub(super) fn file_of(length: usize) -> Vec<u8> {
    let mut rng = roomwire_tests::Rng::new(length as u64);
    let words = core::iter::repeat_with(|| rng.next().to_be_bytes());
    words.flatten().take(length).collect()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
}

pub(super) fn chunk(transfer: u64, offset: u64, data: &[u8]) -> Value {
    json!({
        "type": "file_chunk", "transfer": transfer, "offset": offset,
        "data": BASE64.encode(data), "encoding": "base64",
    })
}

pub(super) fn to_room(name: &str, room: &str, size: usize) -> Value {
    json!({
        "type": "file_start", "transferId": name, "room": room,
        "name": "a.bin", "size": size, "mimeType": "application/octet-stream",
    })
}

pub(super) fn to_client(name: &str, to: &str, size: usize) -> Value {
    json!({
        "type": "file_start", "transferId": name, "to": to,
        "name": "a.bin", "size": size, "mimeType": "",
    })
}

pub(super) fn number(message: &Value, key: &str) -> u64 {
    let number = message[key].as_u64();
    number.unwrap_or_else(|| panic!("no number {key} in {message}"))
}

pub(super) fn transfer(message: &Value) -> u64 {
    let transfer = number(message, "transfer");
    assert!(transfer < 1 << 53);
    transfer
}

/// The bytes of a `file_chunk`.
pub(super) fn data(message: &Value) -> Vec<u8> {
    assert_eq!(message["encoding"], "base64");
    let data = message["data"].as_str().expect("data");
    BASE64.decode(data.as_bytes()).expect("base64")
}

// ---- frames

fn text(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("text");
    let length = u16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn hash(hash: &Value) -> Vec<u8> {
    let hash = hash.as_str().and_then(|hash| hash.strip_prefix("sha256:"));
    HEXLOWER
        .decode(hash.expect("a hash").as_bytes())
        .expect("hex")
}

fn client_bytes(id: &str) -> Vec<u8> {
    let id = id.strip_prefix("client_").expect("an id");
    BASE64URL_NOPAD.decode(id.as_bytes()).expect("base64url")
}

fn long(message: &Value, key: &str) -> Vec<u8> {
    number(message, key).to_be_bytes().to_vec()
}

/// What stands only if it is given.
fn given(message: &Value, key: &str, write: impl Fn(&Value) -> Vec<u8>) -> Vec<u8> {
    message.get(key).map(write).unwrap_or_default()
}

fn bit(message: &Value, key: &str, bit: u8) -> u8 {
    u8::from(message.get(key).is_some()) << bit
}

/// The frame that says what a message in JSON says.
pub(super) fn to_frame(message: &Value, id: u32) -> Vec<u8> {
    let number_of = || id.to_be_bytes().to_vec();
    let rest = |key: &str| {
        message[key]
            .as_str()
            .unwrap_or_default()
            .as_bytes()
            .to_vec()
    };
    let kind = message["type"].as_str().expect("a type");
    let (kind, parts) = match kind {
        "ping" => (0x03, vec![number_of()]),
        "join" => (0x20, vec![number_of(), text(&message["room"])]),
        "leave" => (0x22, vec![number_of(), text(&message["room"])]),
        "file_start" => {
            let flags = bit(message, "transferId", 0)
                | bit(message, "hash", 1)
                | bit(message, "transferSecret", 2);
            let destination = match (message.get("room"), message.get("to")) {
                (Some(room), _) => [vec![0], text(room)].concat(),
                (None, Some(to)) if to == "server" => vec![2],
                (None, Some(to)) => [vec![1], client_bytes(to.as_str().expect("an id"))].concat(),
                (None, None) => panic!("a frame has a destination"),
            };
            let size = long(message, "size");
            let parts = vec![
                number_of(),
                vec![flags, destination[0]],
                destination[1..].to_vec(),
                given(message, "transferId", text),
                text(&message["name"]),
                size,
                text(&message["mimeType"]),
                given(message, "hash", hash),
                given(message, "transferSecret", text),
            ];
            (0x60, parts)
        }
        "file_chunk" => (
            0x62,
            vec![
                long(message, "transfer"),
                long(message, "offset"),
                data(message),
            ],
        ),
        "file_end" => {
            let flags = bit(message, "size", 0) | bit(message, "hash", 1);
            let size = message.get("size").map(|_| long(message, "size"));
            let parts = vec![
                number_of(),
                long(message, "transfer"),
                vec![flags],
                size.unwrap_or_default(),
                given(message, "hash", hash),
            ];
            (0x63, parts)
        }
        "file_abort" => (
            0x64,
            vec![number_of(), long(message, "transfer"), rest("reason")],
        ),
        "file_credit" => {
            let window = number(message, "window") as u32;
            let parts = vec![
                long(message, "transfer"),
                long(message, "offset"),
                window.to_be_bytes().to_vec(),
            ];
            (0x65, parts)
        }
        "file_complete" => (0x66, vec![number_of(), long(message, "transfer")]),
        other => panic!("no frame for {other}"),
    };
    let payload = parts.concat();
    let length = u32::try_from(payload.len()).expect("a short payload");
    [&[kind][..], &[0; 8], &length.to_be_bytes(), &payload].concat()
}

/// Takes a payload apart.
struct Payload<'a>(&'a [u8]);

impl Payload<'_> {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes.to_vec()
    }

    fn int(&mut self, bytes: usize) -> u64 {
        let bytes = self.bytes(bytes);
        bytes
            .iter()
            .fold(0, |all, &byte| all << 8 | u64::from(byte))
    }

    fn text(&mut self) -> String {
        let length = self.int(2) as usize;
        String::from_utf8(self.bytes(length)).expect("UTF-8")
    }

    fn rest(&mut self) -> Vec<u8> {
        self.bytes(self.0.len())
    }

    fn rest_text(&mut self) -> String {
        String::from_utf8(self.rest()).expect("UTF-8")
    }

    fn client(&mut self) -> String {
        format!("client_{}", BASE64URL_NOPAD.encode(&self.bytes(18)))
    }

    fn hash(&mut self) -> String {
        format!("sha256:{}", HEXLOWER.encode(&self.bytes(32)))
    }
}

/// The JSON that says what a frame of the server says.
fn from_frame(frame: &[u8]) -> Value {
    let mut p = Payload(frame);
    let kind = p.int(1);
    let _timestamp = p.int(8);
    let length = p.int(4);
    assert_eq!(p.0.len() as u64, length, "the header's length");
    let has_number = matches!(kind, 0x04..=0x06 | 0x21 | 0x23 | 0x61);
    let id = if has_number { p.int(4) } else { 0 };
    let mut message = match kind {
        0x01 => {
            let client = p.client();
            p.rest();
            json!({"type": "welcome", "clientId": client})
        }
        0x04 => json!({"type": "pong", "clientTimestamp": p.int(8)}),
        0x05 => json!({"type": "ack"}),
        0x06 => {
            p.int(4);
            json!({"type": "error", "code": p.text(), "message": p.rest_text()})
        }
        0x07 => {
            p.rest();
            json!({"type": "closing"})
        }
        0x21 => {
            p.rest();
            json!({"type": "joined_room"})
        }
        0x23 => json!({"type": "left_room", "room": p.text()}),
        0x24..=0x26 => {
            p.rest();
            json!({"type": "members"})
        }
        0x61 => json!({
            "type": "file_accepted", "transfer": p.int(8), "offset": p.int(8), "chunkBytes": p.int(4),
            "transferId": p.text(), "transferSecret": p.text(),
        }),
        0x62 => json!({
            "type": "file_chunk", "transfer": p.int(8), "offset": p.int(8),
            "data": BASE64.encode(&p.rest()), "encoding": "base64",
        }),
        0x63 => {
            json!({"type": "file_end", "transfer": p.int(8), "size": p.int(8), "hash": p.hash()})
        }
        0x64 => json!({"type": "file_abort", "transfer": p.int(8), "reason": p.rest_text()}),
        0x67 => offered(&mut p),
        0x68 => {
            json!({"type": "file_wanted", "transfer": p.int(8), "offset": p.int(8), "length": p.int(4)})
        }
        0x69 => json!({
            "type": "file_progress", "transfer": p.int(8), "acknowledged": p.int(8), "receivers": p.int(4),
            "completed": p.int(4), "failed": p.int(4),
        }),
        0x6A => json!({
            "type": "file_completed", "transfer": p.int(8), "completed": p.int(4), "failed": p.int(4),
        }),
        0x6B => json!({
            "type": "file_error", "transfer": p.int(8), "code": p.text(), "message": p.rest_text(),
        }),
        other => panic!("an unknown frame {other:#x}"),
    };
    assert!(p.0.is_empty(), "left over in {message}");
    if id != 0 {
        message["id"] = id.into();
    }
    message
}

fn offered(p: &mut Payload<'_>) -> Value {
    let mut offered = json!({"type": "file_offered", "transfer": p.int(8), "from": p.client()});
    let flags = p.int(1);
    assert_eq!(flags & !3, 0);
    offered["maxWindow"] = p.int(4).into();
    if flags & 1 != 0 {
        offered["room"] = p.text().into();
    }
    offered["name"] = p.text().into();
    offered["size"] = p.int(8).into();
    offered["mimeType"] = p.text().into();
    if flags & 2 != 0 {
        offered["hash"] = p.hash().into();
    }
    offered
}

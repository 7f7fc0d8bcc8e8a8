//! Operations: what bytes make the driver do.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use roomwire_core::server::{Command, Outcome, SavedSession};
use roomwire_core::websocket::{Control, Data, OpCode, put_close_payload, put_masked_frame};
use roomwire_core::{
    ClientId, ConnectionId, ErrorCode, Input, Instant, ListenerId, PeerAddr, ShardId, TransportEnd,
};

use super::driver::{Driver, Writes};
use super::settings::ROOMS;
use super::stream::Kind;
use crate::input::Choices;

/// Reads one operation and does it.
pub(super) fn perform(driver: &mut Driver, choices: &mut Choices<'_>) {
    let choice = choices.byte();
    // The rest of what is divided below: so that all that was found before there was a pool stays what it was.
    match choice {
        CONNECT_COMPRESSING => return connect_compressing(driver, choices),
        POOL => return driver.pool(choices.below(4) as u32),
        JOB => return job(driver, choices),
        SESSIONS => return sessions(driver, choices),
        LARGE if !driver.peers.is_empty() => {
            let peer = choices.below(driver.peers.len().min(256));
            return large(driver, peer, choices);
        }
        _ => {}
    }
    let operation = usize::from(choice) % 28;
    match operation {
        0 => return accept(driver, choices),
        1 => return pass_time(driver, choices),
        2 => return poll(driver, choices),
        3 => return idle(driver),
        4 => return command(driver, choices),
        5 => return stale(driver, choices),
        6 => return sleep(driver),
        7 => return connect(driver, choices),
        _ => {}
    }
    if driver.peers.is_empty() {
        return;
    }
    let peer = choices.below(driver.peers.len().min(256));
    match operation {
        8 => upgrade(driver, peer, choices),
        9..=14 => request(driver, peer, choices),
        15 => raw(driver, peer, choices),
        16 => odd_frame(driver, peer, choices),
        17 => writes(driver, peer, choices),
        18 => driver.writable(peer),
        19 => driver.read_end(peer),
        20 => driver.end(
            peer,
            [
                TransportEnd::Closed,
                TransportEnd::Reset,
                TransportEnd::Failed,
            ][choices.below(3)],
        ),
        21 => rude(driver, peer, choices),
        22 => plain_request(driver, peer, choices),
        23 => close(driver, peer, choices),
        24 => ping(driver, peer, choices),
        25 => fragments(driver, peer, choices),
        26 => flood(driver, peer, choices),
        _ => driver.peers[peer].dribble = [0, 1, 7, 100][choices.below(4)],
    }
}

/// Operations with a number of their own.
pub(super) const CONNECT_COMPRESSING: u8 = 251;
const SESSIONS: u8 = 250;
const POOL: u8 = 252;
const JOB: u8 = 253;
const LARGE: u8 = 254;

fn job(driver: &mut Driver, choices: &mut Choices<'_>) {
    let choice = choices.byte();
    let pick = usize::from(choice >> 3);
    match choice & 7 {
        0..=4 => driver.job(pick, false),
        5 | 6 => driver.job(pick, true),
        _ => driver.job_again(),
    }
}

/// Another server takes a session, or what left comes back, whole or not.
fn sessions(driver: &mut Driver, choices: &mut Choices<'_>) {
    let choice = choices.byte();
    let pick = usize::from(choice >> 3);
    let command = match choice & 7 {
        0..=2 => {
            let count = driver.sessions.len();
            let Some((id, _)) = driver.sessions.get(pick % count.max(1)) else {
                return;
            };
            let Some(client) = ClientId::parse(id) else {
                return;
            };
            let asked_ms = if choice & 7 == 0 { 0 } else { u64::MAX };
            Command::TakeSession { client, asked_ms }
        }
        3 | 4 => {
            let wanted = driver.wanted.pop();
            let (shard, client, asked_ms) = wanted.unwrap_or_else(|| nobody(choices));
            let own = driver.left.iter().position(|it| it.client() == client);
            let session = own.map(|at| driver.left.swap_remove(at));
            Command::GiveSession {
                shard,
                client,
                asked_ms,
                session,
            }
        }
        5 => {
            let Some(session) = driver.left.pop() else {
                return;
            };
            Command::GiveSession {
                shard: ShardId(0),
                client: session.client(),
                asked_ms: 1,
                session: Some(session),
            }
        }
        _ => {
            let Some(session) = driver.left.last() else {
                return;
            };
            let mut bytes = session.as_bytes().to_vec();
            let at = choices.below(bytes.len().min(256));
            bytes[at] ^= choices.byte().max(1);
            let Ok(session) = SavedSession::from_bytes(&bytes) else {
                return;
            };
            Command::GiveSession {
                shard: ShardId(choice >> 7),
                client: session.client(),
                asked_ms: 1,
                session: Some(session),
            }
        }
    };
    driver.command(command);
}

/// Nobody has asked for it.
fn nobody(choices: &mut Choices<'_>) -> (ShardId, ClientId, u64) {
    let client = ClientId::from_bytes(&[choices.byte(); ClientId::BYTES]);
    (ShardId(0), client, 0)
}

fn accept(driver: &mut Driver, choices: &mut Choices<'_>) {
    let choice = choices.byte();
    let address = match choice & 7 {
        0..=3 => PeerAddr::Local,
        4 | 5 => SocketAddr::from((Ipv4Addr::new(192, 0, 2, choice & 1), 1)).into(),
        6 => SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1), 1)).into(),
        _ => SocketAddr::from((Ipv4Addr::LOCALHOST, 1)).into(),
    };
    // One in eight names a listener that there is not, or was upgraded elsewhere.
    let listener = match (choice >> 5, choice >> 3 & 3) {
        (7, 3) => ListenerId::ADOPTED.0,
        (7, _) => 9,
        (_, listener) => u16::from(listener),
    };
    driver.accept(address, listener);
}

/// Accepts, upgrades and lets the welcome come: what most sequences begin with.
fn connect(driver: &mut Driver, choices: &mut Choices<'_>) {
    accept(driver, choices);
    let peer = driver.peers.len().wrapping_sub(1);
    if driver.peers.get(peer).is_some_and(|peer| peer.alive) {
        let handshake = handshake(driver, peer, choices);
        driver.send(peer, &handshake);
        driver.drain();
    }
}

/// The same for a peer that may compress what it says.
fn connect_compressing(driver: &mut Driver, choices: &mut Choices<'_>) {
    accept(driver, choices);
    let peer = driver.peers.len().wrapping_sub(1);
    if driver.peers.get(peer).is_some_and(|peer| peer.alive) {
        let mut handshake = handshake(driver, peer, choices);
        handshake.truncate(handshake.len() - 2);
        handshake.extend_from_slice(b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
        driver.peers[peer].compresses = !driver.peers[peer].stream.is_open();
        driver.send(peer, &handshake);
        driver.drain();
    }
}

fn pass_time(driver: &mut Driver, choices: &mut Choices<'_>) {
    let now = driver.time();
    let choice = choices.byte();
    let to = match choice & 7 {
        0 => now + Duration::from_millis(1),
        1 => now + Duration::from_millis(10),
        2 => now + Duration::from_millis(u64::from(choice)),
        3 => now + Duration::from_secs(11),
        4 => now + Duration::from_secs(3_600),
        5 => now - Duration::from_secs(5),
        6 => Instant::ZERO,
        _ => now + Duration::from_micros(1),
    };
    driver.set_time(to);
}

fn sleep(driver: &mut Driver) {
    driver.drain();
    if let Some(deadline) = driver.deadline {
        driver.set_time(deadline);
    }
    driver.drain();
}

fn poll(driver: &mut Driver, choices: &mut Choices<'_>) {
    for _ in 0..=choices.below(8) {
        if driver.poll() {
            return;
        }
    }
}

fn idle(driver: &mut Driver) {
    driver.drain();
    driver.check_memory();
}

fn stale(driver: &mut Driver, choices: &mut Choices<'_>) {
    let kind = choices.below(7);
    let pick = choices.byte();
    let id = match driver.issued.len() {
        0 => ConnectionId::from_bits(u64::from(pick) << 32 | u64::from(pick)),
        count => driver.issued.get(usize::from(pick) % count).copied(),
    };
    if let Some(id) = id {
        driver.stale(id, kind);
    }
}

fn command(driver: &mut Driver, choices: &mut Choices<'_>) {
    let kind = choices.below(9);
    let pick = choices.byte();
    let connection = match driver.issued.len() {
        0 => ConnectionId::from_bits(1 << 32),
        count => driver.issued.get(usize::from(pick) % count).copied(),
    };
    let Some(connection) = connection else {
        return;
    };
    let command = match kind {
        0 => Command::Send {
            connection,
            message: note(driver, choices),
        },
        1 | 2 => Command::Publish {
            room: room(choices).to_owned(),
            message: note(driver, choices),
        },
        3 => Command::Kick {
            connection,
            room: room(choices).to_owned(),
        },
        4 => Command::Close {
            connection,
            code: [1000, 1005, 4000, 0][choices.below(4)],
            reason: format!("a{}", "\u{20ac}".repeat(choices.below(64))),
            reconnect_after_ms: choices.flag().then_some(5),
        },
        5..=7 => match driver.requests.pop() {
            Some(request) => Command::Reply {
                request,
                outcome: match kind {
                    5 => Outcome::Ack,
                    6 => Outcome::Reply("{\"type\":\"app\"}".to_owned()),
                    _ => Outcome::Error {
                        code: ErrorCode::Forbidden,
                        message: "no".to_owned(),
                    },
                },
            },
            None => return,
        },
        // Rare, because it ends most of the fun.
        _ if pick == 0xff => Command::Drain,
        _ => return,
    };
    driver.command(command);
}

/// A message of the embedding program; as long as the queue allows if the choice says so.
fn note(driver: &Driver, choices: &mut Choices<'_>) -> String {
    let length = match choices.byte() {
        0xff => driver.largest_queue() - 40,
        // With the rest of the message and a frame's header: exactly full.
        0xfe => driver.largest_queue() - 26,
        0xfd => driver.largest_queue(),
        length => usize::from(length),
    };
    format!("{{\"type\":\"note\",\"d\":\"{}\"}}", "n".repeat(length))
}

fn room(choices: &mut Choices<'_>) -> &'static str {
    ROOMS[choices.below(ROOMS.len())]
}

// ---- what a peer sends

const FIRST_LINE: &[u8] = b"GET /ws HTTP/1.1\r\n";

const HANDSHAKE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What a proxy may have added: who the client is, in both ways and none, and what cannot be right.
const FORWARDED: [&str; 8] = [
    "",
    "X-Forwarded-For: 198.51.100.1\r\n",
    "X-Forwarded-For: 198.51.100.2, 127.0.0.1\r\n",
    "Forwarded: for=198.51.100.1;proto=https\r\n",
    "Forwarded: for=\"[2001:db8::1]:80\"\r\n",
    "Forwarded: for=unknown, for=127.0.0.1\r\n",
    "X-Forwarded-For: 198.51.100.1\r\nForwarded: for=198.51.100.2\r\n",
    "Forwarded: for=\"198.51.100.1\r\n",
];

/// A handshake as it arrives.
fn handshake(driver: &Driver, peer: usize, choices: &mut Choices<'_>) -> Vec<u8> {
    if !driver.peers[peer].proxied {
        return HANDSHAKE.to_vec();
    }
    let added = FORWARDED[choices.below(FORWARDED.len())];
    let (request, rest) = HANDSHAKE.split_at(FIRST_LINE.len());
    [request, added.as_bytes(), rest].concat()
}

fn upgrade(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    let choice = choices.byte();
    if choice & 1 == 1 {
        // Only the third listener has it, and connections of another server; elsewhere this is answered with 404.
        let echo = String::from_utf8_lossy(HANDSHAKE).replace("/ws", "/echo");
        if driver.peers[peer].stream.may_ask() {
            driver.peers[peer].stream.kind = Kind::Echo;
        }
        driver.peers[peer].stream.clean = false;
        return driver.send(peer, echo.as_bytes());
    }
    if driver.peers[peer].stream.is_open() {
        driver.peers[peer].stream.clean = false;
    }
    let request = handshake(driver, peer, choices);
    let cut = request.len() * usize::from(choice >> 1) / 128;
    let (front, back) = request.split_at(cut.min(request.len()));
    driver.send(peer, front);
    driver.send(peer, back);
}

fn raw(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    driver.peers[peer].stream.clean = false;
    match choices.byte() {
        0xff => driver.talk_on(peer),
        length => driver.send(peer, choices.take(usize::from(length % 64))),
    }
}

fn odd_frame(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    driver.peers[peer].stream.clean = false;
    let opcode = OpCode::from(choices.byte() & 0x0f);
    let (fin, rsv1) = (choices.flag(), choices.byte() == 0xff);
    let length = choices.below(160);
    let mut frame = Vec::new();
    put_masked_frame(&mut frame, opcode, fin, rsv1, choices.take(length), KEY);
    driver.send(peer, &frame);
}

fn text_frame(text: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    put_masked_frame(
        &mut frame,
        OpCode::Data(Data::Text),
        true,
        false,
        text.as_bytes(),
        KEY,
    );
    frame
}

fn request(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    let text = request_text(driver, peer, choices);
    driver.send(peer, &text_frame(&text));
}

/// What a message asks for, a few of each.
fn terms(choice: u8) -> String {
    let (id, key) = (choice >> 3 & 7, choice >> 4 & 1);
    match choice >> 6 {
        0 | 1 => String::new(),
        2 => format!(",\"messageId\":\"{id}\""),
        _ => format!(",\"messageId\":\"{id}\",\"ttlMs\":{choice},\"key\":\"{key}\""),
    }
}

/// One JSON message; noted as waiting for its outcome if it carries an id and can be counted on to arrive.
fn request_text(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) -> String {
    let kind = choices.below(14);
    let choice = choices.byte();
    let id = if choice & 1 == 1 {
        let id = driver.fresh_request();
        let stream = &mut driver.peers[peer].stream;
        if stream.kind == Kind::Client {
            stream.waiting.insert(id, kind == 11);
        }
        format!(",\"id\":{id}")
    } else {
        String::new()
    };
    let data = DATA[usize::from(choice >> 1) % DATA.len()];
    let mut room = || serde_json::to_string(room(choices)).unwrap_or_default();
    let fields = match kind {
        0 => format!("\"join\",\"room\":{}", room()),
        1 => format!(
            "\"room_message\",\"room\":{},\"data\":{data}{}",
            room(),
            terms(choice)
        ),
        2 => format!("\"leave\",\"room\":{}", room()),
        3 => format!("\"typing_start\",\"room\":{}", room()),
        4 => format!("\"typing_stop\",\"room\":{}", room()),
        5 if choice & 4 == 4 => format!(
            "\"history\",\"room\":{},\"after\":{},\"limit\":2",
            room(),
            choice >> 3
        ),
        5 => format!(
            "\"members\",\"room\":{},\"metadata\":true,\"limit\":1",
            room()
        ),
        6 => format!("\"broadcast\",\"data\":{data}"),
        7 => {
            let clients = &driver.clients;
            let to = match clients.len() {
                0 => "client_AAAAAAAAAAAAAAAAAAAAAAAA",
                count => &clients[choices.below(count.min(256))],
            };
            let terms = terms(choice);
            format!("\"private_message\",\"to\":\"{to}\",\"data\":{data}{terms}")
        }
        8 => format!(
            "\"set_metadata\",\"metadata\":{{\"k{}\":{data}}}",
            choice & 3
        ),
        9 if choice & 2 == 2 => match driver.sessions.len() {
            count if count > 0 && choice & 4 == 4 => {
                let (client, secret) = &driver.sessions[choices.below(count.min(256))];
                format!("\"resume\",\"clientId\":\"{client}\",\"sessionSecret\":\"{secret}\"")
            }
            _ => "\"resume\"".to_owned(),
        },
        9 => format!("\"hello\",\"user\":{data}"),
        10 if choice & 2 == 2 => format!("\"ack\",\"offset\":{}", choice >> 4),
        10 => "\"ping\",\"timestamp\":1".to_owned(),
        11 => "\"app\"".to_owned(),
        12 => "\"nobody_knows\"".to_owned(),
        _ => "7".to_owned(),
    };
    format!("{{\"type\":{fields}{id}}}")
}

fn flood(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    let times = choices.below(64);
    let length = usize::from(choices.byte());
    let kind = if choices.flag() {
        "broadcast"
    } else {
        "room_message"
    };
    let room = serde_json::to_string(room(choices)).unwrap_or_default();
    let data = "f".repeat(length);
    let text = format!("{{\"type\":\"{kind}\",\"room\":{room},\"data\":\"{data}\"}}");
    let frame = text_frame(&text);
    for _ in 0..times {
        driver.send(peer, &frame);
    }
}

/// A message that takes long, with an `id` or without: in one piece, of several that are as long or short, or wrong
/// somewhere; compressed, if the peer may and the choice says so.
fn large(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    let (kind, how) = (choices.byte(), choices.byte());
    let length = 900 + usize::from(how >> 1) * 25;
    let data = "l".repeat(length);
    let mut part = |driver: &mut Driver, data: &str| {
        let room = serde_json::to_string(room(choices)).unwrap_or_default();
        let named = kind >> 4 & 1 == 0;
        let id = named.then(|| driver.fresh_request());
        let stream = &mut driver.peers[peer].stream;
        if stream.kind == Kind::Client {
            let is_application = kind & 3 == 2;
            stream.waiting.extend(id.map(|id| (id, is_application)));
        }
        let id = id.map(|id| format!(",\"id\":{id}")).unwrap_or_default();
        match kind & 3 {
            0 => {
                format!("{{\"type\":\"room_message\",\"room\":{room},\"data\":\"{data}\"{id}}}")
            }
            1 => format!("{{\"data\":\"{data}\",\"type\":\"broadcast\"{id}}}"),
            2 => format!("{{\"type\":\"app\",\"data\":\"{data}\"{id}}}"),
            _ => format!("{{\"type\":\"nobody_knows\",\"data\":\"{data}\"{id}}}"),
        }
    };
    let mut message = match kind >> 2 & 3 {
        0 => part(driver, &data),
        1 => {
            let parts = [part(driver, "s"), part(driver, &data), part(driver, "s")];
            format!("{{\"type\":\"batch\",\"messages\":[{}]}}", parts.join(","))
        }
        2 => format!("{{\"type\":\"ping\",\"id\":tru,\"data\":\"{data}\"}}"),
        _ => format!(
            "{{\"type\":\"ping\",\"x\":{}1{}}}",
            "[".repeat(length),
            "]".repeat(length)
        ),
    }
    .into_bytes();
    if kind >> 2 & 3 >= 2 {
        // Refused without a name.
        driver.peers[peer].stream.clean = false;
    }
    if kind >> 4 == 0xf {
        // No text.
        driver.peers[peer].stream.clean = false;
        message.push(0xff);
    }
    let compresses = how & 1 == 1 && driver.peers[peer].compresses;
    let packed = compresses.then(|| driver.compressed(&message).map(<[u8]>::to_vec));
    let packed = packed.flatten();
    let (payload, rsv1) = match packed {
        Some(packed) => (packed, true),
        None => (message, false),
    };
    let mut frame = Vec::new();
    put_masked_frame(
        &mut frame,
        OpCode::Data(Data::Text),
        true,
        rsv1,
        &payload,
        KEY,
    );
    driver.send(peer, &frame);
}

fn fragments(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    let text = request_text(driver, peer, choices);
    let count = 1 + choices.below(4);
    let size = text.len().div_ceil(count);
    let mut bytes = Vec::new();
    for (index, part) in text.as_bytes().chunks(size).enumerate() {
        let fin = (index + 1) * size >= text.len();
        let kind = if index == 0 {
            Data::Text
        } else {
            Data::Continue
        };
        put_masked_frame(&mut bytes, OpCode::Data(kind), fin, false, part, KEY);
        if !fin {
            put_masked_frame(
                &mut bytes,
                OpCode::Control(Control::Ping),
                true,
                false,
                b"",
                KEY,
            );
        }
    }
    driver.send(peer, &bytes);
}

fn ping(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    let kind = if choices.flag() {
        Control::Pong
    } else {
        Control::Ping
    };
    let length = choices.below(126);
    let mut frame = Vec::new();
    let payload = vec![b'p'; length];
    put_masked_frame(
        &mut frame,
        OpCode::Control(kind),
        true,
        false,
        &payload,
        KEY,
    );
    driver.send(peer, &frame);
}

fn close(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    // What it sends from now on has no outcome.
    driver.peers[peer].stream.clean = false;
    let code = [1000, 1001, 4999, 1005][choices.below(4)];
    let mut payload = Vec::new();
    put_close_payload(&mut payload, code.into(), "bye");
    let mut frame = Vec::new();
    put_masked_frame(
        &mut frame,
        OpCode::Control(Control::Close),
        true,
        false,
        &payload,
        KEY,
    );
    driver.send(peer, &frame);
}

fn plain_request(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    if driver.peers[peer].stream.is_open() {
        driver.peers[peer].stream.clean = false;
    }
    let requests: [&[u8]; 8] = [
        b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD /health/live HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /health/ready HTTP/1.0\r\n\r\n",
        b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /no HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /no HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx",
    ];
    let choice = choices.byte();
    let request = requests[usize::from(choice & 7)];
    // Pipelined, up to more answers than a queue holds.
    let times = if choice >= 0xf0 { 16 } else { 1 };
    driver.send(peer, &request.repeat(times));
}

// ---- how a peer's socket behaves

fn writes(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    let bytes = match choices.byte() {
        0xff => usize::MAX,
        bytes => usize::from(bytes),
    };
    driver.peers[peer].writes = match choices.below(4) {
        0 => Writes::All,
        1 => Writes::Some { bytes, times: 8 },
        2 => Writes::Block { bytes },
        _ => Writes::Gone,
    };
}

/// What a driver must not do, and the server has to survive.
fn rude(driver: &mut Driver, peer: usize, choices: &mut Choices<'_>) {
    if driver.is_obedient() || !driver.peers[peer].alive {
        return;
    }
    match choices.below(3) {
        0 => driver.ignore_transmits = 1 + choices.byte() % 3,
        1 => {
            let bytes = choices.number() as usize;
            driver.sent(peer, bytes, choices.flag());
        }
        _ => {
            let connection = driver.peers[peer].id;
            let _ = driver.handle(Input::Writable { connection });
            driver.unblock(peer);
        }
    }
}

const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// Small, empty, nested, long, and what pretends to be the server's.
const DATA: [&str; 6] = [
    "1",
    "null",
    "{\"a\":[1,2,3]}",
    "\"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\"",
    "{\"type\":\"welcome\"}",
    "\"\\u0041\\n\"",
];

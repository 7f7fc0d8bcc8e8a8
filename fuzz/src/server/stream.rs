//! What one peer gets, checked byte by byte as it arrives.

use std::collections::{BTreeMap, BTreeSet};

use roomwire_core::websocket::{Decoder, MessageLimits, Role, Step};
use serde_json::Value;

/// One peer's view of the server.
#[derive(Debug)]
pub(super) struct Stream {
    stage: Stage,
    /// Another server has answered its request.
    adopted: bool,
    /// Room messages come without an envelope, so that they say nothing of rooms.
    bare: bool,
    pub(super) kind: Kind,
    /// The peer has sent nothing but what it meant to: its requests can be counted.
    pub(super) clean: bool,
    /// The client's public address, from its welcome.
    pub(super) client: Option<String>,
    /// The id and the secret of its session, once it was told.
    pub(super) session: Option<(String, String)>,
    /// Rooms it is in, as far as it was told.
    rooms: BTreeSet<String>,
    /// Messages that it was told it missed.
    pub(super) missed: u64,
    /// It was in a room and is no longer.
    pub(super) has_left: bool,
    /// Requests without an outcome, and whether the embedding program is to answer.
    pub(super) waiting: BTreeMap<u64, bool>,
}

#[derive(Debug)]
enum Stage {
    /// Responses to plain requests.
    Http(Vec<u8>),
    /// Frames.
    Frames(Decoder),
    /// The server's close frame was there.
    Closed,
}

/// What the peer asked to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Client,
    Echo,
}

impl Stream {
    pub(super) fn new(bare: bool) -> Self {
        Self {
            stage: Stage::Http(Vec::new()),
            adopted: false,
            bare,
            kind: Kind::Client,
            clean: true,
            client: None,
            session: None,
            rooms: BTreeSet::new(),
            missed: 0,
            has_left: false,
            waiting: BTreeMap::new(),
        }
    }

    /// Of a connection that another server has upgraded: there are no responses.
    pub(super) fn adopted() -> Self {
        Self {
            stage: Stage::Frames(Decoder::new(Role::Client)),
            adopted: true,
            ..Self::new(false)
        }
    }

    /// Whether the session is open, as far as the peer knows.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Frames(_))
    }

    /// Whether what it asks for may still decide what it becomes.
    pub(super) const fn may_ask(&self) -> bool {
        self.client.is_none() && (self.adopted || !self.is_open())
    }

    /// Whether the server has said that it closes.
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    /// More bytes came.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        match &mut self.stage {
            Stage::Http(head) => {
                head.extend_from_slice(bytes);
                self.responses();
            }
            Stage::Frames(_) => self.frames(&mut bytes.to_vec()),
            Stage::Closed => assert!(bytes.is_empty(), "bytes after a close frame"),
        }
    }

    /// Skips plain responses up to a `101`. How long they are depends on what was asked, so what lies between
    /// heads is not looked at.
    fn responses(&mut self) {
        let Stage::Http(bytes) = &mut self.stage else {
            return;
        };
        let first = &bytes[..bytes.len().min(9)];
        assert!(b"HTTP/1.1 ".starts_with(first), "{bytes:?}");
        let Some(start) = find(bytes, b"HTTP/1.1 101 ") else {
            return;
        };
        let Some(end) = find(&bytes[start..], b"\r\n\r\n") else {
            return;
        };
        let mut rest = bytes.split_off(start + end + 4);
        self.stage = Stage::Frames(Decoder::new(Role::Client));
        self.frames(&mut rest);
    }

    fn frames(&mut self, bytes: &mut [u8]) {
        let limits = MessageLimits::default();
        let mut at = 0;
        while at < bytes.len() {
            let Stage::Frames(decoder) = &mut self.stage else {
                panic!("bytes after a close frame: {:?}", &bytes[at..]);
            };
            let (step, consumed) = decoder
                .decode(&mut bytes[at..], &limits)
                .expect("the server's frames are well-formed");
            at += consumed;
            match step {
                Step::NeedMore => return,
                Step::Text(text) if self.kind == Kind::Client => {
                    let text = text.into_owned();
                    self.message(&text);
                }
                Step::Text(_) | Step::Ping(_) | Step::Pong(_) => {}
                Step::Binary(_) => assert_eq!(self.kind, Kind::Echo, "binary to a client"),
                Step::Close(_) => self.stage = Stage::Closed,
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn message(&mut self, text: &str) {
        let Ok(tree) = serde_json::from_str::<Value>(text) else {
            panic!("not JSON: {text}");
        };
        let kind = tree.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind == "welcome" {
            assert!(self.client.is_none(), "welcomed twice");
            self.client = tree
                .get("clientId")
                .and_then(Value::as_str)
                .map(str::to_owned);
        }
        // A queue that overflows is given up, the welcome with it.
        let first = self.client.is_some() || kind == "closing";
        assert!(first, "before the welcome: {text}");
        if let Some(id) = tree.get("id").and_then(Value::as_u64) {
            let waited = self.waiting.remove(&id).is_some();
            assert!(waited || !self.clean, "an outcome nobody waits for: {text}");
        }
        if kind == "session" {
            let text = |name: &str| tree.get(name).and_then(Value::as_str).map(str::to_owned);
            self.session = text("clientId").zip(text("sessionSecret"));
            assert!(
                self.session.is_some(),
                "half a session: {text}",
                text = tree
            );
        }
        if kind == "messages_dropped" {
            let count = tree.get("count").and_then(Value::as_u64);
            self.missed += count.expect("how many");
        }
        let room = tree.get("room").and_then(Value::as_str);
        match (kind, room) {
            ("joined_room", Some(room)) => {
                self.rooms.insert(room.to_owned());
            }
            ("left_room", Some(room)) => {
                self.has_left = true;
                assert!(self.rooms.remove(room), "left a room it was not in: {text}");
            }
            (
                "member_joined"
                | "member_left"
                | "member_updated"
                | "members_changed"
                | "room_message"
                | "user_typing"
                | "user_stopped_typing"
                | "messages_dropped",
                Some(room),
            ) => assert!(
                self.rooms.contains(room) || self.bare,
                "of a room it is not in: {text}"
            ),
            _ => {}
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

//! What the server writes is described, and all that is described is written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use roomwire_core::dialect::json::encode;
use roomwire_core::dialect::json::registry::{self, SERVER};
use roomwire_core::{
    ClientClock, ClientId, Epoch, ErrorCode, FileNotice, Gap, LeaveReason, PastMessage, Payload,
    Position, Published, ServerMessage, Session, SessionSecret, TransferId, Welcome,
};
use roomwire_tests::Rng;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::{Schemas, advice};

pub(crate) const MESSAGES: &str = include_str!("../../../core/src/message.rs");
pub(crate) const FILES: &str = include_str!("../../../core/src/message/files.rs");

const ROUNDS: u64 = 400;

// covers A13-06
#[test]
fn everything_that_is_written_is_described_and_the_other_way_round() {
    let mut written = Written::default();
    for seed in 0..ROUNDS {
        every_message(&mut Draw(Rng::new(seed)), &mut |message| {
            written.check(message);
        });
    }
    written.all_is_seen();
}

/// The texts of the server, and what was in them.
struct Written {
    schemas: Schemas,
    /// By `type`: how often it was written, and how often each field was.
    seen: BTreeMap<String, (u64, BTreeMap<String, u64>)>,
    /// The names of the code.
    variants: BTreeSet<String>,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            schemas: Schemas::of_server(),
            seen: BTreeMap::new(),
            variants: BTreeSet::new(),
        }
    }
}

impl Written {
    fn check(&mut self, message: &ServerMessage<'_>) {
        let shown = format!("{message:?}");
        self.variants.insert(
            shown
                .split([' ', '{'])
                .next()
                .unwrap_or_default()
                .to_owned(),
        );
        let ids: &[_] = &[None, Some("7"), Some("\"x\"")];
        for id in ids {
            let mut text = Vec::new();
            encode(message, *id, &mut text);
            let Ordered(fields) = serde_json::from_slice(&text).expect("JSON");
            let tree: Value = serde_json::from_slice(&text).expect("JSON");
            let kind = tree["type"].as_str().expect("a type").to_owned();
            if id.is_some() && !registry::is_outcome(&kind) {
                continue;
            }
            let shown = String::from_utf8_lossy(&text);
            if let Some(fault) = self.schemas.fault(&tree) {
                panic!(
                    "the server writes {shown}, which is not as described {fault}: {}",
                    advice()
                );
            }
            self.note(&kind, &fields, &shown);
        }
    }

    fn note(&mut self, kind: &str, fields: &[String], shown: &str) {
        let entry = registry::told(kind).expect("it is described");
        let order = ["type", "id"]
            .into_iter()
            .chain(entry.shape.fields.iter().map(|field| field.name));
        let expected: Vec<&str> = order
            .filter(|name| fields.iter().any(|field| field == name))
            .collect();
        assert_eq!(
            fields, expected,
            "{shown}: left: written, right: in the order of the registry"
        );
        let (count, seen) = self.seen.entry(kind.to_owned()).or_default();
        *count += 1;
        for field in fields {
            *seen.entry(field.clone()).or_default() += 1;
        }
    }

    fn all_is_seen(&self) {
        for entry in SERVER.iter().filter(|entry| entry.name != "batch") {
            let (count, fields) = self.seen.get(entry.name).unwrap_or_else(|| {
                panic!(
                    "`{}` is described and never written: write it in `every_message`",
                    entry.name
                )
            });
            for field in entry.shape.fields {
                let seen = fields.get(field.name).copied().unwrap_or_default();
                let of = format!("`{}` of `{}`", field.name, entry.name);
                assert!(seen > 0, "{of} is described and never written");
                assert_eq!(
                    seen < *count,
                    field.is_optional,
                    "{of} is optional, or is not"
                );
            }
        }
        let mut known = variants(MESSAGES, "ServerMessage");
        known.retain(|name| name != "File" && name != "Application");
        let files = variants(FILES, "FileNotice").into_iter();
        known.extend(files.map(|name| format!("File({name}")));
        let written = self.variants.iter().map(|name| match name.split_once('(') {
            Some((outer, _)) if outer != "File" => outer.to_owned(),
            _ => name.clone(),
        });
        let written: BTreeSet<String> = written.collect();
        assert_eq!(
            written,
            known,
            "left: `every_message` below, right: message.rs; write it there, and {}",
            advice()
        );
    }
}

/// The variants of an enum as they stand in the code.
pub(crate) fn variants(code: &str, name: &str) -> BTreeSet<String> {
    let (_, body) = code
        .split_once(&format!("pub enum {name}<'a> {{\n"))
        .expect(name);
    let (body, _) = body.split_once("\n}").expect("its end");
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let lines = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    lines
        .map(|line| {
            line.chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect()
        })
        .collect()
}

/// The keys of an object in their order, each as often as it stands there.
struct Ordered(Vec<String>);

impl<'de> serde::Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Ordered;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, _)) = map.next_entry::<String, Value>()? {
                    keys.push(key);
                }
                Ok(Ordered(keys))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// What a message may be made of.
struct Draw(Rng);

impl Draw {
    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.below(choices.len())]
    }

    fn text(&mut self) -> &'static str {
        self.one_of(&[
            "",
            "tea",
            "é\"\\\n\u{0}\u{7f}",
            "😀 </script>",
            "\u{2028}",
            "a\tb",
        ])
    }

    fn json(&mut self) -> &'static str {
        self.one_of(&[
            "null",
            "0",
            "-1.5e3",
            "\"\\u00e9\"",
            "[1,[2]]",
            "{ \"a\" : {} }",
            "true",
        ])
    }

    fn object(&mut self) -> &'static str {
        self.one_of(&["{}", "{\"a\":null}", " { \"a\" : [1] } "])
    }

    fn number(&mut self) -> u64 {
        let any = self.0.next();
        self.one_of(&[0, 1, 65_535, u64::MAX, any])
    }

    fn small(&mut self) -> u32 {
        self.number().try_into().unwrap_or(u32::MAX)
    }

    fn count(&mut self) -> usize {
        self.small() as usize
    }

    fn flag(&mut self) -> bool {
        self.0.one_in(2)
    }

    fn maybe<T>(&mut self, value: T) -> Option<T> {
        self.flag().then_some(value)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.0.next() as u8)
    }

    fn client(&mut self) -> ClientId {
        ClientId::from_bytes(&self.bytes())
    }

    fn data(&mut self) -> Payload<'static> {
        if self.flag() {
            return Payload::Json(self.json());
        }
        Payload::Bytes(self.piece())
    }

    fn piece(&mut self) -> &'static [u8] {
        self.one_of(&[&b""[..], b"\xfb\xff", b"tea", b"\x00\x01\x02\x03"])
    }

    fn position(&mut self) -> Position {
        Position {
            epoch: Epoch(self.number()),
            last: self.number(),
        }
    }

    fn gap(&mut self) -> Gap {
        Gap {
            from: self.number(),
            to: self.number(),
        }
    }

    fn past(&mut self) -> PastMessage<'static> {
        PastMessage {
            offset: self.number(),
            from: self.client(),
            data: self.data(),
            timestamp: self.number(),
        }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.0.below(3);
        (0..count).map(|_| item(self)).collect()
    }
}

/// Tells `check` one of every kind, with all that may be in it now and then.
fn every_message(draw: &mut Draw, check: &mut impl FnMut(&ServerMessage<'_>)) {
    about_the_connection(draw, check);
    about_rooms(draw, check);
    about_data(draw, check);
    about_files(draw, &mut |notice| check(&ServerMessage::File(notice)));
}

fn about_the_connection(draw: &mut Draw, check: &mut impl FnMut(&ServerMessage<'_>)) {
    check(&ServerMessage::Welcome(Welcome {
        client: draw.client(),
        timestamp: draw.number(),
        resumed: draw.flag(),
        heartbeat_interval_ms: draw.number(),
        heartbeat_timeout_ms: draw.number(),
        max_message_bytes: draw.count(),
        max_rooms: draw.small(),
        max_room_name_bytes: draw.count(),
        rate_messages: {
            let messages = draw.small();
            draw.maybe(messages)
        },
        rate_per_ms: draw.number(),
    }));
    let gap = draw.gap();
    check(&ServerMessage::Session(Session {
        client: draw.client(),
        secret: SessionSecret(draw.bytes()),
        resumed: draw.flag(),
        window_ms: draw.number(),
        away_ms: draw.number(),
        last: draw.number(),
        gap: draw.maybe(gap),
        left_out: draw.list(Draw::gap),
    }));
    let clocks = [
        None,
        Some(ClientClock::Json("1.50")),
        Some(ClientClock::Json("null")),
    ];
    let millis = Some(ClientClock::Millis(draw.number()));
    check(&ServerMessage::Pong {
        timestamp: draw.number(),
        client_timestamp: draw.one_of(&[clocks[0], clocks[1], clocks[2], millis]),
    });
    let offset = draw.number();
    check(&ServerMessage::Ack(Published {
        offset: draw.maybe(offset),
        duplicate: draw.flag(),
    }));
    let later = draw.number();
    check(&ServerMessage::Error {
        code: draw.one_of(&ErrorCode::ALL),
        message: draw.text(),
        retry_after_ms: draw.maybe(later),
    });
    check(&ServerMessage::Closing {
        code: draw.one_of(&[1000, 1008, 1011, 1012, 1013, 3000, 4409, 4999]),
        reason: draw.text(),
        reconnect_after_ms: draw.maybe(later),
    });
    let room = draw.text();
    check(&ServerMessage::MessagesDropped {
        room: draw.maybe(room),
        count: draw.number(),
    });
    check(&ServerMessage::MetadataUpdated {
        metadata: draw.object(),
    });
}

fn about_rooms(draw: &mut Draw, check: &mut impl FnMut(&ServerMessage<'_>)) {
    let (room, client) = (draw.text(), draw.client());
    let members = draw.list(Draw::client);
    let position = draw.position();
    check(&ServerMessage::JoinedRoom {
        room,
        members: Cow::Borrowed(&members),
        total: draw.count(),
        history: draw.maybe(position),
    });
    check(&ServerMessage::LeftRoom { room });
    check(&ServerMessage::MemberJoined { room, client });
    check(&ServerMessage::MemberLeft {
        room,
        client,
        reason: draw.one_of(&[
            LeaveReason::Left,
            LeaveReason::Disconnected,
            LeaveReason::Timeout,
            LeaveReason::Kicked,
        ]),
    });
    check(&ServerMessage::MembersChanged {
        room,
        joined: draw.number(),
        left: draw.number(),
        total: draw.count(),
    });
    let metadata: Vec<Cow<'_, str>> = members.iter().map(|_| draw.object().into()).collect();
    check(&ServerMessage::Members {
        room,
        members: Cow::Borrowed(&members),
        metadata: draw.maybe(Cow::Borrowed(&metadata)),
        total: draw.count(),
        more: draw.flag(),
    });
    check(&ServerMessage::MemberUpdated {
        room,
        client,
        metadata: draw.object(),
    });
    check(&ServerMessage::UserTyping { room, client });
    check(&ServerMessage::UserStoppedTyping { room, client });
}

fn about_data(draw: &mut Draw, check: &mut impl FnMut(&ServerMessage<'_>)) {
    let room = draw.text();
    let messages = draw.list(Draw::past);
    let (gap, position) = (draw.gap(), draw.position());
    let left_out = draw.list(Draw::gap);
    check(&ServerMessage::History {
        room,
        position,
        messages: Cow::Borrowed(&messages),
        more: draw.flag(),
        gap: draw.maybe(gap),
        reset: draw.flag(),
        left_out: Cow::Borrowed(&left_out),
    });
    check(&ServerMessage::Resumed {
        room,
        position: draw.maybe(position),
        complete: draw.flag(),
    });
    check(&ServerMessage::Reset { room, position });
    let PastMessage {
        offset,
        from,
        data,
        timestamp,
    } = draw.past();
    check(&ServerMessage::Broadcast {
        from,
        data,
        timestamp,
    });
    check(&ServerMessage::RoomMessage {
        room,
        from,
        data,
        timestamp,
        offset: draw.maybe(offset),
    });
    check(&ServerMessage::PrivateMessage {
        from,
        data,
        timestamp,
        offset: draw.maybe(offset),
    });
}

fn about_files(draw: &mut Draw, check: &mut impl FnMut(FileNotice<'_>)) {
    let transfer = TransferId::from_bits(draw.number());
    let hash = draw.bytes();
    let (completed, failed) = (draw.small(), draw.small());
    check(FileNotice::Accepted {
        name: draw.text(),
        transfer,
        secret: draw.text(),
        offset: draw.number(),
        chunk_bytes: draw.small(),
    });
    check(FileNotice::Wanted {
        transfer,
        offset: draw.number(),
        length_bytes: draw.small(),
    });
    check(FileNotice::Progress {
        transfer,
        acknowledged: draw.number(),
        receivers: draw.small(),
        completed,
        failed,
    });
    check(FileNotice::Completed {
        transfer,
        completed,
        failed,
    });
    let room = draw.text();
    check(FileNotice::Offered {
        transfer,
        from: draw.client(),
        room: draw.maybe(room),
        file_name: draw.text(),
        size: draw.number(),
        mime_type: draw.text(),
        hash: draw.maybe(hash),
        max_window_bytes: draw.small(),
    });
    check(FileNotice::Chunk {
        transfer,
        offset: draw.number(),
        data: draw.piece(),
    });
    check(FileNotice::End {
        transfer,
        size: draw.number(),
        hash,
    });
    check(FileNotice::Aborted {
        transfer,
        reason: draw.text(),
    });
    check(FileNotice::Failed {
        transfer,
        code: draw.one_of(&ErrorCode::ALL),
        message: draw.text(),
    });
}

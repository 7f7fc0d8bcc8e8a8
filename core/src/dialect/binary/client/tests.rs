//! Encoder and decoder are one pair: what one side writes, the other reads, in both directions.

use core::num::NonZeroU32;
use std::borrow::Cow;

use proptest::prelude::*;

use super::super::{BinaryLimits, decode, encode};
use super::*;
use crate::config::Limits;
use crate::dialect::json::any_value;
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{
    Asked, ClientClock, ClientMessage, Data, Destination, Epoch, FileNotice, FileRequest, Former,
    Gap, LeaveReason, Messages, Named, PastMessage, Payload, Position, Published, Request,
    ServerMessage, SessionSecret, Since, Terms, TransferId, Welcome,
};

/// What messages are made of.
#[derive(Clone, Debug)]
struct Parts {
    number: Option<NonZeroU32>,
    texts: [String; 4],
    bytes: Option<Vec<u8>>,
    json: String,
    object: String,
    clients: Vec<ClientId>,
    longs: [u64; 3],
    shorts: [u32; 3],
    flags: [bool; 3],
    hash: [u8; 32],
    choice: u8,
}

fn parts() -> impl Strategy<Value = Parts> {
    let json = any_value().prop_map(|value| value.to_string());
    let object = any_value().prop_map(|value| format!(" {{\"type\":\"app\", \"a\":{value}}}"));
    let clients = prop::collection::vec(any::<[u8; 18]>(), 1..4);
    (
        (any::<u32>(), any::<[String; 4]>(), any::<Option<Vec<u8>>>()),
        (json, object, clients),
        (any::<[u64; 3]>(), any::<[u32; 3]>(), any::<[bool; 3]>()),
        (any::<[u8; 32]>(), any::<u8>()),
    )
        .prop_map(
            |(
                (number, texts, bytes),
                (json, object, clients),
                (longs, shorts, flags),
                (hash, choice),
            )| Parts {
                number: NonZeroU32::new(number),
                texts,
                bytes,
                json,
                object,
                clients: clients.iter().map(ClientId::from_bytes).collect(),
                longs,
                shorts,
                flags,
                hash,
                choice,
            },
        )
}

impl Parts {
    fn payload(&self) -> Payload<'_> {
        match &self.bytes {
            Some(bytes) => Payload::Bytes(bytes),
            None => Payload::Json(&self.json),
        }
    }

    fn data(&self) -> Data<'_> {
        self.payload().into()
    }

    fn room(&self) -> Cow<'_, str> {
        self.texts[0].as_str().into()
    }

    fn transfer(&self) -> TransferId {
        TransferId::from_bits(self.longs[0])
    }

    /// Every kind of request, and nothing that only JSON can say.
    fn requests<'a>(&'a self, frames: &'a [u8]) -> Vec<ClientMessage<'a>> {
        let [with_metadata, limited, further] = self.flags;
        let mut all = vec![
            ClientMessage::Ping {
                timestamp: Some(ClientClock::Millis(self.longs[0])),
            },
            ClientMessage::Join {
                room: self.room(),
                since: None,
            },
            ClientMessage::Join {
                room: self.room(),
                since: Some(Since {
                    epoch: further.then_some(Epoch(self.longs[0])),
                    after: self.longs[1],
                }),
            },
            ClientMessage::Leave { room: self.room() },
            ClientMessage::Broadcast { data: self.data() },
            ClientMessage::RoomMessage {
                room: self.room(),
                data: self.data(),
                terms: self.terms(),
            },
            ClientMessage::PrivateMessage {
                to: Some(self.clients[0]),
                data: self.data(),
                terms: Terms {
                    key: None,
                    ..self.terms()
                },
            },
            ClientMessage::Ack {
                offset: self.longs[0],
            },
            ClientMessage::SetMetadata {
                metadata: &self.object,
            },
            ClientMessage::Hello {
                user: further.then_some(&self.json),
                batch: Some(limited),
            },
            ClientMessage::Resume {
                former: further.then_some(self.former()),
            },
            ClientMessage::Members {
                room: self.room(),
                after: further.then(|| self.clients[0].as_str().into()),
                limit: limited.then_some(self.shorts[0]),
                metadata: with_metadata,
            },
            ClientMessage::History {
                room: self.room(),
                epoch: further.then_some(Epoch(self.longs[0])),
                after: further.then_some(self.longs[1]),
                before: (limited && !further).then_some(self.longs[1]),
                limit: limited.then_some(self.shorts[0]),
            },
            ClientMessage::TypingStart { room: self.room() },
            ClientMessage::TypingStop { room: self.room() },
            ClientMessage::Batch {
                messages: Messages::Binary(frames),
            },
            ClientMessage::Application {
                kind: "app".into(),
                message: &self.object,
            },
        ];
        all.extend(self.file_requests().into_iter().map(ClientMessage::File));
        all
    }

    fn file_requests(&self) -> Vec<FileRequest<'_>> {
        let transfer = self.transfer();
        let hash = self.flags[0].then_some(self.hash);
        let named = Named::Number(transfer);
        vec![
            FileRequest::Start {
                name: Some(format!("t{}", self.texts[1]).into()),
                to: match self.choice % 3 {
                    0 => Destination::Room(self.room()),
                    1 => Destination::Client(Some(self.clients[0])),
                    _ => Destination::Server,
                },
                file_name: self.texts[2].as_str().into(),
                size: self.longs[1],
                mime_type: self.texts[3].as_str().into(),
                hash,
                secret: self.flags[1].then(|| self.room()),
            },
            FileRequest::Chunk {
                transfer,
                offset: self.longs[1],
                data: self.bytes.as_deref().unwrap_or_default().into(),
            },
            FileRequest::End {
                transfer: named.clone(),
                size: self.flags[1].then_some(self.longs[1]),
                hash,
            },
            FileRequest::Abort {
                transfer: named,
                reason: self.room(),
            },
            FileRequest::Credit {
                transfer,
                offset: self.longs[1],
                window_bytes: self.shorts[0],
            },
            FileRequest::Complete { transfer },
        ]
    }

    fn former(&self) -> Former {
        let mut secret = [0; SessionSecret::BYTES];
        let longs = self.longs.iter().flat_map(|long| long.to_be_bytes());
        secret
            .iter_mut()
            .zip(longs)
            .for_each(|(to, from)| *to = from);
        Former {
            client: self.clients[0],
            secret: SessionSecret(secret),
            after: self.flags[0].then_some(self.longs[0]),
        }
    }

    /// Each of them is there or not.
    fn terms(&self) -> Terms<'_> {
        let name = |text: &str| Cow::Owned(format!("{text}."));
        Terms {
            message_id: self.flags[0].then(|| name(&self.texts[0])),
            ttl_ms: self.flags[1].then_some(self.shorts[0].max(1)),
            key: self.flags[2].then(|| name(&self.texts[1])),
        }
    }

    fn gaps(&self) -> Vec<Gap> {
        let count = usize::from(self.choice % 4);
        let [from, to, ..] = self.longs;
        vec![Gap { from, to }; count]
    }

    fn past(&self) -> Vec<PastMessage<'_>> {
        let each = self.clients.iter().zip(self.longs);
        let each = each.map(|(&from, offset)| PastMessage {
            offset,
            from,
            data: self.payload(),
            timestamp: self.longs[0],
        });
        each.collect()
    }

    /// Every kind of message of a server, with numbers that fit their fields.
    fn messages<'a>(&'a self, metadata: &'a [Cow<'a, str>]) -> Vec<ServerMessage<'a>> {
        let (room, client) = (self.texts[0].as_str(), self.clients[0]);
        let [first, second, third] = self.shorts;
        let [timestamp, ..] = self.longs;
        let total = first as usize;
        let later = self.flags[0].then(|| u64::from(second.min(u32::MAX - 1)));
        let data = self.payload();
        let position = Position {
            epoch: Epoch(self.longs[0]),
            last: self.longs[1],
        };
        let code = ErrorCode::ALL[usize::from(self.choice) % ErrorCode::ALL.len()];
        let mut all = vec![
            ServerMessage::Welcome(Welcome {
                client,
                timestamp,
                resumed: self.flags[0],
                heartbeat_interval_ms: first.into(),
                heartbeat_timeout_ms: second.into(),
                max_message_bytes: third as usize,
                max_rooms: first,
                max_room_name_bytes: usize::from(self.choice) * 257,
                rate_messages: self.flags[1].then_some(second),
                rate_per_ms: if self.flags[1] { third.into() } else { 0 },
            }),
            ServerMessage::Pong {
                timestamp,
                client_timestamp: Some(ClientClock::Millis(self.longs[1])),
            },
            ServerMessage::JoinedRoom {
                room,
                members: self.clients.as_slice().into(),
                total,
                history: self.flags[1].then_some(position),
            },
            ServerMessage::History {
                room,
                position,
                messages: self.past().into(),
                more: self.flags[1],
                gap: self.flags[0].then_some(Gap {
                    from: self.longs[1],
                    to: self.longs[0],
                }),
                reset: self.flags[2],
                left_out: self.gaps().into(),
            },
            ServerMessage::Session(crate::message::Session {
                client: self.clients[0],
                secret: self.former().secret,
                resumed: self.flags[0],
                window_ms: self.longs[0],
                away_ms: self.longs[1],
                last: self.longs[0],
                gap: self.flags[1].then_some(Gap {
                    from: self.longs[1],
                    to: self.longs[0],
                }),
                left_out: self.gaps(),
            }),
            ServerMessage::Resumed {
                room,
                position: self.flags[0].then_some(position),
                complete: self.flags[1],
            },
            ServerMessage::Reset { room, position },
            ServerMessage::LeftRoom { room },
            ServerMessage::MemberJoined { room, client },
            ServerMessage::MembersChanged {
                room,
                joined: first.into(),
                left: second.into(),
                total,
            },
            ServerMessage::Members {
                room,
                members: self.clients.as_slice().into(),
                metadata: self.flags[0].then_some(metadata.into()),
                total,
                more: self.flags[1],
            },
            ServerMessage::Broadcast {
                from: client,
                data,
                timestamp,
            },
            ServerMessage::RoomMessage {
                room,
                from: client,
                data,
                timestamp,
                offset: self.flags[2].then_some(self.longs[1]),
            },
            ServerMessage::PrivateMessage {
                from: client,
                data,
                timestamp,
                offset: self.flags[1].then_some(self.longs[1]),
            },
            ServerMessage::MetadataUpdated {
                metadata: &self.object,
            },
            ServerMessage::MemberUpdated {
                room,
                client,
                metadata: &self.object,
            },
            ServerMessage::UserTyping { room, client },
            ServerMessage::UserStoppedTyping { room, client },
            ServerMessage::Ack(Published::default()),
            ServerMessage::Ack(Published {
                offset: self.flags[0].then_some(self.longs[0]),
                duplicate: self.flags[1],
            }),
            ServerMessage::Error {
                code,
                message: &self.texts[1],
                retry_after_ms: later,
            },
            ServerMessage::MessagesDropped {
                room: Some(room).filter(|room| !room.is_empty()),
                count: self.longs[1],
            },
            ServerMessage::Closing {
                code: u16::from(self.choice) << 4,
                reason: &self.texts[1],
                reconnect_after_ms: later,
            },
            ServerMessage::Application {
                message: &self.object,
            },
        ];
        for reason in [
            LeaveReason::Left,
            LeaveReason::Disconnected,
            LeaveReason::Timeout,
            LeaveReason::Kicked,
        ] {
            all.push(ServerMessage::MemberLeft {
                room,
                client,
                reason,
            });
        }
        all.extend(self.notices(code).into_iter().map(ServerMessage::File));
        all
    }

    fn notices(&self, code: ErrorCode) -> Vec<FileNotice<'_>> {
        let transfer = self.transfer();
        let [_, offset, size] = self.longs;
        let [receivers, completed, failed] = self.shorts;
        let [first, second, third, fourth] = self.texts.each_ref().map(String::as_str);
        vec![
            FileNotice::Accepted {
                name: first,
                transfer,
                secret: second,
                offset,
                chunk_bytes: receivers,
            },
            FileNotice::Wanted {
                transfer,
                offset,
                length_bytes: receivers,
            },
            FileNotice::Progress {
                transfer,
                acknowledged: offset,
                receivers,
                completed,
                failed,
            },
            FileNotice::Completed {
                transfer,
                completed,
                failed,
            },
            FileNotice::Offered {
                transfer,
                from: self.clients[0],
                room: self.flags[0].then_some(third),
                file_name: first,
                size,
                mime_type: fourth,
                hash: self.flags[1].then_some(self.hash),
                max_window_bytes: receivers,
            },
            FileNotice::Chunk {
                transfer,
                offset,
                data: self.bytes.as_deref().unwrap_or_default(),
            },
            FileNotice::End {
                transfer,
                size,
                hash: self.hash,
            },
            FileNotice::Aborted {
                transfer,
                reason: first,
            },
            FileNotice::Failed {
                transfer,
                code,
                message: second,
            },
        ]
    }
}

fn limits() -> BinaryLimits {
    BinaryLimits::from(&Limits::default())
}

fn is_application(kind: &str) -> bool {
    kind == "app"
}

/// A request whose type has no number loses it, one that has keeps it.
fn asked(message: &ClientMessage<'_>, number: Option<NonZeroU32>) -> Asked<'static> {
    Asked::Binary(match message {
        ClientMessage::File(FileRequest::Chunk { .. } | FileRequest::Credit { .. }) => None,
        _ => number,
    })
}

proptest! {
    // covers A5-08
    #[test]
    fn requests_come_back(parts in parts(), now_ms in any::<u64>(), flip in any::<(prop::sample::Index, u8)>()) {
        let mut frames = Vec::new();
        for message in parts.requests(&[]) {
            if !matches!(message, ClientMessage::Batch { .. }) && frames.len() < 1_000 {
                let asked = asked(&message, parts.number);
                encode_request(&Request { asked, message }, now_ms, &mut frames).unwrap();
            }
        }
        for message in parts.requests(&frames) {
            let request = Request { asked: asked(&message, parts.number), message };
            let mut frame = b"before".to_vec();
            encode_request(&request, now_ms, &mut frame).unwrap();
            let mut frame = frame.strip_prefix(b"before").unwrap().to_vec();
            prop_assert_eq!(&decode(&frame, &limits(), &is_application), &Ok(request));
            // What is damaged is refused, or is another request that comes back.
            let at = flip.0.index(frame.len());
            frame[at] ^= flip.1;
            if let Ok(other) = decode(&frame, &limits(), &is_application) {
                let timestamp = super::super::Frame::parse(&frame).unwrap().timestamp;
                let mut again = Vec::new();
                encode_request(&other, timestamp, &mut again).unwrap();
                prop_assert_eq!(again, frame);
            }
        }
    }

    // covers A5-08
    #[test]
    fn messages_come_back(parts in parts(), now_ms in any::<u64>(), flip in any::<(prop::sample::Index, u8)>()) {
        let metadata = vec![Cow::Borrowed(parts.object.as_str()); parts.clients.len()];
        for index in 0..parts.messages(&metadata).len() {
            let mut frame = b"before".to_vec();
            let message = parts.messages(&metadata).swap_remove(index);
            encode(&message, parts.number, now_ms, &mut frame);
            frame.drain(..b"before".len());
            let told = decode_message(&frame);
            prop_assert_eq!(told.as_ref().map(|told| &told.message), Ok(&message));
            let told = told.unwrap();
            prop_assert!(told.number.is_none() || told.number == parts.number);
            if matches!(message, ServerMessage::Ack(_) | ServerMessage::Error { .. }) {
                prop_assert_eq!((told.number, told.timestamp), (parts.number, now_ms));
            }
            if let ServerMessage::RoomMessage { timestamp, .. } = message {
                prop_assert_eq!(told.timestamp, timestamp);
            }
            let at = flip.0.index(frame.len());
            frame[at] ^= flip.1;
            if let Ok(other) = decode_message(&frame) {
                let mut again = Vec::new();
                encode(&other.message, other.number, other.timestamp, &mut again);
                prop_assert_eq!(again, frame);
            }
        }
    }

    // covers A5-02 A5-03
    #[test]
    fn any_payload_is_read_or_refused(
        kind in prop::sample::select(super::super::registry::REGISTRY.map(|entry| entry.kind).to_vec()),
        payload in prop::collection::vec(prop_oneof![3 => 0_u8..4, 1 => any::<u8>()], 0..80),
    ) {
        let mut frame = Vec::new();
        let start = super::super::frame::begin(&mut frame, kind, 5);
        frame.extend_from_slice(&payload);
        super::super::frame::end(&mut frame, start);
        let mut again = Vec::new();
        if let Ok(request) = decode(&frame, &limits(), &is_application) {
            encode_request(&request, 5, &mut again).unwrap();
            prop_assert_eq!(&again, &frame);
        }
        again.clear();
        if let Ok(told) = decode_message(&frame) {
            encode(&told.message, told.number, told.timestamp, &mut again);
            prop_assert_eq!(&again, &frame);
        }
    }
}

#[test]
fn what_only_json_can_say_is_refused_and_leaves_nothing() {
    let long = "x".repeat(65_536);
    let refused = |asked, message| {
        let mut out = b"before".to_vec();
        let written = encode_request(&Request { asked, message }, 0, &mut out);
        assert_eq!(out, b"before");
        written.expect_err("no frame").message
    };
    let none = Asked::Binary(None);
    let seven = Asked::Binary(NonZeroU32::new(7));
    let transfer = TransferId::from_bits(1);
    let start = |name: Option<&'static str>, to| {
        ClientMessage::File(FileRequest::Start {
            name: name.map(Cow::Borrowed),
            to,
            file_name: "a".into(),
            size: 1,
            mime_type: "".into(),
            hash: None,
            secret: None,
        })
    };
    let abort = |transfer| {
        ClientMessage::File(FileRequest::Abort {
            transfer,
            reason: "".into(),
        })
    };
    let ping = |timestamp| ClientMessage::Ping { timestamp };
    let data = || Data::Json("1");
    for (asked, message, wrong) in [
        (Asked::Json(Some("7")), ping(None), "`id`"),
        (none, ping(Some(ClientClock::Json("1"))), "clock"),
        (
            none,
            ClientMessage::Join {
                room: long.as_str().into(),
                since: None,
            },
            "65,535",
        ),
        (
            none,
            ClientMessage::PrivateMessage {
                to: None,
                data: data(),
                terms: Terms::default(),
            },
            "client id",
        ),
        (
            none,
            ClientMessage::Members {
                room: "a".into(),
                after: Some("b".into()),
                limit: None,
                metadata: false,
            },
            "client id",
        ),
        (
            none,
            ClientMessage::Batch {
                messages: Messages::Json("[1]"),
            },
            "no frames",
        ),
        (none, start(None, Destination::Server), "name"),
        (none, start(Some(""), Destination::Server), "name"),
        (
            none,
            start(Some("t"), Destination::Client(None)),
            "client id",
        ),
        (none, abort(Named::Unnamed), "number"),
        (none, abort(Named::Own("t".into())), "number"),
        (
            seven,
            ClientMessage::File(FileRequest::Credit {
                transfer,
                offset: 0,
                window_bytes: 0,
            }),
            "request number",
        ),
    ] {
        let message = refused(asked, message);
        assert!(message.contains(wrong), "{message}");
    }
    // What is only said otherwise is not refused.
    for (message, read) in [
        (ping(None), ping(Some(ClientClock::Millis(9)))),
        (
            ClientMessage::Hello {
                user: None,
                batch: None,
            },
            ClientMessage::Hello {
                user: None,
                batch: Some(false),
            },
        ),
    ] {
        let mut frame = Vec::new();
        let request = Request {
            asked: Asked::Json(None),
            message,
        };
        encode_request(&request, 9, &mut frame).expect("a frame");
        let read = Request {
            asked: none,
            message: read,
        };
        assert_eq!(decode(&frame, &limits(), &is_application), Ok(read));
    }
}

//! The JSON dialect.
//!
//! Promises: any text is decoded or refused, "not JSON" exactly when it is none; what is read out of it is what
//! a parser that builds a tree sees; what is written is JSON, and its other end reads it as it was meant; metadata is
//! what a tree would be after the same changes.

mod client;

use std::borrow::Cow;

use roomwire_core::config::Limits;
use roomwire_core::dialect::json::{
    JsonLimits, MAX_TIMESTAMP_BYTES, Metadata, MetadataLimits, decode, encode, is_reserved_type,
    is_server_type,
};
use roomwire_core::{
    Asked, ClientClock, ClientId, ClientMessage, Data, Destination, Epoch, ErrorCode, FileHash,
    FileNotice, FileRequest, Former, Gap, LeaveReason, Messages, Named, PastMessage, Payload,
    Position, Published, Request, ServerMessage, Session, SessionSecret, Since, Terms, TransferId,
    Welcome,
};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::input::Choices;

/// Two bytes of choices, then text.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let limits = json_limits(choices.byte());
    let metadata_limits = metadata_limits(choices.byte());
    let Ok(text) = core::str::from_utf8(choices.rest()) else {
        return;
    };
    let tree = serde_json::from_str::<Value>(text).ok();
    check_decode(text, tree.as_ref(), &limits);
    check_server_type(text, tree.as_ref());
    check_metadata(text, &metadata_limits);
    let data = if is_json(text) { text.trim() } else { "null" };
    check_every_message(text, data);
    check_every_notice(text);
    client::check_any(text, tree.as_ref());
    client::check_requests(text);
}

/// Few, so that inputs come to it.
const MAX_BATCH_MESSAGES: usize = 4;

fn json_limits(choice: u8) -> JsonLimits {
    JsonLimits::from(&Limits {
        max_json_depth: [2, 3, 64, 127][usize::from(choice & 3)],
        max_json_fields: [8, 64][usize::from(choice >> 2 & 1)],
        max_id_bytes: [1, 8, 128, 512][usize::from(choice >> 3 & 3)],
        max_batch_messages: MAX_BATCH_MESSAGES as u32,
        ..Limits::default()
    })
}

fn metadata_limits(choice: u8) -> MetadataLimits {
    let limits = Limits {
        max_metadata_bytes: [2, 16, 64, 4_096][usize::from(choice & 3)],
        max_metadata_keys: [1, 2, 3, 32][usize::from(choice >> 2 & 3)],
        ..Limits::default()
    };
    MetadataLimits::from(&limits)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn check_decode(text: &str, tree: Option<&Value>, limits: &JsonLimits) {
    let is_application = |kind: &str| kind == "app";
    let json = is_json(text);
    match decode(text, limits, &is_application) {
        Ok(request) => {
            assert!(json);
            check_request(text, tree, limits, &request);
        }
        Err(rejected) => {
            let refusal = rejected.refusal;
            assert_eq!(refusal.code == ErrorCode::BadJson, !json);
            assert!(tree.is_none() || refusal.code != ErrorCode::BadJson);
            assert!(matches!(
                refusal.code,
                ErrorCode::BadJson
                    | ErrorCode::BadMessage
                    | ErrorCode::TooLarge
                    | ErrorCode::UnknownType
            ));
            // What is no object is of no dialect.
            if let Some(tree) = tree {
                assert_eq!(rejected.asked == Asked::Nothing, !tree.is_object());
            }
            let id = id_of(rejected.asked);
            check_id(id, tree, limits);
            let shown = rejected.to_string();
            assert!(shown.starts_with(refusal.code.as_str()) && shown.ends_with(refusal.message));
            let error = ServerMessage::Error {
                code: refusal.code,
                message: refusal.message,
                retry_after_ms: None,
            };
            check_encoded(&error, id, "error");
        }
    }
}

fn id_of(asked: Asked<'_>) -> Option<&str> {
    match asked {
        Asked::Nothing => None,
        Asked::Json(id) => id,
        Asked::Binary(_) => panic!("a number"),
    }
}

fn check_id(id: Option<&str>, tree: Option<&Value>, limits: &JsonLimits) {
    let Some(id) = id else {
        return;
    };
    assert!(id.len() <= limits.max_id_bytes && is_json(id));
    if let Some(tree) = tree {
        assert_eq!(
            serde_json::from_str::<Value>(id).ok().as_ref(),
            tree.get("id")
        );
    }
}

/// What was read is what stands in the tree, which takes the last of equal keys too.
fn check_request(text: &str, tree: Option<&Value>, limits: &JsonLimits, request: &Request<'_>) {
    assert_ne!(request.asked, Asked::Nothing);
    let id = id_of(request.asked);
    check_id(id, tree, limits);
    let text_field = |name: &str, read: &str| {
        if let Some(tree) = tree {
            assert_eq!(tree.get(name).and_then(Value::as_str), Some(read));
        }
    };
    let raw_field = |name: &str, read: &str| {
        assert!(is_json(read));
        if let Some(tree) = tree {
            assert_eq!(serde_json::from_str(read).ok().as_ref(), tree.get(name));
        }
    };
    let kind = |name: &str| text_field("type", name);
    let data_field = |data: &Data<'_>| match data {
        Data::Json(raw) => {
            raw_field("data", raw);
            assert!(tree.is_none_or(|tree| tree.get("encoding").is_none_or(Value::is_null)));
        }
        Data::Bytes(bytes) => {
            text_field("encoding", "base64");
            text_field("data", &data_encoding::BASE64.encode(bytes));
        }
    };
    match &request.message {
        ClientMessage::Ping { timestamp } => {
            kind("ping");
            if let Some(timestamp) = timestamp {
                let ClientClock::Json(raw) = timestamp else {
                    panic!("a clock as it came");
                };
                raw_field("timestamp", raw);
                assert!(raw.len() <= MAX_TIMESTAMP_BYTES);
            }
            let pong = ServerMessage::Pong {
                timestamp: u64::MAX,
                client_timestamp: *timestamp,
            };
            check_encoded(&pong, id, "pong");
        }
        ClientMessage::Join { room, since } => {
            kind("join");
            text_field("room", room);
            check_since(tree, since.as_ref());
            let members = [client()];
            let joined = ServerMessage::JoinedRoom {
                room,
                members: Cow::Borrowed(&members),
                total: 1,
                history: None,
            };
            check_encoded(&joined, id, "joined_room");
            for position in [None, Some(POSITION)] {
                let resumed = ServerMessage::Resumed {
                    room,
                    position,
                    complete: position.is_some(),
                };
                check_encoded(&resumed, None, "resumed");
            }
        }
        ClientMessage::Leave { room } => {
            kind("leave");
            text_field("room", room);
            check_encoded(&ServerMessage::LeftRoom { room }, id, "left_room");
        }
        ClientMessage::Broadcast { data } => {
            kind("broadcast");
            data_field(data);
            let broadcast = ServerMessage::Broadcast {
                from: client(),
                data: data.payload(),
                timestamp: 0,
            };
            check_encoded(&broadcast, None, "broadcast");
        }
        ClientMessage::RoomMessage { room, data, terms } => {
            kind("room_message");
            text_field("room", room);
            data_field(data);
            check_terms(tree, terms, true);
            for offset in [None, Some(u64::MAX)] {
                let message = ServerMessage::RoomMessage {
                    room,
                    from: client(),
                    data: data.payload(),
                    timestamp: 1,
                    offset,
                };
                check_encoded(&message, None, "room_message");
            }
            check_page(room, data, id);
        }
        ClientMessage::PrivateMessage { to, data, terms } => {
            kind("private_message");
            check_terms(tree, terms, false);
            if let Some(tree) = tree {
                let written = tree.get("to").and_then(Value::as_str).expect("a string");
                assert_eq!(ClientId::parse(written), *to);
            }
            data_field(data);
            let message = ServerMessage::PrivateMessage {
                from: client(),
                data: data.payload(),
                timestamp: 1,
                offset: Some(1),
            };
            check_encoded(&message, None, "private_message");
        }
        ClientMessage::Ack { offset } => {
            kind("ack");
            if let Some(offset_there) = tree.and_then(|tree| tree.get("offset")?.as_u64()) {
                assert_eq!(*offset, offset_there);
            }
            let published = Published {
                offset: Some(*offset),
                duplicate: true,
            };
            check_encoded(&ServerMessage::Ack(published), id, "ack");
        }
        ClientMessage::SetMetadata { metadata } => {
            kind("set_metadata");
            raw_field("metadata", metadata);
            check_encoded(
                &ServerMessage::MetadataUpdated { metadata },
                id,
                "metadata_updated",
            );
        }
        ClientMessage::Batch { messages } => {
            kind("batch");
            let Messages::Json(messages) = messages else {
                panic!("of this dialect");
            };
            raw_field("messages", messages);
            let array: Vec<IgnoredAny> = serde_json::from_str(messages).expect("an array");
            assert!((1..=MAX_BATCH_MESSAGES).contains(&array.len()));
            check_encoded(&ServerMessage::Ack(Published::default()), id, "ack");
        }
        ClientMessage::Hello { user, batch } => {
            kind("hello");
            if let Some(tree) = tree {
                assert_eq!(*batch, tree.get("batch").and_then(Value::as_bool));
            }
            if let Some(user) = user {
                raw_field("user", user);
            }
            check_encoded(&ServerMessage::Ack(Published::default()), id, "ack");
        }
        ClientMessage::Resume { former } => {
            kind("resume");
            if let (Some(tree), Some(former)) = (tree, former) {
                let text = |name: &str| tree.get(name).and_then(Value::as_str);
                assert_eq!(text("clientId"), Some(former.client.as_str()));
                let secret = text("sessionSecret").and_then(SessionSecret::parse);
                assert_eq!(secret, Some(former.secret));
                assert_eq!(
                    former.after.is_some(),
                    tree.get("after").is_some_and(Value::is_number)
                );
            }
            let former = former.unwrap_or(Former {
                client: client(),
                secret: SessionSecret([7; SessionSecret::BYTES]),
                after: None,
            });
            let session = ServerMessage::Session(Session {
                client: former.client,
                secret: former.secret,
                resumed: true,
                window_ms: 1,
                away_ms: u64::MAX,
                last: 3,
                gap: former.after.map(|from| Gap { from, to: 3 }),
                left_out: former
                    .after
                    .iter()
                    .map(|&from| Gap { from, to: from })
                    .collect(),
            });
            check_encoded(&session, id, "session");
        }
        ClientMessage::Members {
            room,
            after,
            limit,
            metadata,
        } => {
            kind("members");
            check_members(tree, room, after.as_deref(), *limit, *metadata);
            text_field("room", room);
        }
        ClientMessage::History {
            room,
            epoch,
            after,
            before,
            limit,
        } => {
            kind("history");
            text_field("room", room);
            let present = |name: &str| {
                let tree = tree?.as_object()?;
                tree.get(name).filter(|value| !value.is_null())
            };
            if tree.is_some() {
                let number = |name: &str| present(name).map(|it| it.as_u64().unwrap_or(u64::MAX));
                assert_eq!((*after, *before), (number("after"), number("before")));
                let cut = |it| u32::try_from(it).unwrap_or(u32::MAX);
                assert_eq!(*limit, number("limit").map(cut));
                let told = epoch.map(|epoch| epoch.to_string());
                assert_eq!(present("epoch").and_then(Value::as_str), told.as_deref());
            }
            assert!(after.is_none() || before.is_none());
        }
        ClientMessage::TypingStart { room } => {
            kind("typing_start");
            text_field("room", room);
        }
        ClientMessage::TypingStop { room } => {
            kind("typing_stop");
            text_field("room", room);
        }
        ClientMessage::Application {
            kind: name,
            message,
        } => {
            kind("app");
            assert_eq!((name.as_ref(), *message), ("app", text));
            check_application(text, id);
        }
        ClientMessage::File(request) => check_file(tree, request),
        _ => {}
    }
}

const POSITION: Position = Position {
    epoch: Epoch(7),
    last: u64::MAX,
};

/// Up to where somebody has a room's messages is as it stands in the tree.
fn check_since(tree: Option<&Value>, since: Option<&Since>) {
    let Some(tree) = tree else {
        return;
    };
    let present = |name: &str| tree.get(name).filter(|value| !value.is_null());
    let after = present("after").map(|it| it.as_u64().unwrap_or(u64::MAX));
    assert_eq!(since.map(|since| since.after), after);
    let epoch = since.and_then(|since| since.epoch);
    let told = epoch.map(|epoch| epoch.to_string());
    assert_eq!(present("epoch").and_then(Value::as_str), told.as_deref());
}

/// What is asked of a message is what stands in the tree.
fn check_terms(tree: Option<&Value>, terms: &Terms<'_>, with_key: bool) {
    let Some(tree) = tree else {
        return;
    };
    let text = |name: &str| tree.get(name).and_then(Value::as_str);
    assert_eq!(text("messageId"), terms.message_id.as_deref());
    assert_eq!(text("key").filter(|_| with_key), terms.key.as_deref());
    let ttl = tree.get("ttlMs").filter(|value| !value.is_null());
    assert_eq!(ttl.is_some(), terms.ttl_ms.is_some());
    if let Some(ttl) = ttl.and_then(Value::as_u64) {
        assert_eq!(terms.ttl_ms, Some(u32::try_from(ttl).unwrap_or(u32::MAX)));
    }
    assert_ne!(terms.ttl_ms, Some(0));
}

/// A page of a room's log holds the data as it came.
fn check_page(room: &str, data: &Data<'_>, id: Option<&str>) {
    let past = |offset| PastMessage {
        offset,
        from: client(),
        data: data.payload(),
        timestamp: 1,
    };
    let messages = [past(1), past(u64::MAX)];
    let page = ServerMessage::History {
        room,
        position: POSITION,
        messages: Cow::Borrowed(&messages),
        more: true,
        gap: Some(Gap { from: 1, to: 2 }),
        reset: true,
        left_out: Cow::Borrowed(&[Gap { from: 3, to: 3 }]),
    };
    check_encoded(&page, id, "history");
}

/// What was read about a file is what stands in the tree.
fn check_file(tree: Option<&Value>, request: &FileRequest<'_>) {
    let Some(tree) = tree else {
        return;
    };
    let present = |name: &str| tree.get(name).filter(|value| !value.is_null());
    let text = |name: &str, read: Option<&str>| {
        assert_eq!(present(name).and_then(Value::as_str), read, "{name}");
    };
    let number = |name: &str, read: Option<u64>| {
        assert_eq!(present(name).and_then(Value::as_u64), read, "{name}");
    };
    let hash = |read: Option<FileHash>| {
        let hash = read.map(|hash| format!("sha256:{}", data_encoding::HEXLOWER.encode(&hash)));
        text("hash", hash.as_deref());
    };
    let named = |read: &Named<'_>| {
        let (transfer, own) = match read {
            Named::Number(transfer) => (Some(transfer.to_bits()), None),
            Named::Own(name) => (None, Some(name.as_ref())),
            Named::Unnamed => (None, None),
        };
        number("transfer", transfer);
        text("transferId", own);
    };
    match request {
        FileRequest::Start {
            name,
            to,
            file_name,
            size,
            mime_type,
            hash: told,
            secret,
        } => {
            text("type", Some("file_start"));
            text("transferId", name.as_deref());
            assert_ne!(name.as_deref(), Some(""));
            match to {
                Destination::Room(room) => text("room", Some(room)),
                Destination::Server => text("to", Some("server")),
                Destination::Client(to) => {
                    let written = present("to").and_then(Value::as_str).expect("a string");
                    assert_eq!(ClientId::parse(written), *to);
                }
            }
            assert!(present("room").is_none() || present("to").is_none());
            text("name", Some(file_name));
            number("size", Some(*size));
            text("mimeType", Some(mime_type));
            hash(*told);
            text("transferSecret", secret.as_deref());
        }
        FileRequest::Chunk {
            transfer,
            offset,
            data,
        } => {
            text("type", Some("file_chunk"));
            number("transfer", Some(transfer.to_bits()));
            number("offset", Some(*offset));
            text("data", Some(&data_encoding::BASE64.encode(data)));
            text("encoding", Some("base64"));
        }
        FileRequest::End {
            transfer,
            size,
            hash: told,
        } => {
            text("type", Some("file_end"));
            named(transfer);
            number("size", *size);
            hash(*told);
        }
        FileRequest::Abort { transfer, reason } => {
            text("type", Some("file_abort"));
            named(transfer);
            let written = present("reason").map(|reason| reason.as_str().expect("a string"));
            assert_eq!(written.unwrap_or_default(), reason);
        }
        FileRequest::Credit {
            transfer,
            offset,
            window_bytes,
        } => {
            text("type", Some("file_credit"));
            number("transfer", Some(transfer.to_bits()));
            number("offset", Some(*offset));
            let window = present("window").and_then(Value::as_u64);
            let window = window.map(|window| u32::try_from(window).unwrap_or(u32::MAX));
            assert_eq!(window, Some(*window_bytes));
        }
        FileRequest::Complete { transfer } => {
            text("type", Some("file_complete"));
            number("transfer", Some(transfer.to_bits()));
        }
        _ => panic!("a request about a file that is not known here"),
    }
}

/// Every notice about files with any text as names.
fn check_every_notice(text: &str) {
    let transfer = TransferId::from_bits(7);
    for (room, hash) in [(None, None), (Some(text), Some([0xAB; 32]))] {
        let offered = FileNotice::Offered {
            transfer,
            from: client(),
            room,
            file_name: text,
            size: u64::MAX,
            mime_type: text,
            hash,
            max_window_bytes: 1,
        };
        check_encoded(&ServerMessage::File(offered), None, "file_offered");
    }
    let accepted = FileNotice::Accepted {
        name: text,
        transfer,
        secret: text,
        offset: 1,
        chunk_bytes: 2,
    };
    check_encoded(&ServerMessage::File(accepted), Some("1"), "file_accepted");
    let chunk = FileNotice::Chunk {
        transfer,
        offset: 1,
        data: text.as_bytes(),
    };
    check_encoded(&ServerMessage::File(chunk), None, "file_chunk");
    let aborted = FileNotice::Aborted {
        transfer,
        reason: text,
    };
    check_encoded(&ServerMessage::File(aborted), None, "file_abort");
    let failed = FileNotice::Failed {
        transfer,
        code: ErrorCode::TransferLost,
        message: text,
    };
    check_encoded(&ServerMessage::File(failed), None, "file_error");
}

/// Every message with any text as a room's name and any JSON as data.
fn check_every_message(room: &str, data: &str) {
    let from = client();
    let timestamp = 1;
    check_encoded(
        &ServerMessage::MemberJoined { room, client: from },
        None,
        "member_joined",
    );
    for reason in [
        LeaveReason::Left,
        LeaveReason::Disconnected,
        LeaveReason::Timeout,
        LeaveReason::Kicked,
    ] {
        let left = ServerMessage::MemberLeft {
            room,
            client: from,
            reason,
        };
        check_encoded(&left, None, "member_left");
    }
    let changed = ServerMessage::MembersChanged {
        room,
        joined: 1,
        left: u64::MAX,
        total: 0,
    };
    check_encoded(&changed, None, "members_changed");
    let none = ServerMessage::Members {
        room,
        members: Cow::Borrowed(&[]),
        metadata: Some(Cow::Borrowed(&[])),
        total: 0,
        more: true,
    };
    check_encoded(&none, Some("1"), "members");
    let updated = ServerMessage::MemberUpdated {
        room,
        client: from,
        metadata: data,
    };
    check_encoded(&updated, None, "member_updated");
    check_encoded(
        &ServerMessage::UserTyping { room, client: from },
        None,
        "user_typing",
    );
    let stopped = ServerMessage::UserStoppedTyping { room, client: from };
    check_encoded(&stopped, None, "user_stopped_typing");
    for room in [None, Some(room)] {
        let dropped = ServerMessage::MessagesDropped { room, count: 7 };
        check_encoded(&dropped, None, "messages_dropped");
    }
    for data in [Payload::Json(data), Payload::Bytes(room.as_bytes())] {
        let message = ServerMessage::RoomMessage {
            room,
            from,
            data,
            timestamp,
            offset: None,
        };
        check_encoded(&message, None, "room_message");
    }
    for after in [None, Some(500)] {
        let closing = ServerMessage::Closing {
            code: 1012,
            reason: room,
            reconnect_after_ms: after,
        };
        check_encoded(&closing, None, "closing");
        let error = ServerMessage::Error {
            code: ErrorCode::RateLimited,
            message: room,
            retry_after_ms: after,
        };
        check_encoded(&error, None, "error");
    }
    let welcome = |rate_messages| {
        ServerMessage::Welcome(Welcome {
            client: from,
            timestamp,
            resumed: false,
            heartbeat_interval_ms: 1,
            heartbeat_timeout_ms: 2,
            max_message_bytes: 3,
            max_rooms: 4,
            max_room_name_bytes: 5,
            rate_messages,
            rate_per_ms: 6,
        })
    };
    check_encoded(&welcome(None), None, "welcome");
    check_encoded(&welcome(Some(100)), None, "welcome");
}

fn check_members(
    tree: Option<&Value>,
    room: &str,
    after: Option<&str>,
    limit: Option<u32>,
    metadata: bool,
) {
    let Some(tree) = tree else {
        return;
    };
    assert_eq!(tree.get("after").and_then(Value::as_str), after);
    assert_eq!(
        tree.get("metadata")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        metadata
    );
    let written = tree.get("limit").and_then(Value::as_u64);
    if let Some(written) = written {
        assert_eq!(limit, Some(u32::try_from(written).unwrap_or(u32::MAX)));
    }
    let values = [Cow::Borrowed("{\"a\":1}"), Cow::Borrowed("{}")];
    let members = [client(), client()];
    let page = ServerMessage::Members {
        room,
        members: Cow::Borrowed(&members),
        metadata: metadata.then_some(Cow::Borrowed(&values)),
        total: 2,
        more: false,
    };
    check_encoded(&page, None, "members");
}

/// Nested too deeply for a tree, a message is still JSON.
fn check_encoded(message: &ServerMessage<'_>, id: Option<&str>, kind: &str) {
    let mut out = vec![b'-'];
    encode(message, id, &mut out);
    assert_eq!(out[0], b'-');
    let text = core::str::from_utf8(&out[1..]).expect("JSON is UTF-8");
    assert!(is_json(text), "{text}");
    assert!(is_server_type(text), "{text}");
    assert!(is_reserved_type(kind));
    if let Ok(tree) = serde_json::from_str::<Value>(text) {
        assert_eq!(tree.get("type").and_then(Value::as_str), Some(kind));
        let id = id.and_then(|id| serde_json::from_str::<Value>(id).ok());
        assert_eq!(tree.get("id"), id.as_ref());
    }
    client::check_read(message, id, text);
}

fn check_application(message: &str, id: Option<&str>) {
    let mut out = Vec::new();
    encode(&ServerMessage::Application { message }, id, &mut out);
    assert!(is_json(&String::from_utf8_lossy(&out)));
}

fn client() -> ClientId {
    let id = ClientId::parse("client_AAAAAAAAAAAAAAAAAAAAAAAA");
    id.expect("a well-formed id")
}

/// Whether the tree's top-level `type` is one of the server's.
fn check_server_type(text: &str, tree: Option<&Value>) {
    let answer = is_server_type(text);
    assert!(!answer || is_json(text));
    let Some(tree) = tree else {
        return;
    };
    let kind = tree
        .as_object()
        .and_then(|object| object.get("type"))
        .and_then(Value::as_str);
    let expected =
        kind.is_some_and(|kind| SERVER_TYPES.contains(&kind) || kind.starts_with("file_"));
    assert_eq!(answer, expected);
}

/// Each line is a patch.
fn check_metadata(text: &str, limits: &MetadataLimits) {
    let mut metadata = Metadata::default();
    let mut model = Map::new();
    for patch in text.lines().take(16) {
        let before = metadata.clone();
        match metadata.merge(patch, limits) {
            Ok(()) => {
                let Ok(Value::Object(fields)) = serde_json::from_str(patch) else {
                    // JSON that is no tree: a number out of range, too deep.
                    assert!(is_json(patch));
                    return;
                };
                for (key, value) in fields {
                    if value.is_null() {
                        model.remove(&key);
                    } else {
                        model.insert(key, value);
                    }
                }
            }
            Err(refusal) => {
                assert_eq!(metadata, before);
                assert!(refusal.to_string().starts_with(refusal.code.as_str()));
                assert!(matches!(
                    refusal.code,
                    ErrorCode::TooLarge | ErrorCode::BadMessage
                ));
            }
        }
        let json = metadata.as_json();
        assert!(json.len() <= limits.max_bytes.max(2));
        assert!(model.len() <= limits.max_keys);
        assert_eq!(metadata.is_empty(), model.is_empty());
        if let Ok(tree) = serde_json::from_str::<Value>(json) {
            assert_eq!(tree, Value::Object(model.clone()));
        } else {
            assert!(is_json(json));
            return;
        }
    }
}

/// What PROTOCOL.md lists as sent by the server, written down a second time on purpose.
const SERVER_TYPES: [&str; 25] = [
    "ack",
    "authenticated",
    "batch",
    "broadcast",
    "closing",
    "error",
    "gap",
    "history",
    "joined_room",
    "left_room",
    "member_joined",
    "member_left",
    "member_updated",
    "members",
    "members_changed",
    "messages_dropped",
    "metadata_updated",
    "pong",
    "private_message",
    "reset",
    "resumed",
    "room_message",
    "user_stopped_typing",
    "user_typing",
    "welcome",
];

//! The published registry: every type of frame, and what its payload is made of.
//!
//! PROTOCOL.md prints [`REGISTRY`] as it stands here; a test holds the two together. A payload is written as its
//! pieces in order, each a sort and a name:
//!
//! | piece | bytes |
//! | --- | --- |
//! | `u8`, `u16`, `u32`, `u64` | a whole number |
//! | `number` | a `u32`: the number of a request; 0: none |
//! | `client` | the 18 bytes that a client id spells in base64url |
//! | `hash` | the 32 bytes of a SHA-256 |
//! | `secret` | the 16 bytes that a session's secret spells in base64url |
//! | `range` | two `u64`: the first offset of a range and the last |
//! | `text` | a `u16`, and as many bytes of UTF-8 |
//! | `json` | a `u32`, and as many bytes that are one JSON value |
//! | `rest bytes`, `rest text`, `rest json`, `rest frames` | everything that is left |
//! | `rest data` | everything that is left: bytes if `kind` is 0, one JSON value if it is 1 |
//! | `count × …` | as many as the piece `count` says |
//! | `[bit n: …]` | only if that bit of `flags` is set, bit 0 being the lowest |
//! | `[name = n: …]` | only if that piece is `n` |

#[cfg(test)]
mod tests;

/// See `welcome` in the registry; likewise below.
pub const WELCOME: u8 = 0x01;
/// A greeting.
pub const HELLO: u8 = 0x02;
/// Answered by [`PONG`].
pub const PING: u8 = 0x03;
/// The answer to a ping.
pub const PONG: u8 = 0x04;
/// An outcome without a reply of its own.
pub const ACK: u8 = 0x05;
/// A request that failed.
pub const ERROR: u8 = 0x06;
/// The connection is about to be closed.
pub const CLOSING: u8 = 0x07;
/// Several frames.
pub const BATCH: u8 = 0x08;
/// The client reads too slowly.
pub const MESSAGES_DROPPED: u8 = 0x09;
/// Merges into the client's metadata.
pub const SET_METADATA: u8 = 0x0A;
/// The metadata after that.
pub const METADATA_UPDATED: u8 = 0x0B;
/// Asks for a session, or for a former one.
pub const RESUME: u8 = 0x0C;
/// The answer to that.
pub const SESSION: u8 = 0x0D;
/// Acknowledges messages, or one message under terms.
pub const ACK_OFFSET: u8 = 0x0E;
/// Enters a room.
pub const JOIN: u8 = 0x20;
/// The answer to that.
pub const JOINED_ROOM: u8 = 0x21;
/// Leaves a room.
pub const LEAVE: u8 = 0x22;
/// The answer to that.
pub const LEFT_ROOM: u8 = 0x23;
/// Somebody came.
pub const MEMBER_JOINED: u8 = 0x24;
/// Somebody went.
pub const MEMBER_LEFT: u8 = 0x25;
/// Both, summed up.
pub const MEMBERS_CHANGED: u8 = 0x26;
/// Asks for a page of members.
pub const MEMBERS: u8 = 0x27;
/// The page.
pub const MEMBERS_PAGE: u8 = 0x28;
/// The client is typing.
pub const TYPING_START: u8 = 0x29;
/// It no longer is.
pub const TYPING_STOP: u8 = 0x2A;
/// Somebody is typing.
pub const USER_TYPING: u8 = 0x2B;
/// Somebody no longer is.
pub const USER_STOPPED_TYPING: u8 = 0x2C;
/// A member's metadata.
pub const MEMBER_UPDATED: u8 = 0x2D;
/// Asks for messages that are kept.
pub const HISTORY: u8 = 0x2E;
/// The page.
pub const HISTORY_PAGE: u8 = 0x2F;
/// The answer to a join where messages are kept.
pub const JOINED_KEPT_ROOM: u8 = 0x30;
/// A room's log has begun anew.
pub const RESET: u8 = 0x31;
/// Asks to be let into a room again.
pub const JOIN_AGAIN: u8 = 0x32;
/// What came in the meantime has been told.
pub const RESUMED: u8 = 0x33;
/// Data for a room.
pub const ROOM_MESSAGE: u8 = 0x40;
/// Data for everyone.
pub const BROADCAST: u8 = 0x41;
/// Data from a room that keeps it.
pub const KEPT_MESSAGE: u8 = 0x42;
/// Data for a room, under terms.
pub const PUBLISH: u8 = 0x43;
/// Data for one client.
pub const PRIVATE_MESSAGE: u8 = 0x50;
/// Data for one client, which keeps it.
pub const KEPT_PRIVATE_MESSAGE: u8 = 0x51;
/// Data for one client, under terms.
pub const PUBLISH_PRIVATELY: u8 = 0x52;
/// The sender has a file.
pub const FILE_START: u8 = 0x60;
/// The answer to that.
pub const FILE_ACCEPTED: u8 = 0x61;
/// A piece of a file.
pub const FILE_CHUNK: u8 = 0x62;
/// All has been sent.
pub const FILE_END: u8 = 0x63;
/// Gives a file up.
pub const FILE_ABORT: u8 = 0x64;
/// A receiver takes more.
pub const FILE_CREDIT: u8 = 0x65;
/// A receiver has it all.
pub const FILE_COMPLETE: u8 = 0x66;
/// There is a file to be had.
pub const FILE_OFFERED: u8 = 0x67;
/// The server asks the sender for a piece.
pub const FILE_WANTED: u8 = 0x68;
/// How far the receivers are.
pub const FILE_PROGRESS: u8 = 0x69;
/// How it ended for them.
pub const FILE_COMPLETED: u8 = 0x6A;
/// The server has given a file up.
pub const FILE_ERROR: u8 = 0x6B;
/// A message of the embedding program.
pub const APPLICATION: u8 = 0x80;

/// One type of frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The first byte of such a frame.
    pub kind: u8,
    /// The `type` of the same message in JSON; `application` stands for all those that an embedding program names.
    pub name: &'static str,
    /// The payload, if a client may send it.
    pub from_client: Option<&'static str>,
    /// The payload, if the server sends it.
    pub from_server: Option<&'static str>,
    /// What its values mean, where that needs saying.
    pub notes: &'static str,
}

/// What types are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// 0x00: never used, so that zeroed memory is no frame.
    Never,
    /// 0x01 to 0x1F: the connection and what is said about it.
    Control,
    /// 0x20 to 0x3F: rooms, and who is in them.
    Rooms,
    /// 0x40 to 0x4F: data for many.
    RoomData,
    /// 0x50 to 0x5F: data for one.
    Direct,
    /// 0x60 to 0x7F: files.
    Files,
    /// 0x80 to 0xFF: programs that embed the server.
    Application,
}

/// What `kind` is kept for, whether or not it is in use. O(1).
pub const fn range_of(kind: u8) -> Range {
    match kind {
        0x00 => Range::Never,
        0x01..=0x1F => Range::Control,
        0x20..=0x3F => Range::Rooms,
        0x40..=0x4F => Range::RoomData,
        0x50..=0x5F => Range::Direct,
        0x60..=0x7F => Range::Files,
        0x80..=0xFF => Range::Application,
    }
}

/// The entry of `kind`; `None` for types that are not in use. O(log n).
pub fn entry(kind: u8) -> Option<&'static Entry> {
    let index = REGISTRY
        .binary_search_by_key(&kind, |entry| entry.kind)
        .ok();
    index.and_then(|index| REGISTRY.get(index))
}

/// The name of `kind`; `None` for types that are not in use. O(log n).
pub fn name_of(kind: u8) -> Option<&'static str> {
    entry(kind).map(|entry| entry.name)
}

/// Every type in use, in ascending order.
pub const REGISTRY: [Entry; 54] = [
    server(
        WELCOME,
        "welcome",
        "client clientId, u16 protocol, u8 flags, u32 heartbeatIntervalMs, u32 heartbeatTimeoutMs, u32 maxMessageBytes, u32 maxRooms, u16 maxRoomNameBytes, u32 rateMessages, u32 ratePerMs",
        "`protocol` is 1. Bit 0: resumed; bit 1: limited by a rate, else both of its fields are 0",
    ),
    client(
        HELLO,
        "hello",
        "number, u8 flags, [bit 1: rest json user]",
        "bit 0: takes several replies in one batch",
    ),
    client(
        PING,
        "ping",
        "number",
        "the header's timestamp is the client's clock",
    ),
    server(
        PONG,
        "pong",
        "number, u64 clientTimestamp",
        "the header's timestamp of the ping",
    ),
    server(ACK, "ack", "number", ""),
    server(
        ERROR,
        "error",
        "number, u32 retryAfterMs, text code, rest text message",
        "0xFFFFFFFF: not told when to try again",
    ),
    server(
        CLOSING,
        "closing",
        "u16 code, u32 reconnectAfterMs, rest text reason",
        "0xFFFFFFFF: do not come back",
    ),
    both(
        BATCH,
        "batch",
        "number, rest frames messages",
        "number, rest frames messages",
        "at least one frame, each whole; from the server its number is 0",
    ),
    server(
        MESSAGES_DROPPED,
        "messages_dropped",
        "u64 count, text room",
        "no room: broadcasts, and rooms that the client has left since",
    ),
    client(
        SET_METADATA,
        "set_metadata",
        "number, rest json metadata",
        "an object",
    ),
    server(
        METADATA_UPDATED,
        "metadata_updated",
        "number, rest json metadata",
        "an object",
    ),
    client(
        RESUME,
        "resume",
        "number, u8 flags, [bit 0: client clientId], [bit 0: secret sessionSecret], [bit 1: u64 after]",
        "",
    ),
    server(
        SESSION,
        "session",
        "number, u8 flags, client clientId, secret sessionSecret, u64 windowMs, u64 awayMs, u64 last, [bit 1: u64 gapFrom], [bit 1: u64 gapTo], [bit 2: u16 count], [bit 2: count × range leftOut]",
        "bit 0: resumed",
    ),
    both(
        ACK_OFFSET,
        "ack",
        "number, u64 offset",
        "number, u8 flags, [bit 0: u64 offset]",
        "from the server instead of 0x05, of a message under terms; bit 1: duplicate",
    ),
    client(JOIN, "join", "number, text room", ""),
    server(
        JOINED_ROOM,
        "joined_room",
        "number, text room, u32 total, u16 count, count × client members",
        "",
    ),
    client(LEAVE, "leave", "number, text room", ""),
    server(LEFT_ROOM, "left_room", "number, text room", ""),
    server(
        MEMBER_JOINED,
        "member_joined",
        "text room, client clientId",
        "",
    ),
    server(
        MEMBER_LEFT,
        "member_left",
        "text room, client clientId, u8 reason",
        "0: left, 1: disconnected, 2: timeout, 3: kicked",
    ),
    server(
        MEMBERS_CHANGED,
        "members_changed",
        "text room, u32 joined, u32 left, u32 total",
        "",
    ),
    client(
        MEMBERS,
        "members",
        "number, text room, u8 flags, [bit 1: client after], [bit 2: u32 limit]",
        "bit 0: with metadata",
    ),
    server(
        MEMBERS_PAGE,
        "members",
        "number, text room, u32 total, u8 flags, u16 count, count × client members, [bit 1: count × json metadata]",
        "bit 0: more follow",
    ),
    client(TYPING_START, "typing_start", "number, text room", ""),
    client(TYPING_STOP, "typing_stop", "number, text room", ""),
    server(USER_TYPING, "user_typing", "text room, client clientId", ""),
    server(
        USER_STOPPED_TYPING,
        "user_stopped_typing",
        "text room, client clientId",
        "",
    ),
    server(
        MEMBER_UPDATED,
        "member_updated",
        "text room, client clientId, rest json metadata",
        "an object",
    ),
    client(
        HISTORY,
        "history",
        "number, text room, u8 flags, [bit 0: u64 epoch], [bit 1: u64 after], [bit 2: u64 before], [bit 3: u32 limit]",
        "not both of bits 1 and 2",
    ),
    server(
        HISTORY_PAGE,
        "history",
        "number, text room, u64 epoch, u64 last, u8 flags, [bit 2: u64 gapFrom], [bit 2: u64 gapTo], [bit 3: u16 count], [bit 3: count × range leftOut], rest frames messages",
        "bit 0: there are more; bit 1: reset; the frames are of type 0x42",
    ),
    server(
        JOINED_KEPT_ROOM,
        "joined_room",
        "number, text room, u32 total, u64 epoch, u64 last, u16 count, count × client members",
        "instead of 0x21, of a room that keeps messages",
    ),
    server(RESET, "reset", "text room, u64 epoch, u64 last", ""),
    client(
        JOIN_AGAIN,
        "join",
        "number, text room, u8 flags, u64 after, [bit 0: u64 epoch]",
        "instead of 0x20, with what came last",
    ),
    server(
        RESUMED,
        "resumed",
        "text room, u8 flags, [bit 0: u64 epoch], [bit 0: u64 last]",
        "bit 1: complete",
    ),
    both(
        ROOM_MESSAGE,
        "room_message",
        "number, u8 kind, text room, rest data",
        "u8 kind, client from, text room, rest data",
        "",
    ),
    both(
        BROADCAST,
        "broadcast",
        "number, u8 kind, rest data",
        "u8 kind, client from, rest data",
        "",
    ),
    server(
        KEPT_MESSAGE,
        "room_message",
        "u64 offset, u8 kind, client from, text room, rest data",
        "instead of 0x40, of a room that keeps messages",
    ),
    client(
        PUBLISH,
        "room_message",
        "number, u8 flags, u8 kind, text room, [bit 0: text messageId], [bit 1: u32 ttlMs], [bit 2: text key], rest data",
        "instead of 0x40, under terms: one of them at least",
    ),
    both(
        PRIVATE_MESSAGE,
        "private_message",
        "number, u8 kind, client to, rest data",
        "u8 kind, client from, rest data",
        "",
    ),
    server(
        KEPT_PRIVATE_MESSAGE,
        "private_message",
        "u64 offset, u8 kind, client from, rest data",
        "instead of 0x50, to a client with a session",
    ),
    client(
        PUBLISH_PRIVATELY,
        "private_message",
        "number, u8 flags, u8 kind, client to, [bit 0: text messageId], [bit 1: u32 ttlMs], rest data",
        "instead of 0x50, under terms: one of them at least",
    ),
    client(
        FILE_START,
        "file_start",
        "number, u8 flags, u8 destination, [destination = 0: text room], [destination = 1: client to], [bit 0: text transferId], text name, u64 size, text mimeType, [bit 1: hash hash], [bit 2: text transferSecret]",
        "bit 0 must be set; destination 2: the server itself",
    ),
    server(
        FILE_ACCEPTED,
        "file_accepted",
        "number, u64 transfer, u64 offset, u32 chunkBytes, text transferId, text transferSecret",
        "",
    ),
    both(
        FILE_CHUNK,
        "file_chunk",
        "u64 transfer, u64 offset, rest bytes data",
        "u64 transfer, u64 offset, rest bytes data",
        "",
    ),
    both(
        FILE_END,
        "file_end",
        "number, u64 transfer, u8 flags, [bit 0: u64 size], [bit 1: hash hash]",
        "u64 transfer, u64 size, hash hash",
        "",
    ),
    both(
        FILE_ABORT,
        "file_abort",
        "number, u64 transfer, rest text reason",
        "u64 transfer, rest text reason",
        "",
    ),
    client(
        FILE_CREDIT,
        "file_credit",
        "u64 transfer, u64 offset, u32 window",
        "",
    ),
    client(FILE_COMPLETE, "file_complete", "number, u64 transfer", ""),
    server(
        FILE_OFFERED,
        "file_offered",
        "u64 transfer, client from, u8 flags, u32 maxWindow, [bit 0: text room], text name, u64 size, text mimeType, [bit 1: hash hash]",
        "",
    ),
    server(
        FILE_WANTED,
        "file_wanted",
        "u64 transfer, u64 offset, u32 length",
        "",
    ),
    server(
        FILE_PROGRESS,
        "file_progress",
        "u64 transfer, u64 acknowledged, u32 receivers, u32 completed, u32 failed",
        "",
    ),
    server(
        FILE_COMPLETED,
        "file_completed",
        "u64 transfer, u32 completed, u32 failed",
        "",
    ),
    server(
        FILE_ERROR,
        "file_error",
        "u64 transfer, text code, rest text message",
        "",
    ),
    both(
        APPLICATION,
        "application",
        "number, rest json message",
        "number, rest json message",
        "an object; its own `type` says what it is",
    ),
];

const fn client(kind: u8, name: &'static str, payload: &'static str, notes: &'static str) -> Entry {
    Entry {
        kind,
        name,
        from_client: Some(payload),
        from_server: None,
        notes,
    }
}

const fn server(kind: u8, name: &'static str, payload: &'static str, notes: &'static str) -> Entry {
    Entry {
        kind,
        name,
        from_client: None,
        from_server: Some(payload),
        notes,
    }
}

const fn both(
    kind: u8,
    name: &'static str,
    from_client: &'static str,
    from_server: &'static str,
    notes: &'static str,
) -> Entry {
    Entry {
        kind,
        name,
        from_client: Some(from_client),
        from_server: Some(from_server),
        notes,
    }
}

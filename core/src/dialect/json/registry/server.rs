//! What the server says.

use super::{
    CHUNK_DATA, CHUNK_ENCODING, CLIENT_ID, DATA, ENCODING, EPOCH, Entry, Field, HASH, ROOM, Rule,
    SECRET, Shape, Side, Sort, TRANSFER, U32, U64, field,
};

/// Everything that the server says, in alphabetical order. Messages of an embedding program are not in it.
pub const SERVER: [Entry; 33] = [
    told(
        "ack",
        "The outcome of a request that was carried out and has no reply of its own.",
        &[
            field(
                "offset",
                U64,
                "Of a message under terms: its place in the room's log, if there is one.",
            )
            .optional(),
            field(
                "duplicate",
                Sort::True,
                "There if it had been told before, and was not told again.",
            )
            .optional(),
        ],
    ),
    told(
        "batch",
        "Several replies, to a client that has said that it takes them so.",
        &[field("messages", Sort::Messages, "The replies.")],
    ),
    ruled(
        "broadcast",
        "What a client says to all.",
        &[FROM, DATA, ENCODING, TIMESTAMP],
        &[Rule::EncodedData],
    ),
    told(
        "closing",
        "The server is about to close the connection.",
        &[
            field("code", Sort::CloseCode, "The close code that follows."),
            field("reason", Sort::Text, "Why, for people."),
            field(
                "reconnectAfterMs",
                U64,
                "When to come back, in milliseconds from now; if it is missing: not at all.",
            )
            .optional(),
        ],
    ),
    told(
        "error",
        "The outcome of a request that was refused.",
        &[
            CODE,
            MESSAGE,
            field(
                "retryAfterMs",
                U64,
                "When to try again, in milliseconds from now.",
            )
            .optional(),
        ],
    ),
    told(
        "file_abort",
        "The other end has given a file up.",
        &[TRANSFER, field("reason", Sort::Text, "Why, for people.")],
    ),
    told(
        "file_accepted",
        "A file may come.",
        &[
            field(
                "transferId",
                Sort::Name,
                "The sender's own name for the transfer; not of a file in one message.",
            )
            .optional(),
            TRANSFER,
            field(
                "transferSecret",
                Sort::Text,
                "Goes on with it from another connection; empty of a file in one message.",
            ),
            field(
                "offset",
                U64,
                "Up to where all receivers that are there have it, in bytes.",
            ),
            field("chunkBytes", U32, "The largest piece, in bytes."),
        ],
    ),
    told(
        "file_chunk",
        "A piece of a file.",
        &[
            TRANSFER,
            field("offset", U64, "Where it begins, in bytes."),
            CHUNK_DATA,
            CHUNK_ENCODING,
        ],
    ),
    told(
        "file_completed",
        "How a file ended, for its sender.",
        &[TRANSFER, COMPLETED, FAILED],
    ),
    told(
        "file_end",
        "All of a file has been sent.",
        &[
            TRANSFER,
            SIZE,
            field("hash", HASH, "SHA-256 of the whole file."),
        ],
    ),
    told(
        "file_error",
        "The server has given a file up.",
        &[TRANSFER, CODE, MESSAGE],
    ),
    told(
        "file_offered",
        "A file may be had.",
        &[
            TRANSFER,
            FROM,
            field(
                "room",
                Sort::Text,
                "The room that it is for; if it is missing, for this client alone.",
            )
            .optional(),
            field(
                "name",
                Sort::Text,
                "What the sender calls it, for people: never a path.",
            ),
            SIZE,
            field("mimeType", Sort::Text, "What the sender says is in it, or empty."),
            field("hash", HASH, "SHA-256 of the whole file, if the sender told it.").optional(),
            field("maxWindow", U32, "The most that `file_credit` can ask for at once, in bytes."),
        ],
    ),
    told(
        "file_progress",
        "How far a file is, for its sender.",
        &[
            TRANSFER,
            field(
                "acknowledged",
                U64,
                "Up to where all have it who take it, in bytes.",
            ),
            field("receivers", U32, "How many are at it."),
            COMPLETED,
            FAILED,
        ],
    ),
    told(
        "file_wanted",
        "The sender of a file is to send a piece.",
        &[
            TRANSFER,
            field("offset", U64, "Where it begins, in bytes."),
            field("length", U32, "How long it is, in bytes."),
        ],
    ),
    told(
        "history",
        "Messages that a room keeps.",
        &[
            ROOM,
            field("epoch", EPOCH, "Which log they are of."),
            LAST,
            field(
                "messages",
                Sort::ListOf(&Sort::Record(&KEPT)),
                "In the order of their offsets.",
            ),
            field("more", Sort::Flag, "Whether there are others, to ask for next."),
            GAP,
            field(
                "reset",
                Sort::True,
                "There if the offsets that were asked for are of another log: this is the beginning of the one that there is.",
            )
            .optional(),
            LEFT_OUT,
        ],
    ),
    told(
        "joined_room",
        "The client is in a room.",
        &[
            ROOM,
            field(
                "members",
                Sort::ListOf(&CLIENT_ID),
                "Who is in it, the client too; not necessarily all.",
            ),
            field("total", U64, "How many there are."),
            field(
                "history",
                Sort::Record(&POSITION),
                "Where the log stands of a room that keeps its messages.",
            )
            .optional(),
        ],
    ),
    told(
        "left_room",
        "The client is no longer in a room; without a request: it was removed.",
        &[ROOM],
    ),
    told("member_joined", "Somebody has come into a room.", &[ROOM, WHO]),
    told(
        "member_left",
        "Somebody has gone from a room.",
        &[
            ROOM,
            WHO,
            field(
                "reason",
                Sort::OneOf(&["left", "disconnected", "timeout", "kicked"]),
                "Why.",
            ),
        ],
    ),
    told(
        "member_updated",
        "A member's metadata has changed.",
        &[ROOM, WHO, METADATA],
    ),
    told(
        "members",
        "A page of a room's members.",
        &[
            ROOM,
            field("members", Sort::ListOf(&CLIENT_ID), "In ascending order."),
            field("total", U64, "How many there are in the room."),
            field("more", Sort::Flag, "Whether others follow."),
            field(
                "metadata",
                Sort::ByClient(&Sort::Object),
                "Of each of them, if it was asked for.",
            )
            .optional(),
        ],
    ),
    told(
        "members_changed",
        "Joins and departures of a large room, summed up.",
        &[
            ROOM,
            field("joined", U64, "How many have come since the last such notice."),
            field("left", U64, "How many have gone."),
            field("total", U64, "How many there are now."),
        ],
    ),
    told(
        "messages_dropped",
        "The client reads too slowly, and has missed messages.",
        &[
            field(
                "room",
                Sort::Text,
                "Of which room; missing for broadcasts, and rooms that the client has left.",
            )
            .optional(),
            field("count", U64, "How many."),
        ],
    ),
    told(
        "metadata_updated",
        "The client's own metadata after a change.",
        &[METADATA],
    ),
    told(
        "pong",
        "The answer to a `ping`.",
        &[
            TIMESTAMP,
            field(
                "clientTimestamp",
                Sort::Scalar,
                "The `timestamp` of the `ping`, as it was.",
            )
            .optional(),
        ],
    ),
    ruled(
        "private_message",
        "What somebody says to this client alone.",
        &[
            FROM,
            DATA,
            ENCODING,
            TIMESTAMP,
            field(
                "offset",
                U64,
                "Its place among those to this client, if it has a session.",
            )
            .optional(),
        ],
        &[Rule::EncodedData],
    ),
    told(
        "reset",
        "The log of a room has begun anew: offsets count from 1 again. What the former one held and was not heard is lost.",
        &[ROOM, field("epoch", EPOCH, "The new log."), LAST],
    ),
    ruled(
        "resumed",
        "The end of what was said in a room while the client was away.",
        &[
            ROOM,
            field("epoch", EPOCH, "The room's log, if it keeps one.").optional(),
            LAST.optional(),
            field(
                "complete",
                Sort::Flag,
                "Whether nothing was left out. A room that keeps no messages cannot know: it says `false`.",
            ),
        ],
        &[Rule::Needs("epoch", "last"), Rule::Needs("last", "epoch")],
    ),
    ruled(
        "room_message",
        "What a member of a room says.",
        &[
            ROOM,
            FROM,
            DATA,
            ENCODING,
            TIMESTAMP,
            field(
                "offset",
                U64,
                "Its place in the log of a room that keeps its messages.",
            )
            .optional(),
        ],
        &[Rule::EncodedData],
    ),
    told(
        "session",
        "Who the client is from now on, and how it can be that again on another connection.",
        &[
            field("clientId", CLIENT_ID, "Who it is."),
            field("sessionSecret", SECRET, "What takes the session up again."),
            field(
                "resumed",
                Sort::Flag,
                "Whether it is who it asked to be, not somebody new.",
            ),
            field(
                "windowMs",
                U64,
                "For how long after a lost connection it can be that again, in milliseconds.",
            ),
            field(
                "awayMs",
                U64,
                "For how long after one nobody is told, in milliseconds.",
            ),
            field(
                "last",
                U64,
                "The offset of the latest message to this client alone; 0: there was none.",
            ),
            GAP,
            LEFT_OUT,
        ],
    ),
    told("user_stopped_typing", "Somebody is no longer typing.", &[ROOM, WHO]),
    told("user_typing", "Somebody is typing.", &[ROOM, WHO]),
    told(
        "welcome",
        "The first message on every connection.",
        &[
            field("clientId", CLIENT_ID, "The client's address for others."),
            TIMESTAMP,
            field("protocol", Sort::Exactly(1), "The version of the protocol."),
            field(
                "resumed",
                Sort::Flag,
                "Always `false`: who was somebody else before says so with `resume`.",
            ),
            field(
                "heartbeatIntervalMs",
                U64,
                "Between two pings of the server, in milliseconds; 0: none.",
            ),
            field(
                "heartbeatTimeoutMs",
                U64,
                "From a ping to the end of a silent connection, in milliseconds.",
            ),
            field("limits", Sort::Record(&LIMITS), "What the server takes."),
        ],
    ),
];

const KEPT: Shape = Shape {
    fields: &[
        field("offset", U64, "Its place in the log."),
        FROM,
        DATA,
        ENCODING,
        TIMESTAMP,
    ],
    rules: &[Rule::EncodedData],
};
const POSITION: Shape = record(&[field("epoch", EPOCH, "Which log that is."), LAST]);
const MISSING: Shape = record(&[
    field("from", U64, "The first."),
    field("to", U64, "The last."),
]);
const LIMITS: Shape = record(&[
    field("maxMessageBytes", U64, "The largest message, in bytes."),
    field("maxRooms", U32, "Rooms that one client may be in."),
    field(
        "maxRoomNameBytes",
        U64,
        "The longest name of a room, in bytes of UTF-8.",
    ),
    field(
        "rate",
        Sort::OrNull(&Sort::Record(&RATE)),
        "How often a client may say something; `null`: that is not limited.",
    ),
]);
const RATE: Shape = record(&[
    field("messages", U32, "So many messages"),
    field("perMs", U64, "in so many milliseconds."),
]);

const CODE: Field = field("code", Sort::ErrorCode, "Why, for programs.");
const COMPLETED: Field = field("completed", U32, "How many have it.");
const FAILED: Field = field(
    "failed",
    U32,
    "How many have accepted it and do not have it.",
);
const FROM: Field = field("from", CLIENT_ID, "The sender.");
const GAP: Field = field(
    "gap",
    Sort::Record(&MISSING),
    "The offsets of what was missed and is not kept any more, both ends among them.",
)
.optional();
const LAST: Field = field(
    "last",
    U64,
    "The offset of the latest message; 0: there was none.",
);
const LEFT_OUT: Field = field(
    "leftOut",
    Sort::ListOf(&Sort::Record(&MISSING)),
    "Ranges of offsets that are not told, as their senders wanted it so: out of date, or a later message has their key.",
)
.optional();
const MESSAGE: Field = field("message", Sort::Text, "Why, for people.");
const METADATA: Field = field("metadata", Sort::Object, "All of it.");
const SIZE: Field = field("size", U64, "In bytes.");
const TIMESTAMP: Field = field(
    "timestamp",
    U64,
    "The server's clock, in milliseconds since 1970.",
);
const WHO: Field = field("clientId", CLIENT_ID, "Who.");

const fn told(name: &'static str, about: &'static str, fields: &'static [Field]) -> Entry {
    ruled(name, about, fields, &[])
}

const fn ruled(
    name: &'static str,
    about: &'static str,
    fields: &'static [Field],
    rules: &'static [Rule],
) -> Entry {
    Entry {
        from: Side::Server,
        name,
        about,
        shape: Shape { fields, rules },
        answer: None,
    }
}

const fn record(fields: &'static [Field]) -> Shape {
    Shape { fields, rules: &[] }
}

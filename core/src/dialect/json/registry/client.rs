//! What clients send.

use super::{
    CHUNK_DATA, CHUNK_ENCODING, CLIENT_ID, DATA, ENCODING, EPOCH, Entry, Field, HASH, ROOM, Rule,
    SECRET, Shape, Side, Sort, TRANSFER, U32, U64, field,
};

/// Every request, in alphabetical order.
pub const CLIENT: [Entry; 21] = [
    request(
        "ack",
        "The client has what was sent to it alone.",
        &[field("offset", U64, "Up to this one.")],
        "ack",
    ),
    request(
        "batch",
        "Several messages, carried out in order, each with an outcome of its own.",
        &[field("messages", Sort::Messages, "The messages.")],
        "ack",
    ),
    ruled(
        "broadcast",
        "Says something to every other client.",
        &[DATA, ENCODING],
        &[Rule::EncodedData],
        "ack",
    ),
    ruled(
        "file_abort",
        "Gives a file up, at either end.",
        &[
            TRANSFER.optional(),
            OWN_NAME.optional(),
            field("reason", Sort::Text, "Why, for people.").optional(),
        ],
        &[Rule::NotBoth("transfer", "transferId")],
        "ack",
    ),
    request(
        "file_chunk",
        "A piece of a file that the server has asked for.",
        &[
            TRANSFER,
            field("offset", U64, "Where the piece begins, in bytes."),
            CHUNK_DATA,
            CHUNK_ENCODING,
        ],
        "ack",
    ),
    request(
        "file_complete",
        "The receiver has the file, and its hash is right.",
        &[TRANSFER],
        "ack",
    ),
    request(
        "file_credit",
        "The receiver takes more of a file; the first one accepts it.",
        &[
            TRANSFER,
            field("offset", U64, "Everything before it has come, in bytes."),
            field("window", U32, "How many bytes it takes from there."),
        ],
        "ack",
    ),
    ruled(
        "file_end",
        "The sender has sent all of a file once.",
        &[
            TRANSFER.optional(),
            OWN_NAME.optional(),
            field("size", U64, "In bytes.").optional(),
            HASH_OF_FILE,
        ],
        &[Rule::NotBoth("transfer", "transferId")],
        "ack",
    ),
    ruled(
        "file_start",
        "Offers a file to a room, to a client or to the server's program. Without `transferId` the next binary message is all of it.",
        &[
            OWN_NAME.optional(),
            field("room", Sort::Text, "The room that it is for.").optional(),
            field("to", Sort::Text, "The client that it is for, or `server`.").optional(),
            field("name", Sort::Text, "What the file is called, for people."),
            field("size", U64, "In bytes."),
            field("mimeType", Sort::Text, "What is in it, or empty."),
            HASH_OF_FILE,
            field(
                "transferSecret",
                Sort::Text,
                "Goes on with the transfer that was accepted with it.",
            )
            .optional(),
        ],
        &[Rule::Either("room", "to")],
        "file_accepted",
    ),
    request(
        "hello",
        "A greeting.",
        &[
            field("user", Sort::Any, "Who says so; no identity.").optional(),
            field(
                "batch",
                Sort::Flag,
                "Whether the client takes several replies in one message.",
            )
            .optional(),
        ],
        "ack",
    ),
    ruled(
        "history",
        "Asks for messages that a room keeps; with neither `after` nor `before` for the last ones.",
        &[
            ROOM,
            field("after", U64, "Only those with a larger offset.").optional(),
            field("before", U64, "Only those with a smaller offset.").optional(),
            field("epoch", EPOCH, "The log that the offset is of.").optional(),
            field("limit", U32, "At most so many.").optional(),
        ],
        &[Rule::NotBoth("after", "before")],
        "history",
    ),
    ruled(
        "join",
        "Enters a room.",
        &[
            ROOM,
            field(
                "after",
                U64,
                "The offset up to which the client has the room's messages: it comes back, and gets the later ones.",
            )
            .optional(),
            field("epoch", EPOCH, "The log that the offset is of.").optional(),
        ],
        &[Rule::Needs("epoch", "after")],
        "joined_room",
    ),
    request("leave", "Leaves a room.", &[ROOM], "left_room"),
    request(
        "members",
        "Asks for a page of a room's members, in the order of their ids.",
        &[
            ROOM,
            field("after", Sort::Text, "Only ids after it.").optional(),
            field("limit", U32, "At most so many.").optional(),
            field("metadata", Sort::Flag, "Whether with their metadata.").optional(),
        ],
        "members",
    ),
    request(
        "ping",
        "Asks whether the server is there.",
        &[field(
            "timestamp",
            Sort::Scalar,
            "The client's own clock; comes back as it is. At most 64 bytes as written.",
        )
        .optional()],
        "pong",
    ),
    ruled(
        "private_message",
        "Says something to one client.",
        &[
            field("to", CLIENT_ID, "The receiver."),
            DATA,
            ENCODING,
            MESSAGE_ID,
            TTL,
        ],
        &[Rule::EncodedData],
        "ack",
    ),
    ruled(
        "resume",
        "Makes the client able to come back as who it is, or takes up who it was.",
        &[
            field("clientId", CLIENT_ID, "Who it was.").optional(),
            field("sessionSecret", SECRET, "The proof, as `session` told it.").optional(),
            field(
                "after",
                U64,
                "The offset of the last message to it alone that it has.",
            )
            .optional(),
        ],
        &[
            Rule::Needs("clientId", "sessionSecret"),
            Rule::Needs("sessionSecret", "clientId"),
            Rule::Needs("after", "clientId"),
        ],
        "session",
    ),
    ruled(
        "room_message",
        "Says something in a room.",
        &[
            ROOM,
            DATA,
            ENCODING,
            MESSAGE_ID,
            TTL,
            field(
                "key",
                Sort::Name,
                "What it tells of: in what the room keeps, a later message with the same key takes its place.",
            )
            .optional(),
        ],
        &[Rule::EncodedData],
        "ack",
    ),
    request(
        "set_metadata",
        "Merges into the client's metadata.",
        &[field(
            "metadata",
            Sort::Object,
            "Each field replaces the client's own; `null` deletes it.",
        )],
        "metadata_updated",
    ),
    request(
        "typing_start",
        "The client is typing in a room.",
        &[ROOM],
        "ack",
    ),
    request("typing_stop", "It no longer is.", &[ROOM], "ack"),
];

const MESSAGE_ID: Field = field(
    "messageId",
    Sort::Name,
    "The sender's own name for it, under which it is told once.",
)
.optional();
const OWN_NAME: Field = field(
    "transferId",
    Sort::Name,
    "The sender's own name for the transfer.",
);
const HASH_OF_FILE: Field = field("hash", HASH, "SHA-256 of the whole file.").optional();

const TTL: Field = field(
    "ttlMs",
    Sort::Positive(u64::MAX),
    "For how long who comes back is told of it, in milliseconds.",
)
.optional();

const fn request(
    name: &'static str,
    about: &'static str,
    fields: &'static [Field],
    answer: &'static str,
) -> Entry {
    ruled(name, about, fields, &[], answer)
}

const fn ruled(
    name: &'static str,
    about: &'static str,
    fields: &'static [Field],
    rules: &'static [Rule],
    answer: &'static str,
) -> Entry {
    Entry {
        from: Side::Client,
        name,
        about,
        shape: Shape { fields, rules },
        answer: Some(answer),
    }
}

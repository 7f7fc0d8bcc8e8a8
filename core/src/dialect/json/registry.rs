//! The published registry: every message in JSON, and what its fields are.
//!
//! PROTOCOL.md prints it, and `web/roomwire.schema.json` and the messages in `web/roomwire.d.ts` are made of it; tests hold
//! all of them together, and hold it to what is written and read: the server writes no other fields than these, and
//! takes what is described and nothing that is not. Every message begins with `type`. Those of clients may have an `id`,
//! and an outcome has that of its request; neither is repeated here.

mod client;
mod server;

#[cfg(test)]
mod tests;

pub use client::CLIENT;
pub use server::SERVER;

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Who says it.
    pub from: Side,
    /// Its `type`.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What is in it besides `type` and `id`.
    pub shape: Shape,
    /// Of a request that was carried out: the `type` of its outcome. `None`: it has none, as what the server says.
    pub answer: Option<&'static str>,
}

/// One of the two that talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A client, to its server.
    Client,
    /// The server, to a client.
    Server,
}

/// What is in an object.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// In the order in which they are written.
    pub fields: &'static [Field],
    /// What holds between them.
    pub rules: &'static [Rule],
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What stands there.
    pub sort: Sort,
    /// Whether it may be missing.
    pub is_optional: bool,
    /// What it means, with its unit.
    pub about: &'static str,
}

impl Field {
    /// The same, of a field that may be missing.
    const fn optional(self) -> Self {
        Self {
            is_optional: true,
            ..self
        }
    }
}

/// What may stand in a field.
#[derive(Clone, Copy, Debug)]
pub enum Sort {
    /// Any value; data that is passed on as it is.
    Any,
    /// A string, a number, a boolean or `null`.
    Scalar,
    /// An object with any fields.
    Object,
    /// A string.
    Text,
    /// A string that is not empty.
    Name,
    /// A string: see [`Format`].
    Formatted(Format),
    /// `true` or `false`.
    Flag,
    /// Always `true`.
    True,
    /// A whole number from 0 to this one, written without point and exponent.
    Whole(u64),
    /// The same from 1 on.
    Positive(u64),
    /// Always this number.
    Exactly(u64),
    /// A close code of WebSocket, maybe one of [`CLOSE_CODES`].
    CloseCode,
    /// One of [`ErrorCode::ALL`](crate::ErrorCode::ALL).
    ErrorCode,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An array of such values.
    ListOf(&'static Self),
    /// An object with these fields.
    Record(&'static Shape),
    /// That, or `null`.
    OrNull(&'static Self),
    /// An object whose keys are client ids.
    ByClient(&'static Self),
    /// An array, not empty, of whole messages of the same direction, none of which is a `batch`.
    Messages,
}

/// How a string is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A [`ClientId`](crate::ClientId).
    ClientId,
    /// An [`Epoch`](crate::Epoch).
    Epoch,
    /// A [`SessionSecret`](crate::SessionSecret).
    SessionSecret,
    /// A [`FileHash`](crate::FileHash).
    FileHash,
    /// Bytes in base64 (RFC 4648, section 4), with padding.
    Base64,
}

impl Format {
    /// As a regular expression (ECMA-262) for the whole string.
    pub const fn pattern(self) -> &'static str {
        match self {
            Self::ClientId => "^client_[A-Za-z0-9_-]{24}$",
            Self::Epoch => "^[0-9a-f]{16}$",
            Self::SessionSecret => "^[A-Za-z0-9_-]{21}[AQgw]$",
            Self::FileHash => "^sha256:[0-9a-f]{64}$",
            Self::Base64 => {
                "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"
            }
        }
    }
}

/// What holds between the fields of one object.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// One of them is there, and not both.
    Either(&'static str, &'static str),
    /// They are not both there.
    NotBoth(&'static str, &'static str),
    /// The first is only there with the second.
    Needs(&'static str, &'static str),
    /// `data` spells bytes in [`Format::Base64`] if there is `encoding`.
    EncodedData,
}

/// The close codes of the server's own, those that are kept for later among them. 3000 to 4999 are else a program's.
pub const CLOSE_CODES: [u16; 13] = [
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 4401, 4403, 4409,
];

/// The entry of a request; `None` if there is none of that name. O(n).
pub fn request(name: &str) -> Option<&'static Entry> {
    CLIENT.iter().find(|entry| entry.name == name)
}

/// The entry of what the server says; `None` if there is none of that name. O(n).
pub fn told(name: &str) -> Option<&'static Entry> {
    SERVER.iter().find(|entry| entry.name == name)
}

/// Whether what the server says may be the outcome of a request, and then has its `id`. O(n).
pub fn is_outcome(name: &str) -> bool {
    name == "error" || CLIENT.iter().any(|entry| entry.answer == Some(name))
}

const fn field(name: &'static str, sort: Sort, about: &'static str) -> Field {
    Field {
        name,
        sort,
        is_optional: false,
        about,
    }
}

const U32: Sort = Sort::Whole(u32::MAX as u64);
const U64: Sort = Sort::Whole(u64::MAX);
const CLIENT_ID: Sort = Sort::Formatted(Format::ClientId);
const EPOCH: Sort = Sort::Formatted(Format::Epoch);
const SECRET: Sort = Sort::Formatted(Format::SessionSecret);
const HASH: Sort = Sort::Formatted(Format::FileHash);
const BYTES: Sort = Sort::Formatted(Format::Base64);
const BASE64: Sort = Sort::OneOf(&["base64"]);

const ENCODING: Field = field("encoding", BASE64, "There if `data` spells bytes.").optional();
const CHUNK_ENCODING: Field = field("encoding", BASE64, "How `data` spells bytes.");
const CHUNK_DATA: Field = field("data", BYTES, "The piece.");
const DATA: Field = field("data", Sort::Any, "What is said.");
const ROOM: Field = field("room", Sort::Text, "The room's name.");
const TRANSFER: Field = field("transfer", U64, "The server's number for the transfer.");

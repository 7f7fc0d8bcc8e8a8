//! Masks frames of the binary dialect as they arrive: their layout stays, what is said goes.
//!
//! Every payload is a list of pieces, in the order in which the dialect reads them. What is no frame, or longer than
//! its type asks for, is refused whatever stands there: it is zeroed.

use super::strings::{Told, prose_ascii};
use super::text::{Field, Text};
use super::utf8::Utf8;
use crate::dialect::binary::{HEADER_BYTES, bits, destination, registry};

/// One frame under way, and the frames in it if it is a batch.
#[derive(Debug)]
pub(super) struct Frame {
    role: Role,
    /// The message is as long, if that is known.
    whole_bytes: Option<u64>,
    max_message_bytes: u64,
    /// Bytes of the header that have come.
    have: usize,
    kind: u8,
    length: u64,
    /// The length is one that no message has.
    huge: bool,
    /// Payload bytes that are still to come.
    left: u64,
    pieces: &'static [Piece],
    doing: Doing,
    flags: u8,
    data_kind: u8,
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It is the message.
    Message,
    /// In a batch.
    InBatch,
    /// In a batch that is in a batch, which is refused: only where it ends counts.
    Ignored,
}

/// A piece of a payload.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// So many bytes that decide.
    Keep(u64),
    /// So many bytes that do not.
    Zero(u64),
    /// A name that decides.
    Name,
    /// Text for people.
    Prose,
    Flags,
    DataKind,
    Destination,
    /// Only there if a flag is set.
    If(u8, &'static Self),
    RestBytes,
    RestProse,
    RestJson(Field),
    /// A message in JSON.
    RestMessage,
    RestData,
    RestFrames,
}

/// The piece that the next byte belongs to.
#[derive(Debug)]
enum Doing {
    Keep(u64),
    Zero(u64),
    Flags,
    DataKind,
    Destination,
    /// The first byte of a length.
    High {
        prose: bool,
    },
    Low {
        prose: bool,
        high: u8,
    },
    Prose {
        left: u64,
        text: Prose,
    },
    Json(Box<Text>),
    Frames(Box<Frame>),
    /// Whatever comes.
    Rest,
}

impl Frame {
    /// The frame that a message is; `whole_bytes` long if that is known.
    pub(super) const fn message(max_message_bytes: u64, whole_bytes: Option<u64>) -> Self {
        Self::new(Role::Message, max_message_bytes, whole_bytes)
    }

    const fn new(role: Role, max_message_bytes: u64, whole_bytes: Option<u64>) -> Self {
        Self {
            role,
            whole_bytes,
            max_message_bytes,
            have: 0,
            kind: 0,
            length: 0,
            huge: false,
            left: 0,
            pieces: &[],
            doing: Doing::Rest,
            flags: 0,
            data_kind: 0,
        }
    }

    /// The byte that stands in for the next one.
    pub(super) fn masked(&mut self, byte: u8) -> u8 {
        if self.have == HEADER_BYTES && self.left == 0 {
            if self.role == Role::Message {
                return 0; // the frame is longer than it says
            }
            *self = Self::new(self.role, self.max_message_bytes, None);
        }
        if self.have < HEADER_BYTES {
            return self.header_byte(byte);
        }
        self.left -= 1;
        self.payload_byte(byte)
    }

    fn header_byte(&mut self, byte: u8) -> u8 {
        self.have += 1;
        match self.have {
            1 if self.role == Role::Ignored => 0,
            // Types that are none are all the same.
            1 => {
                self.kind = registry::entry(byte).map_or(0, |entry| entry.kind);
                self.kind
            }
            // What a ping's clock shows is sent back.
            2..=9 if self.kind == registry::PING => byte,
            2..=9 => 0,
            _ => {
                self.length = self.length << 8 | u64::from(byte);
                self.huge |= self.have == 10 && self.length << 24 > self.max_message_bytes;
                if self.have == HEADER_BYTES {
                    self.begin();
                }
                // JSON as a binary message has no length of a message here either.
                if self.huge { 0xff } else { byte }
            }
        }
    }

    fn begin(&mut self) {
        self.left = self.length;
        let whole_bytes = self.length + HEADER_BYTES as u64;
        let is_whole = self.whole_bytes.is_none_or(|bytes| bytes == whole_bytes);
        if is_whole && !self.huge && self.role != Role::Ignored {
            self.pieces = pieces(self.kind);
            self.go_on();
        }
    }

    /// Finds out what the next byte belongs to.
    fn go_on(&mut self) {
        while let Some((piece, rest)) = self.pieces.split_first() {
            self.pieces = rest;
            if let Some(doing) = self.doing(*piece) {
                self.doing = doing;
                return;
            }
        }
        self.doing = Doing::Rest;
    }

    fn doing(&self, piece: Piece) -> Option<Doing> {
        Some(match piece {
            Piece::Keep(bytes) => Doing::Keep(bytes),
            Piece::Zero(bytes) => Doing::Zero(bytes),
            Piece::Name => Doing::High { prose: false },
            Piece::Prose => Doing::High { prose: true },
            Piece::Flags => Doing::Flags,
            Piece::DataKind => Doing::DataKind,
            Piece::Destination => Doing::Destination,
            Piece::If(bit, piece) if self.flags & bit != 0 => return self.doing(*piece),
            Piece::If(..) => return None,
            Piece::RestBytes => Doing::Rest,
            Piece::RestProse => Doing::Prose {
                left: u64::MAX,
                text: Prose::default(),
            },
            Piece::RestJson(field) => Doing::Json(Box::new(Text::value(field))),
            Piece::RestMessage => Doing::Json(Box::default()),
            Piece::RestData if self.data_kind == JSON => {
                Doing::Json(Box::new(Text::value(Field::Data)))
            }
            Piece::RestData => Doing::Rest,
            Piece::RestFrames => {
                let role = match self.role {
                    Role::Message => Role::InBatch,
                    Role::InBatch | Role::Ignored => Role::Ignored,
                };
                Doing::Frames(Box::new(Self::new(role, self.max_message_bytes, None)))
            }
        })
    }

    fn payload_byte(&mut self, byte: u8) -> u8 {
        let (masked, is_last) = match &mut self.doing {
            Doing::Keep(left) => {
                *left -= 1;
                (byte, *left == 0)
            }
            Doing::Zero(left) => {
                *left -= 1;
                (0, *left == 0)
            }
            Doing::Flags => {
                self.flags = byte;
                (byte, true)
            }
            Doing::DataKind => {
                self.data_kind = byte;
                (byte, true)
            }
            Doing::Destination => {
                self.doing = match byte {
                    destination::ROOM => Doing::High { prose: false },
                    destination::CLIENT => Doing::Keep(CLIENT_BYTES),
                    _ => {
                        self.go_on();
                        return byte;
                    }
                };
                (byte, false)
            }
            &mut Doing::High { prose } => {
                self.doing = Doing::Low { prose, high: byte };
                (byte, false)
            }
            &mut Doing::Low { prose, high } => {
                let left = u64::from(u16::from_be_bytes([high, byte]));
                self.doing = if prose {
                    let text = Prose::default();
                    Doing::Prose { left, text }
                } else {
                    Doing::Keep(left)
                };
                (byte, left == 0)
            }
            Doing::Prose { left, text } => {
                *left -= 1;
                (text.masked(byte), *left == 0)
            }
            Doing::Json(text) => (text.masked(byte), false),
            Doing::Frames(frame) => (frame.masked(byte), false),
            Doing::Rest => (0, false),
        };
        if is_last {
            self.go_on();
        }
        masked
    }
}

/// Text for people, as it stands in a frame.
#[derive(Clone, Copy, Debug, Default)]
struct Prose {
    utf8: Utf8,
    told: Told,
}

impl Prose {
    fn masked(&mut self, byte: u8) -> u8 {
        let is_first = matches!(self.utf8, Utf8::Start);
        let masked = self.utf8.masked(byte, prose_ascii);
        // Where it is no text any more, it stays none.
        if byte.is_ascii() || matches!(self.utf8, Utf8::Broken) {
            masked
        } else {
            self.told.prose_other(is_first, byte, masked)
        }
    }
}

/// What a payload of this type is made of.
const fn pieces(kind: u8) -> &'static [Piece] {
    use Piece::*;
    const NUMBER: Piece = Keep(4);
    match kind {
        registry::HELLO => {
            const USER: Piece = RestJson(Field::Masked);
            &[NUMBER, Flags, If(bits::HELLO_USER, &USER)]
        }
        registry::PING => &[NUMBER],
        registry::BATCH => &[NUMBER, RestFrames],
        registry::SET_METADATA => &[NUMBER, RestJson(Field::Metadata)],
        registry::JOIN | registry::LEAVE | registry::TYPING_START | registry::TYPING_STOP => {
            &[NUMBER, Name]
        }
        registry::RESUME => &[
            NUMBER,
            Flags,
            If(bits::RESUME_FORMER, &Keep(CLIENT_BYTES + SECRET_BYTES)),
            If(bits::RESUME_AFTER, &Keep(8)),
        ],
        registry::JOIN_AGAIN => &[NUMBER, Name, Flags, Keep(8), If(bits::JOIN_EPOCH, &Keep(8))],
        registry::MEMBERS => &[
            NUMBER,
            Name,
            Flags,
            If(bits::MEMBERS_AFTER, &Keep(CLIENT_BYTES)),
            If(bits::MEMBERS_LIMIT, &Keep(4)),
        ],
        registry::HISTORY => &[
            NUMBER,
            Name,
            Flags,
            If(bits::HISTORY_EPOCH, &Keep(8)),
            If(bits::HISTORY_AFTER, &Keep(8)),
            If(bits::HISTORY_BEFORE, &Keep(8)),
            If(bits::HISTORY_LIMIT, &Keep(4)),
        ],
        registry::ROOM_MESSAGE => &[NUMBER, DataKind, Name, RestData],
        registry::PUBLISH => &[
            NUMBER,
            Flags,
            DataKind,
            Name,
            If(bits::TERMS_MESSAGE_ID, &Name),
            If(bits::TERMS_TTL, &Keep(4)),
            If(bits::TERMS_KEY, &Name),
            RestData,
        ],
        registry::PUBLISH_PRIVATELY => &[
            NUMBER,
            Flags,
            DataKind,
            Keep(CLIENT_BYTES),
            If(bits::TERMS_MESSAGE_ID, &Name),
            If(bits::TERMS_TTL, &Keep(4)),
            RestData,
        ],
        registry::ACK_OFFSET => &[NUMBER, Keep(8)],
        registry::BROADCAST => &[NUMBER, DataKind, RestData],
        registry::PRIVATE_MESSAGE => &[NUMBER, DataKind, Keep(CLIENT_BYTES), RestData],
        registry::FILE_START => &[
            NUMBER,
            Flags,
            Destination,
            If(bits::START_NAME, &Name),
            Prose,
            Keep(8),
            Prose,
            If(bits::START_HASH, &Zero(HASH_BYTES)),
            If(bits::START_SECRET, &Name),
        ],
        registry::FILE_CHUNK => &[Keep(8 + 8), RestBytes],
        registry::FILE_END => &[
            NUMBER,
            Keep(8),
            Flags,
            If(bits::END_SIZE, &Keep(8)),
            If(bits::END_HASH, &Zero(HASH_BYTES)),
        ],
        registry::FILE_ABORT => &[NUMBER, Keep(8), RestProse],
        registry::FILE_CREDIT => &[Keep(8 + 8 + 4)],
        registry::FILE_COMPLETE => &[NUMBER, Keep(8)],
        registry::APPLICATION => &[NUMBER, RestMessage],
        _ => &[],
    }
}

/// The kind of data that is JSON.
const JSON: u8 = 1;
const CLIENT_BYTES: u64 = crate::id::ClientId::BYTES as u64;
const SECRET_BYTES: u64 = crate::message::SessionSecret::BYTES as u64;
const HASH_BYTES: u64 = size_of::<crate::message::FileHash>() as u64;

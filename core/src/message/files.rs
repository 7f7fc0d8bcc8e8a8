//! What is said about files that pass through the server.
//!
//! The server keeps nothing of a file. It asks the sender for pieces that receivers have room for
//! ([`FileNotice::Wanted`]), passes each on to those who are there, and asks for it once more for those who
//! are not yet. Receivers say up to where they have everything and how much more they take
//! ([`FileRequest::Credit`]); the first time accepts the file.

use core::fmt;
use std::borrow::Cow;

use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::machine::ShardId;

/// A transfer's number: the server's name for it, the same for both ends. Never used twice while a server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransferId(u64);

impl TransferId {
    /// From its number; whether there is such a transfer is another question.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The number. Below 2^53, so that every JSON parser keeps it.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The `count`-th one of a shard.
    pub(crate) const fn new(shard: ShardId, count: u64) -> Self {
        Self((shard.0 as u64) << COUNT_BITS | count)
    }

    /// The shard that has made it; `None` for a number that none makes.
    pub(crate) const fn shard(self) -> Option<ShardId> {
        let shard = self.0 >> COUNT_BITS;
        if shard < 256 {
            Some(ShardId(shard as u8))
        } else {
            None
        }
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Transfers of one shard.
const COUNT_BITS: u32 = 45;

/// SHA-256 of a whole file (FIPS 180-4).
pub type FileHash = [u8; 32];

/// Who a file is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// The other members of a room.
    Room(Cow<'a, str>),
    /// One client; `None` if what the sender wrote is no client id.
    Client(Option<ClientId>),
    /// The program that embeds the server.
    Server,
}

/// How a client names a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// By its number.
    Number(TransferId),
    /// The sender, by the name that it has chosen.
    Own(Cow<'a, str>),
    /// The sender, without a name: the one that it has begun without one.
    Unnamed,
}

/// What a client says about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileRequest<'a> {
    /// The sender has a file. Answered by [`FileNotice::Accepted`].
    Start {
        /// The sender's name for the transfer, among its own. `None`: the next binary message is the whole file.
        name: Option<Cow<'a, str>>,
        /// Who is to get it.
        to: Destination<'a>,
        /// What it is called; shown to people, never a path.
        file_name: Cow<'a, str>,
        /// Its size in bytes.
        size: u64,
        /// What is in it (RFC 6838), or nothing.
        mime_type: Cow<'a, str>,
        /// Its hash, if it is known already.
        hash: Option<FileHash>,
        /// Goes on with the transfer that was accepted with this secret, maybe on another connection.
        secret: Option<Cow<'a, str>>,
    },
    /// A piece that was asked for.
    Chunk {
        /// Of which transfer.
        transfer: TransferId,
        /// Where it begins in the file.
        offset: u64,
        /// The piece.
        data: Cow<'a, [u8]>,
    },
    /// The sender has sent everything once.
    End {
        /// Of which transfer.
        transfer: Named<'a>,
        /// The size in bytes, once more.
        size: Option<u64>,
        /// The hash of what was sent.
        hash: Option<FileHash>,
    },
    /// The sender gives the transfer up, or a receiver its copy.
    Abort {
        /// Which transfer.
        transfer: Named<'a>,
        /// For people.
        reason: Cow<'a, str>,
    },
    /// A receiver has everything before `offset` and takes `window_bytes` more.
    Credit {
        /// Of which transfer.
        transfer: TransferId,
        /// Up to where it has the file.
        offset: u64,
        /// How much it takes from there.
        window_bytes: u32,
    },
    /// A receiver has the whole file and has checked it.
    Complete {
        /// Which transfer.
        transfer: TransferId,
    },
}

/// What a server says about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileNotice<'a> {
    /// To the sender, in answer to [`FileRequest::Start`].
    Accepted {
        /// The sender's name for it.
        name: &'a str,
        /// The server's.
        transfer: TransferId,
        /// Whoever knows it may go on with the transfer from another connection.
        secret: &'a str,
        /// Up to where the file need not be sent again to those who are there.
        offset: u64,
        /// The largest piece that is taken.
        chunk_bytes: u32,
    },
    /// To the sender: it is to send this piece of the file, in chunks, in order.
    Wanted {
        /// Of which transfer.
        transfer: TransferId,
        /// Where the piece begins.
        offset: u64,
        /// How long it is.
        length_bytes: u32,
    },
    /// To the sender, now and then.
    Progress {
        /// Of which transfer.
        transfer: TransferId,
        /// Up to where all have it who have accepted it.
        acknowledged: u64,
        /// How many have accepted it and are at it.
        receivers: u32,
        /// How many have it.
        completed: u32,
        /// How many have given up or were given up.
        failed: u32,
    },
    /// To the sender: its outcome.
    Completed {
        /// Of which transfer.
        transfer: TransferId,
        /// How many have it.
        completed: u32,
        /// How many have accepted it and do not.
        failed: u32,
    },
    /// To those who may have it.
    Offered {
        /// Its number.
        transfer: TransferId,
        /// Who sends it.
        from: ClientId,
        /// The room that it is for; `None`: for this client alone.
        room: Option<&'a str>,
        /// What it is called.
        file_name: &'a str,
        /// Its size in bytes.
        size: u64,
        /// What is in it, or nothing.
        mime_type: &'a str,
        /// Its hash, if the sender has told it.
        hash: Option<FileHash>,
        /// How much may be on its way to one receiver.
        max_window_bytes: u32,
    },
    /// To a receiver: a piece.
    Chunk {
        /// Of which transfer.
        transfer: TransferId,
        /// Where it begins.
        offset: u64,
        /// The piece.
        data: &'a [u8],
    },
    /// To a receiver that has been sent everything.
    End {
        /// Of which transfer.
        transfer: TransferId,
        /// Its size in bytes.
        size: u64,
        /// The hash of what has passed, which is the sender's.
        hash: FileHash,
    },
    /// To the other end: it was given up.
    Aborted {
        /// Which transfer.
        transfer: TransferId,
        /// For people.
        reason: &'a str,
    },
    /// To either end: the server has given it up.
    Failed {
        /// Which transfer.
        transfer: TransferId,
        /// From the closed list.
        code: ErrorCode,
        /// For people.
        message: &'a str,
    },
}

//! Work that may be done elsewhere: a pure function of owned bytes, for the threads of a driver that has some.
//!
//! A machine whose driver has a pool ([`Input::PoolReady`](crate::Input::PoolReady)) puts out what would take it long as an
//! [`Output::Job`](crate::Output::Job), and takes its [`Done`] as an [`Input::Done`](crate::Input::Done): in any order, after any
//! time. What a connection says after it waits meanwhile, and nobody else does. Without a pool the machine does it
//! itself. Knows nothing of threads, nor of what is done with what was found.

#[cfg(test)]
mod tests;

use core::fmt;

use crate::dialect::json::{JsonLimits, Shape};
use crate::id::ConnectionId;
use crate::machine::ShardId;
use crate::websocket::deflate::Inflater;
use crate::websocket::{DataKind, DecodeError};

/// One piece of work. Owns all that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "its connection waits until it is done"]
pub struct Job(Box<Order>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Order {
    id: JobId,
    connection: ConnectionId,
    work: Work,
}

/// Numbers a machine's jobs: each is done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub(crate) u64);

impl JobId {
    /// The shard that it is of. O(1).
    pub const fn shard(self) -> ShardId {
        ShardId((self.0 >> SHARD_BITS) as u8)
    }

    /// What comes before the first job of a shard that has begun anew so often.
    pub(crate) const fn first_of(shard: ShardId, restarts: u16) -> u64 {
        (shard.0 as u64) << SHARD_BITS | (restarts as u64) << RESTART_BITS
    }
}

/// Below them is what counts a shard's jobs.
const RESTART_BITS: u32 = 40;
const SHARD_BITS: u32 = 56;

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Inflate a message, of at most so many bytes; then read it, if it is text, and text is JSON.
    Inflate {
        payload: Vec<u8>,
        kind: DataKind,
        max_bytes: usize,
        json: Option<JsonLimits>,
    },
    /// Read a text that is to be JSON.
    Read { text: String, json: JsonLimits },
}

impl Work {
    /// Memory of what there is.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Inflate { payload, .. } => payload.capacity(),
            Self::Read { text, .. } => text.capacity(),
        }
    }

    /// Memory that it may come to besides.
    pub(crate) fn made_bytes(&self) -> usize {
        match self {
            Self::Inflate {
                payload, max_bytes, ..
            } => payload.len().saturating_mul(MOST_INFLATED).min(*max_bytes),
            Self::Read { .. } => 0,
        }
    }
}

impl Job {
    pub(crate) fn new(id: JobId, connection: ConnectionId, work: Work) -> Self {
        Self(Box::new(Order {
            id,
            connection,
            work,
        }))
    }

    /// Which one it is. O(1).
    pub const fn id(&self) -> JobId {
        self.0.id
    }

    /// Whose message it is about. O(1).
    pub const fn connection(&self) -> ConnectionId {
        self.0.connection
    }

    /// How long the message is that it begins with, in bytes. O(1).
    pub fn bytes(&self) -> usize {
        match &self.0.work {
            Work::Inflate { payload, .. } => payload.len(),
            Work::Read { text, .. } => text.len(),
        }
    }

    /// Does it: some milliseconds for each MiB of the message, which is no larger than
    /// [`limits.max_message_bytes`](crate::config::Limits::max_message_bytes). The same job always comes to the same.
    pub fn run(self) -> Done {
        let Order { id, work, .. } = *self.0;
        let found = match work {
            Work::Read { text, json } => {
                let shape = Shape::of(&text, &json);
                Ok(Found::Text(text, Some(shape)))
            }
            Work::Inflate {
                payload,
                kind,
                max_bytes,
                json,
            } => inflate(&payload, kind, max_bytes, json.as_ref()),
        };
        Done {
            id,
            outcome: Outcome::Found(found),
        }
    }

    pub(crate) fn work(&self) -> &Work {
        &self.0.work
    }
}

/// What a job came to: to be handed in to the machine that it is of.
#[derive(Debug)]
pub struct Done {
    pub(crate) id: JobId,
    pub(crate) outcome: Outcome,
}

impl Done {
    /// It could not be done: it has panicked, which is a bug, or whoever was to do it is gone. Its connection is closed
    /// with 1011.
    pub const fn failed(id: JobId) -> Self {
        Self {
            id,
            outcome: Outcome::Failed,
        }
    }

    /// Which one it was. O(1).
    pub const fn id(&self) -> JobId {
        self.id
    }

    /// Whether it could not be done. O(1).
    pub const fn is_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed)
    }
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Found(Result<Found, DecodeError>),
    Failed,
}

/// A message that was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// With its shape, if it was read.
    Text(String, Option<Shape>),
    Binary(Vec<u8>),
}

impl Found {
    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Text(text, shape) => {
                text.capacity() + shape.as_ref().map_or(0, Shape::heap_bytes)
            }
            Self::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Its length.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text, _) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// A byte of DEFLATE stands for no more bytes than these.
const MOST_INFLATED: usize = 1_032;

fn inflate(
    payload: &[u8],
    kind: DataKind,
    max_bytes: usize,
    json: Option<&JsonLimits>,
) -> Result<Found, DecodeError> {
    let mut inflater = Inflater::new();
    inflater.inflate(payload, max_bytes)?;
    let message = inflater.into_message();
    match kind {
        DataKind::Binary => Ok(Found::Binary(message)),
        DataKind::Text => {
            // Faster than what the standard library checks with; that finds where it is wrong.
            if simdutf8::basic::from_utf8(&message).is_err() {
                return Err(DecodeError::InvalidUtf8);
            }
            let text = String::from_utf8(message).map_err(|_| DecodeError::InvalidUtf8)?;
            let shape = json.map(|json| Shape::of(&text, json));
            Ok(Found::Text(text, shape))
        }
    }
}

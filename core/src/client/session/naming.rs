//! Names of the session's own for what may be sent twice, by which the server knows it again: `messageId`.
//!
//! A server that knows no message again, or takes only shorter names, says so by refusing the first one. That one goes
//! once more without a name, and if it is taken then, so does all that follows on this connection.

use data_encoding::BASE64URL_NOPAD;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::event::{Content, Delivery};
use super::queue::{Entry, Work};
use super::{Message, Session, Told};
use crate::dialect::json::client::lacks_message_id;
use crate::error::ErrorCode;

/// Whether something has a name of the session's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// No: it cannot have one, has one of the program's, or is never sent twice.
    Without,
    /// The one with this number.
    Own(u64),
    /// The server has refused it with one, and may take it without.
    Refused,
}

/// The names that a session gives. Those of another session, of an earlier run for example that it takes up, are others.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    last: u64,
}

impl Names {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        // Apart from what keys and waits are drawn from.
        rng.set_stream(STREAM);
        let mut bytes = [0; PREFIX_BYTES];
        rng.fill_bytes(&mut bytes);
        let prefix = BASE64URL_NOPAD.encode(&bytes);
        Self { prefix, last: 0 }
    }

    /// What something to be sent is named.
    pub(super) fn of(&mut self, work: &Work, delivery: Delivery) -> Naming {
        match work {
            Work::Content(Content::Request(text))
                if delivery == Delivery::AtLeastOnce && lacks_message_id(text) =>
            {
                self.last += 1;
                Naming::Own(self.last)
            }
            _ => Naming::Without,
        }
    }

    /// The name itself, if there is one.
    pub(super) fn spell(&self, naming: Naming) -> Option<String> {
        match naming {
            Naming::Own(number) => Some(format!("{}{number}", self.prefix)),
            Naming::Without | Naming::Refused => None,
        }
    }
}

impl Session {
    /// What the server says to something that it may have refused for its name, which then goes once more; otherwise that
    /// is what became of it.
    pub(super) fn perhaps_without(&mut self, mut entry: Entry, message: &Message) -> Option<Entry> {
        match (entry.naming, &message.told) {
            (
                Naming::Own(_),
                Told::Error {
                    code: Some(ErrorCode::Forbidden | ErrorCode::TooLarge),
                    ..
                },
            ) => {
                entry.naming = Naming::Refused;
                self.queue.put_back_one(entry).err()
            }
            (Naming::Refused, Told::Ack(_)) => {
                if let Some(link) = &mut self.link {
                    link.takes_names = false;
                }
                Some(entry)
            }
            _ => Some(entry),
        }
    }
}

/// Of the seed's streams, the one of names.
const STREAM: u64 = 1;
/// So that a name fits where no long ones are taken, and no two sessions have the same ones.
const PREFIX_BYTES: usize = 6;

//! `send-file` and `receive-files`: files through a server, over binary frames.
//!
//! [`link`] is one connection; [`drive()`] keeps one for as long as it is needed, and hands what comes to a [`Party`]:
//! [`sender`] or [`receiver`], which do what the core's machines for files say. [`folder`] is where files come to lie.

mod drive;
mod folder;
mod link;
mod receiver;
mod report;
mod sender;

use std::time::{Duration, Instant};

use roomwire_core::ErrorCode;
use roomwire_core::dialect::binary::Told;

use super::options::{ReceiveFiles, SendFile};
use crate::cli::complain;
use drive::drive;
use link::Link;

/// Runs `send-file`; returns the exit code.
pub(in crate::cli) fn send(name: &str, asked: &SendFile) -> u8 {
    let mut sender = match sender::Sender::new(asked) {
        Ok(sender) => sender,
        Err(why) => {
            complain(name, why);
            return crate::cli::USAGE;
        }
    };
    let rooms: Vec<String> = asked.room.iter().cloned().collect();
    drive(name, &asked.server, &asked.lasting, &rooms, &mut sender)
}

/// Runs `receive-files`; returns the exit code.
pub(in crate::cli) fn receive(name: &str, asked: &ReceiveFiles) -> u8 {
    let mut receiver = match receiver::Receiver::new(asked) {
        Ok(receiver) => receiver,
        Err(why) => {
            complain(name, why);
            return crate::cli::USAGE;
        }
    };
    drive(
        name,
        &asked.server,
        &asked.lasting,
        &asked.room,
        &mut receiver,
    )
}

/// What a connection is for.
trait Party {
    /// There is one: rooms are joined, `client` is this client's id.
    fn begins(&mut self, client: &str);
    /// Something came.
    fn told(&mut self, told: &Told<'_>, now: Instant);
    /// Does what there is to do, a bit at a time; whether there is more that could be done at once.
    fn work(&mut self, link: &mut Link<'_>, now: Instant) -> bool;
    /// The connection is gone.
    fn lost(&mut self);
    /// It is gone for good, or someone wants it to end: gives up what is unfinished.
    fn give_up(&mut self, reason: &str);
    /// Nothing is left to be done or waited for.
    fn is_done(&self) -> bool;
    /// When there is something to do even if nothing comes.
    fn patience(&self, now: Instant) -> Option<Duration>;
    /// How people are told.
    fn report(&mut self) -> &mut report::Report;
    fn succeeded(&self) -> bool;
}

/// What to do about a refusal, for those of which there is something to say.
fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::TargetNotFound => {
            ": is that client still connected? receive-files prints its id when it begins"
        }
        ErrorCode::TransferLimit | ErrorCode::TooLarge => {
            ": the [files] section of the server's config sets its limits"
        }
        ErrorCode::TransferTimeout => {
            ": did anybody run receive-files in that room, and is everyone still there?"
        }
        ErrorCode::TransferUnknown | ErrorCode::TransferLost => {
            ": send it again; receive-files --resume goes on from what it has"
        }
        ErrorCode::TransferCorrupt => ": was the file changed while it was sent? Send it again",
        ErrorCode::Forbidden => ": the server does not let this client do that",
        _ => "",
    }
}

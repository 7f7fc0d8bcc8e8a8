//! Masks what an embedding program says.

use super::text::{Field, Text};
use super::utf8::Utf8;
use crate::server::{Command, Outcome, Server};

/// Masks a whole JSON text as a [`Masker`](super::Masker) masks those of clients: the same length, the same structure. O(length).
#[must_use]
pub fn mask_json(text: &str) -> String {
    let mut masker = Text::default();
    let bytes = text.bytes().map(|byte| masker.masked(byte)).collect();
    // Valid text is masked by valid text.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Masks what somebody has said under `field`, as it is masked in his message.
pub(crate) fn mask_said(text: &str, field: Said) -> String {
    let mut masker = Text::value(match field {
        Said::Data => Field::Data,
        Said::Metadata => Field::Metadata,
    });
    let bytes = text.bytes().map(|byte| masker.masked(byte)).collect();
    String::from_utf8(bytes).unwrap_or_default()
}

/// What a JSON text is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    Data,
    Metadata,
}

/// Masks text for people; what JSON must escape stays, as it takes more bytes there.
fn mask_prose(text: &str) -> String {
    let mut utf8 = Utf8::default();
    let masked = |byte: u8| match byte {
        b'"' | b'\\' | 0..0x20 => byte,
        _ => b'x',
    };
    let bytes = text.bytes().map(|byte| utf8.masked(byte, masked)).collect();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Masks what the program answers.
pub(crate) fn mask_outcome(outcome: &mut Outcome) {
    match outcome {
        Outcome::Ack => {}
        Outcome::Reply(message) => *message = mask_json(message),
        Outcome::Error { message, .. } => *message = mask_prose(message),
    }
}

/// Masks payloads; rooms, connections and codes stay.
pub(in crate::replay) fn mask_command(command: &mut Command, server: &Server) {
    match command {
        Command::Send { message, .. } | Command::Publish { message, .. } => {
            *message = mask_json(message);
        }
        Command::Reply { outcome, .. } => mask_outcome(outcome),
        Command::GiveSession { session, .. } => {
            if let Some(session) = session {
                *session = session.masked(server.has_sealed(session));
            }
        }
        Command::Close { reason, .. } => *reason = mask_prose(reason),
        Command::Kick { .. }
        | Command::Fail { .. }
        | Command::Drain
        | Command::Abandon
        | Command::TakeSession { .. }
        | Command::Explain { .. } => {}
    }
}

//! Takes what was said out of what a connection sent, byte for byte as it arrives, and leaves what decides.
//!
//! A masked stream is as long as the original, however it is cut, and a server makes the same decisions on it: the
//! same outputs for the same connections, with the same numbers of bytes. What stays readable:
//!
//! - of a header of the PROXY protocol: the addresses;
//! - of a request: the request line up to `?`, header names, and the values of the headers that decide (host,
//!   origin, addresses of proxies, lengths, the handshake);
//! - of a frame: its header and mask key; of a close frame the code;
//! - of JSON text: its structure, the top-level keys, the values of `type`, `room`, `to`, `id`, `after`, `limit`,
//!   `timestamp`, `transferId`, `transferSecret`, `clientId`, `sessionSecret`, `messageId`, `ttlMs` and `key`, numbers under `transfer`, `offset`, `size` and `window`, the
//!   keys of `metadata`, `true`, `false` and `null`; of `encoding` as much as spells `base64`; and of an object under
//!   `data` as much of a `type` as spells one of the server's types. The same of each object in `messages`;
//! - of a frame of the binary dialect: the same fields, its type and its lengths.
//!
//! Everything else becomes `x`, `1`, zero bytes, or other characters of the same length; what is malformed stays
//! malformed at the same byte. A string under `data` becomes the base64 of zero bytes as far as it is base64, and says
//! where it is not. A `hash` becomes zeros. Of a `name`, a `mimeType` and a `reason` those characters stay that
//! separate the parts of a path, are left out of file names or must be escaped.
//!
//! A binary message that is a whole file is masked as if it were a frame: unless it looks like one, its first bytes
//! are all that stays.
//!
//! Names of rooms and of clients stay: they decide. So do the secrets of transfers, which let a sender go on: they
//! come from the seed, which a recording holds.

mod binary;
mod command;
mod frames;
mod head;
mod proxy;
mod strings;
mod text;
mod utf8;

#[cfg(test)]
mod tests;

use crate::config::Limits;
use crate::http::{BodyDiscard, Framing, HeadLimits};

pub(super) use command::mask_command;
pub use command::mask_json;
pub(crate) use command::{Said, mask_outcome, mask_said};
use frames::Frames;
use head::{Ended, Head};
use proxy::Preface;

/// Masks what one connection sends to a server.
///
/// Total: any bytes in any pieces. Holds a copy of an unfinished request head, as long as the limits let it be,
/// and some hundred bytes for a connection that speaks WebSocket.
#[derive(Debug)]
pub struct Masker {
    head_limits: HeadLimits,
    max_body_bytes: u64,
    max_message_bytes: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// What a proxy says before the first request.
    Preface(Preface),
    Head(Head),
    Body(BodyDiscard),
    /// Behind a handshake that a server may have accepted or not: the next byte tells.
    Upgraded,
    Frames(Box<Frames>),
    /// A server has given up on it: only the number of bytes counts.
    Over,
}

impl Masker {
    /// For a new connection of a server with these limits.
    pub fn new(limits: &Limits) -> Self {
        Self {
            head_limits: HeadLimits {
                max_bytes: limits.max_head_bytes,
                max_headers: limits.max_headers,
            },
            max_body_bytes: limits.max_body_bytes,
            max_message_bytes: limits.max_message_bytes as u64,
            stage: Stage::Head(Head::new()),
        }
    }

    /// For one of a listener that asks for the PROXY protocol
    /// ([`ListenerConfig::proxy_protocol`](crate::config::ListenerConfig::proxy_protocol)).
    pub fn behind_proxy(limits: &Limits) -> Self {
        Self {
            stage: Stage::Preface(Preface::default()),
            ..Self::new(limits)
        }
    }

    /// Masks the next bytes in place. O(bytes).
    pub fn mask(&mut self, mut bytes: &mut [u8]) {
        while let Some(&first) = bytes.first() {
            let taken = match &mut self.stage {
                Stage::Preface(preface) => {
                    let (taken, ended) = preface.mask(bytes);
                    match ended {
                        Some(true) => self.stage = Stage::Head(Head::new()),
                        Some(false) => self.stage = Stage::Over,
                        None => {}
                    }
                    taken
                }
                Stage::Head(head) => {
                    let (taken, ended) = head.mask(bytes, &self.head_limits);
                    if let Some(ended) = ended {
                        self.stage = self.after_head(ended);
                    }
                    taken
                }
                Stage::Body(body) => {
                    if mask_body_byte(body, bytes) {
                        self.stage = after_body(body);
                    }
                    1
                }
                Stage::Upgraded => {
                    // What starts a request cannot start a frame, nor the other way round: either the one is
                    // right or the server gives up here.
                    self.stage = if crate::http::syntax::is_token_byte(first) {
                        Stage::Head(Head::new())
                    } else {
                        Stage::Frames(Box::new(Frames::new(self.max_message_bytes)))
                    };
                    0
                }
                Stage::Frames(frames) => {
                    frames.mask(bytes);
                    return;
                }
                Stage::Over => {
                    bytes.fill(0);
                    return;
                }
            };
            bytes = bytes.get_mut(taken..).unwrap_or_default();
        }
    }

    fn after_head(&self, ended: Ended) -> Stage {
        match ended {
            Ended::Refused => Stage::Over,
            Ended::Handshake => Stage::Upgraded,
            Ended::Request(framing) => self.body(framing),
        }
    }

    fn body(&self, framing: Framing) -> Stage {
        match BodyDiscard::new(framing, self.max_body_bytes) {
            Ok(body) if body.is_done() => Stage::Head(Head::new()),
            Ok(body) => Stage::Body(body),
            Err(_) => Stage::Over,
        }
    }
}

/// Masks the next byte of a body; `true` if that was its last or it is malformed.
fn mask_body_byte(body: &mut BodyDiscard, bytes: &mut [u8]) -> bool {
    let Some(byte) = bytes.first_mut() else {
        return false;
    };
    let original = *byte;
    if body.is_at_content() {
        *byte = 0;
    } else if body.is_at_spare() && original.is_ascii_alphanumeric() {
        *byte = b'x';
    }
    body.feed(&[original]).is_err() || body.is_done()
}

fn after_body(body: &BodyDiscard) -> Stage {
    if body.is_done() {
        Stage::Head(Head::new())
    } else {
        Stage::Over
    }
}

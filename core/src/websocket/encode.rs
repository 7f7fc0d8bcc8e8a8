//! Writing frames (RFC 6455 section 5) into a caller's vector. Knows nothing of queues or connections.
//!
//! A server's frames are not masked, so one encoded frame serves every receiver. Clients mask with a key they
//! draw themselves: randomness is an input.

use super::close::is_sendable_close_code;
use super::mask::apply_mask;
use super::{CloseCode, Control, OpCode, header};

/// The largest frame header: two bytes, a 64-bit length, a mask.
pub const MAX_HEADER_BYTES: usize = header::MAX_BYTES;

/// What a control frame's 125 bytes leave beside the close code (section 5.5).
pub const MAX_CLOSE_REASON_BYTES: usize = 123;

/// How long the header of an unmasked frame is: 2, 4 or 10 bytes. O(1).
pub const fn header_bytes(payload_bytes: u64) -> usize {
    match payload_bytes {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// Appends the header of an unmasked frame (section 5.2); the payload is the caller's to append. O(1).
///
/// `rsv1` marks the first frame of a compressed message (RFC 7692). That control frames are final and at most
/// 125 bytes long is the caller's part.
#[inline]
pub fn put_header(out: &mut Vec<u8>, opcode: OpCode, fin: bool, rsv1: bool, payload_bytes: u64) {
    header::put(out, first_byte(opcode, fin, rsv1), payload_bytes, None);
}

/// Appends a whole unmasked frame: an unfragmented message, or a ping or pong of at most 125 bytes.
/// O(`payload`).
#[inline]
pub fn put_frame(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    out.reserve(header_bytes(payload.len() as u64) + payload.len());
    put_header(out, opcode, true, false, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// Appends a whole frame masked with `key`, as clients must (section 5.3). O(`payload`).
///
/// A key has to be unpredictable and drawn anew for every frame.
pub fn put_masked_frame(
    out: &mut Vec<u8>,
    opcode: OpCode,
    fin: bool,
    rsv1: bool,
    payload: &[u8],
    key: [u8; 4],
) {
    let first = first_byte(opcode, fin, rsv1);
    out.reserve(MAX_HEADER_BYTES + payload.len());
    header::put(out, first, payload.len() as u64, Some(key));
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(written) = out.get_mut(start..) {
        apply_mask(written, key);
    }
}

/// Appends a whole unmasked close frame (section 5.5.1); see [`put_close_payload`] for what it says. O(1).
pub fn put_close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let start = out.len();
    put_header(out, OpCode::Control(Control::Close), true, false, 0);
    put_close_payload(out, code, reason);
    // The payload has at most 125 bytes: its length is the header's second byte, whole.
    let payload_bytes = out.len() - start - header_bytes(0);
    if let Some(length) = out.get_mut(start + 1) {
        *length = payload_bytes as u8;
    }
}

/// Appends what a close frame says: `code` and `reason`, cut at a character's end to
/// [`MAX_CLOSE_REASON_BYTES`]. O(1).
///
/// For a code that must not be sent ([`is_sendable_close_code`]) it appends nothing, which the peer reads as
/// "no code given" (1005).
pub fn put_close_payload(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let code = u16::from(code);
    if !is_sendable_close_code(code) {
        return;
    }
    out.extend_from_slice(&code.to_be_bytes());
    let mut end = reason.len().min(MAX_CLOSE_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    out.extend_from_slice(reason.as_bytes().get(..end).unwrap_or_default());
}

fn first_byte(opcode: OpCode, fin: bool, rsv1: bool) -> u8 {
    u8::from(opcode) & 0x0f | if fin { 0x80 } else { 0 } | if rsv1 { 0x40 } else { 0 }
}

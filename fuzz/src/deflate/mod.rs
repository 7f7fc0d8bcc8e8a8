//! Compressed messages (RFC 7692), written and read.
//!
//! Promises of the compressors: whatever came before, what comes out is shorter than the message, refers back no
//! farther than it may, and is the message to whoever inflates it; memory is as they say. Of the inflater: what
//! another reader takes is a message, and nothing else; it is never larger than it may be, nor is what is held; how it
//! comes in pieces makes no difference; what went wrong before makes none.

mod independent;
mod messages;
mod payloads;
mod reference;

use crate::input::Choices;

/// One byte that says which way, then the recipe of messages or payloads.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    if choices.flag() {
        payloads::run(&mut choices);
    } else {
        messages::run(&mut choices);
    }
}

/// A payload and its message (RFC 7692 section 7.2.3.1).
const HELLO: (&[u8], &[u8]) = (b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"Hello");

//! Compressed messages (RFC 7692) as a client reads and writes them, with another implementation of DEFLATE than the
//! server's.

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress, create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::decompress_to_vec;

use crate::frame::{Opcode, masked};

/// What a sender leaves out at the end.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
/// A final block with nothing in it: the end of a stream that has none.
const LAST: [u8; 5] = [0x01, 0x00, 0x00, 0xFF, 0xFF];

/// The message that a compressed payload stands for; panics at one that is none.
pub fn inflated(payload: &[u8]) -> Vec<u8> {
    let stream = [payload, &TAIL, &LAST].concat();
    decompress_to_vec(&stream).expect("a compressed message")
}

/// A payload that stands for a message.
pub fn deflated(message: &[u8]) -> Vec<u8> {
    let flags = create_comp_flags_from_zip_params(6, -15, 0);
    let mut context = CompressorOxide::new(flags);
    let mut payload = vec![0; message.len() + message.len() / 8 + 1_000];
    let (_, read, written) = compress(&mut context, message, &mut payload, TDEFLFlush::Sync);
    assert_eq!(read, message.len(), "there was room");
    payload.truncate(written);
    assert!(payload.ends_with(&TAIL), "it was flushed");
    payload.truncate(written - TAIL.len());
    payload
}

/// The first frame of a compressed message, of which `payload` is the compressed beginning, as a client sends it.
pub fn compressed(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = masked(opcode, fin, payload);
    frame[0] |= 0x40;
    frame
}

/// Whether an upgrade's response agrees on compression.
pub(crate) fn is_agreed(head: &str) -> bool {
    head.contains("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover")
}

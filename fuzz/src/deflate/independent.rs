//! What another inflater (`miniz_oxide`) makes of a payload.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use roomwire_core::websocket::deflate::Window;

use super::reference::ENDING;

/// The message that a payload stands for, for a receiver that remembers no more than `window`: what refers back
/// farther finds something else.
pub(super) fn through_window(payload: &[u8], window: Window) -> Vec<u8> {
    let input = [payload, &ENDING[..4]].concat();
    let mut ring = vec![0; 1 << window.bits()];
    let mut context = DecompressorOxide::new();
    let (mut message, mut read, mut at) = (Vec::new(), 0, 0);
    loop {
        let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        let (status, took, gave) = decompress(&mut context, &input[read..], &mut ring, at, flags);
        message.extend_from_slice(&ring[at..at + gave]);
        read += took;
        at = (at + gave) % ring.len();
        match status {
            TINFLStatus::HasMoreOutput => {}
            // No block says to be the last one.
            TINFLStatus::NeedsMoreInput if read == input.len() => return message,
            _ => panic!("not a message: {status:?}"),
        }
    }
}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Corrupt,
    TooLarge,
}

/// The message that a payload stands for, one final block after the other.
pub(super) fn message(payload: &[u8], max_bytes: usize) -> Result<Vec<u8>, Failure> {
    let input = [payload, &ENDING].concat();
    let mut message = vec![0; max_bytes + 1];
    let (mut read, mut written) = (0, 0);
    while read != payload.len() && read < input.len() {
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let into = &mut message[written..];
        let mut context = DecompressorOxide::new();
        let (status, took, gave) = decompress(&mut context, &input[read..], into, 0, flags);
        read += took;
        written += gave;
        if written > max_bytes {
            return Err(Failure::TooLarge);
        }
        if status != TINFLStatus::Done {
            return Err(Failure::Corrupt);
        }
    }
    message.truncate(written);
    Ok(message)
}

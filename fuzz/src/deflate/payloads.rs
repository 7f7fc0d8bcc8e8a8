//! Anything as compressed payloads, one after the other through one inflater.

use miniz_oxide::deflate::compress_to_vec;
use roomwire_core::websocket::deflate::Inflater;
use roomwire_core::websocket::{
    Data, DataKind, DecodeError, Decoder, MessageLimits, OpCode, Role, Step, put_header,
};

use super::messages::{CONTEXT_BYTES, KEPT_BYTES, Random};
use super::reference::{self, Failure};
use super::{HELLO, independent};
use crate::input::{Choices, Cuts};

/// For each payload: a cap, where it is cut, then the payload or the recipe for one.
pub(super) fn run(choices: &mut Choices<'_>) {
    let mut inflater = Inflater::new();
    let mut largest_cap = HELLO.1.len();
    for _ in 0..8 {
        if choices.is_empty() {
            break;
        }
        let max_bytes = CAPS[choices.below(CAPS.len())];
        let (fragments, pieces) = (Cuts::choose(choices), Cuts::choose(choices));
        let payload = match choices.below(4) {
            0 => choices.rest().to_vec(),
            1 => {
                let length = usize::from(choices.short());
                choices.take(length).to_vec()
            }
            _ => recipe(choices),
        };
        largest_cap = largest_cap.max(max_bytes);
        check(&mut inflater, &payload, max_bytes);
        assert!(inflater.heap_bytes() <= CONTEXT_BYTES + largest_cap + 1);
        check_fragments(&mut inflater, &payload, max_bytes, fragments, pieces);
        // And whatever that came to, the next message does not see it.
        assert_eq!(inflater.inflate(HELLO.0, HELLO.1.len()), Ok(HELLO.1));
        inflater.shrink();
        assert!(inflater.heap_bytes() <= CONTEXT_BYTES + KEPT_BYTES);
    }
}

const CAPS: [usize; 8] = [1_000, 0, 1, 5, 255, 4_096, 70_000, 1 << 18];

/// What another compressor makes of something, its last block a final one; then some bits are flipped, some bytes
/// follow, or some are missing.
fn recipe(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut payload = Vec::new();
    for _ in 0..1 + choices.below(3) {
        let (kind, level) = (choices.below(8), choices.below(11));
        let scale = choices.below(16);
        let mut random = Random::new(choices.short());
        let length = random.length(scale);
        let message = match kind {
            0 => choices.take(length).to_vec(),
            kind => random.message(kind, length),
        };
        payload.extend(compress_to_vec(&message, level as u8));
    }
    for _ in 0..choices.below(4) {
        let at = usize::from(choices.short()) % payload.len().max(1);
        if let Some(byte) = payload.get_mut(at) {
            *byte ^= 1 << choices.below(8);
        }
    }
    match choices.below(4) {
        0 => payload.push(0),
        1 => {
            let at = usize::from(choices.short()) % payload.len().max(1);
            payload.truncate(at);
        }
        2 => {
            let length = choices.below(64);
            payload.extend_from_slice(choices.take(length));
        }
        _ => {}
    }
    payload
}

/// Three readers agree.
fn check(inflater: &mut Inflater, payload: &[u8], max_bytes: usize) {
    let expected = reference::read(payload, max_bytes);
    let came = inflater.inflate(payload, max_bytes).map(<[u8]>::to_vec);
    match (&came, &expected) {
        (Ok(came), Ok(expected)) => assert!(came == expected, "another message"),
        (Err(DecodeError::MessageTooLarge), Err(Failure::TooLarge))
        | (Err(DecodeError::CorruptDeflate), Err(Failure::Corrupt(_))) => {}
        _ => panic!("{:?} instead of {:?}", brief(&came), brief(&expected)),
    }
    let other = independent::message(payload, max_bytes);
    match (&other, &expected) {
        (Ok(other), Ok(expected)) => assert!(other == expected, "another message"),
        (Err(independent::Failure::TooLarge), Err(Failure::TooLarge))
        | (Err(independent::Failure::Corrupt), Err(Failure::Corrupt(_))) => {}
        _ => panic!("{:?} instead of {:?}", brief(&other), brief(&expected)),
    }
}

/// An outcome without its bytes.
fn brief<E: Copy>(outcome: &Result<Vec<u8>, E>) -> Result<usize, E> {
    outcome.as_ref().map(Vec::len).map_err(|error| *error)
}

/// In however many frames it comes, and however they are cut, it is the same message.
fn check_fragments(
    inflater: &mut Inflater,
    payload: &[u8],
    max_bytes: usize,
    fragments: Cuts,
    pieces: Cuts,
) {
    let whole = inflater.inflate(payload, max_bytes).map(<[u8]>::to_vec);
    let mut frames = Vec::new();
    let mut start = 0;
    let mut ends = fragments.ends(payload.len());
    if ends.is_empty() {
        ends.push(0);
    }
    for &end in &ends {
        let opcode = if start == 0 {
            Data::Binary
        } else {
            Data::Continue
        };
        let length = (end - start) as u64;
        let is_last = end == payload.len();
        put_header(
            &mut frames,
            OpCode::Data(opcode),
            is_last,
            start == 0,
            length,
        );
        frames.extend_from_slice(&payload[start..end]);
        start = end;
    }
    let limits = MessageLimits {
        max_frame_bytes: payload.len(),
        max_message_bytes: 4 * payload.len() + 4,
    };
    let mut decoder = Decoder::new(Role::Client).allow_rsv1();
    let mut came = None;
    let mut start = 0;
    for end in pieces.ends(frames.len()) {
        match decoder.decode(&mut frames[start..end], &limits) {
            Ok((Step::NeedMore, _)) => {}
            Ok((Step::Compressed { kind, payload }, consumed)) => {
                assert_eq!((kind, consumed), (DataKind::Binary, end - start));
                came = Some(inflater.inflate(&payload, max_bytes).map(<[u8]>::to_vec));
            }
            other => panic!("{other:?}"),
        }
        start = end;
    }
    assert!(came == Some(whole), "the cuts make a difference");
}

//! Any message comes back as it was; any payload comes to an end.

use proptest::prelude::*;
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

use crate::websocket::deflate::{Compressors, Effort, Inflater, Window};

fn window() -> impl Strategy<Value = Window> {
    prop::sample::select(&Window::ALL[..])
}

/// Messages of all kinds: noise, text, repetitions.
fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..2_000),
        prop::collection::vec(prop::sample::select(&b"abc \"{}:,"[..]), 0..20_000),
        (prop::collection::vec(any::<u8>(), 1..300), 1..200_usize)
            .prop_map(|(part, times)| part.repeat(times)),
    ]
}

/// The reference inflates as section 7.2.2 has it, into as much room as it needs.
fn reference_inflate(payload: &[u8], window: Window, room: usize) -> Vec<u8> {
    let mut message = vec![0; room + 1];
    let mut context = Inflate::new(false, window.bits());
    let input = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
    context
        .decompress(&input, &mut message, InflateFlush::SyncFlush)
        .expect("it is DEFLATE");
    message.truncate(context.total_out() as usize);
    message
}

/// The reference compresses `parts` as section 7.2.1 has it, with a block's end after each.
fn reference_compress(parts: &[Vec<u8>], window: Window, level: i32) -> Vec<u8> {
    let mut context = Deflate::new(level, false, window.bits());
    let mut payload = Vec::new();
    for part in parts {
        let mut into = vec![0; 2 * part.len() + 100];
        let before = context.total_out();
        context
            .compress(part, &mut into, DeflateFlush::SyncFlush)
            .expect("it compresses");
        payload.extend_from_slice(&into[..(context.total_out() - before) as usize]);
    }
    payload.truncate(payload.len() - 4);
    payload
}

proptest! {
    #[test]
    fn what_is_compressed_inflates_to_the_message(message in message(), window in window(), level in 1..=9_u8) {
        let mut compressors = Compressors::new(Effort { level, memory_level: 7 });
        if let Some(payload) = compressors.compress(window, &message) {
            prop_assert!(payload.len() < message.len());
            prop_assert_eq!(&reference_inflate(payload, window, message.len()), &message);
            let mut inflater = Inflater::new();
            prop_assert_eq!(inflater.inflate(payload, message.len()), Ok(&*message));
        }
    }

    #[test]
    fn what_others_compress_inflates_whatever_was_before(
        messages in prop::collection::vec((prop::collection::vec(message(), 1..4), window(), 0..=9), 1..5)
    ) {
        let mut inflater = Inflater::new();
        for (parts, window, level) in messages {
            let message = parts.concat();
            let payload = reference_compress(&parts, window, level);
            prop_assert_eq!(inflater.inflate(&payload, message.len()), Ok(&*message));
            if let Some(less) = message.len().checked_sub(1) {
                prop_assert!(inflater.inflate(&payload, less).is_err());
            }
        }
    }

    /// Nor is a compressor any different for what it has done before.
    #[test]
    fn compressors_are_pure(messages in prop::collection::vec((message(), window()), 1..5)) {
        let mut used = Compressors::new(Effort::DEFAULT);
        for (message, window) in messages {
            let mut fresh = Compressors::new(Effort::DEFAULT);
            prop_assert_eq!(used.compress(window, &message), fresh.compress(window, &message));
        }
    }

    #[test]
    fn any_bytes_come_to_an_end(
        payload in prop::collection::vec(any::<u8>(), 0..500),
        cap in 0..5_000_usize,
    ) {
        let mut inflater = Inflater::new();
        let first = inflater.inflate(&payload, cap).map(<[u8]>::to_vec);
        if let Ok(message) = &first {
            prop_assert!(message.len() <= cap);
        }
        prop_assert!(inflater.heap_bytes() <= cap + 1 + 48_000);
        prop_assert_eq!(inflater.inflate(&payload, cap).map(<[u8]>::to_vec), first);
    }

    /// Valid streams with a flaw.
    #[test]
    fn a_flaw_is_no_catastrophe(
        parts in prop::collection::vec(message(), 1..3),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut payload = reference_compress(&parts, Window::MAX, 6);
        for (at, bit) in flips {
            let at = at.index(payload.len());
            payload[at] ^= 1 << bit;
        }
        payload.truncate(cut.index(payload.len()) + 1);
        let mut inflater = Inflater::new();
        let first = inflater.inflate(&payload, 100_000).map(<[u8]>::to_vec);
        prop_assert_eq!(inflater.inflate(&payload, 100_000).map(<[u8]>::to_vec), first);
    }
}

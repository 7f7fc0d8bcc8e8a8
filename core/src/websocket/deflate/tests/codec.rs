//! The examples of RFC 7692, and what lies at the edges.

use zlib_rs::DeflateFlush;

use crate::websocket::DecodeError;
use crate::websocket::deflate::{Compressors, Effort, Inflater, TAIL, Window};

const CAP: usize = 1 << 20;

fn inflate(payload: &[u8]) -> Result<Vec<u8>, DecodeError> {
    Inflater::new().inflate(payload, CAP).map(<[u8]>::to_vec)
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Section 7.2.3.
#[test]
fn the_examples_are_golden() {
    let cases: [(&[u8], &[u8]); 7] = [
        // 7.2.3.1: one block with fixed codes.
        (b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"Hello"),
        // 7.2.3.3: a stored block.
        (b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", b"Hello"),
        // 7.2.3.4: a final block, and the empty one after it.
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello"),
        // 7.2.3.5: two blocks.
        (
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            b"Hello",
        ),
        // 7.2.3.6: an empty message.
        (b"\x00", b""),
        (b"\x02\x00", b""),
        // Two final blocks.
        (
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            b"HelloHello",
        ),
    ];
    for (payload, message) in cases {
        assert_eq!(
            inflate(payload).as_deref(),
            Ok(message),
            "{}",
            payload.escape_ascii()
        );
    }
    // 7.2.3.2: the second message of a sender that may refer back. Here that was not agreed on.
    let mut inflater = Inflater::new();
    let first = inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", CAP);
    assert_eq!(first, Ok(&b"Hello"[..]));
    let second = inflater.inflate(b"\xf2\x00\x11\x00\x00", CAP);
    assert_eq!(second, Err(DecodeError::CorruptDeflate));
    // And it spoils nothing.
    let third = inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", CAP);
    assert_eq!(third, Ok(&b"Hello"[..]));
}

/// What zlib made of it: `zlib.compressobj(6, zlib.DEFLATED, -9)` of Python, flushed with `Z_SYNC_FLUSH`.
#[test]
fn what_zlib_makes_is_understood() {
    let vector = include_bytes!("zlib-9.bin");
    let message = (0..1_000).map(|n| format!("{{\"n\":{n},\"square\":{}}}", n * n));
    let message: String = message.collect();
    assert_eq!(inflate(vector).as_deref(), Ok(message.as_bytes()));
}

#[test]
fn a_final_block_does_not_deafen_the_next_message() {
    let mut inflater = Inflater::new();
    for _ in 0..3 {
        for payload in [
            &b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"[..],
            b"\xf2\x48\xcd\xc9\xc9\x07\x00",
        ] {
            assert_eq!(inflater.inflate(payload, CAP), Ok(&b"Hello"[..]));
        }
    }
}

#[test]
fn odd_payloads_that_others_send_are_understood() {
    for (payload, message) in [
        // Nothing at all.
        (&b""[..], &b""[..]),
        // A final block without the empty one after it.
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00", b"Hello"),
        (b"\x03\x00", b""),
        // Nothing was left out at the end.
        (
            b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x00",
            b"Hello",
        ),
        // A lot of empty blocks.
        (&b"\x00\x00\x00\xff\xff".repeat(1_000)[..4_996], b""),
    ] {
        assert_eq!(
            inflate(payload).as_deref(),
            Ok(message),
            "{}",
            payload.escape_ascii()
        );
    }
}

#[test]
fn what_is_corrupt_is_refused() {
    let whole = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let cases: [&[u8]; 9] = [
        // A reserved type of block.
        b"\x06",
        b"\xff\xff\xff\xff",
        // Lengths of a stored block that do not match.
        b"\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00",
        // A reference to what never was.
        b"\xf2\x00\x11\x00\x00",
        // The middle of a block.
        &whole[..3],
        &whole[..5],
        b"\x00\x0f\x00\xf0\xff\x48\x65",
        // Codes of a dynamic block that are none.
        b"\x04\xc0\x81\x08\x00",
        // A final block, then garbage.
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x06",
    ];
    let mut inflater = Inflater::new();
    for payload in cases {
        let outcome = inflater.inflate(payload, CAP);
        assert_eq!(
            outcome,
            Err(DecodeError::CorruptDeflate),
            "{}",
            payload.escape_ascii()
        );
        assert_eq!(inflater.inflate(whole, CAP), Ok(&b"Hello"[..]));
    }
}

#[test]
fn the_cap_is_the_last_byte() {
    let message = vec![b'a'; 100_000];
    let mut compressors = Compressors::new(Effort::DEFAULT);
    let payload = compressors
        .compress(Window::MAX, &message)
        .expect("it is worth while");
    let mut inflater = Inflater::new();
    for (cap, fits) in [
        (0, false),
        (1, false),
        (99_999, false),
        (100_000, true),
        (100_001, true),
        (usize::MAX, true),
    ] {
        let expected = if fits {
            Ok(&*message)
        } else {
            Err(DecodeError::MessageTooLarge)
        };
        assert_eq!(inflater.inflate(payload, cap), expected, "{cap}");
    }
    // No smaller cap leaves room for what is longer.
    assert_eq!(
        inflater.inflate(payload, 99_999),
        Err(DecodeError::MessageTooLarge)
    );
    assert_eq!(inflater.inflate(b"", 0), Ok(&b""[..]));
    assert_eq!(inflater.inflate(b"\x00", 0), Ok(&b""[..]));
    assert_eq!(
        inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", 4),
        Err(DecodeError::MessageTooLarge)
    );
    assert_eq!(
        inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", 5),
        Ok(&b"Hello"[..])
    );
}

/// One byte, one too many, and behind it a block of a reserved type.
#[test]
fn what_is_too_large_is_not_read_on() {
    let payload = b"\x00\x02\x00\xfd\xffaa\x06";
    for (cap, error) in [
        (0, DecodeError::MessageTooLarge),
        (1, DecodeError::MessageTooLarge),
        (2, DecodeError::CorruptDeflate),
    ] {
        let mut inflater = Inflater::new();
        assert_eq!(inflater.inflate(payload, cap), Err(error), "{cap}");
    }
}

/// A thousand to one.
#[test]
fn a_bomb_takes_no_more_memory_than_the_cap() {
    // In one block.
    let mut bomb = vec![0; 100_000];
    let mut zlib = zlib_rs::Deflate::new(9, false, Window::MAX.bits());
    let made = zlib.compress(&vec![0; 64 << 20], &mut bomb, DeflateFlush::SyncFlush);
    made.expect("there is room");
    bomb.truncate(zlib.total_out() as usize - TAIL.len());
    assert!(bomb.len() < 70_000, "{}", bomb.len());
    let mut inflater = Inflater::new();
    assert_eq!(
        inflater.inflate(&bomb, CAP),
        Err(DecodeError::MessageTooLarge)
    );
    let held = inflater.heap_bytes();
    assert!(held <= CAP + 1 + 48_000, "{held}");
    inflater.shrink();
    assert!(inflater.heap_bytes() <= 48_000);
    assert_eq!(
        inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", CAP),
        Ok(&b"Hello"[..])
    );
}

#[test]
fn what_does_not_shrink_is_not_compressed() {
    let mut compressors = Compressors::new(Effort::DEFAULT);
    for message in [
        &b""[..],
        b"a",
        b"Hello",
        &noise(100),
        &noise(1_000),
        &noise(100_000),
    ] {
        assert_eq!(
            compressors.compress(Window::MAX, message),
            None,
            "{} bytes",
            message.len()
        );
    }
    let barely = b"aaaaaaaa".as_slice();
    let payload = compressors
        .compress(Window::MAX, barely)
        .expect("it is worth while")
        .to_vec();
    assert!(payload.len() < barely.len());
    assert_eq!(inflate(&payload).as_deref(), Ok(barely));
}

/// Bytes that hardly compress, or match a little now and then, over the ends of all blocks: zlib-rs has a table of
/// symbols that must not be filled.
#[test]
fn noise_of_any_kind_and_length_is_compressed_or_not() {
    let noise = noise(1 << 18);
    for memory_level in [1, 7, 9] {
        let mut compressors = Compressors::new(Effort {
            level: 3,
            memory_level,
        });
        for number in 0..150_usize {
            let len = 8_000 + number * 797;
            let of = [256_usize, 255, 251, 200, 128, 64][number % 6];
            let from = number * 811;
            let mut message: Vec<u8> = noise[from..from + len].to_vec();
            message
                .iter_mut()
                .for_each(|byte| *byte = (usize::from(*byte) % of) as u8);
            for at in (0..len - 8).step_by(97 + number) {
                message.copy_within(at..at + 4, at + 4);
            }
            if let Some(payload) = compressors.compress(Window::MAX, &message) {
                assert_eq!(inflate(payload).as_deref(), Ok(&*message));
            }
        }
    }
}

/// Of bytes that have the longest of the fixed codes, too: a context that ran out of room would be thrown away.
#[test]
fn noise_finds_room_at_every_effort() {
    let high: Vec<u8> = noise(100_000).iter().map(|byte| byte | 0x90).collect();
    for level in 1..=9 {
        for memory_level in 1..=9 {
            let mut compressors = Compressors::new(Effort {
                level,
                memory_level,
            });
            for window in [Window::Bits9, Window::MAX] {
                for message in [&high[..1_000], &high] {
                    compressors.compress(window, message);
                }
            }
            compressors.shrink();
            let held = compressors.heap_bytes();
            assert!(held > 390_000, "{level} {memory_level}: {held}");
        }
    }
}

#[test]
fn no_message_shows_in_another() {
    let (one, other) = (b"one message ".repeat(50), b"another message ".repeat(50));
    let mut compressors = Compressors::new(Effort::DEFAULT);
    for window in Window::ALL {
        let first = compressors.compress(window, &one).map(<[u8]>::to_vec);
        assert!(first.is_some());
        // What is given up is forgotten, too.
        assert_eq!(compressors.compress(window, &noise(5_000)), None);
        compressors
            .compress(window, &other)
            .expect("it is worth while");
        assert_eq!(
            compressors.compress(window, &one).map(<[u8]>::to_vec),
            first,
            "{window:?}"
        );
    }
}

/// A repetition that lies farther back than the window cannot be referred to.
#[test]
fn a_window_is_kept_to() {
    for window in Window::ALL {
        let part = noise(1 << window.bits());
        let twice = [&part[..], &part, &part].concat();
        let mut compressors = Compressors::new(Effort::DEFAULT);
        assert_eq!(compressors.compress(window, &twice), None, "{window:?}");
        let half = &part[..part.len() / 4];
        let twice = [half, half, half].concat();
        assert!(compressors.compress(window, &twice).is_some(), "{window:?}");
    }
}

#[test]
fn any_effort_is_taken_for_the_nearest() {
    let message = b"the same again ".repeat(100);
    let compressed = |level, memory_level| {
        let mut compressors = Compressors::new(Effort {
            level,
            memory_level,
        });
        compressors
            .compress(Window::Bits12, &message)
            .map(<[u8]>::to_vec)
    };
    for (out, near) in [((0, 0), (1, 1)), ((10, 10), (9, 9)), ((255, 255), (9, 9))] {
        assert_eq!(compressed(out.0, out.1), compressed(near.0, near.1));
    }
    for level in 1..=9 {
        for memory_level in 1..=9 {
            let payload = compressed(level, memory_level).expect("it is worth while");
            assert_eq!(inflate(&payload).as_deref(), Ok(&*message));
        }
    }
}

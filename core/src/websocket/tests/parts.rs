//! Masking, UTF-8 and headers by themselves, against the standard library and tungstenite.

use std::io::Cursor;

use proptest::prelude::*;
use tungstenite::protocol::frame::FrameHeader;

use super::super::header::{First, Second};
use super::super::utf8::{Utf8Validator, is_valid_prefix};
use super::*;

proptest! {
    #[test]
    fn masking_twice_gives_the_original_at_any_offset(
        original in prop::collection::vec(any::<u8>(), 0..600),
        key: [u8; 4],
        cut in 0_usize..600,
        skipped in 0_usize..40,
    ) {
        let skipped = skipped.min(original.len());
        let mut masked = original.clone();
        apply_mask(&mut masked[skipped..], key);
        for (at, (&masked, &original)) in masked[skipped..].iter().zip(&original[skipped..]).enumerate() {
            prop_assert_eq!(masked, original ^ key[at % 4]);
        }
        let cut = cut.clamp(skipped, original.len());
        apply_mask(&mut masked[skipped..cut], key);
        apply_mask(&mut masked[cut..], rotate_mask(key, cut - skipped));
        prop_assert_eq!(masked, original);
    }

    #[test]
    fn text_in_pieces_is_judged_as_the_standard_library_judges_it_whole(
        bytes in nearly_text(),
        mut cuts in prop::collection::vec(0_usize..80, 0..6),
    ) {
        cuts.iter_mut().for_each(|cut| *cut = (*cut).min(bytes.len()));
        cuts.sort_unstable();
        let whole = core::str::from_utf8(&bytes);
        prop_assert_eq!(validate(&bytes, cuts).ok(), whole.ok().map(str::to_owned));
        let every_byte = validate(&bytes, 1..bytes.len());
        prop_assert_eq!(every_byte.as_deref().ok(), whole.ok());
        // Byte by byte it fails at the byte where the standard library sees it cannot be saved.
        if let Err(at) = every_byte {
            let saved = |end: usize| match core::str::from_utf8(&bytes[..end]) {
                Ok(_) => true,
                Err(error) => error.error_len().is_none(),
            };
            prop_assert!(saved(at));
            prop_assert!(at == bytes.len() || !saved(at + 1));
            prop_assert_eq!(is_valid_prefix(&bytes), at == bytes.len());
        }
    }

    #[test]
    fn headers_are_written_as_tungstenite_writes_them(
        first: u8,
        payload_bytes in length(),
        mask: Option<[u8; 4]>,
    ) {
        let mut ours = Vec::new();
        header::put(&mut ours, first, payload_bytes, mask);
        let mut theirs = Vec::new();
        tungstenite_header(first, mask).format(payload_bytes, &mut theirs).expect("a vector");
        prop_assert_eq!(&ours, &theirs);
        prop_assert!(ours.len() <= MAX_HEADER_BYTES);
        let mask_bytes = mask.map_or(0, |key| key.len());
        prop_assert_eq!(ours.len(), header_bytes(payload_bytes) + mask_bytes);
    }

    #[test]
    fn headers_are_read_as_tungstenite_reads_them(
        mut bytes in prop::collection::vec(any::<u8>(), 0..16),
        second in prop::sample::select(vec![0, 1, 125, 126, 127, 0x80, 0xfd, 0xfe, 0xff]),
    ) {
        if let Some(byte) = bytes.get_mut(1) {
            *byte = second;
        }
        let mut cursor = Cursor::new(&bytes);
        match FrameHeader::parse(&mut cursor) {
            Ok(Some((theirs, length))) => {
                let (first, second) = (First(bytes[0]), Second(bytes[1]));
                prop_assert_eq!(first.fin(), theirs.is_final);
                prop_assert_eq!(first.rsv1(), theirs.rsv1);
                prop_assert_eq!(first.rsv2_or_rsv3(), theirs.rsv2 || theirs.rsv3);
                prop_assert!(first.kind().is_some());
                prop_assert_eq!(second.masked(), theirs.mask.is_some());
                let ours = second.length(&bytes[2..]);
                prop_assert_eq!((ours.least, ours.most), (length, length));
                let mask_bytes = theirs.mask.map_or(0, |key| key.len());
                prop_assert_eq!(2 + ours.field_bytes + mask_bytes, cursor.position() as usize);
            }
            Ok(None) => {}
            Err(_) => prop_assert!(First(bytes[0]).kind().is_none()),
        }
    }

    #[test]
    fn what_is_known_of_a_length_only_narrows(
        second in 126_u8..=127,
        field in prop::collection::vec(any::<u8>(), 8),
    ) {
        let mut before = Second(second).length(&[]);
        for known in 1..=field.len() {
            let now = Second(second).length(&field[..known]);
            prop_assert!(before.least <= now.least && now.most <= before.most);
            prop_assert!(now.least <= now.most);
            before = now;
        }
        prop_assert_eq!(before.least, before.most);
    }
}

#[test]
fn the_bulk_of_long_text_takes_the_fast_path_and_its_edges_are_right() {
    let text = "aß€😀".repeat(100);
    for cut in 0..text.len() {
        assert_eq!(validate(text.as_bytes(), [cut]).as_deref(), Ok(&text[..]));
    }
    let mut broken = text.into_bytes();
    broken[501] = 0xff;
    for cut in 0..broken.len() {
        assert!(validate(&broken, [cut]).is_err());
    }
}

/// The text gathered from pieces; on failure, where the piece starts that shows it, or the end.
fn validate(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Result<String, usize> {
    let mut validator = Utf8Validator::new();
    let mut text = String::new();
    let mut start = 0;
    for end in cuts.into_iter().chain([bytes.len()]) {
        let valid = validator.push(&bytes[start..end]).map_err(|_| start)?;
        text.extend(valid.completed);
        text.push_str(valid.text);
        assert_eq!(text.len() + validator.pending_bytes(), end);
        start = end;
    }
    if validator.is_complete() {
        Ok(text)
    } else {
        Err(bytes.len())
    }
}

/// Text with at most a few bytes of damage.
fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::collection::vec((0_usize..80, any::<u8>()), 0..3);
    (
        "[a-cß€😀\u{7ff}\u{800}\u{ffff}\u{10000}]{0,20}",
        damage,
        any::<bool>(),
    )
        .prop_map(|(text, damage, cut)| {
            let mut bytes = text.into_bytes();
            for (at, byte) in damage {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            if cut {
                bytes.pop();
            }
            bytes
        })
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..300,
        65_500_u64..65_600,
        any::<u64>(),
        prop::sample::select(vec![125, 126, 65_535, 65_536, u64::MAX]),
    ]
}

fn tungstenite_header(first: u8, mask: Option<[u8; 4]>) -> FrameHeader {
    FrameHeader {
        is_final: first & 0x80 != 0,
        rsv1: first & 0x40 != 0,
        rsv2: first & 0x20 != 0,
        rsv3: first & 0x10 != 0,
        opcode: OpCode::from(first & 0x0f),
        mask,
    }
}

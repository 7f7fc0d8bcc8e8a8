use proptest::prelude::*;

use super::super::frame::{Frames, begin, end};
use super::*;

fn frames(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, payload) in payloads.iter().enumerate() {
        let start = begin(&mut bytes, 0x40, index as u64);
        bytes.extend_from_slice(payload);
        end(&mut bytes, start);
    }
    bytes
}

/// Everything that comes out of `pieces`, and how it ended.
fn collect(stream: &mut FrameStream, pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), FrameTooLong>) {
    let mut all = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            match stream.next(&mut piece) {
                Ok(Some(frame)) => all.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => return (all, Err(error)),
            }
        }
        assert!(piece.is_empty());
    }
    (all, Ok(()))
}

#[test]
fn a_frame_that_is_whole_is_lent_and_nothing_is_held() {
    let bytes = frames(&[b"tea".to_vec(), Vec::new()]);
    let mut stream = FrameStream::new(16);
    let mut input = &bytes[..];
    let frame = stream.next(&mut input).expect("short").expect("whole");
    assert_eq!(frame.as_ptr(), bytes.as_ptr());
    assert_eq!((frame, input), bytes.split_at(16));
    assert_eq!(stream.next(&mut input), Ok(Some(&bytes[16..])));
    assert_eq!(stream.next(&mut input), Ok(None));
    assert_eq!((stream.held_bytes(), stream.unfinished.capacity()), (0, 0));
}

#[test]
fn what_is_held_is_what_has_come_and_is_let_go() {
    let bytes = frames(&[vec![7; 1_000]]);
    let mut stream = FrameStream::new(usize::MAX);
    for end in 1..bytes.len() {
        assert_eq!(stream.next(&mut &bytes[end - 1..end]), Ok(None));
        assert_eq!(stream.held_bytes(), end);
        assert!(stream.unfinished.capacity() <= 2 * end.max(13));
    }
    let last = &bytes[bytes.len() - 1..];
    assert_eq!(stream.next(&mut &*last), Ok(Some(&bytes[..])));
    assert_eq!(stream.held_bytes(), 0);
    assert_eq!(stream.next(&mut &[][..]), Ok(None));
    assert_eq!(stream.unfinished.capacity(), 0);
}

// covers A5-03
#[test]
fn a_frame_beyond_the_limit_is_refused_at_its_header() {
    let bytes = frames(&[vec![0; 4]]);
    assert!(FrameStream::new(17).next(&mut &bytes[..]).is_ok());
    let mut stream = FrameStream::new(16);
    assert_eq!(stream.next(&mut &bytes[..12]), Ok(None));
    let mut rest = &bytes[12..];
    for _ in 0..2 {
        assert_eq!(stream.next(&mut rest), Err(FrameTooLong));
        assert_eq!((rest, stream.held_bytes()), (&bytes[13..], 13));
    }
    let mut claims = bytes;
    claims[9..13].fill(0xFF);
    let mut stream = FrameStream::new(1 << 20);
    let mut rest = &claims[..];
    assert_eq!(stream.next(&mut rest), Err(FrameTooLong));
    assert_eq!(stream.next(&mut rest), Err(FrameTooLong));
    assert!(stream.unfinished.capacity() <= 64);
}

proptest! {
    // covers A5-11
    #[test]
    fn any_split_gives_the_same_frames(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        cut_off in 0_usize..50,
        max in 13_usize..60,
    ) {
        let mut bytes = frames(&payloads);
        bytes.truncate(bytes.len().saturating_sub(cut_off / 10 * (cut_off % 10)));
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        ends.extend([0, bytes.len()]);
        ends.sort_unstable();
        let pieces: Vec<&[u8]> = ends.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let split = collect(&mut FrameStream::new(max), &pieces);
        let whole = collect(&mut FrameStream::new(max), &[&bytes]);
        prop_assert_eq!(&split, &whole);
        let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&collect(&mut FrameStream::new(max), &bytewise), &whole);
        // Up to the first that is too long, they are those of a reader that has it all.
        let all = Frames::of(&bytes).map(<[u8]>::to_vec);
        let expected: Vec<_> = all.take_while(|frame| frame.len() <= max).collect();
        prop_assert_eq!(whole.0, expected);
    }
}

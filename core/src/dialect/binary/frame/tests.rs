use super::*;

#[test]
fn a_frame_is_thirteen_bytes_and_its_payload() {
    let mut bytes = Vec::new();
    let start = begin(&mut bytes, 0x40, 0x0102_0304_0506_0708);
    bytes.extend_from_slice(b"tea");
    end(&mut bytes, start);
    let expected = [0x40, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 3, b't', b'e', b'a'];
    assert_eq!(bytes, expected);
    let frame = Frame {
        kind: 0x40,
        timestamp: 0x0102_0304_0506_0708,
        payload: b"tea",
    };
    assert_eq!(Frame::parse(&bytes), Ok(frame));
}

#[test]
fn a_frame_is_neither_shorter_nor_longer_than_it_says() {
    let mut bytes = vec![7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2];
    for length in 0..13 {
        assert_eq!(Frame::parse(&bytes[..length]), Err(FrameError::NoHeader));
    }
    for length in 13..15 {
        assert_eq!(Frame::parse(&bytes[..length]), Err(FrameError::Short));
    }
    assert!(Frame::parse(&bytes).is_ok());
    bytes.push(3);
    assert_eq!(Frame::parse(&bytes), Err(FrameError::Long));
    // A length that nobody has sent costs nothing.
    bytes[9..13].copy_from_slice(&[0xFF; 4]);
    assert_eq!(Frame::parse(&bytes), Err(FrameError::Short));
}

#[test]
fn frames_follow_each_other() {
    let mut bytes = Vec::new();
    for kind in 1..4 {
        let start = begin(&mut bytes, kind, 0);
        bytes.resize(bytes.len() + usize::from(kind), kind);
        end(&mut bytes, start);
    }
    let mut frames = Frames::of(&bytes);
    let kinds = frames.by_ref().map(|frame| (frame[0], frame.len()));
    assert_eq!(kinds.collect::<Vec<_>>(), [(1, 14), (2, 15), (3, 16)]);
    assert_eq!(frames.left(), 0);
    let mut cut = Frames::of(&bytes[..bytes.len() - 1]);
    assert_eq!(cut.by_ref().count(), 2);
    assert_eq!(cut.left(), 15);
}

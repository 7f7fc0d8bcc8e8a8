//! Streams of frames, right and damaged: how they are cut changes nothing, and what is written is read back.

use proptest::prelude::*;

use super::*;

/// A message as a sender cuts it, or a control frame.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Data { text: bool, fragments: Vec<Vec<u8>> },
    Control { opcode: u8, payload: Vec<u8> },
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        mut stream in items().prop_map(|items| encode(&items)),
        damage in damage(),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        max_bytes in prop::sample::select(vec![0, 3, 20, 130, 1 << 20]),
        rsv1: bool,
    ) {
        apply(&damage, &mut stream);
        let decoder = || if rsv1 { server().allow_rsv1() } else { server() };
        let limits = MessageLimits { max_frame_bytes: max_bytes, max_message_bytes: max_bytes * 2 };
        let whole = read_cut(decoder(), &stream, [], &limits);
        let dripped = read_cut(decoder(), &stream, 1..stream.len(), &limits);
        prop_assert_eq!((&whole.steps, whole.error), (&dripped.steps, dripped.error));
        if !stream.is_empty() {
            let mut cuts: Vec<usize> = cuts.drain(..).map(|cut| cut.index(stream.len())).collect();
            cuts.sort_unstable();
            let pieces = read_cut(decoder(), &stream, cuts, &limits);
            prop_assert_eq!((&whole.steps, whole.error), (&pieces.steps, pieces.error));
            prop_assert!(pieces.buffered_bytes <= limits.max_message_bytes + 125);
        }
    }

    #[test]
    fn noise_neither_panics_nor_depends_on_cuts(stream in prop::collection::vec(any::<u8>(), 0..64)) {
        for limit in [0, 10, usize::MAX] {
            read(&stream, &limits(limit));
        }
    }

    #[test]
    fn what_is_written_is_read_back(items in items()) {
        let reading = read(&encode(&items), &limits(1 << 20));
        prop_assert_eq!(reading.error, None);
        let expected: Vec<_> = items.iter().map(step).collect();
        prop_assert_eq!(reading.steps, expected);
    }

    #[test]
    fn close_frames_are_read_back(code: u16, reason in "[a-zß€😀]{0,70}") {
        let mut payload = Vec::new();
        put_close_payload(&mut payload, CloseCode::from(code), &reason);
        prop_assert!(payload.len() <= 125);
        let reading = read(&frame(FIN | CLOSE, &payload), &limits(0));
        let [Step::Close(close)] = &reading.steps[..] else {
            panic!("{reading:?}");
        };
        match close {
            None => prop_assert!(!is_sendable_close_code(code)),
            Some(close) => {
                prop_assert_eq!(u16::from(close.code), code);
                prop_assert!(reason.starts_with(&*close.reason));
                prop_assert!(reason.len() - close.reason.len() <= 3 || close.reason.len() > 119);
            }
        }
    }
}

pub(super) fn items() -> impl Strategy<Value = Vec<Item>> {
    prop::collection::vec(item(), 0..6)
}

/// Bytes to overwrite, and how much to cut off at the end.
pub(super) fn damage() -> impl Strategy<Value = (Vec<(prop::sample::Index, u8)>, u8)> {
    let bytes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (bytes, prop_oneof![3 => Just(0_u8), 1 => 0_u8..30])
}

pub(super) fn apply(damage: &(Vec<(prop::sample::Index, u8)>, u8), stream: &mut Vec<u8>) {
    stream.truncate(stream.len().saturating_sub(damage.1.into()));
    for (at, byte) in &damage.0 {
        if !stream.is_empty() {
            let at = at.index(stream.len());
            stream[at] = *byte;
        }
    }
}

pub(super) fn encode(items: &[Item]) -> Vec<u8> {
    let mut stream = Vec::new();
    for item in items {
        match item {
            Item::Control { opcode, payload } => stream.extend(frame(FIN | opcode, payload)),
            Item::Data { text, fragments } => {
                let kind = if *text { TEXT } else { BINARY };
                for (at, fragment) in fragments.iter().enumerate() {
                    let opcode = if at == 0 { kind } else { CONTINUATION };
                    let fin = if at + 1 == fragments.len() { FIN } else { 0 };
                    stream.extend(frame(fin | opcode, fragment));
                }
            }
        }
    }
    stream
}

fn step(item: &Item) -> Step<'static> {
    match item {
        Item::Data {
            text: true,
            fragments,
        } => text(core::str::from_utf8(&fragments.concat()).expect("text")),
        Item::Data {
            text: false,
            fragments,
        } => binary(&fragments.concat()),
        Item::Control {
            opcode: PING,
            payload,
        } => ping(payload),
        Item::Control { payload, .. } => pong(payload),
    }
}

fn item() -> impl Strategy<Value = Item> {
    let bytes = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(any::<u8>(), 120..132),
    ];
    let text = "[a-cß€😀]{0,30}".prop_map(String::into_bytes);
    let cuts = || prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    prop_oneof![
        (bytes, cuts()).prop_map(|(bytes, cuts)| data(false, &bytes, &cuts)),
        (text, cuts()).prop_map(|(bytes, cuts)| data(true, &bytes, &cuts)),
        (9_u8..=10, prop::collection::vec(any::<u8>(), 0..=125))
            .prop_map(|(opcode, payload)| Item::Control { opcode, payload }),
    ]
}

/// A message cut into fragments anywhere, inside characters too.
fn data(text: bool, bytes: &[u8], cuts: &[prop::sample::Index]) -> Item {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut fragments = Vec::new();
    let mut start = 0;
    for end in cuts.into_iter().chain([bytes.len()]) {
        fragments.push(bytes[start..end].to_vec());
        start = end;
    }
    Item::Data { text, fragments }
}

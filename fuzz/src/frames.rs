//! WebSocket frames, read and written.
//!
//! Promises: however the bytes are cut, the same steps come out and the same error at the same byte; never more
//! is held than the limits name; what is not consumed is not touched; what the encoder writes is what the
//! decoder reads.

use roomwire_core::websocket::{
    CloseCode, Control, Data, DataKind, DecodeError, Decoder, MAX_CLOSE_REASON_BYTES,
    MAX_HEADER_BYTES, MessageLimits, OpCode, Role, Step, apply_mask, header_bytes,
    is_sendable_close_code, put_close, put_frame, put_header, put_masked_frame, rotate_mask,
};

use crate::input::{Choices, Cuts};

/// Bytes of choices, then frames: raw ones, or the recipe for well-formed ones.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let setup = Setup::choose(&mut choices);
    let cuts = Cuts::choose(&mut choices);
    if choices.flag() {
        let (bytes, expected) = recipe(&setup, &mut choices);
        let outcome = check_all(&setup, &bytes, cuts);
        if let Some(expected) = expected {
            assert_eq!(outcome.steps, expected);
            assert_eq!(outcome.error, None);
        }
    } else {
        check_all(&setup, choices.rest(), cuts);
    }
}

struct Setup {
    role: Role,
    rsv1: bool,
    limits: MessageLimits,
}

impl Setup {
    fn choose(choices: &mut Choices<'_>) -> Self {
        let role = if choices.flag() {
            Role::Client
        } else {
            Role::Server
        };
        let size = |choice| [125, 126, 200, 1_000, 70_000, 0, 1 << 20, 4][choice];
        Self {
            role,
            rsv1: choices.flag(),
            limits: MessageLimits {
                max_frame_bytes: size(choices.below(8)),
                max_message_bytes: size(choices.below(8)),
            },
        }
    }

    fn decoder(&self) -> Decoder {
        let decoder = Decoder::new(self.role);
        if self.rsv1 {
            decoder.allow_rsv1()
        } else {
            decoder
        }
    }
}

/// What a run came to.
#[derive(Debug, PartialEq)]
struct Outcome {
    steps: Vec<Step<'static>>,
    error: Option<DecodeError>,
    /// Whether heap was held when the input ended.
    holds: bool,
}

/// Whole, as cut, and byte by byte: all the same.
fn check_all(setup: &Setup, bytes: &[u8], cuts: Cuts) -> Outcome {
    let (whole, _) = run(setup, bytes, [bytes.len()]);
    let (pieces, _) = run(setup, bytes, cuts.ends(bytes.len()));
    assert_eq!(pieces, whole);
    if bytes.len() <= 4_096 {
        let (bytewise, fed) = run(setup, bytes, Cuts::BYTEWISE.ends(bytes.len()));
        assert_eq!(bytewise, whole);
        if whole.error.is_some() {
            // The error shows at the last byte that was fed: not before, and at once.
            let (before, _) = run(setup, bytes, [fed - 1]);
            assert_eq!(before.error, None);
            let (at, _) = run(setup, bytes, [fed]);
            assert_eq!(at.error, whole.error);
        }
    }
    whole
}

/// Decodes `bytes` cut at `ends`; also how many bytes were fed before an error.
fn run(setup: &Setup, bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> (Outcome, usize) {
    let mut decoder = setup.decoder();
    let mut outcome = Outcome {
        steps: Vec::new(),
        error: None,
        holds: false,
    };
    let mut start = 0;
    for end in ends {
        let mut piece = bytes[start..end].to_vec();
        let mut at = 0;
        loop {
            let decoded = decoder.decode(&mut piece[at..], &setup.limits);
            match decoded {
                Ok((Step::NeedMore, consumed)) => {
                    assert_eq!(at + consumed, piece.len());
                    break;
                }
                Ok((step, consumed)) => {
                    assert!(consumed <= bytes.len());
                    outcome.steps.push(owned(step));
                    at += consumed;
                }
                Err(error) => {
                    outcome.error = Some(error);
                    check_failed(&mut decoder, error, setup);
                    return (outcome, end);
                }
            }
            check_held(&decoder, setup);
            assert_eq!(&piece[at..], &bytes[start + at..end], "untouched");
        }
        check_held(&decoder, setup);
        start = end;
    }
    outcome.holds = decoder.buffered_bytes() > 0;
    (outcome, start)
}

fn check_held(decoder: &Decoder, setup: &Setup) {
    let most = setup.limits.max_message_bytes + 125;
    assert!(decoder.buffered_bytes() <= most, "holds too much");
}

fn check_failed(decoder: &mut Decoder, error: DecodeError, setup: &Setup) {
    assert!(is_sendable_close_code(u16::from(error.close_code())));
    assert_eq!(decoder.buffered_bytes(), 0);
    let mut more = [0x81, 0x80, 0, 0, 0, 0];
    assert_eq!(decoder.decode(&mut more, &setup.limits), Err(error));
    assert_eq!(decoder.decode(&mut [], &setup.limits), Err(error));
}

fn owned(step: Step<'_>) -> Step<'static> {
    match step {
        Step::Binary(bytes) => Step::Binary(bytes.into_owned().into()),
        Step::Close(frame) => Step::Close(frame.map(|frame| {
            assert!(is_sendable_close_code(u16::from(frame.code)));
            assert!(frame.reason.len() <= MAX_CLOSE_REASON_BYTES);
            roomwire_core::websocket::CloseFrame {
                code: frame.code,
                reason: frame.reason.into_owned().into(),
            }
        })),
        Step::Compressed { kind, payload } => Step::Compressed {
            kind,
            payload: payload.into_owned().into(),
        },
        Step::Ping(payload) => Step::Ping(payload.into_owned().into()),
        Step::Pong(payload) => Step::Pong(payload.into_owned().into()),
        Step::Text(text) => Step::Text(text.into_owned().into()),
        _ => Step::NeedMore,
    }
}

/// Well-formed frames, and what they come to if they keep to the limits.
fn recipe(setup: &Setup, choices: &mut Choices<'_>) -> (Vec<u8>, Option<Vec<Step<'static>>>) {
    let mut out = Vec::new();
    let mut steps = Vec::new();
    let mut within = true;
    for _ in 0..32 {
        if choices.is_empty() {
            break;
        }
        match choices.below(8) {
            0 => control(setup, &mut out, &mut steps, choices, Control::Ping),
            1 => control(setup, &mut out, &mut steps, choices, Control::Pong),
            2 => {
                close(setup, &mut out, &mut steps, choices);
                break;
            }
            _ => within &= message(setup, &mut out, &mut steps, choices),
        }
    }
    (out, within.then_some(steps))
}

fn control(
    setup: &Setup,
    out: &mut Vec<u8>,
    steps: &mut Vec<Step<'static>>,
    choices: &mut Choices<'_>,
    kind: Control,
) {
    let length = choices.below(126);
    let payload = choices.take(length).to_vec();
    frame(
        setup,
        out,
        OpCode::Control(kind),
        (true, false),
        &payload,
        choices,
    );
    steps.push(match kind {
        Control::Ping => Step::Ping(payload.into()),
        _ => Step::Pong(payload.into()),
    });
}

fn close(
    setup: &Setup,
    out: &mut Vec<u8>,
    steps: &mut Vec<Step<'static>>,
    choices: &mut Choices<'_>,
) {
    let code = CloseCode::from(choices.short());
    let length = choices.below(200);
    let reason = String::from_utf8_lossy(choices.take(length)).into_owned();
    let mut plain = Vec::new();
    put_close(&mut plain, code, &reason);
    assert!(plain.len() <= header_bytes(125) + 125);
    frame(
        setup,
        out,
        OpCode::Control(Control::Close),
        (true, false),
        &plain[2..],
        choices,
    );
    let sendable = is_sendable_close_code(u16::from(code));
    let mut end = reason.len().min(MAX_CLOSE_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    steps.push(Step::Close(sendable.then(|| {
        roomwire_core::websocket::CloseFrame {
            code,
            reason: reason[..end].to_owned().into(),
        }
    })));
}

/// One message in one or more fragments, with pings in between; whether it keeps to the limits.
fn message(
    setup: &Setup,
    out: &mut Vec<u8>,
    steps: &mut Vec<Step<'static>>,
    choices: &mut Choices<'_>,
) -> bool {
    let text = choices.flag();
    let compressed = setup.rsv1 && choices.flag();
    let length = match choices.byte() {
        0xff => usize::from(choices.short()),
        length => usize::from(length),
    };
    let sample = choices.take(length.min(64));
    let mut payload: Vec<u8> = sample.iter().copied().cycle().take(length).collect();
    if sample.is_empty() {
        payload.clear();
    }
    if text && !compressed {
        payload = String::from_utf8_lossy(&payload).into_owned().into_bytes();
    }
    let fragments = 1 + choices.below(4);
    let piece = payload.len().div_ceil(fragments).max(1);
    let mut within = payload.len() <= setup.limits.max_message_bytes
        && piece.min(payload.len()) <= setup.limits.max_frame_bytes;
    if fragments > 1 {
        within &= fragments * 4 <= setup.limits.max_message_bytes;
    }
    for index in 0..fragments {
        let start = (index * piece).min(payload.len());
        let end = (start + piece).min(payload.len());
        let fin = index + 1 == fragments;
        let opcode = match (index, text) {
            (1.., _) => Data::Continue,
            (_, true) => Data::Text,
            (_, false) => Data::Binary,
        };
        let bits = (fin, compressed && index == 0);
        frame(
            setup,
            out,
            OpCode::Data(opcode),
            bits,
            &payload[start..end],
            choices,
        );
        if !fin && choices.flag() {
            control(setup, out, steps, choices, Control::Ping);
        }
    }
    let kind = if text {
        DataKind::Text
    } else {
        DataKind::Binary
    };
    steps.push(match (compressed, kind) {
        (true, kind) => Step::Compressed {
            kind,
            payload: payload.into(),
        },
        (_, DataKind::Binary) => Step::Binary(payload.into()),
        (_, DataKind::Text) => Step::Text(String::from_utf8_lossy(&payload).into_owned().into()),
    });
    within
}

/// Writes one frame as the other side would, in one of the encoder's ways.
fn frame(
    setup: &Setup,
    out: &mut Vec<u8>,
    opcode: OpCode,
    (fin, rsv1): (bool, bool),
    payload: &[u8],
    choices: &mut Choices<'_>,
) {
    let start = out.len();
    match setup.role {
        Role::Client if fin && !rsv1 && choices.flag() => put_frame(out, opcode, payload),
        Role::Client => {
            put_header(out, opcode, fin, rsv1, payload.len() as u64);
            assert_eq!(out.len() - start, header_bytes(payload.len() as u64));
            out.extend_from_slice(payload);
        }
        Role::Server => {
            let key = [
                choices.byte(),
                choices.byte(),
                choices.byte(),
                choices.byte(),
            ];
            put_masked_frame(out, opcode, fin, rsv1, payload, key);
            check_mask(payload, key, choices.below(9));
        }
    }
    assert!(out.len() - start <= MAX_HEADER_BYTES + payload.len());
}

/// Masking in two parts is masking at once.
fn check_mask(payload: &[u8], key: [u8; 4], at: usize) {
    let mut whole = payload.to_vec();
    apply_mask(&mut whole, key);
    let mut parts = payload.to_vec();
    let (front, back) = parts.split_at_mut(at.min(payload.len()));
    apply_mask(front, key);
    apply_mask(back, rotate_mask(key, front.len()));
    assert_eq!(parts, whole);
}

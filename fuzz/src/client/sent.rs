//! What a client sent, read as a server reads it.

use roomwire_core::websocket::deflate::Inflater;
use roomwire_core::websocket::{Decoder, MessageLimits, Role, Step};

use super::{Outcome, Told, answered};

/// The request, then frames that a server takes: as many messages as were queued, pongs only to pings, nothing
/// behind a close frame. `is_whole`: nothing was thrown away.
pub(super) fn check(outcome: &Outcome, is_whole: bool) {
    let Some(end) = outcome
        .sent
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
    else {
        let opened = matches!(outcome.told.first(), Some(Told::Open(_)));
        assert!(!is_whole || !opened, "the request is missing");
        return;
    };
    let (request, frames) = outcome.sent.split_at(end + 4);
    assert_eq!(answered(request), super::accept());
    let mut frames = frames.to_vec();
    let mut decoder = Decoder::new(Role::Server);
    if outcome.compresses {
        decoder = decoder.allow_rsv1();
    }
    let mut inflater = Inflater::new();
    let mut pings = outcome.told.iter().filter_map(|told| match told {
        Told::Other(words, _) => words.strip_prefix("Ping"),
        _ => None,
    });
    let (mut messages, mut at) = (0, 0);
    loop {
        let (step, consumed) = decoder
            .decode(&mut frames[at..], &LIMITS)
            .expect("good frames");
        at += consumed;
        match step {
            Step::NeedMore => break,
            Step::Binary(_) | Step::Text(_) => messages += 1,
            Step::Compressed { payload, .. } => {
                let message = inflater.inflate(&payload, LIMITS.max_message_bytes);
                assert!(message.expect("its message").len() > payload.len());
                messages += 1;
            }
            Step::Pong(payload) => {
                let pong = format!("({payload:?})");
                assert!(pings.any(|ping| ping == pong), "a pong to nothing");
            }
            Step::Close(_) => {
                assert_eq!(at, frames.len(), "behind the close frame");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(decoder.buffered_bytes() == 0 || !is_whole, "half a frame");
    let queued = outcome.tried.iter().filter(|tried| tried.is_ok()).count();
    assert!(messages == queued || (messages < queued && !is_whole));
}

const LIMITS: MessageLimits = MessageLimits {
    max_frame_bytes: 1 << 20,
    max_message_bytes: 1 << 20,
};

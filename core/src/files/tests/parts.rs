//! Rules, bodies, memory.

use super::desk::{Desk, KIB, RULES, at_ms, id};
use crate::config::Config;
use crate::files::{Body, MAX_BASE_BYTES, MAX_PIECES, MAX_RECEIVER_BYTES, Rules, Transfer, Wanted};

#[test]
fn chunks_fit_messages_and_windows_fit_queues() {
    let rules = Rules::new(&Config::default());
    assert_eq!(rules.chunk_bytes, 65_536);
    assert_eq!(rules.max_window_bytes, 1_048_576);
    let mut config = Config::default();
    config.limits.max_message_bytes = 5 * 1_024;
    assert_eq!(Rules::new(&config).chunk_bytes, 3 * 1_024);
    config.limits.max_queued_bytes = 2 * 5 * 1_024;
    assert_eq!(Rules::new(&config).max_window_bytes, 3 * 1_024);
    config.limits.max_message_bytes = 9 * 1_024;
    assert_eq!(
        Rules::new(&config).chunk_bytes,
        3 * 1_024,
        "none larger than a window"
    );
    config.limits.max_message_bytes = 125;
    assert_eq!(Rules::new(&config).chunk_bytes, 1, "never none");
}

#[test]
fn a_body_answers_in_the_senders_place() {
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let body = Body::new(bytes.clone());
    assert_eq!((body.size(), body.heap_bytes()), (10_000, 10_000));
    let mut transfer = Transfer::new(body.size(), None, &RULES, at_ms(0));
    transfer
        .credit(at_ms(0), id(0), 0, 100_000)
        .expect("credit");
    let (mut got, mut to) = (Vec::new(), Vec::new());
    while let Some(wanted) = transfer.next_wanted(at_ms(0)) {
        for (offset, chunk) in body.chunks(wanted, 1_000) {
            assert!(chunk.len() <= 1_000);
            transfer
                .chunk(at_ms(0), offset, chunk, &mut to)
                .expect("wanted");
            got.extend_from_slice(chunk);
        }
        let acknowledged = got.len() as u64;
        transfer
            .credit(at_ms(0), id(0), acknowledged, 100_000)
            .expect("credit");
    }
    assert_eq!(got, bytes);
    assert_eq!(transfer.passed(), 10_000);
    for (offset, length_bytes) in [(10_000, 1), (u64::MAX, u32::MAX)] {
        let beyond = Wanted {
            offset,
            length_bytes,
        };
        assert_eq!(body.chunks(beyond, 0).count(), 0);
    }
    let beyond = Wanted {
        offset: 9_999,
        length_bytes: u32::MAX,
    };
    assert_eq!(
        body.chunks(beyond, 0).collect::<Vec<_>>(),
        [(9_999, &bytes[9_999..])]
    );
}

/// A transfer to as many as there may be.
fn crowd(count: u32) -> Desk {
    let mut desk = Desk::new(
        1 << 40,
        Rules {
            max_receivers: count,
            ..RULES
        },
    );
    (0..count).for_each(|index| desk.has(index, 0));
    desk
}

#[test]
fn memory_is_bounded_by_the_receivers() {
    for count in [1, 10, 100, 1_000, 1_025] {
        let mut desk = crowd(count);
        // All are behind, and in the line.
        desk.answer_all();
        desk.has(0, 8 * KIB);
        desk.tick(1);
        for index in 0..count / 2 {
            desk.has(index, KIB);
        }
        desk.answer_all();
        let bytes = desk.transfer.heap_bytes();
        let most = count as usize * MAX_RECEIVER_BYTES + MAX_BASE_BYTES;
        assert!(bytes <= most, "{count}: {bytes} bytes, {most} are allowed");
        assert!(
            bytes >= count as usize * 100,
            "{count}: {bytes} bytes are not counted"
        );
    }
}

#[test]
fn nothing_grows_while_chunks_pass() {
    let mut desk = crowd(20);
    let mut round = || {
        desk.answer_all();
        let passed = desk.transfer.passed();
        for index in 0..20 {
            // Two lag behind, and are served on their own. They have not come everywhere yet.
            let offset = if index < 18 {
                passed
            } else {
                passed.saturating_sub(56 * KIB)
            };
            let credited = desk.credit(index, offset, RULES.max_window_bytes);
            assert!(index >= 18 || credited.is_ok());
        }
        desk.now_ms += 1;
        let (ticked, dropped) = desk.tick(desk.now_ms);
        assert_eq!((ticked.outcome, dropped), (None, vec![]));
        desk.transfer.heap_bytes()
    };
    let warm = (0..500).map(|_| round()).last().expect("rounds");
    (0..500).for_each(|_| assert_eq!(round(), warm));
}

#[test]
fn pieces_are_counted() {
    // Windows so small that each piece is as small as can be.
    let rules = Rules {
        max_window_bytes: 1 << 20,
        max_requested_bytes: 1 << 20,
        request_bytes: 1 << 10,
        ..RULES
    };
    let mut desk = Desk::new(1 << 30, rules);
    desk.credit(0, 0, 1 << 20).expect("credit");
    assert_eq!(desk.wanted.len(), MAX_PIECES);
    desk.answer();
    assert_eq!(desk.wanted.len(), MAX_PIECES);
}

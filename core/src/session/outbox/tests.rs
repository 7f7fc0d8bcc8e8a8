mod reference;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::stall::PONG;
use super::*;

fn outboxes(max_bytes: usize, max_messages: u32, connections: u32) -> Outboxes {
    let mut outboxes = Outboxes::new(max_bytes, max_messages);
    for connection in 0..connections {
        outboxes.open(connection);
    }
    outboxes
}

fn flags(outboxes: &mut Outboxes) -> Vec<(u32, u8)> {
    core::iter::from_fn(|| outboxes.next_flagged()).collect()
}

// ---- rounds

#[test]
fn flags_are_handed_out_one_by_one_in_their_order() {
    let mut outboxes = outboxes(100, 10, 2);
    outboxes.raise(1, flag::CLOSE);
    outboxes.raise(0, flag::TRANSMIT);
    outboxes.raise(1, flag::PAUSE | flag::TRANSMIT);
    assert_eq!(outboxes.next_flagged(), None);
    assert!(outboxes.begin_round());
    let expected = [
        (1, flag::PAUSE),
        (1, flag::TRANSMIT),
        (1, flag::CLOSE),
        (0, flag::TRANSMIT),
    ];
    assert_eq!(flags(&mut outboxes), expected);
    assert!(!outboxes.begin_round());
}

#[test]
fn the_next_owner_of_a_slot_inherits_no_flag() {
    let mut outboxes = outboxes(100, 10, 1);
    outboxes.raise(0, flag::READ | flag::FINISH);
    outboxes.begin_round();
    assert_eq!(outboxes.next_flagged(), Some((0, flag::READ)));
    outboxes.close(0);
    outboxes.open(0);
    assert_eq!(outboxes.next_flagged(), None);
    assert!(!outboxes.begin_round());
}

#[test]
fn a_slot_that_is_used_again_and_again_is_listed_once() {
    let mut outboxes = outboxes(100, 10, 1);
    for _ in 0..100 {
        outboxes.raise(0, flag::TRANSMIT);
        outboxes.close(0);
        outboxes.open(0);
    }
    assert_eq!(outboxes.ready.len(), 1);
}

#[derive(Clone, Debug)]
enum RoundOp {
    Raise(u32, u8),
    Lower(u32, u8),
    Next,
    Begin,
    Reuse(u32),
}

fn round_op() -> impl Strategy<Value = RoundOp> {
    prop_oneof![
        6 => (0..5u32, 1..64u8).prop_map(|(c, f)| RoundOp::Raise(c, f)),
        1 => (0..5u32, 1..64u8).prop_map(|(c, f)| RoundOp::Lower(c, f)),
        6 => Just(RoundOp::Next),
        2 => Just(RoundOp::Begin),
        1 => (0..5u32).prop_map(RoundOp::Reuse),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Each flag that is raised is handed out once, unless it is taken back or its connection goes. A round
    /// visits each of its connections once and no other.
    #[test]
    fn rounds_hand_out_each_flag_once(ops in prop::collection::vec(round_op(), 0..200)) {
        let mut outboxes = outboxes(100, 10, 5);
        let mut raised = [0_u8; 5];
        let (mut turn, mut turn_flags) = (0, 0);
        let mut to_come = BTreeSet::new();
        for op in ops.into_iter().chain([RoundOp::Begin, RoundOp::Begin]) {
            let begin = matches!(op, RoundOp::Begin);
            match op {
                RoundOp::Raise(connection, flags) => {
                    outboxes.raise(connection, flags);
                    raised[connection as usize] |= flags;
                }
                RoundOp::Lower(connection, flags) => {
                    outboxes.lower(connection, flags);
                    raised[connection as usize] &= !flags;
                    turn_flags &= if turn == connection { !flags } else { u8::MAX };
                }
                RoundOp::Reuse(connection) => {
                    outboxes.close(connection);
                    outboxes.open(connection);
                    raised[connection as usize] = 0;
                    turn_flags = if turn == connection { 0 } else { turn_flags };
                }
                RoundOp::Next | RoundOp::Begin => {
                    while let Some((connection, flag)) = outboxes.next_flagged() {
                        if turn_flags == 0 {
                            prop_assert!(to_come.remove(&connection), "not its turn");
                            turn = connection;
                            turn_flags = core::mem::take(&mut raised[connection as usize]);
                        }
                        prop_assert_eq!(connection, turn);
                        prop_assert_eq!(flag, turn_flags & turn_flags.wrapping_neg());
                        turn_flags &= !flag;
                        if !begin {
                            break;
                        }
                    }
                }
            }
            if begin {
                prop_assert_eq!(turn_flags, 0);
                let any = outboxes.begin_round();
                to_come = outboxes.round.iter().copied().collect();
                prop_assert_eq!(to_come.len(), outboxes.round.len(), "listed twice");
                prop_assert_eq!(any, !to_come.is_empty());
                let lost = (0..5).find(|&c| raised[c as usize] != 0 && !to_come.contains(&c));
                prop_assert_eq!(lost, None);
            }
            prop_assert!(outboxes.ready.len() <= 5 && outboxes.round.len() <= 5);
        }
        prop_assert_eq!(flags(&mut outboxes).len(), raised.iter().map(|f| f.count_ones() as usize).sum::<usize>());
    }
}

// ---- a slot's next owner

/// One message of `length` bytes, of a room; the buffer stays open.
fn message(outboxes: &mut Outboxes, room: u32, length: usize) -> Range {
    let buffer = outboxes.buffers.open(room);
    let (start, end) = outboxes.buffers.append(buffer, |out| out.resize(length, 1));
    Range { buffer, start, end }
}

#[test]
fn the_next_owner_of_a_slot_has_not_overflowed() {
    let mut outboxes = outboxes(100, 10, 2);
    for connection in [0, 1] {
        outboxes.direct(connection, |out| out.extend([1; 101]));
    }
    outboxes.close(0);
    assert_eq!(outboxes.overflowed, [0, 1]);
    outboxes.open(0);
    assert_eq!(outboxes.overflowed, [1]);
}

#[test]
fn the_next_owner_of_a_slot_has_missed_nothing() {
    let mut outboxes = outboxes(100, 10, 1);
    let range = message(&mut outboxes, 7, 101);
    outboxes.queue(0, range, 1, SlowReader::DropNewest);
    outboxes.close(0);
    outboxes.open(0);
    let drops: Vec<_> = outboxes
        .drops
        .iter()
        .map(|d| (d.connection, d.messages))
        .collect();
    assert_eq!(drops, [(NONE, 1)]);
}

// ---- control frames and the limit

/// All that waits for a connection.
fn unsent(outboxes: &Outboxes, connection: u32) -> Vec<u8> {
    outboxes.unsent(connection).flatten().copied().collect()
}

#[test]
fn a_close_frame_fits_behind_a_started_message_that_fills_the_queue() {
    for (max_bytes, max_messages) in [(100, 10), (1_000, 1)] {
        for blocked in [false, true] {
            let mut outboxes = outboxes(max_bytes, max_messages, 1);
            outboxes.direct(0, |out| out.extend([1; 100]));
            outboxes.sent(0, 1);
            if blocked {
                outboxes.block(0);
            }
            outboxes.direct(0, |out| out.extend([2; 20]));
            assert_eq!(outboxes.overflowed.pop(), Some(0));
            outboxes.discard(0, true);
            outboxes.set_shut(0, false);
            outboxes.direct(0, |out| out.extend([3; 200]));
            assert_eq!(outboxes.overflowed.pop(), Some(0), "what is no close frame");
            outboxes.set_shut(0, false);
            outboxes.direct(0, |out| out.extend([4; 4]));
            assert_eq!(outboxes.overflowed.pop(), None);
            assert_eq!(unsent(&outboxes, 0), [vec![1; 99], vec![4; 4]].concat());
        }
    }
}

#[test]
fn one_control_frame_of_each_kind_waits_for_a_blocked_connection() {
    let mut outboxes = outboxes(10, 1, 1);
    outboxes.direct(0, |out| out.extend([1; 10]));
    outboxes.sent(0, 1);
    outboxes.block(0);
    for byte in 0..100 {
        outboxes.control(0, &[0x89, 0]);
        outboxes.control(0, &[PONG, 1, byte]);
    }
    let lane = vec![0x89, 0, PONG, 1, 99];
    assert_eq!(unsent(&outboxes, 0), [vec![1; 9], lane].concat());
    assert_eq!(outboxes.coalesced_pongs, 99);
    assert_eq!(outboxes.boxes[0].messages, 3);
}

#[test]
fn the_largest_limits_do_not_overflow() {
    let mut outboxes = outboxes(usize::MAX, u32::MAX, 1);
    let range = message(&mut outboxes, 7, 100);
    let full = outboxes.max_bytes - 50;
    outboxes.boxes[0].bytes = full;
    outboxes.queue(0, range, 1, SlowReader::DropNewest);
    assert_eq!((outboxes.boxes[0].bytes, outboxes.drops.len()), (full, 1));
}

// ---- what a stalled connection holds

#[test]
fn a_stalled_connection_gets_no_large_buffer_for_a_small_message() {
    let mut outboxes = outboxes(1 << 20, 100, 1);
    let large = [(); 8].map(|()| message(&mut outboxes, 7, 400_000).buffer);
    for buffer in large {
        outboxes.buffers.seal(buffer);
    }
    outboxes.block(0);
    outboxes.direct(0, |out| out.extend([1; 10]));
    outboxes.control(0, &[PONG, 0]);
    let range = message(&mut outboxes, 7, 10);
    outboxes.queue(0, range, 1, SlowReader::Close);
    outboxes.begin_seal();
    outboxes.buffers.seal(range.buffer);
    let used = outboxes.buffers.used_bytes();
    assert!(used < 1_000, "{used} bytes");
}

#[test]
fn a_stalled_connection_does_not_hold_what_is_still_being_filled() {
    for block_first in [true, false] {
        let mut outboxes = outboxes(1 << 20, 100, 1);
        if block_first {
            outboxes.block(0);
        }
        let range = message(&mut outboxes, 7, 10);
        outboxes.queue(0, range, 1, SlowReader::Close);
        outboxes.block(0);
        outboxes
            .buffers
            .append(range.buffer, |out| out.extend([2; 200_000]));
        outboxes.buffers.seal(range.buffer);
        assert_eq!(unsent(&outboxes, 0), [1; 10]);
        let used = outboxes.buffers.used_bytes();
        assert!(used < 1_000, "{used} bytes");
    }
}

#[test]
fn a_queue_is_seen_to_once_and_its_first_message_each_time_it_stalls() {
    let mut outboxes = outboxes(1 << 20, 100, 1);
    let first = message(&mut outboxes, 7, 40_000);
    let second = message(&mut outboxes, 7, 20_000);
    outboxes.queue(0, first, 1, SlowReader::Close);
    outboxes.queue(0, second, 1, SlowReader::Close);
    outboxes.block(0);
    for range in [first, second] {
        // Someone else holds them too.
        outboxes.buffers.retain(range.buffer, 1);
        outboxes.buffers.seal(range.buffer);
    }
    assert_eq!(outboxes.boxes[0].settled, outboxes.boxes[0].tail);
    outboxes.sent(0, 39_000);
    outboxes.unblock(0);
    outboxes.block(0);
    outboxes.buffers.release(first.buffer);
    let used = outboxes.buffers.used_bytes();
    assert!((20_000..23_000).contains(&used), "{used} bytes");
    outboxes.sent(0, 21_000);
    assert_eq!(outboxes.boxes[0].settled, NONE);
    outboxes.buffers.release(second.buffer);
    assert_eq!(outboxes.buffers.used_bytes(), 0);
}

// ---- states

#[test]
fn shutting_a_queue_twice_is_shutting_it_once() {
    let mut outboxes = outboxes(100, 10, 1);
    assert!(!outboxes.is_shut(0));
    for _ in 0..2 {
        outboxes.set_shut(0, true);
        assert!(outboxes.is_shut(0));
    }
    outboxes.set_shut(0, false);
    assert!(!outboxes.is_shut(0));
}

#[test]
fn an_overflow_is_settled_once() {
    let mut outboxes = outboxes(100, 10, 3);
    let range = message(&mut outboxes, 7, 200);
    for connection in 0..2 {
        assert!(!outboxes.is_overflowed(connection));
        outboxes.queue(connection, range, 1, SlowReader::Close);
        assert!(outboxes.is_overflowed(connection));
    }
    // Another goodbye settles it before it is looked at.
    outboxes.set_shut(1, false);
    assert!(!outboxes.is_overflowed(1));
    assert_eq!(outboxes.pop_overflowed(), Some(0));
    assert!(!outboxes.is_overflowed(0));
    assert_eq!(outboxes.pop_overflowed(), None);
    assert!(!outboxes.is_overflowed(2));
}

#[test]
fn a_drop_that_finds_nothing_to_drop_is_none() {
    let mut outboxes = outboxes(100, 10, 1);
    let (other, own) = (message(&mut outboxes, 7, 90), message(&mut outboxes, 8, 20));
    outboxes.queue(0, other, 1, SlowReader::DropOldest);
    outboxes.queue(0, own, 1, SlowReader::DropOldest);
    let drops = outboxes.drops.iter().map(|drop| (drop.room, drop.messages));
    assert_eq!(drops.collect::<Vec<_>>(), [(8, 1)]);
}

#[test]
fn small_messages_of_a_stalled_queue_share_a_buffer() {
    let mut outboxes = outboxes(1 << 20, 1 << 20, 1);
    outboxes.block(0);
    for _ in 0..500 {
        let range = message(&mut outboxes, 7, 10);
        outboxes.queue(0, range, 1, SlowReader::Close);
        outboxes.buffers.seal(range.buffer);
    }
    assert_eq!(unsent(&outboxes, 0).len(), 5_000);
    let used = outboxes.buffers.used_bytes();
    assert!(used < 20_000, "{used} bytes");
}

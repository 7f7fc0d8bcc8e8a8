//! What holds of a transfer's state between any two calls, counted anew.

use sha2::{Digest as _, Sha256};

use crate::files::Transfer;
use crate::files::receivers::Place;

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Something to compare, in which everything shows that a tick may change.
pub(super) fn fingerprint(transfer: &Transfer) -> String {
    let Transfer {
        told,
        gathering,
        asking,
        front,
        failed,
        ..
    } = transfer;
    format!(
        "{told:?} {gathering:?} {asking:?} {} {failed}",
        front.members
    )
}

pub(super) fn consistent(transfer: &Transfer) {
    let size = transfer.size;
    let hashed = transfer.hashed;
    let requested = transfer.front.requested;
    let window = u64::from(transfer.rules.max_window_bytes);
    let (mut active, mut unfinished, mut members, mut blockers) = (0, 0, 0, 0);
    let (mut hungry, mut owing_blockers) = (0, 0);
    assert!(hashed <= requested && requested <= size);
    for slot in 0..transfer.receivers.slots() {
        let Some(receiver) = transfer.receivers.get(slot) else {
            assert!(!transfer.silent.contains(slot) && !transfer.front.blockers.contains(slot));
            continue;
        };
        assert_eq!(transfer.receivers.find(receiver.id), Some(slot));
        assert!(receiver.acknowledged <= receiver.next);
        assert!(receiver.next <= receiver.limit);
        assert!(receiver.limit <= size.min(receiver.acknowledged + window));
        assert_eq!(transfer.silent.contains(slot), receiver.owes(size));
        let blocks = transfer.front.blockers.contains(slot);
        let at_front = receiver.place == Place::Front;
        assert!(at_front || !blocks);
        if blocks {
            assert!(!receiver.has_room_again(requested, size));
        } else if at_front {
            assert!(receiver.has_room(requested, size));
        }
        let on_its_way = receiver.next - receiver.acknowledged;
        let waits_for = receiver.step_bytes.min(receiver.resume_bytes.into());
        let is_hungry = at_front && !blocks && (on_its_way == 0 || on_its_way < waits_for);
        assert_eq!(receiver.hungry, is_hungry);
        hungry += u32::from(is_hungry);
        owing_blockers += u32::from(blocks && receiver.owes(size));
        blockers += u32::from(blocks);
        active += u32::from(receiver.place != Place::Complete);
        unfinished += u32::from(receiver.next < size);
        match receiver.place {
            Place::Front => {
                members += 1;
                assert_eq!(receiver.next, hashed);
            }
            Place::Detached => {
                assert_eq!(receiver.next, hashed);
                assert!(!receiver.has_room_again(requested, size));
            }
            Place::Behind => {
                assert!(receiver.next < hashed);
                let served = receiver.queued || transfer.asking.has_stream_at(receiver.next);
                assert!(served || !receiver.has_room(receiver.next, size));
            }
            Place::Complete => assert_eq!(receiver.acknowledged, size),
        }
        let in_line = transfer.asking.line.iter().filter(|&&s| s == slot).count();
        assert_eq!(in_line, usize::from(receiver.queued));
    }
    assert_eq!(transfer.active, active);
    assert_eq!(transfer.unfinished, unfinished);
    assert_eq!(transfer.front.members, members);
    assert_eq!(transfer.front.blockers.len(), blockers);
    assert_eq!(transfer.front.hungry, hungry);
    let asking = &transfer.asking;
    let pieces: u64 = asking.pieces.iter().map(|p| p.end - p.offset).sum();
    assert_eq!(asking.outstanding_bytes, pieces);
    for stream in asking.streams.iter().flatten() {
        assert!(stream.offset < stream.requested && stream.requested <= requested);
    }
    // Once everything has been asked for that can be, somebody owes what the others wait for.
    if transfer.lost_since.is_none() && transfer.has_gathered() && pieces == 0 {
        assert!(
            members == 0 || owing_blockers > 0 || requested == size,
            "the front stands still"
        );
        let waits = asking
            .line
            .iter()
            .filter_map(|&s| transfer.receivers.get(s));
        assert_eq!(waits.count(), 0, "the line stands still");
    }
}

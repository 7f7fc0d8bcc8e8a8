use proptest::prelude::*;

use super::*;
use crate::session::NONE;

fn append(buffers: &mut Buffers, id: u32, length: usize) -> (u32, u32) {
    buffers.append(id, |out| out.resize(out.len() + length, 7))
}

#[test]
fn a_buffer_goes_back_with_its_last_reference() {
    let mut buffers = Buffers::default();
    let id = buffers.open(3);
    append(&mut buffers, id, 100);
    buffers.retain(id, 2);
    assert_eq!((buffers.room(id), buffers.is_shared(id)), (3, true));
    buffers.seal(id);
    buffers.release(id);
    assert!(buffers.used_bytes() >= 100);
    assert!(buffers.is_private(id, 3) && !buffers.is_private(id, 4));
    buffers.release(id);
    assert_eq!(buffers.used_bytes(), 0);
    assert_eq!(buffers.open_small(NONE), id);
    assert_eq!(buffers.len(id), 0);
}

#[test]
fn many_small_buffers_are_not_free() {
    let mut buffers = Buffers::default();
    for _ in 0..1_000 {
        let id = buffers.open_small(NONE);
        append(&mut buffers, id, 1);
    }
    assert!(buffers.used_bytes() >= 1_000 * (1 + size_of::<Buffer>()));
}

#[test]
fn the_pool_is_bounded() {
    let mut buffers = Buffers::default();
    let ids: Vec<u32> = (0..40).map(|_| buffers.open(0)).collect();
    for &id in &ids {
        append(&mut buffers, id, 400 * 1024);
    }
    let huge = buffers.open(0);
    append(&mut buffers, huge, POOLED_BUFFER_BYTES + 1);
    buffers.seal(huge);
    assert_eq!(buffers.pooled_bytes, 0);
    for id in ids {
        buffers.seal(id);
    }
    assert_eq!(buffers.used_bytes(), 0);
    assert!(buffers.pooled_bytes <= POOL_BYTES && buffers.pooled_bytes > POOL_BYTES / 2);
    let kept: usize = buffers.buffers.iter().map(Buffer::capacity).sum();
    assert_eq!(kept, buffers.pooled_bytes);
    let (small, large) = (buffers.open_small(0), buffers.open(0));
    assert!(buffers.buffers[small as usize].capacity() <= SMALL_BUFFER_BYTES);
    assert!(buffers.buffers[large as usize].capacity() > SMALL_BUFFER_BYTES);
}

#[test]
fn a_pinned_buffer_gives_back_what_it_does_not_use() {
    for pinned in [false, true] {
        let mut buffers = Buffers::default();
        let id = buffers.open(0);
        buffers.append(id, |out| {
            out.reserve(100_000);
            out.extend([1; 10]);
        });
        buffers.retain(id, 1);
        if pinned {
            buffers.pin(id);
        }
        buffers.seal(id);
        assert_eq!(buffers.used_bytes() < 1_000, pinned);
        assert_eq!(buffers.slice(id, 0, 10), [1; 10]);
        buffers.release(id);
        assert_eq!(buffers.used_bytes(), 0);
    }
}

#[test]
fn a_copy_of_a_started_message_keeps_its_boundaries() {
    let mut buffers = Buffers::default();
    let source = buffers.open(0);
    for length in [10, 20, 30] {
        append(&mut buffers, source, length);
    }
    let target = buffers.open_small(0);
    buffers.pad(target);
    let range = Range {
        buffer: source,
        start: 4,
        end: 60,
    };
    assert_eq!(buffers.copy(range, target), 57);
    let is_boundary = |position| buffers.is_boundary(target, position);
    let boundaries: Vec<u32> = (0..=57).filter(|&at| is_boundary(at)).collect();
    assert_eq!(boundaries, [0, 7, 27, 57]);
    assert_eq!(buffers.messages(target, 1, 57), 3);
    assert_eq!(buffers.slice(target, 1, 57).len(), 56);
    assert_eq!(buffers.slice(target, 1, 58), [0; 0], "past the end");
}

proptest! {
    /// Against a walk over the message ends.
    #[test]
    fn messages_are_found_by_position(
        lengths in prop::collection::vec(1..20_usize, 1..20),
        (from, to) in (0..400_u32, 0..400_u32),
        (bytes, messages) in (0..400_u32, 0..25_u32),
    ) {
        let mut buffers = Buffers::default();
        let id = buffers.open(0);
        let ends: Vec<u32> = lengths.iter().map(|&length| append(&mut buffers, id, length).1).collect();
        let total = buffers.len(id);
        let (from, to) = (from.min(to) % total, from.max(to));
        let boundary = ends.iter().copied().filter(|&end| end <= from).max().unwrap_or(0);
        prop_assert_eq!(buffers.is_boundary(id, from), from == boundary);
        let inside = ends.iter().filter(|&&end| end > from && end <= to).count();
        prop_assert_eq!(buffers.messages(id, from, to) as usize, inside);
        let next = ends.iter().copied().find(|&end| end > from);
        prop_assert_eq!(Some(buffers.message_end(id, from)), next);
        let fit = ends.iter().copied().filter(|&end| end > boundary).take(messages as usize);
        let fit = fit.filter(|&end| end - boundary <= bytes).max().unwrap_or(boundary);
        prop_assert_eq!(buffers.prefix(id, boundary, bytes, messages), fit);
    }
}

#[test]
fn a_place_is_not_found_in_the_next_use_of_its_buffer() {
    let mut buffers = Buffers::default();
    let whole = |buffers: &mut Buffers| {
        let buffer = buffers.open(1);
        let (start, end) = buffers.append(buffer, |out| out.extend_from_slice(b"abc"));
        (buffer, buffers.place(Range { buffer, start, end }))
    };
    let (first, place) = whole(&mut buffers);
    assert!(place.is_in(place));
    buffers.release(first);
    let (second, again) = whole(&mut buffers);
    assert_eq!(first, second);
    assert!(!place.is_in(again));
}

/// A place in `buffer`.
fn place(buffers: &Buffers, buffer: u32, start: u32, end: u32) -> Place {
    buffers.place(Range { buffer, start, end })
}

#[test]
fn places_that_only_touch_do_not_overlap() {
    let mut buffers = Buffers::default();
    let (one, other) = (buffers.open(0), buffers.open(0));
    let middle = place(&buffers, one, 10, 20);
    for (start, end, overlaps) in [
        (0, 10, false),
        (0, 11, true),
        (12, 15, true),
        (5, 25, true),
        (19, 30, true),
        (20, 30, false),
    ] {
        let there = place(&buffers, one, start, end);
        assert_eq!(middle.overlaps(there), overlaps, "{start}..{end}");
        assert_eq!(there.overlaps(middle), overlaps, "{start}..{end}");
        assert!(!middle.overlaps(place(&buffers, other, start, end)));
    }
}

#[test]
fn a_place_moves_with_the_bytes_it_lies_among() {
    let mut buffers = Buffers::default();
    let (from, to) = (buffers.open(0), buffers.open(0));
    let whole = place(&buffers, from, 30, 60);
    let copy = place(&buffers, to, 5, 35);
    let moved = |start, end| place(&buffers, from, start, end).moved(whole, copy);
    assert_eq!(moved(30, 60), copy);
    assert_eq!(moved(40, 50), place(&buffers, to, 15, 25));
    // What had been sent of it stays behind.
    assert_eq!(moved(20, 50), place(&buffers, to, 5, 25));
}

#[test]
fn a_buffer_keeps_its_capacity_unless_most_of_it_is_unused() {
    for (used, shrinks) in [(249, true), (250, false), (900, false)] {
        let mut buffers = Buffers::default();
        let id = buffers.open(0);
        buffers.append(id, |out| {
            out.reserve_exact(1_000);
            out.resize(used, 1);
        });
        let before = buffers.used_bytes();
        buffers.shrink(id);
        assert_eq!(buffers.used_bytes() < before, shrinks, "{used}");
    }
}

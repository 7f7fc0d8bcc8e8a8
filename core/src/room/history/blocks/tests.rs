//! Blocks alone, against a tree.

use core::ops::Bound;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::tests::past;
use super::*;

fn with_offset(offset: u64) -> Past {
    Past {
        offset,
        ..past(offset, 0)
    }
}

fn offsets<'a>(all: impl Iterator<Item = &'a Past>) -> Vec<u64> {
    all.map(|past| past.offset).collect()
}

/// What always holds.
fn check(blocks: &Blocks) {
    let lens: Vec<usize> = blocks.blocks.iter().map(VecDeque::len).collect();
    assert_eq!(lens.iter().sum::<usize>(), blocks.len());
    assert!(lens.iter().all(|len| (1..=BLOCK).contains(len)), "{lens:?}");
    // The first may be short of what has left in front, and the last of what is still to come.
    let mut two = lens.windows(2).skip(1).take(lens.len().saturating_sub(3));
    assert!(two.all(|two| two[0] + two[1] > BLOCK), "{lens:?}");
    assert_eq!(
        blocks.is_empty(),
        blocks.spare_bytes() == 0 && lens.is_empty()
    );
}

#[derive(Clone, Debug)]
enum Op {
    Push(u64),
    Pop,
    /// The one with this offset, of those that there may be.
    Take(u64),
    /// All of a stretch.
    TakeMany(u64, u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (1..200_u64).prop_map(Op::Push),
        2 => Just(Op::Pop),
        4 => any::<u64>().prop_map(Op::Take),
        1 => (any::<u64>(), 1..150_u64).prop_map(|(from, count)| Op::TakeMany(from, count)),
    ]
}

proptest! {
    #[test]
    fn they_are_what_a_tree_is(ops in prop::collection::vec(op(), 0..40), asked in prop::collection::vec(any::<u64>(), 3)) {
        let (mut blocks, mut all, mut last) = (Blocks::default(), BTreeSet::new(), 0_u64);
        for op in ops {
            match op {
                Op::Push(count) => for _ in 0..count {
                    // Not each offset comes.
                    last += 1 + u64::from(last % 7 == 0);
                    blocks.push(with_offset(last));
                    all.insert(last);
                },
                Op::Pop => prop_assert_eq!(blocks.pop().map(|past| past.offset), all.pop_first()),
                Op::Take(offset) => {
                    let offset = offset % (last + 2);
                    let taken = blocks.take(offset).map(|past| past.offset);
                    prop_assert_eq!(taken, all.take(&offset));
                }
                Op::TakeMany(from, count) => {
                    let from = from % (last + 2);
                    for offset in from..from + count {
                        prop_assert_eq!(blocks.take(offset).is_some(), all.remove(&offset));
                    }
                }
            }
            check(&blocks);
            prop_assert_eq!(blocks.len(), all.len());
            prop_assert_eq!(blocks.first().map(|past| past.offset), all.first().copied());
            for offset in asked.iter().map(|offset| offset % (last + 2)).chain([0, u64::MAX]) {
                let after: Vec<u64> = all.range((Bound::Excluded(offset), Bound::Unbounded)).copied().collect();
                let upto: Vec<u64> = all.range(..=offset).copied().collect();
                prop_assert_eq!(blocks.count_after(offset), after.len());
                prop_assert_eq!(offsets(blocks.after(offset)), &*after);
                prop_assert_eq!(offsets(blocks.upto(offset)), &*upto);
                prop_assert!(offsets(blocks.after(offset).rev()).iter().eq(after.iter().rev()));
                prop_assert!(offsets(blocks.upto(offset).rev()).iter().eq(upto.iter().rev()));
            }
        }
    }
}

/// However many are taken out in the middle, there is no more room than for a few times what is left.
#[test]
fn what_is_taken_out_gives_its_room_back() {
    let mut blocks = Blocks::default();
    for offset in 1..=100_000 {
        blocks.push(with_offset(offset));
    }
    for offset in (1..=100_000).filter(|offset| offset % 50 != 0) {
        assert!(blocks.take(offset).is_some());
    }
    check(&blocks);
    assert_eq!(blocks.len(), 2_000);
    assert!(blocks.blocks.len() <= 2 * 2_000 / BLOCK + 2);
}

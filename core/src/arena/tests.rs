use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

proptest! {
    /// Against a map of values by id, with all ids that ever were.
    #[test]
    fn an_id_finds_its_value_until_it_is_removed(ops in prop::collection::vec((any::<bool>(), 0..12_u32), 0..200)) {
        let mut arena = Arena::new(ShardId(0), 0);
        let mut living: BTreeMap<ConnectionId, usize> = BTreeMap::new();
        let mut all = Vec::new();
        let mut freed = Vec::new();
        for (value, (insert, index)) in ops.into_iter().enumerate() {
            if insert {
                let id = arena.insert(value);
                prop_assert!(!all.contains(&id), "given out twice");
                prop_assert_eq!(id.index(), freed.pop().unwrap_or_else(|| arena.slots() - 1));
                living.insert(id, value);
                all.push(id);
            } else {
                let id = living.keys().copied().find(|id| id.index() == index);
                let expected = id.and_then(|id| living.remove(&id));
                prop_assert_eq!(arena.remove(index), expected);
                freed.extend(expected.map(|_| index));
            }
            for &id in &all {
                let value = living.get(&id);
                prop_assert_eq!(arena.resolve(id), value.map(|_| id.index()));
                if value.is_some() {
                    prop_assert_eq!(arena.id(id.index()), Some(id));
                    prop_assert_eq!(arena.get(id.index()), value);
                }
            }
            for &index in &freed {
                prop_assert_eq!((arena.get(index), arena.id(index)), (None, None));
                prop_assert_eq!(arena.get_mut(index), None);
            }
            prop_assert_eq!(arena.slots() as usize, living.len() + freed.len());
            prop_assert_eq!(arena.get(arena.slots()), None);
        }
    }
}

#[test]
fn generations_start_again_after_the_last() {
    let mut arena = Arena::new(ShardId(0), 0);
    arena.insert(());
    arena.slots[0].generation = NonZeroU32::MAX;
    let last = arena.id(0);
    arena.remove(0);
    let id = arena.insert(());
    assert_eq!((id.index(), id.generation()), (0, NonZeroU32::MIN));
    assert_eq!(last.and_then(|last| arena.resolve(last)), None);
}

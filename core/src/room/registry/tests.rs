use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn check(
    registry: &Registry<u32>,
    names: &BTreeMap<String, (u32, u32)>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(registry.len(), names.len());
    for (name, &(number, value)) in names {
        prop_assert_eq!(registry.find(name), Some(number));
        prop_assert_eq!(registry.name(number), name);
        prop_assert_eq!(registry.get(number), Some(&value));
    }
    Ok(())
}

proptest! {
    /// Against a map; few names, so that they come and go.
    #[test]
    fn a_registry_is_a_map(
        key in any::<u64>(),
        ops in prop::collection::vec(("[ab/é]{0,2}", any::<bool>()), 0..200),
    ) {
        let mut registry = Registry::new(key);
        let mut names: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        let mut peak = 0;
        for (value, (name, add)) in (0..).zip(ops) {
            let number = registry.find(&name);
            prop_assert_eq!(number, names.get(&name).map(|&(number, _)| number));
            match (add, number) {
                (true, None) => {
                    let number = registry.insert(&name, value);
                    prop_assert!(names.values().all(|&(other, _)| other != number));
                    names.insert(name, (number, value));
                }
                (false, Some(number)) => {
                    let removed = names.remove(&name);
                    prop_assert_eq!(registry.remove(number), removed.map(|(_, value)| value));
                    prop_assert_eq!(registry.remove(number), None);
                    prop_assert_eq!((registry.name(number), registry.get(number)), ("", None));
                    prop_assert_eq!(registry.get_mut(number), None);
                }
                (true, Some(number)) => {
                    if let Some((own, old)) = registry.get_mut(number) {
                        prop_assert_eq!(own, name.as_str());
                        *old = value;
                    }
                    names.insert(name, (number, value));
                }
                (false, None) => {}
            }
            peak = peak.max(names.len());
            prop_assert!(names.values().all(|&(number, _)| number < peak as u32), "numbers are dense");
            check(&registry, &names)?;
        }
    }
}

/// Shards grow, alone and together; nothing is lost and nothing is left.
#[test]
fn a_registry_grows_and_empties() {
    let mut registry = Registry::new(7);
    let names: Vec<String> = (0..20_000).map(|i| format!("room-{i}")).collect();
    let one_shard =
        |name: &&String| shard(Registry::<()>::new(7).hasher.hash_one(name.as_str())) == 5;
    let same: Vec<&String> = names.iter().filter(one_shard).collect();
    assert!(same.len() > 100);
    for (value, name) in (0..).zip(same.iter().copied().chain(&names)) {
        if registry.find(name).is_none() {
            registry.insert(name, value);
        }
    }
    assert_eq!(registry.len(), names.len());
    let chunks = registry.chunks.iter().map(Vec::capacity);
    assert_eq!(chunks.max(), Some(CHUNK), "values stay where they are");
    for name in &names {
        let number = registry.find(name).unwrap();
        assert_eq!(registry.name(number), name);
        registry.remove(number);
        assert_eq!(registry.find(name), None);
    }
    assert_eq!(registry.len(), 0);
    assert!(registry.shards.iter().all(HashTable::is_empty));
}

/// A table takes its tags from the top seven bits and its place from the bottom ones: a shard whose entries
/// agree in either would be searched entry by entry.
#[test]
fn a_shard_has_hashes_of_all_kinds() {
    let hasher = Registry::<()>::new(7).hasher;
    let hashes = (0..20_000_u32).map(|i| hasher.hash_one(format!("room-{i}").as_str()));
    let own: Vec<u64> = hashes.filter(|&hash| shard(hash) == 5).collect();
    let distinct = |bits: fn(u64) -> u64| {
        let all: std::collections::BTreeSet<u64> = own.iter().map(|&hash| bits(hash)).collect();
        all.len()
    };
    assert!(distinct(|hash| hash >> 57) > 100);
    assert!(distinct(|hash| hash & 0x7F) > 100);
}

#[test]
fn another_key_gives_other_hashes() {
    let hash = |key| Registry::<()>::new(key).hasher.hash_one("lobby");
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_registry_shows_how_large_it_is() {
    let mut registry = Registry::new(7);
    registry.insert("tea", ());
    assert_eq!(format!("{registry:?}"), "Registry { len: 1, .. }");
}

#[test]
fn the_shards_of_the_table_are_memory_too() {
    let registry: Registry<u32> = Registry::new(1);
    assert!(registry.table_bytes() >= SHARDS * size_of::<HashTable<Entry>>());
}

//! The heap, against a sorted set.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::files::order::Order;

proptest! {
    #[test]
    fn it_is_in_order(calls in vec((0u32..20, proptest::option::of(0u64..30)), 0..200)) {
        let mut order = Order::default();
        let mut keys = BTreeMap::new();
        for (element, key) in calls {
            match key {
                Some(key) => {
                    order.set(element, key);
                    keys.insert(element, key);
                }
                None => prop_assert_eq!(order.remove(element), keys.remove(&element)),
            }
            let sorted: BTreeSet<(u64, u32)> = keys.iter().map(|(&e, &k)| (k, e)).collect();
            prop_assert_eq!(order.first(), sorted.first().copied());
            prop_assert_eq!(order.len() as usize, keys.len());
            prop_assert_eq!(order.is_empty(), keys.is_empty());
            for element in 0..21 {
                prop_assert_eq!(order.contains(element), keys.contains_key(&element));
            }
        }
        while let Some((key, element)) = order.first() {
            prop_assert_eq!(order.remove(element), Some(key));
            prop_assert_eq!(keys.remove(&element), Some(key));
            prop_assert!(order.first().is_none_or(|next| next > (key, element)));
        }
        prop_assert!(keys.is_empty());
    }
}

//! The messages of a room, and broadcasts, come to everybody in one order: there is one that fits what each has heard.

use std::collections::BTreeMap;

use super::session::Key;
use super::{Oracle, ROOMS};

/// What each has heard of each room, in order.
#[derive(Debug, Default)]
pub(super) struct Orders(BTreeMap<(usize, usize), Vec<Key>>);

impl Orders {
    pub(super) fn heard(&mut self, number: usize, room: usize, key: Key) {
        self.0.entry((room, number)).or_default().push(key);
    }

    /// A message of a room that must have come before and after another one; `None` if there is one order of all.
    fn circle_in(&self, room: usize) -> Option<Key> {
        let lists = || self.0.range((room, 0)..(room + 1, 0)).map(|(_, list)| list);
        let mut numbers = BTreeMap::new();
        let mut keys = Vec::new();
        for &key in lists().flatten() {
            numbers.entry(key).or_insert_with(|| {
                keys.push(key);
                keys.len() - 1
            });
        }
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); keys.len()];
        let mut before = vec![0; keys.len()];
        for list in lists() {
            let list: Vec<usize> = list.iter().map(|key| numbers[key]).collect();
            for pair in list.windows(2) {
                after[pair[0]].push(pair[1]);
                before[pair[1]] += 1;
            }
        }
        let mut first: Vec<usize> = (0..keys.len()).filter(|&n| before[n] == 0).collect();
        let mut left = keys.len();
        while let Some(number) = first.pop() {
            left -= 1;
            for &next in &after[number] {
                before[next] -= 1;
                if before[next] == 0 {
                    first.push(next);
                }
            }
        }
        let circle = (0..keys.len()).find(|&number| before[number] > 0);
        circle.filter(|_| left > 0).map(|number| keys[number])
    }
}

impl Oracle {
    /// Any two have heard what both have heard in the same order.
    pub(super) fn check_order(&mut self) {
        for (room, name) in ROOMS.iter().enumerate() {
            if let Some(key) = self.orders.circle_in(room) {
                self.fail(|| format!("in {name:?} there is no one order around {key:?}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of some clients has heard of room 1, by the number of the message.
    fn orders(heard: &[&[u64]]) -> Orders {
        let mut orders = Orders::default();
        for (number, list) in heard.iter().enumerate() {
            for &serial in *list {
                orders.heard(number, 1, (7, serial));
            }
        }
        orders
    }

    #[test]
    fn what_fits_one_order_is_right() {
        let right = orders(&[&[1, 2, 4], &[2, 3, 4], &[1, 3], &[], &[4]]);
        assert_eq!(right.circle_in(1), None);
        assert_eq!(right.circle_in(0), None);
    }

    #[test]
    fn two_that_have_heard_two_in_different_orders() {
        let wrong = orders(&[&[1, 2, 3], &[1, 3, 2]]);
        assert!(wrong.circle_in(1).is_some());
        assert_eq!(wrong.circle_in(0), None);
        assert_eq!(wrong.circle_in(2), None);
    }

    #[test]
    fn three_of_whom_any_two_agree() {
        let wrong = orders(&[&[1, 2], &[2, 3], &[3, 1]]);
        assert!(wrong.circle_in(1).is_some());
    }
}

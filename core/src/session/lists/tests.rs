use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const ELEMENTS: u32 = 8;
const LISTS: usize = 3;

fn walk(links: &Links, list: List, forward: bool) -> Vec<u32> {
    let step = |at: u32| {
        let link = links.links[at as usize];
        if forward { link.next } else { link.previous }
    };
    let first = if forward { list.head } else { list.tail };
    let mut all = Vec::new();
    let mut at = first;
    while at != NONE && all.len() <= ELEMENTS as usize {
        all.push(at);
        at = step(at);
    }
    all
}

proptest! {
    /// Several lists over the same elements against a deque each.
    #[test]
    fn lists_are_deques(ops in prop::collection::vec((0..ELEMENTS, 0..=LISTS), 0..100)) {
        let mut links = Links::default();
        let mut lists = [List::EMPTY; LISTS];
        let mut deques: [VecDeque<u32>; LISTS] = Default::default();
        for (element, to) in ops {
            links.reserve(element);
            if let Some(from) = deques.iter().position(|deque| deque.contains(&element)) {
                links.remove(&mut lists[from], element);
                deques[from].retain(|&other| other != element);
            }
            if to < LISTS {
                links.push_back(&mut lists[to], element);
                deques[to].push_back(element);
            }
            for (list, deque) in lists.into_iter().zip(&deques) {
                prop_assert_eq!(list.front(), deque.front().copied());
                let mut all = walk(&links, list, true);
                prop_assert_eq!(&all, &Vec::from(deque.clone()));
                all.reverse();
                prop_assert_eq!(walk(&links, list, false), all);
            }
        }
    }
}

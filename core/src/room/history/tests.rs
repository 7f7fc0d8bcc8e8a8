use proptest::prelude::*;

use super::*;
use crate::message::Payload;

const EPOCH: Epoch = Epoch(7);

fn history(messages: usize, bytes: usize) -> History {
    let age = Duration::from_millis(100);
    let keeps = Keeps {
        messages,
        bytes,
        age,
    };
    History::new(keeps, EPOCH)
}

fn client() -> ClientId {
    ClientId::parse("client_AAAAAAAAAAAAAAAAAAAAAAAA").expect("an id")
}

/// The data of the nth message is its number.
fn past(number: u64, at_ms: u64) -> Past {
    let text = number.to_string();
    Past {
        from: client(),
        said: Instant::from_micros(1_000 * at_ms),
        timestamp: at_ms,
        data: Payload::Json(&text).into(),
    }
}

fn filled(count: u64, kept: usize) -> History {
    let mut history = history(kept, usize::MAX);
    for number in 1..=count {
        assert_eq!(history.push(past(number, number)), number);
    }
    history
}

/// The offsets that are found; each message must be the one that got its offset.
fn offsets(found: &Found) -> Vec<u64> {
    let all = found.past();
    for past in &all {
        assert_eq!(past.data, Payload::Json(&past.offset.to_string()));
    }
    all.iter().map(|past| past.offset).collect()
}

fn find(history: &History, which: Which, limit: usize) -> Found {
    let wanted = Wanted {
        epoch: Some(EPOCH),
        which,
        limit,
    };
    history.find(&wanted, usize::MAX)
}

#[test]
fn what_came_after_is_found_page_by_page() {
    let history = filled(10, 10);
    let found = find(&history, Which::After(3), 4);
    assert_eq!(offsets(&found), [4, 5, 6, 7]);
    assert!(found.more);
    let found = find(&history, Which::After(7), 4);
    assert_eq!(offsets(&found), [8, 9, 10]);
    assert!(!found.more);
    assert_eq!(found.gap, None);
    let found = find(&history, Which::After(10), 4);
    assert!(offsets(&found).is_empty() && !found.more && found.gap.is_none());
    // Nobody was told such an offset.
    let found = find(&history, Which::After(u64::MAX), 4);
    assert!(offsets(&found).is_empty() && !found.more && found.gap.is_none());
}

#[test]
fn what_is_gone_is_a_gap() {
    let history = filled(10, 4);
    let found = find(&history, Which::After(3), 10);
    assert_eq!(offsets(&found), [7, 8, 9, 10]);
    assert_eq!(found.gap, Some(Gap { from: 4, to: 6 }));
    let found = find(&history, Which::After(6), 10);
    assert_eq!((offsets(&found).len(), found.gap), (4, None));
    let nothing = filled(5, 0);
    let found = find(&nothing, Which::After(2), 10);
    assert_eq!(found.gap, Some(Gap { from: 3, to: 5 }));
    assert!(offsets(&found).is_empty() && !found.more);
}

#[test]
fn the_last_ones_are_found_backwards() {
    let history = filled(10, 6);
    let found = find(&history, Which::Last, 4);
    assert_eq!((offsets(&found), found.more), (vec![7, 8, 9, 10], true));
    let found = find(&history, Which::Before(7), 4);
    assert_eq!((offsets(&found), found.more), (vec![5, 6], false));
    for before in [0, 1, 5] {
        let found = find(&history, Which::Before(before), 4);
        assert_eq!((offsets(&found), found.more), (vec![], false));
    }
    let found = find(&history, Which::Before(u64::MAX), 4);
    assert_eq!(offsets(&found), [7, 8, 9, 10]);
}

#[test]
fn offsets_of_another_epoch_are_begun_anew() {
    let history = filled(10, 6);
    for which in [Which::After(9), Which::Before(2), Which::Last] {
        let wanted = Wanted {
            epoch: Some(Epoch(8)),
            which,
            limit: 3,
        };
        let found = history.find(&wanted, usize::MAX);
        assert!(found.reset && found.more && found.gap.is_none());
        assert_eq!(offsets(&found), [5, 6, 7]);
        assert_eq!(found.position.epoch, EPOCH);
    }
    let wanted = Wanted {
        epoch: None,
        which: Which::After(9),
        limit: 3,
    };
    assert_eq!(offsets(&history.find(&wanted, usize::MAX)), [10]);
}

#[test]
fn a_page_has_as_many_bytes_as_it_may_and_one_message_at_least() {
    let history = filled(9, 9);
    let wanted = |which| Wanted {
        epoch: None,
        which,
        limit: 9,
    };
    let two = 2 * past(1, 1).wire_bytes();
    assert_eq!(
        offsets(&history.find(&wanted(Which::After(3)), two)),
        [4, 5]
    );
    assert_eq!(offsets(&history.find(&wanted(Which::Last), two)), [8, 9]);
    assert_eq!(offsets(&history.find(&wanted(Which::After(3)), 0)), [4]);
    assert_eq!(offsets(&history.find(&wanted(Which::Last), 0)), [9]);
}

#[test]
fn bytes_are_a_bound() {
    let each = past(1, 1).bytes();
    let mut history = history(100, 3 * each);
    for number in 1..=9 {
        history.push(past(number, number));
        assert!(history.bytes() <= 3 * each);
    }
    assert_eq!(offsets(&find(&history, Which::Last, 9)), [7, 8, 9]);
    // One that is too large itself is the latest all the same.
    let data = "0".repeat(4 * each);
    let data = Payload::Json(&data).into();
    assert_eq!(history.push(Past { data, ..past(0, 0) }), 10);
    assert!(history.is_empty() && history.bytes() == 0);
    assert_eq!(history.position().last, 10);
    assert_eq!(history.heap_bytes(), 0);
}

#[test]
fn an_epoch_is_read_back() {
    for number in [0, 1, 0xfedc_ba98_7654_3210, u64::MAX] {
        let text = Epoch(number).to_string();
        assert_eq!(Epoch::parse(&text), Some(Epoch(number)), "{text}");
    }
    for text in [
        "",
        "0",
        "+000000000000001",
        "00000000000000AB",
        "0000000000000000 ",
    ] {
        assert_eq!(Epoch::parse(text), None, "{text}");
    }
}

proptest! {
    /// Whatever was pushed and dropped: what is found is what a list of everything says.
    #[test]
    fn it_finds_what_a_list_of_everything_says(
        kept in 0_usize..6,
        ends in proptest::collection::vec(0_u64..4, 0..20),
        offset in 0_u64..24,
        limit in 1_usize..5,
    ) {
        let mut history = history(kept, usize::MAX);
        let (mut last, mut first) = (0, 1);
        for end in ends {
            if end == 0 {
                first = (first + 1).min(last + 1);
                history.pop();
            } else {
                last += 1;
                history.push(past(last, last));
                first = first.max((last + 1).saturating_sub(kept as u64));
            }
            prop_assert_eq!(history.bytes(), (first..=last).map(|n| past(n, n).bytes()).sum::<usize>());
            prop_assert_eq!(history.oldest_due(), (first <= last).then(|| {
                Instant::from_micros(1_000 * (first + 100))
            }));
        }
        let after: Vec<u64> = (first.max(offset + 1)..=last).collect();
        let found = find(&history, Which::After(offset), limit);
        prop_assert_eq!(offsets(&found), &after[..after.len().min(limit)]);
        prop_assert_eq!(found.more, after.len() > limit);
        let missed: Vec<u64> = (offset + 1..first).filter(|&missed| missed <= last).collect();
        let gap = missed.first().zip(missed.last());
        prop_assert_eq!(found.gap, gap.map(|(&from, &to)| Gap { from, to }));
        let before: Vec<u64> = (first..=last.min(offset.saturating_sub(1))).collect();
        let found = find(&history, Which::Before(offset), limit);
        prop_assert_eq!(offsets(&found), &before[before.len().saturating_sub(limit)..]);
        prop_assert_eq!(found.more, before.len() > limit);
    }
}

fn since(epoch: Option<u64>, after: u64) -> Since {
    Since {
        epoch: epoch.map(Epoch),
        after,
    }
}

#[test]
fn who_comes_back_gets_the_latest_that_fit() {
    let history = filled(10, 6);
    let all = |epoch, after| history.since(&since(epoch, after), usize::MAX);
    let found = all(Some(7), 7);
    assert_eq!(
        (offsets(&found), found.is_complete()),
        (vec![8, 9, 10], true)
    );
    let found = all(None, 4);
    assert_eq!((offsets(&found), found.gap), ((5..=10).collect(), None));
    let found = all(None, 2);
    let gap = Some(Gap { from: 3, to: 4 });
    assert_eq!(
        (offsets(&found).len(), found.gap, found.reset),
        (6, gap, false)
    );
    assert!(!found.is_complete());
    let found = all(None, 10);
    assert!(offsets(&found).is_empty() && found.is_complete());
    // Another log: all of this one is new.
    for other in [
        since(Some(8), 10),
        since(None, 11),
        since(Some(7), u64::MAX),
    ] {
        let found = history.since(&other, usize::MAX);
        let gap = Some(Gap { from: 1, to: 4 });
        assert_eq!(
            (offsets(&found).len(), found.gap, found.reset),
            (6, gap, true)
        );
        assert_eq!(history.count_since(&other), 6);
    }
    // One fits always.
    let found = history.since(&since(None, 6), 1);
    let gap = Some(Gap { from: 7, to: 9 });
    assert_eq!((offsets(&found), found.gap), (vec![10], gap));
}

proptest! {
    /// What is told and what is called a gap is all that came after, and nothing else.
    #[test]
    fn nothing_is_left_out_in_silence(
        count in 0_u64..30, kept in 1_usize..30, after in 0_u64..40, epoch in prop::option::of(6_u64..8), room in 0_usize..4_000,
    ) {
        let history = filled(count, kept);
        let asked = since(epoch, after);
        let found = history.since(&asked, room);
        let told = offsets(&found);
        prop_assert_eq!(found.reset, epoch == Some(6) || after > count);
        let from = if found.reset { 0 } else { after };
        let gap = found.gap.map_or(0, |gap| gap.to + 1 - gap.from);
        prop_assert_eq!(gap + told.len() as u64, count - from);
        prop_assert!(found.gap.is_none_or(|gap| gap.from == from + 1));
        prop_assert_eq!(told.last().copied().unwrap_or(count), count);
        prop_assert!(told.windows(2).all(|two| two[0] + 1 == two[1]));
        prop_assert!(told.len() <= history.count_since(&asked));
        // All that is kept is told, if there is room.
        prop_assert!(told.len() == history.count_since(&asked) || (told.len() + 1) * 162 > room);
    }
}

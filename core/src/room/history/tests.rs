use proptest::prelude::*;

use super::*;
use crate::message::Payload;

const EPOCH: Epoch = Epoch(7);
/// Nothing is out of date but what says so.
const NOW: Instant = Instant::from_micros(1_000_000);

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
pub(super) fn past(number: u64, at_ms: u64) -> Past {
    let text = number.to_string();
    Past {
        from: client(),
        said: Instant::from_micros(1_000 * at_ms),
        timestamp: at_ms,
        data: Payload::Json(&text).into(),
        ttl_ms: None,
        key: None,
        offset: 0,
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
    history.find(&wanted, usize::MAX, NOW)
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
        let found = history.find(&wanted, usize::MAX, NOW);
        assert!(found.reset && found.more && found.gap.is_none());
        assert_eq!(offsets(&found), [5, 6, 7]);
        assert_eq!(found.position.epoch, EPOCH);
    }
    let wanted = Wanted {
        epoch: None,
        which: Which::After(9),
        limit: 3,
    };
    assert_eq!(offsets(&history.find(&wanted, usize::MAX, NOW)), [10]);
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
        offsets(&history.find(&wanted(Which::After(3)), two, NOW)),
        [4, 5]
    );
    assert_eq!(
        offsets(&history.find(&wanted(Which::Last), two, NOW)),
        [8, 9]
    );
    assert_eq!(
        offsets(&history.find(&wanted(Which::After(3)), 0, NOW)),
        [4]
    );
    assert_eq!(offsets(&history.find(&wanted(Which::Last), 0, NOW)), [9]);
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
            prop_assert_eq!(history.next_due(), (first <= last).then(|| {
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
    let all = |epoch, after| history.since(&since(epoch, after), usize::MAX, NOW);
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
        let found = history.since(&other, usize::MAX, NOW);
        let gap = Some(Gap { from: 1, to: 4 });
        assert_eq!(
            (offsets(&found).len(), found.gap, found.reset),
            (6, gap, true)
        );
        assert_eq!(history.count_since(&other), 6);
    }
    // One fits always.
    let found = history.since(&since(None, 6), 1, NOW);
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
        let found = history.since(&asked, room, NOW);
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

/// A message about something, of use for so long.
fn about(key: Option<u8>, ttl_ms: Option<u32>, number: u64, at_ms: u64) -> Past {
    let key = key.map(|key| key.to_string().into());
    Past {
        key,
        ttl_ms,
        ..past(number, at_ms)
    }
}

#[test]
fn a_later_message_takes_the_place_of_one_with_its_key() {
    let mut history = history(3, usize::MAX);
    for (number, key) in [
        (1, Some(1)),
        (2, None),
        (3, Some(2)),
        (4, Some(1)),
        (5, Some(1)),
    ] {
        history.push(about(key, None, number, number));
    }
    let found = find(&history, Which::After(0), 9);
    assert_eq!((offsets(&found), found.gap), (vec![2, 3, 5], None));
    let ranges = vec![Gap { from: 1, to: 1 }, Gap { from: 4, to: 4 }];
    assert_eq!(found.left_out, ranges);
    // A page tells of what lies before its last message.
    let found = find(&history, Which::After(0), 2);
    assert_eq!((offsets(&found), found.more), (vec![2, 3], true));
    assert_eq!(found.left_out, ranges[..1]);
    let found = find(&history, Which::Last, 1);
    assert_eq!((offsets(&found), found.more), (vec![5], true));
    assert!(found.left_out.is_empty());
    let found = find(&history, Which::Before(5), 9);
    assert_eq!((offsets(&found), &found.left_out), (vec![2, 3], &ranges));
    // What was let go is missing, whatever it was about.
    history.push(past(6, 6));
    let found = history.since(&since(None, 0), usize::MAX, NOW);
    assert_eq!(offsets(&found), [3, 5, 6]);
    assert_eq!(found.gap, Some(Gap { from: 1, to: 2 }));
    assert_eq!(found.left_out, ranges[1..]);
    assert!(!found.is_complete());
}

#[test]
fn what_is_out_of_date_is_not_told() {
    let mut history = history(9, usize::MAX);
    for (number, ttl_ms) in [(1, Some(10)), (2, None), (3, Some(11))] {
        history.push(about(None, ttl_ms, number, 0));
    }
    let at = |ms: u64| {
        history.since(
            &since(None, 0),
            usize::MAX,
            Instant::from_micros(1_000 * ms),
        )
    };
    assert_eq!(offsets(&at(9)), [1, 2, 3]);
    assert_eq!(
        (offsets(&at(10)), at(10).left_out),
        (vec![2, 3], vec![Gap { from: 1, to: 1 }])
    );
    let found = at(11);
    let ranges = vec![Gap { from: 1, to: 1 }, Gap { from: 3, to: 3 }];
    assert_eq!((offsets(&found), &found.left_out), (vec![2], &ranges));
    assert!(found.is_complete() && !found.more);
}

/// What is out of date is not there to be walked over, wherever it stood; what is too old is missing.
#[test]
fn what_is_due_goes_in_its_order() {
    let mut history = history(1_000, usize::MAX);
    for number in 1..=500 {
        history.push(about(None, Some(10), number, 0));
    }
    history.push(about(Some(1), Some(20), 501, 5));
    history.push(about(None, None, 502, 5));
    let at = |ms: u64| Instant::from_micros(1_000 * ms);
    assert_eq!(history.next_due(), Some(at(10)));
    assert_eq!(history.let_go_due(at(9)), None);
    let gone = core::iter::from_fn(|| history.let_go_due(at(10)));
    assert_eq!(gone.count(), 500);
    assert_eq!(history.messages.len(), 2);
    let found = find(&history, Which::After(0), 9);
    assert_eq!((offsets(&found), found.gap), (vec![502], None));
    assert_eq!(found.left_out, [Gap { from: 1, to: 501 }]);
    assert_eq!(history.next_due(), Some(at(25)));
    let freed = about(Some(1), Some(20), 501, 5).bytes();
    assert_eq!(history.let_go_due(at(25)), Some(freed));
    assert_eq!(history.keyed.len(), 0);
    // The last one is too old.
    assert_eq!(history.next_due(), Some(at(105)));
    assert_eq!(history.let_go_due(at(105)), Some(past(502, 5).bytes()));
    assert_eq!(
        (history.next_due(), history.let_go_due(at(105))),
        (None, None)
    );
    let found = find(&history, Which::After(0), 9);
    assert_eq!(
        (found.gap, found.left_out),
        (Some(Gap { from: 1, to: 502 }), vec![])
    );
    assert_eq!((history.bytes(), history.heap_bytes()), (0, 0));
    // What says that it is of use for longer than it is kept is too old first.
    history.push(about(None, Some(200), 503, 200));
    assert!(history.let_go_due(at(300)).is_some());
    assert_eq!((history.trimmed, history.expiring.len()), (503, 0));
}

proptest! {
    /// Each message that came is told, missing, or left out because a later one has its key or it is out of date; and
    /// a page says of all up to its last message which it is.
    #[test]
    fn nothing_is_left_out_but_what_was_to_be(
        said in prop::collection::vec((prop::option::of(0_u8..4), prop::option::of(1_u32..60)), 0..40),
        kept in 1_usize..30, after in 0_u64..50, limit in 1_usize..30, room in 0_usize..6_000, before in any::<bool>(),
        goes in 0_u64..80,
    ) {
        let now_ms = said.len() as u64 + 20;
        let now = Instant::from_micros(1_000 * now_ms);
        let mut history = history(kept, usize::MAX);
        for (&(key, ttl_ms), number) in said.iter().zip(1..) {
            history.push(about(key, ttl_ms, number, number));
        }
        // Perhaps what was out of date then has gone.
        let then = Instant::from_micros(1_000 * goes.min(now_ms));
        let before_it = history.bytes();
        let freed: usize = core::iter::from_fn(|| history.let_go_due(then)).sum();
        prop_assert_eq!(history.bytes(), before_it - freed);
        prop_assert!(history.next_due().is_none_or(|due| due > then));
        prop_assert!(history.messages.after(0).all(|past| past.is_current(then)));
        let expiring = history.messages.after(0).filter(|past| past.ttl_ms.is_some()).count();
        prop_assert_eq!(history.expiring.len(), expiring);
        prop_assert_eq!(history.bytes(), history.messages.after(0).map(Past::bytes).sum::<usize>());
        prop_assert!(history.messages.len() <= kept);
        prop_assert_eq!(history.keyed.len(), history.messages.after(0).filter(|it| it.key.is_some()).count());
        let last = said.len() as u64;
        let unwanted = |offset: u64| {
            let (key, ttl_ms) = said[offset as usize - 1];
            let later = &said[offset as usize..];
            let is_over = ttl_ms.is_some_and(|ttl| offset + u64::from(ttl) <= now_ms);
            is_over || key.is_some() && later.iter().any(|other| other.0 == key)
        };
        let check = |found: &Found, asked: core::ops::RangeInclusive<u64>| -> Result<(), TestCaseError> {
            let told = offsets(found);
            prop_assert!(told.windows(2).all(|two| two[0] < two[1]));
            prop_assert!(told.iter().all(|offset| asked.contains(offset)));
            for offset in asked {
                let within = |gap: &Gap| (gap.from..=gap.to).contains(&offset);
                let of = [
                    told.contains(&offset),
                    found.gap.as_ref().is_some_and(within),
                    found.left_out.iter().any(within),
                ];
                prop_assert_eq!(of.iter().filter(|&&is| is).count(), 1, "{} of {:?}", offset, found);
                prop_assert!(!of[2] || unwanted(offset));
                prop_assert!(!of[0] || !unwanted(offset));
            }
            Ok(())
        };
        let found = history.since(&since(None, after), room, now);
        let from = if found.reset { 0 } else { after };
        check(&found, from + 1..=last)?;
        let wanted = |which| Wanted { epoch: None, which, limit };
        let found = history.find(&wanted(Which::After(after)), room, now);
        let upto = if found.more { last_of(&found.messages) } else { last };
        check(&found, after.min(last) + 1..=upto)?;
        let which = if before { Which::Before(after) } else { Which::Last };
        let found = history.find(&wanted(which), room, now);
        let end = if before { after.clamp(history.trimmed + 1, last + 1) } else { last + 1 };
        let begin = if found.more { found.messages[0].offset } else { history.trimmed + 1 };
        check(&found, begin..=end - 1)?;
    }
}

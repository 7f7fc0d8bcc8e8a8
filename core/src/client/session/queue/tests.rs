//! The queue alone, against the simplest one.

use proptest::prelude::*;

use super::*;

fn entry(item: u64, bytes: usize, since_ms: u64) -> Entry {
    Entry {
        item: Item(item),
        work: Work::Content(Content::Text("x".repeat(bytes))),
        delivery: Delivery::AtMostOnce,
        naming: Naming::Without,
        order: item,
        since: Instant::from_micros(since_ms * 1_000),
    }
}

#[derive(Clone, Debug)]
enum Op {
    Push(usize),
    Pop,
    /// Takes so many, and puts them back in another order.
    PutBack(usize),
    Wait,
    TakeWaiters,
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..12_usize).prop_map(Op::Push),
        1 => Just(Op::Pop),
        1 => (0..5_usize).prop_map(Op::PutBack),
        1 => Just(Op::Wait),
        1 => Just(Op::TakeWaiters),
        2 => (0..60_u64).prop_map(Op::Pass),
    ]
}

proptest! {
    /// covers A4-06
    #[test]
    fn what_goes_in_comes_out_once_and_the_bounds_hold(
        ops in prop::collection::vec(op(), 0..100),
        queue_messages in 0..8_usize,
        queue_bytes in 0..40_usize,
    ) {
        let mut queue = Queue::new(&SessionConfig {
            queue_messages,
            queue_bytes,
            queue_age_ms: 100,
            ..SessionConfig::new("example.com")
        });
        let (mut now, mut last, mut out) = (0, 0, Vec::new());
        for op in ops {
            match op {
                Op::Push(bytes) => {
                    last += 1;
                    let had_room = queue.count() < queue_messages && queue.bytes() + bytes <= queue_bytes;
                    let outcome = queue.push(entry(last, bytes, now));
                    prop_assert_eq!(outcome.is_ok(), had_room);
                    out.extend(outcome.err().map(|it| it.item.0));
                }
                Op::Pop => out.extend(queue.pop().map(|it| it.item.0)),
                Op::PutBack(count) => {
                    let mut taken: Vec<Entry> = (0..count).filter_map(|_| queue.pop()).collect();
                    taken.reverse();
                    let rest = queue.put_back(taken);
                    prop_assert!(rest.is_empty(), "what was there fits");
                }
                Op::Wait => {
                    last += 1;
                    let waiter = Waiter {
                        item: Item(last),
                        room: 1,
                        since: Instant::from_micros(now * 1_000),
                    };
                    out.extend(queue.wait(waiter).err().map(|it| it.item.0));
                }
                Op::TakeWaiters => {
                    prop_assert!(queue.take_waiters(2).is_empty());
                    out.extend(queue.take_waiters(1).iter().map(|it| it.0));
                }
                Op::Pass(ms) => {
                    now += ms;
                    let instant = Instant::from_micros(now * 1_000);
                    while let Some(item) = queue.expire(instant) {
                        out.push(item.0);
                    }
                    prop_assert!(queue.due().is_none_or(|due| due > instant));
                }
            }
            prop_assert!(queue.count() <= queue_messages && queue.bytes() <= queue_bytes);
            let orders: Vec<u64> = queue.iter().map(|it| it.order).collect();
            prop_assert!(orders.is_sorted());
            prop_assert_eq!(queue.bytes(), queue.iter().map(Entry::bytes).sum::<usize>());
        }
        out.extend(queue.take_all().iter().map(|it| it.0));
        prop_assert_eq!((queue.count(), queue.bytes(), queue.due()), (0, 0, None));
        out.sort_unstable();
        prop_assert_eq!(out, (1..=last).collect::<Vec<_>>());
    }
}

#[test]
fn of_what_comes_back_the_newest_has_no_room() {
    let mut queue = Queue::new(&SessionConfig {
        queue_messages: 4,
        queue_bytes: 10,
        ..SessionConfig::new("example.com")
    });
    queue.push(entry(9, 4, 0)).expect("room");
    let rest = queue.put_back(vec![entry(3, 3, 0), entry(1, 3, 0), entry(2, 1, 0)]);
    assert_eq!(rest, [entry(3, 3, 0)]);
    let orders = |queue: &Queue| queue.iter().map(|it| it.order).collect::<Vec<_>>();
    assert_eq!((orders(&queue), queue.bytes()), (vec![1, 2, 9], 8));
    // One alone has its place, if there is room for it.
    assert_eq!(queue.put_back_one(entry(7, 3, 0)), Err(entry(7, 3, 0)));
    queue.put_back_one(entry(7, 2, 0)).expect("room");
    assert_eq!((orders(&queue), queue.bytes()), (vec![1, 2, 7, 9], 10));
    assert_eq!(queue.put_back_one(entry(8, 0, 0)), Err(entry(8, 0, 0)));
}

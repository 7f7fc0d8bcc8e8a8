use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const CONNECTIONS: u32 = 8;
const DURATIONS: [u64; 5] = [0, 5, 20, 20, 100];

fn timers() -> Timers {
    let mut timers = Timers::new(DURATIONS.map(Duration::from_micros));
    for connection in 0..CONNECTIONS {
        timers.open(connection);
    }
    timers
}

#[derive(Clone, Debug)]
enum Op {
    Arm(u32, u8),
    Cancel(u32),
    Wait(u64),
    Pop,
    Open(u32),
}

fn op() -> impl Strategy<Value = Op> {
    // One class more than there is: it disarms.
    let class = 0..=DURATIONS.len() as u8;
    prop_oneof![
        6 => (0..CONNECTIONS, class).prop_map(|(connection, class)| Op::Arm(connection, class)),
        1 => (0..CONNECTIONS).prop_map(Op::Cancel),
        3 => (0..30_u64).prop_map(Op::Wait),
        4 => Just(Op::Pop),
        1 => (0..CONNECTIONS + 3).prop_map(Op::Open),
    ]
}

proptest! {
    #[test]
    fn timers_are_a_map_of_deadlines(ops in prop::collection::vec(op(), 0..200)) {
        let mut timers = timers();
        let mut armed: BTreeMap<u32, (Instant, u8)> = BTreeMap::new();
        let mut now = Instant::from_micros(1_000);
        for op in ops {
            match op {
                Op::Arm(connection, class) => {
                    timers.arm(connection, class, now);
                    armed.remove(&connection);
                    if let Some(&duration) = DURATIONS.get(class as usize) {
                        armed.insert(connection, (now + Duration::from_micros(duration), class));
                    }
                }
                Op::Cancel(connection) => {
                    timers.cancel(connection);
                    armed.remove(&connection);
                }
                Op::Wait(micros) => now = now + Duration::from_micros(micros),
                Op::Pop => {
                    let first = armed.values().map(|&(deadline, _)| deadline).min();
                    match timers.pop_due(now) {
                        Some((connection, class)) => {
                            let timer = armed.remove(&connection);
                            prop_assert_eq!(timer, first.map(|deadline| (deadline, class)));
                            prop_assert!(first <= Some(now));
                        }
                        None => prop_assert!(first.is_none_or(|deadline| deadline > now)),
                    }
                }
                Op::Open(connection) => timers.open(connection),
            }
            let first = armed.values().map(|&(deadline, _)| deadline).min();
            prop_assert_eq!(timers.next_deadline(), first);
            for connection in 0..CONNECTIONS {
                let class = armed.get(&connection).map(|&(_, class)| class);
                prop_assert_eq!(timers.armed(connection), class);
            }
        }
    }
}

#[test]
fn a_timer_that_never_fires_is_at_the_end_of_time() {
    let mut timers = Timers::new([Duration::MAX]);
    timers.open(0);
    timers.arm(0, 0, Instant::from_micros(1));
    assert_eq!(timers.next_deadline(), Some(Instant::FAR_FUTURE));
    assert_eq!(timers.pop_due(Instant::from_micros(u64::MAX - 1)), None);
    assert_eq!(timers.armed(1), None, "nobody's");
}

#[test]
fn the_classes_are_memory_too() {
    let none = Timers::new([]).heap_bytes();
    let grown = Timers::new(DURATIONS.map(Duration::from_micros)).heap_bytes() - none;
    assert!(
        grown >= DURATIONS.len() * size_of::<Class>(),
        "{grown} bytes"
    );
}

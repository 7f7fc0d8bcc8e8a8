//! Tests of the heartbeat: the table of steps, and simulated connections.

use proptest::prelude::*;

use super::*;
use crate::time::Instant;

fn phase(index: u64) -> Phase {
    Phase::from_hash(index << 60)
}

fn schedule(interval_ms: u64, timeout_ms: u64) -> Schedule {
    Schedule::new(&Heartbeat {
        interval_ms,
        timeout_ms,
    })
    .expect("pings are on")
}

#[test]
fn every_step() {
    let phase = phase(3);
    let due = TimerClass::PingDue(phase);
    assert_eq!(open(phase), (State::PingDue, Action::Arm(due)));
    let fired = |reading| Event::Fired { reading };
    let table = [
        (
            State::PingDue,
            Event::Received,
            State::PingDue,
            Action::Nothing,
        ),
        (
            State::PingDue,
            Event::Resumed,
            State::PingDue,
            Action::Nothing,
        ),
        (
            State::PingDue,
            fired(true),
            State::PongWait,
            Action::Ping(TimerClass::PongWait),
        ),
        (
            State::PingDue,
            fired(false),
            State::PongWait,
            Action::Ping(TimerClass::PongWait),
        ),
        (
            State::PongWait,
            Event::Received,
            State::PingDue,
            Action::Arm(due),
        ),
        (
            State::PongWait,
            Event::Resumed,
            State::PongWait,
            Action::Arm(TimerClass::PongWait),
        ),
        (
            State::PongWait,
            fired(false),
            State::PongWait,
            Action::Arm(TimerClass::PongWait),
        ),
        (
            State::PongWait,
            fired(true),
            State::PongWait,
            Action::TimedOut,
        ),
    ];
    for (state, event, next, action) in table {
        assert_eq!(
            step(state, event, phase),
            (next, action),
            "{state:?} {event:?}"
        );
    }
}

// covers A3-09
#[test]
fn phases_spread_pings_over_a_tenth_of_the_interval() {
    let schedule = schedule(30_000, 20_000);
    let due = |index| schedule.duration(TimerClass::PingDue(phase(index)));
    assert_eq!(due(0), Duration::from_millis(27_000));
    assert_eq!(due(15), Duration::from_millis(30_000));
    assert_eq!(due(8), Duration::from_millis(28_600));
    assert!((1..16).all(|index| due(index) - due(index - 1) == Duration::from_millis(200)));
    assert_eq!(
        schedule.duration(TimerClass::PongWait),
        Duration::from_millis(20_000)
    );
    assert_eq!(Phase::from_hash(u64::MAX).index(), PHASES - 1);
    let classes = (0..16).map(|index| TimerClass::PingDue(phase(index)).index());
    assert!(classes.eq(0..16));
    assert_eq!(TimerClass::PongWait.index(), TIMER_CLASSES - 1);
}

#[test]
fn settings_at_their_ends() {
    let off = Heartbeat {
        interval_ms: 0,
        timeout_ms: 1,
    };
    assert_eq!(Schedule::new(&off), None);
    for interval_ms in [1, u64::MAX] {
        let schedule = schedule(interval_ms, u64::MAX);
        let interval = Duration::from_millis(interval_ms);
        for index in 0..16 {
            let due = schedule.duration(TimerClass::PingDue(phase(index)));
            assert!(due <= interval && due >= interval / 10 * 9);
        }
    }
}

/// One connection with its one timer.
struct Connection {
    schedule: Schedule,
    phase: Phase,
    state: State,
    deadline: Instant,
    reading: bool,
    pings: Vec<Instant>,
    timed_out: Option<Instant>,
}

impl Connection {
    fn open(schedule: Schedule, phase: Phase) -> Self {
        let mut connection = Self {
            schedule,
            phase,
            state: State::PongWait,
            deadline: Instant::FAR_FUTURE,
            reading: true,
            pings: Vec::new(),
            timed_out: None,
        };
        connection.apply(Instant::ZERO, open(phase));
        connection
    }

    fn apply(&mut self, now: Instant, (state, action): (State, Action)) {
        self.state = state;
        match action {
            Action::Nothing => {}
            Action::Arm(class) => self.deadline = now + self.schedule.duration(class),
            Action::Ping(class) => {
                self.pings.push(now);
                self.deadline = now + self.schedule.duration(class);
            }
            Action::TimedOut => {
                self.timed_out = Some(now);
                self.deadline = Instant::FAR_FUTURE;
            }
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        if self.timed_out.is_none() {
            self.apply(now, step(self.state, event, self.phase));
        }
    }

    /// Fires what is due before `now`; at most a few thousand times.
    fn run_until(&mut self, now: Instant) {
        for _ in 0..5_000 {
            if self.deadline >= now {
                return;
            }
            let reading = self.reading;
            self.event(self.deadline, Event::Fired { reading });
        }
        panic!("the timer fires without end");
    }
}

const MS: u64 = 1_000;

proptest! {
    #[test]
    fn the_dead_are_found_in_time(
        (interval_ms, timeout_ms) in (1_u64..100, 1_u64..100),
        index in 0_u64..16,
        gaps in prop::collection::vec(0_u64..60_000, 0..40),
    ) {
        let mut connection = Connection::open(schedule(interval_ms, timeout_ms), phase(index));
        let (mut now, mut last) = (Instant::ZERO, Instant::ZERO);
        for gap in gaps {
            now = now + Duration::from_micros(gap);
            connection.run_until(now);
            if connection.timed_out.is_some() {
                break;
            }
            connection.event(now, Event::Received);
            last = now;
        }
        connection.run_until(Instant::FAR_FUTURE);
        let silence = connection.timed_out.expect("it is dead").saturating_since(last);
        prop_assert!(silence <= Duration::from_millis(interval_ms + timeout_ms));
        prop_assert!(silence >= Duration::from_millis(timeout_ms));
    }

    #[test]
    fn the_living_are_kept(
        (interval_ms, timeout_ms) in (1_u64..100, 1_u64..100),
        index in 0_u64..16,
        gaps in prop::collection::vec(0_u64..1_000, 0..300),
    ) {
        let mut connection = Connection::open(schedule(interval_ms, timeout_ms), phase(index));
        let mut now = Instant::ZERO;
        for gap in gaps {
            // Every gap is shorter than the timeout.
            now = now + Duration::from_micros(gap * (timeout_ms * MS - 1) / 1_000);
            connection.run_until(now);
            prop_assert_eq!(connection.timed_out, None);
            connection.event(now, Event::Received);
        }
        let apart = connection.pings.windows(2).map(|pair| pair[1].saturating_since(pair[0]));
        let least = Duration::from_millis(interval_ms) / 10 * 9;
        prop_assert!(apart.into_iter().all(|apart| apart >= least));
    }

    #[test]
    fn our_own_pauses_cost_nobody_the_connection(
        (interval_ms, timeout_ms) in (1_u64..50, 3_u64..50),
        index in 0_u64..16,
        spells in prop::collection::vec((1_u64..150, 1_u64..150), 1..8),
    ) {
        // The peer answers a ping after nearly the timeout. What waits at the end of a pause is read as late.
        let late = timeout_ms - 2;
        let mut connection = Connection::open(schedule(interval_ms, timeout_ms), phase(index));
        let (mut tick, mut answer) = (0, None);
        for (running, paused) in spells {
            for spell in 0..running + paused {
                tick += 1;
                let now = Instant::from_micros(tick * MS);
                let pings = connection.pings.len();
                connection.run_until(now);
                prop_assert_eq!(connection.timed_out, None);
                if connection.pings.len() > pings {
                    answer = Some(tick + late);
                }
                if spell == running {
                    connection.reading = false;
                }
                if connection.reading && answer.is_some_and(|answer| answer <= tick) {
                    connection.event(now, Event::Received);
                    answer = None;
                }
            }
            connection.reading = true;
            connection.event(Instant::from_micros(tick * MS), Event::Resumed);
            answer = answer.map(|answer| answer.max(tick + late));
        }
    }
}

//! When to ping and when to give up.
//!
//! Promises: a peer that falls silent while it is read from is given up no later than interval and timeout after
//! its last byte; one that speaks within every stretch of the timeout never is; pings are spread over 0.9 to
//! 1.0 of the interval; one ping, one wait.

use core::time::Duration;

use roomwire_core::Instant;
use roomwire_core::config::Heartbeat;
use roomwire_core::limits::heartbeat::{
    self, Action, Event, PHASES, Phase, Schedule, State, TIMER_CLASSES, TimerClass,
};

use crate::input::Choices;

/// A schedule, then what a peer does and when.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let config = Heartbeat {
        interval_ms: 1 + (choices.number() & MAX_MS),
        timeout_ms: 1 + (choices.number() & MAX_MS),
    };
    let off = Heartbeat {
        interval_ms: 0,
        ..config
    };
    assert!(Schedule::new(&off).is_none());
    let Some(schedule) = Schedule::new(&config) else {
        panic!("an interval means pings");
    };
    let phase = Phase::from_hash(u64::from(choices.byte()) << 56);
    check_schedule(&schedule, &config);
    Connection::open(schedule, phase, &config).run(&mut choices);
}

fn check_schedule(schedule: &Schedule, config: &Heartbeat) {
    let interval = Duration::from_millis(config.interval_ms);
    let mut earlier = Duration::ZERO;
    for index in 0..PHASES {
        let phase = Phase::from_hash(u64::from(index) << 60);
        assert_eq!(phase.index(), index);
        let class = TimerClass::PingDue(phase);
        let due = schedule.duration(class);
        assert!(class.index() < TIMER_CLASSES && due <= interval && due >= interval / 10 * 9);
        assert!(due >= earlier);
        earlier = due;
    }
    assert_eq!(earlier, interval);
    let wait = schedule.duration(TimerClass::PongWait);
    assert_eq!(wait, Duration::from_millis(config.timeout_ms));
    assert_eq!(TimerClass::PongWait.index(), TIMER_CLASSES - 1);
}

/// A connection and its one timer, as an owner keeps them.
struct Connection {
    schedule: Schedule,
    phase: Phase,
    interval: Duration,
    timeout: Duration,
    state: State,
    now: Instant,
    due: Instant,
    reading: bool,
    /// The last thing that proved the peer alive or excused its silence.
    excused: Instant,
    /// Never silent for as long as the timeout so far, and always read from.
    lively: bool,
    always_read: bool,
    last_byte: Instant,
}

impl Connection {
    fn open(schedule: Schedule, phase: Phase, config: &Heartbeat) -> Self {
        let (state, action) = heartbeat::open(phase);
        let now = Instant::from_micros(1);
        let Action::Arm(class) = action else {
            panic!("the first timer is armed: {action:?}");
        };
        Self {
            schedule,
            phase,
            interval: Duration::from_millis(config.interval_ms),
            timeout: Duration::from_millis(config.timeout_ms),
            state,
            now,
            due: now + schedule.duration(class),
            reading: true,
            excused: now,
            lively: true,
            always_read: true,
            last_byte: now,
        }
    }

    fn run(&mut self, choices: &mut Choices<'_>) {
        for _ in 0..300 {
            if choices.is_empty() {
                break;
            }
            let wait = match choices.below(5) {
                0 => Duration::from_micros(u64::from(choices.short())),
                1 => self.timeout.saturating_sub(Duration::from_micros(1)),
                2 => self.due.saturating_since(self.now),
                3 => self.interval,
                _ => Duration::from_millis(choices.number() & MAX_MS),
            };
            if !self.pass(self.now + wait) {
                return;
            }
            match choices.below(4) {
                0 | 1 => self.receive(),
                2 => self.reading(false),
                _ => self.reading(true),
            }
        }
    }

    /// Lets time pass, firing the timer exactly when it is due; `false` when the peer was given up.
    fn pass(&mut self, until: Instant) -> bool {
        for _ in 0..1_000 {
            if self.due > until {
                break;
            }
            self.now = self.now.max(self.due);
            let silent = self.now.saturating_since(self.last_byte);
            self.lively &= silent < self.timeout;
            let event = Event::Fired {
                reading: self.reading,
            };
            let before = self.state;
            let (state, action) = heartbeat::step(self.state, event, self.phase);
            self.state = state;
            match action {
                Action::Ping(class) => {
                    assert_eq!((before, state), (State::PingDue, State::PongWait));
                    self.arm(class);
                }
                Action::Arm(class) => {
                    assert!(!self.reading, "only a pause excuses silence");
                    self.arm(class);
                }
                Action::TimedOut => {
                    self.given_up();
                    return false;
                }
                Action::Nothing => panic!("a timer that ran out is armed again"),
            }
            if self.always_read {
                let silent = self.now.saturating_since(self.last_byte);
                assert!(silent <= self.interval + self.timeout);
            }
        }
        self.now = self.now.max(until);
        true
    }

    fn given_up(&self) {
        assert!(self.reading);
        assert!(!self.lively, "it was never silent that long");
        let silent = self.now.saturating_since(self.excused);
        assert!(silent >= self.timeout, "silent for {silent:?} only");
        if self.always_read {
            let silent = self.now.saturating_since(self.last_byte);
            assert!(silent <= self.interval + self.timeout);
        }
    }

    fn receive(&mut self) {
        if !self.reading {
            return;
        }
        let silent = self.now.saturating_since(self.last_byte);
        self.lively &= silent < self.timeout;
        self.last_byte = self.now;
        self.excused = self.now;
        self.event(Event::Received);
    }

    fn reading(&mut self, reading: bool) {
        self.always_read &= reading;
        if reading && !self.reading {
            self.excused = self.now;
            self.event(Event::Resumed);
        }
        self.reading = reading;
    }

    fn event(&mut self, event: Event) {
        let (state, action) = heartbeat::step(self.state, event, self.phase);
        match action {
            Action::Nothing => assert_eq!(state, self.state),
            Action::Arm(class) => self.arm(class),
            Action::Ping(_) | Action::TimedOut => panic!("{event:?} led to {action:?}"),
        }
        self.state = state;
    }

    fn arm(&mut self, class: TimerClass) {
        self.due = self.now + self.schedule.duration(class);
    }
}

const MAX_MS: u64 = (1 << 31) - 1;

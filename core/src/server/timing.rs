//! What happens when time passes: the classes of connection timers, and what each does when it fires.

use super::Server;
use super::closing::Goodbye;
use crate::http::Refusal;
use crate::limits::heartbeat::{self, Action, Event, Phase, Schedule, State, TimerClass};
use crate::session::connection::{CloseCause, Kind, Stage};
use crate::session::outbox::flag;

/// Timer classes: those of the heartbeat, then these.
pub(super) mod class {
    use core::time::Duration;

    use super::{HEARTBEAT_CLASSES, PHASES, Phase, Schedule, TimerClass};
    use crate::config::ValidConfig;

    pub(in crate::server) const HANDSHAKE: u8 = HEARTBEAT_CLASSES;
    pub(in crate::server) const KEEP_ALIVE: u8 = HEARTBEAT_CLASSES + 1;
    pub(in crate::server) const WELCOME: u8 = HEARTBEAT_CLASSES + 2;
    pub(in crate::server) const LINGER: u8 = HEARTBEAT_CLASSES + 3;

    /// The duration of each class, in order.
    pub(in crate::server) fn durations(config: &ValidConfig) -> Vec<Duration> {
        let schedule = Schedule::new(&config.heartbeat);
        let of = |class| schedule.map_or(Duration::MAX, |schedule| schedule.duration(class));
        let phases = (0..PHASES).map(|phase| of(TimerClass::PingDue(Phase::from_hash(phase))));
        let pong = core::iter::once(of(TimerClass::PongWait));
        let timeouts = &config.timeouts;
        let others = [
            timeouts.handshake_ms,
            timeouts.keep_alive_ms,
            timeouts.welcome_delay_ms,
            timeouts.linger_ms,
        ];
        phases
            .chain(pong)
            .chain(others.map(Duration::from_millis))
            .collect()
    }
}

const PHASES: u64 = heartbeat::PHASES as u64;
const HEARTBEAT_CLASSES: u8 = heartbeat::PHASES + 1;

impl Server {
    /// A connection's timer ran out.
    pub(super) fn timer_fired(&mut self, index: u32, fired: u8) {
        match fired {
            class::HANDSHAKE => self.handshake_overdue(index),
            class::KEEP_ALIVE => self.close_quietly(index),
            class::WELCOME => self.welcome(index),
            class::LINGER => self.lingered(index),
            fired => self.heartbeat_fired(index, fired),
        }
    }

    /// What comes before a request, or the request, was not finished in time, or a response never left.
    fn handshake_overdue(&mut self, index: u32) {
        let connection = self.connections.get(index);
        if connection.is_some_and(|connection| connection.session().is_some()) {
            self.outboxes.raise(index, flag::RESET);
        } else if self.awaits_proxy_header(index) {
            self.close_unproxied(index);
        } else {
            self.refuse_request(index, &Refusal::request_timeout(), None);
        }
    }

    /// The ping phase of a client: a hash of its id spreads them.
    fn phase(&self, index: u32) -> Phase {
        let session = self.connections.get(index).and_then(|c| c.session());
        Phase::from_hash(session.map_or(0, |session| self.keyed_hash(&session.secret)))
    }

    /// Starts a session's heartbeat.
    pub(super) fn start_heartbeat(&mut self, index: u32) {
        if self.config.heartbeat.interval_ms > 0 {
            let (_, action) = heartbeat::open(self.phase(index));
            self.heartbeat_action(index, action);
        }
    }

    fn heartbeat_fired(&mut self, index: u32, fired: u8) {
        let reading = self.connections.get(index).is_some_and(|c| !c.paused);
        let action = heartbeat::step(state(fired), Event::Fired { reading }, self.phase(index)).1;
        self.heartbeat_action(index, action);
    }

    /// Something arrived, or is read again: a sign of life. O(1), nothing unless a ping is out.
    pub(super) fn sign_of_life(&mut self, index: u32, event: Event) {
        let Some(armed) = self.timers.armed(index) else {
            return;
        };
        if armed == TimerClass::PongWait.index() as u8 {
            let action = heartbeat::step(State::PongWait, event, self.phase(index)).1;
            self.heartbeat_action(index, action);
        }
    }

    fn heartbeat_action(&mut self, index: u32, action: Action) {
        match action {
            Action::Nothing => {}
            Action::Arm(class) => self.timers.arm(index, class.index() as u8, self.now.mono),
            Action::Ping(class) => {
                self.outboxes.control(index, &PING);
                self.timers.arm(index, class.index() as u8, self.now.mono);
            }
            Action::TimedOut => {
                self.stats.timeouts += 1;
                self.close_session(index, &Goodbye::silent(CloseCause::Timeout, 1001));
            }
        }
    }

    /// Whether the session in a slot is a plain echo.
    pub(super) fn is_echo(&self, index: u32) -> bool {
        self.connections
            .get(index)
            .is_some_and(|connection| match &connection.stage {
                Stage::Session(session) => session.kind == Kind::Echo,
                _ => false,
            })
    }
}

/// The heartbeat's state follows from the class that fired.
fn state(fired: u8) -> State {
    if fired == TimerClass::PongWait.index() as u8 {
        State::PongWait
    } else {
        State::PingDue
    }
}

/// A ping without payload.
const PING: [u8; 2] = [0x89, 0x00];

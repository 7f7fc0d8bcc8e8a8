//! When connections are due.
//!
//! A connection waits for one thing at a time, so it has one timer, in one of a few classes of constant
//! duration. `now` never goes back, so a class is a FIFO: arming appends, the front is the earliest. Arming,
//! cancelling and the next deadline are O(1); an armed timer allocates nothing.

#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::session::lists::{Links, List};
use crate::steps::Steps;
use crate::time::Instant;

/// The timers of all connections.
#[derive(Debug)]
pub(crate) struct Timers {
    classes: Vec<Class>,
    /// By connection: when its timer is due, and the class it is armed for.
    due: Vec<Instant>,
    armed: Vec<u8>,
    links: Links,
    steps: Steps,
}

#[derive(Debug)]
struct Class {
    duration: Duration,
    armed: List,
}

const IDLE: u8 = u8::MAX;

impl Timers {
    /// One class per duration, numbered in this order.
    pub(crate) fn new(durations: impl IntoIterator<Item = Duration>) -> Self {
        let class = |duration| Class {
            duration,
            armed: List::EMPTY,
        };
        Self {
            classes: durations.into_iter().map(class).collect(),
            due: Vec::new(),
            armed: Vec::new(),
            links: Links::default(),
            steps: Steps::new(),
        }
    }

    /// Makes room for a new connection.
    pub(crate) fn open(&mut self, connection: u32) {
        self.steps.one();
        if self.due.len() <= connection as usize {
            self.due.resize(connection as usize + 1, Instant::ZERO);
            self.armed.resize(connection as usize + 1, IDLE);
        }
        self.links.reserve(connection);
    }

    /// Arms the connection's timer for `class`, whatever it was armed for before.
    pub(crate) fn arm(&mut self, connection: u32, class: u8, now: Instant) {
        self.steps.one();
        self.cancel(connection);
        let Some(entry) = self.classes.get_mut(class as usize) else {
            return;
        };
        self.due[connection as usize] = now + entry.duration;
        self.armed[connection as usize] = class;
        self.links.push_back(&mut entry.armed, connection);
    }

    /// Disarms the connection's timer.
    pub(crate) fn cancel(&mut self, connection: u32) {
        self.steps.one();
        let armed = &mut self.armed[connection as usize];
        if let Some(class) = self.classes.get_mut(*armed as usize) {
            self.links.remove(&mut class.armed, connection);
            *armed = IDLE;
        }
    }

    /// The class that the connection's timer is armed for.
    pub(crate) fn armed(&self, connection: u32) -> Option<u8> {
        self.steps.one();
        let class = *self.armed.get(connection as usize)?;
        (class != IDLE).then_some(class)
    }

    /// The earliest deadline. O(classes).
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.fronts().map(|(deadline, _)| deadline).min()
    }

    /// Disarms and returns a timer that is due at `now`, earliest first.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(u32, u8)> {
        let (deadline, connection) = self.fronts().min()?;
        if deadline > now {
            return None;
        }
        let class = self.armed[connection as usize];
        self.cancel(connection);
        Some((connection, class))
    }

    #[cfg(feature = "count-steps")]
    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Memory of the timers.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.classes.capacity() * size_of::<Class>()
            + self.due.capacity() * size_of::<Instant>()
            + self.armed.capacity()
            + self.links.heap_bytes()
    }

    fn fronts(&self) -> impl Iterator<Item = (Instant, u32)> {
        self.steps.many(self.classes.len());
        let fronts = self.classes.iter().filter_map(|class| class.armed.front());
        fronts.map(|connection| (self.due[connection as usize], connection))
    }
}

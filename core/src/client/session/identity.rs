//! Who the client is: its ids, and what makes it that again on the next connection. Knows no connection and no message.
//!
//! ```text
//!           a connection is there                    answer
//!   Unasked ───────────────────► Asked ─────────────────────────────► Settled
//!                                 │ ▲ not now ▼         it cannot be who it was: it asks for something new
//!                                 │ └── Paused │
//!                                 └────────────┘
//! ```
//!
//! While it is open whether it is who it was, nothing is said by it: others would take it for somebody else.

use std::collections::VecDeque;

use crate::id::ClientId;
use crate::message::{Former, Gap, Session};
use crate::time::Instant;

/// The ids of a client, and how far this connection is with them.
#[derive(Debug, Default)]
pub(super) struct Identity {
    /// The latest last.
    ids: VecDeque<ClientId>,
    /// What takes its session up, with how far its mail was heard.
    former: Option<Former>,
    /// What of its mail is not told as its senders wanted it so, in order.
    left_out: Vec<Gap>,
    step: Step,
    /// That of the welcome, as long as it is open whether it will be used.
    welcome: Option<ClientId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// Nothing was asked on this connection, or there is nothing to be had.
    #[default]
    Unasked,
    /// By the request with this number.
    Asked { id: u64, wants: Wants },
    /// It was too early.
    Paused { until: Instant, wants: Wants },
    /// It has a session, a new one or the one that it had.
    Settled,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// Something to come back with.
    New,
    /// To be who it was; so often it was told that this is not possible right now.
    Former { failures: u32 },
}

impl Identity {
    /// One that had a session before.
    pub(super) const fn of(former: Option<Former>) -> Self {
        Self {
            ids: VecDeque::new(),
            former,
            left_out: Vec::new(),
            step: Step::Unasked,
            welcome: None,
        }
    }

    // ---- ids

    /// Who it is, or was last.
    pub(super) fn id(&self) -> Option<ClientId> {
        self.ids.back().copied()
    }

    /// Whether it is one of its own. O([`MAX_OWN_IDS`]).
    pub(super) fn is_own(&self, client: &ClientId) -> bool {
        self.ids.contains(client)
    }

    /// The server has named it, until it says something else.
    pub(super) fn welcome(&mut self, client: ClientId) {
        match self.step {
            _ if self.is_open() => self.welcome = Some(client),
            // The id of a welcome that is late is nobody's any more.
            Step::Settled => {}
            _ => self.know(client),
        }
    }

    fn know(&mut self, client: ClientId) {
        self.ids.retain(|id| *id != client);
        if self.ids.len() >= MAX_OWN_IDS {
            self.ids.pop_front();
        }
        self.ids.push_back(client);
    }

    // ---- the session

    /// What takes it up.
    pub(super) const fn former(&self) -> Option<&Former> {
        self.former.as_ref()
    }

    /// What to ask for on a new connection.
    pub(super) const fn wants(&self) -> Wants {
        match self.former {
            Some(_) => Wants::Former { failures: 0 },
            None => Wants::New,
        }
    }

    pub(super) const fn asked(&mut self, id: u64, wants: Wants) {
        self.step = Step::Asked { id, wants };
    }

    pub(super) const fn pause(&mut self, until: Instant, wants: Wants) {
        self.step = Step::Paused { until, wants };
    }

    /// When it is to be asked again.
    pub(super) const fn due(&self) -> Option<Instant> {
        match self.step {
            Step::Paused { until, .. } => Some(until),
            _ => None,
        }
    }

    /// What to ask for now, when a pause is over.
    pub(super) fn unpause(&mut self, now: Instant) -> Option<Wants> {
        match self.step {
            Step::Paused { until, wants } if until <= now => {
                self.step = Step::Unasked;
                Some(wants)
            }
            _ => None,
        }
    }

    /// What was asked for, if `id` is what it was asked with.
    pub(super) fn answered(&self, id: u64) -> Option<Wants> {
        match self.step {
            Step::Asked { id: asked, wants } if asked == id => Some(wants),
            _ => None,
        }
    }

    /// Whether it is open whether it is who it was.
    pub(super) const fn is_open(&self) -> bool {
        let (Step::Asked { wants, .. } | Step::Paused { wants, .. }) = self.step else {
            return false;
        };
        matches!(wants, Wants::Former { .. })
    }

    /// The server says who it is.
    pub(super) fn take(&mut self, told: &Session) {
        self.know(told.client);
        let heard = self.former.and_then(|former| former.after);
        let (resumed, heard) = (told.resumed, heard.unwrap_or_default());
        // The mail of a new session counts from the beginning. So does mail that the server has lost.
        let is_lost = heard > told.last;
        let after = match (resumed, is_lost) {
            (false, _) => told.last,
            (true, true) => 0,
            (true, false) => heard,
        };
        self.former = Some(Former {
            client: told.client,
            secret: told.secret,
            after: Some(told.gap.map_or(after, |gap| gap.to.max(after))),
        });
        self.left_out.clone_from(&told.left_out);
        (self.step, self.welcome) = (Step::Settled, None);
    }

    /// It cannot be who it was, or there is nothing to be had: who it was.
    pub(super) fn give_up(&mut self) -> Option<ClientId> {
        self.step = Step::Unasked;
        if let Some(client) = self.welcome.take() {
            self.know(client);
        }
        Some(self.former.take()?.client)
    }

    /// The connection is gone.
    pub(super) const fn leave_link(&mut self) {
        (self.step, self.welcome) = (Step::Unasked, None);
    }

    // ---- mail

    /// A message to it alone: `None` if it was heard before, otherwise what is missing before it.
    pub(super) fn hear(&mut self, offset: Option<u64>) -> Option<Vec<Gap>> {
        let (Some(offset), Some(former)) = (offset, self.former.as_mut()) else {
            return Some(Vec::new());
        };
        let mut next = former.after.unwrap_or_default().saturating_add(1);
        if offset < next {
            return None;
        }
        former.after = Some(offset);
        let mut missing = Vec::new();
        for out in self.left_out.iter().filter(|out| out.to >= out.from) {
            if out.from < offset && out.to >= next {
                missing.extend((next < out.from).then(|| gap(next, out.from)));
                next = out.to.saturating_add(1);
            }
        }
        missing.extend((next < offset).then(|| gap(next, offset)));
        self.left_out.retain(|out| out.to > offset);
        Some(missing)
    }
}

/// What is before `end`, from `from` on.
const fn gap(from: u64, end: u64) -> Gap {
    Gap { from, to: end - 1 }
}

/// How many of its own former ids a session knows: those whose messages a room may still keep.
const MAX_OWN_IDS: usize = 100;

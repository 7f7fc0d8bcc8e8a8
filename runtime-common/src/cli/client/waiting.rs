//! What a client for people waits for: news of its client, lines of the input, signals, and the end of who reads.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::run::input::{Input, Line};
use crate::error::RunError;
use crate::mailbox::Bell;
use crate::signals::{Shutdown, Signals};

/// What has come of waiting.
#[derive(Debug, Default)]
pub(super) struct Woken {
    pub(super) asked: Option<Shutdown>,
    pub(super) lines: Vec<Line>,
    /// Nobody reads stdout any more.
    pub(super) is_unheard: bool,
}

pub(super) struct Waiting {
    bell: Arc<Ring>,
    ear: UnixStream,
    signals: Signals,
    input: Input,
}

/// Wakes who waits.
struct Ring(Bell);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.0.ring();
    }
}

impl Waiting {
    pub(super) fn new() -> Result<Self, RunError> {
        let signals = Signals::install().map_err(RunError::io("installing signal handlers"))?;
        let (bell, ear) = Bell::new().map_err(RunError::io("making a bell"))?;
        Ok(Self {
            bell: Arc::new(Ring(bell)),
            ear,
            signals,
            input: Input::default(),
        })
    }

    /// For those whose news are waited for.
    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.bell))
    }

    /// Waits, for `patience` at most.
    pub(super) fn wait(
        &mut self,
        reads_input: bool,
        patience: Option<Duration>,
    ) -> Result<Woken, RunError> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let mut waiting = vec![
            PollFd::from_borrowed_fd(self.ear.as_fd(), PollFlags::IN),
            PollFd::new(&self.signals, PollFlags::IN),
            // That its reader has gone is told without being asked for.
            PollFd::new(&stdout, PollFlags::empty()),
        ];
        if reads_input {
            waiting.push(PollFd::new(&stdin, PollFlags::IN));
        }
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        match poll(&mut waiting, patience.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(Woken::default()),
            Err(error) => return Err(RunError::io("waiting for events")(error.into())),
            Ok(_) => {}
        }
        let ready: Vec<bool> = waiting.iter().map(|it| !it.revents().is_empty()).collect();
        let ready = |at: usize| ready.get(at) == Some(&true);
        let mut woken = Woken {
            is_unheard: ready(2),
            ..Woken::default()
        };
        if ready(0) {
            let mut ear = &self.ear;
            self.bell.0.listen(|bytes| ear.read(bytes));
        }
        if ready(1) {
            let pending = self.signals.pending();
            woken.asked = pending.map_err(RunError::io("reading signals"))?;
        }
        if reads_input && ready(3) {
            woken.lines = self.input.read().map_err(RunError::io("reading stdin"))?;
        }
        Ok(woken)
    }
}

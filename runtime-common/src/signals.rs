//! SIGTERM and SIGINT as bytes on a socket that every kind of event loop can wait for.
//!
//! The first signal asks for a drain, the next one for the end: someone at a keyboard who presses Ctrl-C
//! twice does not want to wait.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::thread;

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};

use crate::error::RunError;

/// What the signals so far ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// The first signal: say goodbye to everyone, then leave.
    Drain,
    /// A second signal: leave now.
    Abort,
}

/// Calls `act` at each SIGHUP, on a thread of its own, for as long as the process lives.
///
/// # Errors
/// When the process is out of descriptors or threads.
pub fn on_hangup(mut act: impl FnMut() + Send + 'static) -> Result<(), RunError> {
    let install = || {
        let (receiver, sender) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        pipe::register(SIGHUP, sender)?;
        Ok(receiver)
    };
    let mut receiver = install().map_err(RunError::io("installing a signal handler"))?;
    let serve = move || {
        let mut bytes = [0; 16];
        while receiver.read(&mut bytes).is_ok_and(|count| count > 0) {
            act();
        }
    };
    let thread = thread::Builder::new().name("hangup".to_owned());
    let started = thread.spawn(serve);
    started.map_err(RunError::io("starting the signal thread"))?;
    Ok(())
}

/// The signals of the process that ask it to leave, from when this is made until it is dropped.
///
/// Readable whenever a signal came: register the descriptor with the event loop, then call
/// [`pending`](Self::pending). Dropping it does not bring the default action back: the signals are then ignored.
#[derive(Debug)]
pub struct Signals {
    receiver: UnixStream,
    handlers: [SigId; 2],
    received: u64,
}

impl Signals {
    /// Takes over SIGTERM and SIGINT.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn install() -> io::Result<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        sender.set_nonblocking(true)?;
        let term = pipe::register(SIGTERM, sender.try_clone()?)?;
        let int = pipe::register(SIGINT, sender).inspect_err(|_| {
            unregister(term);
        })?;
        Ok(Self {
            receiver,
            handlers: [term, int],
            received: 0,
        })
    }

    /// Calls `act` with what each signal asks for, those that have come already too, on a thread of its own that ends
    /// after [`Shutdown::Abort`].
    ///
    /// # Errors
    /// When the process is out of threads.
    pub fn obey(self, mut act: impl FnMut(Shutdown) + Send + 'static) -> Result<(), RunError> {
        let serve = move || {
            let mut signals = self;
            while let Ok(asked) = signals.wait() {
                act(asked);
                if asked == Shutdown::Abort {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("signals".to_owned());
        let started = thread.spawn(serve);
        started.map_err(RunError::io("starting the signal thread"))?;
        Ok(())
    }

    /// Blocks this thread until the next signal; what all signals so far ask for.
    ///
    /// # Errors
    /// As [`pending`](Self::pending).
    pub fn wait(&mut self) -> io::Result<Shutdown> {
        loop {
            self.receiver.set_nonblocking(false)?;
            let mut byte = [0];
            let outcome = self.receiver.read(&mut byte);
            self.receiver.set_nonblocking(true)?;
            match outcome {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received = self.received.saturating_add(count as u64),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            if let Some(asked) = self.pending()? {
                return Ok(asked);
            }
        }
    }

    /// Takes what has come; never waits. `None` until the first signal; from then on what all signals
    /// together ask for. Two signals of one kind that come before the first is handled are one (POSIX).
    ///
    /// # Errors
    /// When the socket fails, which it has no reason to.
    pub fn pending(&mut self) -> io::Result<Option<Shutdown>> {
        let mut bytes = [0; 16];
        loop {
            match self.receiver.read(&mut bytes) {
                // The sender lives in the handlers for as long as `self`.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received = self.received.saturating_add(count as u64),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(match self.received {
            0 => None,
            1 => Some(Shutdown::Drain),
            _ => Some(Shutdown::Abort),
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.receiver.as_raw_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers {
            unregister(handler);
        }
    }
}

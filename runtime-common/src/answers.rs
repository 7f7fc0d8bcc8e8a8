//! Application messages that a function of the program answers, on threads of its own: nobody knows how long it takes,
//! nor whether it ends, so no client's large message waits behind it.
//!
//! One client's messages are answered one after the other, in the order in which they came; those of several clients at
//! once. What waits is bounded: past that a message is refused (`rate_limited`), in its turn; and out of it where too many
//! wait for that, too.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roomwire_core::config::Limits;
use roomwire_core::server::{Command, Event, Outcome, RequestToken};
use roomwire_core::{ClientId, ConnectionId, ErrorCode};

use crate::desk::{Returned, Tray};
use crate::pool::{Pool, Tasks};

/// An application message that is to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Whose it is.
    pub connection: ConnectionId,
    /// Its public address.
    pub client: ClientId,
    /// The registered type.
    pub kind: String,
    /// The whole message, as it came.
    pub message: String,
}

/// What answers application messages: called on any of some threads
/// ([`offload.hook_threads`](roomwire_core::config::Offload::hook_threads)), on several at once. As long as one takes,
/// nobody waits for it but its client, whose messages are answered one after the other, and others' when all of these
/// threads are at work. The end of the server waits for it until
/// [`drain.timeout_ms`](roomwire_core::config::Drain::timeout_ms) are over; then it is left to itself. What it returns is the message's outcome; where it panics, which is a bug, the client is closed with 1011.
/// No more of them wait than [`limits.max_queued_events`](Limits::max_queued_events), nor more than
/// [`limits.max_queued_event_bytes`](Limits::max_queued_event_bytes): others are refused (`rate_limited`).
#[derive(Clone)]
pub struct Hook(Arc<dyn Fn(Request) -> Outcome + Send + Sync>);

impl Hook {
    /// A function that answers. If it panics, which is a bug, its client is closed with 1011.
    pub fn new(answer: impl Fn(Request) -> Outcome + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}

/// What one life of a shard has answered.
#[derive(Clone, Debug)]
pub(crate) struct Answers(Option<Arc<Desk>>);

struct Desk {
    pool: Option<Arc<Pool>>,
    back: Arc<Back>,
}

/// What a thread of the pool has of it: not the pool, which waits for its threads.
struct Back {
    hook: Hook,
    tray: Arc<Tray<Command>>,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    /// Clients one of whose messages is being answered, and what waits behind it.
    lines: HashMap<ConnectionId, VecDeque<Waiting>>,
    count: usize,
    bytes: usize,
    /// Messages that wait to be refused.
    refused: usize,
    max_count: usize,
    max_bytes: usize,
}

struct Waiting {
    token: RequestToken,
    /// `None`: there was no room for it.
    request: Option<Request>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.back.lines();
        f.debug_struct("Answers")
            .field("clients", &lines.lines.len())
            .field("waiting", &lines.count)
            .finish_non_exhaustive()
    }
}

impl Answers {
    pub(crate) fn new(
        hook: Option<&Hook>,
        pool: Option<&Arc<Pool>>,
        tray: Arc<Tray<Command>>,
        limits: &Limits,
    ) -> Self {
        Self(hook.map(|hook| {
            let lines = Lines {
                max_count: limits.max_queued_events,
                max_bytes: limits.max_queued_event_bytes,
                ..Lines::default()
            };
            let back = Arc::new(Back {
                hook: hook.clone(),
                tray,
                lines: Mutex::new(lines),
            });
            Arc::new(Desk {
                pool: pool.cloned(),
                back,
            })
        }))
    }

    /// Takes an application message, if somebody answers them here; gives any other event back.
    pub(crate) fn take(&self, event: Event) -> Option<Event> {
        let Some(desk) = &self.0 else {
            return Some(event);
        };
        match event {
            Event::Application {
                connection,
                client,
                request: token,
                kind,
                message,
            } => {
                tracing::debug!(%connection, %client, "application message");
                let request = Request {
                    connection,
                    client,
                    kind,
                    message,
                };
                desk.take(token, request);
                None
            }
            event => Some(event),
        }
    }
}

impl Desk {
    fn take(&self, token: RequestToken, request: Request) {
        let Some(pool) = &self.pool else {
            return self
                .back
                .tray
                .put(Returned::Command(answer(&self.back.hook, token, request)));
        };
        let connection = request.connection;
        let mut lines = self.back.lines();
        let request = lines.has_room_for(&request).then_some(request);
        if let Some(request) = &request {
            lines.count += 1;
            lines.bytes += request.bytes();
        } else if lines.refused < lines.max_count.saturating_mul(REFUSED_PER_PLACE) {
            lines.refused += 1;
        } else {
            drop(lines);
            return self.back.tray.put(Returned::Command(refused(token)));
        }
        let waiting = Waiting { token, request };
        if let Some(line) = lines.lines.get_mut(&connection) {
            line.push_back(waiting);
            return;
        }
        lines.lines.insert(connection, VecDeque::new());
        drop(lines);
        let (back, tasks) = (Arc::clone(&self.back), pool.tasks());
        pool.give(Box::new(move || serve(&back, connection, waiting, &tasks)));
    }
}

/// Answers one message of a client, and has its next one answered behind what others have said meanwhile.
fn serve(back: &Arc<Back>, connection: ConnectionId, waiting: Waiting, tasks: &Tasks) {
    let bytes = waiting.request.as_ref().map(Request::bytes);
    let command = match waiting.request {
        Some(request) => answer(&back.hook, waiting.token, request),
        None => refused(waiting.token),
    };
    back.tray.put(Returned::Command(command));
    let mut lines = back.lines();
    match bytes {
        Some(bytes) => {
            lines.count -= 1;
            lines.bytes -= bytes;
        }
        None => lines.refused -= 1,
    }
    match lines
        .lines
        .get_mut(&connection)
        .and_then(VecDeque::pop_front)
    {
        Some(next) => {
            drop(lines);
            let (back, more) = (Arc::clone(back), tasks.clone());
            tasks.push(Box::new(move || serve(&back, connection, next, &more)));
        }
        None => {
            lines.lines.remove(&connection);
        }
    }
}

/// So many may wait to be refused for each message that may wait to be answered. They hold no message, but a client whose
/// requests have run out of time makes others.
const REFUSED_PER_PLACE: usize = 16;

fn refused(request: RequestToken) -> Command {
    let outcome = Outcome::Error {
        code: ErrorCode::RateLimited,
        message: "The server has too much to do: try again later".to_owned(),
    };
    Command::Reply { request, outcome }
}

/// What the program answers.
fn answer(hook: &Hook, request: RequestToken, message: Request) -> Command {
    match catch_unwind(AssertUnwindSafe(|| (hook.0)(message))) {
        Ok(outcome) => Command::Reply { request, outcome },
        Err(_) => {
            tracing::error!("what answers application messages has panicked: its client is closed");
            Command::Fail { request }
        }
    }
}

impl Back {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn has_room_for(&self, request: &Request) -> bool {
        self.count < self.max_count
            && (self.count == 0 || self.bytes + request.bytes() <= self.max_bytes)
    }
}

impl Request {
    fn bytes(&self) -> usize {
        self.kind.len() + self.message.len()
    }
}

#[cfg(test)]
mod tests;

//! What became of requests to the embedding program that a client has made under ids of its own: kept for as long as
//! it may ask again, as its connection was lost before it heard.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::config::{MessageIds, Sessions};
use crate::error::ErrorCode;
use crate::server::event::Outcome;

/// The latest of a client's requests, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub(super) requests: VecDeque<Request>,
    /// What they take.
    bytes: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: Box<str>,
    /// When it came, or was answered, of the server's clock, ms.
    pub(super) timestamp: u64,
    pub(super) answer: Option<Arc<Outcome>>,
}

/// What is known of a request.
#[derive(Clone, Debug)]
pub(in crate::server) enum Before {
    Never,
    /// The program is at it.
    Open,
    Answered(Arc<Outcome>),
}

impl Request {
    fn bytes(&self) -> usize {
        let answer = self.answer.as_deref();
        size_of::<Self>() + self.id.len() + answer.map_or(0, Outcome::heap_bytes)
    }
}

/// Whether it says that nothing was done, as there was too much to do.
fn is_refusal(answer: &Outcome) -> bool {
    let code = match answer {
        Outcome::Error { code, .. } => Some(*code),
        Outcome::Ack | Outcome::Reply(_) => None,
    };
    code == Some(ErrorCode::RateLimited)
}

impl Answers {
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Memory of them.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is known of a request at `now_ms`. The program has `patience_ms` for one: when that is long over, whoever
    /// was to tell of its end is gone. O(requests).
    pub(super) fn find(
        &mut self,
        id: &str,
        (now_ms, patience_ms): (u64, u64),
        ids: &MessageIds,
    ) -> Before {
        self.forget_old(now_ms, ids);
        let Some(request) = self.requests.iter().find(|it| *it.id == *id) else {
            return Before::Never;
        };
        match &request.answer {
            // To try again later is to ask anew.
            Some(answer) if is_refusal(answer) => Before::Never,
            Some(answer) => Before::Answered(Arc::clone(answer)),
            None if now_ms < request.timestamp.saturating_add(2 * patience_ms) => Before::Open,
            None => Before::Never,
        }
    }

    /// A request has come, or this became of one. How many were forgotten for it before their time.
    pub(super) fn note(
        &mut self,
        id: &str,
        answer: Option<Arc<Outcome>>,
        now_ms: u64,
        (limits, ids): (&Sessions, &MessageIds),
    ) -> u64 {
        if let Some(at) = self.requests.iter().position(|it| *it.id == *id) {
            let former = self.requests.remove(at);
            self.bytes -= former.map_or(0, |it| it.bytes());
        }
        let request = Request {
            id: id.into(),
            timestamp: now_ms,
            answer,
        };
        if request.bytes() > limits.mail_bytes {
            // It would not stay, and is not worth all others.
            return 1;
        }
        self.bytes += request.bytes();
        self.requests.push_back(request);
        let mut forgotten = 0;
        while self.requests.len() > ids.max_per_client as usize || self.bytes > limits.mail_bytes {
            forgotten += 1;
            self.forget_first();
        }
        forgotten
    }

    /// Takes what became known while this was on its way.
    pub(super) fn append(&mut self, later: Self, limits: (&Sessions, &MessageIds)) -> u64 {
        let requests = later.requests.into_iter();
        let notes = requests.map(|it| self.note(&it.id, it.answer, it.timestamp, limits));
        notes.sum()
    }

    /// Forgets one for which there is no room.
    pub(super) fn forget(&mut self, id: &str) {
        if let Some(at) = self.requests.iter().position(|it| *it.id == *id) {
            let request = self.requests.remove(at);
            self.bytes -= request.map_or(0, |it| it.bytes());
        }
    }

    fn forget_first(&mut self) {
        let first = self.requests.pop_front();
        self.bytes -= first.map_or(0, |it| it.bytes());
    }

    fn forget_old(&mut self, now_ms: u64, ids: &MessageIds) {
        let is_over = |it: &Request| now_ms >= it.timestamp.saturating_add(ids.window_ms);
        while self.requests.front().is_some_and(is_over) {
            self.forget_first();
        }
    }
}

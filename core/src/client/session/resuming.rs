//! The session is asked for, first of all that is said on a connection, and what the server answers.

use super::config::ms;
use super::event::Event;
use super::identity::Wants;
use super::sending::FULL_MS;
use super::wire::Own;
use super::{Message, Session, Told};
use crate::error::ErrorCode;
use crate::message::{Gap, Session as SessionTold};

impl Session {
    /// Asks the server for a session.
    pub(super) fn ask_who_it_is(&mut self, wants: Wants) {
        let former = match wants {
            Wants::Former { .. } => self.identity.former().copied(),
            Wants::New => None,
        };
        let former = former.as_ref();
        let Some(id) = self.say(Own::Resume { former }) else {
            return self.identity.pause(self.now + ms(FULL_MS), wants);
        };
        self.identity.asked(id, wants);
        if self.identity.is_open() {
            self.connect_due = Some(self.now + ms(self.config.connect_timeout_ms));
        }
    }

    /// The server's answer.
    pub(super) fn told_who_it_is(&mut self, wants: Wants, message: Message) {
        match message.told {
            Told::Session(told) => self.has_session(&told),
            Told::Error {
                retry_after_ms: Some(wait),
                ..
            } => self.ask_later(wait, wants),
            Told::Error { code, .. } => self.refused_session(wants, code),
            _ => self.refused_session(wants, None),
        }
        self.arrive();
    }

    fn ask_later(&mut self, wait_ms: u64, wants: Wants) {
        let wait = ms(wait_ms.min(self.config.max_hint_ms));
        self.identity.pause(self.now + wait, wants);
        // The server answers: it only wants to be asked later.
        if self.is_welcome {
            self.connect_due = None;
        }
    }

    fn refused_session(&mut self, wants: Wants, code: Option<ErrorCode>) {
        match (wants, code) {
            // A part of the server is behind, or begins anew: the session may be there all the same.
            (Wants::Former { failures }, Some(ErrorCode::Internal)) if failures < MAX_FAILURES => {
                let failures = failures + 1;
                let wait_ms = self.config.reconnect_interval_ms;
                self.ask_later(wait_ms, Wants::Former { failures });
            }
            (Wants::Former { .. }, _) => {
                self.is_somebody_else(code);
                // Others know nothing of sessions, or will not hear of them.
                if matches!(code, Some(ErrorCode::StaleSession | ErrorCode::Internal)) {
                    self.ask_who_it_is(Wants::New);
                }
            }
            // It comes back as somebody else each time, as it did before there were sessions.
            (Wants::New, _) => {
                self.identity.give_up();
            }
        }
    }

    fn is_somebody_else(&mut self, refused: Option<ErrorCode>) {
        if let Some(former) = self.identity.give_up() {
            self.tell(Event::NewIdentity { former, refused });
        }
    }

    /// The server says who the client is.
    pub(super) fn has_session(&mut self, told: &SessionTold) {
        if self.identity.is_open() && !told.resumed {
            self.is_somebody_else(None);
        }
        self.identity.take(told);
        self.tell(Event::Session(told.clone()));
        self.tell_mail_gaps(told.gap);
    }

    pub(super) fn tell_mail_gaps(&mut self, gaps: impl IntoIterator<Item = Gap>) {
        for gap in gaps {
            self.tell(Event::MailGap(gap));
        }
    }
}

/// So often a session is asked for once more that could not be taken up for reasons of the server's.
const MAX_FAILURES: u32 = 3;

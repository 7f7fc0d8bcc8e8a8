//! Requests and their outcomes: each exactly one, in the order of the requests.

use serde_json::Value;

use super::Oracle;
use super::logs::position;
use super::rooms::members_of;
use super::session::{Ask, Kind, Outcome, When};
use super::shards::{can_be_asked_elsewhere, is_done_at_home};
use super::stream::{room_of, stamp_of};

impl Oracle {
    /// An outcome has reached a client.
    pub(super) fn reply(&mut self, number: usize, kind: &str, value: &Value, text: &str) {
        let id = match &value["id"] {
            Value::Null => None,
            Value::String(id) => Some(id.clone()),
            other => Some(other.to_string()),
        };
        if let Some(stamp) = stamp_of(value) {
            let session = &mut self.sessions[number];
            session.direct = session.direct.max(stamp);
        }
        if let Some(id) = &id
            && self.sessions[number].pending.remove(id)
        {
            let right = matches!(kind, "rolled" | "error" | "ack");
            return self.check(right, || format!("{number}: not its outcome: {text}"));
        }
        if kind == "left_room" && id.is_none() {
            return self.kicked(number, value, text);
        }
        let code = value["code"].as_str();
        let Some(index) = self.settle(number, kind, id.as_deref(), code, text) else {
            return;
        };
        let (stamp, alone) = (self.stamp, self.alone);
        let session = &mut self.sessions[number];
        let ask = &mut session.asks[index];
        let lost = code == Some("internal");
        if alone || (is_done_at_home(ask.request.kind) && !lost) {
            ask.when.by(stamp);
        }
        // Without an `id`, it may have been a later one that was refused.
        let certain = ask.must_answer();
        ask.outcome = if kind == "error" && !certain {
            Outcome::Silent
        } else if lost {
            Outcome::Lost
        } else if kind == "error" {
            Outcome::Failed
        } else {
            Outcome::Done
        };
        let (when, room, serial) = (ask.when, ask.request.room, ask.request.serial);
        session.direct = session.direct.max(when.lo);
        if kind == "error" {
            if !certain {
                self.file_refused(number);
            }
            self.coverage
                .edge(&format!("refused: {}", code.unwrap_or_default()));
            let made = serial.and_then(|serial| self.sent.get(&(number, serial)));
            let reached = certain && !lost && made.is_some_and(|sent| sent.stamp.is_some());
            return self.check(!reached, || {
                format!("{number}: refused, and yet it was received: {text}")
            });
        }
        session.alive = session.alive.max(when.lo);
        if let Kind::FileComplete(transfer) = session.asks[index].request.kind {
            self.file_confirmed(number, transfer);
        }
        match kind {
            "joined_room" => {
                self.joined(number, room, when, value, text);
                if let Kind::Join(Some(after)) = self.sessions[number].asks[index].request.kind {
                    self.comes_back(number, room, after, &value["history"]);
                }
            }
            "left_room" => self.exit(number, room, when, text),
            "file_accepted" => self.file_accepted(number, value, text),
            "members" => {
                let whole = value["more"] == false;
                if whole {
                    self.listed(number, room, when, value, text);
                }
            }
            _ => {}
        }
    }

    fn joined(&mut self, number: usize, room: usize, when: When, value: &Value, text: &str) {
        let listed = members_of(value);
        let named = room_of(value) == Some(room);
        let limit = self.config.limits.max_members_listed as usize;
        let total = value["total"].as_u64().unwrap_or_default();
        let client = self.sessions[number].client.clone().unwrap_or_default();
        let whole = total == listed.len() as u64;
        let right = named && listed.contains(&client) && (whole || listed.len() == limit);
        self.check(right, || format!("{number}: a wrong list: {text}"));
        self.log_stands(number, room, &value["history"], text);
        if self.sessions[number].is_in(room) {
            self.listed(number, room, when, value, text);
        } else {
            self.enter(number, room, when, Some(listed), whole);
            if let Some(stay) = self.sessions[number].stay(room) {
                stay.kept = position(&value["history"]);
                stay.count = total;
            }
        }
    }

    /// Taken out of a room by the program.
    fn kicked(&mut self, number: usize, value: &Value, text: &str) {
        let room = room_of(value).unwrap_or_default();
        let mut kicks = self.sessions[number].kicks.iter_mut();
        let kick = kicks.find(|kick| kick.0 == room && !kick.2);
        match kick {
            Some(kick) => {
                kick.2 = true;
                let when = When::exactly(kick.1);
                self.coverage.edge("kicked out of a room");
                self.exit(number, room, when, text);
            }
            None => self.fail(|| format!("{number}: nobody asked: {text}")),
        }
    }

    /// Finds the request that an outcome is of; those before it that need no answer are passed over.
    fn settle(
        &mut self,
        number: usize,
        kind: &str,
        id: Option<&str>,
        code: Option<&str>,
        text: &str,
    ) -> Option<usize> {
        let alone = self.alone;
        let session = &mut self.sessions[number];
        session.paused_at = session.paused_at.map(|_| self.now);
        session.moved_at = self.now;
        while session.next < session.given {
            let index = session.next;
            let ask = &mut session.asks[index];
            session.next += 1;
            if ask.request.id.as_deref() == id && can_be(ask, kind, code, alone) {
                return Some(index);
            }
            if ask.request.kind == Kind::Application {
                continue;
            }
            if ask.must_answer() {
                let ask = ask.clone();
                self.fail(|| format!("{number}: {text} where {ask:?} is still open"));
                return None;
            }
            ask.outcome = Outcome::Silent;
        }
        self.fail(|| format!("{number}: nobody asked: {text}"));
        None
    }
}

/// Whether a request can have such an outcome.
fn can_be(ask: &Ask, kind: &str, code: Option<&str>, alone: bool) -> bool {
    let request = &ask.request;
    if code == Some("internal") {
        return !alone && can_be_asked_elsewhere(ask);
    }
    if kind == "error" {
        return match request.kind {
            Kind::Wrong(right) => {
                code == Some(right) || (right != "bad_json" && code == Some("rate_limited"))
            }
            Kind::Close | Kind::Lie => false,
            _ => !matches!(
                code,
                Some("bad_json" | "bad_message" | "unknown_type" | "invalid_room")
            ),
        };
    }
    match request.kind {
        Kind::Join(_) => kind == "joined_room",
        Kind::Leave => kind == "left_room",
        Kind::FileStart => kind == "file_accepted",
        Kind::Message | Kind::Plain | Kind::Typing | Kind::File | Kind::FileComplete(_) => {
            kind == "ack" && request.id.is_some()
        }
        Kind::Metadata => kind == "metadata_updated",
        Kind::Members => kind == "members",
        Kind::Ping => kind == "pong",
        Kind::Application | Kind::Wrong(_) | Kind::Close | Kind::Lie => false,
    }
}

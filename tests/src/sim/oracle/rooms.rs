//! Rooms as their members see them: who may hear what, in which order, and who is there.

use std::collections::{BTreeMap, BTreeSet};

use roomwire_core::config::SlowReader;
use serde_json::Value;

use super::session::{Kind, Outcome, Stay, To, When};
use super::stream::{is_padded, room_of};
use super::{Key, Oracle, PROGRAM};

impl Oracle {
    /// Somebody is in a room from now on; `members` are those that it was told of.
    pub(super) fn enter(
        &mut self,
        number: usize,
        room: usize,
        joined: When,
        members: Option<BTreeSet<String>>,
        whole: bool,
    ) {
        let view = members.filter(|_| self.is_strict(room));
        // Broadcasts that others have heard before may still be on their way.
        let late = room == 0 && !self.alone;
        let stay = Stay {
            room,
            joined,
            left: None,
            cursor: if late { 0 } else { joined.lo },
            serials: BTreeMap::new(),
            view,
            whole,
            typing: BTreeMap::new(),
            vague: false,
            count: 0,
            audited: 0,
            unsettled: Vec::new(),
            missing: 0,
            kept: None,
        };
        self.sessions[number].stays.push(stay);
        self.room_changed(room);
    }

    /// Somebody is in a room no more.
    pub(super) fn exit(&mut self, number: usize, room: usize, left: When, text: &str) {
        let session = &mut self.sessions[number];
        let at = session.stays.iter().position(|stay| stay.room == room);
        let Some(at) = at else {
            return self.fail(|| format!("{number}: left where it was not: {text}"));
        };
        let mut stay = session.stays.swap_remove(at);
        stay.left = Some(left);
        session.past.push(stay);
        self.room_changed(room);
    }

    /// Whether every coming and going of a room is told at once, and nothing is ever dropped.
    pub(super) fn is_strict(&self, room: usize) -> bool {
        room > 0
            && !self.draining
            && self.policies[room] == SlowReader::Close
            && self.notices[room] > MOST_MEMBERS
    }

    /// When a message was published, as far as that is known.
    pub(super) fn published_when(&self, key: Key) -> Option<When> {
        let sent = self.sent.get(&key)?;
        match (sent.stamp, sent.ask) {
            (Some(stamp), _) => Some(When::exactly(stamp)),
            (None, Some(ask)) => Some(self.sessions[key.0].asks[ask].when),
            (None, None) => Some(sent.when),
        }
    }

    /// A message of a room, or to everyone, has reached somebody.
    pub(super) fn delivered(
        &mut self,
        number: usize,
        room: usize,
        key: Key,
        data: &Value,
        stamp: Option<u64>,
        text: &str,
    ) {
        let Some(sent) = self.sent.get_mut(&key) else {
            return self.fail(|| format!("{number}: made up: {text}"));
        };
        let right = sent.to == To::Room(room) && is_padded(data, sent.padding);
        let same = stamp.is_none() || sent.stamp.is_none() || sent.stamp == stamp;
        sent.stamp = sent.stamp.or(stamp);
        let ask = sent.ask;
        self.check(right, || format!("{number}: another's, or garbled: {text}"));
        self.check(same, || format!("{number}: sent at another time: {text}"));
        self.check(key.0 != number, || {
            format!("{number}: its own message: {text}")
        });
        if let Some(ask) = ask {
            let ask = &self.sessions[key.0].asks[ask];
            let (refused, when) = (ask.outcome == Outcome::Failed, ask.when);
            self.check(!refused, || {
                format!("{number}: of a request that was refused: {text}")
            });
            let fits = stamp.is_none_or(|stamp| when.lo <= stamp && stamp <= when.latest());
            self.check(fits, || format!("{number}: sent {when:?}: {text}"));
        }
        self.orders.heard(number, room, key);
        let when = self.published_when(key).unwrap_or_default();
        let alone = self.alone;
        let late = self.policies[room] == SlowReader::Latest;
        let session = &mut self.sessions[number];
        let fresh = session.received.insert(key);
        let direct = session.direct;
        let overtaken = alone && room > 0 && !late && when.latest() < direct;
        let Some(stay) = session.stay(room) else {
            return self.fail(|| format!("{number}: not a member: {text}"));
        };
        let last = stay.serials.insert(key.0, key.1);
        let (joined, cursor) = (stay.joined, stay.cursor);
        stay.cursor = cursor.max(when.lo);
        let stranger = key.0 != PROGRAM
            && match (&stay.view, value_from(text)) {
                (Some(view), Some(from)) => stay.whole && !view.contains(from),
                _ => false,
            };
        self.check(fresh, || format!("{number}: twice: {text}"));
        self.check(last.is_none_or(|last| last < key.1), || {
            format!("{number}: after later ones of its sender: {text}")
        });
        self.check(when.latest() >= joined.lo || (room == 0 && !alone), || {
            format!("{number}: sent {when:?}, joined {joined:?}: {text}")
        });
        self.check(when.latest() >= cursor, || {
            format!("{number}: sent {when:?}, after news of {cursor}: {text}")
        });
        self.check(!overtaken, || {
            format!("{number}: sent {when:?}, overtaken by its own message of {direct}: {text}")
        });
        self.check(!stranger, || {
            format!("{number}: from somebody who is not there: {text}")
        });
    }

    /// A notice of a room.
    pub(super) fn notice(&mut self, number: usize, kind: &str, value: &Value, text: &str) {
        let Some(room) = room_of(value) else {
            return self.fail(|| format!("{number}: no such room: {text}"));
        };
        if !self.sessions[number].is_in(room) {
            return self.fail(|| format!("{number}: not a member: {text}"));
        }
        if kind == "members_changed" {
            return self.members_changed(number, room, value, text);
        }
        let client = value["clientId"].as_str().unwrap_or_default();
        let own = self.sessions[number].client.as_deref() == Some(client);
        self.check(!own, || format!("{number}: about itself: {text}"));
        let subject = self.ids.get(client).copied();
        let reason = value["reason"].as_str().unwrap_or_default();
        let when = match kind {
            "member_joined" => subject.map(|subject| self.joins_of(subject, room, number)),
            "member_left" => {
                self.coverage.edge(&format!("member left: {reason}"));
                subject.map(|subject| self.leaves_of(subject, room, reason, number))
            }
            _ => None,
        };
        let strict = self.is_strict(room);
        let now = self.now;
        let subject_is_older = self.was_there_before(number, room, client);
        let silenced = subject.is_some_and(|subject| self.lost_its_shard(subject));
        let Some(stay) = self.sessions[number].stay(room) else {
            return;
        };
        match kind {
            "member_joined" => stay.count += 1,
            "member_left" => stay.count = stay.count.saturating_sub(1),
            _ => {}
        }
        // Who stops may have begun before this one came.
        let typing = match kind {
            "user_typing" => stay.typing.insert(client.to_owned(), now).is_none(),
            "user_stopped_typing" => {
                stay.typing.remove(client).is_some() || subject_is_older || stay.vague
            }
            "member_left" => stay.typing.remove(client).is_none() || silenced,
            _ => true,
        };
        let cursor = stay.cursor;
        if !strict {
            stay.view = None;
        }
        let whole = stay.whole;
        let fits = match (kind, &mut stay.view) {
            (_, None) => true,
            ("member_joined", Some(view)) => view.insert(client.to_owned()),
            ("member_left", Some(view)) => view.remove(client) || !whole,
            (_, Some(view)) => view.contains(client) || !whole,
        };
        if let Some(Some(when)) = when {
            stay.cursor = cursor.max(when.lo);
        }
        if matches!(kind, "member_joined" | "member_left") {
            self.changed[room] = true;
        }
        self.check(fits, || format!("{number}: does not fit: {text}"));
        self.check(typing || !strict, || {
            format!("{number}: typing that does not fit: {text}")
        });
        self.check(when != Some(None), || {
            format!("{number}: nothing like it has happened since {cursor}: {text}")
        });
    }

    /// Comings and goings of a large room, or of one whose home has failed: then the list is to be asked for.
    fn members_changed(&mut self, number: usize, room: usize, value: &Value, text: &str) {
        let lost = self.lost_its_home(room);
        if let Some(stay) = self.sessions[number].stay(room) {
            stay.count = value["total"].as_u64().unwrap_or_default();
            if lost {
                (stay.view, stay.vague) = (None, true);
                stay.typing.clear();
            }
        }
        let edge = if lost {
            "the books of a room were lost"
        } else {
            "comings and goings are summed up"
        };
        self.coverage.edge(edge);
        let large = self.notices[room] <= MOST_MEMBERS;
        self.check(large || lost, || format!("{number}: summed up: {text}"));
    }

    /// Whether `client` may have been in a room when a member came; it may have left and come back since.
    fn was_there_before(&self, number: usize, room: usize, client: &str) -> bool {
        let own = self.sessions[number].stays.iter();
        let mut own = own.filter(|stay| stay.room == room).map(|stay| stay.joined);
        let (Some(&subject), Some(own)) = (self.ids.get(client), own.next_back()) else {
            return true;
        };
        let session = &self.sessions[subject];
        let mut asks = session.asks[..session.given].iter();
        asks.any(|ask| {
            matches!(ask.request.kind, Kind::Join(_))
                && ask.request.room == room
                && ask.outcome != Outcome::Failed
                && ask.when.lo <= own.latest()
        })
    }

    /// When `subject` joined a room, not before what `witness` was told last; the earliest that fits.
    fn joins_of(&self, subject: usize, room: usize, witness: usize) -> Option<When> {
        let session = &self.sessions[subject];
        let cursor = self.cursor(witness, room);
        let asks = session.asks[..session.given].iter();
        asks.filter(|ask| matches!(ask.request.kind, Kind::Join(_)) && ask.request.room == room)
            .filter(|ask| ask.outcome != Outcome::Failed)
            .map(|ask| ask.when)
            .find(|when| when.latest() >= cursor)
    }

    fn leaves_of(&self, subject: usize, room: usize, reason: &str, witness: usize) -> Option<When> {
        let session = &self.sessions[subject];
        let cursor = self.cursor(witness, room);
        let after = |when: &When| when.latest() >= cursor;
        if reason == "left" {
            let asks = session.asks[..session.given].iter();
            return asks
                .filter(|ask| ask.request.kind == Kind::Leave && ask.request.room == room)
                .filter(|ask| ask.outcome != Outcome::Failed)
                .map(|ask| ask.when)
                .find(after);
        }
        let mut kicks = session.kicks.iter().filter(|kick| kick.0 == room);
        let kicked = kicks.any(|kick| kick.1 >= cursor);
        // It may have been closed, of which nothing has been written yet.
        let over = session.over.unwrap_or(When {
            lo: session.alive,
            hi: None,
        });
        let ended = match self.alone {
            true => When { lo: 0, ..over },
            // Others hear of it later.
            false => When::since(0),
        };
        (kicked || after(&ended)).then_some(When { lo: 0, hi: None })
    }

    fn cursor(&self, witness: usize, room: usize) -> u64 {
        let stays = &self.sessions[witness].stays;
        let stay = stays.iter().find(|stay| stay.room == room);
        stay.map_or(0, |stay| stay.cursor)
    }

    /// A list of members that was told in its place among the notices.
    pub(super) fn listed(
        &mut self,
        number: usize,
        room: usize,
        when: When,
        value: &Value,
        text: &str,
    ) {
        let listed = members_of(value);
        let whole = value["total"].as_u64() == Some(listed.len() as u64);
        if !whole {
            return;
        }
        let relisted = !self.alone && self.is_strict(room);
        let lost = self.is_lost(room, when);
        let Some(stay) = self.sessions[number].stay(room) else {
            return;
        };
        let same = match &mut stay.view {
            Some(view) if stay.whole => {
                let same = *view == listed;
                *view = listed;
                same
            }
            Some(view) => {
                let same = view.is_subset(&listed);
                *view = listed;
                stay.whole = true;
                same
            }
            // The books were lost, and here they are again.
            view @ None if relisted => {
                *view = Some(listed);
                stay.whole = true;
                true
            }
            None => true,
        };
        self.check(same || lost, || {
            format!("{number}: does not fit the notices: {text}")
        });
    }
}

/// The clients in a list.
pub(super) fn members_of(value: &Value) -> BTreeSet<String> {
    let members = value["members"].as_array().into_iter().flatten();
    let members = members.filter_map(|member| member.as_str().map(str::to_owned));
    members.collect()
}

fn value_from(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("\"from\":\"")?;
    after.split('"').next()
}

/// More clients are in no plan.
const MOST_MEMBERS: usize = 500;

impl PartialEq for When {
    fn eq(&self, other: &Self) -> bool {
        (self.lo, self.hi) == (other.lo, other.hi)
    }
}

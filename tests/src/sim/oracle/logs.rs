//! What rooms keep: all members hear the same message with the same offset, each of them in the order of the offsets.

use roomwire_core::config::SlowReader;
use serde_json::Value;

use super::Oracle;
use super::session::{Back, Key};
use super::stream::{key_of, room_of};

impl Oracle {
    /// Where a room's log stands, as told to somebody who joins, or joins again.
    pub(super) fn log_stands(&mut self, number: usize, room: usize, told: &Value, text: &str) {
        let keeps = self.keeps[room];
        let told = position(told);
        self.check(told.is_some() == keeps, || {
            format!("{number}: kept or not: {text}")
        });
        if let Some((epoch, last)) = told
            && self.sessions[number].is_in(room)
            && let Some(stay) = self.sessions[number].stay(room)
        {
            let fits = stay.kept.as_ref().is_none_or(|(known, latest)| {
                // With several shards the reply may overtake what tells of the failure.
                *known != epoch || *latest <= last
            });
            self.check(fits, || format!("{number}: the log is shorter: {text}"));
        }
    }

    /// A room's home has failed, and what it kept is lost.
    pub(super) fn log_begins_anew(&mut self, number: usize, value: &Value, text: &str) {
        let room = room_of(value).filter(|&room| self.sessions[number].is_in(room));
        let Some(room) = room else {
            return self.fail(|| format!("{number}: not a member: {text}"));
        };
        let right = self.keeps[room] && self.lost_its_home(room);
        self.check(right, || format!("{number}: nothing was lost: {text}"));
        self.coverage.edge("a log begins anew");
        let position = position(value);
        self.check(position.is_some(), || {
            format!("{number}: no position: {text}")
        });
        if let Some(stay) = self.sessions[number].stay(room) {
            stay.kept = position;
        }
    }

    /// Somebody who has the messages up to `after` is let in: those after it come next.
    pub(super) fn comes_back(&mut self, number: usize, room: usize, after: u64, told: &Value) {
        let position = position(told);
        let ahead = position.as_ref().is_some_and(|&(_, last)| after > last);
        self.sessions[number].back = Some(Back {
            room,
            next: if ahead { 1 } else { after + 1 },
            misses: false,
            more: ahead,
            position,
        });
    }

    /// Each offset stands there once and in order, but for those that are said to be missing.
    pub(super) fn page_of_what_was_missed(&mut self, number: usize, value: &Value, text: &str) {
        let Some(mut back) = self.sessions[number].back.take() else {
            return self.fail(|| format!("{number}: nobody asked: {text}"));
        };
        let stands = room_of(value) == Some(back.room) && position(value) == back.position;
        self.check(stands, || format!("{number}: of another log: {text}"));
        if let Some(gap) = value["gap"]["from"].as_u64() {
            self.check(gap == back.next && !back.misses, || {
                format!("{number}: {gap} is no gap: {text}")
            });
            back.next = value["gap"]["to"].as_u64().unwrap_or(0) + 1;
            self.coverage.edge("somebody comes back and has a gap");
        }
        back.misses |= value.get("gap").is_some() || value["reset"] == true;
        let epoch = back.position.as_ref().map(|(epoch, _)| epoch.clone());
        for past in value["messages"].as_array().into_iter().flatten() {
            let offset = past["offset"].as_u64();
            self.check(offset == Some(back.next), || {
                format!("{number}: not {}: {text}", back.next)
            });
            let Some((key, epoch)) = key_of(&past["data"]).zip(epoch.clone()) else {
                return self.fail(|| format!("{number}: made up: {text}"));
            };
            self.came_from(number, key, past, text);
            let same = *self.log.entry((back.room, epoch, back.next)).or_insert(key) == key;
            self.check(same, || {
                format!("{number}: another has that offset: {text}")
            });
            back.next += 1;
            self.coverage.edge("somebody comes back and is told");
        }
        back.more = value["more"] == true;
        self.sessions[number].back = Some(back);
    }

    /// What somebody has missed has been told: everything, or what is missing was named.
    pub(super) fn all_was_told(&mut self, number: usize, value: &Value, text: &str) {
        let Some(back) = self.sessions[number].back.take() else {
            return self.fail(|| format!("{number}: nobody asked: {text}"));
        };
        let named = room_of(value) == Some(back.room) && position(value) == back.position;
        self.check(named, || format!("{number}: of another log: {text}"));
        let all = (back.position).is_none_or(|(_, last)| back.next == last + 1) && !back.more;
        self.check(all, || format!("{number}: not all: {text}"));
        let complete = self.keeps[back.room] && !back.misses;
        self.check(value["complete"] == complete, || {
            format!("{number}: complete, or not: {text}")
        });
    }

    /// A message of a room has come.
    pub(super) fn has_its_offset(
        &mut self,
        number: usize,
        room: usize,
        key: Key,
        value: &Value,
        text: &str,
    ) {
        let offset = value["offset"].as_u64();
        let keeps = self.keeps[room];
        self.check(offset.is_some() == keeps, || {
            format!("{number}: an offset, or none: {text}")
        });
        // That the log has begun anew may have been dropped, which is told only when the queue has drained.
        let vague = self.lost_its_home(room) && self.policies[room] != SlowReader::Close;
        let Some(stay) = self.sessions[number].stay(room) else {
            return;
        };
        if vague && offset <= stay.kept.as_ref().map(|&(_, latest)| latest) {
            stay.kept = None;
        }
        let Some((offset, (epoch, latest))) = offset.zip(stay.kept.as_mut()) else {
            return;
        };
        let later = offset > *latest;
        *latest = offset;
        let place = (room, epoch.clone(), offset);
        let same = *self.log.entry(place).or_insert(key) == key;
        self.check(later, || format!("{number}: an offset that was: {text}"));
        self.check(same, || {
            format!("{number}: another message has that offset: {text}")
        });
    }
}

/// An epoch, and the offset of the latest message.
pub(super) fn position(value: &Value) -> Option<(String, u64)> {
    let epoch = value["epoch"].as_str()?;
    Some((epoch.to_owned(), value["last"].as_u64()?))
}

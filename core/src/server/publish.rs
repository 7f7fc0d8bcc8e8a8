//! Messages whose senders ask for more than that they are told: told once whatever comes, for how long they are of use,
//! what they take the place of.
//!
//! Such a message of a room is its home's to number before the sender hears what became of it, wherever that is; one
//! that asks for nothing is acknowledged by the sender's own shard.

use super::Server;
use super::admission::Refused;
use super::messages::{Outcome, refusal};
use crate::cluster::message::Told;
use crate::error::ErrorCode;
use crate::id::{ClientId, ConnectionId};
use crate::message::{Asked, Payload, Published, Terms};

impl Server {
    /// What a client has to say in a room.
    pub(super) fn room_message(
        &mut self,
        index: u32,
        name: &str,
        (data, terms): (Payload<'_>, &Terms<'_>),
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        let room = self.find_own_room(index, name)?;
        self.check_bare(data)?;
        self.check_terms(terms)?;
        self.admit(index, self.room_len(room) - 1)?;
        let Some(who) = self.who(index) else {
            return Ok(Outcome::Done);
        };
        let (connection, from) = (Some(who.connection), who.client);
        if terms.is_empty() {
            self.say(room, connection, Told::Data { from, data });
            return Ok(Outcome::Done);
        }
        if self.is_home(room) {
            let published = self.publish(room, connection, from, (data, terms));
            return Ok(Outcome::Published(published));
        }
        self.ask_to_publish(index, room, (data, terms), asked);
        Ok(Outcome::Later)
    }

    /// Publishes a message in a room that has its home here, unless it has been before. `except` does not get it.
    pub(super) fn publish(
        &mut self,
        room: u32,
        except: Option<ConnectionId>,
        from: ClientId,
        (data, terms): (Payload<'_>, &Terms<'_>),
    ) -> Published {
        self.steps.one();
        let now = self.now.mono;
        let serial = self.rooms.get(room).map_or(0, |entry| entry.serial);
        let id = terms.message_id.as_deref();
        let ids = &self.config.message_ids;
        let known = id.and_then(|id| self.repeats.find(serial, from, id, now, ids));
        if let Some(offset) = known {
            self.stats.repeated += 1;
            return Published {
                offset,
                duplicate: true,
            };
        }
        let offset = self.tell_data(room, except, from, (data, terms));
        if let Some(id) = id {
            let ids = &self.config.message_ids;
            self.repeats.note(serial, from, id, offset, now, ids);
        }
        Published {
            offset,
            duplicate: false,
        }
    }

    pub(super) fn check_terms(&self, terms: &Terms<'_>) -> Result<(), Refused> {
        let is_longer =
            |text: &Option<_>, max| text.as_deref().is_some_and(|it: &str| it.len() > max);
        let ids = &self.config.message_ids;
        if terms.message_id.is_some() && ids.window_ms == 0 {
            let message = "messageId: this server knows no message again";
            return Err(refusal(ErrorCode::Forbidden, message));
        }
        if is_longer(&terms.message_id, ids.max_bytes) {
            return Err(refusal(ErrorCode::TooLarge, "messageId: too long"));
        }
        if is_longer(&terms.key, self.config.limits.max_key_bytes) {
            return Err(refusal(ErrorCode::TooLarge, "key: too long"));
        }
        Ok(())
    }
}

//! One room's receivers of one wire form, and the buffer of this turn's messages for them.
//!
//! A publish appends to the open buffer: O(1), whoever listens. Each member has a cursor into it. A *cut*
//! queues for one member what lies between its cursor and the end; sealing, at the end of a round, cuts
//! everyone who is left. A publisher is cut before its own message and its cursor moves past it, so nobody
//! else pays for the exclusion. While a seal is unfinished (it is budgeted) new messages go to the next open
//! buffer; at most one seal is unfinished.

#[cfg(test)]
mod tests;

use crate::config::SlowReader;
use crate::session::NONE;
use crate::session::buffer::Place;
use crate::session::outbox::{Outboxes, Range};

/// The members of a room that get the same bytes.
#[derive(Debug)]
pub(crate) struct Audience {
    members: Vec<Member>,
    /// The number of the open turn. A member with a lower number has its cursor at the start.
    turn: u32,
    /// The buffer of the open turn, or [`NONE`].
    open: u32,
    sealing: Option<Seal>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    connection: u32,
    turn: u32,
    position: u32,
}

/// A seal under way: `members[..served]` have got the buffer.
#[derive(Clone, Copy, Debug)]
struct Seal {
    buffer: u32,
    end: u32,
    messages: u32,
    served: u32,
}

impl Audience {
    pub(crate) const fn new() -> Self {
        Self {
            members: Vec::new(),
            turn: 1,
            open: NONE,
            sealing: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Memory of the list of members.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.members.capacity() * size_of::<Member>()
    }

    /// The member in a slot.
    pub(crate) fn connection(&self, slot: u32) -> Option<u32> {
        self.members
            .get(slot as usize)
            .map(|member| member.connection)
    }

    /// Members in slot order.
    pub(crate) fn connections(&self) -> impl Iterator<Item = u32> {
        self.members.iter().map(|member| member.connection)
    }

    /// Whether anything waits for a seal.
    pub(crate) fn is_dirty(&self) -> bool {
        self.open != NONE || self.sealing.is_some()
    }

    /// Whether a seal has begun and has not come to its end.
    pub(crate) fn is_sealing(&self) -> bool {
        self.sealing.is_some()
    }

    /// Adds a member, which gets what is published from now on. Returns its slot. Amortised O(1).
    pub(crate) fn join(&mut self, connection: u32, outboxes: &Outboxes) -> u32 {
        outboxes.steps.one();
        self.members.push(Member {
            connection,
            turn: self.turn,
            position: self.open_end(outboxes),
        });
        self.members.len() as u32 - 1
    }

    /// Cuts and removes the member in `slot`; the last member takes the slot and is returned. O(1).
    pub(crate) fn leave(
        &mut self,
        slot: u32,
        outboxes: &mut Outboxes,
        policy: SlowReader,
    ) -> Option<u32> {
        self.cut(slot, outboxes, policy);
        let last = self.members.len() as u32 - 1;
        if let Some(seal) = self.sealing
            && slot < seal.served
        {
            // The last member moves to where the seal has already been.
            if last >= seal.served {
                self.serve(last, seal, outboxes, policy);
            }
            let served = seal.served.min(last);
            self.sealing = Some(Seal { served, ..seal });
        }
        self.members.swap_remove(slot as usize);
        if self.members.capacity() > 64 && self.members.len() * 4 < self.members.capacity() {
            self.members.shrink_to(self.members.len() * 2);
        }
        self.connection(slot)
    }

    /// Appends one message of the room with this serial for everyone but the member in `except`. O(size).
    pub(crate) fn publish(
        &mut self,
        serial: u32,
        except: Option<u32>,
        outboxes: &mut Outboxes,
        policy: SlowReader,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Range {
        outboxes.steps.one();
        if let Some(slot) = except {
            self.cut(slot, outboxes, policy);
        }
        if self.open == NONE {
            self.open = outboxes.buffers.open(serial);
        }
        let (start, end) = outboxes.buffers.append(self.open, write);
        outboxes.note_unsealed(end - start);
        if let Some(slot) = except
            && let Some(member) = self.members.get_mut(slot as usize)
        {
            (member.turn, member.position) = (self.turn, end);
        }
        Range {
            buffer: self.open,
            start,
            end,
        }
    }

    /// Queues for one member everything published so far. O(1).
    pub(crate) fn cut(&mut self, slot: u32, outboxes: &mut Outboxes, policy: SlowReader) {
        outboxes.steps.one();
        if let Some(seal) = self.sealing
            && slot >= seal.served
        {
            self.serve(slot, seal, outboxes, policy);
        }
        let end = self.open_end(outboxes);
        let Some(member) = self.members.get_mut(slot as usize) else {
            return;
        };
        let start = if member.turn == self.turn {
            member.position
        } else {
            0
        };
        (member.turn, member.position) = (self.turn, end);
        if start < end {
            let range = Range {
                buffer: self.open,
                start,
                end,
            };
            let messages = outboxes.buffers.messages(self.open, start, end);
            outboxes.queue(member.connection, range, messages, policy);
        }
    }

    /// Whether a message at `place` is still to be queued for the member in `slot`. O(1).
    pub(crate) fn waits(&self, slot: u32, place: Place, outboxes: &Outboxes) -> bool {
        let member = self.members.get(slot as usize);
        let (Some(member), Some((buffer, start))) = (member, place.start_in(&outboxes.buffers))
        else {
            return false;
        };
        if buffer == self.open {
            return member.turn != self.turn || start >= member.position;
        }
        self.sealing.is_some_and(|seal| {
            let earlier = member.turn.wrapping_add(1) == self.turn;
            let uncut = slot >= seal.served && member.turn != self.turn;
            buffer == seal.buffer && uncut && (!earlier || start >= member.position)
        })
    }

    /// Gives one member its part of a buffer that is being sealed.
    #[inline]
    fn serve(&self, slot: u32, seal: Seal, outboxes: &mut Outboxes, policy: SlowReader) {
        outboxes.steps.one();
        let Some(member) = self.members.get(slot as usize) else {
            return;
        };
        let buffer = seal.buffer;
        if member.turn == self.turn {
            return; // joined later, or was cut since
        }
        let (start, messages) = if member.turn.wrapping_add(1) == self.turn && member.position > 0 {
            let left = outboxes.buffers.messages(buffer, member.position, seal.end);
            (member.position, left)
        } else {
            (0, seal.messages)
        };
        if start < seal.end {
            let range = Range {
                buffer,
                start,
                end: seal.end,
            };
            outboxes.queue(member.connection, range, messages, policy);
        }
    }

    /// Gives up what nobody is left to get.
    pub(crate) fn clear(&mut self, outboxes: &mut Outboxes) {
        if let Some(seal) = self.sealing.take() {
            outboxes.buffers.seal(seal.buffer);
        }
        if self.open != NONE {
            outboxes.buffers.seal(self.open);
            self.open = NONE;
        }
    }

    /// Goes on with the seal of this turn, for at most `budget` members, which it takes off the budget. `true`
    /// when it is done.
    pub(crate) fn seal(
        &mut self,
        outboxes: &mut Outboxes,
        policy: SlowReader,
        budget: &mut u32,
    ) -> bool {
        if self.sealing.is_none() && !self.begin_seal(outboxes) {
            return true;
        }
        while let Some(seal) = self.sealing {
            let end = (self.members.len() as u32).min(seal.served.saturating_add(*budget));
            for slot in seal.served..end {
                self.serve(slot, seal, outboxes, policy);
            }
            *budget -= end - seal.served;
            if (end as usize) < self.members.len() {
                self.sealing = Some(Seal {
                    served: end,
                    ..seal
                });
                return false;
            }
            outboxes.buffers.seal(seal.buffer);
            self.sealing = None;
        }
        // What was published while this seal was under way belongs to a later round.
        true
    }

    /// Turns the open buffer into the one being sealed. `false` if there is none.
    fn begin_seal(&mut self, outboxes: &Outboxes) -> bool {
        outboxes.steps.one();
        if self.open == NONE {
            return false;
        }
        let end = outboxes.buffers.len(self.open);
        self.sealing = Some(Seal {
            buffer: self.open,
            end,
            messages: outboxes.buffers.messages(self.open, 0, end),
            served: 0,
        });
        self.open = NONE;
        if self.turn == u32::MAX {
            outboxes.steps.many(self.members.len());
            self.renumber();
        }
        self.turn += 1;
        true
    }

    /// Turn numbers start again: only "this turn" and "an earlier one" matter.
    fn renumber(&mut self) {
        for member in &mut self.members {
            member.turn = u32::from(member.turn == self.turn);
        }
        self.turn = 1;
    }

    fn open_end(&self, outboxes: &Outboxes) -> u32 {
        match self.open {
            NONE => 0,
            open => outboxes.buffers.len(open),
        }
    }
}

//! What the sender is asked for, and who waits for a stream.

use std::collections::VecDeque;

use super::receivers::{Place, Receiver};
use super::transfer::{Gathering, Transfer};
use super::{MAX_PIECES, Rules, Wanted};
use crate::id::ConnectionId;
use crate::time::Instant;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Asking {
    /// In the order in which they were asked for and come.
    pub(super) pieces: VecDeque<Piece>,
    /// How much of them has not come.
    pub(super) outstanding_bytes: u64,
    pub(super) streams: Box<[Option<Stream>]>,
    /// Who is behind and waits for a stream, by slot.
    pub(super) line: VecDeque<u32>,
    /// Whose turn it is of the streams.
    turn: usize,
    /// What the streams may ask for, or have asked for too much, since they get at least a third of the sender.
    owed_bytes: i64,
}

/// A piece, or what has not come of it.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) end: u64,
    /// `None`: the front's.
    stream: Option<u32>,
}

/// Pieces for a receiver that is behind, and for whoever stands where they come by.
#[derive(Debug)]
pub(super) struct Stream {
    /// Where what comes next begins.
    pub(super) offset: u64,
    /// Everything before this has been asked for.
    pub(super) requested: u64,
    /// Whose room decides how far it goes: slot and id.
    leader: (u32, ConnectionId),
}

/// What may be asked for on a stream, and for whom.
struct Errand {
    slot: u32,
    id: ConnectionId,
    from: u64,
    until: u64,
}

/// A chunk that is what was asked for.
pub(super) struct Taken {
    pub(super) end: u64,
    pub(super) is_front: bool,
    /// Its stream is over.
    pub(super) is_last_of_stream: bool,
}

/// Whether one whose turn it is has something to ask for.
enum Turn {
    Nothing,
    /// It has, and there is too little left of what may be asked for: the others wait with it, so that small pieces
    /// do not overtake large ones for ever.
    Waits,
    Asks(Wanted),
}

impl Turn {
    fn wanted(self) -> Option<Wanted> {
        match self {
            Self::Nothing | Self::Waits => None,
            Self::Asks(wanted) => Some(wanted),
        }
    }
}

impl Asking {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            pieces: VecDeque::new(),
            outstanding_bytes: 0,
            streams: (0..rules.max_streams).map(|_| None).collect(),
            line: VecDeque::new(),
            turn: 0,
            owed_bytes: 0,
        }
    }

    /// Takes a chunk off the piece that comes next, if it is of that.
    pub(super) fn take(&mut self, offset: u64, length_bytes: u32) -> Option<Taken> {
        let piece = self.pieces.front_mut()?;
        let end = offset.checked_add(u64::from(length_bytes))?;
        if length_bytes == 0 || offset != piece.offset || end > piece.end {
            return None;
        }
        piece.offset = end;
        let stream = piece.stream;
        if piece.offset == piece.end {
            self.pieces.pop_front();
        }
        self.outstanding_bytes -= u64::from(length_bytes);
        let mut is_last_of_stream = false;
        if let Some(slot) = stream.and_then(|index| self.streams.get_mut(index as usize))
            && let Some(stream) = slot
        {
            stream.offset = end;
            is_last_of_stream = stream.offset == stream.requested;
            if is_last_of_stream {
                *slot = None;
            }
        }
        Some(Taken {
            end,
            is_front: stream.is_none(),
            is_last_of_stream,
        })
    }

    /// O(waiting).
    pub(super) fn leave_line(&mut self, slot: u32) {
        self.line.retain(|&waiting| waiting != slot);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.pieces.capacity() * size_of::<Piece>()
            + size_of_val(&*self.streams)
            + self.line.capacity() * size_of::<u32>()
    }

    pub(super) fn has_stream_at(&self, offset: u64) -> bool {
        let mut streams = self.streams.iter().flatten();
        streams.any(|stream| stream.offset == offset)
    }
}

impl Transfer {
    /// What to ask the sender for now; to be called until there is nothing, whenever something has happened. O(receivers)
    /// if there is something, O(streams) otherwise, receivers that have waited in vain aside.
    pub(crate) fn next_wanted(&mut self, now: Instant) -> Option<Wanted> {
        self.advance(now);
        loop {
            let wanted = self.ask();
            self.review();
            // Who has no patience left is not waited for even now, and the others may go on.
            if wanted.is_some() || !self.detach() {
                return wanted;
            }
        }
    }

    fn ask(&mut self) -> Option<Wanted> {
        if self.lost_since.is_some() || !self.has_gathered() {
            return None;
        }
        let is_running = self.front.members > 0 && self.front.requested < self.size;
        if !is_running {
            return self.ask_for_streams().wanted();
        }
        // The streams get one byte for two of the front's, at most, as long as the front keeps the sender busy.
        if self.asking.owed_bytes > 0 {
            match self.ask_for_streams() {
                Turn::Nothing => {}
                turn => {
                    let wanted = turn.wanted()?;
                    self.asking.owed_bytes -= i64::from(wanted.length_bytes);
                    return Some(wanted);
                }
            }
        }
        match self.ask_for_front() {
            Turn::Nothing if self.asking.outstanding_bytes == 0 => self.ask_for_streams().wanted(),
            turn => {
                let wanted = turn.wanted()?;
                let most = i64::from(self.rules.max_requested_bytes / 2);
                let owed = self.asking.owed_bytes + i64::from(wanted.length_bytes / 2);
                self.asking.owed_bytes = owed.min(most);
                Some(wanted)
            }
        }
    }

    fn ask_for_front(&mut self) -> Turn {
        let requested = self.front.requested;
        if !self.front.blockers.is_empty() {
            return Turn::Nothing;
        }
        if !self.has_budget_for(self.size - requested) {
            return Turn::Waits;
        }
        let members = self.receivers.iter().filter(|r| r.place == Place::Front);
        let limit = members.map(|r| r.limit).min().unwrap_or(requested);
        let wanted = self.request(requested, limit.saturating_sub(requested), None);
        self.front.requested += u64::from(wanted.length_bytes);
        self.classify_all();
        Turn::Asks(wanted)
    }

    /// The streams take turns.
    fn ask_for_streams(&mut self) -> Turn {
        let count = self.asking.streams.len();
        for _ in 0..count {
            let turn = self.ask_for_stream(self.asking.turn);
            if let Turn::Waits = turn {
                return turn;
            }
            self.asking.turn = (self.asking.turn + 1) % count;
            if let Turn::Asks(_) = turn {
                return turn;
            }
        }
        Turn::Nothing
    }

    fn ask_for_stream(&mut self, index: usize) -> Turn {
        let under_way = match self.asking.streams.get(index) {
            // Who waits gets a turn before a stream goes further than it has asked.
            Some(Some(_)) if !self.asking.line.is_empty() => None,
            Some(Some(stream)) => self.further(stream),
            Some(None) => self.first_in_line(),
            None => None,
        };
        let Some(Errand {
            slot,
            id,
            from,
            until,
        }) = under_way
        else {
            return Turn::Nothing;
        };
        if !self.has_budget_for(until - from) {
            return Turn::Waits;
        }
        let wanted = self.request(from, until - from, Some(index as u32));
        let requested = from + u64::from(wanted.length_bytes);
        match &mut self.asking.streams[index] {
            Some(stream) => stream.requested = requested,
            none => {
                *none = Some(Stream {
                    offset: from,
                    requested,
                    leader: (slot, id),
                });
                self.leave_line_first();
            }
        }
        Turn::Asks(wanted)
    }

    /// What a stream may ask for beyond what it has.
    fn further(&self, stream: &Stream) -> Option<Errand> {
        let (slot, id) = stream.leader;
        let leader = self.receivers.get(slot)?;
        // It may have left and come back somewhere else.
        let leads = leader.id == id && leader.next == stream.offset;
        let from = stream.requested;
        let until = leader.limit.min(self.front.requested);
        (leads && leader.has_room(from, self.size) && from < until).then_some(Errand {
            slot,
            id,
            from,
            until,
        })
    }

    /// What the first who waits for a stream and still needs one may ask for. It stays in the line.
    fn first_in_line(&mut self) -> Option<Errand> {
        while let Some(&slot) = self.asking.line.front() {
            if let Some(receiver) = self.receivers.get(slot)
                && self.needs_stream(receiver)
            {
                return Some(Errand {
                    slot,
                    id: receiver.id,
                    from: receiver.next,
                    until: receiver.limit.min(self.front.requested),
                });
            }
            self.leave_line_first();
        }
        None
    }

    fn leave_line_first(&mut self) {
        if let Some(slot) = self.asking.line.pop_front()
            && let Some(receiver) = self.receivers.get_mut(slot)
        {
            receiver.queued = false;
        }
    }

    /// Whether a receiver is behind, has room, and nothing that has been asked for is for it.
    fn needs_stream(&self, receiver: &Receiver) -> bool {
        receiver.place == Place::Behind
            && receiver.has_room(receiver.next, self.size)
            && !self.asking.has_stream_at(receiver.next)
    }

    /// Whether enough is left of what may be asked for that somebody who would take `most` bytes should ask.
    fn has_budget_for(&self, most: u64) -> bool {
        self.budget() >= most.min(u64::from(self.rules.chunk_bytes))
            && self.asking.pieces.len() < MAX_PIECES
    }

    fn budget(&self) -> u64 {
        u64::from(self.rules.max_requested_bytes).saturating_sub(self.asking.outstanding_bytes)
    }

    /// Asks for as much of `most` bytes as one piece may have.
    fn request(&mut self, offset: u64, most: u64, stream: Option<u32>) -> Wanted {
        let length = most.min(self.budget());
        let length_bytes = u32::try_from(length)
            .unwrap_or(u32::MAX)
            .min(self.rules.request_bytes);
        if self.asking.outstanding_bytes == 0 {
            self.sender_silent_since = self.now;
        }
        self.asking.outstanding_bytes += u64::from(length_bytes);
        self.asking.pieces.push_back(Piece {
            offset,
            end: offset + u64::from(length_bytes),
            stream,
        });
        Wanted {
            offset,
            length_bytes,
        }
    }

    /// What was asked for does not come.
    pub(super) fn forget_requests(&mut self) {
        self.asking.pieces.clear();
        self.asking.outstanding_bytes = 0;
        self.asking.streams.fill_with(|| None);
        self.front.requested = self.hashed;
        self.classify_all();
        for slot in 0..self.receivers.slots() {
            self.rejoin_front(slot);
            self.wait_for_stream(slot);
        }
        self.review();
    }

    /// Puts a receiver in the line if it needs a stream.
    pub(super) fn wait_for_stream(&mut self, slot: u32) {
        let waits = |receiver: &&Receiver| !receiver.queued && self.needs_stream(receiver);
        if self.receivers.get(slot).filter(waits).is_none() {
            return;
        }
        self.asking.line.push_back(slot);
        if let Some(receiver) = self.receivers.get_mut(slot) {
            receiver.queued = true;
        }
    }

    /// Whether pieces may be asked for.
    pub(super) fn has_gathered(&self) -> bool {
        match self.gathering {
            Gathering::Nobody => false,
            Gathering::Until(until) => until <= self.now,
            Gathering::Over => true,
        }
    }
}

//! Queues against the plainest thing that does the same: a list of whole messages per connection.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::super::stall::{CONTROL, PONG};
use super::super::*;
use super::unsent;

const CONNECTIONS: u32 = 3;
const ROOMS: u32 = 2;

#[derive(Clone, Debug)]
enum Op {
    /// A message of a room, for those that are cut later.
    Publish(u32, usize),
    /// Queues some of the last messages of a room.
    Cut {
        connection: u32,
        room: u32,
        skip: usize,
        take: usize,
        policy: SlowReader,
    },
    /// The room's buffer is full, or that of direct messages.
    Seal(Option<u32>),
    Direct(u32, usize),
    Control(u32, u8, usize),
    /// How much of what waits, in thousandths.
    Sent(u32, usize, bool),
    Unblock(u32),
    Discard(u32, bool),
    Shut(u32, bool),
    Reopen(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let connection = 0..CONNECTIONS;
    let room = 0..ROOMS;
    let policy = prop_oneof![
        2 => Just(SlowReader::Close),
        3 => Just(SlowReader::DropOldest),
        3 => Just(SlowReader::DropNewest),
        2 => Just(SlowReader::Latest),
    ];
    let cut = (
        connection.clone(),
        room.clone(),
        0..3_usize,
        1..6_usize,
        policy,
    )
        .prop_map(|(connection, room, skip, take, policy)| Op::Cut {
            connection,
            room,
            skip,
            take,
            policy,
        });
    let share = prop_oneof![
        1 => Just(0),
        3 => 0..1_000_usize,
        1 => Just(1_000),
        1 => Just(1_200),
    ];
    prop_oneof![
        8 => (room.clone(), 1..60_usize).prop_map(|(r, length)| Op::Publish(r, length)),
        12 => cut,
        2 => prop::option::of(room).prop_map(Op::Seal),
        3 => (connection.clone(), 1..60_usize).prop_map(|(c, length)| Op::Direct(c, length)),
        3 => (connection.clone(), 0x88..0x8B_u8, 0..10_usize).prop_map(|(c, k, l)| Op::Control(c, k, l)),
        8 => (connection.clone(), share, any::<bool>()).prop_map(|(c, s, b)| Op::Sent(c, s, b)),
        3 => connection.clone().prop_map(Op::Unblock),
        1 => (connection.clone(), any::<bool>()).prop_map(|(c, keep)| Op::Discard(c, keep)),
        2 => (connection.clone(), prop::bool::weighted(0.3)).prop_map(|(c, shut)| Op::Shut(c, shut)),
        1 => connection.prop_map(Op::Reopen),
    ]
}

#[derive(Clone, Debug)]
struct Message {
    bytes: Vec<u8>,
    sent: usize,
    room: u32,
}

#[derive(Clone, Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    blocked: bool,
    shut: bool,
    overflowed: bool,
    behind: bool,
    flagged: bool,
}

/// What is counted over the whole run.
#[derive(Debug, Default)]
struct Counts {
    queued: u64,
    sent: u64,
    discarded: u64,
    replaced: u64,
    pongs: u64,
    drops: BTreeMap<(u32, u32, bool), u64>,
    overflows: Vec<u32>,
}

#[derive(Debug)]
struct Reference {
    queues: Vec<Queue>,
    counts: Counts,
    max_bytes: usize,
    max_messages: usize,
}

impl Queue {
    fn bytes(&self) -> usize {
        self.messages.iter().map(|m| m.bytes.len() - m.sent).sum()
    }

    fn first_unstarted(&self) -> usize {
        usize::from(self.messages.front().is_some_and(|m| m.sent > 0))
    }

    fn unsent(&self) -> Vec<u8> {
        let waiting = self.messages.iter().map(|m| &m.bytes[m.sent..]);
        waiting.flatten().copied().collect()
    }
}

impl Reference {
    fn queue(&mut self, connection: u32, mut messages: Vec<Message>, policy: SlowReader) {
        let (max_bytes, max_messages) = (self.max_bytes, self.max_messages);
        let counts = &mut self.counts;
        let queue = &mut self.queues[connection as usize];
        let fits = |queue: &Queue, more: &[Message]| {
            let bytes: usize = more.iter().map(|m| m.bytes.len()).sum();
            queue.bytes() + bytes <= max_bytes && queue.messages.len() + more.len() <= max_messages
        };
        let count = messages.len() as u64;
        let room = messages[0].room;
        let last_word = queue.overflowed && room == NONE && messages[0].bytes.len() <= 127;
        let mut dropped = 0;
        counts.queued += count;
        if queue.shut {
            counts.discarded += count;
            return;
        }
        if policy == SlowReader::Latest && (queue.blocked || queue.behind) {
            queue.behind = true;
            *counts.drops.entry((connection, room, true)).or_default() += count;
            return;
        }
        match policy {
            _ if fits(queue, &messages) => {}
            SlowReader::Close if last_word => {}
            SlowReader::Close => {
                queue.shut = true;
                queue.overflowed = true;
                counts.overflows.push(connection);
                counts.discarded += count;
                return;
            }
            SlowReader::DropNewest => {
                while !messages.is_empty() && !fits(queue, &messages) {
                    messages.pop();
                    dropped += 1;
                }
            }
            SlowReader::DropOldest | SlowReader::Latest => {
                let mut at = queue.first_unstarted();
                while !fits(queue, &messages) && at < queue.messages.len() {
                    if queue.messages[at].room == room {
                        queue.messages.remove(at);
                        dropped += 1;
                    } else {
                        at += 1;
                    }
                }
                while !messages.is_empty() && !fits(queue, &messages) {
                    messages.remove(0);
                    dropped += 1;
                }
            }
        }
        if dropped > 0 {
            *counts.drops.entry((connection, room, false)).or_default() += dropped;
        }
        queue.flagged |= !messages.is_empty() && !queue.blocked;
        queue.messages.extend(messages);
    }

    fn control(&mut self, connection: u32, frame: Vec<u8>) {
        let queue = &mut self.queues[connection as usize];
        let mut message = Message {
            bytes: frame,
            sent: 0,
            room: NONE,
        };
        if queue.shut {
            return;
        }
        if !queue.blocked || queue.messages.is_empty() {
            self.queue(connection, vec![message], SlowReader::Close);
            return;
        }
        message.room = CONTROL;
        self.counts.queued += 1;
        let mut at = queue.first_unstarted();
        while queue.messages.get(at).is_some_and(|m| m.room == CONTROL) {
            if queue.messages[at].bytes[0] == message.bytes[0] {
                self.counts.replaced += 1;
                self.counts.pongs += u64::from(message.bytes[0] == PONG);
                queue.messages[at] = message;
                return;
            }
            at += 1;
        }
        queue.messages.insert(at, message);
    }

    fn sent(&mut self, connection: u32, mut bytes: usize) {
        let queue = &mut self.queues[connection as usize];
        while let Some(first) = queue.messages.front_mut().filter(|_| bytes > 0) {
            let taken = bytes.min(first.bytes.len() - first.sent);
            first.sent += taken;
            bytes -= taken;
            if first.sent == first.bytes.len() {
                queue.messages.pop_front();
                self.counts.sent += 1;
            }
        }
        queue.behind &= !queue.messages.is_empty();
    }

    fn discard(&mut self, connection: u32, keep_started: bool) -> usize {
        let queue = &mut self.queues[connection as usize];
        let kept = if keep_started {
            queue.first_unstarted()
        } else {
            0
        };
        let gone = queue.messages.drain(kept..).count();
        self.counts.discarded += gone as u64;
        gone
    }
}

/// What a room published since its buffer was opened.
#[derive(Debug)]
struct Turn {
    buffer: u32,
    ends: Vec<u32>,
}

/// Both, side by side.
struct Pair {
    outboxes: Outboxes,
    reference: Reference,
    turns: Vec<Option<Turn>>,
    drops: BTreeMap<(u32, u32, bool), u64>,
    /// Message lengths are multiplied by it.
    scale: usize,
    next_byte: u8,
}

impl Pair {
    fn new(scale: usize, max_bytes: usize, max_messages: u32) -> Self {
        Self {
            outboxes: super::outboxes(max_bytes, max_messages, CONNECTIONS),
            reference: Reference {
                queues: vec![Queue::default(); CONNECTIONS as usize],
                counts: Counts::default(),
                max_bytes,
                max_messages: max_messages as usize,
            },
            turns: (0..ROOMS).map(|_| None).collect(),
            drops: BTreeMap::new(),
            scale,
            next_byte: 0,
        }
    }

    /// A message unlike its neighbours.
    fn message(&mut self, length: usize) -> Vec<u8> {
        self.next_byte = self.next_byte.wrapping_add(31);
        let first = usize::from(self.next_byte);
        (0..length).map(|i| (first + i) as u8).collect()
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Publish(room, length) => self.publish(room, length),
            Op::Cut {
                connection,
                room,
                skip,
                take,
                policy,
            } => self.cut(connection, room, (skip, take), policy),
            Op::Seal(None) => self.outboxes.seal_direct(),
            Op::Seal(Some(room)) => {
                if let Some(turn) = self.turns[room as usize].take() {
                    self.outboxes.buffers.seal(turn.buffer);
                }
            }
            Op::Direct(connection, length) => {
                let bytes = self.message(length * self.scale);
                self.outboxes
                    .direct(connection, |out| out.extend_from_slice(&bytes));
                let message = Message {
                    bytes,
                    sent: 0,
                    room: NONE,
                };
                self.reference
                    .queue(connection, vec![message], SlowReader::Close);
            }
            Op::Control(connection, kind, length) => {
                let mut frame = vec![kind, length as u8];
                frame.extend(self.message(length));
                self.outboxes.control(connection, &frame);
                self.reference.control(connection, frame);
            }
            Op::Sent(connection, share, blocked) => self.sent(connection, share, blocked)?,
            Op::Unblock(connection) => {
                self.outboxes.unblock(connection);
                let queue = &mut self.reference.queues[connection as usize];
                queue.behind &= !(queue.blocked && queue.messages.is_empty());
                queue.blocked = false;
            }
            Op::Discard(connection, keep_started) => {
                let gone = self.outboxes.discard(connection, keep_started);
                let expected = self.reference.discard(connection, keep_started);
                prop_assert_eq!(gone as usize, expected);
            }
            Op::Shut(connection, shut) => {
                self.outboxes.set_shut(connection, shut);
                self.reference.queues[connection as usize].shut = shut;
            }
            Op::Reopen(connection) => {
                self.outboxes.close(connection);
                prop_assert!(unsent(&self.outboxes, connection).is_empty());
                self.outboxes.open(connection);
                self.reference.discard(connection, false);
                self.reference.queues[connection as usize] = Queue::default();
                self.reference.counts.overflows.retain(|&c| c != connection);
            }
        }
        Ok(())
    }

    fn publish(&mut self, room: u32, length: usize) {
        let bytes = self.message(length * self.scale);
        let buffers = &mut self.outboxes.buffers;
        let turn = self.turns[room as usize].get_or_insert_with(|| Turn {
            buffer: buffers.open(room),
            ends: vec![0],
        });
        let (start, end) = buffers.append(turn.buffer, |out| out.extend_from_slice(&bytes));
        assert_eq!(turn.ends.last(), Some(&start));
        turn.ends.push(end);
    }

    fn cut(
        &mut self,
        connection: u32,
        room: u32,
        (skip, take): (usize, usize),
        policy: SlowReader,
    ) {
        let Some(turn) = &self.turns[room as usize] else {
            return;
        };
        let last = turn.ends.len().saturating_sub(1 + skip);
        let first = last.saturating_sub(take);
        if first == last {
            return;
        }
        let range = Range {
            buffer: turn.buffer,
            start: turn.ends[first],
            end: turn.ends[last],
        };
        let messages: Vec<Message> = turn.ends[first..=last]
            .windows(2)
            .map(|ends| Message {
                bytes: self
                    .outboxes
                    .buffers
                    .slice(turn.buffer, ends[0], ends[1])
                    .to_vec(),
                sent: 0,
                room,
            })
            .collect();
        let counted = self
            .outboxes
            .buffers
            .messages(range.buffer, range.start, range.end);
        assert_eq!(counted as usize, messages.len());
        self.outboxes.queue(connection, range, counted, policy);
        self.reference.queue(connection, messages, policy);
    }

    fn sent(&mut self, connection: u32, share: usize, blocked: bool) -> Result<(), TestCaseError> {
        let queue = &self.reference.queues[connection as usize];
        let queued = queue.bytes();
        let bytes = if share > 1_000 {
            queued + 1
        } else {
            queued * share / 1_000
        };
        let was_blocked = queue.blocked;
        let sent = self.outboxes.sent(connection, bytes);
        prop_assert_eq!(sent.clamped, bytes > queued);
        prop_assert_eq!(sent.drained, bytes >= queued);
        self.reference.sent(connection, bytes);
        self.outboxes.lower(connection, flag::TRANSMIT);
        let queue = &mut self.reference.queues[connection as usize];
        queue.flagged = false;
        if blocked {
            queue.blocked = true;
            prop_assert_eq!(self.outboxes.block(connection), !was_blocked);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let counts = &self.reference.counts;
        for drop in self.outboxes.drops.drain(..) {
            let key = (drop.connection, drop.room, drop.latest.is_some());
            *self.drops.entry(key).or_default() += u64::from(drop.messages);
        }
        prop_assert_eq!(&self.drops, &counts.drops);
        prop_assert_eq!(&self.outboxes.overflowed, &counts.overflows);
        prop_assert_eq!(self.outboxes.discarded_messages, counts.discarded);
        prop_assert_eq!(self.outboxes.coalesced_pongs, counts.pongs);
        let mut queued = 0;
        for (connection, queue) in (0..).zip(&self.reference.queues) {
            let outbox = self.outboxes.boxes[connection as usize];
            prop_assert_eq!(unsent(&self.outboxes, connection), queue.unsent());
            prop_assert_eq!(
                self.outboxes.queued_bytes(connection) as usize,
                queue.bytes()
            );
            prop_assert_eq!(outbox.messages as usize, queue.messages.len());
            prop_assert_eq!(
                self.outboxes.is_empty(connection),
                queue.messages.is_empty()
            );
            prop_assert_eq!(self.outboxes.is_blocked(connection), queue.blocked);
            prop_assert_eq!(outbox.state & SHUT != 0, queue.shut);
            prop_assert!(!queue.flagged || outbox.flags & flag::TRANSMIT != 0);
            prop_assert!(
                outbox.settled == NONE || self.nodes(connection).any(|at| at == outbox.settled)
            );
            prop_assert_eq!(self.nodes(connection).last().unwrap_or(NONE), outbox.tail);
            let ahead: Vec<&Message> = queue
                .messages
                .iter()
                .filter(|m| m.room == CONTROL)
                .collect();
            let ahead_bytes: usize = ahead.iter().map(|m| m.bytes.len() - m.sent).sum();
            // A started one and one of each of three kinds.
            prop_assert!(ahead.len() <= 4);
            prop_assert!(
                queue.overflowed || queue.bytes() <= self.reference.max_bytes + ahead_bytes
            );
            prop_assert!(
                queue.overflowed
                    || queue.messages.len() <= self.reference.max_messages + ahead.len()
            );
            queued += queue.messages.len() as u64;
        }
        let dropped: u64 = counts.drops.values().sum();
        let accounted = counts.sent + dropped + counts.discarded + counts.replaced + queued;
        prop_assert_eq!(counts.queued, accounted);
        Ok(())
    }

    fn nodes(&self, connection: u32) -> impl Iterator<Item = u32> {
        let node = |at: u32| (at != NONE).then_some(at);
        let head = node(self.outboxes.boxes[connection as usize].head);
        core::iter::successors(head, move |&at| node(self.outboxes.nodes[at as usize].next))
    }

    /// Everyone goes: nothing may be left.
    fn check_nothing_leaks(mut self) -> Result<(), TestCaseError> {
        for connection in 0..CONNECTIONS {
            self.outboxes.close(connection);
        }
        for turn in self.turns.iter_mut().filter_map(Option::take) {
            self.outboxes.buffers.seal(turn.buffer);
        }
        self.outboxes.begin_seal();
        prop_assert_eq!(self.outboxes.buffers.used_bytes(), 0);
        prop_assert_eq!(self.outboxes.longest_stalled(), None);
        let (mut free, mut at) = (0, self.outboxes.free_node);
        while at != NONE && free <= self.outboxes.nodes.len() {
            free += 1;
            at = self.outboxes.nodes[at as usize].next;
        }
        prop_assert_eq!(free, self.outboxes.nodes.len());
        Ok(())
    }
}

fn run(mut pair: Pair, ops: Vec<Op>) -> Result<(), TestCaseError> {
    for op in ops {
        pair.apply(op)?;
        pair.check()?;
    }
    pair.check_nothing_leaks()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn queues_do_what_a_list_of_messages_does(
        max_bytes in 60..400_usize,
        max_messages in 1..12_u32,
        ops in prop::collection::vec(op(), 0..150),
    ) {
        run(Pair::new(1, max_bytes, max_messages), ops)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Messages that are too large to be copied, and buffers that are full.
    #[test]
    fn queues_of_large_messages_do_what_a_list_of_messages_does(
        max_bytes in 20_000..80_000_usize,
        max_messages in 1..12_u32,
        ops in prop::collection::vec(op(), 0..100),
    ) {
        run(Pair::new(300, max_bytes, max_messages), ops)?;
    }
}

use proptest::prelude::*;

use super::*;

const CONNECTIONS: u32 = 6;
const ROOM: u32 = 7;
const POLICY: SlowReader = SlowReader::Close;

#[derive(Clone, Debug)]
enum Op {
    Join(u32),
    Leave(u32),
    Publish(Option<u32>, usize),
    Cut(u32),
    Seal(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let connection = 0..CONNECTIONS;
    prop_oneof![
        3 => connection.clone().prop_map(Op::Join),
        2 => connection.clone().prop_map(Op::Leave),
        6 => (prop::option::of(connection.clone()), 1..9_usize).prop_map(|(c, l)| Op::Publish(c, l)),
        2 => connection.prop_map(Op::Cut),
        6 => (0..5_u32).prop_map(Op::Seal),
    ]
}

/// A room and, per connection, what it should have been sent.
struct Pair {
    audience: Audience,
    outboxes: Outboxes,
    slots: [Option<u32>; CONNECTIONS as usize],
    expected: [Vec<u8>; CONNECTIONS as usize],
    /// Where each message was written, and where it ends in what a connection should have been sent, if it should.
    published: Vec<(Place, [Option<usize>; CONNECTIONS as usize])>,
    next: u16,
}

impl Pair {
    fn new(turn: u32) -> Self {
        let mut outboxes = Outboxes::new(1 << 20, 1 << 20);
        for connection in 0..CONNECTIONS {
            outboxes.open(connection);
        }
        Self {
            audience: Audience {
                turn,
                ..Audience::new()
            },
            outboxes,
            slots: [None; CONNECTIONS as usize],
            expected: Default::default(),
            published: Vec::new(),
            next: 0,
        }
    }

    fn received(&self, connection: u32) -> Vec<u8> {
        let slices = self.outboxes.unsent(connection);
        slices.flatten().copied().collect()
    }

    fn join(&mut self, connection: u32) {
        if self.slots[connection as usize].is_none() {
            let slot = self.audience.join(connection, &self.outboxes);
            self.slots[connection as usize] = Some(slot);
        }
    }

    fn leave(&mut self, connection: u32) -> Result<(), TestCaseError> {
        let Some(slot) = self.slots[connection as usize].take() else {
            return Ok(());
        };
        if let Some(moved) = self.audience.leave(slot, &mut self.outboxes, POLICY) {
            self.slots[moved as usize] = Some(slot);
        }
        self.is_complete(connection)
    }

    fn publish(&mut self, except: Option<u32>, length: usize) -> Result<(), TestCaseError> {
        self.next += 1;
        let message = [&self.next.to_be_bytes()[..], &vec![0xFF; length]].concat();
        let slot = except.and_then(|connection| self.slots[connection as usize]);
        let except = except.filter(|_| slot.is_some());
        let write = |out: &mut Vec<u8>| out.extend_from_slice(&message);
        let range = self
            .audience
            .publish(ROOM, slot, &mut self.outboxes, POLICY, write);
        let buffers = &self.outboxes.buffers;
        prop_assert_eq!(
            buffers.slice(range.buffer, range.start, range.end),
            &message[..]
        );
        prop_assert_eq!(buffers.room(range.buffer), ROOM);
        let mut ends = [None; CONNECTIONS as usize];
        for connection in 0..CONNECTIONS {
            if self.slots[connection as usize].is_some() && except != Some(connection) {
                let expected = &mut self.expected[connection as usize];
                expected.extend_from_slice(&message);
                ends[connection as usize] = Some(expected.len());
            }
        }
        self.published.push((buffers.place(range), ends));
        except.map_or(Ok(()), |connection| self.is_complete(connection))
    }

    /// It has been queued everything it should get.
    fn is_complete(&self, connection: u32) -> Result<(), TestCaseError> {
        prop_assert_eq!(
            &self.received(connection),
            &self.expected[connection as usize]
        );
        Ok(())
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Join(connection) => self.join(connection),
            Op::Leave(connection) => self.leave(connection)?,
            Op::Publish(except, length) => self.publish(except, length)?,
            Op::Cut(connection) => {
                if let Some(slot) = self.slots[connection as usize] {
                    self.audience.cut(slot, &mut self.outboxes, POLICY);
                    self.is_complete(connection)?;
                }
            }
            Op::Seal(budget) => {
                let mut left = budget;
                let done = self.audience.seal(&mut self.outboxes, POLICY, &mut left);
                prop_assert!(left <= budget);
                prop_assert!(done || left == 0, "stopped with budget left");
                prop_assert!(!done || self.audience.sealing.is_none());
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for connection in 0..CONNECTIONS {
            let expected = &self.expected[connection as usize];
            prop_assert!(expected.starts_with(&self.received(connection)));
            if let Some(slot) = self.slots[connection as usize] {
                prop_assert_eq!(self.audience.connection(slot), Some(connection));
                let received = self.received(connection).len();
                for (place, ends) in &self.published {
                    let waits = ends[connection as usize].is_some_and(|end| end > received);
                    let said = self.audience.waits(slot, *place, &self.outboxes);
                    prop_assert_eq!(said, waits);
                }
            } else {
                self.is_complete(connection)?;
            }
        }
        let members = self.slots.iter().flatten().count();
        prop_assert_eq!(self.audience.len(), members);
        prop_assert_eq!(self.audience.connections().count(), members);
        Ok(())
    }

    /// A member never waits for more than two seals: the one under way and the next.
    fn check_end(mut self) -> Result<(), TestCaseError> {
        for _ in 0..2 {
            let mut budget = u32::MAX;
            prop_assert!(self.audience.seal(&mut self.outboxes, POLICY, &mut budget));
        }
        prop_assert!(!self.audience.is_dirty());
        for connection in 0..CONNECTIONS {
            self.is_complete(connection)?;
            self.outboxes.close(connection);
        }
        prop_assert_eq!(self.outboxes.buffers.used_bytes(), 0);
        Ok(())
    }
}

/// Memory of the list is given back, but not with every one who leaves.
#[test]
fn the_list_shrinks_when_three_quarters_are_unused() {
    let mut outboxes = Outboxes::new(1 << 20, 1 << 20);
    outboxes.open(0);
    let mut audience = Audience::new();
    for _ in 0..1_024 {
        audience.join(0, &outboxes);
    }
    let whole = audience.heap_bytes();
    assert_eq!(whole, 1_024 * size_of::<Member>());
    for left in (0..1_024).rev() {
        audience.leave(0, &mut outboxes, POLICY);
        let bytes = audience.heap_bytes();
        match left {
            256.. => assert_eq!(bytes, whole, "{left} are left"),
            255 => assert_eq!(bytes, 510 * size_of::<Member>()),
            // From 64 places on it is not worth while.
            _ => assert!(bytes <= (4 * left).max(127) * size_of::<Member>(), "{left}"),
        }
    }
    assert!(audience.heap_bytes() > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Each member gets what is published between its join and its leave, but for its own, once and in order.
    #[test]
    fn members_get_what_is_published_while_they_are_there(
        turns_left in 0..6_u32,
        ops in prop::collection::vec(op(), 0..120),
    ) {
        let mut pair = Pair::new(u32::MAX - turns_left);
        for op in ops {
            pair.apply(op)?;
            pair.check()?;
        }
        pair.check_end()?;
    }
}

#[test]
fn what_nobody_is_left_to_get_is_given_up() {
    let mut pair = Pair::new(1);
    for connection in 0..CONNECTIONS {
        pair.join(connection);
    }
    pair.publish(None, 3).unwrap();
    let mut budget = 2;
    pair.audience.seal(&mut pair.outboxes, POLICY, &mut budget);
    pair.publish(None, 3).unwrap();
    for connection in 0..CONNECTIONS {
        pair.leave(connection).unwrap();
        pair.outboxes.close(connection);
    }
    assert!(pair.audience.is_dirty());
    pair.audience.clear(&mut pair.outboxes);
    assert!(!pair.audience.is_dirty());
    assert_eq!(pair.outboxes.buffers.used_bytes(), 0);
}

#[test]
fn a_room_that_empties_gives_its_memory_back() {
    let mut outboxes = Outboxes::new(1 << 20, 1 << 20);
    let mut audience = Audience::new();
    for connection in 0..1_000 {
        outboxes.open(connection);
        audience.join(connection, &outboxes);
    }
    while audience.len() > 10 {
        audience.leave(0, &mut outboxes, POLICY);
    }
    assert!(audience.members.capacity() <= 64);
}

#[test]
fn a_seal_costs_its_members() {
    let mut pair = Pair::new(1);
    for connection in 0..CONNECTIONS {
        pair.join(connection);
    }
    pair.publish(None, 3).unwrap();
    let mut budget = 100;
    assert!(pair.audience.seal(&mut pair.outboxes, POLICY, &mut budget));
    assert_eq!(budget, 100 - CONNECTIONS);
    assert!(pair.audience.seal(&mut pair.outboxes, POLICY, &mut budget));
    assert_eq!(budget, 100 - CONNECTIONS, "nothing to do");
}

#[test]
fn a_seal_goes_on_when_those_that_it_served_are_all_that_are_left() {
    let mut outboxes = Outboxes::new(1 << 20, 1 << 20);
    let mut audience = Audience::new();
    for connection in 0..6 {
        outboxes.open(connection);
        audience.join(connection, &outboxes);
    }
    audience.publish(ROOM, None, &mut outboxes, POLICY, |out| out.push(1));
    assert!(!audience.seal(&mut outboxes, POLICY, &mut 3));
    for slot in [5, 4, 3, 0] {
        audience.leave(slot, &mut outboxes, POLICY);
    }
    let mut budget = 10;
    assert!(audience.seal(&mut outboxes, POLICY, &mut budget));
    assert_eq!((budget, audience.is_dirty()), (10, false));
    for connection in 0..6 {
        assert_eq!(outboxes.queued_bytes(connection), 1, "{connection}");
    }
}

//! Which messages of a closed loop have reached every member of their room.
//!
//! The sum of receptions says less: half of the members with two messages each count as all with one, and what is sent
//! then comes in smaller and smaller bursts where members are served at different times, as by several threads.

use std::collections::VecDeque;

/// Per room, how far its members are. A member is as far as what it has received and what it has sent, which it does
/// not receive.
pub struct Whole {
    members: usize,
    /// By connection: rooms have `members` of them each, in a row.
    places: Vec<u64>,
    rooms: Vec<Room>,
}

struct Room {
    /// Every member is at least here.
    base: u64,
    /// How many are at `base`, at the one after it, and so on.
    at: VecDeque<u32>,
}

impl Whole {
    pub fn new(rooms: usize, members: usize) -> Self {
        let room = || Room { base: 0, at: VecDeque::from([members as u32]) };
        Self { members, places: vec![0; rooms * members], rooms: (0..rooms).map(|_| room()).collect() }
    }

    /// A member has received or sent one more: how many messages everybody has now who had not.
    pub fn advance(&mut self, connection: usize) -> usize {
        let room = &mut self.rooms[connection / self.members];
        let at = (self.places[connection] - room.base) as usize;
        self.places[connection] += 1;
        if room.at.len() <= at + 1 {
            room.at.push_back(0);
        }
        room.at[at] -= 1;
        room.at[at + 1] += 1;
        let mut done = 0;
        while room.at.len() > 1 && room.at[0] == 0 {
            room.at.pop_front();
            room.base += 1;
            done += 1;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::Whole;

    #[test]
    fn a_message_is_done_when_the_last_has_it() {
        let mut whole = Whole::new(2, 3);
        // Of the second room, whose first member sends two.
        assert_eq!([3, 3].map(|member| whole.advance(member)), [0, 0]);
        assert_eq!([4, 4].map(|member| whole.advance(member)), [0, 0]);
        assert_eq!([5, 5].map(|member| whole.advance(member)), [1, 1]);
        assert_eq!([3, 5].map(|member| whole.advance(member)), [0, 0]);
        assert_eq!(whole.advance(4), 1);
    }

    #[test]
    fn what_comes_together_is_done_together() {
        let mut whole = Whole::new(1, 2);
        assert_eq!([0, 0, 0].map(|member| whole.advance(member)), [0, 0, 0]);
        assert_eq!([1, 1, 1].map(|member| whole.advance(member)), [1, 1, 1]);
    }
}

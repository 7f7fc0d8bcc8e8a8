//! Messages that were published under an id of their sender's: for a while they are known again.
//!
//! Of rooms that have their home here. What was sent to one client is known where its mail is.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::config::MessageIds;
use crate::id::ClientId;
use crate::time::Instant;

/// Those that are known.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// With their offset in the room's log, if it has one.
    known: BTreeMap<Key, Option<u64>>,
    /// In the order in which they are forgotten.
    by_age: VecDeque<(Instant, Key)>,
    /// Those that were forgotten before their time, as there were too many.
    pub(super) forgotten: u64,
    /// Memory of the ids.
    id_bytes: usize,
}

/// A room's serial, the sender, and its id of the message.
type Key = (u32, ClientId, Arc<str>);

impl Repeats {
    /// The offset of a message that is known; that it has none is the inner `None`. O(log n) amortised.
    pub(super) fn find(
        &mut self,
        room: u32,
        from: ClientId,
        id: &str,
        now: Instant,
        config: &MessageIds,
    ) -> Option<Option<u64>> {
        self.forget_old(now, config);
        if self.known.is_empty() {
            return None;
        }
        self.known.get(&(room, from, Arc::from(id))).copied()
    }

    /// Knows another one from now on, and forgets the oldest where there are too many. O(log n).
    pub(super) fn note(
        &mut self,
        room: u32,
        from: ClientId,
        id: &str,
        offset: Option<u64>,
        now: Instant,
        config: &MessageIds,
    ) {
        let key: Key = (room, from, Arc::from(id));
        self.id_bytes += id.len();
        self.known.insert(key.clone(), offset);
        self.by_age.push_back((now, key));
        while self.by_age.len() > config.max as usize {
            self.forgotten += 1;
            self.forget_first();
        }
    }

    fn forget_old(&mut self, now: Instant, config: &MessageIds) {
        let window = Duration::from_millis(config.window_ms);
        while let Some((said, _)) = self.by_age.front()
            && now >= *said + window
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.by_age.pop_front() {
            self.id_bytes -= key.2.len();
            self.known.remove(&key);
        }
    }

    /// Memory of it.
    pub(super) fn heap_bytes(&self) -> usize {
        self.by_age.capacity() * size_of::<(Instant, Key)>()
            + self.known.len() * 2 * size_of::<(Key, Option<u64>)>()
            + self.id_bytes
            + self.known.len() * 2 * size_of::<usize>()
    }
}

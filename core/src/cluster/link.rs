//! One shard's ends of the links to all others: what waits to be taken, and how much may be.
//!
//! Three bounds, none of which can close a circle. What is on its way between two shards is bounded by the
//! driver's credits, each for one [`Relay`]. Requests that the other shard has not carried out are bounded by a
//! window: past it, clients that want something there wait. Requests from there are carried out only while
//! every link has room for what they cause; replies and deliveries are taken in at once.
//!
//! Pieces of files may take half of that and wait in a line of their own: they come as fast as a link takes them,
//! and what people say to each other would wait behind them.

use std::collections::{BTreeMap, VecDeque};

use super::message::{Charge, Holds, Item, Key, Relay, Request};
use crate::machine::ShardId;

/// What is taken at once. Little enough that what is on its way, as many of them as the driver has credits for, is
/// carried out in about a millisecond.
const RELAY_BYTES: usize = 64 * 1024;

/// What wants to go over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freight {
    /// Pieces of files.
    Pieces,
    /// All else.
    Talk,
}

/// Bytes that are somewhere, and how many of them are pieces of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    bytes: usize,
    pieces: usize,
}

impl Load {
    pub(crate) fn of(item: &Item) -> Self {
        let bytes = item.bytes();
        let pieces = if item.is_piece() { bytes } else { 0 };
        Self { bytes, pieces }
    }

    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.pieces += other.pieces;
    }

    fn take(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.pieces = self.pieces.saturating_sub(other.pieces);
    }

    fn has_room(self, freight: Freight, max_bytes: usize) -> bool {
        let for_pieces = freight == Freight::Talk || self.pieces < max_bytes / 2;
        self.bytes < max_bytes && for_pieces
    }

    /// Whether what was carried out is worth a message of its own: part of what stops the one who asks.
    fn is_worth_telling(self, max_bytes: usize) -> bool {
        self.bytes >= (max_bytes / 4).max(1) || self.pieces >= (max_bytes / 8).max(1)
    }
}

/// The links of one shard. With a single shard there are none.
#[derive(Debug)]
pub(crate) struct Links {
    /// By shard, this one's own being unused.
    links: Vec<Link>,
    max_bytes: usize,
    /// Counts those that wait.
    next_turn: u64,
    /// Whose request was carried out last.
    next_shard: usize,
    /// There may be something that the driver has not been told of.
    stirred: bool,
}

/// The link to one other shard.
#[derive(Debug, Default)]
pub(crate) struct Link {
    out: VecDeque<Item>,
    waits: Load,
    /// What the other shard is to know of this one, as it stands: later news takes the place of earlier.
    news: News,
    credits: u32,
    /// The driver was told to take what is there.
    announced: bool,
    /// Requests that the other shard has not carried out.
    asked: Load,
    /// Requests of the other shard that were carried out and not told of.
    done: Load,
    /// Requests of the other shard, and their sizes.
    inbox: VecDeque<(Load, Request)>,
    inbox_bytes: usize,
    /// Connections that wait until there is room, in order: for pieces of files, and for all else.
    waiting_pieces: BTreeMap<u64, u32>,
    waiting: BTreeMap<u64, u32>,
    /// The other shard does not know yet that this one has begun anew.
    ungreeted: bool,
    /// How often the other shard has begun anew, where this one has heard of it.
    restarts: Option<u16>,
    /// Nobody is left at the other shard, which is drained.
    gone: bool,
    /// What the other shard holds.
    holds: Holds,
    /// How many connections it has of each address, where that matters.
    addresses: BTreeMap<Key, u32>,
}

/// Gauges and sums, which do not pile up.
#[derive(Debug, Default)]
struct News {
    holds: Option<Holds>,
    addresses: BTreeMap<Key, u32>,
    charges: BTreeMap<Key, Charge>,
}

impl News {
    fn is_empty(&self) -> bool {
        self.holds.is_none() && self.addresses.is_empty() && self.charges.is_empty()
    }

    /// All of it, for the other shard.
    fn take(&mut self) -> impl Iterator<Item = Item> + use<> {
        let Self {
            holds,
            addresses,
            charges,
        } = core::mem::take(self);
        let addresses = addresses.into_iter().map(|(key, n)| Item::Address(key, n));
        let charges = charges.into_iter().map(|(key, c)| Item::Charge(key, c));
        let holds = holds.into_iter().map(Item::Holds);
        holds.chain(addresses).chain(charges)
    }

    /// Memory of it, estimated.
    fn heap_bytes(&self) -> usize {
        self.addresses.len() * size_of::<(Key, u32)>()
            + self.charges.len() * size_of::<(Key, Charge)>()
    }
}

impl Links {
    /// Links to `count` shards, this one included.
    pub(crate) fn new(count: usize, max_bytes: usize) -> Self {
        let count = if count > 1 { count } else { 0 };
        Self {
            links: (0..count).map(|_| Link::default()).collect(),
            max_bytes,
            next_turn: 0,
            next_shard: 0,
            stirred: false,
        }
    }

    /// This shard has begun anew: what others have for it is for its former life, until they greet it.
    pub(crate) fn await_greetings(&mut self) {
        for link in &mut self.links {
            link.ungreeted = true;
        }
    }

    /// Another shard knows that this one has begun anew.
    pub(crate) fn greeted(&mut self, by: ShardId) {
        if let Some(link) = self.get_mut(by) {
            link.ungreeted = false;
        }
    }

    /// Whether what another shard has is for this one, and not for its former life.
    pub(crate) fn is_greeted(&self, by: ShardId) -> bool {
        let link = self.links.get(usize::from(by.0));
        link.is_some_and(|link| !link.ungreeted)
    }

    /// Whether this shard has heard that another one has begun anew so often.
    pub(crate) fn knows(&self, shard: ShardId, restarts: u16) -> bool {
        let link = self.links.get(usize::from(shard.0));
        link.is_some_and(|link| link.restarts == Some(restarts))
    }

    /// Whether there is only one shard.
    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Nobody is left at another shard.
    pub(crate) fn set_gone(&mut self, shard: ShardId) {
        if let Some(link) = self.get_mut(shard) {
            link.gone = true;
        }
    }

    /// Whether nobody is left at the shards but `shard`, all that they have asked for is done, and they have been told
    /// all that there was.
    pub(crate) fn are_gone(&self, shard: ShardId) -> bool {
        let is_gone = |link: &Link| link.gone && link.inbox.is_empty() && link.out.is_empty();
        let mut others = (0..).map(ShardId).zip(&self.links);
        others.all(|(other, link)| other == shard || is_gone(link))
    }

    /// Whether there is such a shard.
    pub(crate) fn has(&self, shard: ShardId) -> bool {
        usize::from(shard.0) < self.links.len()
    }

    pub(crate) fn get_mut(&mut self, shard: ShardId) -> Option<&mut Link> {
        self.links.get_mut(usize::from(shard.0))
    }

    /// All shards by number, this one among them; none if there is only one.
    pub(crate) fn shards(&self) -> impl ExactSizeIterator<Item = ShardId> + use<> {
        (0..self.links.len()).map(|shard| ShardId(shard as u8))
    }

    /// What all others hold. O(shards).
    pub(crate) fn held_elsewhere(&self) -> Holds {
        let mut all = Holds::default();
        for Link { holds, .. } in &self.links {
            all.connections += holds.connections;
            all.clients += holds.clients;
            all.rooms += holds.rooms;
            all.overloaded |= holds.overloaded;
        }
        all
    }

    /// Queues something for another shard.
    pub(crate) fn push(&mut self, to: ShardId, item: Item) {
        self.stirred = true;
        let Some(link) = self.get_mut(to) else {
            return;
        };
        let load = Load::of(&item);
        link.waits.add(load);
        if let Item::Request(_) = item {
            link.asked.add(load);
        }
        link.out.push_back(item);
    }

    /// Tells another shard what this one holds.
    pub(crate) fn tell_holds(&mut self, to: ShardId, holds: Holds) {
        self.stirred = true;
        if let Some(link) = self.get_mut(to) {
            link.news.holds = Some(holds);
        }
    }

    /// Tells another shard how many connections of an address this one has.
    pub(crate) fn tell_address(&mut self, to: ShardId, key: Key, connections: u32) {
        self.stirred = true;
        if let Some(link) = self.get_mut(to) {
            link.news.addresses.insert(key, connections);
        }
    }

    /// Tells another shard what was charged to an address.
    pub(crate) fn tell_charge(&mut self, to: ShardId, key: Key, charge: Charge) {
        self.stirred = true;
        if let Some(link) = self.get_mut(to) {
            let untold = link.news.charges.entry(key).or_default();
            untold.messages = untold.messages.saturating_add(charge.messages);
            untold.deliveries = untold.deliveries.saturating_add(charge.deliveries);
        }
    }

    /// Whether what is for `to` has to wait: too much is on its way.
    pub(crate) fn is_busy(&self, to: ShardId, freight: Freight) -> bool {
        let link = self.links.get(usize::from(to.0));
        link.is_some_and(|link| !link.is_open(freight, self.max_bytes))
    }

    /// Whether nothing piles up anywhere.
    fn have_room(&self) -> bool {
        let max = self.max_bytes;
        self.links.iter().all(|link| link.waits.bytes < max)
    }

    /// The driver can take `credits` more relays for `to`.
    pub(crate) fn grant(&mut self, to: ShardId, credits: u32) {
        if let Some(link) = self.get_mut(to) {
            link.credits = link.credits.saturating_add(credits);
            link.announced = false;
            self.stirred = true;
        }
    }

    /// Whether [`announce`](Self::announce) may find something.
    pub(crate) fn is_stirred(&self) -> bool {
        self.stirred
    }

    /// A shard that the driver has not been told of, and has something for. O(shards), and O(1) if nothing has
    /// changed.
    pub(crate) fn announce(&mut self) -> Option<ShardId> {
        if !self.stirred {
            return None;
        }
        let mut links = self.links.iter_mut();
        let max = self.max_bytes;
        let ready = |link: &mut Link| {
            let ready = !link.announced && link.credits > 0 && !link.is_quiet(max);
            link.announced |= ready;
            ready
        };
        let found = links.position(ready).map(|shard| ShardId(shard as u8));
        self.stirred = found.is_some();
        found
    }

    /// What the driver takes for `to`.
    pub(crate) fn take(&mut self, to: ShardId) -> Option<Relay> {
        let max = self.max_bytes;
        let link = self.get_mut(to)?;
        link.announced = false;
        if link.credits == 0 || link.is_quiet(max) {
            return None;
        }
        link.credits -= 1;
        let mut items = Vec::new();
        if link.done.bytes > 0 {
            items.push(Item::Done(core::mem::take(&mut link.done)));
        }
        let mut taken = 0;
        while taken < RELAY_BYTES
            && let Some(item) = link.out.pop_front()
        {
            let load = Load::of(&item);
            link.waits.take(load);
            taken += load.bytes;
            items.push(item);
        }
        if link.out.is_empty() {
            items.extend(link.news.take());
        }
        self.stirred = true;
        Some(Relay { items })
    }

    /// Puts a connection in line until there is room on a link; where it stands there.
    pub(crate) fn wait(&mut self, to: ShardId, freight: Freight, connection: u32) -> u64 {
        self.next_turn += 1;
        let turn = self.next_turn;
        if let Some(link) = self.get_mut(to) {
            link.line(freight).insert(turn, connection);
        }
        turn
    }

    /// A connection waits no more.
    pub(crate) fn forget(&mut self, to: ShardId, turn: u64) {
        if let Some(link) = self.get_mut(to) {
            link.waiting.remove(&turn);
            link.waiting_pieces.remove(&turn);
        }
    }

    /// The next connection that need not wait any more.
    pub(crate) fn next_waiting(&mut self) -> Option<u32> {
        let max = self.max_bytes;
        let mut links = self.links.iter_mut();
        links.find_map(|link| link.next_waiting(max))
    }

    /// Keeps a request of another shard, of that size, until it can be carried out.
    pub(crate) fn receive(&mut self, from: ShardId, load: Load, request: Request) {
        if let Some(link) = self.get_mut(from) {
            link.inbox_bytes += load.bytes;
            link.inbox.push_back((load, request));
        }
    }

    /// The next request that can be carried out, which it then is: from each shard in turn.
    pub(crate) fn next_request(&mut self) -> Option<(ShardId, Request)> {
        if !self.have_room() {
            return None;
        }
        let count = self.links.len();
        (0..count).find_map(|_| {
            self.next_shard = (self.next_shard + 1) % count;
            let shard = ShardId(self.next_shard as u8);
            Some((shard, self.next_request_of(shard)?))
        })
    }

    /// The next request of one shard, whether or not there is room for what it causes.
    pub(crate) fn next_request_of(&mut self, shard: ShardId) -> Option<Request> {
        let link = self.get_mut(shard)?;
        let (load, request) = link.inbox.pop_front()?;
        link.inbox_bytes -= load.bytes;
        link.done.add(load);
        self.stirred = true;
        Some(request)
    }

    /// Whether something waits here that need not.
    pub(crate) fn has_work(&self) -> bool {
        let max = self.max_bytes;
        let requests = self.links.iter().any(|link| !link.inbox.is_empty());
        let waiting = |link: &Link| link.first_line(max).is_some();
        requests && self.have_room() || self.links.iter().any(waiting)
    }

    /// The other shard has carried out so much of what it was asked.
    pub(crate) fn carried_out(&mut self, by: ShardId, load: Load) {
        if let Some(link) = self.get_mut(by) {
            link.asked.take(load);
        }
    }

    /// The other shard begins anew, for the so-manieth time: what it was asked and what it held is gone, and most of
    /// what it was to be told is for nobody. Returns how much that was.
    pub(crate) fn restart(&mut self, shard: ShardId, restarts: u16) -> usize {
        let mut lost = 0;
        if let Some(link) = self.get_mut(shard) {
            link.restarts = Some(restarts);
            let before = link.out.len();
            link.out.retain(Item::is_for_any_life);
            lost = before - link.out.len();
            link.waits = Load::default();
            link.out
                .iter()
                .for_each(|item| link.waits.add(Load::of(item)));
            link.news = News::default();
            link.asked = Load::default();
            link.done = Load::default();
            link.holds = Holds::default();
            link.gone = false;
            link.addresses.clear();
        }
        lost
    }

    pub(crate) fn set_holds(&mut self, shard: ShardId, holds: Holds) {
        if let Some(link) = self.get_mut(shard) {
            link.holds = holds;
        }
    }

    pub(crate) fn set_address(&mut self, shard: ShardId, key: Key, connections: u32) {
        if let Some(link) = self.get_mut(shard) {
            match connections {
                0 => link.addresses.remove(&key),
                count => link.addresses.insert(key, count),
            };
        }
    }

    /// Connections of an address to all other shards. O(shards).
    pub(crate) fn connections_elsewhere(&self, key: Key) -> u32 {
        let each = self
            .links
            .iter()
            .filter_map(|link| link.addresses.get(&key));
        each.fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Memory of what waits, both ways.
    pub(crate) fn heap_bytes(&self) -> usize {
        let each = self.links.iter().map(|link| {
            let spare = link.out.capacity() - link.out.len();
            link.waits.bytes + spare * size_of::<Item>() + link.inbox_bytes + link.news.heap_bytes()
        });
        self.links.capacity() * size_of::<Link>() + each.sum::<usize>()
    }
}

impl Link {
    fn is_open(&self, freight: Freight, max_bytes: usize) -> bool {
        self.asked.has_room(freight, max_bytes) && self.waits.has_room(freight, max_bytes)
    }

    fn line(&mut self, freight: Freight) -> &mut BTreeMap<u64, u32> {
        match freight {
            Freight::Pieces => &mut self.waiting_pieces,
            Freight::Talk => &mut self.waiting,
        }
    }

    /// The line whose first need not wait any more: of two, the one who came first.
    fn first_line(&self, max_bytes: usize) -> Option<Freight> {
        let lines = [
            (&self.waiting, Freight::Talk),
            (&self.waiting_pieces, Freight::Pieces),
        ];
        let open = lines
            .into_iter()
            .filter(|(_, freight)| self.is_open(*freight, max_bytes));
        let first = open.filter_map(|(line, freight)| Some((line.first_key_value()?.0, freight)));
        first
            .min_by_key(|(turn, _)| **turn)
            .map(|(_, freight)| freight)
    }

    fn next_waiting(&mut self, max_bytes: usize) -> Option<u32> {
        let freight = self.first_line(max_bytes)?;
        let first = self.line(freight).pop_first();
        first.map(|(_, connection)| connection)
    }

    /// Nothing is there to be taken. What was carried out is told with something else, or once it is worth a
    /// message of its own.
    fn is_quiet(&self, max_bytes: usize) -> bool {
        self.out.is_empty() && self.news.is_empty() && !self.done.is_worth_telling(max_bytes)
    }
}

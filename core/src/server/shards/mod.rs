//! One shard of several: what it tells the others, and what it makes of what they tell.
//!
//! A room has a home, which a keyed hash of its name picks: the home decides who is in it and in which order
//! its messages come. A shard with members keeps a mirror of the room, which knows those members and nothing
//! else. A server of one shard is the home of everything, and has no links.

mod asking;
mod busy;
mod home;
mod restart;

pub(crate) use asking::Waiting;
pub(super) use busy::room_of;
pub(super) use home::MOST_HOPS;

use core::time::Duration;

use super::deadlines::Deadline;
use super::membership::Leaving;
use super::{Drain, Server};
use crate::cluster::Relay;
use crate::cluster::link::{Links, Load};
use crate::cluster::message::{Answer, Delivery, Holds, Item, Reply, Request, Said, Told, Who};
use crate::id::ConnectionId;
use crate::machine::{ShardId, Turn};
use crate::room::LOBBY;

/// Requests of other shards that are carried out between two polls.
const REQUESTS_PER_POLL: usize = 1_024;
/// Clients that have waited for a link and go on between two polls.
const WAITING_PER_POLL: usize = 64;
/// How long the others may be wrong about what a shard holds.
const BETWEEN_HOLDS: Duration = Duration::from_millis(50);
/// With no more than this left, what a shard holds is told at once.
const NEAR_A_LIMIT: usize = 1_024;

/// Which shard of how many a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// This one.
    pub shard: ShardId,
    /// All of them, 1 to 255.
    pub shards: u8,
    /// How often this one has begun anew: what it names differs each time.
    pub restarts: u16,
}

impl Place {
    /// A server that is all of its shards.
    pub const ALONE: Self = Self {
        shard: ShardId(0),
        shards: 1,
        restarts: 0,
    };
}

impl Server {
    // ---- who does what

    /// The shard that a room belongs to. The lobby, without a name, belongs to the first.
    pub(super) fn home(&self, name: &str) -> ShardId {
        match self.links.shards().len() {
            0 => self.shard,
            _ if name.is_empty() => ShardId(0),
            count => ShardId((self.keyed_hash(name.as_bytes()) % count as u64) as u8),
        }
    }

    /// The shard that a room of this name belongs to. O(length of the name).
    pub fn home_of(&self, room: &str) -> ShardId {
        self.home(room)
    }

    pub(super) fn is_home(&self, room: u32) -> bool {
        let entry = self.rooms.get(room);
        entry.is_some_and(|entry| entry.home == self.shard)
    }

    /// Rooms that have their home here, without the lobby.
    pub(super) fn rooms_held(&self) -> usize {
        self.rooms.len() - 1 - self.mirrors
    }

    /// Whether the shards have as many rooms together as the server may, as far as this one knows.
    pub(super) fn rooms_are_full(&self) -> bool {
        let max = self.config.limits.max_rooms as usize;
        self.rooms_held() + self.links.held_elsewhere().rooms >= max
    }

    /// Whether they have as many connections, as far as this one knows.
    pub(super) fn is_full(&self) -> bool {
        let max = self.config.limits.max_connections;
        let all = || self.live + self.links.held_elsewhere().connections;
        max.is_some_and(|max| all() >= max as usize)
    }

    /// This shard's part of the memory that buffers may take.
    pub(super) fn max_buffered_bytes(&self) -> usize {
        let max = self.config.limits.max_buffered_bytes;
        let share = max / self.links.shards().len().max(1);
        share.max(self.config.min_buffered_bytes())
    }

    // ---- telling

    /// Has a room told something, by its home.
    pub(super) fn say(&mut self, room: u32, from: Option<ConnectionId>, told: Told<'_>) {
        match self.rooms.get(room).map(|entry| entry.home) {
            Some(home) if home != self.shard => {
                let name: Box<str> = self.rooms.name(room).into();
                self.say_at(home, &name, from, told);
            }
            Some(_) => self.tell(room, from, told),
            None => {}
        }
    }

    /// Has another shard tell one of its rooms something.
    pub(super) fn say_at(
        &mut self,
        home: ShardId,
        name: &str,
        except: Option<ConnectionId>,
        told: Told<'_>,
    ) {
        let said = Said::from(told);
        let room = name.into();
        self.ask(home, Request::Say { room, except, said });
    }

    pub(in crate::server) fn ask(&mut self, shard: ShardId, request: Request) {
        self.links.push(shard, Item::Request(request));
    }

    /// Tells every other shard that has members of a room what has been told here.
    pub(super) fn tell_elsewhere(
        &mut self,
        room: u32,
        except: Option<ConnectionId>,
        told: Told<'_>,
        timestamp: u64,
        offset: Option<u64>,
    ) {
        if self.links.is_empty() {
            return;
        }
        // Who joins is told of before it is a member.
        let total = self.room_len(room) + usize::from(matches!(told, Told::Joined(_)));
        let guests = self.rooms.get(room).and_then(|room| room.guests.as_deref());
        let (name, shards): (_, Vec<ShardId>) = match guests {
            _ if room == LOBBY => {
                let others = self.links.shards().filter(|&shard| shard != self.shard);
                ("".into(), others.collect())
            }
            None => return,
            Some(guests) => {
                // Who said it alone hears nothing of it; it may have left its shard since.
                let sender = except.zip(told.client());
                let sender = sender.filter(|(at, client)| guests.is_at(client, *at));
                let sender = sender.map(|(at, _)| at.shard());
                let hears = |&(shard, count): &(ShardId, usize)| count > 1 || sender != Some(shard);
                let shards = guests.shards().filter(hears);
                let shards = shards.map(|(shard, _)| shard).collect();
                (guests.name.clone(), shards)
            }
        };
        if shards.is_empty() {
            return;
        }
        let said = Said::from(told);
        for shard in shards {
            let delivery = Delivery {
                room: name.clone(),
                total,
                except,
                timestamp,
                offset,
                said: said.clone(),
            };
            self.links.push(shard, Item::Delivery(delivery));
        }
    }

    /// A member has left a room that has its home elsewhere.
    pub(super) fn leave_elsewhere(&mut self, room: u32, leaving: &Leaving) {
        let Some(connection) = self.connections.id(leaving.index) else {
            return;
        };
        let name: Box<str> = self.rooms.name(room).into();
        let home = self.home(&name);
        let client = leaving.client;
        let request = Request::Leave {
            who: Who {
                connection,
                client,
                lives: leaving.comes_back.unwrap_or_default(),
            },
            room: name,
            reason: leaving.reason,
            quietly: self.drain != Drain::No && self.farewell.is_for_all,
            comes_back: leaving.comes_back.is_some(),
        };
        self.ask(home, request);
        let entry = self.rooms.get(room);
        if entry.is_some_and(|entry| entry.len_here() == 0) {
            self.remove_room(room);
        }
    }

    // ---- being told

    /// What another shard has to say.
    pub(super) fn relayed(&mut self, from: ShardId, relay: Relay) {
        if from == self.shard || !self.links.has(from) {
            self.stats.stale += 1;
            return;
        }
        for item in relay.items {
            self.steps.one();
            if !self.links.is_greeted(from) && !item.is_for_any_life() {
                self.stats.relay_lost += 1;
                continue;
            }
            let load = Load::of(&item);
            match item {
                Item::Request(request) => self.links.receive(from, load, request),
                Item::Reply(reply) => {
                    if let Answer::Claimed(granted) = &reply.answer {
                        self.sessions.takes_over(&granted.luggage);
                    }
                    self.answered(reply);
                }
                Item::Delivery(delivery) => self.delivered(&delivery),
                Item::File { to, transfer, told } => self.told_of_file(to, transfer, &told),
                Item::Greeting { restarts, own } => self.greeted(from, restarts, own),
                Item::Done(load) => self.links.carried_out(from, load),
                Item::Holds(holds) => self.links.set_holds(from, holds),
                Item::Gone => self.links.set_gone(from),
                Item::Address(key, connections) => self.links.set_address(from, key, connections),
                Item::Charge(key, charge) => self.charge_address(key, charge),
            }
        }
    }

    /// Another shard knows that this one has begun anew. If it has, too, and nobody here has heard of it, that was told
    /// to the former life of this one: nothing that was asked of it since has been listened to.
    fn greeted(&mut self, from: ShardId, restarts: u16, own: Option<u16>) {
        if restarts != self.restarts {
            return;
        }
        self.links.greeted(from);
        if let Some(restarts) = own.filter(|&restarts| !self.links.knows(from, restarts)) {
            self.shard_restarted(from, restarts);
        }
    }

    /// A message of a room that has members here, unless they have left since.
    fn delivered(&mut self, delivery: &Delivery) {
        let Some(room) = self.rooms.find(&delivery.room) else {
            return;
        };
        if let Some((_, entry)) = self.rooms.get_mut(room) {
            entry.total = u32::try_from(delivery.total).unwrap_or(u32::MAX);
        }
        let Delivery {
            except,
            timestamp,
            offset,
            ..
        } = *delivery;
        self.tell_here(room, except, delivery.said.told(), timestamp, offset);
    }

    /// Answers a request, wherever it was made.
    pub(in crate::server) fn reply_over(&mut self, to: ConnectionId, ticket: u64, answer: Answer) {
        let reply = Reply { to, ticket, answer };
        if to.shard() == self.shard {
            // What a client here asked of another shard has come back, as it is for another client here.
            return self.answered(reply);
        }
        if let Answer::Claimed(granted) = &reply.answer {
            self.sessions.hands_over(&granted.luggage);
        }
        self.links.push(to.shard(), Item::Reply(reply));
    }

    // ---- between two rounds

    /// Carries out what other shards have asked for, and lets clients go on that have waited for a link. `true` when
    /// something is left to do at once.
    pub(super) fn go_on_with_links(&mut self) -> bool {
        if self.links.is_empty() {
            return false;
        }
        self.tell_charges();
        self.note_holds();
        for _ in 0..REQUESTS_PER_POLL {
            if self.turn() == Turn::Full {
                return true;
            }
            let Some((from, request)) = self.links.next_request() else {
                break;
            };
            self.steps.one();
            self.carry_out(from, request);
        }
        for _ in 0..WAITING_PER_POLL {
            if self.turn() == Turn::Full {
                return true;
            }
            let Some(index) = self.links.next_waiting() else {
                break;
            };
            self.steps.one();
            self.link_is_free(index);
        }
        self.links.has_work()
    }

    /// Has the others told what this shard holds: at once where a limit is near, otherwise before long.
    fn note_holds(&mut self) {
        let holds = self.holds();
        if holds == self.told_holds {
            return;
        }
        let others = self.links.held_elsewhere();
        let limits = &self.config.limits;
        let near = |count: usize, max: u32| count + NEAR_A_LIMIT >= max as usize;
        let full = near(holds.rooms + others.rooms, limits.max_rooms)
            || limits
                .max_connections
                .is_some_and(|max| near(holds.connections + others.connections, max));
        if full {
            self.told_holds = holds;
            self.tell_others(|links, shard| links.tell_holds(shard, holds));
        } else if !self.telling_holds {
            self.telling_holds = true;
            let due = self.now.mono + BETWEEN_HOLDS;
            self.deadlines.insert(due, Deadline::Holds);
        }
    }

    /// Tells the others what this shard holds.
    pub(super) fn tell_holds(&mut self) {
        self.telling_holds = false;
        self.told_holds = self.holds();
        let holds = self.told_holds;
        self.tell_others(|links, shard| links.tell_holds(shard, holds));
    }

    /// What this shard holds.
    fn holds(&self) -> Holds {
        Holds {
            connections: self.live,
            clients: self.clients,
            rooms: self.rooms_held(),
            overloaded: self.is_overloaded(),
        }
    }

    pub(super) fn tell_others(&mut self, tell: impl Fn(&mut Links, ShardId)) {
        for shard in self.links.shards().filter(|&shard| shard != self.shard) {
            tell(&mut self.links, shard);
        }
    }
}

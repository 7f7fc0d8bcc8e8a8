//! What other shards ask of this one: to be the home of its rooms, and to find its clients.

use super::super::Server;
use super::super::history::no_history;
use super::super::membership::{no_such_room, not_member};
use super::super::messages::{refusal, target_not_found};
use crate::cluster::message::{Answer, Request, Said, Who};
use crate::error::ErrorCode;
use crate::id::ConnectionId;
use crate::machine::ShardId;
use crate::message::{LeaveReason, Since, Terms};

/// How often a message to one client is passed on: its session may move meanwhile.
pub(in crate::server) const MOST_HOPS: u8 = 32;

impl Server {
    /// Carries out a request of another shard.
    pub(super) fn carry_out(&mut self, from: ShardId, request: Request) {
        match request {
            Request::Join {
                who,
                ticket,
                room,
                metadata,
                since,
            } => {
                let known = self.rooms.find(&room);
                let again = known.is_some_and(|room| self.is_guest(room, who));
                let answer = self.let_guest_in(who, room.clone(), metadata, since);
                let joined = matches!(answer, Answer::Joined { .. });
                self.reply_over(who.connection, ticket, answer);
                if let Some(room) = self.rooms.find(&room).filter(|_| joined && !again) {
                    self.offer_to_member(room, who.connection, who.client);
                }
            }
            Request::Leave {
                who,
                room,
                reason,
                quietly,
                comes_back,
            } => self.guest_leaves(who, &room, (reason, quietly), comes_back),
            Request::Claim {
                who,
                ticket,
                asked_ms,
            } => self.claim_for(who, ticket, asked_ms),
            Request::Replace { holder, client } => self.replace_for(from, holder, client),
            Request::Replaced {
                holder,
                client,
                luggage,
            } => {
                self.sessions.takes_over(&luggage);
                self.replaced(holder, client, luggage);
            }
            Request::Release { who, luggage } => {
                luggage.iter().for_each(|it| self.sessions.takes_over(it));
                self.release(who, luggage);
            }
            Request::Unclaim { who } => self.unclaim(who),
            Request::Hold { who } => self.hold(who),
            Request::Say { room, except, said } => self.say_for(from, &room, except, &said),
            Request::Find { to, ticket, room } => {
                let there = self.rooms.find(&room).is_some();
                let refused = if there { not_member() } else { no_such_room() };
                self.reply_over(to, ticket, refused.into());
            }
            Request::Members {
                to,
                ticket,
                room,
                page,
            } => {
                let answer = match self.rooms.find(&room).filter(|&room| self.is_home(room)) {
                    Some(number) => Answer::Members {
                        page: self.find_members(number, &page),
                        total: self.room_len(number),
                        room,
                    },
                    None => no_such_room().into(),
                };
                self.reply_over(to, ticket, answer);
            }
            Request::History {
                to,
                ticket,
                room,
                wanted,
            } => {
                let number = self.rooms.find(&room).filter(|&room| self.is_home(room));
                let answer = match number.map(|number| self.find_history(number, &wanted)) {
                    None => no_such_room().into(),
                    Some(None) => no_history().into(),
                    Some(Some(found)) => Answer::History {
                        room,
                        found: Box::new(found),
                    },
                };
                self.reply_over(to, ticket, answer);
            }
            Request::Publish {
                from,
                ticket,
                room,
                data,
                terms,
            } => {
                let number = self.rooms.find(&room).filter(|&room| self.is_home(room));
                let answer = match number {
                    // Everyone has left since, or this shard has just begun anew.
                    None => no_such_room().into(),
                    Some(room) => {
                        let said = (data.payload(), &*terms);
                        let except = Some(from.connection);
                        Answer::Published(self.publish(room, except, from.client, said))
                    }
                };
                self.reply_over(from.connection, ticket, answer);
            }
            Request::Private {
                from,
                ticket,
                to,
                data,
                terms,
                rooms,
                hops,
            } => {
                let nothing = Terms::default();
                let said = (data.payload(), terms.as_deref().unwrap_or(&nothing));
                let passed_on = match self.moved_to(&to) {
                    None => match self.pass_on(from, &to, said, rooms.as_deref()) {
                        // It was here, and has just gone: who decides about its session has heard so before this.
                        Answer::Refused { .. } if hops < MOST_HOPS => {
                            self.decides_elsewhere(&to).ok_or_else(target_not_found)
                        }
                        answer => return self.reply_over(from.connection, ticket, answer),
                    },
                    Some(other) => other,
                };
                match passed_on {
                    Err(refused) => self.reply_over(from.connection, ticket, refused.into()),
                    Ok(shard) => {
                        let request = Request::Private {
                            from,
                            ticket,
                            to,
                            data,
                            terms,
                            rooms,
                            hops: hops.saturating_add(1),
                        };
                        self.ask(shard, request);
                    }
                }
            }
            Request::Settle {
                client,
                id,
                answer,
                hops,
            } => self.settle(client, &id, answer, hops),
            Request::Offer {
                from: who,
                ticket,
                offer,
            } => {
                let answer = match self.offer_in_room(Some(who.connection), &offer) {
                    Ok(()) => Answer::Sent,
                    Err(refused) => refused.into(),
                };
                self.reply_over(who.connection, ticket, answer);
            }
            Request::OfferPrivately {
                from: who,
                ticket,
                to,
                offer,
                rooms,
            } => {
                let answer = match self.moved_to(&to) {
                    None => self.offer_to_client(&to, &offer, rooms.as_deref()),
                    Some(Err(refused)) => refused.into(),
                    Some(Ok(shard)) => {
                        let request = Request::OfferPrivately {
                            from: who,
                            ticket,
                            to,
                            offer,
                            rooms,
                        };
                        return self.ask(shard, request);
                    }
                };
                self.reply_over(who.connection, ticket, answer);
            }
            Request::Withdraw { room, transfer } => self.withdraw(&room, transfer),
            Request::File {
                who,
                ticket,
                transfer,
                asked,
            } => {
                if let Some(answer) = self.file_for(who, transfer, asked) {
                    // What follows from it comes after.
                    self.reply_over(who.connection, ticket, answer);
                    self.review_file(transfer);
                }
            }
            Request::Restore {
                room,
                members,
                total,
            } => self.restore(&room, members, total),
        }
    }

    fn let_guest_in(
        &mut self,
        who: Who,
        name: Box<str>,
        metadata: Option<Box<str>>,
        since: Option<Since>,
    ) -> Answer {
        let room = self.rooms.find(&name);
        let again = room.is_some_and(|room| self.is_guest(room, who));
        if room.is_some_and(|room| self.is_overtaken(room, who)) {
            return refusal(ErrorCode::Internal, "Another connection has the session").into();
        }
        let back = !again && room.is_some_and(|room| self.is_missed(room, &who.client));
        if !again
            && !back
            && let Err(refused) = self.check_room(room)
        {
            return refused.into();
        }
        let room = room.unwrap_or_else(|| self.make_room(&name, self.shard));
        if !again {
            if back {
                let metadata = metadata.as_deref().unwrap_or("{}");
                self.tell_what_is_new(room, who, metadata);
            } else {
                self.expect(room, who.client);
            }
            self.add_guest(room, who, metadata);
        }
        Answer::Joined {
            members: self.list_members(room, who.client),
            total: self.room_len(room),
            history: self.position_of(room),
            said: since
                .and_then(|since| self.said_since(room, &since))
                .map(Box::new),
            room: name,
        }
    }

    /// Whether a client is a member on this connection.
    fn is_guest(&self, room: u32, who: Who) -> bool {
        let guests = self.rooms.get(room).and_then(|room| room.guests.as_deref());
        guests.is_some_and(|guests| guests.is_at(&who.client, who.connection))
    }

    pub(super) fn add_guest(&mut self, room: u32, who: Who, metadata: Option<Box<str>>) {
        let Who {
            connection,
            client,
            lives,
        } = who;
        let metadata = metadata.map(Into::into);
        self.change_guests(room, |guests| {
            guests.insert((client, lives), connection, metadata);
        });
    }

    /// A member of another shard leaves, unless it has come back on another connection meanwhile.
    fn guest_leaves(
        &mut self,
        who: Who,
        name: &str,
        (reason, quietly): (LeaveReason, bool),
        comes_back: bool,
    ) {
        let Some(room) = self.rooms.find(name) else {
            return;
        };
        if !self.is_guest(room, who) {
            return;
        }
        if comes_back {
            return self.miss(room, (who.client, who.lives), reason, None);
        }
        self.forget_guest(room, &who.client);
        // Whether everyone is leaving its shard knows: if this one says goodbye, those of others stay, or come back.
        self.member_has_left(room, who.client, reason, quietly);
    }

    /// Says something in a room for a client of another shard.
    fn say_for(&mut self, from: ShardId, name: &str, except: Option<ConnectionId>, said: &Said) {
        let Some(room) = self.rooms.find(name).filter(|&room| self.is_home(room)) else {
            // Everyone has left since, or this shard has just begun anew.
            self.stats.relay_lost += u64::from(!matches!(said, Said::Application(_)));
            return;
        };
        debug_assert!(except.is_none_or(|except| except.shard() == from));
        if let Said::Updated { client, metadata } = said {
            let Some((_, entry)) = self.rooms.get_mut(room) else {
                return;
            };
            if let Some(guests) = entry.guests.as_deref_mut() {
                if except.is_none_or(|at| !guests.is_at(client, at)) {
                    return; // of a connection that has been replaced since
                }
                guests.set_metadata(client, metadata);
            }
            if !entry.rule.metadata_notices {
                return;
            }
        }
        self.tell(room, except, said.told());
    }
}

//! The vocabulary between shards.
//!
//! A *request* goes from the shard of a client to the one that can answer it: the home of a room, or the shard
//! of another client. A *reply* comes back to the connection that asked. A *delivery* is one message of a room,
//! from its home to a shard that has members: one for all of them, in neutral form, with who does not get it.
//! Requests may cause replies and deliveries; these cause nothing further, so they never wait for requests.

use std::sync::Arc;

use super::files::{FileAsked, FileTold, Offer};
use super::link::Load;
use crate::error::ErrorCode;
use crate::id::{ClientId, ConnectionId};
use crate::message::{LeaveReason, Payload, Position, Published, Since, Terms, TransferId};
use crate::room::history::{self, Wanted};
use crate::server::{Mail, Outcome};

/// What one shard has for another after a turn, in order. Opaque: it is made by one
/// [`Server`](crate::Server) and handed to another of the same server, of the same version.
#[derive(Clone, Debug)]
pub struct Relay {
    pub(crate) items: Vec<Item>,
}

/// One thing told.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Request(Request),
    Reply(Reply),
    Delivery(Delivery),
    /// Clients are told of a file.
    File {
        to: Vec<ConnectionId>,
        transfer: TransferId,
        told: FileTold,
    },
    /// The receiver is known to have begun anew, for the so-manieth time: what came before was for the one that has
    /// failed.
    Greeting {
        restarts: u16,
        /// How often the sender has, if it waits for such a greeting itself: who failed may have taken it along.
        own: Option<u16>,
    },
    /// So much of what was asked has been carried out.
    Done(Load),
    /// What the shard holds.
    Holds(Holds),
    /// The shard is drained, and nobody is left there whose session could go anywhere.
    Gone,
    /// Clients of an address are connected to the shard: how many.
    Address(Key, u32),
    /// Clients of an address have said that much there since the last one.
    Charge(Key, Charge),
}

/// A client and its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) connection: ConnectionId,
    pub(crate) client: ClientId,
    /// How many connections its session has had before.
    pub(crate) lives: u32,
}

/// What is asked of a room's home, or of another client's shard.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// Answered by [`Answer::Joined`] or [`Answer::Refused`].
    Join {
        who: Who,
        ticket: u64,
        room: Box<str>,
        metadata: Option<Box<str>>,
        since: Option<Since>,
    },
    /// Not answered.
    Leave {
        who: Who,
        room: Box<str>,
        reason: LeaveReason,
        /// Nobody is told: everyone is leaving.
        quietly: bool,
        /// It may come back: nobody is told for a while.
        comes_back: bool,
    },
    /// A client wants the session whose id `who` tells beside its connection. Answered by [`Answer::Claimed`]
    /// [`Answer::Overtaken`] or [`Answer::Refused`].
    Claim {
        who: Who,
        ticket: u64,
        /// When the client has asked, by its shard's wall clock.
        asked_ms: u64,
    },
    /// A client's session goes on elsewhere: its connection is to be closed. Then [`Request::Replaced`] follows.
    Replace {
        holder: ConnectionId,
        client: ClientId,
    },
    /// That has been done, and this goes with the session. Not answered.
    Replaced {
        holder: ConnectionId,
        client: ClientId,
        luggage: Luggage,
    },
    /// A client is gone that had taken up a session: with what goes with that, if it may come back. Not answered.
    Release { who: Who, luggage: Option<Luggage> },
    /// A client does not wait any longer for what it has claimed. Not answered.
    Unclaim { who: Who },
    /// An id of the shard's own is in use elsewhere. Not answered.
    Hold { who: Who },
    /// Not answered.
    Say {
        room: Box<str>,
        /// Who does not get it.
        except: Option<ConnectionId>,
        said: Said,
    },
    /// Why a client that is not in a room cannot do something there. Answered by [`Answer::Refused`].
    Find {
        to: ConnectionId,
        ticket: u64,
        room: Box<str>,
    },
    /// Answered by [`Answer::Members`] or [`Answer::Refused`].
    Members {
        to: ConnectionId,
        ticket: u64,
        room: Box<str>,
        page: Page,
    },
    /// Answered by [`Answer::History`] or [`Answer::Refused`].
    History {
        to: ConnectionId,
        ticket: u64,
        room: Box<str>,
        wanted: Wanted,
    },
    /// A message of a room under terms. Answered by [`Answer::Published`] or [`Answer::Refused`].
    Publish {
        from: Who,
        ticket: u64,
        room: Box<str>,
        data: Carried,
        terms: Box<Terms<'static>>,
    },
    /// Answered by [`Answer::Published`] or [`Answer::Refused`].
    Private {
        from: Who,
        ticket: u64,
        to: ClientId,
        data: Carried,
        terms: Option<Box<Terms<'static>>>,
        /// The sender's rooms, where it needs one in common with the receiver.
        rooms: Option<Vec<Box<str>>>,
        /// How often it has been passed on, as the receiver's session has moved.
        hops: u8,
    },
    /// What became of a request to the embedding program, for the mail of a client that has asked on a connection which
    /// it has no more. Not answered.
    Settle {
        client: ClientId,
        id: Box<str>,
        answer: Arc<Outcome>,
        /// How often it has been passed on.
        hops: u8,
    },
    /// A file for the other members of a room. Answered by [`Answer::Sent`] or [`Answer::Refused`].
    Offer {
        from: Who,
        ticket: u64,
        offer: Arc<Offer>,
    },
    /// A file for one client. Answered in the same way.
    OfferPrivately {
        from: Who,
        ticket: u64,
        to: ClientId,
        offer: Arc<Offer>,
        /// The sender's rooms, where it needs one in common with the receiver.
        rooms: Option<Vec<Box<str>>>,
    },
    /// A room's file is no longer to be had. Not answered.
    Withdraw {
        room: Box<str>,
        transfer: TransferId,
    },
    /// What an end of a transfer wants of its home. Answered by [`Answer::Resumed`], [`Answer::Accepted`],
    /// [`Answer::Sent`] or [`Answer::Refused`], unless it is [`FileAsked::Gone`] or [`FileAsked::Left`].
    File {
        who: Who,
        ticket: u64,
        transfer: TransferId,
        asked: FileAsked,
    },
    /// Members that a room's home has lost. Not answered.
    Restore {
        room: Box<str>,
        members: Vec<(Who, Option<Box<str>>)>,
        /// How many it had.
        total: usize,
    },
}

/// Which members are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) after: Option<Box<str>>,
    pub(crate) limit: usize,
    pub(crate) metadata: bool,
}

/// What became of a request, for the connection that waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) to: ConnectionId,
    /// Of the request that it answers.
    pub(crate) ticket: u64,
    pub(crate) answer: Answer,
}

/// The outcomes of requests.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Joined {
        room: Box<str>,
        members: Vec<ClientId>,
        total: usize,
        history: Option<Position>,
        /// What has been said since, if that was asked for and is kept.
        said: Option<Box<history::Found>>,
    },
    History {
        room: Box<str>,
        found: Box<history::Found>,
    },
    Members {
        room: Box<str>,
        page: Found,
        total: usize,
    },
    Sent,
    Published(Published),
    /// A transfer has its sender back.
    Resumed {
        offset: u64,
    },
    /// A session is the client's.
    Claimed(Granted),
    /// Another connection has claimed the session since.
    Overtaken,
    /// A transfer has another receiver.
    Accepted {
        /// Which has to stay there.
        room: Option<Box<str>>,
    },
    Refused {
        code: ErrorCode,
        message: &'static str,
    },
}

/// What is left of a session for whom it is given to.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) client: ClientId,
    /// How many connections it has had before this one.
    pub(crate) lives: u32,
    pub(crate) luggage: Luggage,
}

/// What goes with a session from one connection to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Luggage {
    pub(crate) metadata: Option<Box<str>>,
    pub(crate) mail: Option<Box<Mail>>,
}

impl Luggage {
    /// Memory of its mail.
    pub(crate) fn mail_bytes(&self) -> usize {
        self.mail.as_deref().map_or(0, Mail::bytes)
    }

    /// Memory of all of it.
    pub(crate) fn heap_bytes(&self) -> usize {
        let mail = self.mail.as_deref().map_or(0, size_of_val);
        self.metadata.as_deref().map_or(0, str::len) + mail + self.mail_bytes()
    }
}

/// Members that were asked for.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) members: Vec<ClientId>,
    pub(crate) metadata: Option<Vec<Box<str>>>,
    /// There are more after the last one.
    pub(crate) more: bool,
}

/// A message of a room.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) room: Arc<str>,
    /// Members of all shards.
    pub(crate) total: usize,
    pub(crate) except: Option<ConnectionId>,
    /// The home's clock, ms.
    pub(crate) timestamp: u64,
    /// Its place in the room's log, if there is one.
    pub(crate) offset: Option<u64>,
    pub(crate) said: Said,
}

/// Application data; cheap to copy.
#[derive(Clone, Debug)]
pub(crate) enum Carried {
    Json(Arc<str>),
    Bytes(Arc<[u8]>),
}

impl Carried {
    pub(crate) fn payload(&self) -> Payload<'_> {
        match self {
            Self::Json(json) => Payload::Json(json),
            Self::Bytes(bytes) => Payload::Bytes(bytes),
        }
    }
}

impl From<Payload<'_>> for Carried {
    fn from(payload: Payload<'_>) -> Self {
        match payload {
            Payload::Json(json) => Self::Json(json.into()),
            Payload::Bytes(bytes) => Self::Bytes(bytes.into()),
        }
    }
}

/// What is said in a room; cheap to copy.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Data {
        from: ClientId,
        data: Carried,
    },
    Application(Arc<str>),
    Offered(Arc<Offer>),
    Joined(ClientId),
    Left(ClientId, LeaveReason),
    Changed {
        joined: u64,
        left: u64,
    },
    Typing(ClientId),
    StoppedTyping(ClientId),
    Updated {
        client: ClientId,
        metadata: Arc<str>,
    },
    /// The room's log has begun anew.
    Reset(Position),
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told<'a> {
    /// A client's data.
    Data {
        from: ClientId,
        data: Payload<'a>,
    },
    /// The embedding program's message.
    Application(&'a str),
    /// A file that the members may have.
    Offered(&'a Arc<Offer>),
    Joined(ClientId),
    Left(ClientId, LeaveReason),
    Changed {
        joined: u64,
        left: u64,
    },
    Typing(ClientId),
    StoppedTyping(ClientId),
    Updated {
        client: ClientId,
        metadata: &'a str,
    },
    Reset(Position),
}

impl Told<'_> {
    /// Who says it, or whom it is about.
    pub(crate) fn client(&self) -> Option<ClientId> {
        match *self {
            Self::Data { from: client, .. }
            | Self::Joined(client)
            | Self::Left(client, _)
            | Self::Typing(client)
            | Self::StoppedTyping(client)
            | Self::Updated { client, .. } => Some(client),
            Self::Offered(offer) => Some(offer.from),
            Self::Application(_) | Self::Changed { .. } | Self::Reset(_) => None,
        }
    }
}

/// What a shard holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    pub(crate) connections: usize,
    pub(crate) clients: usize,
    /// Rooms that it is the home of.
    pub(crate) rooms: usize,
    /// It has no room for more.
    pub(crate) overloaded: bool,
}

/// An address as limits know it; an IPv6 host owns a /64, which counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    V4([u8; 4]),
    V6([u8; 8]),
    Local,
}

/// What is charged to an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) messages: u32,
    pub(crate) deliveries: u32,
}

impl Item {
    /// Whether it concerns a shard that has begun anew, also if it was for the one that has failed: a greeting does,
    /// and what is told to everyone.
    pub(crate) fn is_for_any_life(&self) -> bool {
        match self {
            Self::Greeting { .. } => true,
            Self::Delivery(delivery) => delivery.room.is_empty(),
            _ => false,
        }
    }

    /// Whether it is a piece of a file.
    pub(crate) fn is_piece(&self) -> bool {
        match self {
            Self::Request(Request::File { asked, .. }) => matches!(asked, FileAsked::Chunk { .. }),
            Self::File { told, .. } => matches!(told, FileTold::Chunk { .. }),
            _ => false,
        }
    }

    /// Memory of it, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_deref().map_or(0, str::len);
        let owned = match self {
            Self::Request(request) => match request {
                Request::Join { room, metadata, .. } => room.len() + text(metadata),
                Request::Leave { room, .. }
                | Request::Find { room, .. }
                | Request::History { room, .. } => room.len(),
                Request::Say { room, said, .. } => room.len() + said.text_bytes(),
                Request::Members { room, page, .. } => room.len() + text(&page.after),
                Request::Publish {
                    room, data, terms, ..
                } => room.len() + data.payload().len() + size_of_val(&**terms) + terms.heap_bytes(),
                Request::Private {
                    data, terms, rooms, ..
                } => {
                    let rooms = rooms.iter().flatten();
                    let each = rooms.map(|room| room.len() + size_of::<Box<str>>());
                    let terms = terms.as_deref();
                    let terms = terms.map_or(0, |it| size_of_val(it) + it.heap_bytes());
                    data.payload().len() + terms + each.sum::<usize>()
                }
                Request::Offer { offer, .. } => offer.bytes(),
                Request::OfferPrivately { offer, rooms, .. } => {
                    let rooms = rooms.iter().flatten();
                    let each = rooms.map(|room| room.len() + size_of::<Box<str>>());
                    offer.bytes() + each.sum::<usize>()
                }
                Request::Settle { id, answer, .. } => id.len() + answer.heap_bytes(),
                Request::Withdraw { room, .. } => room.len(),
                Request::Release { luggage, .. } => luggage.as_ref().map_or(0, Luggage::heap_bytes),
                Request::Replaced { luggage, .. } => luggage.heap_bytes(),
                Request::Claim { .. }
                | Request::Unclaim { .. }
                | Request::Replace { .. }
                | Request::Hold { .. } => 0,
                Request::File { asked, .. } => asked.bytes(),
                Request::Restore { room, members, .. } => {
                    let each = members
                        .iter()
                        .map(|(_, metadata)| size_of::<(Who, Option<Box<str>>)>() + text(metadata));
                    room.len() + each.sum::<usize>()
                }
            },
            Self::Reply(reply) => match &reply.answer {
                Answer::Joined {
                    room,
                    members,
                    said,
                    ..
                } => {
                    let said = said.as_deref();
                    let said = said.map_or(0, |it| size_of_val(it) + it.heap_bytes());
                    room.len() + members.capacity() * size_of::<ClientId>() + said
                }
                Answer::Members { room, page, .. } => {
                    let metadata = page.metadata.iter().flatten();
                    let each = metadata.map(|text| text.len() + size_of::<Box<str>>());
                    room.len()
                        + page.members.capacity() * size_of::<ClientId>()
                        + each.sum::<usize>()
                }
                Answer::History { room, found } => {
                    room.len() + size_of_val(&**found) + found.heap_bytes()
                }
                Answer::Accepted { room } => text(room),
                Answer::Claimed(granted) => granted.luggage.heap_bytes(),
                Answer::Sent
                | Answer::Published(_)
                | Answer::Overtaken
                | Answer::Resumed { .. }
                | Answer::Refused { .. } => 0,
            },
            Self::Delivery(delivery) => delivery.said.text_bytes(),
            Self::File { to, told, .. } => to.capacity() * size_of::<ConnectionId>() + told.bytes(),
            Self::Greeting { .. }
            | Self::Gone
            | Self::Done(_)
            | Self::Holds(_)
            | Self::Address(..)
            | Self::Charge(..) => 0,
        };
        size_of::<Self>() + owned
    }
}

impl Said {
    fn text_bytes(&self) -> usize {
        match self {
            Self::Data { data, .. } => data.payload().len(),
            Self::Offered(offer) => offer.bytes(),
            Self::Application(text) | Self::Updated { metadata: text, .. } => text.len(),
            _ => 0,
        }
    }

    pub(crate) fn told(&self) -> Told<'_> {
        match self {
            Self::Data { from, data } => Told::Data {
                from: *from,
                data: data.payload(),
            },
            Self::Application(message) => Told::Application(message),
            Self::Offered(offer) => Told::Offered(offer),
            Self::Joined(client) => Told::Joined(*client),
            Self::Left(client, reason) => Told::Left(*client, *reason),
            Self::Changed { joined, left } => Told::Changed {
                joined: *joined,
                left: *left,
            },
            Self::Typing(client) => Told::Typing(*client),
            Self::StoppedTyping(client) => Told::StoppedTyping(*client),
            Self::Updated { client, metadata } => Told::Updated {
                client: *client,
                metadata,
            },
            Self::Reset(position) => Told::Reset(*position),
        }
    }
}

impl From<Told<'_>> for Said {
    fn from(told: Told<'_>) -> Self {
        match told {
            Told::Data { from, data } => Self::Data {
                from,
                data: data.into(),
            },
            Told::Application(message) => Self::Application(message.into()),
            Told::Offered(offer) => Self::Offered(Arc::clone(offer)),
            Told::Joined(client) => Self::Joined(client),
            Told::Left(client, reason) => Self::Left(client, reason),
            Told::Changed { joined, left } => Self::Changed { joined, left },
            Told::Typing(client) => Self::Typing(client),
            Told::StoppedTyping(client) => Self::StoppedTyping(client),
            Told::Updated { client, metadata } => Self::Updated {
                client,
                metadata: metadata.into(),
            },
            Told::Reset(position) => Self::Reset(position),
        }
    }
}

//! How a recording is spelled: inputs, commands. Knows nothing of servers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::Ending;
use crate::id::{ClientId, ConnectionId};
use crate::machine::{Input, ListenerId, PeerAddr, ShardId, TransportEnd};
use crate::offload::JobId;
use crate::server::{Command, MessageName, RequestToken, SavedSession};
use crate::wire::{Fault, Source, put_bytes, put_number, put_outcome};

/// What went into a server at one step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// A connection was offered.
    Accept {
        /// From where.
        peer: PeerAddr,
        /// By which listener.
        listener: ListenerId,
        /// The id that it got; `None`: refused.
        accepted: Option<ConnectionId>,
    },
    /// See [`Input::Tick`].
    Tick,
    /// See [`Input::Received`].
    Received {
        /// Where.
        connection: ConnectionId,
        /// As they came, or masked.
        bytes: Vec<u8>,
    },
    /// See [`Input::Sent`].
    Sent {
        /// Which connection.
        connection: ConnectionId,
        /// How many.
        bytes: usize,
        /// The socket took no more.
        blocked: bool,
    },
    /// See [`Input::Writable`].
    Writable {
        /// Which connection.
        connection: ConnectionId,
    },
    /// See [`Input::ReadEnd`].
    ReadEnd {
        /// Which connection.
        connection: ConnectionId,
    },
    /// See [`Input::Ended`].
    Ended {
        /// Which connection.
        connection: ConnectionId,
        /// How.
        end: TransportEnd,
    },
    /// See [`Input::Connected`].
    Connected {
        /// Which connection.
        connection: ConnectionId,
    },
    /// See [`Input::ConnectFailed`].
    ConnectFailed {
        /// Which connection.
        connection: ConnectionId,
    },
    /// See [`Input::LinkReady`].
    LinkReady {
        /// The shard.
        to: ShardId,
        /// How many.
        credits: u32,
    },
    /// See [`Input::PoolReady`].
    PoolReady {
        /// How many jobs.
        jobs: u32,
    },
    /// See [`Input::Done`]. What a job comes to is not recorded: it is done again.
    Done {
        /// Which one.
        job: JobId,
        /// It could not be done.
        failed: bool,
    },
    /// See [`Input::Command`].
    Command(Command),
}

impl Recorded {
    /// The connection that it is about, if it is about one. O(1).
    pub const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Accept { accepted, .. } => *accepted,
            Self::Received { connection, .. }
            | Self::Sent { connection, .. }
            | Self::Writable { connection }
            | Self::ReadEnd { connection }
            | Self::Ended { connection, .. }
            | Self::Connected { connection }
            | Self::ConnectFailed { connection } => Some(*connection),
            Self::Command(
                Command::Send { connection, .. }
                | Command::Kick { connection, .. }
                | Command::Explain { connection, .. }
                | Command::Close { connection, .. },
            ) => Some(*connection),
            Self::Tick
            | Self::LinkReady { .. }
            | Self::PoolReady { .. }
            | Self::Done { .. }
            | Self::Command(_) => None,
        }
    }
}

/// Tags of records.
pub(super) mod tag {
    pub(crate) const TICK: u8 = 1;
    pub(crate) const RECEIVED: u8 = 2;
    pub(crate) const SENT: u8 = 3;
    pub(crate) const BLOCKED: u8 = 4;
    pub(crate) const WRITABLE: u8 = 5;
    pub(crate) const READ_END: u8 = 6;
    pub(crate) const ENDED: u8 = 7;
    pub(crate) const CONNECTED: u8 = 8;
    pub(crate) const CONNECT_FAILED: u8 = 9;
    pub(crate) const LINK_READY: u8 = 10;
    pub(crate) const COMMAND: u8 = 11;
    pub(crate) const ACCEPTED: u8 = 12;
    pub(crate) const REFUSED: u8 = 13;
    pub(crate) const POOL_READY: u8 = 14;
    pub(crate) const DONE: u8 = 15;
    pub(crate) const NOT_DONE: u8 = 16;
    /// The whole hash.
    pub(crate) const CHECKPOINT: u8 = 32;
    /// The whole hash, and how the recording ended.
    pub(crate) const END: u8 = 33;
    /// The contents that tell so are masked: a file will be found to be wrong.
    pub(crate) const WRONG_FILE: u8 = 34;
}

/// What the first bytes of a recording are.
pub(super) const MAGIC: [u8; 8] = *b"roomwire";
/// The version of the format.
pub(super) const VERSION: u8 = 1;

// ---- writing

fn put_id(out: &mut Vec<u8>, connection: ConnectionId) {
    put_number(out, u64::from(connection.index()));
    put_number(out, u64::from(connection.generation().get()));
}

pub(super) fn put_peer(out: &mut Vec<u8>, peer: PeerAddr) {
    match peer {
        PeerAddr::Local => out.push(0),
        PeerAddr::Inet(SocketAddr::V4(address)) => {
            out.push(4);
            out.extend_from_slice(&address.ip().octets());
            put_number(out, u64::from(address.port()));
        }
        PeerAddr::Inet(SocketAddr::V6(address)) => {
            out.push(6);
            out.extend_from_slice(&address.ip().octets());
            put_number(out, u64::from(address.port()));
            put_number(out, u64::from(address.flowinfo()));
            put_number(out, u64::from(address.scope_id()));
        }
    }
}

/// The tag of an input.
pub(super) const fn tag_of<R>(input: &Input<'_, Command, R>) -> u8 {
    match input {
        // A server of one shard is handed no relays; a tick is the nearest there is.
        Input::Tick | Input::Relay { .. } | Input::Restarted { .. } => tag::TICK,
        Input::Received { .. } => tag::RECEIVED,
        Input::Sent { blocked: false, .. } => tag::SENT,
        Input::Sent { blocked: true, .. } => tag::BLOCKED,
        Input::Writable { .. } => tag::WRITABLE,
        Input::ReadEnd { .. } => tag::READ_END,
        Input::Ended { .. } => tag::ENDED,
        Input::Connected { .. } => tag::CONNECTED,
        Input::ConnectFailed { .. } => tag::CONNECT_FAILED,
        Input::LinkReady { .. } => tag::LINK_READY,
        Input::PoolReady { .. } => tag::POOL_READY,
        Input::Done(done) if done.is_failed() => tag::NOT_DONE,
        Input::Done(_) => tag::DONE,
        Input::Command(_) => tag::COMMAND,
    }
}

/// What follows the clocks of an input's record. The bytes of a `Received` come last.
pub(super) fn put_input<R>(out: &mut Vec<u8>, input: &Input<'_, Command, R>) {
    match input {
        Input::Tick | Input::Relay { .. } | Input::Restarted { .. } => {}
        Input::Received { connection, bytes } => {
            put_id(out, *connection);
            put_bytes(out, bytes);
        }
        Input::Sent {
            connection, bytes, ..
        } => {
            put_id(out, *connection);
            put_number(out, *bytes as u64);
        }
        Input::Writable { connection }
        | Input::ReadEnd { connection }
        | Input::Connected { connection }
        | Input::ConnectFailed { connection } => put_id(out, *connection),
        Input::Ended { connection, end } => {
            put_id(out, *connection);
            out.push(match end {
                TransportEnd::Closed => 0,
                TransportEnd::Reset => 1,
                TransportEnd::Failed => 2,
            });
        }
        Input::LinkReady { to, credits } => {
            put_number(out, u64::from(to.0));
            put_number(out, u64::from(*credits));
        }
        Input::PoolReady { jobs } => put_number(out, u64::from(*jobs)),
        Input::Done(done) => put_number(out, done.id().0),
        Input::Command(command) => put_command(out, command),
    }
}

pub(super) fn put_accept(
    out: &mut Vec<u8>,
    peer: PeerAddr,
    listener: ListenerId,
    accepted: Option<ConnectionId>,
) {
    put_peer(out, peer);
    put_number(out, u64::from(listener.0));
    if let Some(connection) = accepted {
        put_id(out, connection);
    }
}

fn put_command(out: &mut Vec<u8>, command: &Command) {
    match command {
        Command::Send {
            connection,
            message,
        } => {
            out.push(0);
            put_id(out, *connection);
            put_bytes(out, message.as_bytes());
        }
        Command::Publish { room, message } => {
            out.push(1);
            put_bytes(out, room.as_bytes());
            put_bytes(out, message.as_bytes());
        }
        Command::Reply { request, outcome } => {
            out.push(2);
            put_number(out, request.0);
            put_outcome(out, outcome);
        }
        Command::Kick { connection, room } => {
            out.push(3);
            put_id(out, *connection);
            put_bytes(out, room.as_bytes());
        }
        Command::Close {
            connection,
            code,
            reason,
            reconnect_after_ms,
        } => {
            out.push(4);
            put_id(out, *connection);
            put_number(out, u64::from(*code));
            put_bytes(out, reason.as_bytes());
            out.push(u8::from(reconnect_after_ms.is_some()));
            put_number(out, reconnect_after_ms.unwrap_or(0));
        }
        Command::Drain => out.push(5),
        Command::Abandon => out.push(7),
        Command::Fail { request } => {
            out.push(8);
            put_number(out, request.0);
        }
        Command::GiveSession {
            shard,
            client,
            asked_ms,
            session,
        } => {
            out.push(9);
            put_number(out, u64::from(shard.0));
            out.extend_from_slice(&client.to_bytes());
            put_number(out, *asked_ms);
            let session = session.as_ref();
            put_bytes(out, session.map_or(&[], SavedSession::as_bytes));
            let checked = session.and_then(|session| session.checked);
            out.push(checked.map_or(0, |right| 1 + u8::from(right)));
        }
        Command::TakeSession { client, asked_ms } => {
            out.push(10);
            out.extend_from_slice(&client.to_bytes());
            put_number(out, *asked_ms);
        }
        Command::Explain {
            message,
            connection,
        } => {
            out.push(6);
            put_id(out, *connection);
            put_name(out, message);
        }
    }
}

pub(super) fn put_name(out: &mut Vec<u8>, name: &MessageName) {
    match name {
        MessageName::Number(number) => {
            out.push(0);
            put_number(out, *number);
        }
        MessageName::Request { sender, id } => {
            out.push(1);
            put_id(out, *sender);
            put_bytes(out, id.as_bytes());
        }
    }
}

pub(super) const fn ending_number(ending: Ending) -> u8 {
    match ending {
        Ending::Closed => 0,
        Ending::Full => 1,
        Ending::Refused => 2,
    }
}

// ---- reading

impl Source<'_> {
    fn id(&mut self) -> Result<ConnectionId, Fault> {
        const OUT: &str = "a connection id is out of bounds";
        let index: u32 = self.small(OUT)?;
        let generation: u32 = self.small(OUT)?;
        ConnectionId::from_bits(u64::from(generation) << 32 | u64::from(index))
            .ok_or(Fault::Bad(OUT))
    }

    fn peer(&mut self) -> Result<PeerAddr, Fault> {
        const OUT: &str = "an address is out of bounds";
        Ok(match self.byte()? {
            0 => PeerAddr::Local,
            4 => {
                let ip = Ipv4Addr::from(self.array::<4>()?);
                SocketAddr::new(IpAddr::V4(ip), self.small(OUT)?).into()
            }
            6 => {
                let ip = Ipv6Addr::from(self.array::<16>()?);
                let (port, flow) = (self.small(OUT)?, self.small(OUT)?);
                let address = SocketAddrV6::new(ip, port, flow, self.small(OUT)?);
                SocketAddr::V6(address).into()
            }
            _ => return Err(Fault::Bad("an address is of no known kind")),
        })
    }

    /// What follows the clocks in a record of this tag.
    pub(super) fn input(&mut self, kind: u8) -> Result<Recorded, Fault> {
        Ok(match kind {
            tag::TICK => Recorded::Tick,
            tag::RECEIVED => Recorded::Received {
                connection: self.id()?,
                bytes: self.bytes()?.to_vec(),
            },
            tag::SENT | tag::BLOCKED => Recorded::Sent {
                connection: self.id()?,
                bytes: self.small("a length is out of bounds")?,
                blocked: kind == tag::BLOCKED,
            },
            tag::WRITABLE => Recorded::Writable {
                connection: self.id()?,
            },
            tag::READ_END => Recorded::ReadEnd {
                connection: self.id()?,
            },
            tag::ENDED => Recorded::Ended {
                connection: self.id()?,
                end: match self.byte()? {
                    0 => TransportEnd::Closed,
                    1 => TransportEnd::Reset,
                    2 => TransportEnd::Failed,
                    _ => return Err(Fault::Bad("a connection ends in no known way")),
                },
            },
            tag::CONNECTED => Recorded::Connected {
                connection: self.id()?,
            },
            tag::CONNECT_FAILED => Recorded::ConnectFailed {
                connection: self.id()?,
            },
            tag::LINK_READY => Recorded::LinkReady {
                to: ShardId(self.small("a shard is out of bounds")?),
                credits: self.small("credits are out of bounds")?,
            },
            tag::POOL_READY => Recorded::PoolReady {
                jobs: self.small("a number of jobs is out of bounds")?,
            },
            tag::DONE | tag::NOT_DONE => Recorded::Done {
                job: JobId(self.number()?),
                failed: kind == tag::NOT_DONE,
            },
            tag::COMMAND => Recorded::Command(self.command()?),
            tag::ACCEPTED | tag::REFUSED => Recorded::Accept {
                peer: self.peer()?,
                listener: ListenerId(self.small("a listener is out of bounds")?),
                accepted: match kind {
                    tag::ACCEPTED => Some(self.id()?),
                    _ => None,
                },
            },
            _ => return Err(Fault::Bad("a record is of no known kind")),
        })
    }

    fn command(&mut self) -> Result<Command, Fault> {
        Ok(match self.byte()? {
            0 => Command::Send {
                connection: self.id()?,
                message: self.text()?,
            },
            1 => Command::Publish {
                room: self.text()?,
                message: self.text()?,
            },
            2 => Command::Reply {
                request: RequestToken(self.number()?),
                outcome: self.outcome()?,
            },
            3 => Command::Kick {
                connection: self.id()?,
                room: self.text()?,
            },
            4 => Command::Close {
                connection: self.id()?,
                code: self.small("a close code is out of bounds")?,
                reason: self.text()?,
                reconnect_after_ms: {
                    let given = self.byte()? != 0;
                    Some(self.number()?).filter(|_| given)
                },
            },
            5 => Command::Drain,
            7 => Command::Abandon,
            8 => Command::Fail {
                request: RequestToken(self.number()?),
            },
            9 => Command::GiveSession {
                shard: ShardId(self.small("a shard is out of bounds")?),
                client: self.client()?,
                asked_ms: self.number()?,
                session: self.session()?,
            },
            10 => Command::TakeSession {
                client: self.client()?,
                asked_ms: self.number()?,
            },
            6 => Command::Explain {
                connection: self.id()?,
                message: match self.byte()? {
                    0 => MessageName::Number(self.number()?),
                    1 => MessageName::Request {
                        sender: self.id()?,
                        id: self.text()?,
                    },
                    _ => return Err(Fault::Bad("a message is named in no known way")),
                },
            },
            _ => return Err(Fault::Bad("a command is of no known kind")),
        })
    }

    fn client(&mut self) -> Result<ClientId, Fault> {
        Ok(ClientId::from_bytes(&self.array()?))
    }

    fn session(&mut self) -> Result<Option<SavedSession>, Fault> {
        const BAD: Fault = Fault::Bad("a session is none");
        let bytes = self.bytes()?;
        let checked = match self.byte()? {
            0 => None,
            checked => Some(checked == 2),
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut session = SavedSession::from_bytes(bytes).map_err(|_| BAD)?;
        session.checked = checked;
        Ok(Some(session))
    }

    pub(super) fn ending(&mut self) -> Result<Ending, Fault> {
        match self.byte()? {
            0 => Ok(Ending::Closed),
            1 => Ok(Ending::Full),
            2 => Ok(Ending::Refused),
            _ => Err(Fault::Bad("the recording ends in no known way")),
        }
    }
}

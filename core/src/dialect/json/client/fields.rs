//! The fields of a server's message, and what they say.

use data_encoding::BASE64 as BASE64_CODEC;
use serde_json::value::RawValue;

use super::super::decode::BASE64;
use super::super::object::{Elements, for_each_field, string};
use super::{Kept, Page, Said, SaidData, Told};
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{Epoch, Gap, LeaveReason, Position, Published, Session, SessionSecret};

/// The top-level fields that are looked at, raw; of one that stands there twice, the last.
#[derive(Default)]
pub(super) struct Fields<'a> {
    kind: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    away: Option<&'a str>,
    client: Option<&'a str>,
    code: Option<&'a str>,
    complete: Option<&'a str>,
    count: Option<&'a str>,
    data: Option<&'a str>,
    encoding: Option<&'a str>,
    epoch: Option<&'a str>,
    from: Option<&'a str>,
    gap: Option<&'a str>,
    left_out: Option<&'a str>,
    duplicate: Option<&'a str>,
    history: Option<&'a str>,
    last: Option<&'a str>,
    limits: Option<&'a str>,
    max_message_bytes: Option<&'a str>,
    members: Option<&'a str>,
    message: Option<&'a str>,
    pub(super) messages: Option<&'a str>,
    offset: Option<&'a str>,
    reason: Option<&'a str>,
    reconnect_after: Option<&'a str>,
    reset: Option<&'a str>,
    resumed: Option<&'a str>,
    retry_after: Option<&'a str>,
    room: Option<&'a str>,
    secret: Option<&'a str>,
    timestamp: Option<&'a str>,
    to: Option<&'a str>,
    total: Option<&'a str>,
    window: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Of what is no object: none.
    pub(super) fn read(text: &'a str) -> Self {
        let mut fields = Self::default();
        let walked = for_each_field(text, |key, value| {
            if let Some(key) = string(key)
                && let Some(slot) = fields.slot(&key)
            {
                *slot = Some(value);
            }
        });
        if walked.is_err() {
            return Self::default();
        }
        fields
    }

    fn slot(&mut self, key: &str) -> Option<&mut Option<&'a str>> {
        Some(match key {
            "type" => &mut self.kind,
            "id" => &mut self.id,
            "awayMs" => &mut self.away,
            "clientId" => &mut self.client,
            "code" => &mut self.code,
            "complete" => &mut self.complete,
            "count" => &mut self.count,
            "data" => &mut self.data,
            "encoding" => &mut self.encoding,
            "epoch" => &mut self.epoch,
            "from" => &mut self.from,
            "gap" => &mut self.gap,
            "leftOut" => &mut self.left_out,
            "duplicate" => &mut self.duplicate,
            "history" => &mut self.history,
            "last" => &mut self.last,
            "limits" => &mut self.limits,
            "maxMessageBytes" => &mut self.max_message_bytes,
            "members" => &mut self.members,
            "message" => &mut self.message,
            "messages" => &mut self.messages,
            "offset" => &mut self.offset,
            "reason" => &mut self.reason,
            "reconnectAfterMs" => &mut self.reconnect_after,
            "reset" => &mut self.reset,
            "resumed" => &mut self.resumed,
            "retryAfterMs" => &mut self.retry_after,
            "room" => &mut self.room,
            "sessionSecret" => &mut self.secret,
            "timestamp" => &mut self.timestamp,
            "to" => &mut self.to,
            "total" => &mut self.total,
            "windowMs" => &mut self.window,
            _ => return None,
        })
    }

    pub(super) fn kind(&self) -> Option<std::borrow::Cow<'a, str>> {
        self.kind.and_then(string)
    }

    /// `None`: not understood.
    pub(super) fn told(&self) -> Option<Told> {
        Some(match self.kind()?.as_ref() {
            "ack" => Told::Ack(Published {
                offset: number(self.offset),
                duplicate: flag(self.duplicate).unwrap_or(false),
            }),
            "broadcast" => Told::Broadcast(self.said()?),
            "closing" => Told::Closing {
                code: u16::try_from(number(self.code)?).ok()?,
                reason: text(self.reason).unwrap_or_default(),
                reconnect_after_ms: number(self.reconnect_after),
            },
            "error" => Told::Error {
                code: ErrorCode::parse(&text(self.code)?),
                message: text(self.message).unwrap_or_default(),
                retry_after_ms: number(self.retry_after),
            },
            "history" => Told::History(self.page()?),
            "joined_room" => Told::JoinedRoom {
                room: text(self.room)?,
                members: members(self.members?)?,
                total: number(self.total)?,
                history: self.history.and_then(|raw| Fields::read(raw).position()),
            },
            "left_room" => Told::LeftRoom {
                room: text(self.room)?,
            },
            "member_joined" => Told::MemberJoined {
                room: text(self.room)?,
                client: client(self.client)?,
            },
            "member_left" => Told::MemberLeft {
                room: text(self.room)?,
                client: client(self.client)?,
                reason: text(self.reason).as_deref().and_then(leave_reason),
            },
            "messages_dropped" => Told::MessagesDropped {
                room: text(self.room),
                count: number(self.count)?,
            },
            "pong" => Told::Pong {
                timestamp: number(self.timestamp)?,
            },
            "private_message" => Told::PrivateMessage {
                said: self.said()?,
                offset: number(self.offset),
            },
            "reset" => Told::Reset {
                room: text(self.room)?,
                position: self.position()?,
            },
            "resumed" => Told::Resumed {
                room: text(self.room)?,
                position: self.position(),
                complete: flag(self.complete)?,
            },
            "room_message" => Told::RoomMessage {
                room: text(self.room)?,
                said: self.said()?,
                offset: number(self.offset),
            },
            "session" => Told::Session(self.session()?),
            "welcome" => Told::Welcome {
                client: client(self.client)?,
                resumed: flag(self.resumed).unwrap_or(false),
                max_message_bytes: self
                    .limits
                    .and_then(|raw| number(Fields::read(raw).max_message_bytes)),
            },
            _ => return None,
        })
    }

    fn session(&self) -> Option<Session> {
        Some(Session {
            client: client(self.client)?,
            secret: SessionSecret::parse(&text(self.secret)?)?,
            resumed: flag(self.resumed)?,
            window_ms: number(self.window)?,
            away_ms: number(self.away)?,
            last: number(self.last)?,
            gap: self.gap.and_then(|raw| Fields::read(raw).gap()),
            left_out: self.left_out()?,
        })
    }

    fn said(&self) -> Option<Said> {
        Some(Said {
            from: client(self.from)?,
            data: self.data()?,
            timestamp: number(self.timestamp)?,
        })
    }

    fn data(&self) -> Option<SaidData> {
        let raw = self.data?;
        match text(self.encoding).as_deref() {
            None => Some(SaidData::Json(raw.to_owned())),
            Some(BASE64) => {
                let bytes = BASE64_CODEC.decode(string(raw)?.as_bytes());
                bytes.ok().map(SaidData::Bytes)
            }
            Some(_) => None,
        }
    }

    fn position(&self) -> Option<Position> {
        Some(Position {
            epoch: Epoch::parse(&text(self.epoch)?)?,
            last: number(self.last)?,
        })
    }

    fn page(&self) -> Option<Page> {
        let mut messages = Vec::new();
        for raw in Elements::of(self.messages?)? {
            let fields = Fields::read(raw);
            messages.push(Kept {
                offset: number(fields.offset)?,
                said: fields.said()?,
            });
        }
        Some(Page {
            room: text(self.room)?,
            position: self.position()?,
            messages,
            gap: self.gap.and_then(|raw| Fields::read(raw).gap()),
            reset: flag(self.reset).unwrap_or(false),
            left_out: self.left_out()?,
        })
    }

    /// Ranges that are left out on purpose; mostly there are none.
    fn left_out(&self) -> Option<Vec<Gap>> {
        let Some(raw) = self.left_out else {
            return Some(Vec::new());
        };
        Elements::of(raw)?
            .map(|raw| Fields::read(raw).gap())
            .collect()
    }

    /// In a `gap`, `from` is an offset.
    fn gap(&self) -> Option<Gap> {
        Some(Gap {
            from: number(self.from)?,
            to: number(self.to)?,
        })
    }
}

fn text(raw: Option<&str>) -> Option<String> {
    raw.and_then(string).map(Into::into)
}

/// A whole number from 0 on.
fn number(raw: Option<&str>) -> Option<u64> {
    raw?.parse().ok()
}

fn flag(raw: Option<&str>) -> Option<bool> {
    match raw? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn client(raw: Option<&str>) -> Option<ClientId> {
    ClientId::parse(&string(raw?)?)
}

fn members(raw: &str) -> Option<Vec<ClientId>> {
    let all: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    all.into_iter().map(|raw| client(Some(raw.get()))).collect()
}

fn leave_reason(reason: &str) -> Option<LeaveReason> {
    Some(match reason {
        "left" => LeaveReason::Left,
        "disconnected" => LeaveReason::Disconnected,
        "timeout" => LeaveReason::Timeout,
        "kicked" => LeaveReason::Kicked,
        _ => return None,
    })
}

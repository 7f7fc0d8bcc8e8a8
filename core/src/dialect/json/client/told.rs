//! What a server says in whatever dialect, in the words of [`Told`].

use super::{Kept, Page, Said, SaidData, Told};
use crate::id::ClientId;
use crate::message::{Gap, Payload, ServerMessage};

impl Told {
    /// The same as what is [read](super::Message::read) of the message in JSON. O(length).
    pub fn of(message: &ServerMessage<'_>) -> Self {
        let said = |from: &ClientId, data: &Payload<'_>, timestamp: &u64| Said {
            from: *from,
            data: (*data).into(),
            timestamp: *timestamp,
        };
        match message {
            ServerMessage::Ack(published) => Self::Ack(*published),
            ServerMessage::Broadcast {
                from,
                data,
                timestamp,
            } => Self::Broadcast(said(from, data, timestamp)),
            ServerMessage::PrivateMessage {
                from,
                data,
                timestamp,
                offset,
            } => Self::PrivateMessage {
                said: said(from, data, timestamp),
                offset: *offset,
            },
            ServerMessage::RoomMessage {
                room,
                from,
                data,
                timestamp,
                offset,
            } => Self::RoomMessage {
                room: (*room).to_owned(),
                said: said(from, data, timestamp),
                offset: *offset,
            },
            ServerMessage::History {
                room,
                position,
                messages,
                gap,
                reset,
                left_out,
                more: _,
            } => Self::History(Page {
                room: (*room).to_owned(),
                position: *position,
                messages: messages
                    .iter()
                    .map(|it| Kept {
                        offset: it.offset,
                        said: said(&it.from, &it.data, &it.timestamp),
                    })
                    .collect(),
                gap: *gap,
                reset: *reset,
                left_out: left_out.to_vec(),
            }),
            other => Self::of_connection(other).unwrap_or_else(|| Self::of_room(other)),
        }
    }

    fn of_connection(message: &ServerMessage<'_>) -> Option<Self> {
        Some(match message {
            ServerMessage::Closing {
                code,
                reason,
                reconnect_after_ms,
            } => Self::Closing {
                code: *code,
                reason: (*reason).to_owned(),
                reconnect_after_ms: *reconnect_after_ms,
            },
            ServerMessage::Error {
                code,
                message,
                retry_after_ms,
            } => Self::Error {
                code: Some(*code),
                message: (*message).to_owned(),
                retry_after_ms: *retry_after_ms,
            },
            ServerMessage::MessagesDropped { room, count } => Self::MessagesDropped {
                room: room.map(str::to_owned),
                count: *count,
            },
            ServerMessage::Pong { timestamp, .. } => Self::Pong {
                timestamp: *timestamp,
            },
            ServerMessage::Session(session) => Self::Session(session.clone()),
            ServerMessage::Welcome(welcome) => Self::Welcome {
                client: welcome.client,
                resumed: welcome.resumed,
                max_message_bytes: Some(welcome.max_message_bytes as u64),
            },
            _ => return None,
        })
    }

    fn of_room(message: &ServerMessage<'_>) -> Self {
        match message {
            ServerMessage::JoinedRoom {
                room,
                members,
                total,
                history,
            } => Self::JoinedRoom {
                room: (*room).to_owned(),
                members: members.to_vec(),
                total: *total as u64,
                history: *history,
            },
            ServerMessage::LeftRoom { room } => Self::LeftRoom {
                room: (*room).to_owned(),
            },
            ServerMessage::MemberJoined { room, client } => Self::MemberJoined {
                room: (*room).to_owned(),
                client: *client,
            },
            ServerMessage::MemberLeft {
                room,
                client,
                reason,
            } => Self::MemberLeft {
                room: (*room).to_owned(),
                client: *client,
                reason: Some(*reason),
            },
            ServerMessage::Reset { room, position } => Self::Reset {
                room: (*room).to_owned(),
                position: *position,
            },
            ServerMessage::Resumed {
                room,
                position,
                complete,
            } => Self::Resumed {
                room: (*room).to_owned(),
                position: *position,
                complete: *complete,
            },
            _ => Self::Other,
        }
    }

    /// How much memory it takes beside its place, roughly. O(messages of a page).
    pub(crate) fn heap_bytes(&self) -> usize {
        let said = |it: &Said| match &it.data {
            SaidData::Bytes(bytes) => bytes.len(),
            SaidData::Json(text) => text.len(),
        };
        match self {
            Self::Broadcast(it) | Self::PrivateMessage { said: it, .. } => said(it),
            Self::RoomMessage { room, said: it, .. } => room.len() + said(it),
            Self::History(page) => {
                let messages = page.messages.iter();
                let data: usize = messages.map(|it| size_of::<Kept>() + said(&it.said)).sum();
                page.room.len() + data + page.left_out.len() * size_of::<Gap>()
            }
            Self::JoinedRoom { room, members, .. } => {
                room.len() + members.len() * size_of::<ClientId>()
            }
            Self::Closing { reason: text, .. } | Self::Error { message: text, .. } => text.len(),
            Self::LeftRoom { room }
            | Self::MemberJoined { room, .. }
            | Self::MemberLeft { room, .. }
            | Self::Reset { room, .. }
            | Self::Resumed { room, .. } => room.len(),
            Self::MessagesDropped { room, .. } => room.as_deref().map_or(0, str::len),
            Self::Session(session) => session.left_out.len() * size_of::<Gap>(),
            Self::Ack(_) | Self::Other | Self::Pong { .. } | Self::Welcome { .. } => 0,
        }
    }
}

impl From<Payload<'_>> for SaidData {
    fn from(data: Payload<'_>) -> Self {
        match data {
            Payload::Json(text) => Self::Json(text.to_owned()),
            Payload::Bytes(bytes) => Self::Bytes(bytes.to_owned()),
        }
    }
}

//! The server's frames to messages: the inverse of [`encode`](super::super::encode()).

use core::num::NonZeroU32;
use std::borrow::Cow;

use super::super::frame::{Frame, FrameError, Frames};
use super::super::pieces::{Reader, bits};
use super::super::{NOT_TOLD, PROTOCOL, registry};
use crate::dialect::Refusal;
use crate::error::ErrorCode;
use crate::message::{
    ClientClock, Epoch, FileNotice, Gap, LeaveReason, PastMessage, Position, Published,
    ServerMessage, Session, Welcome,
};

/// What a server has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// What.
    pub message: ServerMessage<'a>,
    /// The request that it answers.
    pub number: Option<NonZeroU32>,
    /// When, by the server's wall clock, milliseconds since 1970.
    pub timestamp: u64,
}

/// Reads one frame of a server, `bytes` being all of it and no batch (see [`split_batch`]).
///
/// As strict as a server is. Linear in `bytes`; allocates for lists of members, as many as there are.
///
/// # Errors
/// - [`ErrorCode::BadMessage`]: no frame, or a payload that does not fit its type.
/// - [`ErrorCode::UnknownType`]: a type that is not known as the server's. A client skips it: types may be added.
pub fn decode_message(bytes: &[u8]) -> Result<Told<'_>, Refusal> {
    let frame = Frame::parse(bytes).map_err(no_frame)?;
    let mut payload = Reader::of(frame.payload);
    let number = if answers(frame.kind) {
        payload.number()?
    } else {
        None
    };
    let message = message(&frame, &mut payload)?;
    payload.end()?;
    Ok(Told {
        message,
        number,
        timestamp: frame.timestamp,
    })
}

/// What is left of an answer that [`decode_message`] refuses: fields, and codes of errors, may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAnswer<'a> {
    /// The request that it answers.
    pub number: NonZeroU32,
    /// It is an error, with a code that is not known: what it says for people, and when to try again, ms.
    pub refusal: Option<(&'a str, Option<u64>)>,
}

/// Reads as much of one frame of a server as has to be known of the answer to a request; `None` if it is none. O(1) but for
/// the text of an error.
pub fn decode_unknown_answer(bytes: &[u8]) -> Option<UnknownAnswer<'_>> {
    let frame = Frame::parse(bytes).ok().filter(|it| answers(it.kind))?;
    let mut payload = Reader::of(frame.payload);
    let number = payload.number().ok()??;
    let mut refusal = || -> Result<_, Refusal> {
        let retry_after_ms = told(payload.u32()?);
        payload.text()?;
        Ok((payload.rest_text()?, retry_after_ms))
    };
    let is_error = frame.kind == registry::ERROR;
    let refusal = is_error.then(|| refusal().unwrap_or(("", None)));
    Some(UnknownAnswer { number, refusal })
}

/// The frames in a batch, at least one and all of them whole; `None` if the frame `bytes` is no batch.
///
/// # Errors
/// [`ErrorCode::BadMessage`].
pub fn split_batch(bytes: &[u8]) -> Result<Option<Frames<'_>>, Refusal> {
    let frame = Frame::parse(bytes).map_err(no_frame)?;
    if frame.kind != registry::BATCH {
        return Ok(None);
    }
    let mut payload = Reader::of(frame.payload);
    let number = payload.number()?;
    let frames = Frames::of(payload.rest());
    let mut all = frames.clone();
    let count = all.by_ref().count();
    if number.is_some() || count == 0 || all.left() > 0 {
        return Err(Refusal::bad_message("a batch must hold whole frames"));
    }
    Ok(Some(frames))
}

/// Whether a frame of this type may answer a request.
const fn answers(kind: u8) -> bool {
    matches!(
        kind,
        registry::PONG
            | registry::SESSION
            | registry::ACK
            | registry::ACK_OFFSET
            | registry::ERROR
            | registry::METADATA_UPDATED
            | registry::JOINED_ROOM
            | registry::JOINED_KEPT_ROOM
            | registry::HISTORY_PAGE
            | registry::LEFT_ROOM
            | registry::MEMBERS_PAGE
            | registry::FILE_ACCEPTED
            | registry::APPLICATION
    )
}

fn message<'a>(frame: &Frame<'a>, payload: &mut Reader<'a>) -> Result<ServerMessage<'a>, Refusal> {
    let timestamp = frame.timestamp;
    Ok(match frame.kind {
        registry::WELCOME => ServerMessage::Welcome(welcome(timestamp, payload)?),
        registry::PONG => ServerMessage::Pong {
            timestamp,
            client_timestamp: Some(ClientClock::Millis(payload.u64()?)),
        },
        registry::SESSION => {
            let known = bits::SESSION_RESUMED | bits::SESSION_GAP | bits::SESSION_LEFT_OUT;
            let flags = payload.flags(known)?;
            ServerMessage::Session(Session {
                client: payload.client()?,
                secret: payload.secret()?,
                resumed: flags.has(bits::SESSION_RESUMED),
                window_ms: payload.u64()?,
                away_ms: payload.u64()?,
                last: payload.u64()?,
                gap: flags.if_set(bits::SESSION_GAP, || {
                    Ok(Gap {
                        from: payload.u64()?,
                        to: payload.u64()?,
                    })
                })?,
                left_out: flags
                    .if_set(bits::SESSION_LEFT_OUT, || payload.gaps())?
                    .unwrap_or_default(),
            })
        }
        registry::ACK => ServerMessage::Ack(Published::default()),
        registry::ACK_OFFSET => {
            let flags = payload.flags(bits::ACK_OFFSET | bits::ACK_DUPLICATE)?;
            let published = Published {
                offset: flags.if_set(bits::ACK_OFFSET, || payload.u64())?,
                duplicate: flags.has(bits::ACK_DUPLICATE),
            };
            if published == Published::default() {
                return Err(Refusal::bad_message("an `ack` of this type says more"));
            }
            ServerMessage::Ack(published)
        }
        registry::ERROR => {
            let retry_after_ms = told(payload.u32()?);
            ServerMessage::Error {
                code: code(payload)?,
                message: payload.rest_text()?,
                retry_after_ms,
            }
        }
        registry::CLOSING => {
            let (code, after) = (payload.u16()?, payload.u32()?);
            ServerMessage::Closing {
                code,
                reason: payload.rest_text()?,
                reconnect_after_ms: told(after),
            }
        }
        registry::MESSAGES_DROPPED => ServerMessage::MessagesDropped {
            count: payload.u64()?,
            room: Some(payload.text()?).filter(|room| !room.is_empty()),
        },
        registry::METADATA_UPDATED => ServerMessage::MetadataUpdated {
            metadata: payload.rest_object(u32::MAX)?,
        },
        registry::ROOM_MESSAGE => room_message(timestamp, None, payload)?,
        registry::KEPT_MESSAGE => {
            let offset = payload.u64()?;
            room_message(timestamp, Some(offset), payload)?
        }
        registry::HISTORY_PAGE => history(payload)?,
        registry::RESUMED => {
            let room = payload.text()?;
            let flags = payload.flags(bits::RESUMED_POSITION | bits::RESUMED_COMPLETE)?;
            ServerMessage::Resumed {
                room,
                position: flags.if_set(bits::RESUMED_POSITION, || position(payload))?,
                complete: flags.has(bits::RESUMED_COMPLETE),
            }
        }
        registry::RESET => ServerMessage::Reset {
            room: payload.text()?,
            position: position(payload)?,
        },
        registry::BROADCAST => {
            let (kind, from) = (payload.kind()?, payload.client()?);
            ServerMessage::Broadcast {
                from,
                data: payload.data(kind, u32::MAX)?,
                timestamp,
            }
        }
        registry::PRIVATE_MESSAGE | registry::KEPT_PRIVATE_MESSAGE => {
            let kept = frame.kind == registry::KEPT_PRIVATE_MESSAGE;
            let offset = kept.then(|| payload.u64()).transpose()?;
            let (kind, from) = (payload.kind()?, payload.client()?);
            ServerMessage::PrivateMessage {
                from,
                data: payload.data(kind, u32::MAX)?,
                timestamp,
                offset,
            }
        }
        registry::APPLICATION => ServerMessage::Application {
            message: payload.rest_object(u32::MAX)?,
        },
        kind => match about_members(kind, payload)? {
            Some(message) => message,
            None => ServerMessage::File(about_files(kind, payload)?),
        },
    })
}

fn welcome(timestamp: u64, payload: &mut Reader<'_>) -> Result<Welcome, Refusal> {
    let client = payload.client()?;
    if payload.u16()? != PROTOCOL {
        return Err(Refusal::bad_message("the server speaks another version"));
    }
    let flags = payload.flags(bits::WELCOME_RESUMED | bits::WELCOME_RATE)?;
    let mut welcome = Welcome {
        client,
        timestamp,
        resumed: flags.has(bits::WELCOME_RESUMED),
        heartbeat_interval_ms: payload.u32()?.into(),
        heartbeat_timeout_ms: payload.u32()?.into(),
        max_message_bytes: usize::try_from(payload.u32()?).unwrap_or(usize::MAX),
        max_rooms: payload.u32()?,
        max_room_name_bytes: payload.u16()?.into(),
        rate_messages: Some(payload.u32()?),
        rate_per_ms: payload.u32()?.into(),
    };
    if !flags.has(bits::WELCOME_RATE) {
        if welcome.rate_messages != Some(0) || welcome.rate_per_ms != 0 {
            return Err(Refusal::bad_message("a rate that does not hold must be 0"));
        }
        welcome.rate_messages = None;
    }
    Ok(welcome)
}

/// `None` for a type that is none of these.
fn about_members<'a>(
    kind: u8,
    payload: &mut Reader<'a>,
) -> Result<Option<ServerMessage<'a>>, Refusal> {
    Ok(Some(match kind {
        registry::JOINED_ROOM => {
            let (room, total, count) = (payload.text()?, payload.u32()?, payload.u16()?);
            ServerMessage::JoinedRoom {
                room,
                members: payload.clients(count)?.into(),
                total: wide(total),
                history: None,
            }
        }
        registry::JOINED_KEPT_ROOM => {
            let (room, total, position) = (payload.text()?, payload.u32()?, position(payload)?);
            let count = payload.u16()?;
            ServerMessage::JoinedRoom {
                room,
                members: payload.clients(count)?.into(),
                total: wide(total),
                history: Some(position),
            }
        }
        registry::LEFT_ROOM => ServerMessage::LeftRoom {
            room: payload.text()?,
        },
        registry::MEMBER_JOINED => ServerMessage::MemberJoined {
            room: payload.text()?,
            client: payload.client()?,
        },
        registry::MEMBER_LEFT => ServerMessage::MemberLeft {
            room: payload.text()?,
            client: payload.client()?,
            reason: match payload.u8()? {
                0 => LeaveReason::Left,
                1 => LeaveReason::Disconnected,
                2 => LeaveReason::Timeout,
                3 => LeaveReason::Kicked,
                _ => return Err(Refusal::bad_message("a reason that is not known")),
            },
        },
        registry::MEMBERS_CHANGED => ServerMessage::MembersChanged {
            room: payload.text()?,
            joined: payload.u32()?.into(),
            left: payload.u32()?.into(),
            total: wide(payload.u32()?),
        },
        registry::MEMBERS_PAGE => page(payload)?,
        registry::USER_TYPING => ServerMessage::UserTyping {
            room: payload.text()?,
            client: payload.client()?,
        },
        registry::USER_STOPPED_TYPING => ServerMessage::UserStoppedTyping {
            room: payload.text()?,
            client: payload.client()?,
        },
        registry::MEMBER_UPDATED => ServerMessage::MemberUpdated {
            room: payload.text()?,
            client: payload.client()?,
            metadata: payload.rest_object(u32::MAX)?,
        },
        _ => return Ok(None),
    }))
}

fn page<'a>(payload: &mut Reader<'a>) -> Result<ServerMessage<'a>, Refusal> {
    let (room, total) = (payload.text()?, payload.u32()?);
    let flags = payload.flags(bits::PAGE_MORE | bits::PAGE_METADATA)?;
    let count = payload.u16()?;
    let members = payload.clients(count)?;
    let metadata = flags.if_set(bits::PAGE_METADATA, || {
        let all = (0..count).map(|_| payload.json().map(Cow::Borrowed));
        all.collect::<Result<Vec<_>, _>>()
    })?;
    Ok(ServerMessage::Members {
        room,
        members: members.into(),
        metadata: metadata.map(Cow::Owned),
        total: wide(total),
        more: flags.has(bits::PAGE_MORE),
    })
}

fn room_message<'a>(
    timestamp: u64,
    offset: Option<u64>,
    payload: &mut Reader<'a>,
) -> Result<ServerMessage<'a>, Refusal> {
    let (kind, from) = (payload.kind()?, payload.client()?);
    Ok(ServerMessage::RoomMessage {
        room: payload.text()?,
        from,
        data: payload.data(kind, u32::MAX)?,
        timestamp,
        offset,
    })
}

fn position(payload: &mut Reader<'_>) -> Result<Position, Refusal> {
    Ok(Position {
        epoch: Epoch(payload.u64()?),
        last: payload.u64()?,
    })
}

fn history<'a>(payload: &mut Reader<'a>) -> Result<ServerMessage<'a>, Refusal> {
    let (room, position) = (payload.text()?, position(payload)?);
    let known = bits::HISTORY_MORE | bits::HISTORY_RESET;
    let flags = payload.flags(known | bits::HISTORY_GAP | bits::HISTORY_LEFT_OUT)?;
    let gap = flags.if_set(bits::HISTORY_GAP, || {
        let (from, to) = (payload.u64()?, payload.u64()?);
        Ok(Gap { from, to })
    })?;
    let left_out = flags.if_set(bits::HISTORY_LEFT_OUT, || payload.gaps())?;
    Ok(ServerMessage::History {
        room,
        position,
        left_out: left_out.unwrap_or_default().into(),
        messages: past(room, payload.rest())?.into(),
        more: flags.has(bits::HISTORY_MORE),
        gap,
        reset: flags.has(bits::HISTORY_RESET),
    })
}

/// The messages of a page: frames as they would have come, all of the same room.
fn past<'a>(of: &str, bytes: &'a [u8]) -> Result<Vec<PastMessage<'a>>, Refusal> {
    const WRONG: Refusal =
        Refusal::bad_message("a page must hold messages of its room that are kept");
    let mut frames = Frames::of(bytes);
    let mut all = Vec::new();
    for frame in &mut frames {
        let frame = Frame::parse(frame).map_err(no_frame)?;
        if frame.kind != registry::KEPT_MESSAGE {
            return Err(WRONG);
        }
        let mut payload = Reader::of(frame.payload);
        let offset = payload.u64()?;
        let message = room_message(frame.timestamp, Some(offset), &mut payload)?;
        payload.end()?;
        match message {
            ServerMessage::RoomMessage {
                room,
                from,
                data,
                timestamp,
                ..
            } if room == of => all.push(PastMessage {
                offset,
                from,
                data,
                timestamp,
            }),
            _ => return Err(WRONG),
        }
    }
    if frames.left() > 0 {
        return Err(WRONG);
    }
    Ok(all)
}

fn about_files<'a>(kind: u8, payload: &mut Reader<'a>) -> Result<FileNotice<'a>, Refusal> {
    Ok(match kind {
        registry::FILE_ACCEPTED => {
            let (transfer, offset) = (payload.transfer()?, payload.u64()?);
            let chunk_bytes = payload.u32()?;
            FileNotice::Accepted {
                name: payload.text()?,
                transfer,
                secret: payload.text()?,
                offset,
                chunk_bytes,
            }
        }
        registry::FILE_CHUNK => FileNotice::Chunk {
            transfer: payload.transfer()?,
            offset: payload.u64()?,
            data: payload.rest(),
        },
        registry::FILE_END => FileNotice::End {
            transfer: payload.transfer()?,
            size: payload.u64()?,
            hash: payload.hash()?,
        },
        registry::FILE_ABORT => FileNotice::Aborted {
            transfer: payload.transfer()?,
            reason: payload.rest_text()?,
        },
        registry::FILE_OFFERED => {
            let (transfer, from) = (payload.transfer()?, payload.client()?);
            let flags = payload.flags(bits::OFFERED_ROOM | bits::OFFERED_HASH)?;
            FileNotice::Offered {
                transfer,
                from,
                max_window_bytes: payload.u32()?,
                room: flags.if_set(bits::OFFERED_ROOM, || payload.text())?,
                file_name: payload.text()?,
                size: payload.u64()?,
                mime_type: payload.text()?,
                hash: flags.if_set(bits::OFFERED_HASH, || payload.hash())?,
            }
        }
        registry::FILE_WANTED => FileNotice::Wanted {
            transfer: payload.transfer()?,
            offset: payload.u64()?,
            length_bytes: payload.u32()?,
        },
        registry::FILE_PROGRESS => FileNotice::Progress {
            transfer: payload.transfer()?,
            acknowledged: payload.u64()?,
            receivers: payload.u32()?,
            completed: payload.u32()?,
            failed: payload.u32()?,
        },
        registry::FILE_COMPLETED => FileNotice::Completed {
            transfer: payload.transfer()?,
            completed: payload.u32()?,
            failed: payload.u32()?,
        },
        registry::FILE_ERROR => FileNotice::Failed {
            transfer: payload.transfer()?,
            code: code(payload)?,
            message: payload.rest_text()?,
        },
        _ => return Err(Refusal::new(ErrorCode::UnknownType, "unknown message type")),
    })
}

fn code(payload: &mut Reader<'_>) -> Result<ErrorCode, Refusal> {
    let name = payload.text()?;
    ErrorCode::parse(name).ok_or(Refusal::bad_message("an error code that is not known"))
}

/// A time, or none.
fn told(after_ms: u32) -> Option<u64> {
    (after_ms != NOT_TOLD).then_some(after_ms.into())
}

fn wide(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn no_frame(error: FrameError) -> Refusal {
    Refusal::bad_message(match error {
        FrameError::NoHeader => "a frame begins with a header of 13 bytes",
        FrameError::Short => "the frame is shorter than its header says",
        FrameError::Long => "the frame is longer than its header says",
    })
}

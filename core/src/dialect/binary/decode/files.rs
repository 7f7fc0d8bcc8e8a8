//! What a client says about files.

use super::super::pieces::{Reader, bits, destination};
use super::super::registry;
use crate::dialect::Refusal;
use crate::message::{Destination, FileRequest, Named};

/// `None` for a type that is none of these.
pub(super) fn request<'a>(
    kind: u8,
    payload: &mut Reader<'a>,
) -> Result<Option<FileRequest<'a>>, Refusal> {
    Ok(Some(match kind {
        registry::FILE_START => start(payload)?,
        registry::FILE_CHUNK => FileRequest::Chunk {
            transfer: payload.transfer()?,
            offset: payload.u64()?,
            data: payload.rest().into(),
        },
        registry::FILE_END => {
            let transfer = Named::Number(payload.transfer()?);
            let flags = payload.flags(bits::END_SIZE | bits::END_HASH)?;
            FileRequest::End {
                transfer,
                size: flags.if_set(bits::END_SIZE, || payload.u64())?,
                hash: flags.if_set(bits::END_HASH, || payload.hash())?,
            }
        }
        registry::FILE_ABORT => FileRequest::Abort {
            transfer: Named::Number(payload.transfer()?),
            reason: payload.rest_text()?.into(),
        },
        registry::FILE_CREDIT => FileRequest::Credit {
            transfer: payload.transfer()?,
            offset: payload.u64()?,
            window_bytes: payload.u32()?,
        },
        registry::FILE_COMPLETE => FileRequest::Complete {
            transfer: payload.transfer()?,
        },
        _ => return Ok(None),
    }))
}

fn start<'a>(payload: &mut Reader<'a>) -> Result<FileRequest<'a>, Refusal> {
    let flags = payload.flags(bits::START_NAME | bits::START_HASH | bits::START_SECRET)?;
    let to = match payload.u8()? {
        destination::ROOM => Destination::Room(payload.text()?.into()),
        destination::CLIENT => Destination::Client(Some(payload.client()?)),
        destination::SERVER => Destination::Server,
        _ => {
            return Err(Refusal::bad_message(
                "the destination must be 0 for a room, 1 for a client or 2 for the server",
            ));
        }
    };
    // A whole file in one message has no header, so it can only be announced in JSON.
    let name = flags
        .if_set(bits::START_NAME, || payload.text())?
        .filter(|name| !name.is_empty())
        .ok_or(Refusal::bad_message("a file needs a `transferId`"))?;
    Ok(FileRequest::Start {
        name: Some(name.into()),
        to,
        file_name: payload.text()?.into(),
        size: payload.u64()?,
        mime_type: payload.text()?.into(),
        hash: flags.if_set(bits::START_HASH, || payload.hash())?,
        secret: flags
            .if_set(bits::START_SECRET, || payload.text())?
            .map(Into::into),
    })
}

//! What a client says about files.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use data_encoding::HEXLOWER;

use super::{Fields as Message, is_whole, present, text_field};
use crate::dialect::Refusal;
use crate::dialect::json::object::{is_number, is_string, string};
use crate::id::ClientId;
use crate::message::{Data, Destination, FileHash, FileRequest, Named, TransferId};

/// The fields that only messages about files have, raw.
#[derive(Default)]
pub(super) struct Fields<'a> {
    hash: Option<&'a str>,
    mime_type: Option<&'a str>,
    name: Option<&'a str>,
    offset: Option<&'a str>,
    reason: Option<&'a str>,
    secret: Option<&'a str>,
    size: Option<&'a str>,
    transfer: Option<&'a str>,
    own_name: Option<&'a str>,
    window: Option<&'a str>,
}

impl<'a> Fields<'a> {
    pub(super) fn slot(&mut self, key: &str) -> Option<&mut Option<&'a str>> {
        Some(match key {
            "hash" => &mut self.hash,
            "mimeType" => &mut self.mime_type,
            "name" => &mut self.name,
            "offset" => &mut self.offset,
            "reason" => &mut self.reason,
            "transferSecret" => &mut self.secret,
            "size" => &mut self.size,
            "transfer" => &mut self.transfer,
            "transferId" => &mut self.own_name,
            "window" => &mut self.window,
            _ => return None,
        })
    }

    /// Every place for a value, always in the same order.
    pub(super) fn slots(&mut self) -> [&mut Option<&'a str>; 10] {
        [
            &mut self.hash,
            &mut self.mime_type,
            &mut self.name,
            &mut self.offset,
            &mut self.reason,
            &mut self.secret,
            &mut self.size,
            &mut self.transfer,
            &mut self.own_name,
            &mut self.window,
        ]
    }

    fn transfer(&self) -> Result<TransferId, Refusal> {
        let wrong = "`transfer` must be a whole number";
        whole(self.transfer, wrong).map(TransferId::from_bits)
    }

    fn named(&self) -> Result<Named<'a>, Refusal> {
        match (present(self.transfer), present(self.own_name)) {
            (Some(_), None) => self.transfer().map(Named::Number),
            (None, Some(name)) => own_name(name).map(Named::Own),
            (None, None) => Ok(Named::Unnamed),
            (Some(_), Some(_)) => Err(Refusal::bad_message(
                "a transfer goes by `transfer` or by `transferId`, not by both",
            )),
        }
    }

    fn hash(&self) -> Result<Option<FileHash>, Refusal> {
        present(self.hash)
            .map(|raw| hash(raw).ok_or(BAD_HASH))
            .transpose()
    }
}

impl<'a> Message<'a> {
    /// Up to which offset a client has what was sent to it alone.
    pub(super) fn acknowledged(&self) -> Result<u64, Refusal> {
        whole(self.file.offset, "`offset` must be a whole number")
    }

    /// `None` for a type that is none of these.
    pub(super) fn file_request(&self, kind: &str) -> Result<Option<FileRequest<'a>>, Refusal> {
        let file = &self.file;
        Ok(Some(match kind {
            START => self.file_start()?,
            "file_chunk" => FileRequest::Chunk {
                transfer: file.transfer()?,
                offset: whole(file.offset, "`offset` must be a whole number")?,
                data: match self.data()? {
                    Data::Bytes(bytes) => bytes,
                    Data::Json(_) => {
                        return Err(Refusal::bad_message("`encoding` must be \"base64\""));
                    }
                },
            },
            "file_end" => FileRequest::End {
                transfer: file.named()?,
                size: present(file.size)
                    .map(|raw| whole(Some(raw), BAD_SIZE))
                    .transpose()?,
                hash: file.hash()?,
            },
            "file_abort" => FileRequest::Abort {
                transfer: file.named()?,
                reason: match present(file.reason) {
                    Some(raw) => text_field(Some(raw), "`reason` must be a string")?,
                    None => "".into(),
                },
            },
            "file_credit" => FileRequest::Credit {
                transfer: file.transfer()?,
                offset: whole(file.offset, "`offset` must be a whole number")?,
                // The server has its own cap.
                window_bytes: whole(file.window, "`window` must be a whole number")?
                    .try_into()
                    .unwrap_or(u32::MAX),
            },
            "file_complete" => FileRequest::Complete {
                transfer: file.transfer()?,
            },
            _ => return Ok(None),
        }))
    }

    fn file_start(&self) -> Result<FileRequest<'a>, Refusal> {
        let file = &self.file;
        Ok(FileRequest::Start {
            name: present(file.own_name).map(own_name).transpose()?,
            to: self.destination()?,
            file_name: text_field(file.name, "`name` must be a string")?,
            size: whole(file.size, BAD_SIZE)?,
            mime_type: text_field(file.mime_type, "`mimeType` must be a string")?,
            hash: file.hash()?,
            secret: present(file.secret)
                .map(|raw| text_field(Some(raw), "`transferSecret` must be a string"))
                .transpose()?,
        })
    }

    fn destination(&self) -> Result<Destination<'a>, Refusal> {
        match (present(self.room), present(self.to)) {
            (Some(_), None) => self.room().map(Destination::Room),
            (None, Some(to)) => {
                let to = text_field(Some(to), "`to` must be a string")?;
                Ok(if to == SERVER {
                    Destination::Server
                } else {
                    Destination::Client(ClientId::parse(&to))
                })
            }
            (None, None) => Err(Refusal::bad_message("a file needs `room` or `to`")),
            (Some(_), Some(_)) => Err(Refusal::bad_message(
                "a file is for a `room` or `to` a client, not for both",
            )),
        }
    }

    /// Whether this was to announce a file whose key `type` for what is in it took the place of the message's own.
    pub(super) fn is_file_without_a_type(&self) -> bool {
        self.file.name.is_some_and(is_string)
            && self.file.size.is_some_and(is_number)
            && self.room.is_none()
            && self.to.is_none()
            && self.data.is_none()
    }

    /// Whether what was refused would have had a body.
    pub(super) fn announces_a_body(&self, refusal: &Refusal) -> bool {
        let is_start = || self.kind.and_then(string).is_some_and(|kind| kind == START);
        *refusal == NO_TYPE || present(self.file.own_name).is_none() && is_start()
    }
}

/// The sender's name for a transfer.
fn own_name(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    string(raw)
        .filter(|name| !name.is_empty())
        .ok_or(Refusal::bad_message(
            "`transferId` must be a string that is not empty",
        ))
}

fn whole(raw: Option<&str>, wrong: &'static str) -> Result<u64, Refusal> {
    raw.filter(|raw| is_whole(raw))
        .and_then(|raw| raw.parse().ok())
        .ok_or_else(|| Refusal::bad_message(wrong))
}

fn hash(raw: &str) -> Option<FileHash> {
    let text = string(raw)?;
    let hex = text.strip_prefix(SHA_256)?;
    let mut hash = FileHash::default();
    (hex.len() == 2 * hash.len()).then_some(())?;
    HEXLOWER.decode_mut(hex.as_bytes(), &mut hash).ok()?;
    Some(hash)
}

/// How a hash begins.
pub(in crate::dialect::json) const SHA_256: &str = "sha256:";

/// What the guide's own file transfer is told: of its two keys `type` the second one counts.
pub(super) const NO_TYPE: Refusal = Refusal::bad_message(
    "a file begins with `type` \"file_start\" and has its MIME type in `mimeType`",
);

const START: &str = "file_start";
const SERVER: &str = "server";
const BAD_HASH: Refusal =
    Refusal::bad_message("`hash` must be \"sha256:\" and 64 lower-case hexadecimal digits");
const BAD_SIZE: &str = "`size` must be a whole number";

//! A whole file in one binary message, announced before it: the guide's way.

use super::super::Server;
use super::super::admission::Refused;
use super::super::messages::{Outcome, refusal};
use super::room_of;
use super::start::About;
use crate::error::ErrorCode;
use crate::files::Body;
use crate::message::{Asked, Destination, FileRequest, Remembered, ServerMessage};

/// What a client's next binary message is, if it is not a frame.
#[derive(Debug)]
pub(crate) enum NextBinary {
    /// A whole file.
    File(Box<Expected>),
    /// A file that nobody gets.
    Nothing,
}

/// A file that is about to come in one message.
#[derive(Debug)]
pub(crate) struct Expected {
    to: Destination<'static>,
    file_name: Box<str>,
    size: u64,
    mime_type: Box<str>,
    asked: Remembered,
}

impl NextBinary {
    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::File(file) => {
                let room = room_of(&file.to).map_or(0, str::len);
                size_of::<Expected>() + room + file.file_name.len() + file.mime_type.len()
            }
        }
    }
}

impl Server {
    /// The next binary message is the whole file.
    pub(super) fn expect_file(
        &mut self,
        index: u32,
        request: &FileRequest<'_>,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        let FileRequest::Start {
            to,
            file_name,
            size,
            mime_type,
            ..
        } = request
        else {
            return Ok(Outcome::Done);
        };
        self.check_receivers(index, to)?;
        let to = match to {
            Destination::Room(room) => Destination::Room(room.clone().into_owned().into()),
            Destination::Client(client) => Destination::Client(*client),
            Destination::Server => Destination::Server,
        };
        let expected = Expected {
            to,
            file_name: (&**file_name).into(),
            size: *size,
            mime_type: (&**mime_type).into(),
            asked: asked.into(),
        };
        self.set_next_binary(index, Some(NextBinary::File(Box::new(expected))));
        Ok(Outcome::Later)
    }

    /// The file that a client has announced and may not send; it sends it all the same.
    pub(in crate::server) fn discard_next_binary(&mut self, index: u32) {
        self.set_next_binary(index, Some(NextBinary::Nothing));
    }

    fn set_next_binary(&mut self, index: u32, next: Option<NextBinary>) {
        let connection = self.connections.get_mut(index);
        let Some(session) = connection.and_then(|connection| connection.session_mut()) else {
            return;
        };
        let before = session.extra_mut().next_binary.take();
        session.extra_mut().next_binary = next;
        if let Some(NextBinary::File(file)) = before {
            let error = ServerMessage::Error {
                code: ErrorCode::BadMessage,
                message: "Another file was announced before this one came",
                retry_after_ms: None,
            };
            self.send(index, &error, file.asked.asked());
        }
    }

    /// What a binary message is, if it is not a frame.
    pub(in crate::server) fn take_next_binary(&mut self, index: u32) -> Option<NextBinary> {
        let session = self.connections.get_mut(index)?.session_mut()?;
        session.extra.as_mut()?.next_binary.take()
    }

    /// The binary message that has been announced.
    pub(in crate::server) fn announced_binary(
        &mut self,
        index: u32,
        next: NextBinary,
        bytes: &[u8],
    ) {
        let NextBinary::File(expected) = next else {
            self.stats.files_discarded += 1;
            return;
        };
        let asked = expected.asked.asked();
        let outcome = if bytes.len() as u64 == expected.size {
            let about = About {
                name: None,
                to: &expected.to,
                file_name: &expected.file_name,
                size: expected.size,
                mime_type: &expected.mime_type,
                hash: None,
                body: Some(Body::new(bytes.to_vec())),
            };
            self.begin_file(index, about, asked)
        } else {
            let message = "The file is not as large as `size` says";
            Err(refusal(ErrorCode::TransferCorrupt, message))
        };
        self.conclude(index, asked, outcome);
    }
}

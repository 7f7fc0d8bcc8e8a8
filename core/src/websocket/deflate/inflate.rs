//! From compressed payloads to messages (RFC 7692 section 7.2.2).

use core::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::{TAIL, Window};
use crate::websocket::DecodeError;

/// Inflates one message after the other; between them it remembers nothing.
///
/// Holds nothing until the first message, then about 48 KB whatever windows are used, and a buffer for the message, of
/// which [`shrink`](Self::shrink) gives back what is unusual.
#[derive(Default)]
pub struct Inflater {
    context: Option<Inflate>,
    /// All of it is written: only growing costs zeros.
    buffer: Vec<u8>,
    /// How much of it is the last message.
    len: usize,
}

impl Inflater {
    /// One that has not inflated anything. Allocates nothing.
    pub const fn new() -> Self {
        Self {
            context: None,
            buffer: Vec::new(),
            len: 0,
        }
    }

    /// The message, of at most `max_bytes`, that stands for `payload`: what all fragments of a compressed message come
    /// to. O(payload + message), and never more memory than for one byte beyond `max_bytes`.
    ///
    /// A block that says to be the last one (`BFINAL`) ends no message: what follows is read on, but cannot refer to
    /// what was before. A payload of no bytes at all, which strictly is none, is an empty message. Whether a peer
    /// refers back farther than was agreed is not checked, as nothing depends on it.
    ///
    /// # Errors
    /// [`DecodeError::MessageTooLarge`] as soon as it is; [`DecodeError::CorruptDeflate`] for what is not DEFLATE (RFC
    /// 1951) or stops in the middle of a block.
    pub fn inflate(&mut self, payload: &[u8], max_bytes: usize) -> Result<&[u8], DecodeError> {
        let context = self.context.get_or_insert_with(new_context);
        context.reset(false);
        self.len = 0;
        let mut message = Message {
            context,
            buffer: &mut self.buffer,
            len: 0,
            room: max_bytes.saturating_add(1),
            open: false,
        };
        message.read(payload)?;
        if message.open {
            message.read(&ENDING)?;
        }
        let Message { len, open, .. } = message;
        if open {
            return Err(DecodeError::CorruptDeflate);
        }
        self.len = len;
        Ok(self.buffer.get(..len).unwrap_or_default())
    }

    /// The last message, with its buffer; empty if it could not be inflated.
    pub(crate) fn into_message(mut self) -> Vec<u8> {
        self.buffer.truncate(self.len);
        self.buffer
    }

    /// Gives back what an unusually large message took: a buffer of more than 64 KiB. O(1).
    pub fn shrink(&mut self) {
        super::shrink(&mut self.buffer);
    }

    /// Memory of it, in bytes; that of the context is known, not asked for. O(1).
    pub fn heap_bytes(&self) -> usize {
        let context = self.context.as_ref().map_or(0, |_| CONTEXT_BYTES);
        context + self.buffer.capacity()
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("heap_bytes", &self.heap_bytes())
            .finish_non_exhaustive()
    }
}

fn new_context() -> Inflate {
    Inflate::new(false, Window::MAX.bits())
}

/// A message that is being inflated.
struct Message<'a> {
    context: &'a mut Inflate,
    buffer: &'a mut Vec<u8>,
    len: usize,
    /// How long it may become, with the byte that is too many.
    room: usize,
    /// Something has come since the beginning, or since the last final block.
    open: bool,
}

impl Message<'_> {
    /// Reads a part of the stream. Each turn reads or writes something, or is the last.
    fn read(&mut self, mut input: &[u8]) -> Result<(), DecodeError> {
        while !input.is_empty() || self.may_have_more() {
            self.make_room(input.len());
            let end = self.room.min(self.buffer.len());
            let into = self.buffer.get_mut(self.len..end).unwrap_or_default();
            let (read, written) = (self.context.total_in(), self.context.total_out());
            let status = self
                .context
                .decompress(input, into, InflateFlush::SyncFlush);
            // Neither is more than what was lent.
            let read = (self.context.total_in() - read) as usize;
            let written = (self.context.total_out() - written) as usize;
            input = input.get(read..).unwrap_or_default();
            self.len += written;
            // Whatever is wrong behind the byte that is too many.
            if self.len >= self.room {
                return Err(DecodeError::MessageTooLarge);
            }
            let status = status.map_err(|_| DecodeError::CorruptDeflate)?;
            self.open = status != Status::StreamEnd;
            if !self.open {
                self.context.reset(false);
            } else if read == 0 && written == 0 {
                break;
            }
        }
        if input.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::CorruptDeflate)
        }
    }

    /// Whether what has been read may stand for more than there was room for.
    fn may_have_more(&self) -> bool {
        self.open && self.len == self.room.min(self.buffer.len())
    }

    /// Makes room for at least one byte, for what so much input may come to.
    fn make_room(&mut self, input_bytes: usize) {
        if self.len == self.buffer.len() {
            let likely = input_bytes.saturating_mul(4).max(SMALLEST_BYTES);
            let bytes = self
                .len
                .saturating_add(likely)
                .max(self.len.saturating_mul(2))
                .min(self.room);
            self.buffer.reserve_exact(bytes - self.len);
            self.buffer.resize(bytes, 0);
        }
    }
}

/// What the sender left out, and after it an empty block that says to be the last one: the stream ends with it exactly
/// if the payload stopped where a block did.
const ENDING: [u8; 9] = [
    TAIL[0], TAIL[1], TAIL[2], TAIL[3], 0x01, 0x00, 0x00, 0xff, 0xff,
];

/// The first buffer, which most messages fit.
const SMALLEST_BYTES: usize = 4 * 1024;

/// What one allocates, whatever its window.
const CONTEXT_BYTES: usize = 47_552;

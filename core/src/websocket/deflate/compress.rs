//! From messages to compressed payloads (RFC 7692 section 7.2.1).

use core::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

use super::{TAIL, Window};

/// How hard to try, as zlib counts. What is out of range is taken for what is nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Time: 1 (fast) to 9 (small).
    pub level: u8,
    /// Memory: 1 to 9.
    pub memory_level: u8,
}

impl Effort {
    /// Level 3 and memory level 7: live messages are better fast than small.
    pub const DEFAULT: Self = Self {
        level: 3,
        memory_level: 7,
    };

    const fn clamped(self) -> Self {
        Self {
            level: clamp(self.level),
            memory_level: clamp(self.memory_level),
        }
    }
}

const fn clamp(level: u8) -> u8 {
    match level {
        0 => 1,
        1..=9 => level,
        _ => 9,
    }
}

/// Compresses one message after the other; between them it remembers nothing.
///
/// Holds nothing until the first message, then one context for each window in use (323 KB for the largest, 202 KB for
/// the smallest, at the default effort), and a buffer, of which [`shrink`](Self::shrink) gives back what is unusual.
pub struct Compressors {
    effort: Effort,
    contexts: [Option<Deflate>; Window::ALL.len()],
    /// All of it is written: only growing costs zeros.
    buffer: Vec<u8>,
}

impl Compressors {
    /// Those that have not compressed anything. Allocates nothing.
    pub const fn new(effort: Effort) -> Self {
        Self {
            effort: effort.clamped(),
            contexts: [const { None }; Window::ALL.len()],
            buffer: Vec::new(),
        }
    }

    /// The payload that stands for `message`, for a receiver whose window is at least `window`: of one frame with RSV1,
    /// or of the fragments of one. `None` if it would not be shorter than the message. O(message).
    pub fn compress(&mut self, window: Window, message: &[u8]) -> Option<&[u8]> {
        // For whatever a message comes to: a context that ran out of room is not to be trusted any more.
        let pieces = message.len() / piece_bytes(self.effort) + 1;
        // Some of the fixed codes take nine bits for a byte; level 1 stores nothing, and no level what lies farther back
        // than its window.
        let codes = message.len() / 8;
        let room = message.len() + codes + pieces * BLOCK_BYTES;
        if self.buffer.len() < room {
            self.buffer.reserve_exact(room - self.buffer.len());
            self.buffer.resize(room, 0);
        }
        let context = self.contexts.get_mut(window.index())?;
        let context = context.get_or_insert_with(|| new_context(window, self.effort));
        let into = self.buffer.get_mut(..room)?;
        let written = write_all(context, message, into, piece_bytes(self.effort));
        let Some(written) = written else {
            self.contexts[window.index()] = None;
            return None;
        };
        context.reset();
        let payload = self.buffer.get(..written)?.strip_suffix(&TAIL)?;
        (payload.len() < message.len()).then_some(payload)
    }

    /// Gives back what an unusually large message took: a buffer of more than 64 KiB. O(1).
    pub fn shrink(&mut self) {
        super::shrink(&mut self.buffer);
    }

    /// Memory of it, in bytes; that of the contexts is known, not asked for. O(1).
    pub fn heap_bytes(&self) -> usize {
        let contexts = Window::ALL.into_iter().zip(&self.contexts);
        let made = contexts.filter(|(_, context)| context.is_some());
        let contexts = made.map(|(window, _)| context_bytes(window, self.effort));
        contexts.sum::<usize>() + self.buffer.capacity()
    }
}

impl fmt::Debug for Compressors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressors")
            .field("effort", &self.effort)
            .field("heap_bytes", &self.heap_bytes())
            .finish_non_exhaustive()
    }
}

/// Compresses all of a message; how many bytes that came to, unless there is no room for them.
///
/// Piece by piece, each a block of its own, with fewer bytes than the table of symbols has places: zlib-rs 0.6.8 panics
/// where it puts in three symbols and there was a place for one, or stores a block that its buffer has no room for.
fn write_all(
    context: &mut Deflate,
    message: &[u8],
    into: &mut [u8],
    piece_bytes: usize,
) -> Option<usize> {
    let mut written = 0;
    let mut pieces = message.chunks(piece_bytes).peekable();
    loop {
        let piece = pieces.next().unwrap_or_default();
        let is_last = pieces.peek().is_none();
        let flush = if is_last {
            DeflateFlush::SyncFlush
        } else {
            DeflateFlush::Block
        };
        let read_before = context.total_in();
        context
            .compress(piece, into.get_mut(written..)?, flush)
            .ok()?;
        written = context.total_out() as usize;
        // Where there is no room left there may be more to come.
        if context.total_in() - read_before < piece.len() as u64 || written >= into.len() {
            return None;
        }
        if is_last {
            return Some(written);
        }
    }
}

/// Fewer than a table of symbols has places.
fn piece_bytes(effort: Effort) -> usize {
    (1 << (effort.memory_level + 6)) - SPARE_SYMBOLS
}

const SPARE_SYMBOLS: usize = 16;

/// More than a block takes beyond its bytes where it is stored, and the end of a message.
const BLOCK_BYTES: usize = 32;

fn new_context(window: Window, effort: Effort) -> Deflate {
    Deflate::new_with_config(DeflateConfig {
        level: i32::from(effort.level),
        // Negative: without the header and the checksum of zlib (RFC 1950).
        window_bits: -i32::from(window.bits()),
        mem_level: i32::from(effort.memory_level),
        ..DeflateConfig::default()
    })
}

/// What one allocates: the window twice, where each of its bytes occurred before, hash heads, symbols.
const fn context_bytes(window: Window, effort: Effort) -> usize {
    let symbols = 1 << (effort.memory_level + 6);
    4 * (1 << window.bits()) + HASH_BYTES + 7 * symbols + STATE_BYTES
}

const HASH_BYTES: usize = 128 * 1024;
const STATE_BYTES: usize = 3_200;

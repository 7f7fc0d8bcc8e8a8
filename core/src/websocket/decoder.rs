//! From received bytes to messages (RFC 6455 sections 5 and 6.2): one connection's reading half.
//!
//! Owns the rules of framing, fragmentation and size, and what has arrived of an unfinished frame. Must not
//! know connections, time, or what a message means.
//!
//! ```text
//!              header complete, payload partly there
//!   Header ──────────────────────────────────────────▶ Payload
//!     ▲ │  ▲                                              │
//!     │ └──┘ payload wholly there: a message or a part    │ payload complete
//!     └───────────────────────────────────────────────────┘
//!   a close frame ─▶ Closed (the rest is discarded)       a broken rule ─▶ Failed (for ever)
//! ```
//!
//! A frame that lies wholly in the input and is a message of its own is unmasked there and lent out: nothing
//! is copied or allocated. Otherwise its payload is unmasked, checked and gathered as it arrives, and the
//! finished message is given away with its buffer, so that between messages a decoder holds no heap at all.
//! Each byte is unmasked, checked and copied at most once, however the input is cut.

use core::mem;
use std::borrow::Cow;

use super::assembly::{Assembly, DataKind, Form};
use super::close::{self, CloseFrame, DecodeError};
use super::header::{self, First, FrameKind, Second};
use super::mask::{apply_mask, rotate_mask};

/// What a fragment is charged against [`MessageLimits::max_message_bytes`], in bytes: a message may have as
/// many fragments as its size limit pays for at this price (1 MiB: 262,144), then it is refused with 1009.
///
/// Empty fragments carry no bytes, so that without a price one message could go on for ever.
pub const FRAGMENT_CHARGE_BYTES: usize = 4;

/// How large what a peer sends may be. Both are inclusive, count payload as it is on the wire (a compressed
/// message: before inflating), and are enforced at the header, before anything is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// The largest payload of one text, binary or continuation frame. Control frames have a limit of their
    /// own: 125 bytes.
    pub max_frame_bytes: usize,
    /// The largest message over all its fragments. Also bounds what a decoder ever holds.
    pub max_message_bytes: usize,
}

impl Default for MessageLimits {
    /// 1 MiB each.
    fn default() -> Self {
        Self {
            max_frame_bytes: 1 << 20,
            max_message_bytes: 1 << 20,
        }
    }
}

/// Which side of the connection reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Frames come from a server: they must not be masked (section 5.1).
    Client,
    /// Frames come from a client: they must be masked (section 5.1).
    Server,
}

/// What the input came to. Lends from the input where it can; what was gathered from pieces is owned, and
/// freed with the step or taken over by the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<'a> {
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// The peer closes: the last step. What follows is discarded (section 5.5.1).
    Close(Option<CloseFrame<'a>>),
    /// A message whose first frame has RSV1: compressed by RFC 7692. Text is not checked for UTF-8 yet. Only
    /// after [`Decoder::allow_rsv1`].
    Compressed {
        /// What it is once inflated.
        kind: DataKind,
        /// The compressed payload of all its fragments.
        payload: Cow<'a, [u8]>,
    },
    /// The input is used up; call again when more has arrived.
    NeedMore,
    /// A ping: answer with a pong of the same payload, at most 125 bytes (section 5.5.2).
    Ping(Cow<'a, [u8]>),
    /// A pong, asked for or not (section 5.5.3).
    Pong(Cow<'a, [u8]>),
    /// A text message.
    Text(Cow<'a, str>),
}

/// Reads one connection's frames (RFC 6455, without extensions). At most 96 bytes, and no heap between
/// messages.
#[derive(Debug)]
pub struct Decoder {
    phase: Phase,
    assembly: Assembly,
    /// What has arrived of a control frame: it may come in the middle of a fragmented message.
    control: Vec<u8>,
    /// How many fragments the message under way has had; 0: none is under way.
    fragments: u32,
    role: Role,
    rsv1_allowed: bool,
}

impl Decoder {
    /// A decoder before the first frame. Allocates nothing.
    pub const fn new(role: Role) -> Self {
        Self {
            phase: Phase::BETWEEN_FRAMES,
            assembly: Assembly::Idle,
            control: Vec::new(),
            fragments: 0,
            role,
            rsv1_allowed: false,
        }
    }

    /// Lets RSV1 through on the first frame of a message, which then comes as [`Step::Compressed`]: for a
    /// connection that negotiated RFC 7692. On other frames RSV1 stays an error.
    #[must_use]
    pub const fn allow_rsv1(mut self) -> Self {
        self.rsv1_allowed = true;
        self
    }

    /// Takes `input` up to the end of the next message or control frame; gives that step and how many bytes
    /// it consumed. [`Step::NeedMore`] means all of them: an unfinished header or payload is kept, so that
    /// nothing is ever handed in twice. Consumed bytes are garbage afterwards, the others are untouched: a
    /// reader may stop after any step, keep the rest and go on with it later.
    ///
    /// O(consumed), independent of how the input is cut. After a close frame everything is consumed and
    /// ignored.
    ///
    /// # Errors
    ///
    /// The first rule that the peer broke, at the first byte that shows it. The connection cannot be read any
    /// further: the same error is given from then on.
    #[inline]
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        limits: &MessageLimits,
    ) -> Result<(Step<'a>, usize), DecodeError> {
        // The common case first, by itself: a message that is all there. Whatever else comes, broken rules
        // included, is read again from its start.
        if self.is_between_frames()
            && let Ok(Some((frame, header_bytes))) = self.read_header(input, limits)
            && frame.is_whole_message()
            && frame.remaining <= input.len() - header_bytes
        {
            let (_, rest) = split(input, header_bytes);
            let (payload, _) = split(rest, frame.remaining);
            return self.lend(frame, payload, header_bytes + frame.remaining);
        }
        self.decode_pieces(input, limits)
    }

    /// [`decode`](Self::decode) for any input.
    #[inline(never)]
    fn decode_pieces<'a>(
        &mut self,
        input: &'a mut [u8],
        limits: &MessageLimits,
    ) -> Result<(Step<'a>, usize), DecodeError> {
        let given = input.len();
        let mut rest = input;
        loop {
            let frame = match self.phase {
                Phase::Header(_) => {
                    let header = self.take_header(rest, limits);
                    let Some((frame, used)) = header.map_err(|error| self.fail(error))? else {
                        return Ok((Step::NeedMore, given));
                    };
                    (_, rest) = split(rest, used);
                    if frame.is_whole_message() && frame.remaining <= rest.len() {
                        let (payload, after) = split(rest, frame.remaining);
                        return self.lend(frame, payload, given - after.len());
                    }
                    self.begin(frame);
                    frame
                }
                Phase::Payload(frame) if !rest.is_empty() => frame,
                Phase::Payload(_) | Phase::Closed => return Ok((Step::NeedMore, given)),
                Phase::Failed(error) => return Err(error),
            };
            let (part, after) = split(rest, frame.remaining);
            rest = after;
            let step = self.gather(frame, part, limits);
            if let Some(step) = step.map_err(|error| self.fail(error))? {
                return Ok((step, given - rest.len()));
            }
        }
    }

    /// Nothing is under way: not a byte of a frame, nor a message between its fragments. Such a decoder reads
    /// on exactly as a new one. O(1).
    pub const fn is_idle(&self) -> bool {
        self.is_between_frames() && self.fragments == 0
    }

    const fn is_between_frames(&self) -> bool {
        matches!(self.phase, Phase::Header(Held { len: 0, .. }))
    }

    /// How much heap is held for an unfinished message or control frame, in bytes: capacity, not length. At
    /// most [`MessageLimits::max_message_bytes`] and 125. O(1).
    pub fn buffered_bytes(&self) -> usize {
        self.assembly.capacity_bytes() + self.control.capacity()
    }

    /// Reads a header from what is held of it and `input`; gives it with how much of `input` it used. `None`:
    /// it is not complete yet, and all of `input` is held now.
    #[inline]
    fn take_header(
        &mut self,
        input: &[u8],
        limits: &MessageLimits,
    ) -> Result<Option<(Frame, usize)>, DecodeError> {
        let Phase::Header(mut held) = self.phase else {
            return Ok(None);
        };
        let held_bytes = usize::from(held.len);
        for (place, &byte) in held.bytes.iter_mut().skip(held_bytes).zip(input) {
            *place = byte;
            held.len += 1;
        }
        let known = held.bytes.get(..usize::from(held.len)).unwrap_or_default();
        let Some((frame, header_bytes)) = self.read_header(known, limits)? else {
            self.phase = Phase::Header(held);
            return Ok(None);
        };
        self.phase = Phase::BETWEEN_FRAMES;
        Ok(Some((frame, header_bytes.saturating_sub(held_bytes))))
    }

    /// Checks as much of a header as `bytes` holds, in the order of its bytes; gives it with its length once
    /// it is complete. O(1).
    #[inline]
    fn read_header(
        &self,
        bytes: &[u8],
        limits: &MessageLimits,
    ) -> Result<Option<(Frame, usize)>, DecodeError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let first = First(first);
        let kind = self.check_first(first, limits)?;
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let second = Second(second);
        self.check_second(kind, second)?;
        let length = second.length(rest);
        self.check_length(kind, &length, limits)?;
        let Some(rest) = rest.get(length.field_bytes..) else {
            return Ok(None);
        };
        let mut header_bytes = 2 + length.field_bytes;
        let mut key = [0; 4];
        if second.masked() {
            let Some((mask, _)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            key = *mask;
            header_bytes += key.len();
        }
        let frame = Frame {
            // Within a limit that is a usize.
            remaining: length.least as usize,
            key,
            kind,
            fin: first.fin(),
            rsv1: first.rsv1(),
        };
        Ok(Some((frame, header_bytes)))
    }

    #[inline]
    fn check_first(&self, first: First, limits: &MessageLimits) -> Result<FrameKind, DecodeError> {
        let kind = first.kind().ok_or(DecodeError::ReservedOpcode)?;
        let starts_message = matches!(kind, FrameKind::Text | FrameKind::Binary);
        let rsv1_explained = self.rsv1_allowed && starts_message;
        if first.rsv2_or_rsv3() || first.rsv1() && !rsv1_explained {
            return Err(DecodeError::ReservedBits);
        }
        if kind.is_control() {
            return if first.fin() {
                Ok(kind)
            } else {
                Err(DecodeError::FragmentedControl)
            };
        }
        match (starts_message, self.fragments) {
            (true, 1..) => return Err(DecodeError::ExpectedContinuation),
            (false, 0) => return Err(DecodeError::UnexpectedContinuation),
            _ => {}
        }
        let is_fragment = !(starts_message && first.fin());
        if is_fragment && self.charge_with_next() > limits.max_message_bytes as u64 {
            return Err(DecodeError::TooManyFragments);
        }
        Ok(kind)
    }

    #[inline]
    fn check_second(&self, kind: FrameKind, second: Second) -> Result<(), DecodeError> {
        match (self.role, second.masked()) {
            (Role::Client, true) => return Err(DecodeError::MaskedFrame),
            (Role::Server, false) => return Err(DecodeError::UnmaskedFrame),
            _ => {}
        }
        match (kind, second.short_length()) {
            (FrameKind::Close, 1) => Err(DecodeError::CloseTooShort),
            (_, 126..) if kind.is_control() => Err(DecodeError::ControlTooLong),
            _ => Ok(()),
        }
    }

    #[inline]
    fn check_length(
        &self,
        kind: FrameKind,
        length: &header::Length,
        limits: &MessageLimits,
    ) -> Result<(), DecodeError> {
        if length.overflows() {
            return Err(DecodeError::LengthOverflow);
        }
        if length.is_overlong() {
            return Err(DecodeError::OverlongLength);
        }
        if kind.is_control() {
            return Ok(());
        }
        // One threshold, the smaller: which error it is must not depend on how many length bytes are there.
        let room = limits
            .max_message_bytes
            .saturating_sub(self.assembly.received_bytes());
        let (most, error) = if limits.max_frame_bytes <= room {
            (limits.max_frame_bytes, DecodeError::FrameTooLarge)
        } else {
            (room, DecodeError::MessageTooLarge)
        };
        if length.least > most as u64 {
            return Err(error);
        }
        Ok(())
    }

    /// The charge for the fragments so far and one more.
    const fn charge_with_next(&self) -> u64 {
        (self.fragments as u64 + 1) * FRAGMENT_CHARGE_BYTES as u64
    }

    /// Prepares for a payload that comes in pieces, or is a fragment.
    fn begin(&mut self, frame: Frame) {
        self.assembly = match (frame.kind, frame.rsv1) {
            (FrameKind::Text, false) => Assembly::text(),
            (FrameKind::Text, true) => Assembly::bytes(Form::Compressed(DataKind::Text)),
            (FrameKind::Binary, false) => Assembly::bytes(Form::Binary),
            (FrameKind::Binary, true) => Assembly::bytes(Form::Compressed(DataKind::Binary)),
            _ => return,
        };
    }

    /// The step of a frame whose payload lies whole in the input; built where it is returned, as
    /// moving it costs more than reading a small frame.
    #[inline]
    fn lend<'a>(
        &mut self,
        frame: Frame,
        payload: &'a mut [u8],
        consumed: usize,
    ) -> Result<(Step<'a>, usize), DecodeError> {
        apply_mask(payload, frame.key);
        let payload = &*payload;
        let kind = match frame.kind {
            FrameKind::Text => DataKind::Text,
            FrameKind::Binary => DataKind::Binary,
            _ => {
                let step = self.control_step(frame.kind, Cow::Borrowed(payload));
                return step
                    .map(|step| (step, consumed))
                    .map_err(|error| self.fail(error));
            }
        };
        if frame.rsv1 {
            let payload = Cow::Borrowed(payload);
            return Ok((Step::Compressed { kind, payload }, consumed));
        }
        match kind {
            DataKind::Binary => Ok((Step::Binary(Cow::Borrowed(payload)), consumed)),
            DataKind::Text => match simdutf8::basic::from_utf8(payload) {
                Ok(text) => Ok((Step::Text(Cow::Borrowed(text)), consumed)),
                Err(_) => Err(self.fail(DecodeError::InvalidUtf8)),
            },
        }
    }

    /// Adds `part`, still masked, to what has arrived of `frame`; gives the step that it completes.
    fn gather(
        &mut self,
        mut frame: Frame,
        part: &mut [u8],
        limits: &MessageLimits,
    ) -> Result<Option<Step<'static>>, DecodeError> {
        if frame.kind.is_control() {
            apply_mask(part, frame.key);
            self.gather_control(frame, part)?;
        } else {
            self.gather_data(frame, part, limits)?;
        }
        frame.key = rotate_mask(frame.key, part.len());
        frame.remaining -= part.len();
        if frame.remaining > 0 {
            self.phase = Phase::Payload(frame);
            return Ok(None);
        }
        self.phase = Phase::BETWEEN_FRAMES;
        if frame.kind.is_control() {
            let payload = mem::take(&mut self.control);
            return self.control_step(frame.kind, Cow::Owned(payload)).map(Some);
        }
        if frame.fin {
            self.fragments = 0;
            return finish(mem::take(&mut self.assembly)).map(Some);
        }
        self.fragments = self.fragments.saturating_add(1);
        Ok(None)
    }

    fn gather_control(&mut self, frame: Frame, part: &[u8]) -> Result<(), DecodeError> {
        // At most 125 bytes: not worth growing step by step.
        self.control.reserve_exact(frame.remaining);
        self.control.extend_from_slice(part);
        if frame.kind == FrameKind::Close {
            close::check_prefix(&self.control)?;
        }
        Ok(())
    }

    fn gather_data(
        &mut self,
        frame: Frame,
        part: &mut [u8],
        limits: &MessageLimits,
    ) -> Result<(), DecodeError> {
        let bound_bytes = if frame.fin {
            self.assembly.received_bytes() + frame.remaining
        } else {
            limits.max_message_bytes
        };
        self.assembly
            .push(part, frame.key, bound_bytes)
            .map_err(|_| DecodeError::InvalidUtf8)
    }

    fn control_step<'a>(
        &mut self,
        kind: FrameKind,
        payload: Cow<'a, [u8]>,
    ) -> Result<Step<'a>, DecodeError> {
        match kind {
            FrameKind::Ping => Ok(Step::Ping(payload)),
            FrameKind::Pong => Ok(Step::Pong(payload)),
            _ => {
                let frame = close::parse(payload)?;
                self.end(Phase::Closed);
                Ok(Step::Close(frame))
            }
        }
    }

    /// Makes `error` the last word.
    #[cold]
    fn fail(&mut self, error: DecodeError) -> DecodeError {
        self.end(Phase::Failed(error));
        error
    }

    /// Nothing more will be read: gives back every buffer.
    #[cold]
    fn end(&mut self, phase: Phase) {
        self.phase = phase;
        self.assembly = Assembly::Idle;
        self.control = Vec::new();
        self.fragments = 0;
    }
}

/// Where the next byte belongs.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// To a header.
    Header(Held),
    /// To the payload of this frame.
    Payload(Frame),
    /// Nowhere: the peer closed.
    Closed,
    /// Nowhere: the peer broke a rule.
    Failed(DecodeError),
}

impl Phase {
    const BETWEEN_FRAMES: Self = Self::Header(Held {
        bytes: [0; header::MAX_BYTES],
        len: 0,
    });
}

/// The first bytes of a header. A complete header is never kept; room for one spares a second buffer when
/// the last byte comes.
#[derive(Clone, Copy, Debug)]
struct Held {
    bytes: [u8; header::MAX_BYTES],
    len: u8,
}

/// A frame whose header has been read and allowed.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// How many bytes of its payload are still to come.
    remaining: usize,
    /// The key as it applies to the next byte; zero when the frame is not masked.
    key: [u8; 4],
    kind: FrameKind,
    fin: bool,
    rsv1: bool,
}

impl Frame {
    /// Stands alone: a control frame or an unfragmented message.
    const fn is_whole_message(&self) -> bool {
        self.fin && !matches!(self.kind, FrameKind::Continuation)
    }
}

/// The step of a message that was gathered from pieces.
fn finish(assembly: Assembly) -> Result<Step<'static>, DecodeError> {
    match assembly {
        Assembly::Text { text, validator } if validator.is_complete() => {
            Ok(Step::Text(Cow::Owned(text)))
        }
        Assembly::Text { .. } => Err(DecodeError::InvalidUtf8),
        Assembly::Bytes { bytes, form } => Ok(match form {
            Form::Binary => Step::Binary(Cow::Owned(bytes)),
            Form::Compressed(kind) => Step::Compressed {
                kind,
                payload: Cow::Owned(bytes),
            },
        }),
        // A message under way always has an assembly; reading nothing is the harmless answer.
        Assembly::Idle => Ok(Step::NeedMore),
    }
}

/// Cuts `bytes` at `at`, or at its end.
#[inline]
fn split(bytes: &mut [u8], at: usize) -> (&mut [u8], &mut [u8]) {
    let at = at.min(bytes.len());
    bytes.split_at_mut(at)
}

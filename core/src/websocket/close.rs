//! Why connections are closed (RFC 6455 section 7): close codes, what a close frame says, and the table from
//! a broken rule to the code it is answered with. Knows nothing of connections.

use std::borrow::Cow;

use thiserror::Error;

use super::CloseCode;
use super::utf8;

/// What a peer's close frame said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// Why. Always one of those that [`is_sendable_close_code`] allows. 1014 (bad gateway) has no name in
    /// this type: it appears as a plain number, and `CloseCode::is_allowed` denies it.
    pub code: CloseCode,
    /// For people; at most 123 bytes, often empty. Untrusted text.
    pub reason: Cow<'a, str>,
}

/// A rule of RFC 6455, or a limit, that a peer broke. The connection is lost: send [`close_code`] and close.
///
/// [`close_code`]: Self::close_code
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A close frame carries a code that must not appear on the wire (section 7.4).
    #[error("close code {0} must not be sent")]
    CloseCode(u16),
    /// A close frame's payload is a single byte (section 5.5.1).
    #[error("a close frame of one byte")]
    CloseTooShort,
    /// A control frame claims more than 125 bytes (section 5.5).
    #[error("a control frame longer than 125 bytes")]
    ControlTooLong,
    /// A new message started before the last fragment of the one before it (section 5.4).
    #[error("a new message inside a fragmented one")]
    ExpectedContinuation,
    /// What a compressed message holds is not DEFLATE, or stops in the middle of a block (RFC 7692 section 7.2.2).
    #[error("a compressed message that cannot be inflated")]
    CorruptDeflate,
    /// A control frame without FIN (section 5.5).
    #[error("a fragmented control frame")]
    FragmentedControl,
    /// A frame claims more than `MessageLimits::max_frame_bytes`.
    #[error("a frame over the size limit")]
    FrameTooLarge,
    /// Text, or the reason of a close frame, is not UTF-8 (section 8.1).
    #[error("text that is not UTF-8")]
    InvalidUtf8,
    /// A 64-bit length with the highest bit set (section 5.2).
    #[error("a length with the highest bit set")]
    LengthOverflow,
    /// A server masked a frame (section 5.1).
    #[error("a masked frame from a server")]
    MaskedFrame,
    /// A message would exceed `MessageLimits::max_message_bytes`.
    #[error("a message over the size limit")]
    MessageTooLarge,
    /// A length that is not in its shortest form (section 5.2).
    #[error("a length that is not in its shortest form")]
    OverlongLength,
    /// A reserved bit is set which no extension explains (section 5.2).
    #[error("a reserved bit is set")]
    ReservedBits,
    /// An opcode that has no meaning (section 5.2).
    #[error("a reserved opcode")]
    ReservedOpcode,
    /// A message came in more fragments than its size limit pays for
    /// ([`FRAGMENT_CHARGE_BYTES`](super::FRAGMENT_CHARGE_BYTES)).
    #[error("a message in too many fragments")]
    TooManyFragments,
    /// A continuation without a message to continue (section 5.4).
    #[error("a continuation of nothing")]
    UnexpectedContinuation,
    /// A client did not mask a frame (section 5.1).
    #[error("an unmasked frame from a client")]
    UnmaskedFrame,
}

impl DecodeError {
    /// The code to close with (section 7.4.1): 1007 for text that is not UTF-8 and for what cannot be inflated,
    /// 1009 for a limit, 1002 for every other rule.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::CorruptDeflate | Self::InvalidUtf8 => CloseCode::Invalid,
            Self::FrameTooLarge | Self::MessageTooLarge | Self::TooManyFragments => CloseCode::Size,
            Self::CloseCode(_)
            | Self::CloseTooShort
            | Self::ControlTooLong
            | Self::ExpectedContinuation
            | Self::FragmentedControl
            | Self::LengthOverflow
            | Self::MaskedFrame
            | Self::OverlongLength
            | Self::ReservedBits
            | Self::ReservedOpcode
            | Self::UnexpectedContinuation
            | Self::UnmaskedFrame => CloseCode::Protocol,
        }
    }
}

/// Whether a close frame may carry `code`: 1000 to 1003, 1007 to 1014, 3000 to 4999 (section 7.4 and the
/// IANA registry). The others are reserved, or stand for what is never sent (1005, 1006, 1015).
pub const fn is_sendable_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Checks what has arrived of a close frame's payload. O(`payload`), which is at most 125 bytes.
pub(super) fn check_prefix(payload: &[u8]) -> Result<(), DecodeError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return Ok(());
    };
    check_code(*code)?;
    if utf8::is_valid_prefix(reason) {
        Ok(())
    } else {
        Err(DecodeError::InvalidUtf8)
    }
}

/// Reads a close frame's whole payload: nothing, or a code and a reason.
pub(super) fn parse(payload: Cow<'_, [u8]>) -> Result<Option<CloseFrame<'_>>, DecodeError> {
    if payload.is_empty() {
        return Ok(None);
    }
    let Some((&code, _)) = payload.split_first_chunk() else {
        return Err(DecodeError::CloseTooShort);
    };
    let code = check_code(code)?;
    let reason = match payload {
        Cow::Borrowed(bytes) => core::str::from_utf8(bytes.get(2..).unwrap_or_default())
            .map(Cow::Borrowed)
            .map_err(|_| DecodeError::InvalidUtf8)?,
        Cow::Owned(bytes) => bytes
            .get(2..)
            .and_then(|reason| core::str::from_utf8(reason).ok())
            .map(|reason| Cow::Owned(reason.to_owned()))
            .ok_or(DecodeError::InvalidUtf8)?,
    };
    Ok(Some(CloseFrame { code, reason }))
}

fn check_code(code: [u8; 2]) -> Result<CloseCode, DecodeError> {
    let code = u16::from_be_bytes(code);
    if is_sendable_close_code(code) {
        Ok(CloseCode::from(code))
    } else {
        Err(DecodeError::CloseCode(code))
    }
}

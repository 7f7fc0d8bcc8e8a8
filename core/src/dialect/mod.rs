//! Wire dialects: bytes to neutral messages and back.
//!
//! A dialect knows spellings and shapes, never rooms, permissions or sockets.

pub mod binary;
pub mod json;

use core::fmt;

use crate::error::ErrorCode;
use crate::message::Asked;

/// Why something was refused, without the request it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// From the closed list.
    pub code: ErrorCode,
    /// For people. Never the client's own text.
    pub message: &'static str,
}

impl Refusal {
    pub(crate) const fn new(code: ErrorCode, message: &'static str) -> Self {
        Self { code, message }
    }

    pub(crate) const fn bad_message(message: &'static str) -> Self {
        Self::new(ErrorCode::BadMessage, message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl core::error::Error for Refusal {}

/// A message that is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// What the error answers: the message's `id`, if it had a valid one; nothing, if it was none of its dialect.
    pub asked: Asked<'a>,
    /// What is wrong.
    pub refusal: Refusal,
    /// It would have announced a file whose body is the next binary message, which therefore says nothing now.
    pub body_follows: bool,
}

impl<'a> Rejected<'a> {
    pub(crate) const fn new(asked: Asked<'a>, refusal: Refusal) -> Self {
        Self {
            asked,
            refusal,
            body_follows: false,
        }
    }
}

impl fmt::Display for Rejected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.refusal, f)
    }
}

impl core::error::Error for Rejected<'_> {}

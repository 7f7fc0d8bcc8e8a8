//! Extension offers: the syntax of `Sec-WebSocket-Extensions` (RFC 6455 9.1), walked where it stands in the request.
//!
//! Which of them are accepted is decided by the extension: [`deflate::negotiation`](super::super::deflate::negotiation).

use std::borrow::Cow;

use crate::http::syntax::{is_token, is_token_byte};
use crate::http::{Headers, Refusal, RequestHead};

/// The extensions that a client offers, in its order of preference, from all header fields; the syntax has been
/// checked. Iterating allocates nothing.
#[derive(Clone, Debug)]
pub struct Offers<'a> {
    fields: Headers<'a>,
    /// What is left of the field at hand.
    cursor: Cursor<'a>,
}

impl<'a> Offers<'a> {
    /// Collects the offers of a request. O(head).
    ///
    /// # Errors
    ///
    /// 400 if one is malformed.
    pub fn of(head: &RequestHead<'a>) -> Result<Self, Refusal> {
        let fields = head.headers();
        each_offer(fields, |_| ())?;
        Ok(Self {
            fields,
            cursor: Cursor { rest: "" },
        })
    }
}

/// Hands over each offer in some of a request's header fields while their syntax is checked. O(fields).
///
/// # Errors
///
/// 400 if one is malformed, also after those that were handed over.
pub(super) fn each_offer<'a>(
    fields: Headers<'a>,
    mut take: impl FnMut(Offer<'a>),
) -> Result<(), Refusal> {
    const MALFORMED: Refusal =
        Refusal::bad_request("The Sec-WebSocket-Extensions header is malformed");
    for value in fields.values(NAME) {
        let mut cursor = Cursor::new(value).ok_or(MALFORMED)?;
        let mut is_empty = true;
        while cursor.skip_commas() {
            take(cursor.offer().ok_or(MALFORMED)?);
            is_empty = false;
        }
        if is_empty {
            return Err(MALFORMED);
        }
    }
    Ok(())
}

impl<'a> Iterator for Offers<'a> {
    type Item = Offer<'a>;

    fn next(&mut self) -> Option<Offer<'a>> {
        while !self.cursor.skip_commas() {
            let (_, value) = self
                .fields
                .find(|(name, _)| name.eq_ignore_ascii_case(NAME))?;
            self.cursor = Cursor::new(value)?;
        }
        self.cursor.offer()
    }
}

/// The elements of one header field in order; `None` if it is malformed or has none. O(`value`).
pub(crate) fn elements(value: &[u8]) -> Option<Vec<Offer<'_>>> {
    let mut cursor = Cursor::new(value)?;
    let mut found = Vec::new();
    while cursor.skip_commas() {
        found.push(cursor.offer()?);
    }
    (!found.is_empty()).then_some(found)
}

/// One extension and its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer<'a> {
    name: &'a str,
    /// `; name=value; name`, or nothing.
    parameters: &'a str,
}

impl<'a> Offer<'a> {
    /// The extension's registered name.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// Its parameters in order, duplicates included. O(parameters) to walk; allocates only for a value with
    /// escapes, which none needs.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a str, Option<Cow<'a, str>>)> + use<'a> {
        let mut cursor = Cursor {
            rest: self.parameters,
        };
        core::iter::from_fn(move || cursor.parameter())
    }
}

/// Reads one header field from the front.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// `None` for a field that is not ASCII.
    fn new(value: &'a [u8]) -> Option<Self> {
        let rest = core::str::from_utf8(value).ok()?;
        rest.is_ascii().then_some(Self { rest })
    }

    /// Passes empty list elements; whether anything follows.
    fn skip_commas(&mut self) -> bool {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        !self.rest.is_empty()
    }

    /// `token *( ";" parameter )`, up to a comma or the end. `None` if malformed.
    fn offer(&mut self) -> Option<Offer<'a>> {
        let name = self.token()?;
        let start = self.rest;
        while self.peek() == Some(b';') {
            self.parameter()?;
        }
        let parameters = start.get(..start.len() - self.rest.len())?;
        matches!(self.peek(), None | Some(b',')).then_some(Offer { name, parameters })
    }

    /// `";" token [ "=" ( token / quoted-string ) ]`. A quoted value, unquoted, must be a token too.
    fn parameter(&mut self) -> Option<(&'a str, Option<Cow<'a, str>>)> {
        self.eat(b';')?;
        let name = self.token()?;
        if self.eat(b'=').is_none() {
            return Some((name, None));
        }
        let value = if self.peek() == Some(b'"') {
            self.quoted()?
        } else {
            Cow::Borrowed(self.token()?)
        };
        Some((name, Some(value)))
    }

    fn token(&mut self) -> Option<&'a str> {
        self.skip_spaces();
        let mut bytes = self.rest.bytes();
        let end = bytes.position(|byte| !is_token_byte(byte));
        let end = end.unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    fn quoted(&mut self) -> Option<Cow<'a, str>> {
        self.eat(b'"')?;
        let mut escaped = false;
        let end = self.rest.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        self.eat(b'"')?;
        let value = unescape(text)?;
        is_token(value.as_bytes()).then_some(value)
    }

    /// Passes `byte`, if that is next after white space.
    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then_some(())?;
        self.rest = self.rest.get(1..)?;
        Some(())
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_spaces();
        self.rest.bytes().next()
    }

    fn skip_spaces(&mut self) {
        while let Some(rest) = self.rest.strip_prefix([' ', '\t']) {
            self.rest = rest;
        }
    }
}

/// Undoes `\c`. `None` for a backslash at the end.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next()? } else { c });
    }
    Some(Cow::Owned(plain))
}

/// The header field that lists them.
pub(super) const NAME: &str = "sec-websocket-extensions";

//! Raw access to JSON text: the fields of one object, strings, nesting.
//!
//! Knows JSON (RFC 8259) and no message. Every function is total and linear in its input.

#[cfg(test)]
pub(in crate::dialect) mod tests;

use core::fmt;
use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr2_iter};
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why text has no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum Malformed {
    /// Not JSON.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
}

/// Calls `visit` with key and value of every field of the object `text`, in order, both raw (a key has its
/// quotes). On an error some fields may have been visited.
///
/// Values are checked to be JSON and skipped without recursion. The skipping remembers one byte per level
/// of nesting, at most as many as `text` has.
pub(in crate::dialect) fn for_each_field<'a>(
    text: &'a str,
    visit: impl FnMut(&'a str, &'a str),
) -> Result<(), Malformed> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err(if is_json(text) {
            Malformed::NotAnObject
        } else {
            Malformed::NotJson
        });
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer
        .deserialize_map(Fields(visit))
        .and_then(|()| deserializer.end())
        .map_err(|_| Malformed::NotJson)
}

/// Whether `text` is one JSON value, with or without space around it.
pub(in crate::dialect) fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The text of a raw JSON string. `None` for anything else, and for a string with a lone surrogate, which
/// no text can hold. Copies only when there are escapes.
pub(in crate::dialect) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let text = unquoted(raw)?;
    if memchr(b'\\', text.as_bytes()).is_none() {
        return Some(Cow::Borrowed(text));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

/// What stands between the quotes of a raw JSON string, escapes and all.
pub(super) fn unquoted(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

/// The elements of a raw JSON array, in order, each raw. Linear in all of it.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    rest: &'a str,
}

impl<'a> Elements<'a> {
    /// Looks into a raw JSON array; `None` for anything else.
    pub(crate) fn of(raw: &'a str) -> Option<Self> {
        let rest = raw.strip_prefix('[')?;
        Some(Self { rest })
    }

    /// Goes on with the last bytes of an array.
    pub(crate) const fn rest(rest: &'a str) -> Self {
        Self { rest }
    }

    /// How many bytes have not been looked at.
    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_ascii_start();
        let length = element_bytes(rest.as_bytes());
        let (element, rest) = rest.split_at_checked(length)?;
        self.rest = rest.strip_prefix(',').unwrap_or_default();
        let element = element.trim_ascii_end();
        (!element.is_empty()).then_some(element)
    }
}

/// How long the first element is, which a comma or the array's own bracket ends.
fn element_bytes(text: &[u8]) -> usize {
    let (mut rest, mut depth) = (text, 0_usize);
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b',' | b']' if depth == 0 => break,
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        rest = if byte == b'"' {
            after_string(tail)
        } else {
            tail
        };
    }
    text.len() - rest.len()
}

/// Whether raw JSON is a string.
pub(in crate::dialect) fn is_string(raw: &str) -> bool {
    raw.starts_with('"')
}

/// Whether raw JSON is an object.
pub(super) fn is_object(raw: &str) -> bool {
    raw.starts_with('{')
}

/// Whether raw JSON is a number.
pub(super) fn is_number(raw: &str) -> bool {
    raw.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// Whether raw JSON is neither an object nor an array.
pub(super) fn is_scalar(raw: &str) -> bool {
    !raw.starts_with(['{', '['])
}

/// Whether the JSON `text` is nested deeper than `max_depth`.
pub(in crate::dialect) fn is_deeper_than(text: &str, max_depth: u32) -> bool {
    // A level takes two brackets, so short text cannot be deeper, nor can text with no more opening brackets
    // than levels: nearly every message is one or the other.
    let levels = usize::try_from(max_depth).unwrap_or(usize::MAX);
    text.len() / 2 > levels
        && memchr2_iter(b'[', b'{', text.as_bytes())
            .nth(levels)
            .is_some()
        && depth_exceeds(text.as_bytes(), max_depth)
}

fn depth_exceeds(mut rest: &[u8], max_depth: u32) -> bool {
    let mut depth = 0_u32;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'[' | b'{' if depth >= max_depth => return true,
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(rest),
            _ => {}
        }
    }
    false
}

/// What follows the string whose opening quote stood before `rest`.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let (_, tail) = rest.split_at_checked(at).unwrap_or_default();
        match tail {
            [b'\\', _, tail @ ..] => rest = tail,
            [_, tail @ ..] => return tail,
            [] => break,
        }
    }
    &[]
}

struct Fields<F>(F);

impl<'de, F: FnMut(&'de str, &'de str)> Visitor<'de> for Fields<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        // A key is taken raw too: a string type would refuse a key with a lone surrogate, which is JSON.
        while let Some(key) = map.next_key::<&'de RawValue>()? {
            let value = map.next_value::<&'de RawValue>()?;
            (self.0)(key.get(), value.get());
        }
        Ok(())
    }
}

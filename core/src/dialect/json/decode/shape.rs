//! What takes long to find out about a message, kept apart from its text: where each field that a message can have
//! stands, once all of it has been found to be JSON, and whether it is nested too deeply.
//!
//! Owned, small whatever the message, and a pure function of it: it can be made elsewhere.

use core::ops::Range;

use super::Fields;
use crate::dialect::Refusal;
use crate::dialect::json::JsonLimits;

/// The shape of one text. Of use only with that text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Where the value of each slot stands; or why the text has none.
    values: Result<Box<[Option<Range<usize>>]>, Refusal>,
    /// Fields, those that no message has included.
    count: usize,
    too_deep: bool,
}

impl Shape {
    /// Reads all of `text`. O(`text`).
    pub(crate) fn of(text: &str, limits: &JsonLimits) -> Self {
        match Fields::read(text) {
            Ok(mut fields) => Self {
                too_deep: fields.is_too_deep(text, limits),
                count: fields.count,
                values: Ok(fields.slots().map(|slot| place(text, *slot)).collect()),
            },
            Err(refusal) => Self {
                values: Err(refusal),
                count: 0,
                too_deep: false,
            },
        }
    }

    /// The fields of the text that it is the shape of. O(fields that a message can have).
    pub(super) fn fields<'a>(&self, text: &'a str) -> Result<Fields<'a>, Refusal> {
        let values = self.values.as_ref().map_err(|refusal| *refusal)?;
        let mut fields = Fields {
            count: self.count,
            ..Fields::default()
        };
        for (slot, value) in fields.slots().zip(values) {
            *slot = value.clone().and_then(|range| text.get(range));
        }
        Ok(fields)
    }

    /// Whether the text is nested more deeply than it may be.
    pub(super) const fn is_too_deep(&self) -> bool {
        self.too_deep
    }

    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.values.as_deref().map_or(0, size_of_val)
    }
}

/// Where a part of `text` stands in it.
fn place(text: &str, part: Option<&str>) -> Option<Range<usize>> {
    let part = part?;
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    Some(start..start.saturating_add(part.len()))
}

//! A client's metadata: one JSON object, changed by shallow merges, values kept byte for byte.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::object::{for_each_field, string};
use crate::config::Limits;
use crate::dialect::Refusal;
use crate::error::ErrorCode;

/// Bounds of one client's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataLimits {
    /// The whole object as JSON.
    pub max_bytes: usize,
    /// Its keys.
    pub max_keys: usize,
}

impl From<&Limits> for MetadataLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            max_bytes: limits.max_metadata_bytes,
            max_keys: limits.max_metadata_keys,
        }
    }
}

/// A JSON object of application values. Empty metadata owns no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    // The object as it is sent, keys in their canonical spelling; empty for `{}`.
    json: Box<str>,
}

impl Metadata {
    /// The object as raw JSON. O(1).
    pub fn as_json(&self) -> &str {
        if self.json.is_empty() {
            "{}"
        } else {
            &self.json
        }
    }

    /// Memory that it owns. O(1).
    pub(crate) fn heap_bytes(&self) -> usize {
        self.json.len()
    }

    /// Whether it has no key. O(1).
    pub fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    /// Takes every field of the object `patch`: `null` deletes its key, any other value replaces it in its
    /// place or goes to the end. Values keep their bytes; no key means anything special.
    ///
    /// O(n log n) in the keys of both, linear in their bytes.
    ///
    /// # Errors
    /// Nothing changes.
    /// - [`ErrorCode::TooLarge`]: more keys or bytes than `limits` allow, or a patch with more than twice as
    ///   many fields (enough to replace every key by another).
    /// - [`ErrorCode::BadMessage`]: no object, or a key that is no text (a lone surrogate).
    pub fn merge(&mut self, patch: &str, limits: &MetadataLimits) -> Result<(), Refusal> {
        let mut merged = Merged::default();
        merged.take(self.as_json(), usize::MAX)?;
        merged.take(patch, limits.max_keys.saturating_mul(2))?;
        let json = merged.into_json(limits)?;
        self.json = json;
        Ok(())
    }
}

/// Key, canonically spelled, to the place of its first appearance and its value.
#[derive(Default)]
struct Merged<'a> {
    fields: BTreeMap<Cow<'a, str>, (usize, &'a str)>,
    seen: usize,
}

impl<'a> Merged<'a> {
    fn take(&mut self, object: &'a str, max_fields: usize) -> Result<(), Refusal> {
        let mut refusal = None;
        let last = self.seen.saturating_add(max_fields);
        for_each_field(object, |key, value| {
            if refusal.is_none() {
                refusal = self.set(key, value, last).err();
            }
        })
        .map_err(|_| Refusal::bad_message("`metadata` must be an object"))?;
        refusal.map_or(Ok(()), Err)
    }

    fn set(&mut self, key: &'a str, value: &'a str, last: usize) -> Result<(), Refusal> {
        if self.seen >= last {
            return Err(TOO_MANY_KEYS);
        }
        self.seen = self.seen.saturating_add(1);
        let key = canonical(key).ok_or(BAD_KEY)?;
        if value == "null" {
            self.fields.remove(&key);
        } else {
            self.fields.entry(key).or_insert((self.seen, value)).1 = value;
        }
        Ok(())
    }

    fn into_json(self, limits: &MetadataLimits) -> Result<Box<str>, Refusal> {
        if self.fields.is_empty() {
            return Ok(Box::default());
        }
        if self.fields.len() > limits.max_keys {
            return Err(TOO_MANY_KEYS);
        }
        // Each field has a colon and a separator; the last separator is the closing brace.
        let field_bytes = self.fields.iter().map(|(key, (_, value))| {
            key.len()
                .saturating_add(value.len())
                .saturating_add(b":,".len())
        });
        let bytes = field_bytes.fold(b"{".len(), usize::saturating_add);
        if bytes > limits.max_bytes {
            return Err(Refusal::new(
                ErrorCode::TooLarge,
                "the metadata has too many bytes",
            ));
        }
        let mut fields: Vec<_> = self.fields.into_iter().collect();
        fields.sort_unstable_by_key(|(_, (place, _))| *place);
        let mut json = String::with_capacity(bytes);
        let mut separator = '{';
        for (key, (_, value)) in fields {
            json.push(separator);
            json.push_str(&key);
            json.push(':');
            json.push_str(value);
            separator = ',';
        }
        json.push('}');
        Ok(json.into_boxed_str())
    }
}

/// A raw key in the one spelling that equal keys share: only what must be escaped is.
fn canonical(key: &str) -> Option<Cow<'_, str>> {
    match string(key)? {
        Cow::Borrowed(_) => Some(Cow::Borrowed(key)),
        Cow::Owned(text) => serde_json::to_string(&text).ok().map(Cow::Owned),
    }
}

const BAD_KEY: Refusal = Refusal::bad_message("a key of `metadata` is not valid text");
const TOO_MANY_KEYS: Refusal = Refusal::new(ErrorCode::TooLarge, "the metadata has too many keys");

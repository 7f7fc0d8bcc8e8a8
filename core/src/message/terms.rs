//! What a sender asks of a message besides that it is told.

use std::borrow::Cow;

/// How long a message is of use, and what makes it the same as another. By default nothing is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms<'a> {
    /// The sender's own name for it: what comes under the same name again, to the same room or client, is the same
    /// message and not told twice.
    pub message_id: Option<Cow<'a, str>>,
    /// For how long after it was said somebody who comes back is told of it, ms.
    pub ttl_ms: Option<u32>,
    /// What it tells of: a later one with the same key, of whomever, takes its place in what is kept.
    pub key: Option<Cow<'a, str>>,
}

impl Terms<'_> {
    /// Whether nothing is asked.
    pub const fn is_empty(&self) -> bool {
        self.message_id.is_none() && self.ttl_ms.is_none() && self.key.is_none()
    }

    /// The same, owned, unless nothing is asked.
    pub(crate) fn boxed(&self) -> Option<Box<Terms<'static>>> {
        (!self.is_empty()).then(|| Box::new(self.to_owned()))
    }

    /// The same, owned: to be told to another shard.
    pub(crate) fn to_owned(&self) -> Terms<'static> {
        let owned = |text: &Option<Cow<'_, str>>| text.as_deref().map(|it| it.to_owned().into());
        Terms {
            message_id: owned(&self.message_id),
            ttl_ms: self.ttl_ms,
            key: owned(&self.key),
        }
    }

    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        let length = |text: &Option<Cow<'_, str>>| text.as_deref().map_or(0, str::len);
        length(&self.message_id) + length(&self.key)
    }
}

/// What became of a message that was published under [`Terms`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Its place in the room's log, if there is one.
    pub offset: Option<u64>,
    /// It had been published before, under the same id: this time nobody was told.
    pub duplicate: bool,
}

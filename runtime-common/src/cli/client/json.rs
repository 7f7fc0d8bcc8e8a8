//! The words of the JSON dialect that the clients use: requests, and what an outcome says.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// A request to join.
pub(super) fn join(room: &str, id: &str) -> String {
    format!(
        r#"{{"type":"join","room":{},"id":{}}}"#,
        written(room),
        written(id)
    )
}

/// A request to say `text` in a room.
pub(super) fn say(room: &str, text: &str, id: &str) -> String {
    let (room, text, id) = (written(room), written(text), written(id));
    format!(r#"{{"type":"room_message","room":{room},"data":{text},"id":{id}}}"#)
}

/// A request that does nothing but have an outcome, after those of all before it.
pub(super) fn fence(id: &str) -> String {
    format!(r#"{{"type":"ping","id":{}}}"#, written(id))
}

/// The id of a request, as it is written, if it has one.
pub(super) fn id(request: &str) -> Option<String> {
    Fields::read(request)?.id()
}

/// `text` as a string of JSON.
pub(super) fn written(text: &str) -> String {
    Value::from(text).to_string()
}

/// What a client looks for in a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// As it is written.
    pub(super) id: Option<String>,
    pub(super) refusal: Option<Refusal>,
}

/// What an `error` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retry_after_ms: Option<u64>,
}

/// What a message from the server is about; of a batch, all that is in it. Nothing, if it is no object.
pub(super) fn read(message: &str) -> Vec<Facts> {
    let Some(fields) = Fields::read(message) else {
        return Vec::new();
    };
    let inner: Option<Vec<&RawValue>> = match fields.get::<String>("type").as_deref() {
        Some("batch") => fields
            .raw("messages")
            .and_then(|list| serde_json::from_str(list).ok()),
        _ => None,
    };
    let inner = inner.into_iter().flatten().map(RawValue::get);
    let all = inner.filter_map(Fields::read).chain([fields.clone()]);
    all.map(|fields| fields.facts()).collect()
}

/// The fields of an object, as they are written. Of one that stands there twice, the last.
#[derive(Clone)]
struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.get())
    }

    /// A field of the type that is asked for.
    fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.raw(name)
            .and_then(|text| serde_json::from_str(text).ok())
    }

    fn id(&self) -> Option<String> {
        self.raw("id").filter(|id| *id != "null").map(str::to_owned)
    }

    fn facts(&self) -> Facts {
        let kind: Option<String> = self.get("type");
        let refusal = (kind.as_deref() == Some("error")).then(|| Refusal {
            code: self.get("code").unwrap_or_default(),
            message: self.get("message").unwrap_or_default(),
            retry_after_ms: self.get("retryAfterMs"),
        });
        Facts {
            id: self.id(),
            refusal,
        }
    }
}

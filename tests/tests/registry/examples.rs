//! The examples of PROTOCOL.md are as the registry describes messages.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use roomwire_core::dialect::json::registry;
use serde_json::Value;

use crate::schemas::Schemas;

// They are made once: that takes a while.
static SERVER: LazyLock<Schemas> = LazyLock::new(Schemas::of_server);
static CLIENTS: LazyLock<Schemas> = LazyLock::new(Schemas::of_clients);

/// Looks at what is said and heard in one example.
#[derive(Default)]
pub(crate) struct Looker {
    /// What clients have said that is not as described: it must be refused.
    faults: BTreeMap<String, String>,
    /// What is to be the outcome of a request, by its client and `id`.
    answers: BTreeMap<(String, String), &'static str>,
}

impl Looker {
    /// A client says something.
    pub(crate) fn says(&mut self, name: &str, text: &str) {
        let Ok(Value::Object(mut fields)) = serde_json::from_str(text) else {
            return;
        };
        let kind = fields.get("type").and_then(Value::as_str);
        let Some(entry) = kind.and_then(registry::request) else {
            return;
        };
        // What is not described is skipped.
        let described = |key: &str| entry.shape.fields.iter().any(|field| field.name == key);
        fields.retain(|key, _| matches!(key.as_str(), "type" | "id") || described(key));
        if let Some(Value::Array(parts)) = fields.get_mut("messages") {
            // Each has an outcome of its own.
            parts.retain(|part| part["type"] != "batch" && part.is_object());
            for part in parts {
                self.says(name, &part.to_string());
            }
        }
        if let (Some(id), Some(answer)) = (fields.get("id"), entry.answer) {
            self.answers
                .insert((name.to_owned(), id.to_string()), answer);
        }
        if let Some(fault) = CLIENTS.fault(&Value::Object(fields)) {
            self.faults
                .insert(name.to_owned(), format!("{text}: {fault}"));
        }
    }

    /// It hears something.
    pub(crate) fn hears(&mut self, name: &str, text: &str) {
        let Ok(message @ Value::Object(_)) = serde_json::from_str(text) else {
            return;
        };
        self.check(name, &message);
        for part in message["messages"].as_array().into_iter().flatten() {
            if message["type"] == "batch" {
                self.check(name, part);
            }
        }
    }

    fn check(&mut self, name: &str, message: &Value) {
        let kind = message["type"].as_str().unwrap_or_default();
        if registry::told(kind).is_some() {
            let fault = SERVER.fault(message);
            assert!(fault.is_none(), "{message} is not as described {fault:?}");
        }
        if let Some(fault) = self.faults.remove(name) {
            assert_eq!(kind, "error", "not as described, and taken: {fault}");
        }
        let id = message.get("id").map(Value::to_string).unwrap_or_default();
        if let Some(answer) = self.answers.get(&(name.to_owned(), id)) {
            assert!(
                kind == *answer || kind == "error",
                "{message}: `{answer}` is described"
            );
        }
    }

    /// Nothing was said that is not as described.
    pub(crate) fn ends(&self) {
        assert_eq!(
            self.faults,
            BTreeMap::new(),
            "not as described, and not refused"
        );
    }
}

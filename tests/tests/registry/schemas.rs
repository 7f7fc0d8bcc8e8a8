//! The JSON Schema of each message.

use std::collections::BTreeMap;

use jsonschema::Validator;
use roomwire_core::dialect::json::registry::{CLIENT, Entry, SERVER};
use roomwire_tests::registry::type_name;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../core/web/roomwire.schema.json");

/// A schema for each message, by its `type`.
pub(crate) struct Schemas(BTreeMap<&'static str, Validator>);

impl Schemas {
    /// What the server says; without anything that is not described.
    pub(crate) fn of_server() -> Self {
        let mut root = root();
        let definitions = root["$defs"].as_object_mut().expect("an object");
        // An application's own messages have the fields that it likes.
        let messages = definitions
            .iter_mut()
            .filter(|(name, _)| *name != "ApplicationMessage");
        messages.for_each(|(_, schema)| close(schema));
        Self::of(&root, &SERVER)
    }

    /// What clients send.
    pub(crate) fn of_clients() -> Self {
        Self::of(&root(), &CLIENT)
    }

    fn of(root: &Value, entries: &[Entry]) -> Self {
        let validator = |entry: &Entry| {
            let mut root = root.clone();
            let fields = root.as_object_mut().expect("an object");
            fields.remove("anyOf");
            let reference = format!("#/$defs/{}", type_name(entry));
            fields.insert("$ref".to_owned(), reference.into());
            (
                entry.name,
                jsonschema::draft202012::new(&root).expect("a schema"),
            )
        };
        Self(entries.iter().map(validator).collect())
    }

    /// What is wrong with a message; `None`: nothing.
    pub(crate) fn fault(&self, message: &Value) -> Option<String> {
        let kind = message["type"].as_str().unwrap_or_default();
        let Some(validator) = self.0.get(kind) else {
            return Some(format!("no message is called `{kind}`"));
        };
        let faults = validator.iter_errors(message);
        let faults: Vec<String> = faults
            .map(|fault| format!("at `{}`: {fault}", fault.instance_path()))
            .collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }
}

pub(crate) fn root() -> Value {
    serde_json::from_str(SCHEMA).expect("JSON")
}

/// Objects have no other fields than those that are named, wherever any are.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("required") && fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

//! The registry of JSON messages is true: what the server writes is described, what is described is taken, and nothing
//! else is; and what is made of it is up to date.
//!
//! Who adds a message or a field describes it in `core/src/dialect/json/registry`, and then writes anew what is made of
//! that: see [`HOW`].

mod client;
mod document;
mod made;
mod schemas;
mod server;

use roomwire_tests::registry::HOW;
use schemas::Schemas;

/// What to do about a message that is not as the registry says.
fn advice() -> String {
    format!("describe it in core/src/dialect/json/registry, and then run `{HOW}`")
}

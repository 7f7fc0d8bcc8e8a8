//! What is made of the registry of JSON messages (`roomwire_core::dialect::json::registry`): a JSON Schema, types of
//! TypeScript, and a table of PROTOCOL.md. `cargo run -p roomwire-tests --example registry` writes them.

mod ordered;
mod schema;
mod table;
mod types;

pub use schema::schema;
pub use table::table;
pub use types::types;

use roomwire_core::dialect::json::registry::{Entry, Side};

/// A file that is made of the registry, all of it or a part.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Where it is, from the root of the repository.
    pub path: &'static str,
    /// The file anew, from what it is now.
    pub anew: fn(&str) -> String,
}

/// All of them.
pub const MADE: [Made; 3] = [
    Made {
        path: "core/web/roomwire.schema.json",
        anew: |_| schema(),
    },
    Made {
        path: "core/web/roomwire.d.ts",
        anew: |now| between(now, "/* Messages: ", "/* End of messages. */", &types()),
    },
    Made {
        path: "core/PROTOCOL.md",
        anew: |now| {
            between(
                now,
                "| message | from | fields | outcome |",
                "\n\n",
                &table(),
            )
        },
    },
];

/// What a file is made anew with.
pub const HOW: &str = "cargo run -p roomwire-tests --example registry";

/// `text` with other lines between the line that begins with `start` and the `end` after it.
fn between(text: &str, start: &str, end: &str, lines: &str) -> String {
    let from = text.find(&format!("\n{start}")).expect(start) + 1;
    let line_end = from + text[from..].find('\n').expect("a line") + 1;
    let to = line_end + text[line_end..].find(end).expect(end);
    [&text[..line_end], lines, &text[to..]].concat()
}

/// What a message is called in the schema and in TypeScript.
pub fn type_name(entry: &Entry) -> String {
    let mut name: String = entry.name.split('_').map(capitalised).collect();
    if entry.from == Side::Client {
        name += "Request";
    }
    // `Error` is JavaScript's own.
    if name == "Error" {
        name += "Message";
    }
    name
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

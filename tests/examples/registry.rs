//! Writes what is made of the registry of JSON messages: the JSON Schema, the types of TypeScript, a table of PROTOCOL.md.

use std::path::Path;
use std::{fs, io};

use roomwire_tests::registry::MADE;

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for made in MADE {
        let path = root.join(made.path);
        let now = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, (made.anew)(&now))?;
    }
    Ok(())
}

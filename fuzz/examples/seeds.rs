//! Writes every seed into its corpus.

use std::path::Path;

fn main() -> std::io::Result<()> {
    for (target, _) in roomwire_fuzz::TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        std::fs::create_dir_all(&corpus)?;
        for (name, bytes) in roomwire_fuzz::seeds::seeds(target) {
            std::fs::write(corpus.join(format!("seed-{name}")), bytes)?;
        }
    }
    Ok(())
}

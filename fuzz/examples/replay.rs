//! Replays files against one target: `cargo run --example replay -- <target> <file>…`.

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some((_, target)) = roomwire_fuzz::TARGETS
        .iter()
        .find(|(target, _)| *target == name)
    else {
        return Err(std::io::Error::other("no such target"));
    };
    for path in arguments {
        target(&std::fs::read(path)?);
    }
    Ok(())
}

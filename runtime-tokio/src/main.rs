//! The room server on tokio, as a program.

use std::process::ExitCode;

use roomwire_runtime::cli;
use roomwire_tokio::Tokio;

fn main() -> ExitCode {
    cli::run::<Tokio>(
        "roomwire-tokio",
        env!("CARGO_PKG_VERSION"),
        cli::host::<Tokio>,
    )
}

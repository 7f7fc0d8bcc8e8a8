//! The room server on async-std, as a program.

use std::process::ExitCode;

use roomwire_async_std::AsyncStd;
use roomwire_runtime::cli;

fn main() -> ExitCode {
    cli::run::<AsyncStd>(
        "roomwire-async-std",
        env!("CARGO_PKG_VERSION"),
        cli::host::<AsyncStd>,
    )
}

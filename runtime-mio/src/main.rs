//! The room server on mio, as a program.

use std::process::ExitCode;

use roomwire_mio::Mio;
use roomwire_runtime::cli;

fn main() -> ExitCode {
    cli::run::<Mio>("roomwire-mio", env!("CARGO_PKG_VERSION"), cli::host::<Mio>)
}

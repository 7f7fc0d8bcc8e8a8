//! The room server on tokio, as a program.

use std::process::ExitCode;
use std::thread;

use roomwire_runtime::{RunError, Settings, Shutdown, Signals, cli};
use roomwire_tokio::{Handle, Server};

fn main() -> ExitCode {
    cli::run("roomwire-tokio", env!("CARGO_PKG_VERSION"), serve)
}

fn serve(settings: Settings) -> Result<(), RunError> {
    let signals = Signals::install().map_err(RunError::io("installing signal handlers"))?;
    let server = Server::bind_now(&settings)?;
    for &address in server.local_addrs() {
        cli::announce(address);
    }
    let handle = server.handle();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || obey(signals, &handle))
        .map_err(RunError::io("starting the signal thread"))?;
    server.run_blocking()
}

/// The first signal drains the server, the second one ends it.
fn obey(mut signals: Signals, handle: &Handle) {
    while let Ok(asked) = signals.wait() {
        match asked {
            Shutdown::Drain => handle.drain_blocking(),
            Shutdown::Abort => return handle.abort_blocking(),
        }
    }
}

//! The room server on mio, as a program.

use std::process::ExitCode;

use roomwire_mio::Server;
use roomwire_runtime::{RunError, Settings, Shutdown, Signals, cli, systemd};

fn main() -> ExitCode {
    cli::run("roomwire-mio", env!("CARGO_PKG_VERSION"), serve)
}

fn serve(settings: Settings) -> Result<(), RunError> {
    // Before anything is there to be cleaned up.
    let signals = Signals::install().map_err(RunError::io("installing signal handlers"))?;
    let server = Server::bind(&settings)?;
    let handle = server.handle();
    // The first signal drains the server, the second one ends it.
    signals.obey(move |asked| match asked {
        Shutdown::Drain => {
            systemd::notify_stopping();
            handle.drain();
        }
        Shutdown::Abort => handle.abort(),
    })?;
    #[cfg(feature = "tls")]
    cli::reload_at_hangup(server.certificates())?;
    for address in server.local_addrs() {
        cli::announce(address);
    }
    systemd::notify_ready();
    server.run()
}

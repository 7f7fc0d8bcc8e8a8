//! The command line of the binaries: flags, environment, config file, logs, exit codes; and what they do beside
//! serving.
//!
//! A flag beats its environment variable, which beats the config file, which beats the default. Knows settings
//! and nothing of how a server runs: that is a closure of the binary.

mod client;
mod endpoint;
mod file;
mod logging;
mod options;
mod replay;
mod settings;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::FromArgMatches;

use crate::client::Runtime;
use crate::descriptors;
use crate::error::RunError;
use crate::listen::{Address, warn_if_public};
use crate::server::{Host, Server};
use crate::settings::{LogLevel, Settings};
#[cfg(feature = "tls")]
use crate::signals;
use crate::signals::{Shutdown, Signals};
use crate::systemd;
#[cfg(feature = "tls")]
use crate::tls::Certificates;
use options::{Cli, Command, Options};

/// The whole `main` of a server binary: reads the settings, starts the logs, raises the descriptor limit, and
/// hands over to `serve`, whose return ends the process.
///
/// `serve` gets settings that are valid, with `limits.max_connections` filled in. Exit codes: 0 after an
/// orderly end, 1 when the server failed, 2 when it could not start because of its settings. Clients that come back run
/// on `R`.
pub fn run<R: Runtime>(
    name: &'static str,
    version: &'static str,
    serve: impl FnOnce(Settings) -> Result<(), RunError>,
) -> ExitCode {
    run_from::<R>(name, version, std::env::args_os(), serve).into()
}

/// Serves with the settings until a signal asks for an end: the first drains the server, the second one ends it. What a
/// service manager and other programs want to know is told on the way.
///
/// # Errors
/// As [`Server`] says, and when the process is out of descriptors or threads.
pub fn host<H: Host>(settings: Settings) -> Result<(), RunError> {
    // Before anything is there to be cleaned up.
    let signals = Signals::install().map_err(RunError::io("installing signal handlers"))?;
    let server = Server::<H>::bind_now(&settings)?;
    let handle = server.handle();
    signals.obey(move |asked| match asked {
        Shutdown::Drain => {
            systemd::notify_stopping();
            H::drain(&handle);
        }
        Shutdown::Abort => H::abort(&handle),
    })?;
    #[cfg(feature = "tls")]
    reload_at_hangup(server.certificates())?;
    for address in server.local_addrs() {
        announce(address);
    }
    systemd::notify_ready();
    server.run_blocking()
}

/// [`run`] with arguments of the caller's choice, the program's name first; returns the exit code.
pub fn run_from<R: Runtime>(
    name: &'static str,
    version: &'static str,
    arguments: impl IntoIterator<Item = OsString>,
    serve: impl FnOnce(Settings) -> Result<(), RunError>,
) -> u8 {
    let matches = options::command()
        .name(name)
        .version(version)
        .try_get_matches_from(arguments);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout, the rest to stderr; where nobody listens, nobody is told.
            let _ = error.print();
            return if error.use_stderr() { USAGE } else { SUCCESS };
        }
    };
    match &cli.command {
        None | Some(Command::Serve) => {}
        Some(Command::Replay(asked)) => return replay(name, asked),
        Some(Command::Connect(asked)) => return client::connect::<R>(name, asked),
        Some(Command::Tap(asked)) => return client::tap::<R>(name, asked),
        Some(Command::SendFile(asked)) => return client::send(name, asked),
        Some(Command::ReceiveFiles(asked)) => return client::receive(name, asked),
    }
    let options = &cli.options;
    match settings::load(options) {
        Ok(settings) => act(name, options, settings, serve),
        Err(message) => {
            complain(name, message);
            USAGE
        }
    }
}

/// Tells stdout, at once, that `address` takes connections: `listening on ADDR:PORT` (or `unix:PATH`) on a line of its own. With
/// port 0 this is how a caller learns the port. A closed stdout is no failure.
pub fn announce(address: &Address) {
    let _ = print(format_args!("listening on {address}\n"));
}

/// Reads the files of certificates again at each SIGHUP. Connections that stand keep theirs; if the files are wrong,
/// nothing changes but the log.
///
/// # Errors
/// When the process is out of descriptors or threads.
#[cfg(feature = "tls")]
pub fn reload_at_hangup(certificates: Option<Certificates>) -> Result<(), RunError> {
    let Some(certificates) = certificates else {
        return Ok(());
    };
    signals::on_hangup(move || match certificates.reload() {
        Ok(()) => tracing::info!("the certificates were read again"),
        Err(error) => tracing::error!("the certificates stay as they were: {error}"),
    })
}

fn replay(name: &str, asked: &options::Replay) -> u8 {
    match replay::run(asked, &mut io::stdout().lock()) {
        Ok(true) => SUCCESS,
        Ok(false) => FAILURE,
        Err(message) => {
            complain(name, message);
            USAGE
        }
    }
}

fn act(
    name: &'static str,
    options: &Options,
    mut settings: Settings,
    serve: impl FnOnce(Settings) -> Result<(), RunError>,
) -> u8 {
    if options.print_config == Some(true) {
        return match file::print(&settings) {
            Ok(text) => printed(name, text),
            Err(error) => {
                complain(name, error);
                FAILURE
            }
        };
    }
    if options.check_config == Some(true) {
        #[cfg(feature = "tls")]
        if !settings.certificates.is_empty()
            && let Err(error) = Certificates::load(&settings.certificates)
        {
            complain(name, error);
            return USAGE;
        }
        return printed(name, "config ok\n");
    }
    let level = settings.log.level;
    logging::start(settings.log);
    fit_descriptors(&mut settings);
    for listener in &settings.listeners {
        warn_if_public(&listener.address);
    }
    match serve(settings) {
        Ok(()) => SUCCESS,
        Err(error) => {
            // The reason of an exit must not get lost with the logs.
            if level == LogLevel::Off {
                complain(name, &error);
            } else {
                tracing::error!("{error}");
            }
            match error {
                RunError::Config(_) => USAGE,
                #[cfg(feature = "tls")]
                RunError::Certificate(_) => USAGE,
                _ => FAILURE,
            }
        }
    }
}

/// Raises the descriptor limit and caps connections by what it became.
fn fit_descriptors(settings: &mut Settings) {
    let limit = match descriptors::raise_limit() {
        Ok(limit) => limit,
        Err(error) => {
            tracing::warn!("the descriptor limit cannot be raised: {error}");
            return;
        }
    };
    let cap = descriptors::connection_cap(limit);
    let wanted = &mut settings.core.limits.max_connections;
    if let Some(wanted) = *wanted
        && wanted > cap
    {
        tracing::warn!(
            wanted,
            cap,
            limit,
            "limits.max_connections is more than the descriptor limit (ulimit -n) allows: lowered"
        );
    }
    *wanted = Some(wanted.map_or(cap, |wanted| wanted.min(cap)));
}

fn printed(name: &str, text: impl Display) -> u8 {
    match print(text) {
        Ok(()) => SUCCESS,
        Err(error) => {
            complain(name, format_args!("cannot write to stdout: {error}"));
            FAILURE
        }
    }
}

fn print(text: impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}")?;
    stdout.flush()
}

fn complain(name: &str, what: impl Display) {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{name}: {what}");
}

const SUCCESS: u8 = 0;
const FAILURE: u8 = 1;
const USAGE: u8 = 2;

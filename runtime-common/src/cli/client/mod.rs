//! `connect` and `tap`: clients for people and scripts.
//!
//! [`talk`] decides what to say and when to leave, in the words of [`json`]; [`run`] moves bytes between the socket
//! ([`wire`]) and the core's client, and knows no protocol; [`show`] turns what came into lines.

mod chat;
mod connecting;
mod files;
mod frames;
mod json;
pub(super) mod options;
mod run;
mod show;
mod talk;
mod waiting;
mod watch;
mod wire;

use std::io::{self, IsTerminal};

use roomwire_core::client::{Client as Wired, ClientConfig, ClientDeflate};

use super::{FAILURE, USAGE, complain};
use crate::client::{Client, ClientSettings, Events, Runtime};
use crate::error::RunError;
use crate::seed;
use connecting::NoConnection;
pub(super) use files::{receive, send};
use options::{Connect, Server, Tap};
use show::Form;
use talk::{Plan, Talk};

/// Runs `connect`; returns the exit code.
pub(super) fn connect<R: Runtime>(name: &str, asked: &Connect) -> u8 {
    let has_orders = !asked.say.is_empty() || !asked.json.is_empty();
    if !has_orders && asked.session.is_plain() && io::stdin().is_terminal() {
        return lasting::<R>(name, &asked.server, |client| {
            chat::run(asked, client, asked.server.timeout())
        });
    }
    let plan = Plan {
        rooms: asked.room.clone(),
        says: asked.say.clone(),
        messages: asked.json.clone(),
        count: asked.session.count,
        reads_input: !has_orders || io::stdin().is_terminal(),
        stays: false,
        form: Form::Bare,
        binary: asked.session.binary,
    };
    begin(name, &asked.server, &asked.session.protocols(), plan)
}

/// Runs `tap`; returns the exit code.
pub(super) fn tap<R: Runtime>(name: &str, asked: &Tap) -> u8 {
    if asked.reconnect {
        return lasting::<R>(name, &asked.server, |client| {
            watch::run(name, asked, client, asked.server.timeout())
        });
    }
    let plan = Plan {
        rooms: asked.room.clone(),
        says: Vec::new(),
        messages: Vec::new(),
        count: asked.session.count,
        reads_input: false,
        stays: true,
        form: if asked.json { Form::Json } else { Form::Text },
        binary: asked.session.binary,
    };
    begin(name, &asked.server, &asked.session.protocols(), plan)
}

/// Runs something with a client that comes back; returns the exit code.
fn lasting<R: Runtime>(
    name: &str,
    server: &Server,
    run: impl FnOnce((Client<R>, Events)) -> Result<u8, RunError>,
) -> u8 {
    let client = Client::connect_alone(settings(server));
    match client.and_then(run) {
        Ok(code) => code,
        Err(error) => {
            complain(name, &error);
            match error {
                RunError::Config(_) => USAGE,
                #[cfg(feature = "tls")]
                RunError::Certificate(_) => USAGE,
                _ => FAILURE,
            }
        }
    }
}

fn settings(server: &Server) -> ClientSettings {
    let mut settings = ClientSettings::at(server.url.clone());
    let connection = &mut settings.session.connection;
    let own = config(server, &[]);
    (connection.origin, connection.headers) = (own.origin, own.headers);
    settings.session.max_reconnect_attempts = None;
    settings.session.connect_timeout_ms = server.timeout_ms;
    settings.proxy.clone_from(&server.proxy);
    #[cfg(feature = "tls")]
    {
        settings.roots = server.roots();
    }
    settings
}

fn begin(name: &str, server: &Server, protocols: &[String], plan: Plan) -> u8 {
    let client = match client(server, protocols, Some(ClientDeflate::DEFAULT)) {
        Ok(client) => client,
        Err(error) => {
            complain(name, &error.what);
            return error.code;
        }
    };
    let wire = match connecting::connect(server) {
        Ok(wire) => wire,
        Err(error) => {
            complain(name, &error.what);
            return error.code;
        }
    };
    let talk = Talk::new(plan, server.url.to_string());
    match run::run(name, wire, client, talk, server.timeout()) {
        Ok(code) => code,
        Err(error) => {
            complain(name, error);
            FAILURE
        }
    }
}

/// The core's client for a connection that is about to be made. Pieces of files are not compressed: most files are.
fn client(
    server: &Server,
    protocols: &[String],
    deflate: Option<ClientDeflate>,
) -> Result<Wired, NoConnection> {
    let seed = seed::from_system().map_err(|error| NoConnection {
        what: error.to_string(),
        code: FAILURE,
    })?;
    let mut config = config(server, protocols);
    config.deflate = deflate;
    Wired::new(config, seed).map_err(|error| {
        let flag = match error.key.as_str() {
            "origin" => "--origin",
            "headers" => "--header",
            "protocols" => "--subprotocol",
            _ => "URL",
        };
        let (value, allowed) = (error.value, error.allowed);
        NoConnection {
            what: format!("{flag} {value}: allowed is {allowed}"),
            code: USAGE,
        }
    })
}

fn config(server: &Server, protocols: &[String]) -> ClientConfig {
    let mut config = ClientConfig::new(server.url.host_field());
    config.target.clone_from(&server.url.target);
    config.origin.clone_from(&server.origin);
    config.protocols = protocols.to_vec();
    let headers = server.header.iter();
    config.headers = headers
        .map(|header| (header.name.clone(), header.value.clone()))
        .collect();
    config
}

//! `connect` and `tap`: clients for people and scripts.
//!
//! [`talk`] decides what to say and when to leave, in the words of [`json`]; [`run`] moves bytes between the socket
//! ([`wire`]) and the core's client, and knows no protocol; [`show`] turns what came into lines.

mod connecting;
mod json;
pub(super) mod options;
mod run;
mod show;
mod talk;
mod url;
mod wire;

use std::io::{self, IsTerminal};

use roomwire_core::client::{Client, ClientConfig};

use super::{FAILURE, USAGE, complain};
use crate::seed;
use options::{Connect, Server, Tap};
use show::Form;
use talk::{Plan, Talk};

/// Runs `connect`; returns the exit code.
pub(super) fn connect(name: &str, asked: &Connect) -> u8 {
    let has_orders = !asked.say.is_empty() || !asked.json.is_empty();
    let plan = Plan {
        rooms: asked.room.clone(),
        says: asked.say.clone(),
        messages: asked.json.clone(),
        count: asked.server.count,
        reads_input: !has_orders || io::stdin().is_terminal(),
        stays: false,
        form: Form::Bare,
    };
    begin(name, &asked.server, plan)
}

/// Runs `tap`; returns the exit code.
pub(super) fn tap(name: &str, asked: &Tap) -> u8 {
    let plan = Plan {
        rooms: asked.room.clone(),
        says: Vec::new(),
        messages: Vec::new(),
        count: asked.server.count,
        reads_input: false,
        stays: true,
        form: if asked.json { Form::Json } else { Form::Text },
    };
    begin(name, &asked.server, plan)
}

fn begin(name: &str, server: &Server, plan: Plan) -> u8 {
    let seed = match seed::from_system() {
        Ok(seed) => seed,
        Err(error) => {
            complain(name, error);
            return FAILURE;
        }
    };
    let client = match Client::new(config(server), seed) {
        Ok(client) => client,
        Err(error) => {
            let flag = match error.key.as_str() {
                "origin" => "--origin",
                "headers" => "--header",
                "protocols" => "--subprotocol",
                _ => "URL",
            };
            let (value, allowed) = (error.value, error.allowed);
            complain(name, format_args!("{flag} {value}: allowed is {allowed}"));
            return USAGE;
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

fn config(server: &Server) -> ClientConfig {
    let mut config = ClientConfig::new(server.url.host_field());
    config.target.clone_from(&server.url.target);
    config.origin.clone_from(&server.origin);
    config.protocols.clone_from(&server.subprotocol);
    let headers = server.header.iter();
    config.headers = headers
        .map(|header| (header.name.clone(), header.value.clone()))
        .collect();
    config
}

//! The flags and their environment variables. Only what was given is set: everything else is left to the config
//! file and the defaults.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::BoolishValueParser;
use clap::{Arg, Args, CommandFactory, Parser, Subcommand};

use super::client::options::{
    CONNECT_HELP, Connect, RECEIVE_FILES_HELP, ReceiveFiles, SEND_FILE_HELP, SendFile, TAP_HELP,
    Tap,
};
use super::endpoint::Endpoint;
use crate::settings::{LogFormat, LogLevel};

/// Real-time WebSocket room server
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) options: Options,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server (what happens without a command, too)
    #[command(after_help = AFTER_HELP)]
    Serve,
    /// Do a recording again and show step by step what happened
    #[command(after_help = REPLAY_HELP)]
    Replay(Replay),
    /// Connect to a server, say something, and print what comes
    #[command(after_help = CONNECT_HELP)]
    Connect(Connect),
    /// Join rooms and print everything that arrives
    #[command(after_help = TAP_HELP)]
    Tap(Tap),
    /// Send files to everyone in a room, or to one client
    #[command(after_help = SEND_FILE_HELP)]
    SendFile(SendFile),
    /// Take the files that are sent to a room, or to this client
    #[command(after_help = RECEIVE_FILES_HELP)]
    ReceiveFiles(ReceiveFiles),
}

/// The command line. The help of what does not serve leaves out how to serve.
pub(super) fn command() -> clap::Command {
    let mut command = Cli::command();
    let flags: Vec<Arg> = command.get_arguments().cloned().collect();
    for name in ["replay", "connect", "tap", "send-file", "receive-files"] {
        let hidden = flags.iter().map(|flag| flag.clone().hide(true));
        command = command.mut_subcommand(name, |it| it.args(hidden));
    }
    command
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// What --record has written
    pub(super) file: PathBuf,

    /// Show this connection only: its slot, or slot.generation as it is shown
    #[arg(long, value_name = "N")]
    pub(super) connection: Option<String>,

    /// Show only what names this room
    #[arg(long, value_name = "NAME")]
    pub(super) room: Option<String>,

    /// Show from this step on
    #[arg(long, value_name = "STEP", default_value_t = 0)]
    pub(super) from: u64,

    /// Tell what became of this message on its way to --connection; messages have their numbers in the list
    #[arg(long, value_name = "MESSAGE", requires = "connection")]
    pub(super) explain: Option<u64>,

    /// One JSON object per line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Default, Args)]
pub(super) struct Options {
    /// Listen here, or at unix:PATH, with tls:// before it for TLS; repeat it for more. Replaces the listeners of the config file
    /// [default: 127.0.0.1:8080]
    #[arg(long, global = true, env = "ROOMWIRE_LISTEN", value_name = "ADDR:PORT")]
    #[arg(value_delimiter = ',')]
    pub(super) listen: Option<Vec<Endpoint>>,

    /// A certificate in PEM, for listeners that speak TLS; repeat it, with its key, for other names
    #[cfg(feature = "tls")]
    #[arg(long, global = true, env = "ROOMWIRE_TLS_CERT", value_name = "FILE")]
    #[arg(value_delimiter = ',', requires = "tls_key")]
    pub(super) tls_cert: Option<Vec<PathBuf>>,

    /// Its key in PEM
    #[cfg(feature = "tls")]
    #[arg(long, global = true, env = "ROOMWIRE_TLS_KEY", value_name = "FILE")]
    #[arg(value_delimiter = ',', requires = "tls_cert")]
    pub(super) tls_key: Option<Vec<PathBuf>>,

    /// Read settings from a TOML file
    #[arg(long, global = true, env = "ROOMWIRE_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Threads, each with a part of the clients, 1 to 255 [default: as many as there are cores]
    #[arg(long, global = true, env = "ROOMWIRE_THREADS", value_name = "COUNT")]
    pub(super) threads: Option<u8>,

    /// Serve a plain WebSocket echo at /echo, on every listener
    #[arg(long, global = true, env = "ROOMWIRE_ECHO", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) echo: Option<bool>,

    /// Serve a page for people at /, on every listener [default: true]
    #[arg(long, global = true, env = "ROOMWIRE_PAGE", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) page: Option<bool>,

    /// Deliver broadcast and room_message as the bare data, on every listener
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_RAW_PAYLOADS",
        value_name = "BOOL"
    )]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) raw_payloads: Option<bool>,

    /// Believe this proxy about its clients' addresses, on every listener; repeat it for more. Replaces those of
    /// the config file
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_TRUSTED_PROXY",
        value_name = "ADDR[/BITS]"
    )]
    #[arg(value_delimiter = ',')]
    pub(super) trusted_proxy: Option<Vec<String>>,

    /// Compress long messages for clients that ask for it (permessage-deflate) [default: true]
    #[arg(long, global = true, env = "ROOMWIRE_COMPRESSION", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) compression: Option<bool>,

    /// How often a client may speak: off, chat, game, or messages per seconds [default: 100/60]
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_RATE_LIMIT",
        value_name = "off|chat|game|COUNT/SECONDS"
    )]
    pub(super) rate_limit: Option<RateLimitOption>,

    /// Let pages of this origin connect; repeat it for more. Replaces those of the config file
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_ALLOW_ORIGIN",
        value_name = "ORIGIN"
    )]
    #[arg(value_delimiter = ',')]
    pub(super) allow_origin: Option<Vec<String>>,

    /// Close code when the server leaves [default: 1012]
    #[arg(long, global = true, env = "ROOMWIRE_DRAIN_CODE", value_name = "CODE")]
    pub(super) drain_code: Option<u16>,

    /// How long clients get to leave before they are cut off [default: 10000]
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_DRAIN_TIMEOUT_MS",
        value_name = "MS"
    )]
    pub(super) drain_timeout_ms: Option<u64>,

    /// Time between pings; 0: no pings [default: 30000]
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_HEARTBEAT_INTERVAL_MS",
        value_name = "MS"
    )]
    pub(super) heartbeat_interval_ms: Option<u64>,

    /// Time from a ping to the end of a silent connection [default: 30000]
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_HEARTBEAT_TIMEOUT_MS",
        value_name = "MS"
    )]
    pub(super) heartbeat_timeout_ms: Option<u64>,

    /// Connections at a time [default: the descriptor limit, raised as far as it goes, less 64]
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_MAX_CONNECTIONS",
        value_name = "COUNT"
    )]
    pub(super) max_connections: Option<u32>,

    /// Connections at a time from one address [default: 1024, loopback unlimited]
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_MAX_CONNECTIONS_PER_IP",
        value_name = "COUNT"
    )]
    pub(super) max_connections_per_ip: Option<u32>,

    /// How long the first message waits for a client that has not spoken [default: 100]
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_WELCOME_DELAY_MS",
        value_name = "MS"
    )]
    pub(super) welcome_delay_ms: Option<u64>,

    /// Largest message from a client; queue limits that are not set grow along [default: 1048576]
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_MAX_MESSAGE_BYTES",
        value_name = "BYTES"
    )]
    pub(super) max_message_bytes: Option<usize>,

    /// Form of the log lines on stderr [default: text]
    #[arg(long, global = true, env = "ROOMWIRE_LOG", value_name = "FORMAT")]
    pub(super) log: Option<LogFormat>,

    /// How much is logged [default: info]
    #[arg(long, global = true, env = "ROOMWIRE_LOG_LEVEL", value_name = "LEVEL")]
    pub(super) log_level: Option<LogLevel>,

    /// Record everything that goes into the server, for `replay`; a new file, as secret as a key
    #[arg(long, global = true, env = "ROOMWIRE_RECORD", value_name = "FILE")]
    pub(super) record: Option<PathBuf>,

    /// Where the recording ends, while serving goes on [default: 67108864]
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_RECORD_MAX_BYTES",
        value_name = "BYTES"
    )]
    pub(super) record_max_bytes: Option<u64>,

    /// Record what clients say, too, instead of masking it
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_RECORD_PAYLOADS",
        value_name = "BOOL"
    )]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) record_payloads: Option<bool>,

    /// Keep sessions there when the server is drained, for the next one; as secret as a key
    #[arg(long, global = true, env = "ROOMWIRE_SESSION_DIR", value_name = "DIR")]
    pub(super) session_dir: Option<PathBuf>,

    /// Check the settings, print `config ok`, and exit
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_CHECK_CONFIG",
        value_name = "BOOL"
    )]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) check_config: Option<bool>,

    /// Print the settings that all of this amounts to as a config file, and exit
    #[arg(
        long,
        global = true,
        env = "ROOMWIRE_PRINT_CONFIG",
        value_name = "BOOL"
    )]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) print_config: Option<bool>,
}

/// What `--rate-limit` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RateLimitOption {
    Preset(Preset),
    Custom { messages: u32, per_ms: u64 },
}

/// A named rate limit; also `rate_limit.preset` of the config file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    Off,
    Chat,
    Game,
}

impl Preset {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "chat" => Some(Self::Chat),
            "game" => Some(Self::Game),
            _ => None,
        }
    }
}

impl FromStr for RateLimitOption {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(preset) = Preset::from_name(text) {
            return Ok(Self::Preset(preset));
        }
        custom_rate(text).ok_or(
            "allowed is off, chat, game, or COUNT/SECONDS in whole numbers above 0, such as 100/60",
        )
    }
}

fn custom_rate(text: &str) -> Option<RateLimitOption> {
    let (messages, seconds) = text.split_once('/')?;
    let messages = messages.parse().ok().filter(|&messages| messages > 0)?;
    let seconds = seconds.parse::<u64>().ok().filter(|&seconds| seconds > 0)?;
    Some(RateLimitOption::Custom {
        messages,
        per_ms: seconds.checked_mul(1_000)?,
    })
}

const REPLAY_HELP: &str = "\
Each line has the number of the input, the time since the start, and what went in or came out. What clients say
is masked unless the recording was made with --record-payloads.

Exit codes: 0 and `hash ok` when the same came out as then; 1 and `hash differs at step N` when it did not; 2 when
the file is no recording, damaged or cut off.";

const AFTER_HELP: &str = "\
A flag beats its environment variable, which beats the config file. Switches take =false, too. Lists in
environment variables are separated by commas.

Signals: SIGTERM or SIGINT drains (clients are told when to come back), a second one ends at once.

Exit codes: 0 after an orderly end; 1 when the server failed, for instance because an address is taken; 2 when
a flag, an environment variable or the config file is wrong.";

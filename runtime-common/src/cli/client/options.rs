//! The flags of `connect` and `tap`.

#[cfg(feature = "tls")]
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::url::Url;

/// Where to, and how.
#[derive(Debug, Args)]
pub(in crate::cli) struct Server {
    /// The server: ws://HOST:PORT/PATH, or wss:// for TLS; port and path may be left out
    pub(super) url: Url,

    /// Offer this subprotocol; repeat it for more, best first
    #[arg(long, value_name = "NAME")]
    pub(super) subprotocol: Vec<String>,

    /// Ask as a page of this origin does
    #[arg(long, value_name = "ORIGIN")]
    pub(super) origin: Option<String>,

    /// Send this field with the request; repeat it for more
    #[arg(long, value_name = "NAME:VALUE")]
    pub(super) header: Vec<Header>,

    /// For wss://, trust the authorities in this PEM file instead of the system's
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,

    /// End after so many messages have come, the server's greeting included
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,

    /// How long to wait for the connection, then for outcomes, then for the goodbye
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=MAX_TIMEOUT_MS))]
    pub(super) timeout_ms: u64,
}

/// A day.
const MAX_TIMEOUT_MS: u64 = 86_400_000;

impl Server {
    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Connect {
    /// Join this room; repeat it for more
    #[arg(long, value_name = "NAME")]
    pub(super) room: Vec<String>,

    /// Say this in each room; repeat it for more
    #[arg(long, value_name = "TEXT", requires = "room")]
    pub(super) say: Vec<String>,

    /// Send this message as it is; repeat it for more
    #[arg(long, value_name = "MESSAGE")]
    pub(super) json: Vec<String>,

    #[command(flatten)]
    pub(super) server: Server,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Tap {
    /// Join this room; repeat it for more
    #[arg(long, value_name = "NAME", required = true)]
    pub(super) room: Vec<String>,

    /// One JSON object per line
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) server: Server,
}

/// A field of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
}

impl FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text
            .split_once(':')
            .ok_or("allowed is a name, a colon and a value, such as 'Authorization: Bearer x'")?;
        Ok(Self {
            name: name.to_owned(),
            value: value.trim_matches([' ', '\t']).to_owned(),
        })
    }
}

pub(in crate::cli) const CONNECT_HELP: &str = "\
What comes is printed to stdout, one line for each message; everything else goes to stderr. Lines of stdin are
messages: one that begins with { is sent as it is, any other is said in the first room. The end of stdin, or Ctrl-C,
closes in order; at the end of stdin the replies to what was sent are awaited first. With --say or --json stdin is
only read if it is a terminal.

Exit codes: 0 after an orderly end, everything that was sent having been taken; 1 when the server refused something,
could not be reached or went; 2 when a flag is wrong.";

pub(in crate::cli) const TAP_HELP: &str = "\
Each line has the time (UTC), the direction (< came, > went), the size in bytes, and the message. Ctrl-C, --count or a
reader of stdout that goes end it in order.

Exit codes: 0 after an orderly end; 1 when the server refused a room, could not be reached or went; 2 when a flag is
wrong.";

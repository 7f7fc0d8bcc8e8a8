//! The flags of `connect` and `tap`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use roomwire_core::ClientId;

use super::frames;
#[cfg(feature = "tls")]
use crate::client::Roots;
use crate::client::{Proxy, Url};

/// Where to, and how.
#[derive(Debug, Args)]
pub(in crate::cli) struct Server {
    /// The server: ws://HOST:PORT/PATH, or wss:// for TLS; port and path may be left out
    pub(super) url: Url,

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

    /// Go by this proxy, which makes tunnels (CONNECT): http://HOST:PORT or http://USER:PASSWORD@HOST:PORT
    #[arg(long, value_name = "URL")]
    pub(super) proxy: Option<Proxy>,

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

    /// Whom to trust.
    #[cfg(feature = "tls")]
    pub(super) fn roots(&self) -> Roots {
        match &self.ca {
            Some(file) => Roots::Files(vec![file.clone()]),
            None => Roots::System,
        }
    }
}

/// What is spoken there, and for how long.
#[derive(Debug, Args)]
pub(super) struct Session {
    /// Offer this subprotocol; repeat it for more, best first
    #[arg(long, value_name = "NAME")]
    pub(super) subprotocol: Vec<String>,

    /// Speak in binary frames; they are shown as the JSON that they stand for
    #[arg(long, conflicts_with = "subprotocol")]
    pub(super) binary: bool,

    /// End after so many messages have come, the server's greeting included
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
}

impl Session {
    /// Whether nothing is asked for that only a single connection has.
    pub(super) const fn is_plain(&self) -> bool {
        self.subprotocol.is_empty() && !self.binary && self.count.is_none()
    }

    /// What is offered to the server.
    pub(super) fn protocols(&self) -> Vec<String> {
        if self.binary {
            vec![frames::PROTOCOL.to_owned()]
        } else {
            self.subprotocol.clone()
        }
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
    pub(super) session: Session,

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

    /// Come back when the connection is lost, and say so on stderr; what was missed and is kept comes, too
    #[arg(long, conflicts_with_all = ["binary", "subprotocol"])]
    pub(super) reconnect: bool,

    #[command(flatten)]
    pub(super) session: Session,

    #[command(flatten)]
    pub(super) server: Server,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SendFile {
    // Before the files: its URL is the first word.
    #[command(flatten)]
    pub(super) server: Server,

    /// The files, one after the other or up to four at once
    #[arg(value_name = "FILE", required = true)]
    pub(super) file: Vec<PathBuf>,

    /// Join this room, and send to everyone else in it
    #[arg(long, value_name = "NAME", required_unless_present = "to")]
    pub(super) room: Option<String>,

    /// Send to this client alone
    #[arg(long, value_name = "CLIENT_ID", conflicts_with = "room")]
    pub(super) to: Option<ClientIdOption>,

    /// What the file is called for those who get it, instead of its own name
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,

    /// Begin at once, and tell the hash when all is sent: who comes back then trusts name and size until the end
    #[arg(long)]
    pub(super) no_hash: bool,

    #[command(flatten)]
    pub(super) lasting: Lasting,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ReceiveFiles {
    /// Join this room; repeat it for more. Files for this client alone are taken in any case
    #[arg(long, value_name = "NAME")]
    pub(super) room: Vec<String>,

    /// Put them into this directory, which must exist
    #[arg(long, value_name = "DIR")]
    pub(super) into: PathBuf,

    /// End after so many files, whatever has become of them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,

    /// Do not take files that are larger than this
    #[arg(long, value_name = "B")]
    pub(super) max_bytes: Option<u64>,

    /// Go on with what an earlier run has left in the directory, where it is the same file
    #[arg(long)]
    pub(super) resume: bool,

    /// Take no more than this, each file by itself: for tests
    #[arg(long, value_name = "N", hide = true)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit_bytes_per_s: Option<u64>,

    #[command(flatten)]
    pub(super) lasting: Lasting,

    #[command(flatten)]
    pub(super) server: Server,
}

/// What those have in common who stay while connections come and go.
#[derive(Debug, Args)]
pub(super) struct Lasting {
    /// One JSON object per line
    #[arg(long)]
    pub(super) json_lines: bool,

    /// How long to try to get the connection back when it is lost; the server waits as long as its files.resume_ms
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=MAX_TIMEOUT_MS))]
    pub(super) retry_ms: u64,
}

/// A client id, as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientIdOption(pub(super) ClientId);

impl FromStr for ClientIdOption {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ClientId::parse(text)
            .map(Self)
            .ok_or("expected a client id, such as receive-files prints: client_ and 24 characters")
    }
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
In a terminal, without --say, --json, --count, --binary and --subprotocol: what comes is shown as it is for people, in
colours unless NO_COLOR is set; lines are said in the room that was joined last, those that begin with / are orders (/help
shows them), and a connection that is lost is made again. If stdout is no terminal, each message of the server is a line of
JSON there, and everything else goes to stderr. The end of the input, /quit and Ctrl-C leave in order.

Otherwise: what comes is printed to stdout, one line for each message; everything else goes to stderr. Lines of stdin are
messages: one that begins with { is sent as it is, any other is said in the first room. The end of stdin, or Ctrl-C,
closes in order; at the end of stdin the replies to what was sent are awaited first. With --binary every line is said in
the first room, as bytes. With --say or --json stdin is
only read if it is a terminal.

Exit codes: 0 after an orderly end, everything that was sent having been taken; 1 when the server refused something,
could not be reached or went, in a terminal only where it could not be reached to begin with or will not have this client
back; 2 when a flag is wrong.";

pub(in crate::cli) const TAP_HELP: &str = "\
Each line has the time (UTC), the direction (< came, > went), the size in bytes, and the message. Ctrl-C, --count or a
reader of stdout that goes end it in order. With --reconnect only what comes is shown, and a server that goes is waited for.

Exit codes: 0 after an orderly end; 1 when the server refused a room, could not be reached or went; 2 when a flag is
wrong.";

pub(in crate::cli) const SEND_FILE_HELP: &str = "\
The server keeps nothing: it asks for pieces as receivers have room. Each file is hashed first, so that a receiver knows
what it has part of. When the connection is lost, it is made again and the transfer goes on; a restart of the server
ends it. stdout has a line for each file; progress is shown if stderr is a terminal. Ctrl-C gives up what is not sent.

Exit codes: 0 when every file has come to at least one receiver and none has failed; 1 when something failed or was
refused; 2 when a flag or a file is wrong.";

pub(in crate::cli) const RECEIVE_FILES_HELP: &str = "\
Every file that is offered is taken, until Ctrl-C or --count. What a sender calls a file is never a path, and nothing is
overwritten: a second a.txt becomes 'a (1).txt'. What has come of a file is in .NAME.part until it is whole and its
hash is right; with .NAME.part.json beside it, --resume goes on from there when the file is offered again.

Exit codes: 0 after an orderly end without unfinished files; 1 when a file failed or was refused, or the server could
not be reached; 2 when a flag or the directory is wrong.";

//! What connections said, made readable: what proxies say of them, request lines, responses, messages. Shows; decides nothing.

use std::collections::BTreeMap;
use std::fmt;

use roomwire_core::http::ProxyHeader;
use roomwire_core::websocket::deflate::Inflater;
use roomwire_core::websocket::{DataKind, Decoder, MessageLimits, Role, Step};
use roomwire_core::{Config, ConnectionId};
use serde_json::{Value, json};

/// Something that was said.
pub(super) struct Message {
    kind: &'static str,
    /// Its bytes, where they are no text.
    bytes: usize,
    text: String,
}

impl Message {
    pub(super) fn text(text: &str) -> Self {
        Self::new("text", text.len(), text)
    }

    fn new(kind: &'static str, bytes: usize, text: &str) -> Self {
        Self {
            kind,
            bytes,
            text: text.to_owned(),
        }
    }

    /// Whether it is a JSON object that names the room.
    pub(super) fn is_about(&self, room: &str) -> bool {
        let read = serde_json::from_str::<Value>(&self.text);
        read.is_ok_and(|value| value.get("room").is_some_and(|named| named == room))
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"kind": self.kind, "bytes": self.bytes, "text": self.text})
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.text.is_empty() {
            write!(f, " {} bytes", self.bytes)?;
        }
        let mut shown = String::new();
        for character in self.text.chars().take(MAX_SHOWN) {
            // What would move a terminal's cursor is spelled out.
            if character.is_control() {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        if self.text.chars().nth(MAX_SHOWN).is_some() {
            shown.push_str(&format!("... ({} bytes)", self.bytes));
        }
        if shown.is_empty() {
            Ok(())
        } else {
            write!(f, " {shown}")
        }
    }
}

/// Characters of one message that are shown to people.
const MAX_SHOWN: usize = 500;

/// Both directions of every connection.
#[derive(Default)]
pub(super) struct Views {
    alive: BTreeMap<ConnectionId, View>,
    /// The last owner of each slot.
    owners: BTreeMap<u32, ConnectionId>,
    /// Of whichever connection is looked at.
    inflating: Inflating,
}

/// What compressed messages are read with.
#[derive(Default)]
struct Inflating {
    inflater: Inflater,
    /// What would be larger was refused, and is not worth the memory.
    max_bytes: usize,
}

struct View {
    received: Direction,
    sent: Direction,
}

impl Views {
    /// What the server ran with: it took no larger messages from clients, and compressed none for them.
    pub(super) fn keep_to(&mut self, config: &Config) {
        let received = config.limits.max_message_bytes;
        self.inflating.max_bytes = received.max(config.compression.max_bytes);
    }

    pub(super) fn open(&mut self, connection: ConnectionId) {
        let view = View {
            received: Direction {
                role: Role::Server,
                may_compress: false,
                stage: Stage::Start(Vec::new()),
            },
            sent: Direction {
                role: Role::Client,
                may_compress: false,
                stage: Stage::Head(Vec::new()),
            },
        };
        self.alive.insert(connection, view);
        self.owners.insert(connection.index(), connection);
    }

    pub(super) fn last_in(&self, slot: u32) -> Option<ConnectionId> {
        self.owners.get(&slot).copied()
    }

    pub(super) fn close(&mut self, connection: ConnectionId) {
        self.alive.remove(&connection);
    }

    pub(super) fn received(&mut self, connection: ConnectionId, bytes: Vec<u8>) -> Vec<Message> {
        let view = self.alive.get_mut(&connection);
        let inflating = &mut self.inflating;
        view.map_or_else(Vec::new, |view| view.received.take(bytes, inflating))
    }

    pub(super) fn sent(&mut self, connection: ConnectionId, bytes: Vec<u8>) -> Vec<Message> {
        let view = self.alive.get_mut(&connection);
        let inflating = &mut self.inflating;
        view.map_or_else(Vec::new, |view| view.sent.take(bytes, inflating))
    }
}

struct Direction {
    role: Role,
    /// Its head speaks of compression: no message is compressed if the other side's does not.
    may_compress: bool,
    stage: Stage,
}

enum Stage {
    /// What has come of a header of the PROXY protocol, unless it is something else.
    Start(Vec<u8>),
    /// What has come of a head.
    Head(Vec<u8>),
    /// An upgrade was asked for or granted: the next byte tells what it came to.
    Upgraded,
    Frames(Decoder),
    /// Nothing that could be read.
    Over,
}

impl Direction {
    fn take(&mut self, mut bytes: Vec<u8>, inflating: &mut Inflating) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(&first) = bytes.first() {
            match &mut self.stage {
                Stage::Start(start) => {
                    start.append(&mut bytes);
                    bytes = match ProxyHeader::parse(start) {
                        Ok(None) => break,
                        Ok(Some(header)) => {
                            messages.push(proxy_message(&header));
                            start.split_off(header.bytes)
                        }
                        // No request can be taken for one.
                        Err(_) => core::mem::take(start),
                    };
                    self.stage = Stage::Head(Vec::new());
                }
                Stage::Head(head) => {
                    head.append(&mut bytes);
                    let end = head.windows(4).position(|end| end == b"\r\n\r\n");
                    let Some(end) = end else { break };
                    bytes = head.split_off(end + 4);
                    messages.push(head_message(head));
                    self.may_compress = speaks_of_compression(head);
                    self.stage = after_head(head, &mut bytes);
                }
                Stage::Upgraded => {
                    // No frame starts with a letter, every request and response does.
                    self.stage = if first.is_ascii_alphabetic() {
                        Stage::Head(Vec::new())
                    } else {
                        Stage::Frames(self.decoder())
                    };
                }
                Stage::Frames(decoder) => {
                    let read = read_frames(decoder, inflating, &mut bytes, &mut messages);
                    if !read {
                        self.stage = Stage::Over;
                    }
                    break;
                }
                Stage::Over => break,
            }
        }
        messages
    }

    fn decoder(&self) -> Decoder {
        let decoder = Decoder::new(self.role);
        if self.may_compress {
            decoder.allow_rsv1()
        } else {
            decoder
        }
    }
}

fn proxy_message(header: &ProxyHeader) -> Message {
    let source = header
        .source
        .map_or_else(|| "unknown".to_owned(), |source| source.to_string());
    Message::new("proxy", header.bytes, &format!("from {source}"))
}

fn head_message(head: &[u8]) -> Message {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    Message::new("http", head.len(), &String::from_utf8_lossy(line))
}

fn speaks_of_compression(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut extensions = text
        .lines()
        .filter_map(|line| line.strip_prefix("sec-websocket-extensions:"));
    extensions.any(|offers| offers.contains("permessage-deflate"))
}

/// A body of known length is skipped if it is all there; a recording of real clients holds few others.
fn after_head(head: &[u8], bytes: &mut Vec<u8>) -> Stage {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    if text.contains("\r\nupgrade: websocket") {
        return Stage::Upgraded;
    }
    let field = text
        .split("\r\n")
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = field.and_then(|value| value.trim().parse::<usize>().ok());
    match length.unwrap_or(0) {
        length if length <= bytes.len() => {
            bytes.drain(..length);
            Stage::Head(Vec::new())
        }
        _ => Stage::Over,
    }
}

/// `false` once nothing more can be read.
fn read_frames(
    decoder: &mut Decoder,
    inflating: &mut Inflating,
    bytes: &mut [u8],
    messages: &mut Vec<Message>,
) -> bool {
    let limits = MessageLimits {
        max_frame_bytes: usize::MAX,
        max_message_bytes: usize::MAX,
    };
    let mut at = 0;
    loop {
        let rest = bytes.get_mut(at..).unwrap_or_default();
        let message = match decoder.decode(rest, &limits) {
            Ok((Step::NeedMore, _)) => return true,
            Ok((step, consumed)) => {
                at += consumed;
                match step {
                    Step::Text(text) => Message::text(&text),
                    Step::Binary(bytes) => Message::new("binary", bytes.len(), ""),
                    Step::Ping(payload) => Message::new("ping", payload.len(), ""),
                    Step::Pong(payload) => Message::new("pong", payload.len(), ""),
                    Step::Close(frame) => {
                        let said = frame
                            .map(|frame| format!("{} {}", u16::from(frame.code), frame.reason));
                        messages.push(Message::new(
                            "close",
                            0,
                            said.unwrap_or_default().trim_end(),
                        ));
                        return false;
                    }
                    Step::Compressed { kind, payload } => inflated(inflating, kind, &payload),
                    _ => Message::new("frame", 0, ""),
                }
            }
            Err(error) => {
                messages.push(Message::new("broken", 0, &error.to_string()));
                return false;
            }
        };
        messages.push(message);
    }
}

/// A compressed message as it was before.
fn inflated(inflating: &mut Inflating, kind: DataKind, payload: &[u8]) -> Message {
    let Inflating {
        inflater,
        max_bytes,
    } = inflating;
    let message = match (kind, inflater.inflate(payload, *max_bytes)) {
        (DataKind::Text, Ok(text)) => Message::text(&String::from_utf8_lossy(text)),
        (DataKind::Binary, Ok(bytes)) => Message::new("binary", bytes.len(), ""),
        (_, Err(error)) => Message::new("broken", payload.len(), &error.to_string()),
    };
    inflater.shrink();
    message
}

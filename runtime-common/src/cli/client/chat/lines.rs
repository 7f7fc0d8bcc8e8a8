//! What came, as lines for people. Nothing in them is obeyed by a terminal but the colours that are put there.

#[cfg(test)]
mod tests;

use roomwire_core::ClientId;
use roomwire_core::client::session::{CloseCause, Closed, Content, Message, Said, SaidData, Told};
use serde_json::Value;

use crate::cli::client::show::{clock, one_line};

/// How lines are drawn.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli::client) struct Pen {
    pub(in crate::cli::client) colours: bool,
}

/// What a part of a line is.
#[derive(Clone, Copy, Debug)]
enum Ink {
    Client(ClientId),
    Faint,
    Room,
    Wrong,
}

impl Pen {
    fn paint(self, ink: Ink, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match ink {
            // Each has the same colour all the time: green, yellow, blue, magenta or their bright kin.
            Ink::Client(client) => {
                let sum: usize = client.to_string().bytes().map(usize::from).sum();
                CLIENT_COLOURS[sum % CLIENT_COLOURS.len()]
            }
            Ink::Faint => 2,
            Ink::Room => 36,
            Ink::Wrong => 31,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Something of the client's own.
    pub(in crate::cli::client) fn note(self, text: &str) -> String {
        self.paint(Ink::Faint, &format!("* {}", one_line(text)))
    }

    /// Something that went wrong.
    pub(in crate::cli::client) fn wrong(self, text: &str) -> String {
        self.paint(Ink::Wrong, &format!("! {}", one_line(text)))
    }

    fn client(self, client: ClientId) -> String {
        self.paint(Ink::Client(client), &short(client))
    }

    fn room(self, room: &str) -> String {
        self.paint(Ink::Room, &one_line(room))
    }

    /// What was said, where, and when.
    pub(in crate::cli::client) fn said(self, place: &str, said: &Said) -> String {
        let time = clock(said.timestamp);
        // Milliseconds matter to nobody who reads.
        let time = self.paint(Ink::Faint, time.get(..8).unwrap_or_default());
        let (place, who, data) = (self.room(place), self.client(said.from), data(&said.data));
        format!("{time} {place} {who}: {data}")
    }

    /// What the server says by itself; `None`: what nobody has to see.
    pub(in crate::cli::client) fn message(self, message: &Message) -> Option<String> {
        Some(match &message.told {
            Told::Ack(_) | Told::Pong { .. } | Told::Welcome { .. } => return None,
            Told::Broadcast(said) => self.said("(all)", said),
            Told::PrivateMessage { said, .. } => self.said("(to you)", said),
            Told::Closing { reason, .. } => self.note(&format!("the server is leaving: {reason}")),
            Told::Error { .. } => self.wrong(&refusal(message)),
            Told::JoinedRoom { room, total, .. } => {
                self.note(&format!("in {room} again, where there are {total}"))
            }
            Told::LeftRoom { room } => self.note(&format!("no longer in {room}")),
            Told::MemberJoined { room, client } => {
                self.note(&format!("{} has come to {room}", short(*client)))
            }
            Told::MemberLeft { room, client, .. } => {
                self.note(&format!("{} has left {room}", short(*client)))
            }
            Told::MessagesDropped { room, count } => {
                let room = room.as_deref().unwrap_or("those to all");
                self.wrong(&format!(
                    "{count} messages of {room} are lost: this client was too slow"
                ))
            }
            _ => one_line(&message.text),
        })
    }

    /// A connection has ended, or an attempt.
    pub(in crate::cli::client) fn closed(self, closed: &Closed, why: Option<&str>) -> String {
        let what = match &closed.cause {
            CloseCause::ConnectFailed => why.unwrap_or("it cannot connect").to_owned(),
            CloseCause::CloseFrame => {
                let reason = Some(&closed.reason).filter(|reason| !reason.is_empty());
                let reason = reason
                    .map(|reason| format!(": {reason}"))
                    .unwrap_or_default();
                format!("the server closed with {}{reason}", closed.code)
            }
            CloseCause::Refused { status } => format!("refused with {status} {}", closed.reason),
            CloseCause::BadResponse(error) => error.to_string(),
            CloseCause::Violation(error) => format!("the server broke the rules: {error}"),
            CloseCause::BatchTooLong => "the server said too much at once".to_owned(),
            CloseCause::NoAnswer => "the server does not answer".to_owned(),
            CloseCause::NoPong => "the server shows no sign of life".to_owned(),
            _ => "the connection was lost".to_owned(),
        };
        match closed.reconnect_in {
            None => self.wrong(&what),
            Some(wait) => {
                let seconds = wait.as_millis() as f64 / 1_000.0;
                self.wrong(&format!("{what}; trying again in {seconds:.1} s"))
            }
        }
    }
}

/// An id, as short as people need it.
pub(in crate::cli::client) fn short(client: ClientId) -> String {
    let id = client.to_string();
    let id = id.strip_prefix("client_").unwrap_or(&id);
    id.get(..SHORT).unwrap_or(id).to_owned()
}

/// What an `error` says.
pub(in crate::cli::client) fn refusal(message: &Message) -> String {
    match &message.told {
        Told::Error {
            code,
            message,
            retry_after_ms,
        } => {
            let code = code.map(|code| format!("{code}: ")).unwrap_or_default();
            let again = retry_after_ms.map(|ms| format!("; it may be tried again after {ms} ms"));
            format!("refused: {code}{message}{}", again.unwrap_or_default())
        }
        _ => message.text.clone(),
    }
}

/// Text as it was typed, all else as JSON.
pub(in crate::cli::client) fn data(data: &SaidData) -> String {
    match data {
        SaidData::Bytes(bytes) => format!("{} bytes", bytes.len()),
        SaidData::Json(text) => match serde_json::from_str(text) {
            Ok(Value::String(text)) => one_line(&text),
            _ => one_line(text),
        },
    }
}

/// What somebody said in a room, as the server spells it.
pub(in crate::cli::client) fn room_message(room: &str, said: &Said, offset: Option<u64>) -> String {
    let (room, from) = (Value::from(room), said.from);
    let data = match &said.data {
        SaidData::Json(text) => text.clone(),
        SaidData::Bytes(bytes) => encoded(bytes),
    };
    let offset = offset.map(|offset| format!(r#","offset":{offset}"#));
    format!(
        r#"{{"type":"room_message","room":{room},"from":"{from}","data":{data},"timestamp":{}{}}}"#,
        said.timestamp,
        offset.unwrap_or_default()
    )
}

/// Bytes and how they are encoded, as they stand behind `"data":`.
fn encoded(bytes: &[u8]) -> String {
    let Content::Request(request) = Content::say_bytes("", bytes) else {
        return String::new();
    };
    let request: Value = serde_json::from_str(&request).unwrap_or_default();
    format!(r#"{},"encoding":{}"#, request["data"], request["encoding"])
}

const SHORT: usize = 6;
const CLIENT_COLOURS: [u8; 8] = [32, 33, 34, 35, 92, 93, 94, 95];

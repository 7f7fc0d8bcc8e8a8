//! What came and went, as lines.

#[cfg(test)]
mod tests;

use std::fmt::Write;

use serde::Serialize;
use serde_json::value::RawValue;

use super::frames;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Messages that came, and nothing else.
    Bare,
    /// Everything, for people.
    Text,
    /// Everything, a JSON object each.
    Json,
}

/// One thing that came or went.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown<'a> {
    Open {
        protocol: Option<&'a str>,
    },
    Text(&'a str),
    Binary(&'a [u8]),
    /// A frame of the binary dialect, and what the JSON dialect calls it.
    Frame {
        frame: &'a [u8],
        json: Option<&'a str>,
    },
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    Close {
        code: Option<u16>,
        reason: &'a str,
    },
}

/// The line for `shown`, with its end, or nothing if the form has none for it. `came`: else it went.
pub(super) fn line(form: Form, unix_ms: u64, came: bool, shown: Shown<'_>) -> String {
    match form {
        Form::Bare => bare(came, shown),
        Form::Text => text(unix_ms, came, shown),
        Form::Json => object(unix_ms, came, shown),
    }
}

fn bare(came: bool, shown: Shown<'_>) -> String {
    match shown {
        Shown::Text(text) if came => format!("{}\n", one_line(text)),
        Shown::Binary(bytes) if came => format!("{}\n", binary(bytes)),
        Shown::Frame { frame, json } if came => format!("{}\n", readable(frame, json)),
        _ => String::new(),
    }
}

fn text(unix_ms: u64, came: bool, shown: Shown<'_>) -> String {
    let arrow = if came { '<' } else { '>' };
    let what = match shown {
        Shown::Open { protocol } => {
            let protocol = protocol.map(|name| format!(" {name}"));
            format!("open{}", protocol.unwrap_or_default())
        }
        Shown::Text(text) => one_line(text),
        Shown::Binary(bytes) => binary(bytes),
        Shown::Frame { frame, json } => readable(frame, json),
        Shown::Ping(_) => "ping".to_owned(),
        Shown::Pong(_) => "pong".to_owned(),
        Shown::Close { code, reason } => {
            let code = code.map_or_else(|| "without a code".to_owned(), |code| code.to_string());
            let line = format!("close {code} {}", one_line(reason));
            line.trim_end().to_owned()
        }
    };
    format!("{} {arrow} {:>7} {what}\n", clock(unix_ms), shown.bytes())
}

fn object(unix_ms: u64, came: bool, shown: Shown<'_>) -> String {
    let mut object = Object {
        unix_ms,
        direction: if came { "in" } else { "out" },
        kind: shown.kind(),
        bytes: shown.bytes(),
        ..Object::default()
    };
    match shown {
        Shown::Open { protocol } => object.protocol = protocol,
        // As it is written, so that no number in it loses a digit.
        Shown::Text(text) => match serde_json::from_str(text) {
            Ok(message) => object.message = Some(message),
            Err(_) => object.text = Some(text),
        },
        Shown::Frame { frame, json } => {
            object.frame = Some(frames::kind(frame));
            object.message = json.and_then(|json| serde_json::from_str(json).ok());
            if object.message.is_none() {
                object.hex = Some(hex(frame));
            }
        }
        Shown::Binary(bytes) | Shown::Ping(bytes) | Shown::Pong(bytes) => {
            object.hex = Some(hex(bytes));
        }
        Shown::Close { code, reason } => (object.code, object.reason) = (code, Some(reason)),
    }
    // Strings and numbers alone: there is nothing that could not be written.
    let line = serde_json::to_string(&object).unwrap_or_default();
    format!("{}\n", one_line(&line))
}

/// What is not there is left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    unix_ms: u64,
    direction: &'static str,
    kind: &'static str,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'a str>,
    /// What kind of frame it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<&'static str>,
    /// A text that is JSON, or what a frame is in JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a RawValue>,
    /// One that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Shown<'_> {
    /// How large the payload is; of what is no message 0.
    fn bytes(self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes.len(),
            Self::Frame { frame, .. } => frame.len(),
            Self::Open { .. } | Self::Close { .. } => 0,
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Text(_) => "text",
            Self::Binary(_) | Self::Frame { .. } => "binary",
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::Close { .. } => "close",
        }
    }
}

/// `text` without line ends, and without what a terminal would obey. JSON stays what it is: between its strings line
/// ends are spaces, and inside them such characters may be escaped.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => line.push(' '),
            '\t' => line.push(c),
            c if c.is_control() => {
                // All of them are below U+00A0.
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}

fn readable(frame: &[u8], json: Option<&str>) -> String {
    json.map_or_else(
        || format!("{} {}", frames::kind(frame), hex(frame)),
        one_line,
    )
}

fn binary(bytes: &[u8]) -> String {
    format!("binary {}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The time of day, UTC.
pub(super) fn clock(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1_000 % 86_400, unix_ms % 1_000);
    let (minutes, second) = (seconds / 60, seconds % 60);
    format!(
        "{:02}:{:02}:{second:02}.{ms:03}",
        minutes / 60,
        minutes % 60
    )
}

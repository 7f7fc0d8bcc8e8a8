//! A floor on which clients speak the binary dialect though their scripts are in JSON: what a client says is put into
//! frames on its way to the server, and what the server says is put into JSON on its way back. What has no frame goes as
//! it is.
//!
//! An `id` of JSON goes as a number, which stands for it among the requests of its connection.

use core::num::NonZeroU32;
use std::time::Instant;

use roomwire_core::dialect::binary::{self, Told};
use roomwire_core::dialect::json::{self, JsonLimits};
use roomwire_core::server::Command;
use roomwire_core::{Asked, ClientClock, ClientMessage, Config, Messages, Request};
use serde_json::value::RawValue;

use super::{End, Floor, News};
use crate::frame::{FrameReader, Opcode, masked, plain, unmasked};
use crate::told::json_of;

/// Another floor, with translators.
#[derive(Debug)]
pub struct InBinary<F> {
    floor: F,
    /// The application's.
    types: Vec<String>,
    limits: JsonLimits,
    /// Listeners where JSON comes bare, which frames do not.
    bare: Vec<bool>,
    lines: Vec<Line>,
}

#[derive(Debug, Default)]
struct Line {
    /// What comes, once the connection is a WebSocket.
    frames: Option<FrameReader>,
    /// Everything goes as it is.
    untouched: bool,
    /// What has come before, of an answer that is not whole.
    head: Vec<u8>,
    /// As they stood in JSON; the first one's number is 1.
    ids: Vec<String>,
}

impl<F: Floor> InBinary<F> {
    /// Translates between scripts and a floor with this config.
    pub fn new(config: Config, floor: impl FnOnce(Config) -> F) -> Self {
        Self {
            types: config.application_types.clone(),
            limits: JsonLimits::from(&config.limits),
            bare: config.listeners.iter().map(|l| l.raw_payloads).collect(),
            floor: floor(config),
            lines: Vec::new(),
        }
    }

    /// What a client says, as a frame; `None` if there is none for it.
    fn frame_of(&mut self, line: usize, text: &str) -> Option<Vec<u8>> {
        let types = &self.types;
        let is_application = |kind: &str| types.iter().any(|known| known == kind);
        let Request { asked, message } = json::decode(text, &self.limits, &is_application).ok()?;
        let Asked::Json(id) = asked else { return None };
        let mut frames = Vec::new();
        let message = match message {
            // The clock of a frame is a number, and 0 is none.
            ClientMessage::Ping { timestamp } => ClientMessage::Ping {
                timestamp: Some(ClientClock::Millis(clock(timestamp)?)),
            },
            ClientMessage::Batch {
                messages: Messages::Json(array),
            } => {
                let inner: Vec<&RawValue> = serde_json::from_str(array).ok()?;
                for message in inner {
                    frames.extend(self.frame_of(line, message.get())?);
                }
                ClientMessage::Batch {
                    messages: Messages::Binary(&frames),
                }
            }
            other => other,
        };
        let ids = &mut self.lines[line].ids;
        let number = id.and_then(|id| {
            ids.push(id.to_owned());
            NonZeroU32::new(ids.len() as u32)
        });
        let asked = Asked::Binary(number);
        let mut frame = Vec::new();
        binary::encode_request(&Request { asked, message }, 0, &mut frame).ok()?;
        Some(frame)
    }

    /// What the server says, as text.
    fn text_of(&self, line: usize, frame: &[u8]) -> String {
        if let Some(frames) = binary::split_batch(frame).expect("a frame") {
            let inner: Vec<_> = frames.map(|frame| self.text_of(line, frame)).collect();
            return format!(r#"{{"type":"batch","messages":[{}]}}"#, inner.join(","));
        }
        let Told {
            message, number, ..
        } = binary::decode_message(frame).expect("a frame of the server");
        let id = number.map(|number| {
            let ids = &self.lines[line].ids;
            ids[number.get() as usize - 1].as_str()
        });
        json_of(message, id)
    }

    /// What comes, with text for frames.
    fn translated(&mut self, line: usize, bytes: &[u8]) -> Vec<u8> {
        let Some(mut frames) = self.lines[line].frames.take() else {
            return self.before(line, bytes);
        };
        frames.push(bytes);
        let mut out = Vec::new();
        while let Some(frame) = frames.next_frame() {
            out.extend(match frame.opcode {
                Opcode::Binary if self.is_frame(&frame.payload) => {
                    let text = self.text_of(line, &frame.payload);
                    plain(Opcode::Text, text.as_bytes())
                }
                opcode => plain(opcode, &frame.payload),
            });
        }
        self.lines[line].frames = Some(frames);
        out
    }

    /// An echo sends back what is none.
    fn is_frame(&self, payload: &[u8]) -> bool {
        binary::decode_message(payload).is_ok()
            || matches!(binary::split_batch(payload), Ok(Some(_)))
    }

    /// Answers of HTTP, until one of them upgrades.
    fn before(&mut self, line: usize, bytes: &[u8]) -> Vec<u8> {
        let state = &mut self.lines[line];
        state.head.extend_from_slice(bytes);
        let upgrade = find(&state.head, b"HTTP/1.1 101 ");
        let end = upgrade.and_then(|at| Some(at + find(&state.head[at..], b"\r\n\r\n")? + 4));
        let Some(end) = end else {
            // What is not whole yet may only be an upgrade's.
            return if upgrade.is_some() {
                Vec::new()
            } else {
                core::mem::take(&mut state.head)
            };
        };
        let rest = state.head.split_off(end);
        let mut out = core::mem::take(&mut state.head);
        state.frames = Some(FrameReader::after(&String::from_utf8_lossy(&out)));
        out.extend(self.translated(line, &rest));
        out
    }
}

/// The clock of a ping, if a frame can carry it.
fn clock(timestamp: Option<ClientClock<'_>>) -> Option<u64> {
    match timestamp {
        None => Some(0),
        Some(ClientClock::Json(raw)) => raw.parse().ok().filter(|&ms| ms > 0),
        Some(ClientClock::Millis(ms)) => Some(ms),
    }
}

impl<F: Floor> Floor for InBinary<F> {
    fn open(&mut self, listener: u16, preface: &[u8]) -> usize {
        let bare = self.bare.get(usize::from(listener)).copied();
        self.lines.push(Line {
            untouched: bare.unwrap_or(false),
            ..Line::default()
        });
        self.floor.open(listener, preface)
    }

    fn write(&mut self, line: usize, bytes: &[u8]) {
        if self.lines[line].untouched {
            return self.floor.write(line, bytes);
        }
        if let Some(rest) = bytes.strip_prefix(b"GET / HTTP/1.1\r\n") {
            let asked = [b"GET /?dialect=binary HTTP/1.1\r\n", rest].concat();
            return self.floor.write(line, &asked);
        }
        let text = unmasked(bytes).filter(|frame| frame.fin && frame.opcode == Opcode::Text);
        let text = text.and_then(|frame| String::from_utf8(frame.payload).ok());
        match text.and_then(|text| self.frame_of(line, &text)) {
            Some(frame) => self
                .floor
                .write(line, &masked(Opcode::Binary, true, &frame)),
            None => self.floor.write(line, bytes),
        }
    }

    fn finish(&mut self, line: usize) {
        self.floor.finish(line);
    }

    fn reset(&mut self, line: usize) {
        self.floor.reset(line);
    }

    fn stall(&mut self, line: usize, stalled: bool) {
        self.floor.stall(line, stalled);
    }

    fn command(&mut self, command: Command) {
        self.floor.command(command);
    }

    fn pass(&mut self, ms: u64) {
        self.floor.pass(ms);
    }

    fn next(&mut self, patience: Option<Instant>) -> Option<News> {
        loop {
            match self.floor.next(patience)? {
                News::Bytes(line, bytes) if !self.lines[line].untouched => {
                    let bytes = self.translated(line, &bytes);
                    if !bytes.is_empty() {
                        return Some(News::Bytes(line, bytes));
                    }
                }
                News::End(line, end) => {
                    let state = &self.lines[line];
                    let pending = state.frames.as_ref().map_or(0, FrameReader::pending_bytes);
                    assert!(pending == 0 || end != End::Finished, "half a frame");
                    return Some(News::End(line, end));
                }
                other => return Some(other),
            }
        }
    }

    fn unix_ms(&self) -> u64 {
        self.floor.unix_ms()
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

//! What a server sends once the connection is open, and what a client has to tell of it.

use roomwire_core::websocket::deflate::{Compressors, Effort, Window};
use roomwire_core::websocket::{
    CloseCode, Control, Data, OpCode, is_sendable_close_code, put_close, put_header,
};

use super::Told;
use crate::input::Choices;

/// Appends frames, and what they come to, until one ends the connection.
pub(super) fn recipe(
    choices: &mut Choices<'_>,
    deflate: bool,
    max_message_bytes: usize,
    bytes: &mut Vec<u8>,
    expected: &mut Vec<Told>,
) {
    let mut server = Server {
        deflate,
        max_message_bytes,
        bytes,
        expected,
    };
    for _ in 0..24 {
        if choices.is_empty() {
            return;
        }
        let goes_on = match choices.below(8) {
            0 => server.control(choices, Control::Ping),
            1 => server.control(choices, Control::Pong),
            2 => server.close(choices),
            _ => server.message(choices),
        };
        if !goes_on {
            server.bytes.extend_from_slice(choices.rest());
            return;
        }
    }
}

struct Server<'a> {
    deflate: bool,
    max_message_bytes: usize,
    bytes: &'a mut Vec<u8>,
    expected: &'a mut Vec<Told>,
}

/// Each says whether the connection goes on.
impl Server<'_> {
    fn put(&mut self, opcode: OpCode, (fin, rsv1): (bool, bool), payload: &[u8]) {
        put_header(self.bytes, opcode, fin, rsv1, payload.len() as u64);
        self.bytes.extend_from_slice(payload);
    }

    fn control(&mut self, choices: &mut Choices<'_>, kind: Control) -> bool {
        let length = choices.below(126);
        let payload = choices.take(length);
        self.put(OpCode::Control(kind), (true, false), payload);
        let name = if kind == Control::Ping {
            "Ping"
        } else {
            "Pong"
        };
        self.expected
            .push(Told::Other(format!("{name}({payload:?})"), false));
        true
    }

    fn close(&mut self, choices: &mut Choices<'_>) -> bool {
        let code = choices.short();
        let length = choices.below(124);
        let reason = String::from_utf8_lossy(choices.take(length)).into_owned();
        let reason = if reason.len() > 120 { "" } else { &*reason };
        put_close(self.bytes, CloseCode::from(code), reason);
        let words = match is_sendable_close_code(code) {
            true => format!("Closed {{ code: Some({code}), reason: {reason:?} }}"),
            false => "Closed { code: None, reason: \"\" }".to_owned(),
        };
        self.expected.push(Told::Other(words, true));
        false
    }

    /// In one or more fragments; compressed or not, or only said to be.
    fn message(&mut self, choices: &mut Choices<'_>) -> bool {
        let kind = choices.byte();
        let sample = choices.below(64);
        let sample = choices.take(sample);
        let times = match choices.byte() {
            0xf0.. => 16 * usize::from(choices.byte()),
            times => usize::from(times & 7),
        };
        let mut message = sample.repeat(times);
        let (text, compressed) = (kind & 1 == 1, self.deflate && kind & 2 == 2);
        let is_broken = compressed && kind & 0xc == 0xc;
        if text && kind & 0xf0 != 0xf0 {
            message = String::from_utf8_lossy(&message).into_owned().into_bytes();
        }
        let payload = match compressed {
            true if is_broken => vec![0x06],
            true => compress(&message),
            false => message.clone(),
        };
        let fragments = (1 + choices.below(4))
            .min(self.max_message_bytes / 4)
            .max(1);
        let piece = payload.len().div_ceil(fragments).max(1);
        for index in 0..fragments {
            let opcode = match (index, text) {
                (1.., _) => Data::Continue,
                (_, true) => Data::Text,
                (_, false) => Data::Binary,
            };
            let ends = [index * piece, (index + 1) * piece].map(|at| at.min(payload.len()));
            let bits = (index + 1 == fragments, compressed && index == 0);
            self.put(OpCode::Data(opcode), bits, &payload[ends[0]..ends[1]]);
        }
        let told = if piece.min(payload.len()) > self.max_message_bytes {
            violation("FrameTooLarge")
        } else if text && !compressed && self.breaks_off(&payload, piece) {
            violation("InvalidUtf8")
        } else if payload.len() > self.max_message_bytes {
            violation("MessageTooLarge")
        } else if is_broken {
            violation("CorruptDeflate")
        } else if message.len() > self.max_message_bytes {
            violation("MessageTooLarge")
        } else if text {
            String::from_utf8(message).map_or_else(|_| violation("InvalidUtf8"), Told::Text)
        } else {
            Told::Binary(message)
        };
        let goes_on = !matches!(told, Told::Other(..));
        self.expected.push(told);
        goes_on
    }

    /// Whether a text is none before the first frame that is too many, of so many bytes each.
    fn breaks_off(&self, text: &[u8], piece: usize) -> bool {
        let whole = self.max_message_bytes / piece * piece;
        let before = text.get(..whole).unwrap_or(text);
        core::str::from_utf8(before).is_err_and(|error| error.error_len().is_some())
    }
}

fn violation(error: &str) -> Told {
    Told::Other(format!("Violation({error})"), true)
}

/// As a server would; in one stored block where that is not worth while.
fn compress(message: &[u8]) -> Vec<u8> {
    let mut compressors = Compressors::new(Effort::DEFAULT);
    if let Some(payload) = compressors.compress(Window::MAX, message) {
        return payload.to_vec();
    }
    let mut payload = Vec::new();
    for block in message.chunks(0xffff) {
        let length = block.len() as u16;
        payload.push(0);
        payload.extend(length.to_le_bytes());
        payload.extend((!length).to_le_bytes());
        payload.extend_from_slice(block);
    }
    payload.push(0);
    payload
}

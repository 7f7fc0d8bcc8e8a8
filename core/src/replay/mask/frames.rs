//! Masks WebSocket frames: what is in them, never their headers.

use super::binary::Frame;
use super::text::Text;
use super::utf8::Utf8;

/// One connection's frames. After a broken rule what comes is still masked, but means nothing.
#[derive(Debug)]
pub(super) struct Frames {
    max_message_bytes: u64,
    header: [u8; 14],
    /// Bytes of `header` that have come.
    have: usize,
    /// Payload bytes that are still to come.
    left: u64,
    /// The key as it applies to the next byte.
    key: [u8; 4],
    payload: Payload,
    /// What continuation frames belong to.
    message: Payload,
    text: Text,
    binary: Frame,
    /// Of a close frame's payload.
    close_bytes: usize,
    close_reason: Utf8,
}

#[derive(Clone, Copy, Debug, Default)]
enum Payload {
    #[default]
    Zeroed,
    Text,
    Binary,
    Close,
}

impl Frames {
    pub(super) fn new(max_message_bytes: u64) -> Self {
        Self {
            max_message_bytes,
            header: [0; 14],
            have: 0,
            left: 0,
            key: [0; 4],
            payload: Payload::Zeroed,
            message: Payload::Zeroed,
            text: Text::default(),
            binary: Frame::message(max_message_bytes, None),
            close_bytes: 0,
            close_reason: Utf8::default(),
        }
    }

    pub(super) fn mask(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left > 0 {
                let key = self.key[0];
                self.key.rotate_left(1);
                self.left -= 1;
                *byte = key ^ self.masked(*byte ^ key);
            } else {
                self.header_byte(*byte);
            }
        }
    }

    fn masked(&mut self, byte: u8) -> u8 {
        match self.payload {
            Payload::Zeroed => 0,
            Payload::Text => self.text.masked(byte),
            Payload::Binary => self.binary.masked(byte),
            Payload::Close => {
                self.close_bytes += 1;
                match self.close_reason_byte(byte) {
                    Some(masked) => masked,
                    None => byte,
                }
            }
        }
    }

    /// `None` for a byte of the code.
    fn close_reason_byte(&mut self, byte: u8) -> Option<u8> {
        (self.close_bytes > 2).then(|| self.close_reason.masked(byte, |_| b'x'))
    }

    fn header_byte(&mut self, byte: u8) {
        if let Some(place) = self.header.get_mut(self.have) {
            *place = byte;
        }
        self.have += 1;
        let [first, second, rest @ ..] = self.header;
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        if self.have < 2 + extended + mask_bytes {
            return;
        }
        self.left = match extended {
            0 => u64::from(second & 0x7f),
            _ => rest
                .iter()
                .take(extended)
                .fold(0, |length, &byte| length << 8 | u64::from(byte)),
        };
        self.key = [0; 4];
        for (place, &byte) in self
            .key
            .iter_mut()
            .zip(rest.iter().skip(extended).take(mask_bytes))
        {
            *place = byte;
        }
        self.have = 0;
        self.begin(first & 0x0f, first & 0x80 != 0);
    }

    fn begin(&mut self, opcode: u8, is_whole: bool) {
        self.payload = match opcode {
            0x0 => self.message,
            0x1 => {
                self.message = Payload::Text;
                self.text = Text::default();
                Payload::Text
            }
            0x2 => {
                self.message = Payload::Binary;
                self.binary = Frame::message(self.max_message_bytes, is_whole.then_some(self.left));
                Payload::Binary
            }
            0x8 => {
                self.close_bytes = 0;
                self.close_reason = Utf8::default();
                Payload::Close
            }
            _ => Payload::Zeroed,
        };
    }
}

//! Messages of all kinds, through one set of compressors.

use roomwire_core::websocket::deflate::{Compressors, Effort, Inflater, Window};

use super::independent;
use crate::input::Choices;

/// The recipe of a sequence: an effort, then six bytes for each message, or for up to sixteen like it.
pub(super) fn run(choices: &mut Choices<'_>) {
    let effort = Effort {
        level: effort_level(choices.byte()),
        memory_level: effort_level(choices.byte()),
    };
    let mut through = Through::new(effort);
    let mut left_bytes = MOST_BYTES;
    while !choices.is_empty() && left_bytes > 0 {
        let kind = choices.below(8);
        let window = choices.below(9);
        let scale = choices.below(20);
        let times = 1 + choices.below(16);
        let mut random = Random::new(choices.short());
        for _ in 0..times {
            let length = random.length(scale);
            if length > left_bytes {
                return through.again();
            }
            left_bytes -= length;
            let message = match kind {
                0 => choices.take(length).to_vec(),
                kind => random.message(kind, length),
            };
            through.pass(window, &message);
        }
    }
    through.again();
}

/// What an input may come to: whoever wants more must make another.
const MOST_BYTES: usize = 1 << 18;

/// The longest message.
const LONGEST_BYTES: u64 = 200 * 1_024;

/// Those that there are, and what is taken for the nearest.
const fn effort_level(byte: u8) -> u8 {
    match byte {
        0xf0.. => byte,
        _ => byte % 11,
    }
}

/// Both ends of a way.
struct Through {
    compressors: Compressors,
    inflater: Inflater,
    effort: Effort,
    windows: [bool; Window::ALL.len()],
    longest: usize,
    /// The first message, and what it was compressed to.
    first: Option<(Window, Vec<u8>, Option<Vec<u8>>)>,
}

impl Through {
    fn new(effort: Effort) -> Self {
        Self {
            compressors: Compressors::new(effort),
            inflater: Inflater::new(),
            effort,
            windows: [false; Window::ALL.len()],
            longest: 0,
            first: None,
        }
    }

    /// One message; `choice` is its window, or asks for what is kept to be given back first.
    fn pass(&mut self, choice: usize, message: &[u8]) {
        let window = Window::ALL.get(choice).copied().unwrap_or(Window::MAX);
        if choice > Window::ALL.len() {
            self.compressors.shrink();
            self.inflater.shrink();
            assert!(self.inflater.heap_bytes() <= CONTEXT_BYTES + KEPT_BYTES);
        }
        self.windows[usize::from(window.bits() - Window::ALL[0].bits())] = true;
        self.longest = self.longest.max(message.len());
        let payload = self
            .compressors
            .compress(window, message)
            .map(<[u8]>::to_vec);
        if self.first.is_none() {
            self.first = Some((window, message.to_vec(), payload.clone()));
        }
        if let Some(payload) = payload {
            assert!(payload.len() < message.len(), "not shorter");
            let came = independent::through_window(&payload, window);
            assert!(came == message, "the window, or what others make of it");
            let came = self.inflater.inflate(&payload, message.len());
            assert!(came == Ok(message), "what is inflated");
            let less = self.inflater.inflate(&payload, message.len() - 1);
            assert!(less.is_err(), "the cap");
        }
        self.check_memory();
    }

    /// Whatever came between, the same message is compressed to the same bytes; but not at the levels at which zlib-rs
    /// 0.6.8 also looks at what it should have forgotten, and then finds other matches, as good or nearly so.
    fn again(&mut self) {
        let forgets = matches!(self.effort.level, 0 | 1 | 3..=6);
        if let Some((window, message, payload)) = self.first.take().filter(|_| forgets) {
            let again = self.compressors.compress(window, &message);
            assert!(again == payload.as_deref(), "not as at first");
        }
        // In a log they tell how large they are, and nothing of the messages.
        let words = format!("{:?} {:?}", self.compressors, self.inflater);
        assert!(words.contains("heap_bytes") && words.len() < 200, "{words}");
    }

    /// What is told about memory is right, and no context was thrown away: none runs out of room.
    fn check_memory(&self) {
        let windows = Window::ALL.iter().zip(self.windows);
        let contexts = windows.filter(|(_, used)| *used).map(|(window, _)| {
            let symbols = 1_usize << (usize::from(self.effort.memory_level.clamp(1, 9)) + 6);
            4 * (1_usize << window.bits()) + 7 * symbols + 128 * 1_024
        });
        let contexts = contexts.sum::<usize>();
        // Stored, and what begins each block of 112 bytes or more; nine bits for a byte where nothing is stored.
        let buffer = self.longest + self.longest / 8 + (self.longest / 112 + 1) * 32;
        let held = self.compressors.heap_bytes();
        assert!(
            (contexts..=contexts + 28 * 1_024 + buffer).contains(&held),
            "holds {held} of {contexts} and {buffer}"
        );
        assert!(self.inflater.heap_bytes() <= CONTEXT_BYTES + self.longest + 1);
    }
}

/// What an inflater takes beside its buffer.
pub(super) const CONTEXT_BYTES: usize = 48_000;

/// What is kept of a buffer when it is asked to shrink.
pub(super) const KEPT_BYTES: usize = 64 * 1_024;

/// A small generator (xorshift), so that a few bytes make long messages.
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u16) -> Self {
        Self((seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    const fn below(&mut self, count: u64) -> usize {
        (self.next() % count) as usize
    }

    /// Up to 2^`scale` bytes; of the largest scales, any length that there may be.
    pub(super) const fn length(&mut self, scale: usize) -> usize {
        match scale {
            0..18 => self.below(1 << scale),
            _ => self.below(LONGEST_BYTES + 1),
        }
    }

    pub(super) fn message(&mut self, kind: usize, length: usize) -> Vec<u8> {
        let mut message = Vec::with_capacity(length + 300);
        match kind {
            1 => self.noise(256, length, &mut message),
            2 => {
                let of = 2 + self.below(254);
                self.noise(of, length, &mut message);
            }
            3 => self.noise_that_matches(length, &mut message),
            4 => self.text(length, &mut message),
            5 => self.runs(length, &mut message),
            6 => self.repeats(length, &mut message),
            _ => self.mixture(length, &mut message),
        }
        message.truncate(length);
        message
    }

    fn noise(&mut self, of: usize, length: usize, into: &mut Vec<u8>) {
        into.extend((0..length).map(|_| self.below(of as u64) as u8));
    }

    /// Every now and then a few bytes occur again.
    fn noise_that_matches(&mut self, length: usize, into: &mut Vec<u8>) {
        let of = [256, 255, 251, 200, 128, 64][self.below(6)];
        let start = into.len();
        self.noise(of, length, into);
        let (step, bytes) = (16 + self.below(250), 3 + self.below(6));
        let distance = bytes + self.below(40);
        let mut at = start;
        while at + distance + bytes < into.len() {
            into.copy_within(at..at + bytes, at + distance);
            at += step;
        }
    }

    fn text(&mut self, length: usize, into: &mut Vec<u8>) {
        const WORDS: [&str; 8] = [
            "{\"type\":\"",
            "room_message",
            "\",\"data\":",
            "true",
            "}",
            " and ",
            "4711",
            "\u{e4}",
        ];
        let end = into.len() + length;
        while into.len() < end {
            into.extend_from_slice(WORDS[self.below(8)].as_bytes());
            if self.below(4) == 0 {
                into.push(self.below(256) as u8);
            }
        }
    }

    fn runs(&mut self, length: usize, into: &mut Vec<u8>) {
        let end = into.len() + length;
        while into.len() < end {
            let bytes = self.below(300);
            let byte = self.below(256) as u8;
            into.resize(into.len() + bytes, byte);
        }
    }

    /// The same again, near or far: as far as a window reaches, or just beyond it.
    fn repeats(&mut self, length: usize, into: &mut Vec<u8>) {
        let bits = 3 + self.below(13);
        let part = (1 << bits) - 4 + self.below(9);
        let start = into.len();
        self.noise(256, part.min(length), into);
        let part = into[start..].to_vec();
        while !part.is_empty() && into.len() < start + length {
            into.extend_from_slice(&part);
        }
    }

    fn mixture(&mut self, length: usize, into: &mut Vec<u8>) {
        let end = into.len() + length;
        while into.len() < end {
            let piece = 1 + self.below(20_000);
            match self.below(6) {
                0 => self.noise(256, piece, into),
                1 => self.noise(64, piece, into),
                2 => self.noise_that_matches(piece, into),
                3 => self.text(piece, into),
                4 => self.runs(piece, into),
                _ => self.repeats(piece, into),
            }
        }
    }
}

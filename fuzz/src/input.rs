//! Reading choices out of a fuzzer's bytes.

/// What is left of an input. Where it has run out every choice is 0, so that shortening an input changes as
/// little as possible.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    /// All of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((&first, rest)) => {
                self.bytes = rest;
                first
            }
            None => 0,
        }
    }

    /// A number from 0 to `count` - 1; one byte's worth, so `count` is at most 256.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// One bit; takes a byte.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Two bytes, big endian.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A number whose size is chosen first, so that small and huge ones are equally likely.
    pub fn number(&mut self) -> u64 {
        let bytes = self.below(9);
        (0..bytes).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// The next `length` bytes, or what is left.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(length.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.bytes)
    }
}

/// Ways of cutting input into pieces.
#[derive(Clone, Copy, Debug)]
pub struct Cuts(u16);

impl Cuts {
    /// From two bytes of choices.
    pub fn choose(choices: &mut Choices<'_>) -> Self {
        Self(choices.short())
    }

    /// One piece per byte.
    pub const BYTEWISE: Self = Self(0);

    /// The lengths of the pieces, without end. Repeatable.
    pub fn lengths(self) -> impl Iterator<Item = usize> {
        // A small generator: even pieces of one byte for 0, mixed ones otherwise.
        let mut state = u32::from(self.0);
        core::iter::repeat_with(move || {
            if state == 0 {
                return 1;
            }
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let scale = state >> 8 & 7;
            1 + (state >> 16) as usize % (1 << scale)
        })
    }

    /// Where `length` bytes are cut, the end included. Strictly ascending.
    pub fn ends(self, length: usize) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut at = 0;
        for piece in self.lengths() {
            if at >= length {
                break;
            }
            at = (at + piece).min(length);
            ends.push(at);
        }
        ends
    }
}

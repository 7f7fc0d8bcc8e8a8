//! A reader of DEFLATE (RFC 1951) as plain as can be, bit by bit, that names what is wrong and where.

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// A reserved type of block.
    BlockType,
    /// More codes than there are symbols.
    Counts,
    /// A reference to what never was.
    Distance,
    /// It stops in the middle of a block.
    End,
    /// A set of codes for the lengths of codes that leaves some unused.
    IncompleteLengths,
    /// A set of codes that leaves some unused, other than one code of one bit.
    Incomplete,
    /// A block without a code for its end.
    NoEnd,
    /// A set of codes that has more of them than there are bits for.
    Oversubscribed,
    /// A length of a code that repeats none, or too many.
    Repeat,
    /// The lengths of a stored block do not match.
    Stored,
    /// A code that stands for nothing.
    Symbol,
}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Corrupt(Flaw),
    TooLarge,
}

impl From<Flaw> for Failure {
    fn from(flaw: Flaw) -> Self {
        Self::Corrupt(flaw)
    }
}

/// The message that `payload` stands for. Behind a final block another stream may begin; what stops elsewhere goes on
/// in the sender's omission, and after that in a final block without bytes.
pub(super) fn read(payload: &[u8], max_bytes: usize) -> Result<Vec<u8>, Failure> {
    let input = [payload, &ENDING].concat();
    let mut message = Vec::new();
    let mut at = 0;
    while at != payload.len() && at < input.len() {
        let mut stream = Stream {
            bits: Bits {
                bytes: &input[at..],
                at: 0,
            },
            start: message.len(),
            message: &mut message,
            max_bytes,
        };
        while !stream.block()? {}
        at += stream.bits.at.div_ceil(8);
    }
    Ok(message)
}

/// What a sender leaves out, and an empty final block.
pub(super) const ENDING: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];

struct Bits<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Result<usize, Flaw> {
        let mut number = 0;
        for bit in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or(Flaw::End)?;
            number |= usize::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        Ok(number)
    }
}

struct Stream<'a> {
    bits: Bits<'a>,
    /// Where in the message it begins.
    start: usize,
    message: &'a mut Vec<u8>,
    max_bytes: usize,
}

impl Stream<'_> {
    /// Reads one block; whether it is the last.
    fn block(&mut self) -> Result<bool, Failure> {
        let is_last = self.bits.take(1)? == 1;
        match self.bits.take(2)? {
            0 => self.stored()?,
            1 => {
                let lengths = (0..288).map(|symbol| match symbol {
                    0..144 => 8,
                    144..256 => 9,
                    256..280 => 7,
                    _ => 8,
                });
                let symbols = Codes::new(&lengths.collect::<Vec<_>>());
                self.coded(&symbols, &Codes::new(&[5; 32]))?;
            }
            2 => {
                let (symbols, distances) = self.codes()?;
                self.coded(&symbols, &distances)?;
            }
            _ => return Err(Flaw::BlockType.into()),
        }
        Ok(is_last)
    }

    fn put(&mut self, byte: u8) -> Result<(), Failure> {
        if self.message.len() >= self.max_bytes {
            return Err(Failure::TooLarge);
        }
        self.message.push(byte);
        Ok(())
    }

    fn stored(&mut self) -> Result<(), Failure> {
        self.bits.at = self.bits.at.next_multiple_of(8);
        let (length, not_length) = (self.bits.take(16)?, self.bits.take(16)?);
        if length != not_length ^ 0xffff {
            return Err(Flaw::Stored.into());
        }
        for _ in 0..length {
            let byte = self.bits.take(8)?;
            self.put(byte as u8)?;
        }
        Ok(())
    }

    /// The codes that a block brings along.
    fn codes(&mut self) -> Result<(Codes, Codes), Flaw> {
        let symbols = 257 + self.bits.take(5)?;
        let distances = 1 + self.bits.take(5)?;
        let count = 4 + self.bits.take(4)?;
        if symbols > 286 || distances > 30 {
            return Err(Flaw::Counts);
        }
        let mut lengths = [0; 19];
        for &symbol in ORDER.iter().take(count) {
            lengths[symbol] = self.bits.take(3)?;
        }
        let codes = Codes::new(&lengths);
        if codes.left > 0 {
            return Err(Flaw::IncompleteLengths);
        }
        codes.check()?;
        let mut lengths = Vec::new();
        while lengths.len() < symbols + distances {
            let (length, times) = match codes.symbol(&mut self.bits)? {
                length @ 0..16 => (length, 1),
                16 => {
                    let last = *lengths.last().ok_or(Flaw::Repeat)?;
                    (last, 3 + self.bits.take(2)?)
                }
                17 => (0, 3 + self.bits.take(3)?),
                _ => (0, 11 + self.bits.take(7)?),
            };
            lengths.resize(lengths.len() + times, length);
        }
        if lengths.len() > symbols + distances {
            return Err(Flaw::Repeat);
        }
        if lengths[256] == 0 {
            return Err(Flaw::NoEnd);
        }
        let (symbols, distances) = lengths.split_at(symbols);
        let (symbols, distances) = (Codes::new(symbols), Codes::new(distances));
        symbols.check()?;
        distances.check()?;
        Ok((symbols, distances))
    }

    fn coded(&mut self, symbols: &Codes, distances: &Codes) -> Result<(), Failure> {
        loop {
            let symbol = symbols.symbol(&mut self.bits)?;
            match symbol {
                0..256 => self.put(symbol as u8)?,
                256 => return Ok(()),
                257..286 => {
                    let (base, extra) = LENGTHS[symbol - 257];
                    let length = base + self.bits.take(extra)?;
                    let symbol = distances.symbol(&mut self.bits)?;
                    let (base, extra) = *DISTANCES.get(symbol).ok_or(Flaw::Symbol)?;
                    let distance = base + self.bits.take(extra)?;
                    if distance > self.message.len() - self.start {
                        return Err(Flaw::Distance.into());
                    }
                    for _ in 0..length {
                        self.put(self.message[self.message.len() - distance])?;
                    }
                }
                _ => return Err(Flaw::Symbol.into()),
            }
        }
    }
}

/// A set of codes: how many there are of each length, and their symbols in order.
struct Codes {
    counts: [usize; 16],
    symbols: Vec<usize>,
    /// How many codes of 15 bits are not used; negative if there are more than can be.
    left: i32,
}

impl Codes {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        for &length in lengths {
            counts[length] += 1;
        }
        counts[0] = 0;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|&at| lengths[at] > 0).collect();
        symbols.sort_by_key(|&symbol| lengths[symbol]);
        let used = counts.iter().enumerate().skip(1);
        let used = used.map(|(length, &count)| (count as i32) << (15 - length));
        Self {
            counts,
            symbols,
            left: (1 << 15) - used.sum::<i32>(),
        }
    }

    /// A single code of one bit may stand alone, and a set may be empty, as zlib has it.
    fn check(&self) -> Result<(), Flaw> {
        match self.left {
            ..=-1 => Err(Flaw::Oversubscribed),
            1.. if self.counts[2..].iter().any(|&count| count > 0) => Err(Flaw::Incomplete),
            _ => Ok(()),
        }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<usize, Flaw> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code = code << 1 | bits.take(1)?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
        }
        Err(Flaw::Symbol)
    }
}

const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// Section 3.2.5: where each symbol's range begins, and how many bits say where in it.
const LENGTHS: [(usize, usize); 29] = {
    let mut table = [(258, 0); 29];
    let (mut at, mut base) = (0, 3);
    while at < 28 {
        let extra = if at < 8 { 0 } else { at / 4 - 1 };
        table[at] = (base, extra);
        base += 1 << extra;
        at += 1;
    }
    table
};

const DISTANCES: [(usize, usize); 30] = {
    let mut table = [(0, 0); 30];
    let (mut at, mut base) = (0, 1);
    while at < 30 {
        let extra = if at < 4 { 0 } else { at / 2 - 1 };
        table[at] = (base, extra);
        base += 1 << extra;
        at += 1;
    }
    table
};

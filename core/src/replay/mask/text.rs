//! Masks one JSON text as it arrives: structure stays, what is said goes.
//!
//! A lexer with as much grammar as it takes to know keys from values on the two outer levels. It is never stricter
//! than a parser: what it takes for an error is one, and from there on nothing can mend the text.

use super::utf8::Utf8;
use crate::dialect::json::SERVER_TYPES;

/// One message under way.
#[derive(Debug, Default)]
pub(super) struct Text {
    utf8: Utf8,
    token: Token,
    depth: u32,
    /// Something stands at the outermost level already.
    rooted: bool,
    /// The outermost object, and what is right inside it.
    levels: [Level; 2],
    /// The top-level key whose value comes.
    field: Field,
    /// What comes is the `type` of an object under `data`.
    data_type: bool,
    /// The key, or as much of a string as may be one of the words that count.
    word: Word,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Token {
    #[default]
    Between,
    String(Style, Escape),
    /// No digit has come yet.
    NumberStart,
    Number,
    /// What is left of `true`, `false` or `null`.
    Literal(&'static [u8]),
    /// This is not JSON.
    Broken,
}

/// How a string is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Not at all.
    Kept,
    /// Not at all; it is a top-level key.
    Key,
    /// From where it is none of [`DATA_KEYS`].
    DataKey,
    /// From where it is none of the server's types.
    DataType,
    Masked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    /// Behind a backslash.
    Start,
    /// Behind `\u` and this many digits.
    Hex(u8),
}

#[derive(Clone, Copy, Debug, Default)]
struct Level {
    is_object: bool,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Key,
    Colon,
    Value,
    Comma,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Field {
    /// Scalars stay.
    Kept,
    Data,
    Metadata,
    #[default]
    Masked,
}

impl Field {
    fn of(key: &[u8]) -> Self {
        match key {
            b"type" | b"room" | b"to" | b"id" | b"after" | b"limit" | b"timestamp" => Self::Kept,
            b"data" => Self::Data,
            b"metadata" => Self::Metadata,
            _ => Self::Masked,
        }
    }
}

impl Text {
    /// The byte that stands in for the next one.
    pub(super) fn masked(&mut self, byte: u8) -> u8 {
        let mut utf8 = self.utf8;
        let masked = utf8.masked(byte, |byte| byte);
        self.utf8 = utf8;
        if !byte.is_ascii() {
            return if self.other() { byte } else { masked };
        }
        if masked != byte {
            return masked; // in the middle of a character: not UTF-8
        }
        self.ascii(byte)
    }

    /// Takes a byte of a character that is not ASCII; `true` if it stays.
    fn other(&mut self) -> bool {
        match &mut self.token {
            Token::String(style, escape) if *escape == Escape::None => {
                self.word.clear();
                matches!(style, Style::Kept | Style::Key)
            }
            token => {
                *token = Token::Broken;
                false
            }
        }
    }

    fn ascii(&mut self, byte: u8) -> u8 {
        match self.token {
            Token::Between => self.between(byte),
            Token::String(style, escape) => self.in_string(style, escape, byte),
            Token::NumberStart | Token::Number => self.in_number(byte),
            Token::Literal(rest) => self.in_literal(rest, byte),
            Token::Broken => broken(byte),
        }
    }

    fn between(&mut self, byte: u8) -> u8 {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => self.token = Token::String(self.style(), Escape::None),
            b'{' | b'[' => self.open(byte == b'{'),
            b'}' | b']' => self.close(),
            b':' => {
                if let Some(level) = self.level()
                    && level.place == Place::Colon
                {
                    level.place = Place::Value;
                }
            }
            b',' => {
                if let Some(level) = self.level() {
                    level.place = if level.is_object {
                        Place::Key
                    } else {
                        Place::Value
                    };
                }
            }
            b'-' => self.token = Token::NumberStart,
            b'0'..=b'9' => return self.first_digit(byte),
            b't' => self.token = Token::Literal(b"rue"),
            b'f' => self.token = Token::Literal(b"alse"),
            b'n' => self.token = Token::Literal(b"ull"),
            _ => {
                self.token = Token::Broken;
                return broken(byte);
            }
        }
        byte
    }

    // ---- structure

    /// The level that the next token is on, if it is one of those that are looked at.
    fn level(&mut self) -> Option<&mut Level> {
        let index = self.depth.checked_sub(1)?;
        self.levels.get_mut(usize::try_from(index).ok()?)
    }

    fn open(&mut self, is_object: bool) {
        let second_root = self.depth == 0 && self.rooted;
        self.rooted = true;
        self.depth = self.depth.saturating_add(1);
        if let Some(level) = self.level() {
            *level = Level {
                is_object: is_object && !second_root,
                place: if is_object { Place::Key } else { Place::Value },
            };
        }
        if self.depth == 2 {
            self.data_type = false;
        }
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.value_ended();
    }

    fn value_ended(&mut self) {
        self.token = Token::Between;
        self.rooted = true;
        if let Some(level) = self.level()
            && level.place == Place::Value
        {
            level.place = Place::Comma;
        }
    }

    /// How the string that starts here is masked.
    fn style(&mut self) -> Style {
        self.word.start();
        let depth = self.depth;
        let Some(&mut Level { is_object, place }) = self.level() else {
            return Style::Masked;
        };
        match (depth, place, self.field) {
            _ if !is_object => Style::Masked,
            (1, Place::Key, _) => Style::Key,
            (1, Place::Value, Field::Kept) => Style::Kept,
            (2, Place::Key, Field::Data) => Style::DataKey,
            (2, Place::Value, Field::Data) if self.data_type => Style::DataType,
            (2, Place::Key, Field::Metadata) => Style::Kept,
            _ => Style::Masked,
        }
    }

    /// Whether a scalar that stands here stays as it is.
    fn keeps_scalar(&mut self) -> bool {
        let kept = self.field == Field::Kept && self.depth == 1;
        kept && self
            .level()
            .is_some_and(|level| level.is_object && level.place == Place::Value)
    }

    // ---- strings

    fn in_string(&mut self, style: Style, escape: Escape, byte: u8) -> u8 {
        let could_be = self.could_be(style);
        let next = match (escape, byte) {
            (Escape::None, b'"') => {
                self.string_ended(style);
                return byte;
            }
            (Escape::None, b'\\') => Escape::Start,
            (Escape::None, 0..0x20) => return self.give_up(byte),
            (Escape::None, _) => {
                self.word.push(byte);
                Escape::None
            }
            (Escape::Start, b'u') => {
                self.word.unicode = 0;
                Escape::Hex(0)
            }
            (Escape::Start, _) => match unescaped(byte) {
                Some(character) => {
                    self.word.push(character);
                    Escape::None
                }
                None => return self.give_up(byte),
            },
            (Escape::Hex(digits), _) => match char::from(byte).to_digit(16) {
                Some(digit) => {
                    self.word.unicode = self.word.unicode << 4 | digit;
                    if digits == 3 {
                        // What is no ASCII is in none of the words.
                        self.word
                            .push(u8::try_from(self.word.unicode).unwrap_or(0xff));
                        Escape::None
                    } else {
                        Escape::Hex(digits + 1)
                    }
                }
                None => return self.give_up(byte),
            },
        };
        self.token = Token::String(style, next);
        let stays = match style {
            Style::Kept | Style::Key => true,
            // The digit that shows a string to be none of the words must not be one that makes it one.
            Style::DataKey | Style::DataType if matches!(escape, Escape::Hex(_)) => could_be,
            Style::DataKey | Style::DataType => self.could_be(style),
            Style::Masked => false,
        };
        match escape {
            _ if stays => byte,
            Escape::None if byte == b'\\' => byte,
            Escape::None => b'x',
            Escape::Start => byte,
            Escape::Hex(_) => b'0',
        }
    }

    /// Whether the string so far may become a word that counts.
    fn could_be(&self, style: Style) -> bool {
        match style {
            Style::DataKey => self.word.may_be(&DATA_KEYS),
            Style::DataType => self.word.may_be(&SERVER_TYPES) || self.word.may_be(&FILE_PREFIX),
            Style::Kept | Style::Key | Style::Masked => false,
        }
    }

    fn string_ended(&mut self, style: Style) {
        let depth = self.depth;
        if let Some(level) = self.level()
            && level.is_object
            && level.place == Place::Key
        {
            level.place = Place::Colon;
            if depth == 2 {
                self.data_type = style == Style::DataKey && self.word.is(b"type");
            }
        } else {
            self.value_ended();
        }
        if style == Style::Key {
            self.field = Field::of(self.word.whole());
        }
        self.token = Token::Between;
    }

    /// The text is not JSON, whatever follows.
    fn give_up(&mut self, byte: u8) -> u8 {
        self.token = Token::Broken;
        broken(byte)
    }

    // ---- scalars

    /// A number starts or goes on: a leading zero stays one, as that decides what is a number.
    fn first_digit(&mut self, byte: u8) -> u8 {
        self.token = Token::Number;
        if self.keeps_scalar() || byte == b'0' {
            byte
        } else {
            b'1'
        }
    }

    fn in_number(&mut self, byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' if self.token == Token::NumberStart => self.first_digit(byte),
            b'0'..=b'9' if self.keeps_scalar() => byte,
            b'0'..=b'9' => b'1',
            b'.' | b'e' | b'E' | b'+' | b'-' => byte,
            _ => {
                self.value_ended();
                self.between(byte)
            }
        }
    }

    fn in_literal(&mut self, rest: &'static [u8], byte: u8) -> u8 {
        match rest.split_first() {
            Some((&expected, rest)) if expected == byte => {
                if rest.is_empty() {
                    self.value_ended();
                } else {
                    self.token = Token::Literal(rest);
                }
                byte
            }
            _ => self.give_up(byte),
        }
    }
}

/// What stands in for a byte of a text that is not JSON.
const fn broken(byte: u8) -> u8 {
    if byte.is_ascii_graphic() { b'x' } else { byte }
}

/// The character that a backslash and `byte` stand for.
const fn unescaped(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' | b'/' => byte,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

/// The start of a string with its escapes undone, as far as it can matter.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    bytes: [u8; Self::LEN],
    len: usize,
    /// The digits of `\u` so far.
    unicode: u32,
}

impl Word {
    /// Longer than any word that counts.
    const LEN: usize = 24;
    /// It is none of them.
    const NONE: usize = usize::MAX;

    const fn start(&mut self) {
        self.len = 0;
    }

    /// It cannot be a word any more.
    const fn clear(&mut self) {
        self.len = Self::NONE;
    }

    fn push(&mut self, byte: u8) {
        match self.bytes.get_mut(self.len) {
            Some(place) => {
                *place = byte;
                self.len += 1;
            }
            None => self.clear(),
        }
    }

    fn whole(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn is(&self, word: &[u8]) -> bool {
        self.len == word.len() && self.whole() == word
    }

    /// Whether one of `words` starts like this.
    fn may_be(&self, words: &[&str]) -> bool {
        let start = self.bytes.get(..self.len);
        start.is_some_and(|start| words.iter().any(|word| word.as_bytes().starts_with(start)))
    }
}

/// The key under `data` that counts.
const DATA_KEYS: [&str; 1] = ["type"];
/// Whatever starts so is one of the server's types.
const FILE_PREFIX: [&str; 1] = ["file_"];

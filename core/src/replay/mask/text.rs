//! Masks one JSON text as it arrives: structure stays, what is said goes.
//!
//! A lexer with as much grammar as it takes to know keys from values on the two outer levels of a message, and of each
//! message of a batch. It is never stricter than a parser: what it takes for an error is one, and from there on
//! nothing can mend the text.

use super::strings::{Kind, Told};
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
    /// The text is a value alone: what stands at level 1 is that.
    is_value: bool,
    message: Message,
    /// The message of a batch that the text is in.
    inner: Option<Message>,
    /// The key, or as much of a string as may be one of the words that count.
    word: Word,
    /// What counts of a string that is read.
    told: Told,
}

/// The two outer levels of a message.
#[derive(Clone, Copy, Debug, Default)]
struct Message {
    /// The outermost object, and what is right inside it.
    levels: [Level; 2],
    /// The top-level key whose value comes.
    field: Field,
    /// What comes is the `type` of an object under `data`.
    data_type: bool,
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
    /// From where it is not [`ENCODINGS`].
    Encoding,
    /// As what it is.
    Read(Kind),
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

/// What a top-level key makes of its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Field {
    /// Scalars stay.
    Kept,
    /// Numbers stay.
    Number,
    Data,
    Encoding,
    Metadata,
    /// Objects right inside are messages.
    Messages,
    Read(Kind),
    #[default]
    Masked,
}

impl Field {
    fn of(key: &[u8]) -> Self {
        match key {
            b"type" | b"room" | b"to" | b"id" | b"after" | b"before" | b"epoch" | b"limit"
            | b"timestamp" | b"transferId" | b"transferSecret" | b"clientId" | b"sessionSecret"
            | b"messageId" | b"ttlMs" | b"key" => Self::Kept,
            b"transfer" | b"offset" | b"size" | b"window" => Self::Number,
            b"data" => Self::Data,
            b"encoding" => Self::Encoding,
            b"metadata" => Self::Metadata,
            b"messages" => Self::Messages,
            b"hash" => Self::Read(Kind::Hash),
            b"name" | b"mimeType" | b"reason" => Self::Read(Kind::Prose),
            _ => Self::Masked,
        }
    }
}

impl Text {
    /// A text that is only what would stand under a key.
    pub(super) fn value(field: Field) -> Self {
        let level = Level {
            is_object: true,
            place: Place::Value,
        };
        Self {
            depth: 1,
            rooted: true,
            is_value: true,
            message: Message {
                levels: [level, Level::default()],
                field,
                data_type: false,
            },
            ..Self::default()
        }
    }

    /// The byte that stands in for the next one.
    pub(super) fn masked(&mut self, byte: u8) -> u8 {
        let is_first = matches!(self.utf8, Utf8::Start);
        let masked = self.utf8.masked(byte, |byte| byte);
        if !byte.is_ascii() {
            return self.other(is_first, byte, masked);
        }
        if masked != byte {
            return masked; // in the middle of a character: not UTF-8
        }
        self.ascii(byte)
    }

    /// Takes a byte of a character that is not ASCII.
    fn other(&mut self, is_first: bool, byte: u8, masked: u8) -> u8 {
        let Token::String(style, Escape::None) = self.token else {
            self.token = Token::Broken;
            return masked;
        };
        self.word.clear();
        self.told.other();
        match style {
            Style::Kept | Style::Key => byte,
            Style::Read(Kind::Prose) => self.told.prose_other(is_first, byte, masked),
            _ => masked,
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
        if self.is_value && self.depth == 1 && self.ends_value(byte) {
            return self.give_up(byte);
        }
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

    /// Whether `byte` cannot stand right before, or behind, a value that is alone.
    fn ends_value(&mut self, byte: u8) -> bool {
        let is_over = self.level().is_none_or(|level| level.place != Place::Value);
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => false,
            b':' | b',' | b'}' | b']' => true,
            _ => is_over,
        }
    }

    /// The message that the text is in.
    const fn message(&mut self) -> &mut Message {
        match &mut self.inner {
            Some(inner) => inner,
            None => &mut self.message,
        }
    }

    /// How deep in it.
    const fn own_depth(&self) -> u32 {
        match self.inner {
            Some(_) => self.depth - BATCH_DEPTH,
            None => self.depth,
        }
    }

    /// The level that the next token is on, if it is one of those that are looked at.
    fn level(&mut self) -> Option<&mut Level> {
        let index = self.own_depth().checked_sub(1)?;
        let levels = &mut self.message().levels;
        levels.get_mut(usize::try_from(index).ok()?)
    }

    /// Whether an object that opens here is a message of a batch.
    const fn is_in_batch(&self) -> bool {
        let [object, array] = self.message.levels;
        let in_array = object.is_object && !array.is_object && self.depth == BATCH_DEPTH;
        in_array && self.inner.is_none() && matches!(self.message.field, Field::Messages)
    }

    fn open(&mut self, is_object: bool) {
        let second_root = self.depth == 0 && self.rooted;
        self.rooted = true;
        if is_object && self.is_in_batch() {
            self.inner = Some(Message::default());
        }
        self.depth = self.depth.saturating_add(1);
        if let Some(level) = self.level() {
            *level = Level {
                is_object: is_object && !second_root,
                place: if is_object { Place::Key } else { Place::Value },
            };
        }
        if self.own_depth() == 2 {
            self.message().data_type = false;
        }
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth <= BATCH_DEPTH {
            self.inner = None;
        }
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
        self.told = Told::default();
        let depth = self.own_depth();
        let Some(&mut Level { is_object, place }) = self.level() else {
            return Style::Masked;
        };
        let &mut Message {
            field, data_type, ..
        } = self.message();
        match (depth, place, field) {
            _ if !is_object => Style::Masked,
            (1, Place::Key, _) => Style::Key,
            (1, Place::Value, Field::Kept) => Style::Kept,
            // Nobody knows yet whether an `encoding` follows.
            (1, Place::Value, Field::Data) => Style::Read(Kind::Base64),
            (1, Place::Value, Field::Encoding) => Style::Encoding,
            (1, Place::Value, Field::Read(kind)) => Style::Read(kind),
            (2, Place::Key, Field::Data) => Style::DataKey,
            (2, Place::Value, Field::Data) if data_type => Style::DataType,
            (2, Place::Key, Field::Metadata) => Style::Kept,
            _ => Style::Masked,
        }
    }

    /// Whether a scalar that stands here stays as it is.
    fn keeps_scalar(&mut self) -> bool {
        let field = self.message().field;
        let kept = matches!(field, Field::Kept | Field::Number) && self.own_depth() == 1;
        kept && self
            .level()
            .is_some_and(|level| level.is_object && level.place == Place::Value)
    }

    // ---- strings

    fn in_string(&mut self, style: Style, escape: Escape, byte: u8) -> u8 {
        if let Style::Read(kind) = style {
            return self.in_read(kind, escape, byte);
        }
        let could_be = self.could_be(style);
        let Some(next) = self.next_in_string(escape, byte) else {
            return self.ended_or_broken(style, escape, byte);
        };
        self.token = Token::String(style, next);
        let stays = match style {
            Style::Kept | Style::Key => true,
            // The digit that shows a string to be none of the words must not be one that makes it one.
            Style::DataKey | Style::DataType | Style::Encoding
                if matches!(escape, Escape::Hex(_)) =>
            {
                could_be
            }
            Style::DataKey | Style::DataType | Style::Encoding => self.could_be(style),
            Style::Read(_) | Style::Masked => false,
        };
        match escape {
            _ if stays => byte,
            Escape::None if byte == b'\\' => byte,
            Escape::None => b'x',
            Escape::Start => byte,
            Escape::Hex(_) => b'0',
        }
    }

    /// In a string whose kind must stay.
    fn in_read(&mut self, kind: Kind, escape: Escape, byte: u8) -> u8 {
        let Some(next) = self.next_in_string(escape, byte) else {
            return self.ended_or_broken(Style::Read(kind), escape, byte);
        };
        self.token = Token::String(Style::Read(kind), next);
        match escape {
            Escape::None if byte == b'\\' => byte,
            Escape::None => self.told.ascii(kind, byte),
            Escape::Start => {
                if let Some(character) = unescaped(byte) {
                    self.told.escaped(kind, character);
                }
                byte
            }
            Escape::Hex(digits) => self.told.digit(kind, self.word.unicode, digits + 1),
        }
    }

    /// `None` where the string ends, or is none.
    fn next_in_string(&mut self, escape: Escape, byte: u8) -> Option<Escape> {
        Some(match (escape, byte) {
            (Escape::None, b'"' | 0..0x20) => return None,
            (Escape::None, b'\\') => Escape::Start,
            (Escape::None, _) => {
                self.word.push(byte);
                Escape::None
            }
            (Escape::Start, b'u') => {
                self.word.unicode = 0;
                Escape::Hex(0)
            }
            (Escape::Start, _) => {
                self.word.push(unescaped(byte)?);
                Escape::None
            }
            (Escape::Hex(digits), _) => {
                let digit = char::from(byte).to_digit(16)?;
                self.word.unicode = self.word.unicode << 4 | digit;
                if digits == 3 {
                    // What is no ASCII is in none of the words.
                    let character = u8::try_from(self.word.unicode).unwrap_or(0xff);
                    self.word.push(character);
                    Escape::None
                } else {
                    Escape::Hex(digits + 1)
                }
            }
        })
    }

    fn ended_or_broken(&mut self, style: Style, escape: Escape, byte: u8) -> u8 {
        if escape != Escape::None || byte != b'"' {
            return self.give_up(byte);
        }
        self.string_ended(style);
        byte
    }

    /// Whether the string so far may become a word that counts.
    fn could_be(&self, style: Style) -> bool {
        match style {
            Style::DataKey => self.word.may_be(&DATA_KEYS),
            Style::DataType => self.word.may_be(&SERVER_TYPES) || self.word.may_be(&FILE_PREFIX),
            Style::Encoding => self.word.may_be(&ENCODINGS),
            Style::Kept | Style::Key | Style::Read(_) | Style::Masked => false,
        }
    }

    fn string_ended(&mut self, style: Style) {
        let depth = self.own_depth();
        if let Some(level) = self.level()
            && level.is_object
            && level.place == Place::Key
        {
            level.place = Place::Colon;
            if depth == 2 {
                let data_type = style == Style::DataKey && self.word.is(b"type");
                self.message().data_type = data_type;
            }
        } else {
            self.value_ended();
        }
        if style == Style::Key {
            self.message().field = Field::of(self.word.whole());
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

/// A message of a batch stands inside so many levels.
const BATCH_DEPTH: u32 = 2;
/// What `encoding` may be.
const ENCODINGS: [&str; 1] = ["base64"];
/// The key under `data` that counts.
const DATA_KEYS: [&str; 1] = ["type"];
/// Whatever starts so is one of the server's types.
const FILE_PREFIX: [&str; 1] = ["file_"];

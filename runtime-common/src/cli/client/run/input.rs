//! Lines of stdin, read whenever there is something to read.

#[cfg(test)]
mod tests;

use std::io;

/// The longest line. Longer ones could not be sent either.
const MAX_LINE_BYTES: usize = 16 << 20;
const PIECE_BYTES: usize = 64 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli::client) enum Line {
    Text(String),
    /// Why it is none.
    Bad(&'static str),
    /// There are no more.
    End,
}

/// What has come of a line that has not ended.
#[derive(Debug, Default)]
pub(in crate::cli::client) struct Input {
    held: Vec<u8>,
    /// The line is too long already.
    skips: bool,
}

impl Input {
    /// Reads once, which waits if there is nothing to read; gives the lines that this completes.
    pub(in crate::cli::client) fn read(&mut self) -> io::Result<Vec<Line>> {
        let mut piece = vec![0; PIECE_BYTES];
        // Not through the standard library's buffer, into which poll(2) cannot see.
        match rustix::io::read(io::stdin(), &mut piece) {
            Ok(count) => Ok(self.take(piece.get(..count).unwrap_or_default())),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes what was read; nothing is the end.
    fn take(&mut self, piece: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            self.skips |= self.held.len() + text.len() > MAX_LINE_BYTES;
            if self.skips {
                self.held = Vec::new();
            } else {
                self.held.extend_from_slice(text);
            }
            if ended {
                lines.push(self.line());
            }
        }
        if piece.is_empty() {
            if self.skips || !self.held.is_empty() {
                lines.push(self.line());
            }
            lines.push(Line::End);
        }
        lines
    }

    fn line(&mut self) -> Line {
        let mut bytes = std::mem::take(&mut self.held);
        if std::mem::take(&mut self.skips) {
            return Line::Bad("it is longer than 16 MiB");
        }
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
        String::from_utf8(bytes).map_or(Line::Bad("it is not UTF-8"), Line::Text)
    }
}

//! The client for browsers, which every listener serves as it stands in `core/web` unless it is switched off.

use crate::http::{RequestHead, Response};

/// A file that is part of the program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WebFile {
    content_type: &'static str,
    body: &'static [u8],
    /// Another for other bytes.
    tag: u64,
}

impl WebFile {
    const fn new(content_type: &'static str, body: &'static [u8]) -> Self {
        Self {
            content_type,
            body,
            tag: tag_of(body),
        }
    }

    /// The file at a path.
    pub(super) fn at(path: &str) -> Option<&'static Self> {
        match path {
            "/roomwire.js" => Some(&SCRIPT),
            "/roomwire.d.ts" => Some(&TYPES),
            _ => None,
        }
    }

    /// The file, or word that whoever asks has it.
    pub(super) fn response(&self, head: &RequestHead<'_>) -> Response<'static> {
        if self.is_held(head) {
            Response::not_modified(self.tag)
        } else {
            Response::public_file(self.content_type, self.body, self.tag)
        }
    }

    /// How long it is, with the head of a response.
    pub(super) const fn bytes(&self) -> usize {
        self.body.len() + 512
    }

    /// Whether one of the tags that the client has is this file's. A weak one is compared by what it says, as RFC 9110
    /// (13.1.2) asks for.
    fn is_held(&self, head: &RequestHead<'_>) -> bool {
        let tag = format!("\"{:016x}\"", self.tag);
        head.elements("if-none-match")
            .any(|held| held == b"*" || held.strip_prefix(b"W/").unwrap_or(held) == tag.as_bytes())
    }
}

/// FNV-1a: it has to tell versions of a file apart, and nobody chooses these.
const fn tag_of(bytes: &[u8]) -> u64 {
    let mut rest = bytes;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    while let [byte, others @ ..] = rest {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
        rest = others;
    }
    hash
}

static SCRIPT: WebFile = WebFile::new(
    "text/javascript; charset=utf-8",
    include_bytes!("../../web/roomwire.js"),
);
static TYPES: WebFile = WebFile::new(
    "application/typescript",
    include_bytes!("../../web/roomwire.d.ts"),
);

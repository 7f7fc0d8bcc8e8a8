//! What every listener serves to browsers of `core/web`, unless it is switched off: the client, without its comments, its types, a
//! schema of the messages, and a page for people that is made with it.

mod plain;

use plain::{length_without_comments, without_comments};

use crate::http::{RequestHead, Response};

/// A file that is part of the program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WebFile {
    content_type: &'static str,
    body: &'static [u8],
    /// Of the page: for this server's own pages only.
    is_page: bool,
    /// Another for other bytes.
    tag: u64,
}

impl WebFile {
    const fn new(content_type: &'static str, body: &'static [u8]) -> Self {
        Self {
            content_type,
            body,
            is_page: false,
            tag: tag_of(body),
        }
    }

    const fn of_page(content_type: &'static str, body: &'static [u8]) -> Self {
        Self {
            is_page: true,
            ..Self::new(content_type, body)
        }
    }

    /// The file of the client at a path.
    pub(super) fn at(path: &str) -> Option<&'static Self> {
        match path {
            "/roomwire.js" => Some(&SCRIPT),
            "/roomwire.d.ts" => Some(&TYPES),
            "/roomwire.schema.json" => Some(&SCHEMA),
            _ => None,
        }
    }

    /// The file of the page at a path.
    pub(super) fn of_page_at(path: &str) -> Option<&'static Self> {
        match path {
            "/" => Some(&PAGE),
            "/page/page.css" => Some(&STYLE),
            "/page/page.js" => Some(&PAGE_SCRIPT),
            "/page/log.js" => Some(&LOG_SCRIPT),
            "/page/files.js" => Some(&FILES_SCRIPT),
            "/page/people.js" => Some(&PEOPLE_SCRIPT),
            "/page/side.js" => Some(&SIDE_SCRIPT),
            "/page/icon.svg" => Some(&ICON),
            _ => None,
        }
    }

    /// The file, or word that whoever asks has it.
    pub(super) fn response(&self, head: &RequestHead<'_>) -> Response<'static> {
        let file = if self.is_page {
            Response::page_file(self.content_type, self.body, self.tag)
        } else {
            Response::public_file(self.content_type, self.body, self.tag)
        };
        if self.is_held(head) {
            file.not_modified()
        } else {
            file
        }
    }

    /// How long it is, with the head of a response.
    pub(super) const fn bytes(&self) -> usize {
        self.body.len() + 1024
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

static SCRIPT: WebFile = WebFile::new(SCRIPT_TYPE, &CLIENT);
static CLIENT: [u8; length_without_comments(CLIENT_SOURCE)] = without_comments(CLIENT_SOURCE);
const CLIENT_SOURCE: &[u8] = include_bytes!("../../web/roomwire.js");
static TYPES: WebFile = WebFile::new(
    "application/typescript",
    include_bytes!("../../web/roomwire.d.ts"),
);
static SCHEMA: WebFile = WebFile::new(
    "application/schema+json",
    include_bytes!("../../web/roomwire.schema.json"),
);

static PAGE: WebFile = WebFile::of_page(HTML, include_bytes!("../../web/index.html"));
static STYLE: WebFile = WebFile::of_page(CSS, include_bytes!("../../web/page/page.css"));
static PAGE_SCRIPT: WebFile =
    WebFile::of_page(SCRIPT_TYPE, include_bytes!("../../web/page/page.js"));
static LOG_SCRIPT: WebFile = WebFile::of_page(SCRIPT_TYPE, include_bytes!("../../web/page/log.js"));
static FILES_SCRIPT: WebFile =
    WebFile::of_page(SCRIPT_TYPE, include_bytes!("../../web/page/files.js"));
static PEOPLE_SCRIPT: WebFile =
    WebFile::of_page(SCRIPT_TYPE, include_bytes!("../../web/page/people.js"));
static SIDE_SCRIPT: WebFile =
    WebFile::of_page(SCRIPT_TYPE, include_bytes!("../../web/page/side.js"));
static ICON: WebFile = WebFile::of_page("image/svg+xml", include_bytes!("../../web/page/icon.svg"));

const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

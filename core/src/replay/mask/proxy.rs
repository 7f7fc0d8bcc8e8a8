//! Masks headers of the PROXY protocol: what proxies add to the addresses, which decides nothing.

use crate::http::ProxyHeader;
use crate::http::proxy_protocol::{BINARY_HEAD_BYTES, BinaryHead};

/// An unfinished header.
#[derive(Debug, Default)]
pub(super) struct Preface {
    /// As it came, to be read once it is whole.
    seen: Vec<u8>,
    place: Place,
}

/// Where the next byte of a binary header stands.
#[derive(Clone, Copy, Debug, Default)]
enum Place {
    /// In its head, or in a line of text.
    #[default]
    Kept,
    /// So many bytes before the end of the addresses.
    Addresses(usize),
    Kind,
    High,
    Low(u8),
    /// So many bytes before the end of an extra's value.
    Value(u16),
    /// Where everything is to be ignored.
    Ignored,
}

impl Preface {
    /// Masks up to the end of the header; returns how many bytes that took, and whether the header is in order if it
    /// ended there.
    pub(super) fn mask(&mut self, bytes: &mut [u8]) -> (usize, Option<bool>) {
        for (at, byte) in bytes.iter_mut().enumerate() {
            self.seen.push(*byte);
            if !self.keeps(*byte) {
                *byte = 0;
            }
            match ProxyHeader::parse(&self.seen) {
                Ok(None) => {}
                read => return (at + 1, Some(read.is_ok())),
            }
        }
        (bytes.len(), None)
    }

    /// Whether the byte that was seen last decides, or tells an address.
    fn keeps(&mut self, byte: u8) -> bool {
        let place = self.place;
        self.place = match place {
            Place::Kept => self.after_head(),
            Place::Addresses(0 | 1) => Place::Kind,
            Place::Addresses(left) => Place::Addresses(left - 1),
            Place::Kind => Place::High,
            Place::High => Place::Low(byte),
            Place::Low(high) => match u16::from_be_bytes([high, byte]) {
                0 => Place::Kind,
                length => Place::Value(length),
            },
            Place::Value(0 | 1) => Place::Kind,
            Place::Value(left) => Place::Value(left - 1),
            Place::Ignored => Place::Ignored,
        };
        !matches!(place, Place::Value(_) | Place::Ignored)
    }

    /// What follows the head of a binary header, if that is what was seen.
    fn after_head(&self) -> Place {
        // A line of text cannot hold the signature; a head that is malformed ends here.
        let binary = self.seen.first() == Some(&b'\r');
        match self.seen.first_chunk::<BINARY_HEAD_BYTES>() {
            Some(head) if binary && self.seen.len() == head.len() => {
                let size = BinaryHead::read(head).map(|head| head.addresses.size());
                size.ok().flatten().map_or(Place::Ignored, Place::Addresses)
            }
            _ => Place::Kept,
        }
    }
}

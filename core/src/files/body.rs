//! A whole file that came in one message, which answers in the sender's place.

use super::Wanted;

/// The file. Its size is bounded by that of a message.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Box<[u8]>,
}

impl Body {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes: bytes.into_boxed_slice(),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Answers `wanted` in chunks of at most `chunk_bytes`, each with its offset. What is not in the file is left out.
    pub(crate) fn chunks(
        &self,
        wanted: Wanted,
        chunk_bytes: u32,
    ) -> impl Iterator<Item = (u64, &[u8])> {
        let piece = usize::try_from(wanted.offset)
            .ok()
            .and_then(|offset| self.bytes.get(offset..))
            .unwrap_or_default();
        let length = piece.len().min(wanted.length_bytes as usize);
        let mut offset = wanted.offset;
        piece[..length]
            .chunks(chunk_bytes.max(1) as usize)
            .map(move |chunk| {
                let at = offset;
                offset += chunk.len() as u64;
                (at, chunk)
            })
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.len()
    }
}

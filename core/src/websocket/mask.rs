//! Masking (RFC 6455 section 5.3): XOR with a repeated key of four bytes. Knows nothing of frames.

/// Masks or unmasks `bytes` in place; doing it twice gives the original back.
///
/// The first byte meets the first byte of `key`: for a later part of a split payload, pass the key through
/// [`rotate_mask`]. An all-zero key costs nothing. O(`bytes`), in a form that compiles to vector instructions.
#[inline]
pub fn apply_mask(bytes: &mut [u8], key: [u8; 4]) {
    if key == [0; 4] {
        return;
    }
    if bytes.len() >= BLOCK_BYTES {
        return mask_long(bytes, key);
    }
    mask_words(bytes, key);
}

/// The key as it applies `offset` payload bytes further on. O(1).
#[inline]
pub const fn rotate_mask(key: [u8; 4], offset: usize) -> [u8; 4] {
    // The first byte is the highest: rotating left brings the byte at `offset` to the front.
    let by = 8 * (offset % 4) as u32;
    u32::from_be_bytes(key).rotate_left(by).to_be_bytes()
}

/// Appends what `masked` stands for to `out`, in one pass. O(`masked`).
pub(super) fn push_unmasked(out: &mut Vec<u8>, masked: &[u8], key: [u8; 4]) {
    if key == [0; 4] {
        return out.extend_from_slice(masked);
    }
    let word = repeat(key);
    let (blocks, tail) = masked.as_chunks::<BLOCK_BYTES>();
    for block in blocks {
        let mut block = *block;
        mask_block(&mut block, word);
        out.extend_from_slice(&block);
    }
    let mut block = [0; BLOCK_BYTES];
    let (plain, _) = block.split_at_mut(tail.len());
    plain.copy_from_slice(tail);
    mask_words(plain, key);
    out.extend_from_slice(plain);
}

/// Goes byte by byte up to an aligned address, as headers leave payloads anywhere, then in unrolled blocks.
fn mask_long(bytes: &mut [u8], key: [u8; 4]) {
    let unaligned = bytes
        .as_ptr()
        .align_offset(ALIGNMENT_BYTES)
        .min(bytes.len());
    let (head, bytes) = bytes.split_at_mut(unaligned);
    mask_words(head, key);
    let key = rotate_mask(key, head.len());
    let word = repeat(key);
    let (blocks, tail) = bytes.as_chunks_mut::<BLOCK_BYTES>();
    for block in blocks {
        mask_block(block, word);
    }
    mask_words(tail, key);
}

#[inline]
fn mask_block(block: &mut [u8; BLOCK_BYTES], word: u64) {
    let (words, _) = block.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
}

#[inline]
fn mask_words(bytes: &mut [u8], key: [u8; 4]) {
    let word = repeat(key);
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= key;
    }
}

/// The key twice, in memory order.
#[inline]
fn repeat(key: [u8; 4]) -> u64 {
    let half = u64::from(u32::from_ne_bytes(key));
    half << 32 | half
}

/// A multiple of 4, so that the key starts over with every block. Blocks of a fixed size are unrolled without
/// a test per word.
const BLOCK_BYTES: usize = 128;

/// A vector that crosses a cache line costs twice.
const ALIGNMENT_BYTES: usize = 32;

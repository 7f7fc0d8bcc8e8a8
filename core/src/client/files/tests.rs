mod property;
mod receiving;
mod relay;
mod sending;

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::id::ClientId;
use crate::message::{Destination, FileHash, FileNotice, FileRequest, TransferId};

const TRANSFER: TransferId = TransferId::from_bits(7);

fn outgoing(size: u64) -> Outgoing {
    Outgoing {
        name: "own".into(),
        to: Destination::Room(Cow::Borrowed("tea")),
        file_name: "a.bin".into(),
        size,
        mime_type: "".into(),
        hash: None,
        secret: None,
    }
}

fn offer(size: u64, window_bytes: u32) -> Offer {
    Offer {
        transfer: TRANSFER,
        from: ClientId::from_bytes(&[1; 18]),
        room: Some("tea".into()),
        file_name: "a.bin".into(),
        size,
        mime_type: "".into(),
        hash: None,
        max_window_bytes: window_bytes,
    }
}

fn content(size: usize) -> Vec<u8> {
    let byte = |at: usize| (at.wrapping_mul(31) ^ (at >> 8)) as u8;
    (0..size).map(byte).collect()
}

fn sha256(bytes: &[u8]) -> FileHash {
    Sha256::digest(bytes).into()
}

//! What the server says about files.

#[cfg(test)]
mod tests;

use data_encoding::HEXLOWER;

use super::super::decode::SHA_256;
use super::{CODE, ROOM, base64, begin, client_id, number, put, string};
use crate::message::{FileHash, FileNotice, TransferId};

pub(super) fn write(out: &mut Vec<u8>, notice: &FileNotice<'_>, id: Option<&str>) {
    match *notice {
        FileNotice::Accepted {
            name,
            transfer,
            secret,
            offset,
            chunk_bytes,
        } => {
            begin(out, "file_accepted", id);
            if !name.is_empty() {
                string(out, r#","transferId":"#, name);
            }
            about(out, transfer);
            string(out, r#","transferSecret":"#, secret);
            number(out, OFFSET, offset);
            number(out, r#","chunkBytes":"#, chunk_bytes.into());
        }
        FileNotice::Wanted {
            transfer,
            offset,
            length_bytes,
        } => {
            begin(out, "file_wanted", id);
            about(out, transfer);
            number(out, OFFSET, offset);
            number(out, r#","length":"#, length_bytes.into());
        }
        FileNotice::Progress {
            transfer,
            acknowledged,
            receivers,
            completed,
            failed,
        } => {
            begin(out, "file_progress", id);
            about(out, transfer);
            number(out, r#","acknowledged":"#, acknowledged);
            number(out, r#","receivers":"#, receivers.into());
            number(out, COMPLETED, completed.into());
            number(out, FAILED, failed.into());
        }
        FileNotice::Completed {
            transfer,
            completed,
            failed,
        } => {
            begin(out, "file_completed", id);
            about(out, transfer);
            number(out, COMPLETED, completed.into());
            number(out, FAILED, failed.into());
        }
        FileNotice::Offered {
            transfer,
            from,
            room,
            file_name,
            size,
            mime_type,
            ref hash,
            max_window_bytes,
        } => {
            begin(out, "file_offered", id);
            about(out, transfer);
            client_id(out, r#","from":"#, from);
            if let Some(room) = room {
                string(out, ROOM, room);
            }
            string(out, r#","name":"#, file_name);
            number(out, SIZE, size);
            string(out, r#","mimeType":"#, mime_type);
            if let Some(hash) = hash {
                write_hash(out, hash);
            }
            number(out, r#","maxWindow":"#, max_window_bytes.into());
        }
        FileNotice::Chunk {
            transfer,
            offset,
            data,
        } => {
            begin(out, "file_chunk", id);
            about(out, transfer);
            number(out, OFFSET, offset);
            base64(out, data);
        }
        FileNotice::End {
            transfer,
            size,
            ref hash,
        } => {
            begin(out, "file_end", id);
            about(out, transfer);
            number(out, SIZE, size);
            write_hash(out, hash);
        }
        FileNotice::Aborted { transfer, reason } => {
            begin(out, "file_abort", id);
            about(out, transfer);
            string(out, r#","reason":"#, reason);
        }
        FileNotice::Failed {
            transfer,
            code,
            message,
        } => {
            begin(out, "file_error", id);
            about(out, transfer);
            string(out, CODE, code.as_str());
            string(out, r#","message":"#, message);
        }
    }
}

fn about(out: &mut Vec<u8>, transfer: TransferId) {
    number(out, r#","transfer":"#, transfer.to_bits());
}

fn write_hash(out: &mut Vec<u8>, hash: &FileHash) {
    put(out, r#","hash":""#);
    put(out, SHA_256);
    let start = out.len();
    out.resize(start + 2 * hash.len(), 0);
    HEXLOWER.encode_mut(hash, out.get_mut(start..).unwrap_or_default());
    out.push(b'"');
}

const COMPLETED: &str = r#","completed":"#;
const FAILED: &str = r#","failed":"#;
const OFFSET: &str = r#","offset":"#;
const SIZE: &str = r#","size":"#;

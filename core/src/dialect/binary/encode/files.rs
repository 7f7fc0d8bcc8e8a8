//! What the server says about files.

use core::num::NonZeroU32;

use super::super::pieces::{
    bits, flag, put_client, put_number, put_str, put_text, put_transfer, put_u32, put_u64,
};
use super::super::registry;
use crate::message::FileNotice;

pub(super) const fn kind(notice: &FileNotice<'_>) -> u8 {
    match notice {
        FileNotice::Accepted { .. } => registry::FILE_ACCEPTED,
        FileNotice::Wanted { .. } => registry::FILE_WANTED,
        FileNotice::Progress { .. } => registry::FILE_PROGRESS,
        FileNotice::Completed { .. } => registry::FILE_COMPLETED,
        FileNotice::Offered { .. } => registry::FILE_OFFERED,
        FileNotice::Chunk { .. } => registry::FILE_CHUNK,
        FileNotice::End { .. } => registry::FILE_END,
        FileNotice::Aborted { .. } => registry::FILE_ABORT,
        FileNotice::Failed { .. } => registry::FILE_ERROR,
    }
}

pub(super) fn write(out: &mut Vec<u8>, notice: &FileNotice<'_>, number: Option<NonZeroU32>) {
    match *notice {
        FileNotice::Accepted {
            name,
            transfer,
            secret,
            offset,
            chunk_bytes,
        } => {
            put_number(out, number);
            put_transfer(out, transfer);
            put_u64(out, offset);
            put_u32(out, chunk_bytes);
            put_text(out, name);
            put_text(out, secret);
        }
        FileNotice::Wanted {
            transfer,
            offset,
            length_bytes,
        } => {
            put_transfer(out, transfer);
            put_u64(out, offset);
            put_u32(out, length_bytes);
        }
        FileNotice::Progress {
            transfer,
            acknowledged,
            receivers,
            completed,
            failed,
        } => {
            put_transfer(out, transfer);
            put_u64(out, acknowledged);
            put_u32(out, receivers);
            put_u32(out, completed);
            put_u32(out, failed);
        }
        FileNotice::Completed {
            transfer,
            completed,
            failed,
        } => {
            put_transfer(out, transfer);
            put_u32(out, completed);
            put_u32(out, failed);
        }
        FileNotice::Offered {
            transfer,
            from,
            room,
            file_name,
            size,
            mime_type,
            hash,
            max_window_bytes,
        } => {
            put_transfer(out, transfer);
            put_client(out, from);
            out.push(
                flag(bits::OFFERED_ROOM, room.is_some()) | flag(bits::OFFERED_HASH, hash.is_some()),
            );
            put_u32(out, max_window_bytes);
            if let Some(room) = room {
                put_text(out, room);
            }
            put_text(out, file_name);
            put_u64(out, size);
            put_text(out, mime_type);
            out.extend_from_slice(hash.as_ref().map_or(&[], |hash| hash.as_slice()));
        }
        FileNotice::Chunk {
            transfer,
            offset,
            data,
        } => {
            put_transfer(out, transfer);
            put_u64(out, offset);
            out.extend_from_slice(data);
        }
        FileNotice::End {
            transfer,
            size,
            hash,
        } => {
            put_transfer(out, transfer);
            put_u64(out, size);
            out.extend_from_slice(&hash);
        }
        FileNotice::Aborted { transfer, reason } => {
            put_transfer(out, transfer);
            put_str(out, reason);
        }
        FileNotice::Failed {
            transfer,
            code,
            message,
        } => {
            put_transfer(out, transfer);
            put_text(out, code.as_str());
            put_str(out, message);
        }
    }
}

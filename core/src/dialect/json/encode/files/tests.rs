//! Golden tests: the exact text of what is said about files.

use super::super::tests::{a, golden};
use crate::error::ErrorCode;
use crate::message::{FileNotice, ServerMessage, TransferId};

const HASH: &str = "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

fn hash() -> [u8; 32] {
    let mut hash = core::array::from_fn(|index| index as u8);
    hash[31] = 0xFF;
    hash
}

const TRANSFER: TransferId = TransferId::from_bits(9_007_199_254_740_991);

#[track_caller]
fn is(notice: FileNotice<'_>, fields: &str) {
    let fields = fields.replace("$T", r#""transfer":9007199254740991"#);
    let text = format!(r#"{{"type":"file_{fields}}}"#).replace("$H", HASH);
    golden(&ServerMessage::File(notice), &text);
}

#[test]
fn a_file_is_accepted_and_offered() {
    let accepted = |name| FileNotice::Accepted {
        name,
        transfer: TRANSFER,
        secret: "s\"",
        offset: 5,
        chunk_bytes: 65_536,
    };
    is(
        accepted("t\n"),
        r#"accepted","transferId":"t\n",$T,"transferSecret":"s\"","offset":5,"chunkBytes":65536"#,
    );
    is(
        accepted(""),
        r#"accepted",$T,"transferSecret":"s\"","offset":5,"chunkBytes":65536"#,
    );
    let offered = |room, hash| FileNotice::Offered {
        transfer: TRANSFER,
        from: a(),
        room,
        file_name: "ä\u{1}",
        size: u64::MAX,
        mime_type: "image/png",
        hash,
        max_window_bytes: 9,
    };
    is(
        offered(Some("tea"), Some(hash())),
        r#"offered",$T,"from":"$A","room":"tea","name":"ä\u0001","size":18446744073709551615,"mimeType":"image/png","hash":"$H","maxWindow":9"#,
    );
    is(
        offered(None, None),
        r#"offered",$T,"from":"$A","name":"ä\u0001","size":18446744073709551615,"mimeType":"image/png","maxWindow":9"#,
    );
}

#[test]
fn pieces_of_a_file() {
    is(
        FileNotice::Wanted {
            transfer: TRANSFER,
            offset: 5,
            length_bytes: 6,
        },
        r#"wanted",$T,"offset":5,"length":6"#,
    );
    is(
        FileNotice::Chunk {
            transfer: TRANSFER,
            offset: 5,
            data: &[1, 2],
        },
        r#"chunk",$T,"offset":5,"data":"AQI=","encoding":"base64""#,
    );
    is(
        FileNotice::Progress {
            transfer: TRANSFER,
            acknowledged: 5,
            receivers: 4,
            completed: 3,
            failed: 2,
        },
        r#"progress",$T,"acknowledged":5,"receivers":4,"completed":3,"failed":2"#,
    );
    is(
        FileNotice::End {
            transfer: TRANSFER,
            size: 5,
            hash: hash(),
        },
        r#"end",$T,"size":5,"hash":"$H""#,
    );
}

#[test]
fn how_a_file_ends() {
    is(
        FileNotice::Completed {
            transfer: TRANSFER,
            completed: 3,
            failed: 2,
        },
        r#"completed",$T,"completed":3,"failed":2"#,
    );
    is(
        FileNotice::Aborted {
            transfer: TRANSFER,
            reason: "no \"more\"",
        },
        r#"abort",$T,"reason":"no \"more\"""#,
    );
    is(
        FileNotice::Failed {
            transfer: TRANSFER,
            code: ErrorCode::TransferCorrupt,
            message: "é",
        },
        r#"error",$T,"code":"transfer_corrupt","message":"é""#,
    );
}

use super::super::{JsonLimits, decode};
use super::NO_TYPE;
use crate::config::Limits;
use crate::dialect::Rejected;
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{Asked, ClientMessage, Destination, FileRequest, Named, Request, TransferId};

const HASH: &str = "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

fn hash() -> [u8; 32] {
    let mut hash = core::array::from_fn(|index| index as u8);
    hash[31] = 0xFF;
    hash
}

fn read(text: &str) -> Result<Request<'_>, Rejected<'_>> {
    let limits = JsonLimits::from(&Limits::default());
    decode(text, &limits, &|kind| kind == "image/app")
}

#[track_caller]
fn is(fields: &str, expected: FileRequest<'_>) {
    let text = format!(r#"{{"type":"file_{fields}}}"#);
    let read = read(&text).map(|request| request.message);
    assert_eq!(read, Ok(ClientMessage::File(expected)), "{text}");
}

/// Refused, and whether a body follows.
#[track_caller]
fn bad(text: &str, message: &str, body_follows: bool) {
    let rejected = read(text).expect_err(text);
    assert_eq!(rejected.refusal.code, ErrorCode::BadMessage, "{text}");
    assert!(
        rejected.refusal.message.contains(message),
        "{text}: {rejected}"
    );
    assert_eq!(rejected.body_follows, body_follows, "{text}");
}

fn start(to: Destination<'_>) -> FileRequest<'_> {
    FileRequest::Start {
        name: Some("t".into()),
        to,
        file_name: "ä.png".into(),
        size: 7,
        mime_type: "image/png".into(),
        hash: None,
        secret: None,
    }
}

#[test]
fn a_file_is_announced() {
    const REST: &str = r#""name":"\u00e4.png","size":7,"mimeType":"image/png""#;
    is(
        &format!(r#"start","transferId":"t","room":"tea",{REST}"#),
        start(Destination::Room("tea".into())),
    );
    is(
        &format!(
            r#"start","transferId":"t","to":"server",{REST},"room":null,"hash":null,"transferSecret":null"#
        ),
        start(Destination::Server),
    );
    let client = ClientId::from_bytes(&[0; 18]);
    is(
        &format!(r#"start","transferId":"t","to":"{client}",{REST}"#),
        start(Destination::Client(Some(client))),
    );
    is(
        &format!(r#"start","transferId":"t","to":"nobody",{REST}"#),
        start(Destination::Client(None)),
    );
    is(
        &format!(
            r#"start","room":"","name":"","size":18446744073709551615,"mimeType":"","hash":"{HASH}","transferSecret":"s""#
        ),
        FileRequest::Start {
            name: None,
            to: Destination::Room("".into()),
            file_name: "".into(),
            size: u64::MAX,
            mime_type: "".into(),
            hash: Some(hash()),
            secret: Some("s".into()),
        },
    );
}

#[test]
fn what_is_said_about_a_file_is_read() {
    let transfer = TransferId::from_bits(9_007_199_254_740_991);
    is(
        r#"chunk","transfer":9007199254740991,"offset":65536,"data":"AQI=","encoding":"base64""#,
        FileRequest::Chunk {
            transfer,
            offset: 65_536,
            data: vec![1, 2].into(),
        },
    );
    let end = |transfer, size, hash| FileRequest::End {
        transfer,
        size,
        hash,
    };
    is(
        r#"end","transfer":9007199254740991"#,
        end(Named::Number(transfer), None, None),
    );
    is(
        &format!(r#"end","transferId":"t","name":1,"size":7,"hash":"{HASH}""#),
        end(Named::Own("t".into()), Some(7), Some(hash())),
    );
    is(r#"end","name":"a.png""#, end(Named::Unnamed, None, None));
    is(
        r#"end","transfer":null,"transferId":null,"size":null"#,
        end(Named::Unnamed, None, None),
    );
    is(
        r#"abort","transferId":"t","reason":"no""#,
        FileRequest::Abort {
            transfer: Named::Own("t".into()),
            reason: "no".into(),
        },
    );
    is(
        r#"abort","reason":null"#,
        FileRequest::Abort {
            transfer: Named::Unnamed,
            reason: "".into(),
        },
    );
    for (window, window_bytes) in [("0", 0), ("4294967295", u32::MAX), ("9999999999", u32::MAX)] {
        is(
            &format!(r#"credit","transfer":9007199254740991,"offset":0,"window":{window}"#),
            FileRequest::Credit {
                transfer,
                offset: 0,
                window_bytes,
            },
        );
    }
    is(
        r#"complete","transfer":9007199254740991"#,
        FileRequest::Complete { transfer },
    );
}

#[test]
fn fields_that_are_wrong_are_named() {
    let start =
        r#""type":"file_start","transferId":"t","room":"tea","name":"a","size":7,"mimeType":"""#;
    for (fields, wrong) in [
        (r#""room":null"#, "`room` or `to`"),
        (r#""to":"server""#, "not for both"),
        (r#""room":1"#, "`room`"),
        (r#""room":null,"to":1"#, "`to`"),
        (r#""name":null"#, "`name`"),
        (r#""size":null"#, "`size`"),
        (r#""size":-1"#, "`size`"),
        (r#""size":1.0"#, "`size`"),
        (r#""size":"1""#, "`size`"),
        (r#""size":18446744073709551616"#, "`size`"),
        (r#""mimeType":null"#, "`mimeType`"),
        (r#""transferId":1"#, "`transferId`"),
        (r#""transferId":"""#, "`transferId`"),
        (r#""transferSecret":1"#, "`transferSecret`"),
        (r#""hash":1"#, "`hash`"),
    ] {
        bad(&format!("{{{start},{fields}}}"), wrong, false);
    }
    for hash in [
        HASH.to_uppercase(),
        HASH.replace("ff", "fF"),
        HASH.replace("sha256:", ""),
        HASH.replace("sha256:", "md5:"),
        format!("{HASH}0"),
        format!("{HASH}00"),
        HASH.replace("ff", ""),
        HASH.replace("ff", "\\u00e9"),
    ] {
        bad(&format!(r#"{{{start},"hash":"{hash}"}}"#), "`hash`", false);
    }
    for (text, wrong) in [
        (
            r#"chunk","offset":0,"data":"","encoding":"base64""#,
            "`transfer`",
        ),
        (
            r#"chunk","transfer":1,"data":"","encoding":"base64""#,
            "`offset`",
        ),
        (
            r#"chunk","transfer":1,"offset":0,"encoding":"base64""#,
            "`data`",
        ),
        (r#"chunk","transfer":1,"offset":0,"data":"""#, "`encoding`"),
        (
            r#"chunk","transfer":1,"offset":0,"data":"?","encoding":"base64""#,
            "base64",
        ),
        (r#"end","transfer":1,"transferId":"t""#, "not by both"),
        (r#"end","transfer":"1""#, "`transfer`"),
        (r#"end","size":-1"#, "`size`"),
        (r#"abort","reason":1"#, "`reason`"),
        (r#"credit","transfer":1,"offset":0"#, "`window`"),
        (r#"credit","transfer":1,"window":0"#, "`offset`"),
        (r#"complete""#, "`transfer`"),
    ] {
        bad(&format!(r#"{{"type":"file_{text}}}"#), wrong, false);
    }
}

#[test]
fn a_body_follows_what_announced_one_and_was_refused() {
    bad(
        r#"{"type":"file_start","name":"a","size":1,"mimeType":""}"#,
        "`room` or `to`",
        true,
    );
    bad(
        r#"{"type":"file_start","transferId":null}"#,
        "`room` or `to`",
        true,
    );
    bad(r#"{"type":"file\u005fstart","room":1}"#, "`room`", true);
    let deep = "[".repeat(100) + &"]".repeat(100);
    bad(
        &format!(r#"{{"type":"file_start","x":{deep}}}"#),
        "deeply",
        true,
    );
    bad(
        &format!(r#"{{"type":"file_start","transferId":"t","x":{deep}}}"#),
        "deeply",
        false,
    );
}

#[test]
fn the_form_of_the_guide_is_recognised() {
    // What the guide's own code sends: JSON.stringify keeps the place of the first `type`.
    for text in [
        r#"{"type":"image/png","name":"a.png","size":3}"#,
        r#"{"type":"","name":"a","size":0}"#,
        r#"{"type":"file_start","name":"a","size":3,"type":"text/plain"}"#,
        r#"{"type":"image/png","name":"a.png","size":3,"id":7}"#,
    ] {
        bad(
            text,
            "`type` \"file_start\" and has its MIME type in `mimeType`",
            true,
        );
        let rejected = read(text).expect_err(text);
        assert_eq!(rejected.refusal, NO_TYPE);
        let id = text.contains("\"id\"").then_some("7");
        assert_eq!(rejected.asked, Asked::Json(id));
    }
    for fields in [
        r#""name":1,"size":3"#,
        r#""name":"a","size":"3""#,
        r#""name":"a""#,
        r#""size":3"#,
        r#""name":"a","size":3,"room":"r""#,
        r#""name":"a","size":3,"to":"r""#,
        r#""name":"a","size":3,"data":"r""#,
    ] {
        let text = format!(r#"{{"type":"image/png",{fields}}}"#);
        let rejected = read(&text).expect_err(&text);
        assert_eq!(rejected.refusal.code, ErrorCode::UnknownType, "{text}");
        assert!(!rejected.body_follows);
    }
    // A type that is known is what it says.
    assert!(read(r#"{"type":"image/app","name":"a","size":3}"#).is_ok());
    bad(r#"{"type":"join","name":"a","size":3}"#, "`room`", false);
}

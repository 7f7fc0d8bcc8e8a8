//! What servers say to sessions, in either dialect, and how they refuse them; and what clients write.

use super::{frame, vectors, with};

/// Texts for names, ids and data of what a client writes.
pub(super) fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| with(&[0x1f, 0x0f], text.as_bytes());
    let batch = r#"{"type":"batch","messages":[{"type":"ack","id":"a"},{"type":"closing"},7]}"#;
    vec![
        ("object", text(" {} ")),
        ("field", text(r#"{"id":1,"a":"\u00e9"} "#)),
        ("name", text("caf\u{e9} \"\\\n\u{7f}\u{2028}")),
        ("split", text(batch)),
    ]
}

/// A session that a server refuses, or says everything to.
pub(super) fn session() -> Vec<(&'static str, Vec<u8>)> {
    // As often as it takes, without a session; the same in binary, with one, and for credentials.
    // It asks for its connection.
    let start = |bits: u8| [0b0111, 0, 7, 255, 0, 3, 3, 2, 0, bits, 13, 0];
    let open: &[u8] = &[7, 0, 8, 0, 9, 0, 0, 0, 0, 0, 0];
    let wake: &[u8] = &[5, 1, 0];
    let cut: &[u8] = &[6, 2, 0];
    let again: &[u8] = &[2, 4, 2, 0];
    let say = |which: u8, id: u8| [9, which, id, 0, 0, 0, 0];
    let statuses = |all: &[&str]| {
        let refused = all.iter().flat_map(|status| {
            let answer = format!("HTTP/1.1 {status}\r\n\r\n");
            [&[7, 0][..], &raw(answer.as_bytes()), wake].concat()
        });
        [&start(0)[..], &refused.collect::<Vec<_>>()].concat()
    };
    let mut all = vectors();
    let wanted = |vector: &serde_json::Value| {
        let name = vector["name"].as_str().unwrap_or_default();
        let is_ending = ["welcome", "closing", "session"]
            .iter()
            .any(|it| name.starts_with(it));
        vector["from"] == "server" && !vector["json"].is_null() && !is_ending
    };
    all.retain(wanted);
    let texts = all.iter().map(|vector| {
        let text = vector["json"]
            .as_str()
            .map_or_else(|| vector["json"].to_string(), str::to_owned);
        raw(&message(0x81, text.as_bytes()))
    });
    let texts = [&start(0)[..], open, &texts.collect::<Vec<_>>().concat()].concat();
    let frames = all.iter().map(|vector| raw(&message(0x82, &frame(vector))));
    let frames = frames.collect::<Vec<_>>().concat();
    let welcome: &[u8] = &[17, 0, 0, 0, 0, 0, 0];
    let odd: Vec<u8> = ODD
        .iter()
        .flat_map(|text| raw(&message(0x81, text.as_bytes())))
        .collect();
    // A name is refused, taken without, and so is all that follows.
    let unnamed = [
        &start(0)[..],
        open,
        again,
        &say(4, 1),
        &say(2, 2),
        again,
        again,
        &say(2, 3),
        cut,
        wake,
        open,
    ];
    // One waits, so that there is no room for what was refused; and a name is too much for the server.
    let one = [&[0b0111, 0, 1][..], &start(0)[3..]].concat();
    let full = [0, 250, 0, 0].repeat(6);
    let unnamed_full = [&one, open, again, &[12, 1, 0], &full, &say(4, 1)];
    let short = r#"{"type":"welcome","clientId":"client_AAAAAAAAAAAAAAAAAAAAAAAA","limits":{"maxMessageBytes":110}}"#;
    let short = raw(&message(0x81, short.as_bytes()));
    let unnamed_short = [&start(0)[..], &[7, 0, 8, 0], &short, again, &say(2, 1)];
    let absurd = (0..20).flat_map(|which| {
        let least = [255, which, 0];
        let most = [
            255, which, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ];
        [&least[..], &[255, which, 2, 4, 0], &most].concat()
    });
    vec![
        ("told", texts),
        (
            "told-in-frames",
            [&start(3)[..], &[7, 0, 8, 0], welcome, &frames].concat(),
        ),
        ("told-oddly", [&start(0)[..], open, &odd].concat()),
        ("unnamed", unnamed.concat()),
        ("unnamed-full", unnamed_full.concat()),
        ("unnamed-short", unnamed_short.concat()),
        (
            "refused",
            statuses(&["408", "425", "429", "500", "503", "501"]),
        ),
        ("refused-version", statuses(&["505"])),
        ("refused-for-good", statuses(&["404"])),
        (
            "credentials-replaced",
            [
                &start(8)[..],
                &[16, 18, 0],
                open,
                cut,
                wake,
                &[16, 16, 0],
                open,
            ]
            .concat(),
        ),
        (
            "absurd",
            [&start(0)[..], &absurd.collect::<Vec<_>>()].concat(),
        ),
    ]
}

/// Bytes as they come from the server, in as many steps as they take.
fn raw(bytes: &[u8]) -> Vec<u8> {
    let pieces = bytes.chunks(63);
    pieces
        .flat_map(|piece| [&[11, piece.len() as u8], piece, &[0]].concat())
        .collect()
}

/// A whole message of a server's.
fn message(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    match length {
        0..126 => [&[opcode, length as u8], payload].concat(),
        _ => [&[opcode, 126], &length.to_be_bytes()[..], payload].concat(),
    }
}

/// What is known by its type alone.
const ODD: [&str; 10] = [
    r#"{"type":"broadcast","from":"client_BBBBBBBBBBBBBBBBBBBBBBBB","data":"aGk=","encoding":"base64","timestamp":1}"#,
    r#"{"type":"broadcast","from":"client_BBBBBBBBBBBBBBBBBBBBBBBB","data":"aGk","encoding":"base64","timestamp":1}"#,
    r#"{"type":"broadcast","from":"client_BBBBBBBBBBBBBBBBBBBBBBBB","data":"aGk=","encoding":"hex","timestamp":1}"#,
    r#"{"type":"broadcast","data":1}"#,
    r#"{"type":"member_left","room":"a","clientId":"client_BBBBBBBBBBBBBBBBBBBBBBBB","reason":"bored"}"#,
    r#"{"type":"resumed","room":"a","complete":7}"#,
    r#"{"type":"joined_room","room":"a","members":["b"],"total":1}"#,
    r#"{"type":"history","room":"a","epoch":"0","last":1,"messages":{}}"#,
    r#"{"type":"session","leftOut":7}"#,
    r#"{"type":"error","code":"new_code","message":"","retryAfterMs":-1}"#,
];

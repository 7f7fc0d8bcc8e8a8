//! Recordings, and what is masked in them.

use super::{frame, vectors, with};

/// What goes into a server that is recorded: how, then steps.
pub(super) fn written() -> Vec<(&'static str, Vec<u8>)> {
    let recorded = |bits: &[u8], steps: &[&[u8]]| [&[2, 9, 2], bits, &steps.concat()].concat();
    let clients: &[u8] = &[0, 1, 0, 0, 2, 0, 3, 0, 3, 1, 13];
    let say = |text: u8| [4, text, 0, 13];
    let said = (0..13).flat_map(say).collect::<Vec<_>>();
    // Three files to the program: whole, another than its hash says, given up.
    let file = |end: u8| [5, 6, end].map(say).concat();
    let files = [7, 8, 9].map(file).concat();
    // Of a file from one to the other, in a room.
    let wrong: &[u8] = &[
        4, 0, 0, 4, 0, 1, 13, 4, 13, 0, 13, 4, 14, 1, 13, 1, 3, 0x0f, 0x42, 0x41, 0, 8, 2, 13, 4,
        6, 0, 13, 4, 8, 0, 13, 4, 15, 1, 13,
    ];
    let reports = (0..7).flat_map(|kind| [7, kind & 1, kind, 12, 2]);
    let reports = reports.collect::<Vec<_>>();
    let commands = COMMANDS
        .map(|command| [&[10], command, &[13]].concat())
        .concat();
    // The program answers, or fails.
    let reply = |kind| [4, 2, 0, 13, 10, 0, 2, kind, 13];
    let replies = [
        &[0, 1, 2].map(reply).concat()[..],
        &[4, 2, 1, 13, 10, 0, 3, 13],
    ]
    .concat();
    let second: &[u8] = &[1, 3, 0x0f, 0x42, 0x41, 2, 3, 0xe8, 8, 2, 13];
    let long: &[u8] = &[5, 0x40, 0, 0];
    let pool: &[u8] = &[8, 1, 2, 5, 4, 0, 0, 13, 9, 0, 13, 5, 4, 0, 0, 13, 9, 1, 13];
    let mut proxied = b"\x02\x00\x29PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec();
    proxied[2] = (proxied.len() - 3) as u8;
    vec![
        ("written", recorded(&[0], &[clients, &said])),
        ("written-masked", recorded(&[1], &[clients, &said])),
        ("written-reports", recorded(&[0], &[clients, &reports])),
        (
            "written-commands",
            recorded(&[0], &[clients, &replies, &commands]),
        ),
        (
            "written-commands-masked",
            recorded(&[1], &[clients, &replies, &commands]),
        ),
        (
            "written-sessions",
            recorded(
                &[1],
                &[
                    clients,
                    &[
                        4, 3, 0, 13, 10, 0, 8, 0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                        0xff, 13,
                    ],
                    &[4, 4, 1, 13, 10, 0, 9, 13, 10, 0, 9, 13],
                ],
            ),
        ),
        ("written-files", recorded(&[8], &[clients, &files])),
        ("written-files-masked", recorded(&[9], &[clients, &files])),
        ("written-wrong-file", recorded(&[1], &[clients, wrong])),
        ("written-pool", recorded(&[0], &[clients, pool])),
        ("written-pool-masked", recorded(&[1], &[clients, pool])),
        (
            "written-long",
            recorded(&[1], &[clients, long, long, long, &[13]]),
        ),
        (
            "written-checks",
            recorded(&[1], &[&[11; 5], clients, &[11, 13]]),
        ),
        (
            "written-proxied",
            recorded(&[1], &[&[0, 0, 1], &proxied, &[0, 3, 0, 13]]),
        ),
        (
            "written-strangers",
            recorded(
                &[1],
                &[&[
                    2, 0, 2, b'h', b'i', 9, 3, 9, 0, 1, 4, 6, 9, 1, 5, 0, 8, 0, 7, 0, 7,
                ]],
            ),
        ),
        ("written-full", recorded(&[2, 0, 0], &[clients])),
        (
            "written-fuller",
            recorded(&[3, 0x14, 0], &[clients, &said, long]),
        ),
        (
            "written-refused",
            recorded(&[5, 1], &[clients, second, clients]),
        ),
        (
            "written-refused-later",
            recorded(&[4, 2], &[clients, second, second, &said]),
        ),
    ]
}

/// Of which connection, which, and with what.
const COMMANDS: [&[u8]; 10] = [
    &[0, 0],
    &[0, 1],
    &[1, 4],
    &[0, 6, 1, 1],
    &[0, 7, 0],
    &[0, 8, 0, 0],
    &[0, 9],
    &[1, 5, 0x0f, 0xa0, 1],
    &[0, 11],
    &[0, 12],
];

/// Records of kinds, ways and names that there are not.
pub(super) fn damaged() -> Vec<(&'static str, Vec<u8>)> {
    let record = |record: &[u8]| with(&[2, 9, 1], record);
    vec![
        ("odd-kind", record(&[99, 0, 0, 0])),
        ("odd-address", record(&[12, 0, 0, 0, 9])),
        ("odd-end", record(&[7, 0, 0, 0, 0, 1, 9])),
        ("odd-command", record(&[11, 0, 0, 0, 99])),
        ("odd-name", record(&[11, 0, 0, 0, 6, 0, 1, 9])),
        (
            "odd-session",
            record(&[
                11, 0, 0, 0, 9, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 7, 0,
            ]),
        ),
        ("odd-error", record(&[11, 0, 0, 0, 2, 1, 2, 1, b'a', 0])),
        ("odd-ending", record(&[33, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])),
        ("odd-id", record(&[5, 0, 0, 0, 0, 0])),
    ]
}

/// Frames of every kind, in batches of as many as a server takes here; and strings, however they are spelled.
pub(super) fn masked() -> Vec<(&'static str, Vec<u8>)> {
    const BATCHES: [&str; 11] = [
        "frames-1",
        "frames-2",
        "frames-3",
        "frames-4",
        "frames-5",
        "frames-6",
        "frames-7",
        "frames-8",
        "frames-9",
        "frames-10",
        "frames-11",
    ];
    let mut all = vectors();
    all.retain(|vector| vector["from"] == "client" && !vector["json"].is_null());
    let frames: Vec<_> = all.iter().map(frame).collect();
    let batches = frames.chunks(4).map(|frames| {
        let payload = [&[0, 0, 0, 2], &*frames.concat()].concat();
        let length = (payload.len() as u32).to_be_bytes();
        [&[1, 9, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0][..], &length, &payload].concat()
    });
    let mut seeds: Vec<_> = BATCHES.into_iter().zip(batches).collect();
    seeds.extend(strings());
    seeds
}

fn strings() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: String| with(&[0, 0, 1], text.as_bytes());
    let data = |data: &str| {
        text(format!(
            r#"{{"type":"broadcast","data":"{data}","encoding":"base64"}}"#
        ))
    };
    let hash = |hash: &str| {
        text(format!(
            r#"{{"type":"file_end","transfer":1,"hash":"{hash}"}}"#
        ))
    };
    let name = |name: &str| {
        text(format!(
            r#"{{"type":"file_start","room":"a","size":7,"mimeType":"","name":"{name}"}}"#
        ))
    };
    let escaped =
        |codes: &[u32]| -> String { codes.iter().map(|code| format!("\\u{code:04x}")).collect() };
    let spelled = |text: &str| escaped(&text.chars().map(u32::from).collect::<Vec<_>>());
    let ascii: Vec<u32> = (0..0x80).collect();
    let raw: String = FAR.iter().copied().filter_map(char::from_u32).collect();
    let digits = "0123456789abcdef".repeat(4);
    vec![
        ("base64-spelled", data(&spelled("AZaz09+/QUI=QQ=="))),
        ("base64-slash", data("AA\\/+")),
        ("base64-line", data("AA\\n+AA")),
        ("base64-odd", data(r"\u0041\u0021\u0041A")),
        ("base64-far", data(r"\u4e00AA")),
        ("base64-next", data(r"\u0100\u0080")),
        ("base64-high", data(r"\u0080AAA")),
        ("base64-bits", data(r"AB==A")),
        ("base64-letter", data("A\u{e9}A=\\u0041")),
        ("hash-spelled", hash(&spelled(&format!("sha256:{digits}")))),
        ("hash-half", hash(&format!("sha256:{}", spelled(&digits)))),
        ("hash-prefix", hash(r"\u0074ha256:")),
        ("hash-colon", hash(r"sha256:\u003a")),
        ("hash-upper", hash(r"sha256:\u0041a")),
        ("hash-g", hash(r"sha256:\u0067")),
        ("hash-far", hash(r"sha256:\u3061\u6130")),
        ("hash-odd", hash("sha256:g0\\u0030")),
        ("prose-ascii", name(&escaped(&ascii))),
        ("prose-far", name(&escaped(&FAR))),
        ("prose-raw", name(&raw)),
    ]
}

/// Characters by which names are judged, and their neighbours.
const FAR: [u32; 40] = [
    0x80, 0x85, 0x9f, 0xa0, 0xad, 0xbf, 0xc0, 0x100, 0x7ff, 0x800, 0x1000, 0x2000, 0x200a, 0x200b,
    0x200d, 0x200f, 0x2010, 0x2027, 0x2028, 0x202e, 0x202f, 0x205f, 0x2060, 0x2066, 0x2069, 0x206a,
    0x206f, 0x2080, 0x20ac, 0x3000, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0xfeff, 0xfeff,
    0xfefe, 0xffff,
];

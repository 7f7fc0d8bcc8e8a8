//! Seeds for both ends of a connection: compression, what is agreed about it, and what a client reads.

use super::with;
use crate::client::accept;

/// Which way; an effort; then for each message: kind, window, scale, how many, a number to begin with.
pub(super) fn deflate() -> Vec<(&'static str, Vec<u8>)> {
    let messages = |bytes: &[u8]| with(&[0], bytes);
    // For each payload: a cap, cuts for fragments and for pieces, then how the payload comes.
    let payload = |cap: u8, bytes: &[u8]| with(&[1, cap, 0, 9, 0, 7, 0], bytes);
    let recipe = |bytes: &[u8]| with(&[1, 7, 0, 9, 0, 7, 2], bytes);
    let all_kinds = (0..8).flat_map(|kind| [kind, kind, 12, 3, 0, kind]);
    // What repeats farther back than a window reaches.
    let windows = (0..7).flat_map(|window| [6, window, 15, 7, 1, window]);
    let levels = (1..=9_u8).map(|level| messages(&[level, 10 - level, 7, 6, 16, 3, 0, level]));
    let names = [
        "level-1", "level-2", "level-3", "level-4", "level-5", "level-6", "level-7", "level-8",
        "level-9",
    ];
    let mut seeds: Vec<_> = names.into_iter().zip(levels).collect();
    seeds.extend([
        (
            "kinds",
            messages(&with(&[3, 7], &all_kinds.collect::<Vec<_>>())),
        ),
        ("longest", messages(&[3, 7, 7, 6, 19, 1, 0, 1])),
        (
            "noise",
            messages(&[3, 7, 1, 6, 17, 7, 0, 2, 3, 6, 17, 7, 0, 3]),
        ),
        (
            "nearest",
            messages(&[0xff, 0xf0, 4, 8, 10, 2, 0, 1, 5, 7, 10, 2, 0, 1]),
        ),
        (
            "literal",
            messages(b"\x03\x07\x00\x06\x07\x00\x00\x01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ),
        ("hello", payload(3, b"\xf2\x48\xcd\xc9\xc9\x07\x00")),
        (
            "hello-stored",
            payload(3, b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
        ),
        (
            "hello-final",
            payload(
                3,
                b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            ),
        ),
        (
            "hello-blocks",
            payload(0, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
        ),
        ("empty", payload(1, b"")),
        ("empty-final", payload(1, b"\x03\x00")),
        ("too-long", payload(2, b"\xf2\x48\xcd\xc9\xc9\x07\x00")),
        // One byte, one too many, and a reserved type of block behind it.
        (
            "too-long-and-corrupt",
            payload(2, b"\x00\x02\x00\xfd\xffaa\x06"),
        ),
        ("reserved", payload(0, b"\x06")),
        (
            "stored-lengths",
            payload(0, b"\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00"),
        ),
        ("before-all", payload(0, b"\xf2\x00\x11\x00\x00")),
        ("stored-open", payload(0, b"\x00\xff\xff\x00\x00a")),
        (
            "windows",
            messages(&with(&[6, 7], &windows.collect::<Vec<_>>())),
        ),
        ("least", messages(&[0, 0, 4, 8, 10, 2, 0, 1])),
        ("stored-open", payload(0, b"\x00\xff\xff\x00\x00a")),
        ("half", payload(0, b"\xf2\x48\xcd")),
        ("codes", payload(0, b"\x04\xc0\x81\x08\x00")),
        ("omission-as-data", payload(0, b"\x00\x04\x00\xfb\xff")),
        // Streams by another compressor: text, whole and with flaws.
        ("others", recipe(&[0, 4, 6, 12, 0, 1, 0, 0])),
        (
            "others-three",
            recipe(&[2, 4, 6, 12, 0, 1, 1, 0, 8, 0, 1, 7, 9, 15, 0, 1, 0, 3]),
        ),
        (
            "others-flipped",
            recipe(&[0, 7, 6, 12, 0, 1, 1, 0, 20, 3, 3]),
        ),
        ("others-cut", recipe(&[0, 3, 6, 12, 0, 1, 0, 1, 1, 0])),
        (
            "others-more",
            recipe(&[
                0, 5, 1, 15, 0, 1, 0, 2, 7, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 7, 0,
            ]),
        ),
    ]);
    seeds
}

/// The offer of a client, then fields.
pub(super) fn negotiation() -> Vec<(&'static str, Vec<u8>)> {
    let offers: [(&str, u8, &str); 20] = [
        ("browser", 8, "permessage-deflate; client_max_window_bits"),
        ("none", 7, ""),
        ("plain", 0, "permessage-deflate"),
        (
            "all",
            3,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=10; client_max_window_bits=\"12\"",
        ),
        (
            "second",
            8,
            "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9",
        ),
        (
            "others",
            8,
            "x-webkit-deflate-frame, mux; max-channels=4\nPermessage-deflate\npermessage-deflate; x",
        ),
        (
            "twice",
            8,
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        ),
        (
            "value",
            8,
            "permessage-deflate; server_no_context_takeover=1",
        ),
        ("no-value", 8, "permessage-deflate; server_max_window_bits"),
        (
            "sizes",
            6,
            "permessage-deflate; client_max_window_bits=8, permessage-deflate; server_max_window_bits=015",
        ),
        (
            "too-large",
            2,
            "permessage-deflate; server_max_window_bits=15; server_no_context_takeover",
        ),
        (
            "too-small",
            2,
            "permessage-deflate; server_max_window_bits=16, a; client_max_window_bits=7",
        ),
        (
            "escaped",
            6,
            "permessage-deflate ;\tserver_max_window_bits = \"1\\5\" ,, ,a;b=\"\\c\"",
        ),
        (
            "answer-twice",
            8,
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=9; client_max_window_bits=9",
        ),
        (
            "any-window",
            0,
            "permessage-deflate; server_no_context_takeover",
        ),
        (
            "larger-window",
            0,
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
        ),
        (
            "sixteen",
            8,
            "permessage-deflate; client_max_window_bits=16; server_no_context_takeover",
        ),
        ("malformed", 0, "permessage-deflate;"),
        ("open", 0, "permessage-deflate; server_max_window_bits=\"15"),
        ("empty", 0, "permessage-deflate\n ,"),
    ];
    let seed =
        |&(name, choice, text): &(&'static str, u8, &str)| (name, with(&[choice], text.as_bytes()));
    offers.iter().map(seed).collect()
}

/// A configuration, acts, cuts, then what a server sends.
pub(super) fn client() -> Vec<(&'static str, Vec<u8>)> {
    const OPTIONS: &[u8] = &[0x81, 0, 0, 0, 0];
    let good = |fields: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{fields}\r\n",
            accept()
        )
    };
    let raw = |bytes: &[u8]| [OPTIONS, &[0, 9, 0], bytes].concat();
    let opened = |fields: &str, frames: &[u8]| raw(&with(good(fields).as_bytes(), frames));
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover";
    let compressed = |frames: &[u8]| opened(&format!("{deflate}\r\n"), frames);
    let compressed_with = |more: &str| opened(&format!("{deflate}{more}\r\n"), b"");
    // Status, upgrade, connection, key, other fields, protocol, extension, hints; good as far as they are below 0xe0.
    let recipe =
        |setup: &[u8], parts: &[u8], frames: &[u8]| [setup, &[0, 9, 1], parts, frames].concat();
    let fine = [0, 1, 2, 0, 1, 0, 0, 0];
    let agreed = [0, 0, 0, 1, 2, 3, 0x47, 1];
    let tour = [
        0, 4, b'p', b'i', b'n', b'g', 1, 2, b'h', b'i', 3, 1, 5, b'h', b'e', b'l', b'l', b'o', 3,
        2, 4, 0, 3, 1, 2, 3, 0xf5, 9, 0, 2, 3, 0xe8, 3, b'b', b'y', b'e',
    ];
    let squeezed = [
        3, 3, 8, b'a', b'b', b'c', b'd', b'e', b'f', b'g', b'h', 0xf5, 9, 2,
    ];
    let flawed = |at: usize, choice: u8| {
        let mut parts = fine;
        parts[at] = choice;
        recipe(OPTIONS, &parts, b"")
    };
    let mut seeds = vec![
        (
            "opened",
            opened(
                "",
                b"\x81\x05Hello\x82\x01a\x89\x01p\x8a\x00\x88\x05\x03\xe8bye",
            ),
        ),
        (
            "protocol",
            opened("Sec-WebSocket-Protocol: chat\r\n", b"\x88\x00rest"),
        ),
        (
            "compressed",
            compressed(
                b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x42\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00",
            ),
        ),
        ("corrupt", compressed(b"\xc2\x01\x06\x81\x00")),
        (
            "not-text",
            compressed(b"\xc1\x07\x00\x01\x00\xfe\xff\xff\x00"),
        ),
        (
            "not-agreed",
            opened("", b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"),
        ),
        (
            "not-offered",
            opened("Sec-WebSocket-Protocol: soap\r\n", b""),
        ),
        ("masked", opened("", b"\x81\x80\x00\x00\x00\x00")),
        ("large", opened("", b"\x82\x7e\x03\xe9")),
        (
            "huge",
            opened("", b"\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00"),
        ),
        (
            "hints",
            raw(format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 a\r\nLink: b\r\n\r\n{}",
                good("")
            )
            .as_bytes()),
        ),
        (
            "busy",
            raw(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\nbody"),
        ),
        (
            "redirect",
            raw(b"HTTP/1.1 302 Found\r\nLocation: wss://elsewhere.example/\r\n\r\n"),
        ),
        ("malformed", raw(b"HTTP/1.1 abc\r\n\r\n")),
        (
            "fields",
            raw(&with(
                b"HTTP/1.1 200 OK\r\n",
                &[&b"A:\r\n".repeat(130)[..], b"\r\n"].concat(),
            )),
        ),
        ("line-feed", raw(b"HTTP/1.1 101\n")),
        ("half-name", raw(b"HTT\n")),
        ("no-colon", raw(b"HTTP/1.1 200 OK\r\nServer\r\n\r\n")),
        ("version", raw(b"HTTP/1.x 200 OK\r\n\r\n")),
        (
            "two-accepts",
            raw(good("")
                .replace("Upgrade:", "Sec-WebSocket-Accept: a\r\nUpgrade:")
                .as_bytes()),
        ),
        (
            "two-protocols",
            opened(
                "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n",
                b"",
            ),
        ),
        (
            "extension",
            opened("Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n", b""),
        ),
        (
            "extension-malformed",
            opened("Sec-WebSocket-Extensions: a;\r\n", b""),
        ),
        (
            "extension-window-twice",
            compressed_with("; client_max_window_bits=9; client_max_window_bits=9"),
        ),
        (
            "extension-not-offered",
            [
                &[0x83, 0, 0, 0, 0, 0, 9, 0],
                good(&format!("{deflate}\r\n")).as_bytes(),
            ]
            .concat(),
        ),
        ("tls", raw(b"\x15\x03\x01\x00\x02")),
        ("head-too-large", recipe(&[0x81, 2, 0, 0, 0], &fine, b"")),
        ("recipe", recipe(OPTIONS, &fine, &tour)),
        (
            "recipe-compressed",
            recipe(OPTIONS, &agreed, &[&squeezed[..], &tour].concat()),
        ),
        (
            "recipe-broken",
            recipe(OPTIONS, &agreed, &[3, 0xe, 1, b'a', 1, 0]),
        ),
        (
            "recipe-not-text",
            recipe(OPTIONS, &agreed, &[3, 0xf3, 1, 0xff, 1, 0]),
        ),
        (
            "recipe-bomb",
            recipe(&[0x31, 0, 1, 0, 0], &agreed, &squeezed),
        ),
        // What is done: texts, binaries, long and empty ones, sent in part, closed, ended.
        (
            "acts",
            recipe(&[0x89, 0, 0, 0, 5, 5, 0xf2, 10, 1, 5, 4], &agreed, &tour),
        ),
        (
            "acts-plain",
            recipe(&[0x8d, 0, 0, 0, 10, 5, 1, 0x42, 0x46, 3, 8], &agreed, &tour),
        ),
        (
            "early-text",
            recipe(&[0x89, 0, 0, 0, 1, 2, 7, 1], &fine, &tour),
        ),
        ("early-close", recipe(&[0x89, 0, 0, 0, 8, 0], &fine, &tour)),
        ("early-end", recipe(&[0x89, 0, 0, 0, 9, 0], &fine, &tour)),
        (
            "acts-close",
            recipe(&[0x81, 0, 0, 4, 4, 0x12, 1, 8, 7], &fine, &tour),
        ),
        ("acts-end", recipe(&[2, 0, 0, 1, 3, 1, 0, 9], &fine, &tour)),
        (
            "pongs-wait",
            recipe(
                &[0x81, 0, 0, 3, 6, 1, 0xf6, 1, 0, 5, 0],
                &fine,
                &[0, 60, 0, 61, 0, 62, 0, 63, 0, 64, 0, 65],
            ),
        ),
    ];
    let bad = [
        ("bad-status", 0, 0xe0),
        ("bad-upgrade", 1, 0xe1),
        ("bad-connection", 2, 0xe0),
        ("bad-accept", 3, 0xe1),
        ("bad-field", 4, 0xe4),
        ("bad-protocol", 5, 5),
        ("bad-extension", 6, 0xe0),
        ("bad-version", 0, 0xea),
        ("bad-parameter", 6, 0xe5),
        ("bad-twice", 6, 0xe2),
    ];
    seeds.extend(bad.map(|(name, at, choice)| (name, flawed(at, choice))));
    let request = |lines: &str| [OPTIONS, &[0, 9, 3], lines.as_bytes()].concat();
    seeds.extend([
        ("request", request("a\n/\nb\nc d\nX1a\nvalue")),
        (
            "request-all",
            request("[::1]:80\n/a?b=%20&c\nhttp://a\nchat superchat\nCookie\n a=b \nX\n\u{e4}"),
        ),
        ("request-host", request("a b\n/")),
        ("request-target", request("a\nb")),
        ("request-origin", request("a\n/\n\u{7f}")),
        ("request-protocols", request("a\n/\n\nchat chat")),
        ("request-name", request("a\n/\n\n\nA:\nb")),
        ("request-own", request("a\n/\n\n\nUPGRADE\nb")),
        ("request-value", request("a\n/\n\n\nA\nb\r")),
    ]);
    seeds
}

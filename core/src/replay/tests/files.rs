//! Files and frames in a recording: what a masked one does without contents and hashes.

use sha2::{Digest as _, Sha256};

use super::*;
use crate::Counting;
use crate::dialect::binary::registry;

/// What [`say`] masks with, too.
const KEY: [u8; 4] = [7, 1, 9, 3];
const CONTENT: &[u8] = b"attack at dawn, and again at dusk";

/// A whole message in frames of the WebSocket protocol, two of them if it is long enough.
fn say_in_binary<S: Sink>(
    recorder: &mut Recorder<S>,
    now: Now,
    connection: ConnectionId,
    kind: u8,
    payload: &[u8],
) {
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend((payload.len() as u32).to_be_bytes());
    message.extend(payload);
    let (first, rest) = message.split_at(message.len().min(20));
    let mut frames = Vec::new();
    let is_whole = rest.is_empty();
    let binary = OpCode::Data(Data::Binary);
    put_masked_frame(&mut frames, binary, is_whole, false, first, KEY);
    if !is_whole {
        let more = OpCode::Data(Data::Continue);
        put_masked_frame(&mut frames, more, true, false, rest, KEY);
    }
    for piece in frames.chunks(7) {
        receive(recorder, now, connection, piece);
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

/// Both dialects, bytes and batches in each, and two files, one of which is not what its hash says.
fn transfers<S: Sink>(recorder: &mut Recorder<S>) {
    let mut now = Now {
        mono: Instant::from_micros(5_000_000),
        unix_ms: 1_700_000_000_000,
    };
    let ids: Vec<_> = (0..2)
        .filter_map(|_| recorder.accept(now, PeerAddr::Local, ListenerId(0)))
        .collect();
    let (sender, receiver) = (ids[0], ids[1]);
    for &id in &ids {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        receive(recorder, now, id, head.as_bytes());
        drain(recorder, now);
    }
    let base64 = data_encoding::BASE64.encode(CONTENT);
    let batch = format!(
        r#"{{"messages":[{{"type":"join","room":"a"}},{{"encoding":"base64","data":"{base64}","type":"broadcast"}}],"type":"batch"}}"#
    );
    say(recorder, now, sender, &batch);
    drain(recorder, now);
    let number = [0, 0, 0, 7];
    let join = [&number[..], &text("a")].concat();
    say_in_binary(recorder, now, receiver, registry::JOIN, &join);
    let data = [&number[..], &[0], &text("a"), CONTENT].concat();
    say_in_binary(recorder, now, receiver, registry::ROOM_MESSAGE, &data);
    drain(recorder, now);
    for (transfer, is_right) in [(1_u64, true), (2, false)] {
        let size = CONTENT.len();
        let start = format!(
            r#"{{"type":"file_start","transferId":"f","room":"a","name":"../dawn\u200b \u00e9.txt","size":{size},"mimeType":"text/dawn"}}"#
        );
        say(recorder, now, sender, &start);
        drain(recorder, now);
        let numbers = [transfer.to_be_bytes(), [0; 8]].concat();
        let credit = [&numbers[..], &65_536_u32.to_be_bytes()].concat();
        say_in_binary(recorder, now, receiver, registry::FILE_CREDIT, &credit);
        drain(recorder, now);
        now.mono = now.mono + core::time::Duration::from_secs(1);
        let _ = recorder.handle(now, Input::Tick);
        drain(recorder, now);
        let chunk = format!(
            r#"{{"type":"file_chunk","transfer":{transfer},"offset":0,"data":"{base64}","encoding":"base64"}}"#
        );
        say(recorder, now, sender, &chunk);
        drain(recorder, now);
        let hashed = if is_right { CONTENT } else { b"another file" };
        let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(hashed));
        let end = format!(r#"{{"type":"file_end","transferId":"f","hash":"sha256:{hash}"}}"#);
        say(recorder, now, sender, &end);
        drain(recorder, now);
        let complete = [&number[..], &transfer.to_be_bytes()].concat();
        say_in_binary(recorder, now, receiver, registry::FILE_COMPLETE, &complete);
        drain(recorder, now);
    }
}

fn record_transfers(options: Options) -> Vec<u8> {
    let mut file = Vec::new();
    let config = Config::default().validate().expect("valid");
    let mut recorder = Recorder::new(config, [3; 32], options, &mut file);
    transfers(&mut recorder);
    let stats = recorder.stats();
    assert_eq!(
        (
            stats.files_started,
            stats.files_completed,
            stats.files_failed
        ),
        (2, 1, 1)
    );
    assert_eq!((stats.bad_messages, stats.refused), (0, 2));
    drop(recorder);
    file
}

#[test]
fn a_masked_recording_of_files_makes_the_same_decisions() {
    let file = record_transfers(Options::default());
    let (steps, end) = replay(&file);
    assert_eq!(end, Ok(Ending::Closed));
    let (again, end) = replay(&record_transfers(UNMASKED));
    assert_eq!(end, Ok(Ending::Closed));
    let outputs = |steps: &[Step]| {
        let outputs = steps
            .iter()
            .filter(|step| matches!(step.what, What::Output(_)));
        outputs.count()
    };
    assert_eq!(outputs(&steps), outputs(&again));
}

#[test]
fn nothing_of_a_file_is_in_a_masked_recording() {
    let masked = record_transfers(Options::default());
    // Under the key that the clients mask with, wherever their frames begin.
    let said = |what: &[u8]| {
        (0..KEY.len()).any(|at| {
            let key = KEY.iter().cycle().skip(at);
            let bytes: Vec<_> = masked
                .iter()
                .zip(key)
                .map(|(byte, key)| byte ^ key)
                .collect();
            bytes.windows(what.len()).any(|bytes| bytes == what)
        })
    };
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(CONTENT));
    assert!(said(br#""transferId":"f""#));
    for secret in [
        b"dawn".as_slice(),
        hash.as_bytes(),
        &data_encoding::BASE64.encode(CONTENT).into_bytes(),
    ] {
        assert!(!said(secret));
    }
}

/// Without the note that a file is wrong, the replay goes another way and says so.
#[test]
fn what_a_hash_has_told_is_in_the_recording() {
    let mut file = record_transfers(Options::default());
    let note = [wire::tag::WRONG_FILE, 2];
    let at = file
        .windows(2)
        .rposition(|bytes| bytes == note)
        .expect("a note");
    file.drain(at..at + 2);
    let (_, end) = replay(&file);
    assert!(matches!(end, Err(ReplayError::Differs { .. })), "{end:?}");
}

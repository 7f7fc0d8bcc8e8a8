//! Recordings of clients that ask for compression.

use super::*;
use crate::stats::Stats;
use crate::websocket::deflate::{Compressors, Effort, Window};

/// Two clients that offer compression; one says a long message again and again, compressed if that was agreed on.
fn chat(options: Options) -> (Vec<u8>, Stats) {
    let mut file = Vec::new();
    let config = Config::default().validate().expect("valid");
    let mut recorder = Recorder::new(config, [3; 32], options, &mut file);
    let now = Now {
        mono: Instant::from_micros(5_000_000),
        unix_ms: 1_700_000_000_000,
    };
    let ids = [(); 2].map(|()| {
        recorder
            .accept(now, PeerAddr::Local, ListenerId(0))
            .expect("a place")
    });
    for id in ids {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Extensions: permessage-deflate\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        receive(&mut recorder, now, id, head.as_bytes());
        drain(&mut recorder, now);
        say(&mut recorder, now, id, r#"{"type":"join","room":"a"}"#);
        drain(&mut recorder, now);
    }
    let agreed = recorder.as_ref().stats().compressing > 0;
    let message = format!(
        r#"{{"type":"room_message","room":"a","data":"{}"}}"#,
        SECRET.repeat(200)
    );
    let mut compressors = Compressors::new(Effort::DEFAULT);
    let payload = match compressors.compress(Window::MAX, message.as_bytes()) {
        Some(payload) if agreed => payload,
        _ => message.as_bytes(),
    };
    let mut frame = Vec::new();
    put_masked_frame(
        &mut frame,
        OpCode::Data(Data::Text),
        true,
        agreed,
        payload,
        [7, 1, 9, 3],
    );
    for _ in 0..20 {
        receive(&mut recorder, now, ids[0], &frame);
        drain(&mut recorder, now);
    }
    let stats = recorder.as_ref().stats();
    drop(recorder);
    (file, stats)
}

#[test]
fn compressed_messages_are_recorded_and_done_again() {
    let (file, stats) = chat(UNMASKED);
    assert_eq!(
        (stats.compressing, stats.inflated, stats.compressed),
        (2, 20, 20)
    );
    let (steps, ending) = replay(&file);
    assert_eq!(ending, Ok(Ending::Closed));
    assert!(steps.len() > 20);
}

#[test]
fn what_is_masked_is_not_compressed() {
    let (file, stats) = chat(Options::default());
    assert_eq!(
        (stats.compressing, stats.inflated, stats.compressed),
        (0, 0, 0)
    );
    assert_eq!(stats.deliveries, 21);
    assert_eq!(replay(&file).1, Ok(Ending::Closed));
    assert!(
        !file
            .windows(SECRET.len())
            .any(|bytes| bytes == SECRET.as_bytes())
    );
}

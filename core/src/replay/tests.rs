mod compression;
mod files;
mod offload;

use super::recorder::HeaderConfig;
use super::*;
use crate::machine::{Input, ListenerId, Machine, Output, PeerAddr, TransportEnd};
use crate::time::{Instant, Now};
use crate::websocket::{Data, OpCode, put_masked_frame};
use crate::{Config, ConnectionId};

const SECRET: &str = "attack at dawn";

/// Two clients that talk, on any machine: what a driver does.
fn chat<S: Sink>(recorder: &mut Recorder<S>) -> u64 {
    chat_at(ListenerId(0), recorder)
}

fn chat_at<S: Sink>(listener: ListenerId, recorder: &mut Recorder<S>) -> u64 {
    let mut now = Now {
        mono: Instant::from_micros(5_000_000),
        unix_ms: 1_700_000_000_000,
    };
    let mut sent = 0;
    let join = r#"{"type":"join","room":"a"}"#.to_owned();
    let secret = format!(r#"{{"type":"room_message","room":"a","data":"{SECRET}"}}"#);
    let ids: Vec<ConnectionId> = (0..2)
        .filter_map(|_| recorder.accept(now, PeerAddr::Local, listener))
        .collect();
    for &id in &ids {
        let head = "GET /?token=attack HTTP/1.1\r\nHost: a\r\nCookie: attack at dawn\r\n\
            Upgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        receive(recorder, now, id, head.as_bytes());
        sent += drain(recorder, now);
        say(recorder, now, id, &join);
        sent += drain(recorder, now);
    }
    for _ in 0..90 {
        now.mono = now.mono + core::time::Duration::from_millis(100);
        say(recorder, now, ids[0], &secret);
        sent += drain(recorder, now);
    }
    let _ = recorder.handle(
        now,
        Input::Ended {
            connection: ids[0],
            end: TransportEnd::Reset,
        },
    );
    sent + drain(recorder, now)
}

fn receive<S: Sink>(recorder: &mut Recorder<S>, now: Now, connection: ConnectionId, bytes: &[u8]) {
    let bytes = &mut bytes.to_vec();
    let _ = recorder.handle(now, Input::Received { connection, bytes });
}

fn say<S: Sink>(recorder: &mut Recorder<S>, now: Now, connection: ConnectionId, text: &str) {
    let mut frame = Vec::new();
    let opcode = OpCode::Data(Data::Text);
    put_masked_frame(
        &mut frame,
        opcode,
        true,
        false,
        text.as_bytes(),
        [7, 1, 9, 3],
    );
    receive(recorder, now, connection, &frame);
}

fn drain<S: Sink>(recorder: &mut Recorder<S>, now: Now) -> u64 {
    let mut sent = 0;
    loop {
        match recorder.poll() {
            Output::Transmit { connection } => {
                let bytes = recorder.unsent(connection).map(<[u8]>::len).sum();
                sent += bytes as u64;
                let blocked = false;
                let _ = recorder.handle(
                    now,
                    Input::Sent {
                        connection,
                        bytes,
                        blocked,
                    },
                );
            }
            Output::Idle { .. } => return sent,
            _ => {}
        }
    }
}

fn record(options: Options) -> Vec<u8> {
    let mut file = Vec::new();
    let config = Config::default().validate().expect("valid");
    let mut recorder = Recorder::new(config, [3; 32], options, &mut file);
    assert!(chat(&mut recorder) > 10_000);
    drop(recorder);
    file
}

fn replay(file: &[u8]) -> (Vec<Step>, Result<Ending, ReplayError>) {
    let mut replayer = Replayer::new();
    replayer.feed(file);
    replayer.finish();
    let mut steps = Vec::new();
    loop {
        match replayer.step() {
            Ok(Progress::Step(step)) => steps.push(step),
            Ok(Progress::End(ending)) => return (steps, Ok(ending)),
            Ok(Progress::NeedMore) => panic!("all was fed"),
            Err(error) => return (steps, Err(error)),
        }
    }
}

const UNMASKED: Options = Options {
    masked: false,
    max_bytes: u64::MAX,
};

/// Everything that sockets took.
fn taken(steps: &[Step]) -> Vec<u8> {
    let sent = steps.iter().filter_map(|step| match &step.what {
        What::Input { sent, .. } => Some(sent.as_slice()),
        What::Output(_) => None,
    });
    sent.flatten().copied().collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn what_was_recorded_happens_again() {
    let (steps, outcome) = replay(&record(UNMASKED));
    assert_eq!(outcome, Ok(Ending::Closed));
    let inputs = steps
        .iter()
        .filter(|s| matches!(s.what, What::Input { .. }));
    assert_eq!(inputs.count() as u64, steps.last().expect("some").number);
    assert!(contains(&taken(&steps), SECRET));
}

#[test]
fn a_masked_recording_decides_the_same_and_says_nothing() {
    let file = record(Options::default());
    let (masked, outcome) = replay(&file);
    assert_eq!(outcome, Ok(Ending::Closed));
    let (open, _) = replay(&record(UNMASKED));
    assert_eq!(masked.len(), open.len());
    assert_eq!(taken(&masked).len(), taken(&open).len());
    assert!(!contains(&taken(&masked), "attack"));
    // On the wire it is under a key: what went in is looked at as the server saw it.
    for step in &masked {
        if let What::Input {
            input: Recorded::Received { bytes, .. },
            ..
        } = &step.what
        {
            let mut plain = bytes.clone();
            for (byte, key) in plain.iter_mut().skip(6).zip([7, 1, 9, 3].iter().cycle()) {
                *byte ^= key;
            }
            assert!(!contains(&plain, "dawn") && !contains(bytes, "attack"));
        }
    }
}

#[test]
fn a_difference_is_located() {
    let file = record(UNMASKED);
    let (steps, _) = replay(&file);
    let last = steps.last().expect("some").number;
    // One letter of the last message, behind its mask key: the client said something else.
    let key = file.windows(4).rposition(|window| window == [7, 1, 9, 3]);
    let mut changed = file;
    changed[key.expect("a frame") + 52] ^= 1;
    let (_, outcome) = replay(&changed);
    let Err(ReplayError::Differs { step }) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(step > last - 12 && step <= last, "{step} of {last}");
}

#[test]
fn every_cut_is_an_error_with_a_place_and_flipped_bits_are_noticed() {
    let file = record(Options {
        max_bytes: 3_000,
        ..UNMASKED
    });
    for length in 0..file.len() {
        let (_, outcome) = replay(&file[..length]);
        match outcome {
            Err(ReplayError::Truncated { offset, .. }) => assert!(offset <= length as u64),
            other => panic!("{length}: {other:?}"),
        }
    }
    // A flipped bit need not matter, in a limit that is never met for instance; most do, and all are survived.
    let noticed = (0..file.len()).filter(|&at| {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        replay(&changed).1.is_err()
    });
    assert!(noticed.count() * 4 > file.len() * 3);
}

#[test]
fn a_full_recording_ends_and_serving_goes_on() {
    let recorded = |max_bytes| {
        record(Options {
            max_bytes,
            ..Options::default()
        })
    };
    // The settings are there however little there may be.
    let least = recorded(0).len() as u64;
    assert!(least < 4_000, "{least}");
    for max_bytes in [0, 2_000, 5_000, 8_000] {
        let file = recorded(max_bytes);
        assert!(file.len() as u64 <= max_bytes.max(least));
        assert_eq!(replay(&file).1, Ok(Ending::Full));
    }
}

#[test]
fn a_sink_that_refuses_gets_the_end() {
    #[derive(Default)]
    struct Slow<'a>(Option<&'a mut Vec<u8>>, u32);
    impl Sink for Slow<'_> {
        fn take(&mut self, bytes: &[u8]) -> bool {
            self.1 += 1;
            if let Some(file) = &mut self.0 {
                file.extend_from_slice(bytes);
            }
            self.1 < 2
        }
        fn end(&mut self, bytes: &[u8], ending: Ending) {
            assert_eq!(ending, Ending::Refused);
            self.take(bytes);
        }
    }
    let mut file = Vec::new();
    let config = Config::default().validate().expect("valid");
    let sink = Slow(Some(&mut file), 0);
    let mut recorder = Recorder::new(config, [3; 32], UNMASKED, sink);
    chat(&mut recorder);
    assert!(recorder.is_over());
    drop(recorder);
    assert_eq!(replay(&file).1, Ok(Ending::Refused));
}

#[test]
fn the_header_holds_what_serde_skips() {
    let mut config = Config::default();
    config.application_types.push("app".to_owned());
    config.listeners = vec![crate::config::ListenerConfig {
        raw_payloads: true,
        ..Default::default()
    }];
    config.adopted.echo = true;
    config.files.to_program = true;
    let mut file = Vec::new();
    let valid = config.clone().validate().expect("valid");
    drop(Recorder::new(valid, [3; 32], Options::default(), &mut file));
    let mut replayer = Replayer::new();
    replayer.feed(&file);
    assert_eq!(replayer.step(), Ok(Progress::End(Ending::Closed)));
    let header = replayer.header().expect("a header");
    // What is masked is not compressed.
    config.compression.enabled = false;
    assert_eq!((&header.config, header.masked), (&config, true));
}

#[test]
fn older_headers_say_less() {
    let header = HeaderConfig {
        config: Config::default(),
        listeners: Vec::new(),
        adopted: crate::config::ListenerConfig::default(),
        compresses: true,
        application_types: Vec::new(),
        files_to_program: true,
    };
    let mut json = serde_json::to_value(header).expect("JSON");
    let fields = json.as_object_mut().expect("an object");
    assert!(fields.remove("adopted").is_some());
    assert!(fields.remove("compresses").is_some());
    assert!(fields.remove("files_to_program").is_some());
    let header: HeaderConfig = serde_json::from_value(json).expect("a header");
    assert_eq!(header.adopted, crate::config::ListenerConfig::default());
    assert!(!header.compresses && !header.files_to_program);
}

/// Masked or not, connections that another server has upgraded are done again, and what they say is masked.
#[test]
fn what_is_adopted_is_recorded_as_any() {
    for options in [Options::default(), UNMASKED] {
        let mut file = Vec::new();
        let config = Config::default().validate().expect("valid");
        let mut recorder = Recorder::new(config, [3; 32], options, &mut file);
        chat_at(ListenerId::ADOPTED, &mut recorder);
        let clients = recorder.as_ref().stats().opened;
        drop(recorder);
        assert_eq!(clients, 2);
        let (steps, ending) = replay(&file);
        assert_eq!(ending, Ok(Ending::Closed));
        assert!(!steps.is_empty());
        let secret = SECRET.as_bytes();
        let found = file.windows(secret.len()).any(|bytes| bytes == secret);
        assert_eq!(found, !options.masked);
    }
}

#[test]
fn other_files_are_told_from_recordings() {
    assert_eq!(replay(b"GET / HTTP/1.1").1, Err(ReplayError::NotARecording));
    assert_eq!(replay(b"roomwire\x09").1, Err(ReplayError::Format(9)));
    let config = b"roomwire\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x010\x02{}";
    assert!(matches!(replay(config).1, Err(ReplayError::Config { .. })));
}

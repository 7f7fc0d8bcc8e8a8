//! Recordings of a server whose driver has a pool.

use super::*;
use crate::offload::{Done, Job};

/// A client says long messages, which are handed over, done late and in another order; one of them fails.
fn chat(options: Options) -> (Vec<u8>, u64, u64) {
    let mut file = Vec::new();
    let config = Config {
        rate_limit: crate::config::RateLimit::off(),
        ..Config::default()
    };
    let config = config.validate().expect("valid");
    let mut recorder = Recorder::new(config, [3; 32], options, &mut file);
    let now = Now {
        mono: Instant::from_micros(5_000_000),
        unix_ms: 1_700_000_000_000,
    };
    let _ = recorder.handle(now, Input::PoolReady { jobs: 4 });
    let ids = [(); 4].map(|()| {
        recorder
            .accept(now, PeerAddr::Local, ListenerId(0))
            .expect("a place")
    });
    for id in ids {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        receive(&mut recorder, now, id, head.as_bytes());
        jobs_of(&mut recorder, now);
        say(&mut recorder, now, id, r#"{"type":"join","room":"a"}"#);
        jobs_of(&mut recorder, now);
    }
    for number in 0..3 {
        for id in ids {
            let data = SECRET.repeat(10_000);
            let text =
                format!(r#"{{"type":"room_message","room":"a","data":["{data}",{number}]}}"#);
            say(&mut recorder, now, id, &text);
        }
        let mut jobs = jobs_of(&mut recorder, now);
        jobs.reverse();
        for job in jobs {
            let fails = number == 2 && job.connection() == ids[1];
            let done = if fails {
                Done::failed(job.id())
            } else {
                job.run()
            };
            let _ = recorder.handle(now, Input::Done(done));
            assert!(jobs_of(&mut recorder, now).is_empty());
        }
    }
    let stats = recorder.as_ref().stats();
    drop(recorder);
    (file, stats.jobs, stats.failed_jobs)
}

/// Drains; gives the jobs that came out.
fn jobs_of<S: Sink>(recorder: &mut Recorder<S>, now: Now) -> Vec<Job> {
    let mut jobs = Vec::new();
    loop {
        match recorder.poll() {
            Output::Transmit { connection } => {
                let bytes = recorder.unsent(connection).map(<[u8]>::len).sum();
                let blocked = false;
                let sent = Input::Sent {
                    connection,
                    bytes,
                    blocked,
                };
                let _ = recorder.handle(now, sent);
            }
            Output::Job(job) => jobs.push(job),
            Output::Idle { .. } => return jobs,
            _ => {}
        }
    }
}

// covers A8-01
#[test]
fn what_was_handed_over_is_done_again() {
    for options in [UNMASKED, Options::default()] {
        let (file, jobs, failed) = chat(options);
        assert_eq!((jobs, failed), (12, 1));
        let (steps, ending) = replay(&file);
        assert_eq!(ending, Ok(Ending::Closed));
        let done = steps.iter().filter(|step| match &step.what {
            What::Input { input, .. } => matches!(input, Recorded::Done { .. }),
            What::Output(_) => false,
        });
        assert_eq!(done.count(), 12);
    }
}

//! Tests of jobs by themselves.

use super::*;
use crate::config::Limits;

const fn is_send<T: Send + 'static>() {}
/// Both cross threads.
const _: () = {
    is_send::<Job>();
    is_send::<Done>();
};

fn job(work: Work) -> Job {
    let connection = ConnectionId::from_bits(1 << 32).expect("an id");
    Job::new(JobId(JobId::first_of(ShardId(3), 7) + 1), connection, work)
}

fn found(work: Work) -> Result<Found, DecodeError> {
    let job = job(work);
    let id = job.id();
    let done = job.run();
    assert_eq!((done.id(), done.is_failed()), (id, false));
    match done.outcome {
        Outcome::Found(found) => found,
        Outcome::Failed => panic!("it was not"),
    }
}

fn inflating(payload: &[u8], kind: DataKind, max_bytes: usize) -> Result<Found, DecodeError> {
    found(Work::Inflate {
        payload: payload.to_vec(),
        kind,
        max_bytes,
        json: None,
    })
}

/// "Hello" (RFC 7692, section 7.2.3.1).
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
/// 0xFF, stored.
const NO_TEXT: [u8; 7] = [0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00];

// covers A8-01
#[test]
fn a_job_is_of_a_shard() {
    let one = job(Work::Read {
        text: "{}".to_owned(),
        json: JsonLimits::from(&Limits::default()),
    });
    assert_eq!((one.id().shard(), one.bytes()), (ShardId(3), 2));
    assert!(Done::failed(one.id()).is_failed());
    assert_eq!(Done::failed(one.id()).id(), one.id());
}

// covers A8-01
#[test]
fn messages_are_inflated() {
    match inflating(&HELLO, DataKind::Text, 5) {
        Ok(Found::Text(text, None)) => assert_eq!(text, "Hello"),
        other => panic!("{other:?}"),
    }
    match inflating(&HELLO, DataKind::Binary, 5) {
        Ok(Found::Binary(bytes)) => assert_eq!(bytes, b"Hello"),
        other => panic!("{other:?}"),
    }
    let error = |payload: &[u8], kind, max| inflating(payload, kind, max).err();
    let too_large = Some(DecodeError::MessageTooLarge);
    assert_eq!(error(&HELLO, DataKind::Text, 4), too_large);
    let corrupt = Some(DecodeError::CorruptDeflate);
    assert_eq!(error(&[0xff; 9], DataKind::Text, 100), corrupt);
    let no_text = Some(DecodeError::InvalidUtf8);
    assert_eq!(error(&NO_TEXT, DataKind::Text, 100), no_text);
    assert_eq!(error(&NO_TEXT, DataKind::Binary, 100), None);
}

#[test]
fn what_it_may_come_to_is_known() {
    let work = |max_bytes| Work::Inflate {
        payload: HELLO.to_vec(),
        kind: DataKind::Text,
        max_bytes,
        json: None,
    };
    assert_eq!(work(1 << 20).made_bytes(), 7 * 1_032);
    assert_eq!(work(5).made_bytes(), 5);
    assert_eq!(work(5).held_bytes(), 7);
}

use proptest::prelude::*;

use super::*;
use crate::error::ErrorCode;
use crate::server::event::Outcome;

fn limits() -> (Sessions, MessageIds) {
    let sessions = Sessions {
        mail_messages: 4,
        mail_bytes: 1_000,
        ..Sessions::default()
    };
    let ids = MessageIds {
        max_per_client: 3,
        ..MessageIds::default()
    };
    (sessions, ids)
}

/// What happens to mail.
#[derive(Clone, Debug)]
enum Step {
    Letter(Vec<u8>, bool, Option<u64>),
    Skip(u64),
    Acknowledge(u64),
    Know(String),
    Answer(String, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let id = "[a-c]{1,2}";
    prop_oneof![
        (
            proptest::collection::vec(any::<u8>(), 0..60),
            any::<bool>(),
            proptest::option::of(1_u64..9)
        )
            .prop_map(|(data, json, until)| Step::Letter(data, json, until)),
        (0_u64..3).prop_map(Step::Skip),
        (0_u64..20).prop_map(Step::Acknowledge),
        id.prop_map(Step::Know),
        (id, 0_u8..4).prop_map(|(id, kind)| Step::Answer(id, kind)),
    ]
}

fn mail(steps: Vec<Step>) -> Mail {
    let (sessions, ids) = limits();
    let from = ClientId::encode(&[7; 18]);
    let mut mail = Mail::default();
    for (step, now_ms) in steps.into_iter().zip(1..) {
        match step {
            Step::Letter(data, json, until_ms) => {
                let data = match json {
                    true => Carried::Json(format!("{:?}", data.len()).into()),
                    false => Carried::Bytes(data.into()),
                };
                let letter = Letter {
                    offset: 0,
                    from,
                    data,
                    timestamp: now_ms,
                    until_ms,
                };
                mail.push(letter, &sessions);
            }
            Step::Skip(count) => {
                mail.skip(count);
            }
            Step::Acknowledge(offset) => mail.acknowledge(offset),
            Step::Know(id) => {
                mail.knows(from, &id, now_ms, &ids);
            }
            Step::Answer(id, kind) => {
                let answer = match kind {
                    0 => None,
                    1 => Some(Outcome::Ack),
                    2 => Some(Outcome::Reply(format!("{{\"n\":{now_ms}}}"))),
                    _ => Some(Outcome::Error {
                        code: ErrorCode::Forbidden,
                        message: "no".to_owned(),
                    }),
                };
                let answer = answer.map(Arc::new);
                mail.answers.note(&id, answer, now_ms, (&sessions, &ids));
            }
        }
    }
    mail
}

fn written(mail: &Mail) -> Vec<u8> {
    let mut bytes = Vec::new();
    mail.write(&mut bytes);
    bytes
}

fn read(bytes: &[u8]) -> Result<Mail, Fault> {
    let (sessions, ids) = limits();
    let mut source = Source::new(bytes);
    let mail = Mail::read(&mut source, (&sessions, &ids))?;
    match source.left() {
        0 => Ok(mail),
        _ => Err(Fault::Bad("there is more")),
    }
}

fn everything(mail: &Mail) -> String {
    let letters = mail.letters.iter().map(|it| {
        let data = it.data.payload();
        format!(
            "{} {:?} {:?} {:?}",
            it.offset, data, it.timestamp, it.until_ms
        )
    });
    format!(
        "{:?} {:?} {:?}",
        (mail.last, mail.acknowledged, mail.trimmed),
        letters.collect::<Vec<_>>(),
        mail.known
    )
}

proptest! {
    /// It is the same there, but for requests that nobody there will answer; and so is what it takes.
    #[test]
    fn it_arrives_as_it_left(steps in proptest::collection::vec(step(), 0..40)) {
        let mail = mail(steps);
        let there = read(&written(&mail)).expect("mail");
        prop_assert_eq!(everything(&there), everything(&mail));
        prop_assert_eq!(written(&there), written(&mail));
        let open = mail.answers.requests.iter().filter(|it| it.answer.is_none());
        prop_assert_eq!(there.answers.len() + open.count(), mail.answers.len());
        prop_assert_eq!(there.bytes - there.known_bytes, mail.bytes - mail.known_bytes);
        prop_assert_eq!(there.known_bytes, mail.known_bytes);
    }

    /// Whatever comes is mail within the limits, or none.
    #[test]
    fn nothing_that_comes_is_too_much(
        steps in proptest::collection::vec(step(), 0..40),
        at in any::<proptest::sample::Index>(),
        with in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let (sessions, ids) = limits();
        let mut bytes = written(&mail(steps));
        let at = at.index(bytes.len());
        bytes[at] = with;
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(mail) = read(bytes) {
                prop_assert!(mail.letters.len() <= sessions.mail_messages as usize);
                prop_assert!(mail.known.len() <= ids.max_per_client as usize);
                prop_assert!(mail.answers.len() <= ids.max_per_client as usize);
                prop_assert!(mail.bytes() <= 2 * sessions.mail_bytes + mail.known_bytes);
                // Whoever reads it finds every place once.
                let position = mail.position(0, 0);
                prop_assert!(position.gap.is_none_or(|gap| gap.from <= gap.to && gap.to <= mail.last));
                let offsets: Vec<_> = mail.since(0, 0).map(|it| it.offset).collect();
                prop_assert!(offsets.is_sorted_by(|a, b| a < b));
            }
        }
    }

    /// What is masked is as long, and does the same.
    #[test]
    fn masked_mail_is_as_long(steps in proptest::collection::vec(step(), 0..40)) {
        let mail = mail(steps);
        let mut masked = mail.clone();
        masked.mask();
        prop_assert_eq!(written(&masked).len(), written(&mail).len());
        prop_assert_eq!(masked.bytes(), mail.bytes());
    }
}

/// What cannot be read says why, and nothing is taken on somebody's word.
#[test]
fn claims_are_not_believed() {
    let mut far = Vec::new();
    for number in [u64::MAX, 0, 0, 0, 0, 0] {
        put_number(&mut far, number);
    }
    assert!(matches!(read(&far), Err(Fault::Bad(_))), "an offset");
    let mut many = Vec::new();
    for number in [1 << 40, 0, 0, 1 << 40] {
        put_number(&mut many, number);
    }
    assert!(matches!(read(&many), Err(Fault::Short)), "a count");
    let mut has_it = Vec::new();
    for number in [1, 1, 0, 1] {
        put_number(&mut has_it, number);
    }
    assert!(matches!(read(&has_it), Err(Fault::Bad(_))), "acknowledged");
}

/// What looks like a word of the protocol was said all the same.
#[test]
fn masked_mail_says_nothing() {
    let (sessions, _) = limits();
    let mut mail = Mail::default();
    let said = r#"{"room":"secret","id":"secret","secret":1,"to":{"secret":"secret"}}"#;
    let letter = Letter {
        offset: 0,
        from: ClientId::encode(&[7; 18]),
        data: Carried::Json(said.into()),
        timestamp: 1,
        until_ms: None,
    };
    mail.push(letter, &sessions);
    mail.mask();
    let bytes = written(&mail);
    let shown = String::from_utf8_lossy(&bytes);
    assert!(!shown.contains("secret"), "{shown}");
}

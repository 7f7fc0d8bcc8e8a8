//! The sender alone, told things by hand.

use super::*;
use crate::message::Named;

fn accepted(chunk_bytes: u32) -> FileNotice<'static> {
    FileNotice::Accepted {
        name: "own",
        transfer: TRANSFER,
        secret: "secret",
        offset: 0,
        chunk_bytes,
    }
}

fn wanted(offset: u64, length_bytes: u32) -> FileNotice<'static> {
    FileNotice::Wanted {
        transfer: TRANSFER,
        offset,
        length_bytes,
    }
}

fn going(size: u64) -> Sending {
    let mut sending = Sending::new(outgoing(size));
    assert!(matches!(
        sending.next_step(),
        Some(Next::Say(FileRequest::Start { secret: None, .. }))
    ));
    assert_eq!(sending.next_step(), None);
    assert!(sending.take(&accepted(4)));
    sending
}

/// Answers everything that is asked for with the bytes of `file`: what is said.
fn answer(sending: &mut Sending, file: &[u8]) -> Vec<FileRequest<'static>> {
    let mut said = Vec::new();
    loop {
        let (from, to) = match sending.next_step() {
            None => return said,
            Some(Next::Say(FileRequest::End { size, hash, .. })) => {
                let transfer = Named::Number(TRANSFER);
                said.push(FileRequest::End {
                    transfer,
                    size,
                    hash,
                });
                continue;
            }
            Some(Next::Say(other)) => panic!("{other:?}"),
            Some(Next::Read {
                offset,
                length_bytes,
            }) => (offset as usize, offset as usize + length_bytes as usize),
        };
        match sending.read(&file[from..to]) {
            Some(FileRequest::Chunk { offset, data, .. }) => said.push(chunk(offset, &data)),
            other => panic!("{other:?}"),
        }
    }
}

fn chunk(offset: u64, data: &[u8]) -> FileRequest<'static> {
    FileRequest::Chunk {
        transfer: TRANSFER,
        offset,
        data: Cow::Owned(data.to_vec()),
    }
}

fn end(file: &[u8], hash: Option<FileHash>) -> FileRequest<'static> {
    FileRequest::End {
        transfer: Named::Number(TRANSFER),
        size: Some(file.len() as u64),
        hash,
    }
}

#[test]
fn pieces_are_sent_as_they_are_asked_for_and_the_end_follows_once() {
    let file = b"0123456789";
    let mut sending = going(10);
    assert!(sending.take(&wanted(0, 6)));
    assert!(sending.take(&wanted(2, 2)));
    assert!(sending.take(&wanted(6, 4)));
    let said = answer(&mut sending, file);
    let expected = [
        chunk(0, b"0123"),
        chunk(4, b"45"),
        chunk(2, b"23"),
        chunk(6, b"6789"),
        end(file, Some(sha256(file))),
    ];
    assert_eq!(said, expected);
    assert_eq!(sending.progress().sent, 10);
    assert_eq!(sending.progress().sent_bytes, 12);
    sending.done(Said::End);
    // Somebody who came late: the end has been taken.
    assert!(sending.take(&wanted(8, 2)));
    assert_eq!(answer(&mut sending, file), [chunk(8, b"89")]);
    let completed = FileNotice::Completed {
        transfer: TRANSFER,
        completed: 2,
        failed: 1,
    };
    assert!(sending.take(&completed));
    let outcome = SendOutcome::Completed {
        completed: 2,
        failed: 1,
    };
    assert_eq!(sending.outcome(), Some(&outcome));
    assert_eq!(sending.next_step(), None);
}

#[test]
fn nothing_is_a_file_too() {
    let mut sending = going(0);
    assert_eq!(answer(&mut sending, b""), [end(b"", Some(sha256(b"")))]);
}

#[test]
fn on_another_connection_it_goes_on_with_its_secret() {
    let file = b"0123456789";
    let mut sending = going(10);
    sending.take(&wanted(0, 10));
    assert_eq!(sending.read(&file[..4]), Some(chunk(0, b"0123")));
    sending.lost();
    assert!(!sending.is_going());
    match sending.next_step() {
        Some(Next::Say(FileRequest::Start { secret, name, .. })) => {
            assert_eq!(
                (secret.as_deref(), name.as_deref()),
                (Some("secret"), Some("own"))
            );
        }
        other => panic!("{other:?}"),
    }
    // What was asked for on the old connection is not answered on the new one.
    assert!(sending.take(&accepted(4)));
    let early = answer(&mut sending, file);
    assert_eq!(early, [end(file, None)], "it may have had everything");
    sending.refused(Said::End, ErrorCode::TransferUnexpected, "early");
    sending.take(&wanted(4, 6));
    let said = answer(&mut sending, file);
    let hash = Some(sha256(file));
    assert_eq!(said, [chunk(4, b"4567"), chunk(8, b"89"), end(file, hash)]);
}

#[test]
fn another_process_that_goes_on_tells_a_hash_only_if_it_knows_it() {
    let file = b"0123456789";
    for hash in [None, Some(sha256(file))] {
        let mut about = outgoing(10);
        about.secret = Some("secret".into());
        about.hash = hash;
        let mut sending = Sending::new(about);
        assert!(matches!(sending.next_step(), Some(Next::Say(_))));
        sending.take(&accepted(8));
        assert_eq!(answer(&mut sending, file), [end(file, hash)]);
        sending.refused(Said::End, ErrorCode::TransferUnexpected, "early");
        sending.take(&wanted(6, 4));
        let said = answer(&mut sending, file);
        assert_eq!(said, [chunk(6, b"6789"), end(file, hash)]);
    }
}

#[test]
fn what_is_refused_for_now_is_said_again_and_not_before() {
    let mut sending = Sending::new(outgoing(0));
    assert!(matches!(sending.next_step(), Some(Next::Say(_))));
    sending.refused(Said::Start, ErrorCode::RateLimited, "too often");
    assert_eq!(sending.next_step(), None);
    sending.try_again();
    let again = sending.next_step();
    assert!(matches!(again, Some(Next::Say(FileRequest::Start { .. }))));
    sending.take(&accepted(1));
    let said = sending.next_step();
    assert!(matches!(said, Some(Next::Say(FileRequest::End { .. }))));
    sending.refused(Said::End, ErrorCode::RateLimited, "too often");
    assert_eq!(sending.next_step(), None);
    sending.try_again();
    assert!(matches!(
        sending.next_step(),
        Some(Next::Say(FileRequest::End { .. }))
    ));
}

#[test]
fn refusals_end_it() {
    let mut sending = Sending::new(outgoing(3));
    sending.next_step();
    sending.refused(Said::Start, ErrorCode::NotMember, "no member");
    let refusal = Refusal::new(ErrorCode::NotMember, "no member");
    assert_eq!(sending.outcome(), Some(&SendOutcome::Refused(refusal)));

    let mut sending = going(0);
    sending.next_step();
    sending.refused(Said::End, ErrorCode::TransferCorrupt, "corrupt");
    let refusal = Refusal::new(ErrorCode::TransferCorrupt, "corrupt");
    assert_eq!(sending.outcome(), Some(&SendOutcome::Failed(refusal)));
}

#[test]
fn cancelling_tells_the_server_as_soon_as_it_can_be_told() {
    let mut sending = Sending::new(outgoing(3));
    sending.cancel("why");
    assert_eq!(sending.outcome(), Some(&SendOutcome::Cancelled));
    assert_eq!(sending.next_step(), None);

    let mut asked = Sending::new(outgoing(3));
    asked.next_step();
    asked.cancel("why");
    assert_eq!(asked.outcome(), None);
    assert_eq!(asked.next_step(), None);
    asked.take(&accepted(4));
    let mut sending = going(3);
    sending.take(&wanted(0, 3));
    sending.cancel("why");
    for mut sending in [asked, sending] {
        assert_eq!(sending.outcome(), Some(&SendOutcome::Cancelled));
        let abort = FileRequest::Abort {
            transfer: Named::Number(TRANSFER),
            reason: "why".into(),
        };
        assert_eq!(sending.next_step(), Some(Next::Say(abort)));
        assert_eq!(sending.next_step(), None);
        assert_eq!(sending.read(b"abc"), None);
    }
}

#[test]
fn a_file_that_became_shorter_is_given_up() {
    let mut sending = going(3);
    sending.take(&wanted(0, 3));
    assert_eq!(sending.read(b""), None);
    assert_eq!(sending.outcome(), Some(&SendOutcome::Cancelled));
    assert!(matches!(
        sending.next_step(),
        Some(Next::Say(FileRequest::Abort { .. }))
    ));
}

#[test]
fn a_server_that_asks_for_nonsense_ends_it() {
    for (offset, length_bytes) in [(0, 4), (3, 1), (u64::MAX, 1), (0, 0)] {
        let mut sending = going(3);
        assert!(sending.take(&wanted(offset, length_bytes)));
        let outcome = sending.outcome();
        assert!(matches!(outcome, Some(SendOutcome::Broken(_))), "{offset}");
        assert!(matches!(
            sending.next_step(),
            Some(Next::Say(FileRequest::Abort { .. }))
        ));
    }
    let mut sending = Sending::new(outgoing(3));
    sending.next_step();
    sending.take(&accepted(0));
    assert!(matches!(sending.outcome(), Some(SendOutcome::Broken(_))));

    let mut sending = going(3);
    for _ in 0..1_024 {
        sending.take(&wanted(0, 3));
    }
    assert_eq!(sending.outcome(), None);
    sending.take(&wanted(0, 3));
    assert!(matches!(sending.outcome(), Some(SendOutcome::Broken(_))));
}

#[test]
fn what_is_about_another_transfer_is_left_to_it() {
    let mut sending = going(3);
    let other = TransferId::from_bits(8);
    for notice in [
        FileNotice::Wanted {
            transfer: other,
            offset: 9,
            length_bytes: 9,
        },
        FileNotice::Aborted {
            transfer: other,
            reason: "",
        },
        FileNotice::Failed {
            transfer: other,
            code: ErrorCode::Internal,
            message: "",
        },
        FileNotice::Completed {
            transfer: other,
            completed: 1,
            failed: 0,
        },
        accepted(4),
    ] {
        assert!(!sending.take(&notice), "{notice:?}");
    }
    assert_eq!(sending.outcome(), None);
}

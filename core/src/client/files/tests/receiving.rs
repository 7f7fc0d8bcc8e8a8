//! The receiver alone, told things by hand.

use super::*;
use crate::message::Named;

fn credit(offset: u64, window_bytes: u32) -> Option<FileRequest<'static>> {
    Some(FileRequest::Credit {
        transfer: TRANSFER,
        offset,
        window_bytes,
    })
}

fn end(file: &[u8]) -> FileNotice<'static> {
    FileNotice::End {
        transfer: TRANSFER,
        size: file.len() as u64,
        hash: sha256(file),
    }
}

fn abort(reason: &'static str) -> Option<FileRequest<'static>> {
    Some(FileRequest::Abort {
        transfer: Named::Number(TRANSFER),
        reason: reason.into(),
    })
}

fn begun(size: u64, window_bytes: u32) -> Receiving {
    let mut receiving = Receiving::new(&offer(size, window_bytes), 0, u32::MAX).expect("it fits");
    assert_eq!(receiving.next_request(), credit(0, window_bytes));
    assert_eq!(receiving.next_request(), None);
    receiving
}

#[test]
fn credit_follows_what_was_written_a_quarter_of_the_window_at_a_time() {
    let file = content(40);
    let mut receiving = begun(40, 16);
    let taken = receiving.chunk(0, &file[..10]);
    let expected = Taken {
        offset: 0,
        data: &file[..10],
    };
    assert_eq!(taken, Ok(expected));
    assert_eq!(receiving.next_request(), None, "nothing was written");
    receiving.written(3);
    assert_eq!(receiving.next_request(), None);
    assert_eq!(
        (receiving.late_bytes(), receiving.late_credit(4)),
        (3, None)
    );
    assert_eq!(receiving.late_credit(3), credit(3, 16));
    assert_eq!(receiving.late_credit(0), None);
    receiving.written(4);
    assert_eq!(receiving.next_request(), credit(7, 16));
    receiving.written(100);
    assert_eq!(receiving.written_to(), 10, "no more than was taken");
    receiving.chunk(10, &file[10..23]).expect("there was room");
    let over = receiving.chunk(23, &file[23..24]);
    assert!(matches!(over, Err(ReceiveOutcome::Broken(_))), "{over:?}");
}

#[test]
fn a_whole_file_is_kept_before_it_is_complete() {
    let file = content(8);
    let mut receiving = begun(8, 16);
    receiving.chunk(0, &file).expect("a piece");
    assert!(receiving.take(&end(&file)));
    assert!(!receiving.is_whole(), "it is not written");
    receiving.kept();
    assert_eq!(receiving.outcome(), None);
    assert_eq!(receiving.next_request(), None);
    receiving.written(8);
    assert!(receiving.is_whole());
    receiving.kept();
    let complete = FileRequest::Complete { transfer: TRANSFER };
    assert_eq!(receiving.next_request(), Some(complete));
    assert_eq!(receiving.outcome(), Some(&ReceiveOutcome::Received));
    assert_eq!(receiving.next_request(), None);
}

#[test]
fn a_file_of_nothing_comes_with_its_end() {
    let mut receiving = begun(0, 16);
    receiving.take(&end(b""));
    assert!(receiving.is_whole());
}

#[test]
fn what_is_there_is_hashed_first_and_not_taken_again() {
    let file = content(20);
    let mut receiving = Receiving::new(&offer(20, 16), 12, 8).expect("it fits");
    assert_eq!(receiving.next_request(), None);
    assert_eq!(receiving.missing_hash(), Some(0..12));
    receiving.hash(&file[..5]);
    assert_eq!(receiving.missing_hash(), Some(5..12));
    receiving.hash(&file[5..20]);
    assert_eq!(receiving.missing_hash(), None);
    assert_eq!(receiving.next_request(), credit(12, 8));
    // The others are not that far: what comes begins where they are.
    let taken = receiving.chunk(6, &file[6..10]).expect("known");
    assert_eq!((taken.offset, taken.data), (12, &[][..]));
    assert_eq!(receiving.next_request(), credit(10, 8));
    let taken = receiving.chunk(10, &file[10..16]).expect("new");
    assert_eq!((taken.offset, taken.data), (12, &file[12..16]));
    receiving.written(4);
    assert_eq!(receiving.next_request(), credit(16, 8));
    receiving.chunk(16, &file[16..]).expect("new");
    receiving.written(4);
    receiving.take(&end(&file));
    assert!(receiving.is_whole());
}

#[test]
fn a_copy_that_is_shorter_than_it_was_thought_to_be_is_what_it_is() {
    let file = content(20);
    let mut receiving = Receiving::new(&offer(20, 16), 12, 8).expect("it fits");
    receiving.hash(&file[..5]);
    receiving.hash(&[]);
    assert_eq!(receiving.missing_hash(), None);
    assert_eq!(receiving.next_request(), credit(5, 8));
    assert!(Receiving::new(&offer(20, 16), 21, 8).is_none());
}

#[test]
fn what_is_not_what_was_sent_is_corrupt() {
    let file = content(8);
    let wrong_copy = {
        let mut receiving = Receiving::new(&offer(8, 16), 4, 16).expect("it fits");
        receiving.hash(b"else");
        receiving.next_request();
        receiving.chunk(4, &file[4..]).expect("a piece");
        receiving.take(&end(&file));
        receiving
    };
    let wrong_offer = {
        let mut offer = offer(8, 16);
        offer.hash = Some([0; 32]);
        let mut receiving = Receiving::new(&offer, 0, 16).expect("it fits");
        receiving.next_request();
        receiving.chunk(0, &file).expect("a piece");
        receiving.take(&end(&file));
        receiving
    };
    for mut receiving in [wrong_copy, wrong_offer] {
        assert_eq!(receiving.outcome(), Some(&ReceiveOutcome::Corrupt));
        assert_eq!(receiving.next_request(), abort("the hash is wrong"));
        receiving.written(8);
        assert!(!receiving.is_whole());
    }
}

#[test]
fn a_server_that_sends_nonsense_ends_it() {
    let file = content(40);
    let broken = |receiving: &mut Receiving, offset: u64, data: &[u8]| {
        let outcome = receiving.chunk(offset, data);
        assert!(
            matches!(outcome, Err(ReceiveOutcome::Broken(_))),
            "{offset}"
        );
        assert!(matches!(
            receiving.outcome(),
            Some(ReceiveOutcome::Broken(_))
        ));
        // And stays that.
        assert_eq!(outcome, receiving.chunk(0, &file[..1]));
    };
    broken(&mut begun(40, 16), 1, &file[..4]);
    broken(&mut begun(40, 16), 0, &[]);
    broken(&mut begun(40, 64), 0, &[0; 41]);
    broken(&mut begun(40, 64), u64::MAX, &file[..4]);
    broken(&mut begun(40, 16), 0, &file[..17]);
    for offset in [0, 3, 5] {
        let mut receiving = begun(40, 16);
        receiving.chunk(0, &file[..4]).expect("a piece");
        broken(&mut receiving, offset, &file[..4]);
        assert!(matches!(
            receiving.next_request(),
            Some(FileRequest::Abort { .. })
        ));
    }
    let mut unasked = Receiving::new(&offer(40, 16), 0, 16).expect("it fits");
    broken(&mut unasked, 0, &file[..4]);
    assert_eq!(unasked.next_request(), None, "the server knows of nothing");
}

#[test]
fn an_end_before_the_end_is_none() {
    let file = content(8);
    let mut short = begun(8, 16);
    short.chunk(0, &file[..4]).expect("a piece");
    let mut other_size = begun(8, 16);
    other_size.chunk(0, &file).expect("a piece");
    for (mut receiving, end) in [
        (begun(8, 16), end(&file)),
        (short, end(&file)),
        (other_size, end(&file[..4])),
    ] {
        receiving.take(&end);
        let outcome = receiving.outcome();
        assert!(matches!(outcome, Some(ReceiveOutcome::Broken(_))));
    }
}

#[test]
fn the_other_end_and_the_server_may_give_it_up() {
    let mut receiving = begun(8, 16);
    let other = FileNotice::Aborted {
        transfer: TransferId::from_bits(8),
        reason: "",
    };
    assert!(!receiving.take(&other));
    let notice = FileNotice::Aborted {
        transfer: TRANSFER,
        reason: "bored",
    };
    assert!(receiving.take(&notice));
    let reason = "bored".into();
    let outcome = ReceiveOutcome::Aborted { reason };
    assert_eq!(receiving.outcome(), Some(&outcome));
    assert_eq!(receiving.next_request(), None, "it knows");

    let mut receiving = begun(8, 16);
    let notice = FileNotice::Failed {
        transfer: TRANSFER,
        code: ErrorCode::TransferLost,
        message: "gone",
    };
    assert!(receiving.take(&notice));
    let refusal = Refusal::new(ErrorCode::TransferLost, "gone");
    assert_eq!(receiving.outcome(), Some(&ReceiveOutcome::Failed(refusal)));
}

#[test]
fn cancelling_tells_the_server() {
    let mut receiving = begun(8, 16);
    receiving.cancel("full");
    assert_eq!(receiving.outcome(), Some(&ReceiveOutcome::Cancelled));
    assert_eq!(receiving.next_request(), abort("full"));
    assert_eq!(receiving.next_request(), None);
}

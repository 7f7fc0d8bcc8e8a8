use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn letter(size: usize) -> Letter {
    Letter {
        offset: 0,
        from: ClientId::encode(&[7; 18]),
        data: Carried::Bytes(vec![0; size].into()),
        timestamp: 1,
    }
}

fn limits(messages: u32, bytes: usize) -> Sessions {
    Sessions {
        mail_messages: messages,
        mail_bytes: bytes,
        ..Sessions::default()
    }
}

fn offsets(mail: &Mail, after: u64) -> (Option<Gap>, Vec<u64>) {
    let (gap, letters) = mail.since(after);
    (gap, letters.map(|letter| letter.offset).collect())
}

#[test]
fn the_last_are_kept() {
    let limits = limits(3, 10_000);
    let mut mail = Mail::default();
    assert_eq!(offsets(&mail, 0), (None, vec![]));
    for offset in 1..=5 {
        assert_eq!(mail.push(letter(1), &limits), offset);
    }
    let gap = Some(Gap { from: 1, to: 2 });
    assert_eq!(offsets(&mail, 0), (gap, vec![3, 4, 5]));
    assert_eq!(offsets(&mail, 2), (None, vec![3, 4, 5]));
    assert_eq!(offsets(&mail, 4), (None, vec![5]));
    assert_eq!(offsets(&mail, 5), (None, vec![]));
    // Somebody who claims to have more than there is has missed nothing.
    assert_eq!(offsets(&mail, u64::MAX), (None, vec![]));
}

#[test]
fn what_does_not_fit_is_missing() {
    let limits = limits(100, 2 * letter(10).bytes());
    let mut mail = Mail::default();
    mail.push(letter(10), &limits);
    mail.push(letter(10), &limits);
    mail.push(letter(10), &limits);
    assert_eq!(offsets(&mail, 0).1, [2, 3]);
    assert_eq!(mail.bytes(), limits.mail_bytes);
    mail.push(letter(100_000), &limits);
    let gap = Some(Gap { from: 1, to: 4 });
    assert_eq!(offsets(&mail, 0), (gap, vec![]));
    assert_eq!((mail.bytes(), mail.last()), (0, 4));
}

proptest! {
    /// Against a list of everything: what is kept is the end of it, as much as fits, and each message that was
    /// missed is either told or in the gap.
    #[test]
    fn nothing_is_missed_in_silence(
        sizes in prop::collection::vec((0_usize..200, any::<bool>()), 0..60),
        after in 0_u64..70,
        cut in 0_usize..60,
        messages in 0_u32..20,
        bytes in 0_usize..4_000,
    ) {
        let limits = limits(messages, bytes);
        let (mut mail, mut later) = (Mail::default(), Mail::default());
        let mut kept = VecDeque::new();
        for (at, &(size, skipped)) in sizes.iter().enumerate() {
            let mail = if at < cut { &mut mail } else { &mut later };
            if skipped {
                mail.skip(1);
            } else {
                mail.push(letter(size), &limits);
                kept.push_back(at as u64 + 1);
            }
        }
        mail.append(later, &limits);
        let last = sizes.len() as u64;
        prop_assert_eq!(mail.last(), last);
        prop_assert!(mail.bytes() <= bytes);
        prop_assert_eq!(mail.bytes(), mail.letters.iter().map(Letter::bytes).sum::<usize>());
        prop_assert!(mail.letters.len() <= messages as usize);
        let (gap, told) = offsets(&mail, after);
        prop_assert!(told.windows(2).all(|two| two[0] < two[1]));
        for offset in told.iter().copied() {
            prop_assert!(offset > after && offset <= last);
        }
        if let Some(gap) = gap {
            prop_assert_eq!(gap.from, after + 1);
            prop_assert!(told.iter().all(|&offset| offset > gap.to));
        }
    }
}

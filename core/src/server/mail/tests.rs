use proptest::prelude::*;

use super::*;

/// Of the clock, ms.
const NOW: u64 = 1_000;

fn letter(size: usize) -> Letter {
    Letter {
        offset: 0,
        from: ClientId::encode(&[7; 18]),
        data: Carried::Bytes(vec![0; size].into()),
        timestamp: 1,
        until_ms: None,
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
    let letters = mail.since(after, NOW).map(|letter| letter.offset);
    (mail.position(after, NOW).gap, letters.collect())
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
    // Who has more than there is has that of mail that is lost.
    assert_eq!(offsets(&mail, 6), (gap, vec![3, 4, 5]));
    assert_eq!(offsets(&mail, u64::MAX), (gap, vec![3, 4, 5]));
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
    assert_eq!((mail.bytes(), mail.last), (0, 4));
}

proptest! {
    /// Against a list of everything: what is kept is the end of it, as much as fits, and each message that was
    /// missed is either told or in the gap.
    #[test]
    fn nothing_is_missed_in_silence(
        sizes in prop::collection::vec((0_usize..200, any::<bool>(), prop::option::of(1_u64..3)), 0..60),
        acknowledged in 0_u64..70,
        after in 0_u64..70,
        cut in 0_usize..60,
        messages in 0_u32..20,
        bytes in 0_usize..4_000,
    ) {
        let (limits, ids) = (limits(messages, bytes), MessageIds::default());
        let (mut mail, mut later) = (Mail::default(), Mail::default());
        for (at, &(size, skipped, until)) in sizes.iter().enumerate() {
            let mail = if at < cut { &mut mail } else { &mut later };
            if skipped {
                mail.skip(1);
            } else {
                let until_ms = until.map(|it| NOW - 2 + it);
                mail.push(Letter { until_ms, ..letter(size) }, &limits);
            }
        }
        mail.append(later, &limits, &ids);
        mail.acknowledge(acknowledged);
        let last = sizes.len() as u64;
        prop_assert_eq!(mail.last, last);
        prop_assert!(mail.bytes() <= bytes);
        prop_assert_eq!(mail.bytes(), mail.letters.iter().map(Letter::bytes).sum::<usize>());
        prop_assert!(mail.letters.len() <= messages as usize);
        // Each one that it has not is told, or missing, or out of date.
        let (gap, told) = offsets(&mail, after);
        let position = mail.position(after, NOW);
        let after = if after > last { 0 } else { after };
        let within = |gap: &Gap, offset| (gap.from..=gap.to).contains(&offset);
        for offset in after.max(acknowledged) + 1..=last {
            let is_told = told.contains(&offset);
            let is_missing = gap.is_some_and(|gap| within(&gap, offset));
            let is_left_out = position.left_out.iter().any(|gap| within(gap, offset));
            prop_assert_eq!(u8::from(is_told) + u8::from(is_missing) + u8::from(is_left_out), 1);
            let is_over = sizes[offset as usize - 1].2.is_some_and(|until| until <= 2);
            prop_assert!(!is_left_out || is_over, "{} was of use", offset);
            prop_assert!(!is_told || !is_over);
        }
        prop_assert!(told.iter().all(|&offset| offset > after.max(acknowledged)));
        prop_assert!(told.windows(2).all(|two| two[0] < two[1]));
    }

    /// Against all ids that ever came: what is known is among the last ones of the window, and all of these are.
    #[test]
    fn an_id_is_known_for_a_while(
        ids in prop::collection::vec((0_u8..6, 0_u64..30), 0..60),
        most in 1_u32..6,
    ) {
        let config = MessageIds { window_ms: 50, max_per_client: most, ..MessageIds::default() };
        let from = ClientId::encode(&[7; 18]);
        let (mut mail, mut now) = (Mail::default(), NOW);
        let mut came: Vec<(u8, u64)> = Vec::new();
        for (id, later) in ids {
            now += later;
            let last = came.iter().rev().take(most as usize);
            let expected = last.clone().any(|&(other, at)| other == id && now < at + 50);
            let (known, _) = mail.knows(from, &id.to_string(), now, &config);
            prop_assert_eq!(known, expected);
            if !known {
                came.push((id, now));
            }
            let bytes: usize = mail.known.iter().map(Known::bytes).sum();
            prop_assert_eq!(mail.bytes(), bytes);
        }
        let other = ClientId::encode(&[8; 18]);
        prop_assert!(!mail.knows(other, "0", now, &config).0);
    }
}

/// However many holes there are, each is named or to be seen, and what follows the last letter is named.
#[test]
fn so_many_ranges_are_named() {
    let limits = limits(10_000, 10_000_000);
    let over = || Letter {
        until_ms: Some(NOW),
        ..letter(1)
    };
    for (holes, named) in [
        (MAX_LEFT_OUT as u64 - 1, MAX_LEFT_OUT),
        (MAX_LEFT_OUT as u64, MAX_LEFT_OUT),
        (3_000, MAX_LEFT_OUT),
    ] {
        let mut mail = Mail::default();
        for _ in 0..holes {
            mail.push(over(), &limits);
            mail.push(letter(1), &limits);
        }
        mail.push(over(), &limits);
        let position = mail.position(0, NOW);
        assert_eq!(position.gap, None);
        let told: Vec<u64> = mail.since(0, NOW).map(|letter| letter.offset).collect();
        assert_eq!(told, (1..=holes).map(|it| 2 * it).collect::<Vec<_>>());
        let first = (0..MAX_LEFT_OUT as u64 - 1).map(|it| 2 * it + 1);
        let ranges: Vec<Gap> = first
            .chain([2 * holes + 1])
            .map(|it| Gap { from: it, to: it })
            .collect();
        assert_eq!(position.left_out.len(), named);
        assert_eq!(position.left_out, ranges);
    }
}

#[test]
fn what_had_come_before_is_not_appended() {
    let (limits, ids) = (limits(9, 10_000), MessageIds::default());
    let from = ClientId::encode(&[7; 18]);
    let (mut mail, mut later) = (Mail::default(), Mail::default());
    for (mail, names) in [(&mut mail, ["a", "b"]), (&mut later, ["b", "c"])] {
        for name in names {
            assert!(!mail.knows(from, name, NOW, &ids).0);
            mail.push(letter(1), &limits);
        }
        mail.push(letter(1), &limits);
    }
    mail.append(later, &limits, &ids);
    assert_eq!(offsets(&mail, 0), (None, vec![1, 2, 3, 4, 5]));
    assert_eq!(mail.known.len(), 3);
    let known: usize = mail.known.iter().map(Known::bytes).sum();
    assert_eq!(mail.bytes(), 5 * letter(1).bytes() + known);
}

#[test]
fn what_is_not_known_any_more_is_appended() {
    let (limits, ids) = (limits(9, 10_000), MessageIds::default());
    let from = ClientId::encode(&[7; 18]);
    let (mut mail, mut later) = (Mail::default(), Mail::default());
    for (mail, now) in [(&mut mail, NOW), (&mut later, NOW + ids.window_ms)] {
        assert!(!mail.knows(from, "a", now, &ids).0);
        mail.push(letter(1), &limits);
    }
    mail.append(later, &limits, &ids);
    assert_eq!(offsets(&mail, 0), (None, vec![1, 2]));
}

#[test]
fn names_take_no_place_of_messages() {
    let (limits, ids) = (limits(9, 2 * letter(10).bytes()), MessageIds::default());
    let from = ClientId::encode(&[7; 18]);
    let mut mail = Mail::default();
    for number in 1..=20 {
        let name = format!("{number:64}");
        assert!(!mail.knows(from, &name, NOW, &ids).0);
        mail.push(letter(10), &limits);
    }
    assert_eq!(offsets(&mail, 0).1, [19, 20]);
    let known: usize = mail.known.iter().map(Known::bytes).sum();
    assert_eq!(mail.bytes(), limits.mail_bytes + known);
}

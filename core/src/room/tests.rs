use proptest::prelude::*;

use super::*;
use crate::session::outbox::Outboxes;

fn plain(form: WireForm) -> Variant {
    Variant { form, window: None }
}

fn room(slow_reader: SlowReader) -> Room {
    let rule = Rule {
        slow_reader,
        flush_delay: None,
        linger: Duration::ZERO,
        notice_members: 10,
        notice_interval: Duration::ZERO,
        metadata_notices: true,
    };
    Room::new(rule, 7, ShardId(0))
}

#[test]
fn a_room_counts_the_members_of_all_forms() {
    let mut outboxes = Outboxes::new(1_000, 10);
    let mut room = room(SlowReader::Close);
    for (connection, form) in [
        (0, WireForm::Json),
        (1, WireForm::JsonRaw),
        (2, WireForm::Json),
    ] {
        outboxes.open(connection);
        room.join(plain(form), connection, &outboxes);
    }
    assert_eq!(room.len_here(), 3);
    assert_eq!(room.connections().collect::<Vec<_>>(), [0, 2, 1]);
    assert!(!room.has_waiting());
    let raw = room.audience(plain(WireForm::JsonRaw)).expect("a member");
    raw.publish(5, None, &mut outboxes, SlowReader::Close, |out| out.push(1));
    assert!(room.has_waiting());
}

#[test]
fn a_group_lasts_as_long_as_its_members() {
    let mut outboxes = Outboxes::new(1_000, 10);
    let mut room = room(SlowReader::Close);
    let variants = [
        Variant {
            form: WireForm::Binary,
            window: Some(Window::MAX),
        },
        plain(WireForm::Json),
        Variant {
            form: WireForm::Json,
            window: Some(Window::Bits9),
        },
    ];
    for (connection, variant) in (0..).zip(variants) {
        outboxes.open(connection);
        assert_eq!(room.join(variant, connection, &outboxes), 0);
    }
    let order = |room: &mut Room| room.groups().map(|group| group.variant).collect::<Vec<_>>();
    assert_eq!(order(&mut room), [variants[1], variants[2], variants[0]]);
    let spilled = room.member_bytes();
    let audience = room.audience(variants[2]).expect("a member");
    audience.publish(5, None, &mut outboxes, SlowReader::Close, |out| out.push(1));
    // What was published for it is queued, and nothing is left of it.
    assert_eq!(room.leave(variants[2], 0, &mut outboxes), None);
    assert!(!outboxes.is_empty(2));
    assert!(!room.has_waiting());
    assert!(room.audience(variants[2]).is_none());
    assert_eq!(order(&mut room), [variants[1], variants[0]]);
    assert_eq!(room.leave(variants[2], 0, &mut outboxes), None);
    assert_eq!(room.leave(variants[0], 0, &mut outboxes), None);
    assert!(room.member_bytes() < spilled);
    assert_eq!(room.len_here(), 1);
}

#[test]
fn the_last_message_is_kept_for_each_group() {
    let outboxes = Outboxes::new(1_000, 10);
    let mut room = room(SlowReader::Latest);
    let mut buffers = crate::session::buffer::Buffers::default();
    let buffer = buffers.open(1);
    let range = |start, end| crate::session::outbox::Range { buffer, start, end };
    let places = [range(0, 10), range(10, 20)].map(|range| buffers.place(range));
    for form in [WireForm::Json, WireForm::Binary] {
        room.join(plain(form), 0, &outboxes);
    }
    assert_eq!(room.kept_bytes(), 0);
    for group in room.groups() {
        assert!(group.last().is_none());
        assert_eq!(group.last_in(places[0]), 0);
        if group.variant.form == WireForm::Json {
            group.keep_last(b"long first", places[0]);
            group.keep_last(b"second", places[1]);
        }
    }
    let json = room.group(plain(WireForm::Json)).expect("members");
    let last = json.last().expect("it is kept");
    assert_eq!((&*last.frame, last.number), (&b"second"[..], 2));
    assert_eq!(last.place, Some(places[1]));
    assert_eq!(json.last_in(places[1]), 2);
    assert_eq!(json.last_in(places[0]), 0);
    assert!(
        room.group(plain(WireForm::Binary))
            .expect("members")
            .last()
            .is_none()
    );
    assert!(room.kept_bytes() >= 6);
}

proptest! {
    #[test]
    fn a_pattern_is_a_name_or_a_prefix(name in "[ab*]{0,4}", pattern in "[ab*]{0,4}") {
        let expected = match pattern.rfind('*') {
            Some(star) if star + 1 == pattern.len() => name.as_bytes().starts_with(&pattern.as_bytes()[..star]),
            _ => name == pattern,
        };
        prop_assert_eq!(matches(&pattern, &name), expected);
    }
}

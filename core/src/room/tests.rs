use proptest::prelude::*;

use super::*;
use crate::session::outbox::Outboxes;
use crate::websocket::Data;

fn room(slow_reader: SlowReader) -> Room {
    let rule = Rule {
        slow_reader,
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
        room.audience(form).join(connection, &outboxes);
    }
    assert_eq!(room.len_here(), 3);
    assert_eq!(room.connections().collect::<Vec<_>>(), [0, 2, 1]);
    assert!(!room.has_waiting());
    let form = room.audience(WireForm::JsonRaw);
    form.publish(5, None, &mut outboxes, SlowReader::Close, |out| out.push(1));
    assert!(room.has_waiting());
}

#[test]
fn the_last_message_is_kept_where_the_rule_asks_for_it() {
    for policy in [
        SlowReader::Close,
        SlowReader::DropOldest,
        SlowReader::DropNewest,
        SlowReader::Latest,
    ] {
        let mut room = room(policy);
        let buffers = &mut crate::session::buffer::Buffers::default();
        let buffer = buffers.open(1);
        let place = buffers.place(crate::session::outbox::Range {
            buffer,
            start: 0,
            end: 0,
        });
        room.keep_last(
            WireForm::Json,
            OpCode::Data(Data::Text),
            b"long first",
            place,
        );
        room.keep_last(WireForm::Json, OpCode::Data(Data::Text), b"second", place);
        room.keep_last(WireForm::JsonRaw, OpCode::Data(Data::Text), b"raw", place);
        room.keep_last(
            WireForm::Binary,
            OpCode::Data(Data::Binary),
            b"bytes",
            place,
        );
        let kept = policy == SlowReader::Latest;
        for (form, frame) in [
            (WireForm::Json, &b"\x81\x06second"[..]),
            (WireForm::JsonRaw, b"\x81\x03raw"),
            (WireForm::Binary, b"\x82\x05bytes"),
        ] {
            let last = room.last_of(form).map(|last| last.frame.as_slice());
            assert_eq!(last, kept.then_some(frame));
        }
    }
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

//! The form that the guide shows: the whole file is the one binary message after `file_start`.

use roomwire_tests::Opcode;
use serde_json::{Value, json};

use super::ends::Sink;
use super::hall::{BOTH, Dialect, Hall, file_of, sha256, to_frame};
use super::{prompt, with};

fn plain(size: usize) -> Value {
    json!({"type": "file_start", "room": "tea", "name": "a.png", "size": size, "mimeType": "image/png"})
}

fn body(hall: &mut Hall, peer: roomwire_tests::Peer, bytes: &[u8]) {
    hall.world.send_frame(peer, Opcode::Binary, bytes);
}

fn drain(hall: &mut Hall, sink: &mut Sink) {
    for _ in 0..1_000 {
        hall.world.advance_ms(10);
        if !sink.step(hall) && sink.complete {
            return;
        }
    }
    panic!("{} of {}", sink.at(), sink.size);
}

// covers A0-8, A1-10, A6-02
#[test]
fn the_next_binary_message_is_the_file() {
    for dialect in BOTH {
        for end in 0..3 {
            let mut hall = Hall::new(prompt());
            let sender = hall.member(Dialect::Json, "tea");
            let other = hall.member(dialect, "tea");
            let file = file_of(200_000);
            // Its outcome is known when the file is there.
            let number = hall.begin(sender, &plain(file.len()));
            assert_eq!(hall.outcome(sender, number), None);
            body(&mut hall, sender, &file);
            let accepted = hall.outcome(sender, number).expect("an outcome");
            assert_eq!(accepted["type"], "file_accepted", "{accepted}");
            match end {
                0 => hall.say(sender, &json!({"type": "file_end", "name": "a.png"})),
                1 => hall.done(
                    sender,
                    &json!({"type": "file_end", "name": "a.png", "hash": sha256(&file)}),
                ),
                _ => {}
            }
            let offered = hall.expect(other, "file_offered");
            assert_eq!(
                (&offered["name"], &offered["mimeType"]),
                (&json!("a.png"), &json!("image/png"))
            );
            assert_eq!(offered["transfer"], accepted["transfer"]);
            let mut sink = Sink::accept_this(&mut hall, other, &offered, 70_000);
            if end == 2 {
                hall.world.advance_ms(100);
                hall.say(sender, &json!({"type": "file_end", "name": "a.png"}));
            }
            drain(&mut hall, &mut sink);
            assert!(sink.have == file);
            let heard = hall.all(sender);
            let wanted = heard
                .iter()
                .filter(|m| m["type"] == "file_wanted" || m["type"] == "error");
            assert_eq!(wanted.count(), 0, "the server has it: {heard:?}");
            assert_eq!(
                heard.last().map(|m| &m["type"]),
                Some(&json!("file_completed")),
                "{heard:?}"
            );
            // The binary message after it is an ordinary one again.
            body(&mut hall, sender, &to_frame(&json!({"type": "ping"}), 77));
            assert_eq!(hall.expect(sender, "pong")["id"], 77);
            hall.close_all();
        }
    }
}

// covers A1-10
#[test]
fn a_binary_frame_may_be_the_file() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    let other = hall.member(Dialect::Json, "tea");
    let file = to_frame(&json!({"type": "ping"}), 77);
    hall.say(sender, &plain(file.len()));
    // Text in between is text.
    let pong = hall.ask(sender, &json!({"type": "ping"}));
    assert_eq!(pong["type"], "pong");
    body(&mut hall, sender, &file);
    hall.say(sender, &json!({"type": "file_end", "name": "a.png"}));
    let mut sink = Sink::accept(&mut hall, other, 1_000);
    drain(&mut hall, &mut sink);
    assert_eq!(sink.have, file);
}

// covers A1-10, A6-03
#[test]
fn a_file_of_the_wrong_size_is_refused() {
    for wrong in [0, 99, 101, 5_000] {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(Dialect::Json, "tea");
        let other = hall.member(Dialect::Json, "tea");
        let number = hall.begin(sender, &plain(100));
        body(&mut hall, sender, &file_of(wrong));
        hall.say(sender, &json!({"type": "file_end", "name": "a.png"}));
        let outcome = hall.outcome(sender, number).expect("an outcome");
        assert_eq!(outcome["code"], "transfer_corrupt", "{wrong}: {outcome}");
        hall.expect_nothing(sender);
        for heard in hall.all(other) {
            assert!(
                ["file_offered", "file_error"].contains(&heard["type"].as_str().expect("a type"))
            );
        }
        hall.assert_no_transfers();
        body(&mut hall, sender, &to_frame(&json!({"type": "ping"}), 77));
        assert_eq!(hall.await_kind(sender, "pong")["id"], 77);
        hall.close_all();
    }
}

// covers A1-10, A6-01
#[test]
fn what_is_refused_takes_its_file_along() {
    let broken = json!({"type": "image/png", "name": "a.png", "size": 20});
    let nameless = json!({"type": "", "name": "a.png", "size": 20});
    let nowhere =
        json!({"type": "file_start", "name": "a.png", "size": 20, "mimeType": "image/png"});
    let mut stranger = plain(20);
    stranger["room"] = "nowhere".into();
    let mut large = plain(20);
    large["size"] = 500.into();
    for (start, code) in [
        (broken, "bad_message"),
        (nameless, "bad_message"),
        (nowhere, "bad_message"),
        (stranger, "no_such_room"),
        (large, "too_large"),
    ] {
        for with_id in [false, true] {
            let mut hall = Hall::new(with(|config| config.files.max_file_bytes = Some(100)));
            let sender = hall.member(Dialect::Json, "tea");
            let other = hall.member(Dialect::Json, "tea");
            if with_id {
                assert_eq!(hall.refused(sender, &start), code, "{start}");
            } else {
                assert_eq!(hall.protested(sender, &start), code, "{start}");
            }
            body(&mut hall, sender, &file_of(20));
            hall.expect_nothing(sender);
            // Its end is nothing to make a noise about twice, but has its outcome if it asks for one.
            let end = hall.ask(sender, &json!({"type": "file_end", "name": "a.png"}));
            assert!(
                ["ack", "error"].contains(&end["type"].as_str().expect("a type")),
                "{end}"
            );
            body(&mut hall, sender, &to_frame(&json!({"type": "ping"}), 77));
            assert_eq!(hall.expect(sender, "pong")["id"], 77);
            hall.expect_nothing(other);
            assert_eq!(hall.world.stats().files_discarded, 1);
            hall.close_all();
        }
    }
}

// covers A1-10
#[test]
fn the_broken_form_is_explained() {
    let mut hall = Hall::new(prompt());
    let sender = hall.client(Dialect::Json);
    hall.say(
        sender,
        &json!({"type": "image/png", "name": "a.png", "size": 20}),
    );
    let error = hall.expect(sender, "error");
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains("file_start") && message.contains("mimeType"),
        "{message}"
    );
}

// covers A1-10, A6-04
#[test]
fn who_goes_before_its_file_came_leaves_nothing() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    let other = hall.member(Dialect::Json, "tea");
    hall.begin(sender, &plain(20));
    hall.world.reset(sender);
    hall.world.advance_ms(100_000);
    for heard in hall.all(other) {
        assert!(["file_offered", "file_error"].contains(&heard["type"].as_str().expect("a type")));
    }
    hall.assert_no_transfers();
    hall.close_all();
}

// covers A1-10, A6-04
#[test]
fn a_file_that_came_whole_outlives_nobody_for_long() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    let _other = hall.member(Dialect::Json, "tea");
    hall.begin(sender, &plain(500_000));
    body(&mut hall, sender, &file_of(500_000));
    hall.world.reset(sender);
    hall.world.advance_ms(100_000);
    hall.assert_no_transfers();
    hall.close_all();
}

// covers A1-10, A6-05
#[test]
fn a_whole_file_for_the_program_or_for_one_client() {
    let mut hall = Hall::new(with(|config| config.files.to_program = true));
    let sender = hall.client(Dialect::Json);
    let other = hall.client(Dialect::Binary);
    let file = file_of(3_000);
    let mut start = plain(3_000);
    start.as_object_mut().expect("an object").remove("room");
    start["to"] = hall.id(other).into();
    hall.begin(sender, &start);
    body(&mut hall, sender, &file);
    hall.done(sender, &json!({"type": "file_end", "name": "a.png"}));
    let mut sink = Sink::accept(&mut hall, other, 1_000);
    drain(&mut hall, &mut sink);
    assert!(sink.have == file);
    hall.await_kind(sender, "file_completed");
    hall.file_events();
    start["to"] = "server".into();
    hall.begin(sender, &start);
    body(&mut hall, sender, &file);
    hall.done(sender, &json!({"type": "file_end", "name": "a.png"}));
    hall.world.advance_ms(1_000);
    hall.await_kind(sender, "file_completed");
    let mut have = Vec::new();
    let mut ended = 0;
    for event in hall.file_events() {
        match event {
            roomwire_core::server::Event::FileChunk { data, .. } => have.extend(data),
            roomwire_core::server::Event::FileEnded { .. } => ended += 1,
            _ => {}
        }
    }
    assert!(have == file && ended == 1);
    hall.close_all();
}

// covers A1-10, A6-07
#[test]
fn one_after_the_other() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    let other = hall.member(Dialect::Binary, "tea");
    for size in [1, 1_000, 100_000] {
        let file = file_of(size);
        hall.say(sender, &plain(size));
        body(&mut hall, sender, &file);
        hall.say(sender, &json!({"type": "file_end", "name": "a.png"}));
        let mut sink = Sink::accept(&mut hall, other, 10_000);
        drain(&mut hall, &mut sink);
        assert!(sink.have == file);
        hall.await_kind(sender, "file_completed");
    }
    hall.close_all();
}

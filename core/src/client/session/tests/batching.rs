//! What is gathered, and goes together.

use super::*;

fn gathering() -> SessionConfig {
    SessionConfig {
        batching: Some(Batching::default()),
        ..quiet()
    }
}

/// covers A7-01: the deadline is armed only while something waits; covers A7-07: it is a layer of the one client.
#[test]
fn it_goes_after_a_while_and_only_then_is_there_a_deadline() {
    let mut world = World::welcome_to(gathering());
    world.pass(10_000);
    assert_eq!(world.deadline, None);
    world.json(1, r#"{"n":1}"#);
    world.pass(20);
    world.json(2, r#"{"n":2}"#);
    world.request(3, r#"{"n":3}"#);
    assert_eq!(world.wait_ms(), 30);
    world.pass(29);
    assert_eq!(world.sent(), [""; 0]);
    world.pass(1);
    let sent = world.sent();
    let [batch] = &sent[..] else {
        panic!("{sent:?}");
    };
    let id = batch.split(r#""id":"#).nth(1).expect("an id");
    let id = id.trim_end_matches("}]}");
    assert_eq!(
        *batch,
        format!(r#"{{"type":"batch","messages":[{{"n":1}},{{"n":2}},{{"n":3,"id":{id}}}]}}"#)
    );
    assert_eq!(world.deadline, None);
    let told = world.told();
    assert_eq!(told[..3], [1, 2, 3].map(|item| Event::Queued(Item(item))));
    world.say(&format!(r#"{{"type":"ack","id":{id}}}"#));
    let expected = [(1, "Sent"), (2, "Sent")].map(|(item, word)| (item, word.to_owned()));
    assert_eq!(outcomes(&told), expected);
    assert_eq!(world.outcomes(), [(3, "ack".to_owned())]);
    // One alone goes as it is.
    world.json(4, r#"{"n":4}"#);
    world.pass(50);
    assert_eq!(world.sent(), [r#"{"n":4}"#]);
}

/// covers A7-01: a message can ask to go at once, and what is before it goes with it.
#[test]
fn what_is_urgent_goes_at_once_and_in_order() {
    let mut world = World::welcome_to(gathering());
    world.pass(10_000);
    world.json(1, r#"{"n":1}"#);
    let mut send = Send::new(Item(2), Content::Json(r#"{"n":2}"#.to_owned()));
    send.urgent = true;
    world.command(Command::Send(send));
    assert_eq!(world.sent(), [r#"{"n":1}"#, r#"{"n":2}"#]);
    assert_eq!(world.deadline, None);
    // So do joins and leaves, and what cannot be gathered keeps its place.
    world.json(3, r#"{"n":3}"#);
    world.join(4, "tea");
    let sent = world.sent_plain();
    assert_eq!(sent, [r#"{"n":3}"#, r#"{"type":"join","room":"tea"}"#]);
    world.json(5, r#"{"n":5}"#);
    world.text(6, "text");
    world.send(7, Content::Binary(vec![7]));
    world.json(8, r#"{"n":8}"#);
    world.pass(50);
    assert_eq!(world.sent(), [r#"{"n":5}"#, "text", "[7]", r#"{"n":8}"#]);
}

/// covers A7-02: at a count, or at a size.
#[test]
fn it_goes_when_there_is_enough_of_it() {
    let mut world = World::welcome_to(SessionConfig {
        queue_messages: 1_000,
        ..gathering()
    });
    for item in 0..99 {
        world.json(item, "{}");
    }
    assert_eq!(world.sent(), [""; 0]);
    world.json(99, "{}");
    let sent = world.sent();
    assert_eq!((sent.len(), sent[0].matches("{}").count()), (1, 100));
    let mut config = gathering();
    config.batching = Some(Batching {
        max_bytes: 1_000,
        ..Batching::default()
    });
    let mut world = World::welcome_to(config);
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(300));
    for item in 0..4 {
        world.json(item, &text);
    }
    let sent = world.sent();
    assert_eq!(sent.len(), 1, "the fourth waits for its own time");
    assert!(sent[0].len() <= 1_000 && sent[0].len() > 900);
    world.pass(50);
    assert_eq!(world.sent(), [text]);
    // One that is larger by itself goes alone.
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(2_000));
    world.json(9, &large);
    assert_eq!(world.sent(), [large]);
}

/// covers A7-02: no batch is larger than what the server takes.
#[test]
fn it_is_no_larger_than_the_server_takes() {
    let mut config = gathering();
    config.batching = Some(Batching {
        max_bytes: 1 << 20,
        ..Batching::default()
    });
    let mut world = World::welcome_to(config);
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(60_000));
    world.json(1, &text);
    world.json(2, &text);
    world.pass(50);
    assert_eq!(world.sent(), [&*text, &*text]);
    let sent = [1, 2].map(|item| (item, "Sent".to_owned()));
    assert_eq!(world.outcomes(), sent);
}

/// What is a batch by itself need not fit into the queue.
#[test]
fn what_is_large_enough_goes_at_once() {
    let mut config = gathering();
    config.queue_bytes = 100;
    config.batching = Some(Batching {
        max_bytes: 50,
        ..Batching::default()
    });
    let mut world = World::welcome_to(config);
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(150));
    world.json(1, "{}");
    world.json(2, &large);
    assert_eq!(world.sent(), ["{}", &*large]);
}

/// covers A7-04: what waits when the connection breaks waits for the next one, or is dropped and that is told.
#[test]
fn what_waits_when_the_connection_ends_is_not_lost() {
    let mut world = World::welcome_to(gathering());
    world.json(1, r#"{"n":1}"#);
    world.json(2, r#"{"n":2}"#);
    world.cut();
    assert_eq!(world.outcomes(), []);
    world.pass(1_000);
    world.welcome(ME);
    let batch = r#"{"type":"batch","messages":[{"n":1},{"n":2}]}"#;
    assert_eq!(world.sent(), [batch], "at once, and together");
    world.told();
    // Of what is closed in order it is still sent.
    world.json(3, r#"{"n":3}"#);
    world.json(4, r#"{"n":4}"#);
    world.command(Command::Close);
    let batch = batch.replace(r#"1},{"n":2"#, r#"3},{"n":4"#);
    assert_eq!(
        world.sent(),
        [&*batch, "close 1000 Client closing connection"]
    );
    let sent = [3, 4].map(|item| (item, "Sent".to_owned()));
    assert_eq!(world.outcomes(), sent);
    // And where the server ends it for good, it is told.
    let mut world = World::welcome_to(gathering());
    world.json(1, "{}");
    world.close(1008);
    assert_eq!(world.outcomes(), [(1, "Closed".to_owned())]);
}

/// What waited for the connection is not gathered any longer.
#[test]
fn what_waited_goes_as_soon_as_it_is_open() {
    let mut world = World::new(gathering());
    world.json(1, r#"{"n":1}"#);
    world.welcome(ME);
    assert_eq!(world.sent(), [r#"{"n":1}"#]);
    world.json(2, r#"{"n":2}"#);
    assert_eq!((world.sent(), world.wait_ms()), (vec![], 50));
}

/// covers A7-05: before there is a connection, the bounds are those of the queue.
#[test]
fn before_it_is_open_the_queue_has_its_bounds() {
    let mut world = World::new(gathering());
    for item in 0..150 {
        world.json(item, "{}");
    }
    let full = (100..150).map(|item| (item, "QueueFull".to_owned()));
    assert_eq!(world.outcomes(), full.collect::<Vec<_>>());
    assert_eq!(world.wait_ms(), 15_000, "nothing is tried meanwhile");
    world.welcome(ME);
    let sent = world.sent();
    assert_eq!((sent.len(), sent[0].matches("{}").count()), (1, 100));
}

/// covers A7-03: each has its own outcome, also if the server refuses one.
#[test]
fn each_of_a_batch_has_its_own_outcome() {
    let mut world = World::welcome_to(gathering());
    world.request(1, r#"{"n":1}"#);
    world.request(2, r#"{"n":2}"#);
    world.pass(50);
    let sent = world.sent();
    let ids: Vec<&str> = sent[0]
        .split(r#""id":"#)
        .skip(1)
        .filter_map(|it| it.split('}').next())
        .collect();
    assert_eq!(ids.len(), 2);
    world.say(&format!(
        r#"{{"type":"error","id":{},"code":"not_member","message":"no"}}"#,
        ids[0]
    ));
    world.say(&format!(r#"{{"type":"ack","id":{}}}"#, ids[1]));
    let expected = [(1, "not_member"), (2, "ack")].map(|(item, word)| (item, word.to_owned()));
    assert_eq!(world.outcomes(), expected);
}

/// Joins of one room that have waited for the socket go in one batch. Each has its outcome, also if the server has both
/// of them wait.
#[test]
fn joins_of_one_room_that_go_together_have_an_outcome_each() {
    for answers in [["later"; 2], ["later", "joined"], ["joined", "later"]] {
        let mut config = gathering();
        config.connection.max_unsent_bytes = 2_048;
        let mut world = World::welcome_to(config);
        world.pass(10_000);
        world.takes = Some(0);
        world.text(1, &"x".repeat(2_048 - 20));
        world.join(2, "tea");
        world.join(3, "tea");
        world.unblock();
        let sent = world.sent();
        let ids: Vec<String> = sent.iter().flat_map(|text| all_ids(text)).collect();
        world.told();
        let answer = |world: &mut World, id: &str, word: &str| {
            world.say(&match word {
                "later" => format!(
                    r#"{{"type":"error","id":{id},"code":"rate_limited","message":"","retryAfterMs":500}}"#
                ),
                _ => format!(
                    r#"{{"type":"joined_room","id":{id},"room":"tea","members":[],"total":1}}"#
                ),
            });
        };
        assert_eq!(ids.len(), 2, "{sent:?}");
        for (id, word) in ids.iter().zip(answers) {
            answer(&mut world, id, word);
        }
        world.pass(500);
        for text in world.sent() {
            for id in all_ids(&text) {
                answer(&mut world, &id, "joined");
            }
        }
        let mut items: Vec<u64> = world.outcomes().iter().map(|(item, _)| *item).collect();
        items.sort_unstable();
        assert_eq!(items, [2, 3], "{answers:?}");
        assert_eq!(world.session.state(), State::Open);
        world.pass(60_000);
        assert_eq!(world.outcomes(), []);
    }
}

/// The ids in a message, as they stand there.
fn all_ids(text: &str) -> Vec<String> {
    let parts = text.split(r#""id":"#).skip(1);
    let id = |part: &str| part.split([',', '}']).next().expect("an id").to_owned();
    parts.map(id).collect()
}

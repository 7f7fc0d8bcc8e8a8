//! What waits while there is no connection.

use super::*;

/// A connection that may take its time.
fn patient() -> SessionConfig {
    SessionConfig {
        connect_timeout_ms: 1_000_000,
        ..quiet()
    }
}

/// covers A4-06: in order, behind the rooms; covers A4-07: text, binary and JSON, each told as queued, then as sent.
#[test]
fn it_goes_in_order_behind_the_rooms() {
    let mut world = World::new(quiet());
    world.json(1, r#"{"type":"hello","n":1}"#);
    world.join(2, "tea");
    world.send(3, Content::say("tea", "\"hi\"").expect("JSON"));
    world.text(4, "plain");
    world.send(5, Content::Binary(vec![1, 2]));
    let queued: Vec<Event> = (1..=5).map(|item| Event::Queued(Item(item))).collect();
    assert_eq!(world.told(), queued);
    assert_eq!(world.session.queued(), (4, 22 + 48 + 5 + 2));
    world.welcome(ME);
    world.json(6, r#"{"type":"hello","n":2}"#);
    let sent = world.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    world.told();
    world.say(&format!(
        r#"{{"type":"joined_room","id":{},"room":"tea","members":["{ME}"],"total":1}}"#,
        id_of(&sent[0])
    ));
    let sent = world.sent();
    let saying = id_of(&sent[1]);
    assert_eq!(
        sent.iter().map(|it| without_id(it)).collect::<Vec<_>>(),
        [
            r#"{"type":"hello","n":1}"#,
            r#"{"type":"room_message","room":"tea","data":"hi"}"#,
            "plain",
            "[1, 2]",
            r#"{"type":"hello","n":2}"#,
        ]
    );
    let done = |item, word: &str| (item, word.to_owned());
    assert_eq!(
        world.outcomes(),
        [
            done(2, "joined, 1"),
            done(1, "Sent"),
            done(4, "Sent"),
            done(5, "Sent"),
            done(6, "Sent")
        ]
    );
    // Now nothing waits any more.
    world.json(7, r#"{"type":"hello","n":3}"#);
    world.say(&format!(r#"{{"type":"ack","id":{saying}}}"#));
    let told = world.told();
    assert_eq!(outcomes(&told), [done(7, "Sent"), done(3, "ack")]);
    assert!(!told.contains(&Event::Queued(Item(7))));
}

/// covers A4-06: bounded by count and bytes; covers A4-07: what is refused is told at once.
#[test]
fn it_is_bounded_by_count_and_bytes() {
    let mut config = quiet();
    (config.queue_messages, config.queue_bytes) = (3, 20);
    let mut world = World::new(config.clone());
    world.text(1, "ééééé");
    world.text(2, "xxxxxxxxxx");
    world.text(3, "y");
    let full = |item| (item, "QueueFull".to_owned());
    assert_eq!(world.outcomes(), [full(3)]);
    world.welcome(ME);
    world.cut();
    world.told();
    world.text(4, "xxxxxxxxxxxxxxxxxxxx");
    assert_eq!(world.told(), [Event::Queued(Item(4))]);
    let mut world = World::new(config);
    for item in 1..=3 {
        world.text(item, "x");
    }
    world.request(4, r#"{}"#);
    world.join(5, "tea");
    assert_eq!(world.outcomes(), [full(4), full(5)]);
    world.welcome(ME);
    assert_eq!(world.sent(), ["x", "x", "x"], "nor is the room joined");
    // Whatever may go at once need not fit.
    let large = "x".repeat(50);
    world.told();
    world.text(6, &large);
    assert_eq!(world.outcomes(), [(6, "Sent".to_owned())]);
}

/// covers A4-06: and by age, also where a timer slept.
#[test]
fn it_is_bounded_by_age() {
    let mut world = World::new(patient());
    world.text(1, "one");
    world.join(2, "tea");
    world.pass(30_000);
    world.text(3, "two");
    world.pass(29_999);
    assert_eq!(world.outcomes(), []);
    world.pass(1);
    let old = |item| (item, "TooOld".to_owned());
    assert_eq!(world.outcomes(), [old(1), old(2)]);
    world.leave(4, "tea");
    assert_eq!(world.outcomes(), [(4, "Left".to_owned())]);
    world.now.mono = world.now.mono + Duration::from_secs(30);
    world.open();
    assert_eq!(world.outcomes(), [old(3)]);
    world.say(&format!(r#"{{"type":"welcome","clientId":"{ME}"}}"#));
    assert_eq!(world.sent(), [""; 0]);
}

/// A room is joined all the same.
#[test]
fn who_waited_too_long_for_a_room_is_in_it_later() {
    let mut world = World::new(patient());
    world.join(1, "tea");
    world.pass(60_000);
    assert_eq!(world.outcomes(), [(1, "TooOld".to_owned())]);
    world.welcome(ME);
    assert_eq!(world.sent_plain(), [r#"{"type":"join","room":"tea"}"#]);
}

/// covers A4-06: the connection breaks while it goes out, and nothing is lost, doubled or out of order.
#[test]
fn what_the_socket_had_not_taken_waits_again() {
    let mut world = World::new(patient());
    for item in 1..=3 {
        world.text(item, &item.to_string());
    }
    world.open();
    world.takes = Some(0);
    world.say(&format!(r#"{{"type":"welcome","clientId":"{ME}"}}"#));
    world.request(4, r#"{"n":4}"#);
    assert_eq!((world.sent(), world.outcomes()), (vec![], vec![]));
    world.cut();
    world.text(5, "5");
    assert_eq!(world.outcomes(), []);
    world.pass(1_000);
    world.welcome(ME);
    assert_eq!(world.sent_plain(), ["1", "2", "3", r#"{"n":4}"#, "5"]);
    let sent: Vec<u64> = world.outcomes().iter().map(|(item, _)| *item).collect();
    assert_eq!(sent, [1, 2, 3, 5]);
}

/// covers A4-06: at most once, or at least once, as the program says.
#[test]
fn a_request_is_sent_again_if_that_was_asked_for() {
    let mut world = World::welcome_to(quiet());
    for (item, delivery) in [(1, Delivery::AtMostOnce), (2, Delivery::AtLeastOnce)] {
        let content = Content::Request(format!(r#"{{"n":{item}}}"#));
        let mut send = Send::new(Item(item), content);
        send.delivery = delivery;
        world.command(Command::Send(send));
    }
    assert_eq!(world.sent_plain(), [r#"{"n":1}"#, r#"{"n":2}"#]);
    // Only what may be needed again is kept.
    let kept = world.session.pending.values().map(|pending| match pending {
        Pending::Request { entry, .. } => entry.bytes(),
        other => panic!("{other:?}"),
    });
    assert_eq!(kept.collect::<Vec<_>>(), [0, 7]);
    world.cut();
    assert_eq!(world.outcomes(), [(1, "ConnectionLost".to_owned())]);
    world.pass(1_000);
    world.welcome(ME);
    let sent = world.sent();
    assert_eq!(without_id(&sent[0]), r#"{"n":2}"#);
    world.say(&format!(r#"{{"type":"ack","id":{}}}"#, id_of(&sent[0])));
    assert_eq!(world.outcomes(), [(2, "ack".to_owned())]);
}

#[test]
fn a_request_that_came_back_still_gets_old() {
    let mut world = World::welcome_to(quiet());
    let mut send = Send::new(Item(1), Content::Request("{}".to_owned()));
    send.delivery = Delivery::AtLeastOnce;
    world.command(Command::Send(send));
    world.pass(59_000);
    world.cut();
    assert_eq!(world.outcomes(), []);
    // In the middle of the next attempt.
    world.pass(1_000);
    assert_eq!(world.outcomes(), [(1, "TooOld".to_owned())]);
}

/// What comes back does not fit: the newest of it is given up.
#[test]
fn what_comes_back_keeps_to_the_bounds() {
    let mut config = quiet();
    config.queue_messages = 3;
    let mut world = World::welcome_to(config);
    world.takes = Some(0);
    for item in 1..=5 {
        world.text(item, "x");
    }
    assert_eq!(world.session.queued(), (0, 0));
    world.cut();
    let full = |item| (item, "QueueFull".to_owned());
    assert_eq!(world.outcomes(), [full(4), full(5)]);
    assert_eq!(world.session.queued(), (3, 3));
}

/// covers A4-07: backpressure is told as queued.
#[test]
fn a_slow_socket_makes_it_wait() {
    let mut config = quiet();
    config.connection.max_unsent_bytes = 2_000;
    let mut world = World::welcome_to(config);
    world.takes = Some(0);
    let text = "x".repeat(900);
    for item in 1..=4 {
        world.text(item, &text);
    }
    let queued = |item| Event::Queued(Item(item));
    assert_eq!(world.told(), [queued(3), queued(4)]);
    world.unblock();
    let sent: Vec<u64> = world.outcomes().iter().map(|(item, _)| *item).collect();
    assert_eq!(sent, [1, 2, 3, 4]);
    // What never fits is told at once, and holds nobody up.
    world.text(5, &"x".repeat(2_000));
    world.text(6, "after");
    assert_eq!(
        world.outcomes(),
        [(5, "TooLarge".to_owned()), (6, "Sent".to_owned())]
    );
}

#[test]
fn what_the_server_would_not_take_is_not_sent() {
    let mut world = World::new(quiet());
    world.text(1, &"x".repeat(100_001));
    world.welcome(ME);
    world.text(2, &"x".repeat(100_000));
    world.send(3, Content::say_bytes("tea", &[0; 90_000]));
    let large = |item| (item, "TooLarge".to_owned());
    assert_eq!(
        world.outcomes(),
        [large(1), (2, "Sent".to_owned()), large(3)]
    );
}

#[test]
fn what_is_no_object_has_no_id() {
    let mut world = World::welcome_to(quiet());
    for (item, text) in [(1, "[1]"), (2, "7"), (3, "{"), (4, "")] {
        world.request(item, text);
        world.json(item + 10, text);
    }
    let outcomes = world.outcomes();
    assert_eq!(outcomes.len(), 8);
    assert!(outcomes.iter().all(|(_, it)| it == "NotAnObject"));
    assert_eq!(Content::say("tea", "nonsense"), None);
    assert_eq!(world.sent(), [""; 0]);
}

/// A server that never answers holds up no more than this.
#[test]
fn requests_in_flight_are_bounded() {
    let mut config = quiet();
    config.max_in_flight = 2;
    let mut world = World::welcome_to(config);
    for item in 1..=4 {
        world.request(item, "{}");
    }
    let sent = world.sent();
    assert_eq!(sent.len(), 2);
    let queued = |item| Event::Queued(Item(item));
    assert_eq!(world.told(), [queued(3), queued(4)]);
    world.say(&format!(r#"{{"type":"ack","id":{}}}"#, id_of(&sent[0])));
    assert_eq!(world.sent().len(), 1);
}

/// On every connection: what is before a welcome may be no server of ours, nor is it known what it takes.
#[test]
fn it_waits_for_the_welcome_each_time() {
    let mut world = World::welcome_to(quiet());
    world.cut();
    world.text(1, "waits");
    world.pass(1_000);
    world.open();
    world.say(r#"{"type":"x"}"#);
    assert_eq!(
        (world.sent(), world.session.state()),
        (vec![], State::Resuming)
    );
    world.say(&format!(r#"{{"type":"welcome","clientId":"{ME}"}}"#));
    assert_eq!(
        (world.sent(), world.session.state()),
        (vec!["waits".to_owned()], State::Open)
    );
}

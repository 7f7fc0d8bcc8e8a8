//! What the embedding program is told and asks for.

use core::time::Duration;

use roomwire_core::config::{Limits, ListenerConfig};
use roomwire_core::server::{CloseCause, Command, Event, Outcome, RequestToken};
use roomwire_core::{Config, ErrorCode, TransportEnd};
use roomwire_tests::{Ending, Peer, World};
use serde_json::json;

use crate::unlimited;

fn with_types(types: &[&str]) -> Config {
    Config {
        application_types: types.iter().map(|&t| t.to_owned()).collect(),
        ..unlimited()
    }
}

/// The requests among the events so far: token, type, text.
fn requests(world: &mut World) -> Vec<(RequestToken, String, String)> {
    let mut found = Vec::new();
    for event in world.events() {
        if let Event::Application {
            request,
            kind,
            message,
            ..
        } = event
        {
            found.push((request, kind, message));
        }
    }
    found
}

fn ask(world: &mut World, client: Peer, text: &str) -> RequestToken {
    world.events();
    world.send_text(client, text);
    let asked = requests(world);
    assert_eq!(asked.len(), 1, "{asked:?}");
    asked[0].0
}

// covers A3-08: the end of a client says how much it has said
#[test]
fn the_end_of_a_client_counts_its_messages() {
    let mut world = World::new(with_types(&["dice"]));
    let client = world.connect();
    for text in [r#"{"type":"ping"}"#, "no JSON", r#"{"type":"dice"}"#] {
        world.send_text(client, text);
    }
    world.reset(client);
    let end = world.events().into_iter().find_map(|event| match event {
        Event::Closed { received, .. } => Some(received),
        _ => None,
    });
    assert_eq!(end, Some(3));
}

/// A request that has its outcome, or whose client is gone, is not waited for.
#[test]
fn nobody_waits_for_a_request_that_is_over() {
    let mut config = with_types(&["dice"]);
    config.heartbeat.interval_ms = 0;
    let mut world = World::alone(config);
    let (answered, gone) = (world.connect(), world.connect());
    assert_eq!(world.driver().deadline(), None);
    let request = ask(&mut world, answered, r#"{"type":"dice","id":1}"#);
    ask(&mut world, gone, r#"{"type":"dice","id":2}"#);
    assert!(world.driver().deadline().is_some());
    let outcome = Outcome::Ack;
    world.command(Command::Reply { request, outcome });
    world.reset(gone);
    assert_eq!(world.driver().deadline(), None);
}

// covers A1-11, A1-16
#[test]
fn a_registered_type_reaches_the_program_as_it_came() {
    let mut world = World::new(with_types(&["dice", "cards"]));
    let client = world.connect();
    world.events();
    let text = r#"{ "type":"dice", "n": 9007199254740993, "id": "\u0031" }"#;
    world.send_text(client, text);
    let events = world.events();
    let [
        Event::Application {
            connection,
            client: id,
            kind,
            message,
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(*connection, world.connection(client));
    assert_eq!(id.as_str(), world.id(client));
    assert_eq!((kind.as_str(), message.as_str()), ("dice", text));
    world.expect_nothing(client);
    assert_eq!(
        world.refused(client, &json!({"type": "chess"})),
        "unknown_type"
    );
    assert_eq!(requests(&mut world), []);
}

// covers A1-16
#[test]
fn an_answer_is_the_only_outcome() {
    let mut world = World::new(with_types(&["dice"]));
    let client = world.connect();
    let outcomes = [
        (
            Outcome::Reply(r#"{"type":"rolled","n":6}"#.to_owned()),
            r#"{"id":7,"type":"rolled","n":6}"#,
        ),
        (Outcome::Ack, r#"{"type":"ack","id":7}"#),
        (
            Outcome::Error {
                code: ErrorCode::Forbidden,
                message: "not \"today\"".to_owned(),
            },
            r#"{"type":"error","id":7,"code":"forbidden","message":"not \"today\""}"#,
        ),
    ];
    for (outcome, expected) in outcomes {
        let request = ask(&mut world, client, r#"{"type":"dice","id":7}"#);
        let answer = Command::Reply { request, outcome };
        world.command(answer.clone());
        assert_eq!(world.next_text(client).as_deref(), Some(expected));
        // A second answer is a counted no-op, and so is the deadline.
        let stale = world.stats().stale;
        world.command(answer);
        assert_eq!(world.stats().stale, stale + 1);
        world.advance_ms(20_000);
        world.expect_nothing(client);
    }
}

// covers A1-16
#[test]
fn without_an_id_there_is_no_ack() {
    let mut world = World::new(with_types(&["dice"]));
    let client = world.connect();
    let request = ask(&mut world, client, r#"{"type":"dice"}"#);
    let outcome = Outcome::Ack;
    world.command(Command::Reply { request, outcome });
    world.expect_nothing(client);
    let request = ask(&mut world, client, r#"{"type":"dice"}"#);
    let outcome = Outcome::Reply(r#"{"type":"rolled"}"#.to_owned());
    world.command(Command::Reply { request, outcome });
    assert_eq!(
        world.next_text(client).as_deref(),
        Some(r#"{"type":"rolled"}"#)
    );
}

// covers A0-14, A1-12: our fault has a code of its own
#[test]
fn a_program_that_does_not_answer_is_our_fault() {
    let mut world = World::new(with_types(&["dice"]));
    let client = world.connect();
    let request = ask(&mut world, client, r#"{"type":"dice","id":"x"}"#);
    world.advance_ms(9_999);
    world.expect_nothing(client);
    world.advance_ms(1);
    let error = world.expect(client, "error");
    assert_eq!(
        (&error["code"], &error["id"]),
        (&json!("internal"), &json!("x"))
    );
    // Too late.
    let stale = world.stats().stale;
    let outcome = Outcome::Ack;
    world.command(Command::Reply { request, outcome });
    assert_eq!(world.stats().stale, stale + 1);
    world.expect_nothing(client);
}

// covers A1-16: a request dies with its client
#[test]
fn a_request_of_a_client_that_left_is_forgotten() {
    let mut world = World::new(with_types(&["dice"]));
    let client = world.connect();
    let request = ask(&mut world, client, r#"{"type":"dice","id":1}"#);
    world.reset(client);
    let next = world.connect();
    let stale = world.stats().stale;
    let outcome = Outcome::Ack;
    world.command(Command::Reply { request, outcome });
    assert_eq!(world.stats().stale, stale + 1);
    world.advance_ms(20_000);
    world.expect_nothing(next);
}

// covers A1-16
#[test]
fn the_requests_of_one_client_die_and_those_of_others_live() {
    let mut world = World::new(with_types(&["dice"]));
    let clients = world.connect_many(3);
    let mut asked = Vec::new();
    // Interleaved, so that nobody's requests stand side by side.
    for number in 0..5 {
        for &client in &clients {
            let text = format!(r#"{{"type":"dice","id":{number}}}"#);
            asked.push((client, ask(&mut world, client, &text)));
        }
    }
    world.close(clients[1]);
    let next = world.connect();
    let reused = ask(&mut world, next, r#"{"type":"dice","id":9}"#);
    for (client, request) in asked {
        let stale = world.stats().stale;
        world.command(Command::Reply {
            request,
            outcome: Outcome::Ack,
        });
        let gone = client == clients[1];
        assert_eq!(world.stats().stale - stale, u64::from(gone));
        if !gone {
            world.expect(client, "ack");
        }
    }
    world.command(Command::Reply {
        request: reused,
        outcome: Outcome::Ack,
    });
    assert_eq!(world.expect(next, "ack")["id"], 9);
    // No deadline of any of them is left.
    world.advance_ms(60_000);
    for client in [clients[0], clients[2], next] {
        world.expect_nothing(client);
    }
}

// covers A13-03: the program can take what is not JSON where a listener allows it
#[test]
fn plain_text_reaches_the_program_where_it_is_wanted() {
    let plain = ListenerConfig {
        plain_text: true,
        ..ListenerConfig::default()
    };
    let mut world = World::new(Config {
        listeners: vec![plain, ListenerConfig::default()],
        ..with_types(&["text"])
    });
    let client = world.connect();
    world.send_text(client, "hello there");
    let asked = requests(&mut world);
    assert_eq!(asked[0].1, "text");
    assert_eq!(asked[0].2, "hello there");
    // JSON stays JSON, and other listeners stay strict.
    world.send_text(client, "[]");
    assert_eq!(world.expect(client, "error")["code"], "bad_message");
    let strict = world.connect_as(&crate::on_listener(1));
    world.send_text(strict, "hello there");
    assert_eq!(world.expect(strict, "error")["code"], "bad_json");
}

// covers A13-07: effects are asked for by commands
#[test]
fn a_program_can_speak_to_clients_and_rooms() {
    let mut world = World::new(unlimited());
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.forget();
    let message = r#"{"type":"news","n":9007199254740993}"#.to_owned();
    let connection = world.connection(ada);
    world.command(Command::Send {
        connection,
        message: message.clone(),
    });
    assert_eq!(world.next_text(ada).as_ref(), Some(&message));
    world.expect_nothing(bob);
    world.command(Command::Publish {
        room: "tea".to_owned(),
        message: message.clone(),
    });
    assert_eq!(world.next_text(ada).as_ref(), Some(&message));
    assert_eq!(world.next_text(bob).as_ref(), Some(&message));
    let room = "no such room".to_owned();
    world.command(Command::Publish { room, message });
    world.expect_nothing(bob);
}

// covers A3-13, A3-19
#[test]
fn every_client_opens_once_and_closes_once_with_a_cause() {
    type Way = fn(&mut World, Peer);
    let ways: [(Way, CloseCause, u16); 6] = [
        (World::close, CloseCause::Client, 1000),
        (World::finish, CloseCause::Lost, 1006),
        (World::reset, CloseCause::Lost, 1006),
        (
            |world, peer| world.send_bytes(peer, &[0xFF; 8]),
            CloseCause::Protocol,
            1002,
        ),
        (
            |world, peer| {
                let connection = world.connection(peer);
                world.command(Command::Close {
                    connection,
                    code: 4001,
                    reason: String::new(),
                    reconnect_after_ms: None,
                });
            },
            CloseCause::Command,
            4001,
        ),
        (
            |world, peer| {
                world.mute(peer);
                world.advance_ms(120_000);
            },
            CloseCause::Timeout,
            1001,
        ),
    ];
    for (end, expected, expected_code) in ways {
        let mut world = World::default();
        let client = world.connect();
        world.send(client, &json!({"type": "hello"}));
        world.advance_ms(1_500);
        end(&mut world, client);
        world.advance_ms(10_000);
        let events = world.events();
        let [
            Event::Opened {
                connection: opened,
                client: id,
                ..
            },
            Event::Closed {
                connection,
                client: closed_id,
                cause,
                code,
                duration,
                received,
            },
        ] = &events[..]
        else {
            panic!("{events:?}");
        };
        assert_eq!((opened, id), (connection, closed_id));
        assert_eq!(id.as_str(), world.id(client));
        assert_eq!((*cause, *code), (expected, expected_code));
        assert!(*duration >= Duration::from_millis(1_500));
        assert_eq!(*received, 1);
        assert!(matches!(
            world.ending(client),
            Some(Ending::Closed | Ending::Reset | Ending::Ended)
        ));
        world.assert_empty();
    }
}

// covers A3-13: a program that is slow to read its events stops the reading, and loses none
#[test]
fn events_wait_and_none_is_lost() {
    let mut world = World::new(Config {
        limits: Limits {
            max_queued_events: 4,
            ..Limits::default()
        },
        ..with_types(&["dice"])
    });
    let clients = world.connect_many(3);
    world.events();
    for number in 0..60 {
        for &client in &clients {
            world.post_json(client, &json!({"type": "dice", "n": number}));
        }
    }
    world.settle();
    let asked = requests(&mut world);
    assert_eq!(asked.len(), 180);
    // Each client's requests come in its order.
    let mut seen = Vec::new();
    for (_, _, text) in asked {
        let n: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        seen.push(n["n"].as_u64().expect("a number"));
    }
    for number in 0..60 {
        assert_eq!(seen.iter().filter(|&&n| n == number).count(), 3);
    }
}

// covers A0-14: the end of a client concerns its own requests
#[test]
fn the_end_of_a_client_spares_the_requests_of_others() {
    let mut world = World::new(with_types(&["dice"]));
    let clients = world.connect_many(3);
    let asked: Vec<RequestToken> = clients
        .iter()
        .map(|&client| ask(&mut world, client, r#"{"type":"dice","id":1}"#))
        .collect();
    world.reset(clients[2]);
    for number in [0, 1] {
        world.command(Command::Reply {
            request: asked[number],
            outcome: Outcome::Ack,
        });
        world.expect(clients[number], "ack");
    }
    assert_eq!(world.stats().stale, 0);
}

// covers A0-14: what the program's own half did is not the client's
#[test]
fn a_transport_that_failed_is_not_a_client_that_was_lost() {
    for (end, expected) in [
        (TransportEnd::Failed, CloseCause::Command),
        (TransportEnd::Reset, CloseCause::Lost),
    ] {
        let mut world = World::default();
        let client = world.connect();
        let connection = world.connection(client);
        world.driver().end(connection, end);
        world.settle();
        let cause = world.events().into_iter().find_map(|event| match event {
            Event::Closed { cause, .. } => Some(cause),
            _ => None,
        });
        assert_eq!(cause, Some(expected));
    }
}

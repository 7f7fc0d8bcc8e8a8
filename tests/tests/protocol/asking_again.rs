//! Requests to the program under an id of the client's own: asked once, and answered whenever they are asked again.

use roomwire_core::server::{Command, Event, Outcome, RequestToken};
use roomwire_core::{Config, ErrorCode};
use roomwire_tests::{Opcode, Peer, World};
use serde_json::{Value, json};

use crate::unlimited;

fn config() -> Config {
    let mut config = Config {
        application_types: vec!["roll".to_owned()],
        ..unlimited()
    };
    config.heartbeat.interval_ms = 0;
    config
}

fn session(world: &mut World, peer: Peer) -> Value {
    world.request(peer, &json!({"type": "resume"}))
}

/// On a new connection.
fn come_back(world: &mut World, session: &Value) -> Peer {
    let peer = world.connect();
    let resume = json!({"type": "resume", "clientId": session["clientId"], "sessionSecret": session["sessionSecret"]});
    assert_eq!(world.request(peer, &resume)["resumed"], true);
    peer
}

/// What the program was asked since.
fn asked(world: &mut World) -> Vec<RequestToken> {
    let events = world.events().into_iter();
    let requests = events.filter_map(|event| match event {
        Event::Application { request, .. } => Some(request),
        _ => None,
    });
    requests.collect()
}

fn roll(world: &mut World, peer: Peer, id: u64, name: &str) {
    let message = json!({"type": "roll", "id": id, "messageId": name});
    world.send(peer, &message);
    world.settle();
}

fn rolled(n: u64) -> Outcome {
    Outcome::Reply(json!({"type": "rolled", "n": n}).to_string())
}

fn told(world: &mut World, peer: Peer) -> Vec<Value> {
    world.all(peer)
}

fn answer(id: u64, n: u64) -> Value {
    json!({"type": "rolled", "id": id, "n": n})
}

/// The program answers when nobody is there.
#[test]
fn an_answer_is_kept_for_who_comes_back() {
    let mut world = World::new(config());
    let ada = world.connect();
    let session = session(&mut world, ada);
    world.events();
    roll(&mut world, ada, 1, "r");
    let [request] = asked(&mut world)[..] else {
        panic!("expected one request");
    };
    world.reset(ada);
    let outcome = rolled(4);
    world.command(Command::Reply { request, outcome });
    world.settle();
    let ada = come_back(&mut world, &session);
    world.forget();
    // It is told when it asks, as often as it does, and the program hears nothing of it.
    world.expect_nothing(ada);
    roll(&mut world, ada, 2, "r");
    roll(&mut world, ada, 3, "r");
    assert_eq!(told(&mut world, ada), [answer(2, 4), answer(3, 4)]);
    assert_eq!(asked(&mut world), []);
    assert_eq!(world.stats().repeated, 2);
    // Another one is another one, of whomever.
    roll(&mut world, ada, 4, "s");
    let bob = world.connect();
    world.events();
    roll(&mut world, bob, 1, "r");
    assert_eq!(asked(&mut world).len(), 1);
}

/// The program takes its time; whoever has asked meanwhile is told.
#[test]
fn who_asks_again_waits_for_the_same_answer() {
    let mut world = World::new(config());
    let ada = world.connect();
    let session = session(&mut world, ada);
    world.events();
    roll(&mut world, ada, 1, "r");
    roll(&mut world, ada, 2, "r");
    let [request] = asked(&mut world)[..] else {
        panic!("expected one request");
    };
    world.reset(ada);
    let ada = come_back(&mut world, &session);
    world.forget();
    roll(&mut world, ada, 3, "r");
    roll(&mut world, ada, 4, "r");
    world.expect_nothing(ada);
    let outcome = rolled(4);
    let reply = Command::Reply { request, outcome };
    world.command(reply.clone());
    world.settle();
    assert_eq!(told(&mut world, ada), [answer(3, 4), answer(4, 4)]);
    let stale = world.stats().stale;
    world.command(reply);
    assert_eq!(world.stats().stale, stale + 1);
    world.advance_ms(20_000);
    world.expect_nothing(ada);
    assert_eq!(asked(&mut world), []);
}

/// An error is an answer, also the one of who is too late, or has panicked.
#[test]
fn a_request_has_one_outcome() {
    let mut world = World::new(config());
    let ada = world.connect();
    let session = session(&mut world, ada);
    world.events();
    roll(&mut world, ada, 1, "slow");
    roll(&mut world, ada, 2, "bad");
    let [slow, bad] = asked(&mut world)[..] else {
        panic!("expected two requests");
    };
    world.reset(ada);
    let outcome = Outcome::Error {
        code: ErrorCode::BadMessage,
        message: "no such die".to_owned(),
    };
    world.command(Command::Reply {
        request: bad,
        outcome,
    });
    world.advance_ms(10_001);
    let stale = world.stats().stale;
    let outcome = rolled(6);
    world.command(Command::Reply {
        request: slow,
        outcome,
    });
    assert_eq!(world.stats().stale, stale + 1);
    let ada = come_back(&mut world, &session);
    world.forget();
    roll(&mut world, ada, 3, "slow");
    roll(&mut world, ada, 4, "bad");
    let codes = told(&mut world, ada).into_iter();
    let codes: Vec<_> = codes
        .map(|it| (it["id"].clone(), it["code"].clone()))
        .collect();
    let expected = [(3, "internal"), (4, "bad_message")];
    assert_eq!(codes, expected.map(|(id, code)| (json!(id), json!(code))));
    // A request at which the program panics is not asked again.
    roll(&mut world, ada, 5, "worse");
    let [request] = asked(&mut world)[..] else {
        panic!("expected one request");
    };
    world.command(Command::Fail { request });
    world.settle();
    let ada = come_back(&mut world, &session);
    world.forget();
    roll(&mut world, ada, 6, "worse");
    assert_eq!(told(&mut world, ada)[0]["code"], "internal");
    assert_eq!(asked(&mut world), []);
}

#[test]
fn ids_are_known_for_their_window_and_while_the_client_may_come_back() {
    let mut config = config();
    config.message_ids.window_ms = 1_000;
    config.message_ids.max_per_client = 2;
    let mut world = World::alone(config);
    let ada = world.connect();
    let session = session(&mut world, ada);
    world.events();
    let ask = |world: &mut World, peer, name: &str| {
        roll(world, peer, 1, name);
        let requests = asked(world);
        for &request in &requests {
            let outcome = Outcome::Ack;
            world.command(Command::Reply { request, outcome });
        }
        world.settle();
        world.forget();
        requests.len()
    };
    assert_eq!(ask(&mut world, ada, "a"), 1);
    world.advance_ms(999);
    assert_eq!(ask(&mut world, ada, "a"), 0);
    world.advance_ms(1);
    assert_eq!(ask(&mut world, ada, "a"), 1);
    // The oldest of too many is forgotten.
    assert_eq!(ask(&mut world, ada, "b"), 1);
    assert_eq!(ask(&mut world, ada, "a"), 0);
    assert_eq!(ask(&mut world, ada, "c"), 1);
    assert_eq!(ask(&mut world, ada, "b"), 0);
    assert_eq!(ask(&mut world, ada, "a"), 1);
    // Who says goodbye does not ask again, and what it has asked is nobody's.
    roll(&mut world, ada, 2, "d");
    let [request] = asked(&mut world)[..] else {
        panic!("expected one request");
    };
    world.send_frame(ada, Opcode::Close, &1000_u16.to_be_bytes());
    world.finish(ada);
    assert_eq!(world.driver().deadline(), None);
    let stale = world.stats().stale;
    let outcome = Outcome::Ack;
    world.command(Command::Reply { request, outcome });
    assert_eq!(world.stats().stale, stale + 1);
    let peer = world.connect();
    let resume = json!({"type": "resume", "clientId": session["clientId"], "sessionSecret": session["sessionSecret"], "id": 1});
    assert_eq!(world.refused(peer, &resume), "stale_session");
}

#[test]
fn an_id_is_a_text_of_some_length() {
    let mut config = config();
    config.message_ids.max_bytes = 4;
    let mut world = World::new(config.clone());
    let ada = world.connect();
    world.events();
    for (name, code) in [
        (json!(""), "bad_message"),
        (json!(1), "bad_message"),
        (json!("abcde"), "too_large"),
    ] {
        let message = json!({"type": "roll", "messageId": name});
        assert_eq!(world.refused(ada, &message), code);
    }
    assert_eq!(asked(&mut world), []);
    // It is one however it is spelled; `null` is none, and neither is one further in.
    for (text, asks) in [
        (r#"{"type":"roll","messageId":"a"}"#, 1),
        (r#"{"type":"roll","message\u0049d":"\u0061"}"#, 0),
        (r#"{"type":"roll","messageId":null}"#, 1),
        (r#"{"type":"roll","by":{"messageId":"a"}}"#, 1),
    ] {
        world.send_text(ada, text);
        assert_eq!(asked(&mut world).len(), asks, "{text}");
    }
    config.message_ids.window_ms = 0;
    let mut world = World::new(config);
    let ada = world.connect();
    let message = json!({"type": "roll", "messageId": "a"});
    assert_eq!(world.refused(ada, &message), "forbidden");
}

/// As many wait as may, whether they ask or ask again; and what outlives its connection is bounded, too.
#[test]
fn what_waits_is_bounded() {
    let mut config = config();
    config.limits.max_pending_requests = 3;
    config.message_ids.max = 4;
    let mut world = World::alone(config);
    let ada = world.connect();
    let session = session(&mut world, ada);
    world.events();
    let again = json!({"type": "roll", "messageId": "r"});
    for _ in 0..3 {
        world.send(ada, &again);
        world.settle();
    }
    assert_eq!(world.refused(ada, &again), "rate_limited");
    assert_eq!(asked(&mut world).len(), 1);
    let mut peer = ada;
    let mut requests = 1;
    for number in 0..5 {
        world.reset(peer);
        peer = come_back(&mut world, &session);
        world.events();
        roll(&mut world, peer, 9, &format!("r-{number}"));
        requests += asked(&mut world).len();
    }
    assert_eq!(requests, 6);
    world.reset(peer);
    // Six have outlived their connections, and two of them are not waited for.
    assert_eq!(world.stats().ids_forgotten, 2);
    world.advance_ms(10_001);
    let peer = come_back(&mut world, &session);
    world.forget();
    roll(&mut world, peer, 1, "r");
    assert_eq!(told(&mut world, peer)[0]["code"], "internal");
}

/// What somebody has asked as somebody else, before taking up who it was, is nothing to what it has asked as that.
#[test]
fn an_answer_is_of_who_has_asked() {
    let mut world = World::new(config());
    let ada = world.connect();
    let session = session(&mut world, ada);
    world.events();
    roll(&mut world, ada, 1, "r");
    roll(&mut world, ada, 2, "s");
    let [first, second] = asked(&mut world)[..] else {
        panic!("expected two requests");
    };
    let answered = |world: &mut World, request, n| {
        let outcome = rolled(n);
        world.command(Command::Reply { request, outcome });
        world.settle();
    };
    answered(&mut world, first, 1);
    world.reset(ada);
    // The same ids of another client, which is that one only later.
    let ada = world.connect();
    world.events();
    for (id, name) in [(3, "r"), (4, "s"), (5, "t"), (6, "t")] {
        roll(&mut world, ada, id, name);
    }
    let [other_first, other_second, third] = asked(&mut world)[..] else {
        panic!("expected three requests");
    };
    let resume = json!({"type": "resume", "clientId": session["clientId"], "sessionSecret": session["sessionSecret"]});
    assert_eq!(world.request(ada, &resume)["resumed"], true);
    world.forget();
    roll(&mut world, ada, 7, "s");
    answered(&mut world, other_first, 13);
    answered(&mut world, second, 2);
    answered(&mut world, other_second, 14);
    answered(&mut world, third, 15);
    assert_eq!(
        told(&mut world, ada),
        [
            answer(3, 13),
            answer(7, 2),
            answer(4, 14),
            answer(5, 15),
            answer(6, 15)
        ]
    );
    for (id, name, n) in [(8, "r", 1), (9, "s", 2)] {
        roll(&mut world, ada, id, name);
        assert_eq!(told(&mut world, ada), [answer(id, n)]);
    }
    assert_eq!(asked(&mut world), []);
    // Nor is what it never heard of.
    roll(&mut world, ada, 10, "t");
    assert_eq!(asked(&mut world).len(), 1);
}

/// There was too much to do, and nothing was done: to try again later is to ask anew.
#[test]
fn who_was_told_to_try_again_later_is_heard() {
    let mut world = World::new(config());
    let ada = world.connect();
    let session = session(&mut world, ada);
    world.events();
    let refuse = |world: &mut World| {
        let [request] = asked(world)[..] else {
            panic!("expected one request");
        };
        let outcome = Outcome::Error {
            code: ErrorCode::RateLimited,
            message: "later".to_owned(),
        };
        world.command(Command::Reply { request, outcome });
        world.settle();
    };
    roll(&mut world, ada, 1, "r");
    roll(&mut world, ada, 2, "r");
    refuse(&mut world);
    let codes = told(&mut world, ada).into_iter();
    let codes: Vec<_> = codes.map(|it| it["code"].clone()).collect();
    assert_eq!(codes, ["rate_limited", "rate_limited"]);
    roll(&mut world, ada, 3, "r");
    world.reset(ada);
    refuse(&mut world);
    let ada = come_back(&mut world, &session);
    world.forget();
    roll(&mut world, ada, 4, "r");
    let [request] = asked(&mut world)[..] else {
        panic!("expected one request");
    };
    let outcome = rolled(4);
    world.command(Command::Reply { request, outcome });
    world.settle();
    roll(&mut world, ada, 5, "r");
    assert_eq!(told(&mut world, ada), [answer(4, 4), answer(5, 4)]);
    assert_eq!(asked(&mut world), []);
}

/// An answer that is too much for what is kept of a client is not worth all else that is.
#[test]
fn an_answer_that_is_too_large_is_forgotten_alone() {
    let mut config = config();
    config.sessions.mail_bytes = 1_000;
    let mut world = World::new(config);
    let ada = world.connect();
    world.events();
    roll(&mut world, ada, 1, "small");
    roll(&mut world, ada, 2, "open");
    roll(&mut world, ada, 3, "large");
    let [small, open, large] = asked(&mut world)[..] else {
        panic!("expected three requests");
    };
    let long = Outcome::Reply(json!({"type": "rolled", "n": "9".repeat(1_000)}).to_string());
    for (request, outcome) in [(small, rolled(1)), (large, long)] {
        world.command(Command::Reply { request, outcome });
        world.settle();
    }
    assert_eq!(told(&mut world, ada).len(), 2);
    assert_eq!(world.stats().ids_forgotten, 1);
    roll(&mut world, ada, 4, "small");
    assert_eq!(told(&mut world, ada), [answer(4, 1)]);
    roll(&mut world, ada, 5, "open");
    assert_eq!(asked(&mut world), []);
    roll(&mut world, ada, 6, "large");
    assert_eq!(asked(&mut world).len(), 1);
    let outcome = rolled(2);
    let request = open;
    world.command(Command::Reply { request, outcome });
    world.settle();
    assert_eq!(told(&mut world, ada), [answer(2, 2), answer(5, 2)]);
}

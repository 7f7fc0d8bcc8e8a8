//! Links between shards: what crosses them, and what happens when they are slow or full.

use std::collections::BTreeSet;

use roomwire_core::ShardId;
use roomwire_core::config::RoomRule;
use roomwire_core::server::{Command, Event, Outcome};
use roomwire_tests::{Lag, Rng, Upgrade, World};
use serde_json::{Value, json};

use crate::{all_of, quiet, room_at, say};

/// So slow that nothing arrives while a test looks.
fn slow(most_us: u64) -> Lag {
    Lag {
        rng: Rng::new(1),
        most_us: 0,
        stalls_per_mille: 1_000,
        stall_us: most_us,
    }
}

// covers A11-05
/// Each shard has its connections and its rooms, and a client cannot tell.
#[test]
fn a_room_is_the_same_from_every_shard() {
    for home in 0..3 {
        let mut world = World::of_shards(quiet(), 3);
        let room = room_at(&world, ShardId(home));
        let clients = world.connect_many(6);
        let shards: BTreeSet<_> = clients.iter().map(|&peer| world.shard(peer)).collect();
        assert_eq!(shards.len(), 3);
        for (number, &client) in clients.iter().enumerate() {
            let reply = world.join(client, &room);
            assert_eq!(reply["total"], number + 1);
            let listed = reply["members"].as_array().expect("a list").iter();
            let listed: BTreeSet<_> = listed.map(Value::to_string).collect();
            assert_eq!(listed.len(), number + 1);
            for &other in &clients[..number] {
                let notice = world.expect(other, "member_joined");
                assert_eq!(notice["clientId"], world.id(client));
            }
        }
        assert_eq!(world.stats().rooms, 1);
        for &from in &clients {
            assert_eq!(world.request(from, &say(&room, 1))["type"], "ack");
            for &to in clients.iter().filter(|&&to| to != from) {
                let message = world.expect(to, "room_message");
                assert_eq!(message["from"], world.id(from));
            }
            world.expect_nothing(from);
        }
        let pages = json!({"type": "members", "room": room, "limit": 4});
        let page = world.request(clients[1], &pages);
        assert_eq!((&page["total"], &page["more"]), (&json!(6), &json!(true)));
        let mut ids: Vec<_> = clients
            .iter()
            .map(|&peer| world.id(peer).to_owned())
            .collect();
        ids.sort();
        assert_eq!(page["members"], json!(ids[..4]));
    }
}

/// Members of each shard get a message from one relay, however many they are.
#[test]
fn a_message_crosses_each_link_once() {
    let mut world = World::of_shards(quiet(), 3);
    let room = room_at(&world, ShardId(0));
    let clients = world.connect_many(30);
    for &client in &clients {
        world.join(client, &room);
    }
    world.advance_ms(1_000);
    let before = world.stats();
    world.send(clients[0], &say(&room, 1)); // at the room's home
    let after = world.stats();
    assert_eq!(after.relayed - before.relayed, 2);
    assert_eq!(after.deliveries - before.deliveries, 29);
    assert_eq!(after.published - before.published, 1);
}

/// Metadata travels with its client, to lists as well.
#[test]
fn metadata_is_listed_from_every_shard() {
    let mut world = World::of_shards(quiet(), 3);
    let room = room_at(&world, ShardId(1));
    let clients = world.connect_many(3);
    let name = |n: usize| json!({"type": "set_metadata", "metadata": {"n": n}});
    world.request(clients[0], &name(0)); // before it joins
    for &client in &clients {
        world.join(client, &room);
    }
    world.request(clients[1], &name(1));
    world.request(clients[2], &name(2));
    let list = json!({"type": "members", "room": room, "metadata": true});
    for &client in &clients {
        let page = world.request(client, &list);
        for (n, &client) in clients.iter().enumerate() {
            assert_eq!(page["metadata"][world.id(client)], json!({"n": n}));
        }
    }
}

/// A room's own rule counts, where nobody is to be told of metadata too.
#[test]
fn metadata_that_nobody_is_told_of_is_listed() {
    let mut config = quiet();
    config.rooms = vec![RoomRule {
        pattern: "*".to_owned(),
        metadata_notices: false,
        ..RoomRule::default()
    }];
    let mut world = World::of_shards(config, 2);
    let room = room_at(&world, ShardId(0));
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, &room);
    world.join(bob, &room);
    world.forget();
    world.request(bob, &json!({"type": "set_metadata", "metadata": {"n": 1}}));
    world.expect_nothing(ada);
    let list = json!({"type": "members", "room": room, "metadata": true});
    let page = world.request(ada, &list);
    assert!(page["metadata"][world.id(bob)]["n"] == 1, "{page}");
}

/// A client waits for the shard that it asked; what it says next does not overtake that.
#[test]
fn outcomes_come_in_the_order_of_the_requests() {
    let mut world = World::of_shards(quiet(), 2);
    let room = room_at(&world, ShardId(1));
    let ada = world.connect(); // on shard 0
    world.driver().machine_mut().set_lag(slow(1_000));
    for (id, message) in [
        json!({"type": "join", "room": room}),
        json!({"type": "ping"}),
        say(&room, 1),
        json!({"type": "members", "room": room}),
        json!({"type": "leave", "room": room}),
        json!({"type": "leave", "room": room}),
        json!({"type": "ping"}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut message = message;
        message["id"] = json!(id);
        world.post_json(ada, &message);
    }
    world.settle();
    world.expect_nothing(ada);
    world.advance_ms(20);
    let outcomes = world.all(ada);
    let ids: Vec<_> = outcomes.iter().map(|o| o["id"].as_u64()).collect();
    assert_eq!(ids, (0..7).map(Some).collect::<Vec<_>>(), "{outcomes:?}");
    let kinds: Vec<_> = outcomes
        .iter()
        .map(|o| o["type"].as_str().expect("a type"))
        .collect();
    let expected = [
        "joined_room",
        "pong",
        "ack",
        "members",
        "left_room",
        "error",
        "pong",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(outcomes[5]["code"], "no_such_room");
}

/// A shard that does not answer holds nobody up for ever.
#[test]
fn a_request_that_nobody_answers_fails_in_time() {
    let mut world = World::of_shards(quiet(), 2);
    let room = room_at(&world, ShardId(1));
    let (ada, bob) = (world.connect(), world.connect());
    world.driver().machine_mut().set_lag(slow(8_000_000));
    world.post_json(ada, &json!({"type": "join", "room": room, "id": 1}));
    world.post_json(ada, &json!({"type": "ping", "id": 2}));
    world.advance_ms(4_999);
    world.expect_nothing(ada);
    world.advance_ms(1);
    let error = world.expect(ada, "error");
    assert_eq!(
        (&error["code"], &error["id"]),
        (&json!("internal"), &json!(1))
    );
    assert_eq!(world.expect(ada, "pong")["id"], 2);
    assert_eq!(world.stats().relay_timeouts, 1);
    // The join arrives, and so does the news that it is not wanted any more.
    world.advance_ms(60_000);
    world.expect_nothing(ada);
    assert_eq!(world.stats().rooms, 0);
    world.driver().machine_mut().set_lag(slow(0));
    assert_eq!(world.join(bob, &room)["total"], 1);
}

/// Whoever is gone before the answer comes leaves nothing behind.
#[test]
fn a_client_that_goes_while_it_waits_is_no_member() {
    for how in 0..3 {
        let mut world = World::of_shards(quiet(), 2);
        let room = room_at(&world, ShardId(1));
        let ada = world.connect();
        world.driver().machine_mut().set_lag(slow(1_000));
        world.post_json(ada, &json!({"type": "join", "room": room}));
        world.settle();
        match how {
            0 => world.reset(ada),
            1 => world.finish(ada),
            _ => world.command(Command::Close {
                connection: world.connection(ada),
                code: 1000,
                reason: String::new(),
                reconnect_after_ms: None,
            }),
        }
        world.advance_ms(60_000);
        assert_eq!(world.stats().rooms, 0, "{how}");
        world.assert_empty();
    }
}

/// Past `limits.max_relay_bytes` clients wait instead of being dropped, and only those that need that link.
#[test]
fn a_full_link_holds_back_those_who_need_it() {
    let mut config = quiet();
    config.limits.max_relay_bytes = 10_000;
    let mut world = World::of_shards(config, 2);
    let (near, far) = (room_at(&world, ShardId(0)), room_at(&world, ShardId(1)));
    let (ada, bob, cyd) = (world.connect(), world.connect(), world.connect());
    for client in [ada, bob, cyd] {
        world.join(client, &far);
        world.join(client, &near);
    }
    world.advance_ms(100);
    world.forget();
    world.driver().machine_mut().set_lag(slow(1_000_000));
    let text = "x".repeat(1_000);
    for number in 0..50 {
        let mut message = say(&far, format!("{number} {text}"));
        message["id"] = json!(number);
        world.post_json(ada, &message);
    }
    world.settle();
    let acked = world.all(ada).len();
    assert!((5..15).contains(&acked), "{acked}");
    let held: usize = world.machine().servers().map(|s| s.memory().relay).sum();
    assert!(held < 40_000, "{held}");
    // Cyd is on the same shard, and speaks where that shard is at home: bob is elsewhere, and it is not full there.
    assert_eq!(world.shard(ada), world.shard(cyd));
    assert_eq!(world.request(cyd, &json!({"type": "ping"}))["type"], "pong");
    world.advance_ms(100_000);
    assert_eq!(world.all(ada).len() + acked, 50);
    for reader in [bob, cyd] {
        let heard = all_of(&mut world, reader, "room_message");
        let numbers: Vec<_> = heard
            .iter()
            .map(|m| {
                m["data"]
                    .as_str()
                    .and_then(|d| d.split(' ').next()?.parse().ok())
            })
            .collect();
        assert_eq!(numbers, (0..50).map(Some).collect::<Vec<Option<u64>>>());
    }
}

/// Whoever has waited for a link goes on with what it has said since, whether or not the rest needs the link.
#[test]
fn what_comes_after_a_wait_for_a_link_is_done_at_once() {
    let mut config = quiet();
    config.limits.max_relay_bytes = 1_024;
    let mut world = World::of_shards(config, 2);
    let room = room_at(&world, ShardId(1));
    let ada = world.connect();
    world.join(ada, &room);
    let typing = json!({"type": "typing_start", "room": room});
    world.send(ada, &typing);
    world.driver().machine_mut().set_lag(slow(1_000));
    world.post_json(ada, &say(&room, "x".repeat(2_000)));
    // It waits, and then has nothing to tell anybody: it types already.
    world.post_json(ada, &typing);
    world.post_json(ada, &json!({"type": "ping", "id": 1}));
    world.settle();
    world.expect_nothing(ada);
    // The message arrives there, and the news of it here; nothing else happens.
    world.sleep();
    world.sleep();
    assert_eq!(world.expect(ada, "pong")["id"], 1);
}

/// A text that took long to read, and then waits for a link, is read once; what is kept of it counts until it goes.
// covers A8-01
#[test]
fn what_waits_for_a_link_is_read_once() {
    for leaves in [false, true] {
        let mut config = quiet();
        config.limits.max_relay_bytes = 1_024;
        config.offload.min_bytes = 1_024;
        let mut world = World::of_shards(config, 2);
        let room = room_at(&world, ShardId(1));
        let (ada, bob) = (world.connect(), world.connect());
        world.join(ada, &room);
        world.join(bob, &room);
        world.forget();
        world.driver().set_pool(4);
        world.driver().machine_mut().set_lag(slow(1_000));
        let text = "x".repeat(2_000);
        for number in 0..3 {
            world.post_json(ada, &say(&room, format!("{number} {text}")));
        }
        world.post_json(ada, &json!({"type": "ping", "id": 1}));
        world.settle();
        // The first fills the link, and the second waits for it.
        for _ in 0..2 {
            world.driver().run_job(0);
            world.settle();
        }
        assert!(world.driver().jobs().is_empty());
        let held = world.stats().buffered_bytes;
        assert!(held > text.len(), "{held}");
        if leaves {
            world.reset(ada);
        }
        for _ in 0..10 {
            world.advance_ms(20);
            assert!(world.driver().jobs().len() <= 1);
            if !world.driver().jobs().is_empty() {
                world.driver().run_job(0);
                world.settle();
            }
        }
        let heard = all_of(&mut world, bob, "room_message").len();
        let stats = world.stats();
        if leaves {
            assert_eq!((heard, stats.jobs), (1, 2));
        } else {
            assert_eq!((heard, stats.jobs), (3, 3));
            assert_eq!(world.expect(ada, "pong")["id"], 1);
        }
        assert_eq!((stats.buffered_bytes, stats.refused), (0, 0));
    }
}

/// A member that asks for the list by joining again, and is taken out before it comes, joins once more: it is in the
/// room where it says so.
#[test]
fn whoever_is_taken_out_while_it_joins_again_is_a_member_after_that() {
    let mut world = World::of_shards(quiet(), 2);
    let room = room_at(&world, ShardId(1));
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, &room);
    world.join(bob, &room);
    world.forget();
    world.driver().machine_mut().set_lag(slow(1_000));
    world.post_json(ada, &json!({"type": "join", "room": room, "id": 1}));
    world.settle();
    world.command(Command::Kick {
        connection: world.connection(ada),
        room: room.clone(),
    });
    world.expect(ada, "left_room");
    world.advance_ms(20);
    let joined = world.expect(ada, "joined_room");
    assert_eq!((&joined["id"], &joined["total"]), (&json!(1), &json!(2)));
    assert_eq!(world.expect(bob, "member_left")["reason"], "kicked");
    world.expect(bob, "member_joined");
    world.post_json(bob, &say(&room, 1));
    world.advance_ms(20);
    world.expect(ada, "room_message");
}

/// A room's name that is none is refused at once: no link is waited for.
#[test]
fn a_name_that_is_none_waits_for_no_link() {
    let mut config = quiet();
    config.limits.max_relay_bytes = 1_024;
    let mut world = World::of_shards(config, 2);
    let (_, bob) = (world.connect(), world.connect());
    world.driver().machine_mut().set_lag(slow(1_000_000));
    // Broadcasts go over the first shard's link, which is full now.
    world.post_json(
        bob,
        &json!({"type": "broadcast", "data": "x".repeat(2_000)}),
    );
    world.settle();
    world.post_json(bob, &json!({"type": "join", "room": ""}));
    world.settle();
    assert_eq!(world.expect(bob, "error")["code"], "invalid_room");
}

/// What every client is told together has one order, too.
#[test]
fn broadcasts_have_one_order() {
    let mut world = World::of_shards(quiet(), 3);
    let clients = world.connect_many(6);
    world.driver().machine_mut().set_lag(Lag {
        rng: Rng::new(3),
        most_us: 5_000,
        stalls_per_mille: 0,
        stall_us: 0,
    });
    for number in 0..60 {
        let from = clients[number % 6];
        world.post_json(from, &json!({"type": "broadcast", "data": number}));
        world.advance_us(700);
    }
    world.advance_ms(1_000);
    let orders: Vec<Vec<_>> = clients
        .iter()
        .map(|&client| {
            let heard = all_of(&mut world, client, "broadcast");
            heard.iter().filter_map(|m| m["data"].as_u64()).collect()
        })
        .collect();
    for (number, order) in orders.iter().enumerate() {
        assert_eq!(order.len(), 50);
        let own = |&n: &u64| n as usize % 6 == number || n as usize % 6 == (number + 1) % 6;
        let next = &orders[(number + 1) % 6];
        let ours: Vec<_> = order.iter().filter(|n| !own(n)).collect();
        let theirs: Vec<_> = next.iter().filter(|n| !own(n)).collect();
        assert_eq!(ours, theirs);
    }
}

/// All connections of an address count together, wherever they are.
#[test]
fn an_address_has_its_limit_on_all_shards_together() {
    let mut config = quiet();
    config.limits.max_connections_per_ip = Some(4);
    let mut world = World::of_shards(config, 3);
    let from = |ip: &str| Upgrade {
        peer: roomwire_core::PeerAddr::Inet(format!("{ip}:5000").parse().expect("an address")),
        ..Upgrade::default()
    };
    let mut clients: Vec<_> = (0..4)
        .map(|_| world.connect_as(&from("10.0.0.1")))
        .collect();
    for _ in 0..3 {
        assert!(world.try_accept(&from("10.0.0.1")).is_none());
    }
    assert_eq!(world.stats().refused_addresses, 3);
    world.connect_as(&from("10.0.0.2"));
    let first = clients.remove(0);
    world.close(first);
    world.advance_ms(10);
    world.connect_as(&from("10.0.0.1"));
}

/// What an address has said on one shard it cannot say again on another.
#[test]
fn an_address_gains_nothing_by_another_shard() {
    let mut config = quiet();
    config.rate_limit.enabled = true;
    config.rate_limit.messages = 10;
    config.rate_limit.address_factor = 1;
    let mut world = World::of_shards(config, 3);
    let clients = world.connect_many(3);
    for _ in 0..10 {
        world.request(clients[0], &json!({"type": "hello"}));
    }
    for &client in &clients {
        let outcome = world.request(client, &json!({"type": "hello", "id": 1}));
        assert_eq!(outcome["code"], "rate_limited");
    }
}

/// The program around the server reaches every room and every client.
#[test]
fn commands_reach_all_shards() {
    let mut config = quiet();
    config.application_types = vec!["dice".to_owned()];
    let mut world = World::of_shards(config, 3);
    let clients = world.connect_many(3);
    for home in 0..3 {
        let room = room_at(&world, ShardId(home));
        for &client in &clients {
            world.join(client, &room);
        }
        world.forget();
        let message = r#"{"type":"news"}"#.to_owned();
        world.command(Command::Publish {
            room: room.clone(),
            message,
        });
        for &client in &clients {
            world.expect(client, "news");
        }
        world.command(Command::Kick {
            connection: world.connection(clients[1]),
            room: room.clone(),
        });
        world.expect(clients[1], "left_room");
        for other in [clients[0], clients[2]] {
            assert_eq!(world.expect(other, "member_left")["reason"], "kicked");
        }
    }
    for &client in &clients {
        world.send(client, &json!({"type": "dice", "id": 1}));
        let events = world.events();
        let [Event::Application { request, .. }] = events.as_slice() else {
            panic!("{events:?}");
        };
        let outcome = Outcome::Ack;
        let request = *request;
        world.command(Command::Reply { request, outcome });
        world.expect(client, "ack");
    }
}

/// Connections that come and go while a shard hears nothing leave it no more to hear than how many there are.
#[test]
fn news_does_not_pile_up() {
    let mut config = quiet();
    config.limits.max_connections_per_ip = Some(10);
    config.limits.max_connections = Some(20);
    let mut world = World::of_shards(config, 2);
    world.driver().machine_mut().set_lag(slow(3_600_000_000));
    let held =
        |world: &World| -> usize { world.machine().servers().map(|s| s.memory().relay).sum() };
    let mut before = 0;
    for round in 0..2_000 {
        if let Some(client) = world.try_accept(&Upgrade::default()) {
            world.reset(client);
        }
        if round == 100 {
            before = held(&world);
        }
    }
    assert!(held(&world) <= before, "{} after {before}", held(&world));
}

/// An answer that comes too late is not taken for that of a later request.
#[test]
fn a_late_answer_answers_nothing_else() {
    let mut world = World::of_shards(quiet(), 2);
    let mut names = (0..).map(|number| format!("room {number}"));
    let mut there = || {
        let found = names.find(|name| world.machine().home_of(name) == ShardId(1));
        found.expect("names do not run out")
    };
    let (first, second) = (there(), there());
    let ada = world.connect();
    world.driver().machine_mut().set_lag(slow(8_000_000));
    world.post_json(ada, &json!({"type": "join", "room": first, "id": 1}));
    world.settle();
    // What comes after it arrives with it.
    world.driver().machine_mut().set_lag(slow(0));
    world.advance_ms(6_000);
    assert_eq!(world.expect(ada, "error")["id"], 1);
    world.post_json(ada, &json!({"type": "join", "room": second, "id": 2}));
    world.advance_ms(3_000);
    let joined = world.expect(ada, "joined_room");
    assert_eq!(
        (&joined["id"], &joined["room"]),
        (&json!(2), &json!(second))
    );
    world.expect_nothing(ada);
    assert_eq!(world.stats().rooms, 1);
}

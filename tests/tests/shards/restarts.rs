//! A shard that fails and begins anew: the others go on, and in the end everybody knows the same.

use roomwire_core::ShardId;
use roomwire_core::config::RoomRule;
use roomwire_core::server::Command;
use roomwire_tests::{Lag, Rng, World};
use serde_json::json;

use crate::{quiet, room_at, say};

/// Links over which everything takes so long.
fn late(stall_us: u64) -> Lag {
    Lag {
        rng: Rng::new(1),
        most_us: 0,
        stalls_per_mille: 1_000,
        stall_us,
    }
}

/// Whoever was connected to it has left.
#[test]
fn its_clients_have_left_the_rooms_of_others() {
    let mut world = World::of_shards(quiet(), 2);
    let room = room_at(&world, ShardId(0));
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, &room);
    world.join(bob, &room);
    world.forget();
    let lost = world.id(bob).to_owned();
    world.restart(ShardId(1));
    let left = world.expect(ada, "member_left");
    assert_eq!(left["clientId"], lost);
    assert_eq!(left["reason"], "disconnected");
    let private = json!({"type": "private_message", "to": lost, "data": 1});
    assert_eq!(world.refused(ada, &private), "target_not_found");
    assert_eq!(world.stats().shard_restarts, 1);
}

/// Rooms that had their home there live on with who is left: these are told that members have gone.
#[test]
fn its_rooms_live_on() {
    let mut world = World::of_shards(quiet(), 3);
    let room = room_at(&world, ShardId(1));
    let clients = world.connect_many(6);
    for &client in &clients {
        world.join(client, &room);
    }
    world.forget();
    let left: Vec<_> = clients
        .iter()
        .copied()
        .filter(|&client| world.shard(client) != ShardId(1))
        .collect();
    world.restart(ShardId(1));
    for &client in &left {
        let told = world.all(client);
        let last = told.last().expect("it is told");
        assert_eq!(last["type"], "members_changed", "{told:?}");
        assert_eq!(last["total"], 4);
        let gone: u64 = told.iter().filter_map(|t| t["left"].as_u64()).sum();
        assert!(gone >= 2, "{told:?}");
        let page = world.request(client, &json!({"type": "members", "room": room}));
        assert_eq!(page["members"].as_array().map(Vec::len), Some(4));
    }
    assert_eq!(world.request(left[0], &say(&room, 1))["type"], "ack");
    for &other in &left[1..] {
        world.expect(other, "room_message");
    }
    let new = world.connect();
    assert_eq!(world.join(new, &room)["total"], 5);
}

/// What was asked of it is not waited for.
#[test]
fn what_it_was_asked_fails() {
    let mut world = World::of_shards(quiet(), 2);
    let room = room_at(&world, ShardId(1));
    let (ada, _) = (world.connect(), world.connect());
    world.driver().machine_mut().set_lag(late(100_000));
    world.post_json(ada, &json!({"type": "join", "room": room, "id": 1}));
    world.settle();
    world.restart(ShardId(1));
    world.advance_ms(150);
    let error = world.expect(ada, "error");
    assert_eq!(
        (&error["code"], &error["id"]),
        (&json!("internal"), &json!(1))
    );
    // The request was still on its way: what it asked for is taken back.
    world.advance_ms(1_000);
    world.expect_nothing(ada);
    assert_eq!(world.stats().rooms, 0);
    assert_eq!(world.stats().relay_timeouts, 0);
}

/// The first shard is the home of everybody: broadcasts go on without its former life.
#[test]
fn broadcasts_outlive_the_first_shard() {
    let mut world = World::of_shards(quiet(), 2);
    let (_, bob) = (world.connect(), world.connect());
    world.restart(ShardId(0));
    let cyd = world.connect();
    world.forget();
    world.request(bob, &json!({"type": "broadcast", "data": 1}));
    assert_eq!(world.expect(cyd, "broadcast")["data"], 1);
    world.request(cyd, &json!({"type": "broadcast", "data": 2}));
    assert_eq!(world.expect(bob, "broadcast")["data"], 2);
}

/// Whoever connects to its new life is one of everybody, before others have heard of it.
#[test]
fn broadcasts_reach_its_new_clients_at_once() {
    let mut world = World::of_shards(quiet(), 2);
    let (ada, _) = (world.connect(), world.connect());
    world.driver().machine_mut().set_lag(late(1_000_000));
    world.restart(ShardId(1));
    world.driver().machine_mut().set_lag(late(0));
    let (_, cyd) = (world.connect(), world.connect());
    assert_eq!(world.shard(cyd), ShardId(1));
    assert_eq!(world.stats().shard_restarts, 0);
    world.send(ada, &json!({"type": "broadcast", "data": 1}));
    assert_eq!(world.expect(cyd, "broadcast")["data"], 1);
}

/// Two that fail, one after the other: that the first has begun anew is known to the second one's new life, too, which
/// was not there to hear of it.
#[test]
fn a_failure_is_heard_of_by_who_fails_next() {
    let mut world = World::of_shards(quiet(), 2);
    let room = room_at(&world, ShardId(0));
    let (_, bob) = (world.connect(), world.connect());
    world.driver().machine_mut().set_lag(late(10_000));
    // As much as may be on its way: there is no room for a word that the failure was heard of.
    for number in 0..4 {
        world.send(bob, &json!({"type": "broadcast", "data": number}));
    }
    world.driver().machine_mut().set_lag(late(1_000));
    world.restart(ShardId(0));
    world.advance_us(1_500);
    assert_eq!(world.stats().shard_restarts, 1);
    world.restart(ShardId(1));
    world.advance_ms(100);
    let (ada, bob) = (world.connect(), world.connect());
    for client in [ada, bob] {
        world.post_json(client, &json!({"type": "join", "room": room}));
    }
    world.advance_ms(100);
    assert_eq!(world.expect(ada, "joined_room")["total"], 1);
    assert_eq!(world.expect(bob, "joined_room")["total"], 2);
    assert_eq!(world.stats().relay_timeouts, 0);
}

/// Who leaves a room whose home is saying goodbye, and comes back, is not announced twice.
#[test]
fn while_it_says_goodbye_its_rooms_hear_who_leaves() {
    let mut world = World::of_shards(quiet(), 3);
    let room = room_at(&world, ShardId(2));
    let (ada, bob) = (world.connect(), world.connect());
    for client in [ada, bob] {
        assert_ne!(world.shard(client), ShardId(2));
        world.join(client, &room);
    }
    world.forget();
    // Somebody there does not read: it waits for that one.
    let deaf = world.connect();
    assert_eq!(world.shard(deaf), ShardId(2));
    world.stall(deaf);
    world.abandon(ShardId(2));
    let leave = json!({"type": "leave", "room": room});
    assert_eq!(world.request(bob, &leave)["type"], "left_room");
    assert_eq!(world.expect(ada, "member_left")["reason"], "left");
    world.join(bob, &room);
    world.expect(ada, "member_joined");
}

/// Whose join is given up while the room's home is saying goodbye, and who joins again, is not announced twice either.
#[test]
fn while_it_says_goodbye_its_rooms_hear_whose_join_is_given_up() {
    let mut config = quiet();
    config.timeouts.relay_ms = 300;
    let mut world = World::of_shards(config, 3);
    let room = room_at(&world, ShardId(2));
    let (ada, bob, deaf) = (world.connect(), world.connect(), world.connect());
    assert_eq!(world.shard(deaf), ShardId(2));
    world.join(ada, &room);
    world.stall(deaf);
    world.abandon(ShardId(2));
    let far = world.shard(bob);
    let machine = world.driver().machine_mut();
    machine.hold(far, ShardId(2), 500_000);
    let join = json!({"type": "join", "room": room});
    world.post_json(bob, &join);
    world.advance_ms(300);
    assert_eq!(world.expect(bob, "error")["code"], "internal");
    world.post_json(bob, &join);
    world.expect_nothing(ada);
    world.advance_ms(200);
    assert_eq!(world.expect(bob, "joined_room")["total"], 2);
    for kind in ["member_joined", "member_left", "member_joined"] {
        assert_eq!(world.expect(ada, kind)["clientId"], world.id(bob));
    }
    world.expect_nothing(ada);
}

/// While everyone leaves nobody is told of each, with whatever code they are told to go.
#[test]
fn a_drain_is_quiet() {
    for code in [1012, 1011] {
        let mut config = quiet();
        config.drain.code = code;
        let mut world = World::of_shards(config, 3);
        let room = room_at(&world, ShardId(0));
        for client in world.connect_many(9) {
            world.join(client, &room);
        }
        let before = world.stats().published;
        world.command(Command::Drain);
        world.settle();
        assert_eq!(world.stats().published, before, "{code}");
        assert_eq!(world.stats().rooms, 0);
    }
}

/// What its rooms kept is gone, and their members know.
#[test]
fn logs_begin_anew() {
    let mut config = quiet();
    config.rooms = vec![RoomRule {
        history_messages: 9,
        ..RoomRule::default()
    }];
    let mut world = World::of_shards(config, 3);
    let room = room_at(&world, ShardId(2));
    let clients = [world.connect(), world.connect()];
    let mut epoch = json!(null);
    for client in clients {
        assert_ne!(world.shard(client), ShardId(2));
        epoch = world.join(client, &room)["history"]["epoch"].clone();
    }
    let [ada, bob] = clients;
    world.request(ada, &say(&room, 1));
    world.forget();
    world.restart(ShardId(2));
    let told: Vec<_> = clients.map(|client| world.all(client)).concat();
    let resets: Vec<_> = told.iter().filter(|it| it["type"] == "reset").collect();
    assert!(resets.len() >= 2, "{told:?}");
    let last = *resets.last().expect("one at least");
    assert_ne!(last["epoch"], epoch);
    assert_eq!((&last["room"], &last["last"]), (&json!(room), &json!(0)));
    world.request(ada, &say(&room, 2));
    assert_eq!(world.expect(bob, "room_message")["offset"], 1);
    let history = json!({"type": "history", "room": room, "epoch": epoch, "after": 1});
    let page = world.request(bob, &history);
    assert_eq!(
        (&page["reset"], &page["epoch"]),
        (&json!(true), &last["epoch"])
    );
    assert_eq!(page["messages"][0]["data"], 2);
}

/// A home that has begun anew hears of one shard's members when those of another have left again: the room that was
/// about to go stays.
#[test]
fn a_room_that_lingers_is_restored() {
    let mut config = quiet();
    config.rooms = vec![RoomRule {
        linger_ms: 1_000,
        ..RoomRule::default()
    }];
    let mut world = World::of_shards(config, 3);
    let room = room_at(&world, ShardId(2));
    let (ada, bob) = (world.connect(), world.connect());
    for client in [ada, bob] {
        world.join(client, &room);
    }
    let (near, far) = (world.shard(ada), world.shard(bob));
    assert!(near != far && near != ShardId(2) && far != ShardId(2));
    let machine = world.driver().machine_mut();
    machine.hold(ShardId(2), far, 500_000);
    machine.restart(ShardId(2));
    world.settle();
    let leave = json!({"type": "leave", "room": room});
    assert_eq!(world.request(ada, &leave)["type"], "left_room");
    world.advance_ms(500);
    world.forget();
    world.advance_ms(5_000);
    assert_eq!(world.join(ada, &room)["total"], 2);
    world.expect(bob, "member_joined");
}

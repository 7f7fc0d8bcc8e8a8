//! Sessions over several shards: who comes back may be connected to any of them, and so may its rooms.

use roomwire_core::ShardId;
use roomwire_core::config::Sessions;
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::{all_of, quiet, room_at};

pub(super) const AWAY_MS: u64 = 2_000;

/// How many stories are tried: `ROOMWIRE_SESSION_SEEDS`, with six returns in each.
fn seeds() -> u64 {
    let set = std::env::var("ROOMWIRE_SESSION_SEEDS").ok();
    set.map_or(200, |set| set.parse().expect("a number of seeds"))
}

fn world(shards: u8) -> World {
    let mut config = quiet();
    config.sessions = Sessions {
        window_ms: 10_000,
        away_ms: AWAY_MS,
        ..Sessions::default()
    };
    World::of_shards(config, shards)
}

/// Connected to that shard.
pub(super) fn connect_to(world: &mut World, shard: u8) -> Peer {
    loop {
        let peer = world.connect();
        if world.shard(peer) == ShardId(shard) {
            return peer;
        }
    }
}

pub(super) fn session(world: &mut World, peer: Peer) -> Value {
    let session = world.request(peer, &json!({"type": "resume"}));
    assert_eq!(session["type"], "session", "{session}");
    session
}

pub(super) fn resume(session: &Value) -> Value {
    json!({"type": "resume", "clientId": session["clientId"], "sessionSecret": session["sessionSecret"]})
}

pub(super) fn come_back(world: &mut World, shard: u8, session: &Value) -> Peer {
    let peer = connect_to(world, shard);
    let resumed = world.request(peer, &resume(session));
    assert_eq!(resumed["resumed"], true, "{resumed}");
    assert_eq!(resumed["clientId"], session["clientId"]);
    peer
}

/// From every shard over every shard to every shard, with a room at every home: nobody sees anything, and the client is
/// found.
#[test]
fn a_client_comes_back_anywhere() {
    for from in 0..3 {
        for over in 0..3 {
            for to in 0..3 {
                for (home, cut) in [(0, true), (1, false), (2, true), (0, false)] {
                    comes_back((from, over, to), home, cut);
                }
            }
        }
    }
}

/// `cut`: the old connection has ended when the new one comes.
fn comes_back((from, over, to): (u8, u8, u8), home: u8, cut: bool) {
    let way = format!("{from} {over} {to}, home {home}, cut {cut}");
    let mut world = world(3);
    let room = room_at(&world, ShardId(home));
    let friends = [
        connect_to(&mut world, 0),
        connect_to(&mut world, 1),
        connect_to(&mut world, 2),
    ];
    let bob = connect_to(&mut world, from);
    let session = session(&mut world, bob);
    world.request(
        bob,
        &json!({"type": "set_metadata", "metadata": {"name": "Bob"}}),
    );
    for peer in friends.into_iter().chain([bob]) {
        world.join(peer, &room);
    }
    world.forget();
    let mut at = bob;
    for next in [over, to] {
        if cut {
            world.reset(at);
        }
        at = come_back(&mut world, next, &session);
        let joined = world.join(at, &room);
        assert_eq!(joined["total"], 4, "{way}");
        world.settle();
    }
    world.advance_ms(2 * AWAY_MS);
    let id = &session["clientId"];
    for (number, friend) in friends.into_iter().enumerate() {
        let heard = world.all(friend);
        assert!(heard.is_empty(), "{way}: {heard:?}");
        let send = json!({"type": "private_message", "to": id, "data": number, "id": 1});
        assert_eq!(world.request(friend, &send)["type"], "ack", "{way}");
    }
    let heard = all_of(&mut world, at, "private_message");
    assert_eq!(heard.len(), 3, "{way}");
    let list = json!({"type": "members", "room": room, "metadata": true});
    let list = world.request(friends[1], &list);
    assert_eq!(list["members"].as_array().map(Vec::len), Some(4), "{way}");
    assert_eq!(
        list["metadata"][id.as_str().expect("an id")],
        json!({"name": "Bob"}),
        "{way}"
    );
    world.request(
        at,
        &json!({"type": "room_message", "room": room, "data": 1, "id": 1}),
    );
    for friend in friends {
        assert_eq!(
            all_of(&mut world, friend, "room_message")[0]["from"],
            *id,
            "{way}"
        );
    }
    // And leaves once.
    world.forget();
    world.request(at, &json!({"type": "leave", "room": room}));
    world.settle();
    for friend in friends {
        assert_eq!(all_of(&mut world, friend, "member_left").len(), 1, "{way}");
    }
}

/// With links that are late and stand still: whatever overtakes whatever, one connection has the session in the end, the
/// room has one member, and nobody has seen it leave or come.
#[test]
fn slow_links_show_no_blink() {
    for seed in 0..seeds() {
        let mut world = world(3);
        let mut rng = Rng::new(seed);
        let room = room_at(&world, ShardId(rng.below(3) as u8));
        let friend = connect_to(&mut world, rng.below(3) as u8);
        let mut at = connect_to(&mut world, rng.below(3) as u8);
        let session = session(&mut world, at);
        world.request(
            at,
            &json!({"type": "set_metadata", "metadata": {"name": "Bob"}}),
        );
        world.join(friend, &room);
        world.join(at, &room);
        world.forget();
        world.driver().machine_mut().set_lag(Lag {
            rng: Rng::new(seed),
            most_us: 20_000,
            stalls_per_mille: 100,
            stall_us: 100_000,
        });
        let join = json!({"type": "join", "room": room});
        let mut inbox = Inbox::default();
        for _ in 0..6 {
            for _ in 0..rng.below(4) {
                inbox.posted += 1;
                let data = inbox.posted;
                let send = json!({"type": "private_message", "to": session["clientId"], "data": data, "id": data});
                world.post_json(friend, &send);
            }
            inbox.read(&world.all(at), seed);
            if rng.one_in(2) {
                world.reset(at);
                world.advance_ms(rng.below(100) as u64);
            }
            at = connect_to(&mut world, rng.below(3) as u8);
            let mut resume = resume(&session);
            resume["after"] = inbox.last.into();
            world.post_json(at, &resume);
            if rng.one_in(2) {
                world.advance_ms(rng.below(100) as u64);
            }
            world.post_json(at, &join);
            world.advance_ms(rng.below(600) as u64);
        }
        world.advance_ms(2 * AWAY_MS);
        let told = world.all(friend);
        let (outcomes, heard): (Vec<_>, Vec<_>) =
            told.iter().partition(|it| it.get("id").is_some());
        assert!(heard.is_empty(), "seed {seed}: {heard:?}");
        assert_eq!(outcomes.len() as u64, inbox.posted, "seed {seed}");
        inbox.read(&world.all(at), seed);
        assert!(
            outcomes.iter().all(|it| it["type"] == "ack"),
            "seed {seed}: {outcomes:?}"
        );
        let sent: Vec<_> = outcomes.iter().filter_map(|it| it["id"].as_u64()).collect();
        assert_eq!(inbox.got, sent, "seed {seed}");
        let members = json!({"type": "members", "room": room, "metadata": true});
        world.post_json(friend, &members);
        world.advance_ms(1_000);
        let list = &all_of(&mut world, friend, "members")[0];
        assert_eq!(list["total"], 2, "seed {seed}: {list}");
        assert!(
            list["members"]
                .as_array()
                .is_some_and(|all| all.contains(&session["clientId"]))
        );
        let id = session["clientId"].as_str().expect("an id");
        assert_eq!(list["metadata"][id], json!({"name": "Bob"}), "seed {seed}");
        let send = json!({"type": "private_message", "to": id, "data": 1});
        world.post_json(friend, &send);
        world.advance_ms(1_000);
        assert_eq!(
            all_of(&mut world, at, "private_message").len(),
            1,
            "seed {seed}"
        );
    }
}

/// What a client has of what was sent to it alone, over all its connections.
#[derive(Default)]
struct Inbox {
    posted: u64,
    last: u64,
    got: Vec<u64>,
}

impl Inbox {
    fn read(&mut self, told: &[Value], seed: u64) {
        for message in told.iter().filter(|it| it["type"] == "private_message") {
            assert_eq!(message["offset"], self.last + 1, "seed {seed}: {message}");
            self.last += 1;
            self.got.push(message["data"].as_u64().expect("a number"));
        }
    }
}

/// A shard that fails takes the sessions along that it decides about; those of its clients that others decide about can
/// be taken up.
#[test]
fn what_a_failed_shard_leaves() {
    let mut world = world(3);
    let room = room_at(&world, ShardId(2));
    let friend = connect_to(&mut world, 2);
    world.join(friend, &room);
    let own = connect_to(&mut world, 0);
    let lost = session(&mut world, own);
    let other = connect_to(&mut world, 1);
    let kept = session(&mut world, other);
    let (_own, _other) = (own, other);
    world.reset(other);
    let moved = come_back(&mut world, 0, &kept);
    world.join(moved, &room);
    world.join(own, &room);
    world.forget();
    world.restart(ShardId(0));
    world.settle();
    world.advance_ms(100);
    let peer = connect_to(&mut world, 1);
    assert_eq!(world.refused(peer, &resume(&lost)), "stale_session");
    let back = come_back(&mut world, 1, &kept);
    world.join(back, &room);
    // Its place went with the shard.
    assert_eq!(all_of(&mut world, friend, "member_joined").len(), 1);
    // One whose id a failed shard had made is found there again.
    let made = connect_to(&mut world, 2);
    let session = session(&mut world, made);
    world.reset(made);
    let at = come_back(&mut world, 1, &session);
    world.restart(ShardId(2));
    world.advance_ms(100);
    let asks = connect_to(&mut world, 0);
    let send = json!({"type": "private_message", "to": session["clientId"], "data": 1, "id": 1});
    assert_eq!(world.request(asks, &send)["type"], "ack");
    assert_eq!(all_of(&mut world, at, "private_message").len(), 1);
}

/// The mail of a session goes with the shard that its client is connected to. What is sent to it from then on is told,
/// though its offsets begin anew.
#[test]
fn mail_that_is_lost_hides_none_that_comes_later() {
    let mut world = world(3);
    let friend = connect_to(&mut world, 2);
    let first = connect_to(&mut world, 1);
    let session = session(&mut world, first);
    world.reset(first);
    let moved = come_back(&mut world, 0, &session);
    let write = |world: &mut World, data: u64| {
        let message =
            json!({"type": "private_message", "to": session["clientId"], "data": data, "id": 1});
        assert_eq!(world.request(friend, &message)["type"], "ack");
    };
    for number in 1..=3 {
        write(&mut world, number);
    }
    assert_eq!(all_of(&mut world, moved, "private_message").len(), 3);
    world.restart(ShardId(0));
    world.settle();
    world.advance_ms(100);
    write(&mut world, 4);
    let back = connect_to(&mut world, 1);
    let mut resume = resume(&session);
    resume["after"] = 3.into();
    let resumed = world.request(back, &resume);
    assert_eq!(
        (&resumed["resumed"], &resumed["last"]),
        (&json!(true), &json!(1))
    );
    write(&mut world, 5);
    let told = all_of(&mut world, back, "private_message");
    let told = told
        .iter()
        .map(|it| (it["offset"].as_u64(), it["data"].as_u64()));
    let expected = [(1, 4), (2, 5)].map(|(offset, data)| (Some(offset), Some(data)));
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

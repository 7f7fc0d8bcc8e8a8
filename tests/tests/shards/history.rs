//! What a room keeps lies at its home, wherever its members are.

use roomwire_core::ShardId;
use roomwire_core::config::RoomRule;
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::{quiet, room_at, say};

fn keeping() -> World {
    let mut config = quiet();
    config.rooms = vec![RoomRule {
        history_messages: 1_000,
        ..RoomRule::default()
    }];
    World::of_shards(config, 3)
}

/// Two clients of each shard, in a room whose home is the second.
fn in_a_room(world: &mut World) -> (String, Vec<Peer>) {
    let room = room_at(world, ShardId(1));
    let clients = world.connect_many(6);
    for &client in &clients {
        assert_eq!(world.join(client, &room)["history"]["last"], 0);
    }
    world.forget();
    (room, clients)
}

fn page(world: &mut World, client: Peer, room: &str, after: u64) -> Value {
    let request = json!({"type": "history", "room": room, "after": after});
    let page = world.request(client, &request);
    assert_eq!(page["type"], "history", "{page}");
    page
}

/// Everyone asks for the same log, page by page, and hears its messages with the same offsets.
#[test]
fn all_shards_see_one_log() {
    let mut world = keeping();
    let (room, clients) = in_a_room(&mut world);
    world.driver().machine_mut().set_lag(Lag {
        rng: Rng::new(3),
        most_us: 20_000,
        stalls_per_mille: 50,
        stall_us: 300_000,
    });
    for round in 0..40 {
        for &client in &clients {
            world.send(client, &say(&room, round));
        }
    }
    world.advance_ms(5_000);
    world.driver().machine_mut().set_lag(Lag {
        rng: Rng::new(3),
        most_us: 0,
        stalls_per_mille: 0,
        stall_us: 0,
    });
    let first = page(&mut world, clients[0], &room, 0);
    assert_eq!(
        (&first["last"], &first["more"]),
        (&json!(240), &json!(true))
    );
    let mut log = Vec::new();
    while log.len() < 240 {
        let next = page(&mut world, clients[0], &room, log.len() as u64);
        let messages = next["messages"].as_array().expect("messages").clone();
        assert!(!messages.is_empty() && next.get("gap").is_none());
        log.extend(messages);
    }
    let offsets: Vec<u64> = log.iter().filter_map(|it| it["offset"].as_u64()).collect();
    assert_eq!(offsets, (1..=240).collect::<Vec<_>>());
    for &client in &clients {
        let same = page(&mut world, client, &room, 200);
        assert_eq!(
            same["messages"].as_array().map(Vec::as_slice),
            Some(&log[200..])
        );
    }
    for &client in &clients {
        let own = world.id(client).to_owned();
        let of_others = log.iter().filter(|it| it["from"] != own.as_str());
        let of_others: Vec<_> = of_others.map(|it| (&it["offset"], &it["data"])).collect();
        let heard = world.all(client);
        let heard = heard.iter().filter(|it| it["type"] == "room_message");
        let heard: Vec<_> = heard.map(|it| (&it["offset"], &it["data"])).collect();
        assert_eq!(heard, of_others);
    }
}

/// Who waits for a page and leaves, or whose room's home is gone, waits for nothing.
#[test]
fn a_page_that_nobody_gives() {
    let mut world = keeping();
    let (room, clients) = in_a_room(&mut world);
    let ada = clients[0];
    world.driver().machine_mut().set_lag(Lag {
        rng: Rng::new(1),
        most_us: 0,
        stalls_per_mille: 1_000,
        stall_us: 60_000_000,
    });
    let request = json!({"type": "history", "room": room, "id": 7});
    world.send(ada, &request);
    world.expect_nothing(ada);
    world.advance_ms(5_000);
    let error = world.expect(ada, "error");
    assert_eq!(
        (&error["code"], &error["id"]),
        (&json!("internal"), &json!(7))
    );
    world.send(ada, &request);
    world.reset(ada);
    world.advance_ms(120_000);
}

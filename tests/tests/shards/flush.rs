//! What is held for a moment (`room.flush_delay_ms`), each shard holds for its own clients.

use roomwire_core::ShardId;
use roomwire_core::config::RoomRule;
use roomwire_core::server::Command;
use roomwire_tests::{Peer, World};
use serde_json::{Value, json};

use crate::{all_of, quiet, room_at, say};

const DELAY_MS: u64 = 500;

/// A world of three shards, two clients each, all of them members of a room that has its home in the middle; nothing is
/// held there now.
struct Table {
    world: World,
    room: String,
    clients: Vec<Peer>,
}

impl Table {
    fn new() -> Self {
        let mut config = quiet();
        config.rooms = vec![RoomRule {
            flush_delay_ms: Some(DELAY_MS),
            ..RoomRule::default()
        }];
        let mut world = World::of_shards(config, 3);
        let room = room_at(&world, ShardId(1));
        let clients = world.connect_many(6);
        for &client in &clients {
            world.join(client, &room);
        }
        world.advance_ms(4 * DELAY_MS);
        world.forget();
        Self {
            world,
            room,
            clients,
        }
    }

    /// One of the clients of a shard.
    fn at(&self, shard: u8) -> Peer {
        let here = |&&peer: &&Peer| self.world.shard(peer) == ShardId(shard);
        *self.clients.iter().find(here).expect("two at each")
    }

    /// Everybody but `from`.
    fn others(&self, from: Peer) -> Vec<Peer> {
        let all = self.clients.iter().copied();
        all.filter(|&peer| peer != from).collect()
    }

    /// Says something and hears that it was said.
    fn say(&mut self, from: Peer) {
        let reply = self.world.request(from, &say(&self.room, 1));
        assert_eq!(reply["type"], "ack");
    }

    /// The types of all that a client was told.
    fn told(&mut self, peer: Peer) -> Vec<Value> {
        let all = self.world.all(peer).into_iter();
        all.map(|message| message["type"].clone()).collect()
    }
}

#[test]
fn all_shards_hear_it_in_the_same_moment() {
    let mut table = Table::new();
    for from in table.clients.clone() {
        table.world.forget();
        let begun = table.world.driver().now().mono;
        table.say(from);
        for to in table.others(from) {
            table.world.expect_nothing(to);
        }
        assert_eq!(table.world.stats().held, 3);
        while table.world.stats().held > 0 {
            assert!(table.world.sleep());
        }
        let waited = table.world.driver().now().mono.saturating_since(begun);
        assert!(waited.as_millis() as u64 <= DELAY_MS, "{waited:?}");
        for to in table.others(from) {
            assert_eq!(all_of(&mut table.world, to, "room_message").len(), 1);
        }
        table.world.expect_nothing(from);
    }
}

/// Whoever is told something of its own, and be it the end, was told before what was said before, on each shard.
#[test]
fn nothing_overtakes_what_is_held() {
    let kick = |table: &Table, connection| Command::Kick {
        connection,
        room: table.room.clone(),
    };
    let close = |connection| Command::Close {
        connection,
        code: 1000,
        reason: String::new(),
        reconnect_after_ms: None,
    };
    for how in ["ping", "leave", "kick", "close", "drain"] {
        let mut table = Table::new();
        let from = table.at(1);
        table.say(from);
        table.world.advance_ms(10);
        let others = table.others(from);
        for &to in &others {
            let connection = table.world.connection(to);
            match how {
                "ping" => table.world.send(to, &json!({"type": "ping"})),
                "leave" => {
                    let leave = json!({"type": "leave", "room": table.room});
                    table.world.send(to, &leave);
                }
                "kick" => table.world.command(kick(&table, connection)),
                "close" => table.world.command(close(connection)),
                _ => {}
            }
        }
        if how == "drain" {
            table.world.command(Command::Drain);
        }
        table.world.advance_ms(2 * DELAY_MS);
        for to in others {
            let told = table.told(to);
            let answer = match how {
                "ping" => "pong",
                "leave" | "kick" => "left_room",
                _ => "closing",
            };
            assert_eq!(told[0], "room_message", "{how}: {told:?}");
            assert!(told.contains(&answer.into()), "{how}: {told:?}");
        }
        assert_eq!(table.world.stats().held, 0);
    }
}

#[test]
fn a_shard_that_begins_anew_holds_nothing() {
    for shard in 0..3 {
        let mut table = Table::new();
        let from = table.at((shard + 1) % 3);
        table.say(from);
        table.world.restart(ShardId(shard));
        table.world.advance_ms(2 * DELAY_MS);
        assert_eq!(table.world.stats().held, 0);
        for to in table.others(from) {
            let here = table.world.shard(to) == ShardId(shard);
            let heard = all_of(&mut table.world, to, "room_message").len();
            assert_eq!(heard, usize::from(!here), "{shard}");
        }
    }
}

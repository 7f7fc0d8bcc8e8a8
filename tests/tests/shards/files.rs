//! Files between shards: they leave most of a link to what people say.

use data_encoding::BASE64;
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::{quiet, room_at, say};

const PIECE: usize = 1_000;

/// Two clients of different shards, and another of the first's.
fn three(world: &mut World) -> (Peer, Peer, Peer) {
    let ada = world.connect();
    let mut other = |near: bool| loop {
        let peer = world.connect();
        if (world.shard(peer) == world.shard(ada)) == near {
            return peer;
        }
    };
    let (bob, cyd) = (other(false), other(true));
    (ada, bob, cyd)
}

/// Begins a file for a client, whose home is the sender's shard, or for a room: its number, and how much of it is wanted.
fn begin(
    world: &mut World,
    (sender, receiver): (Peer, Peer),
    room: Option<&str>,
    size: usize,
) -> (u64, usize) {
    let (key, to) = match room {
        Some(room) => ("room", room.to_owned()),
        None => ("to", world.id(receiver).to_owned()),
    };
    let start = json!({"type": "file_start", "transferId": "f", key: to, "name": "a.bin", "size": size, "mimeType": ""});
    let accepted = world.request(sender, &start);
    assert_eq!(accepted["type"], "file_accepted", "{accepted}");
    let transfer = accepted["transfer"].as_u64().expect("a number");
    world.forget();
    let credit = json!({"type": "file_credit", "transfer": transfer, "offset": 0, "window": size});
    world.send(receiver, &credit);
    world.advance_ms(1_000);
    let told = world.all(sender);
    let wanted = told.iter().find(|told| told["type"] == "file_wanted");
    let wanted = wanted.expect("to be asked for");
    (
        transfer,
        wanted["length"].as_u64().expect("a length") as usize,
    )
}

fn piece(transfer: u64, number: usize) -> Value {
    let data = BASE64.encode(&[number as u8; PIECE]);
    json!({"type": "file_chunk", "transfer": transfer, "offset": number * PIECE, "data": data, "encoding": "base64"})
}

/// Nothing arrives for as long.
fn stall(world: &mut World, us: u64) {
    world.driver().machine_mut().set_lag(Lag {
        rng: Rng::new(1),
        most_us: 0,
        stalls_per_mille: 1_000,
        stall_us: us,
    });
}

/// Whoever sends a file faster than the other shard takes it waits at half of the link: the others do not.
#[test]
fn pieces_of_files_leave_room_for_talk() {
    for to_room in [false, true] {
        leave_room_for_talk(to_room);
    }
}

fn leave_room_for_talk(to_room: bool) {
    let mut config = quiet();
    config.limits.max_relay_bytes = 20_000;
    let mut world = World::of_shards(config, 2);
    let (ada, bob, cyd) = three(&mut world);
    let room = room_at(&world, world.shard(bob));
    for client in [ada, bob, cyd] {
        world.join(client, &room);
    }
    let pieces = 40;
    let to = to_room.then_some(room.as_str());
    let (transfer, wanted) = begin(&mut world, (ada, bob), to, pieces * PIECE);
    assert_eq!(wanted, pieces * PIECE);
    world.forget();
    stall(&mut world, 1_000_000);
    for number in 0..pieces {
        world.post_json(ada, &piece(transfer, number));
    }
    world.post_json(ada, &json!({"type": "ping", "id": 1}));
    world.settle();
    // Ada waits, and nothing of hers overtakes that.
    assert!(world.all(ada).iter().all(|told| told["type"] != "pong"));
    let held: usize = world.machine().servers().map(|s| s.memory().relay).sum();
    assert!(held < 14_000, "{held}");
    for number in 0..5 {
        let mut message = say(&room, "x".repeat(PIECE));
        message["id"] = json!(number);
        assert_eq!(world.request(cyd, &message)["type"], "ack");
    }
    // Everything comes in the end.
    world.advance_ms(200_000);
    let told = world.all(ada);
    assert!(told.iter().any(|told| told["type"] == "pong"));
    let heard = world.all(bob);
    let came = |kind| heard.iter().filter(|heard| heard["type"] == kind).count();
    assert_eq!(came("room_message"), 5);
    let bytes = heard.iter().filter(|heard| heard["type"] == "file_chunk");
    let bytes = bytes.filter_map(|chunk| BASE64.decode(chunk["data"].as_str()?.as_bytes()).ok());
    assert_eq!(bytes.map(|data| data.len()).sum::<usize>(), pieces * PIECE);
}

/// A link that talk has filled holds pieces back as well, and then both go on in the order in which they came.
#[test]
fn a_full_link_holds_pieces_back_too() {
    let mut config = quiet();
    config.limits.max_relay_bytes = 4_000;
    let mut world = World::of_shards(config, 2);
    let (ada, bob, cyd) = three(&mut world);
    let room = room_at(&world, world.shard(bob));
    for client in [bob, cyd] {
        world.join(client, &room);
    }
    let (transfer, _) = begin(&mut world, (ada, bob), None, 2 * PIECE);
    world.forget();
    stall(&mut world, 1_000_000);
    for number in 0..20 {
        let mut message = say(&room, format!("{number} {}", "x".repeat(PIECE)));
        message["id"] = json!(number);
        world.post_json(cyd, &message);
    }
    world.settle();
    assert!(world.all(cyd).len() < 10);
    for number in 0..2 {
        world.post_json(ada, &piece(transfer, number));
    }
    world.post_json(ada, &json!({"type": "ping", "id": 1}));
    world.settle();
    world.expect_nothing(ada);
    world.advance_ms(200_000);
    let told = world.all(ada);
    assert!(told.iter().any(|told| told["type"] == "pong"));
    let heard = world.all(bob);
    let at = |kind: &str| {
        let came = heard
            .iter()
            .enumerate()
            .filter(|(_, heard)| heard["type"] == kind);
        came.map(|(at, _)| at).collect::<Vec<_>>()
    };
    let (said, chunks) = (at("room_message"), at("file_chunk"));
    assert_eq!(said.len(), 20);
    assert!(!chunks.is_empty());
    assert!(chunks[0] < said[19], "{chunks:?} behind all of {said:?}");
}

//! Files that one shard is the home of and clients of another take: what is on its way between them when a receiver leaves.

use roomwire_core::ShardId;
use roomwire_core::server::Command;
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::{quiet, room_at};

/// Everything takes so long between shards.
fn late(us: u64) -> Lag {
    Lag {
        rng: Rng::new(1),
        most_us: 0,
        stalls_per_mille: 1_000,
        stall_us: us,
    }
}

/// A file of six bytes, "abcdef", on its way to a client of another shard.
struct Scene {
    world: World,
    sender: Peer,
    receiver: Peer,
    /// It has its home where the receiver is.
    room: String,
    transfer: u64,
}

impl Scene {
    /// The file has been offered.
    fn new() -> Self {
        let mut config = quiet();
        config.files.gather_ms = 0;
        config.timeouts.relay_ms = 300;
        let mut world = World::of_shards(config, 2);
        let room = room_at(&world, ShardId(1));
        let (sender, receiver) = (world.connect(), world.connect());
        assert_eq!(world.shard(receiver), ShardId(1));
        for client in [sender, receiver] {
            world.join(client, &room);
        }
        world.forget();
        let start = json!({"type": "file_start", "transferId": "f", "room": room, "name": "a.txt", "size": 6, "mimeType": ""});
        let accepted = world.request(sender, &start);
        let transfer = accepted["transfer"].as_u64().expect("a number");
        world.expect(receiver, "file_offered");
        Self {
            world,
            sender,
            receiver,
            room,
            transfer,
        }
    }

    /// The receiver takes the file from its beginning.
    fn accept(&mut self, id: &str) {
        let credit = json!({"type": "file_credit", "transfer": self.transfer, "offset": 0, "window": 1_000, "id": id});
        self.world.post_json(self.receiver, &credit);
        self.world.settle();
    }

    /// The sender sends a piece that it has been asked for.
    fn chunk(&mut self, offset: u64, data: &str) {
        let chunk = json!({"type": "file_chunk", "transfer": self.transfer, "offset": offset, "data": data, "encoding": "base64"});
        self.world.post_json(self.sender, &chunk);
        self.world.settle();
    }

    fn says(&mut self, kind: &str) {
        let message = json!({"type": kind, "room": self.room});
        self.world.post_json(self.receiver, &message);
        self.world.settle();
    }

    /// What the receiver hears, for short.
    fn heard(&mut self) -> Vec<String> {
        let all = self.world.all(self.receiver);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let each = all.iter().map(|message| {
            let more = ["code", "data", "id"].map(|field| text(&message[field]));
            let more = more.iter().filter(|more| !more.is_empty());
            more.fold(text(&message["type"]), |line, more| {
                format!("{line} {more}")
            })
        });
        each.collect()
    }
}

/// Who leaves, comes back and takes the file again at once gets nothing of the taking that is over: neither its pieces nor
/// its end, which are on their way.
#[test]
fn a_file_that_is_taken_again_at_once_begins_anew() {
    let mut scene = Scene::new();
    scene.accept("1");
    assert_eq!(scene.heard(), ["ack 1"]);
    scene.world.driver().machine_mut().set_lag(late(1_000));
    scene.chunk(0, "YWJj");
    scene.says("leave");
    scene.says("join");
    let over = [
        "file_error not_member",
        "left_room",
        "joined_room",
        "file_offered",
    ];
    assert_eq!(scene.heard(), over);
    scene.accept("2");
    scene.world.advance_ms(1);
    assert_eq!(scene.heard(), [""; 0]);
    scene.world.advance_ms(1);
    assert_eq!(scene.heard(), ["ack 2"]);
    // The rest of what was asked for first is for nobody.
    scene.chunk(3, "ZGVm");
    scene.chunk(0, "YWJjZGVm");
    scene.world.advance_ms(10);
    assert_eq!(scene.heard(), ["file_chunk YWJjZGVm"]);
}

/// The same when the file is over for everybody meanwhile: the receiver is told that once, and its next taking is refused.
#[test]
fn an_end_that_comes_after_the_receiver_has_left_is_not_for_it() {
    let mut scene = Scene::new();
    scene.accept("1");
    scene.world.driver().machine_mut().set_lag(late(1_000));
    let abort = json!({"type": "file_abort", "transfer": scene.transfer, "reason": ""});
    scene.world.post_json(scene.sender, &abort);
    scene.says("leave");
    scene.says("join");
    scene.accept("2");
    scene.world.advance_ms(10);
    let heard = scene.heard();
    let expected = [
        "ack 1",
        "file_error not_member",
        "left_room",
        "joined_room",
        "file_offered",
        "error transfer_unknown 2",
    ];
    assert_eq!(heard, expected);
}

/// Who is thrown out while it waits to be let have a file is told that it is not, once it has been let.
#[test]
fn a_receiver_that_is_thrown_out_while_it_accepts() {
    let mut scene = Scene::new();
    scene.world.driver().machine_mut().set_lag(late(1_000));
    scene.accept("1");
    let command = Command::Kick {
        connection: scene.world.connection(scene.receiver),
        room: scene.room.clone(),
    };
    scene.world.command(command);
    scene.world.advance_ms(3);
    assert_eq!(
        scene.heard(),
        ["left_room", "ack 1", "file_error not_member"]
    );
    scene.chunk(0, "YWJjZGVm");
    scene.world.advance_ms(10);
    assert_eq!(scene.heard(), [""; 0]);
}

/// Who was told that its taking has failed, as the answer was late, does not take the file, and may try again.
#[test]
fn a_taking_that_is_given_up_is_none() {
    let mut scene = Scene::new();
    let machine = scene.world.driver().machine_mut();
    machine.hold(ShardId(0), ShardId(1), 500_000);
    scene.accept("1");
    scene.world.advance_ms(300);
    assert_eq!(scene.heard(), ["error internal 1"]);
    scene.chunk(0, "YWJj");
    scene.world.advance_ms(250);
    assert_eq!(scene.heard(), [""; 0]);
    scene.accept("2");
    scene.chunk(3, "ZGVm");
    scene.chunk(0, "YWJjZGVm");
    assert_eq!(scene.heard(), ["ack 2", "file_chunk YWJjZGVm"]);
}

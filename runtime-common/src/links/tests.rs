use std::os::unix::net::UnixStream;

use roomwire_core::server::Place;
use roomwire_core::{Config, Input, Output, Server};

use super::*;

fn bells(count: usize) -> (Vec<Arc<Bell>>, Vec<UnixStream>) {
    let pairs = (0..count).map(|_| Bell::new().expect("descriptors"));
    pairs.map(|(bell, ear)| (Arc::new(bell), ear)).unzip()
}

fn shards(count: u8) -> Vec<Server> {
    let config = Config::default().validate().expect("the defaults");
    let place = |shard| Place {
        shard: ShardId(shard),
        shards: count,
        restarts: 0,
    };
    (0..count)
        .map(|shard| Server::shard(config.clone(), [1; 32], place(shard)))
        .collect()
}

/// Drives a machine without sockets; carries what it relays.
fn drive(server: &mut Server, links: &Links<roomwire_core::cluster::Relay>) {
    loop {
        match server.poll() {
            Output::Relay { to } => links.carry(server, to),
            Output::Idle { .. } => return,
            _ => {}
        }
    }
}

/// What a shard relays rings the other's bell, once, and arrives there once.
#[test]
fn a_relay_arrives_and_rings() {
    let (bells, ears) = bells(3);
    let links = Links::between(&bells);
    let mut servers = shards(3);
    let now = Now::default();
    for (server, links) in servers.iter_mut().zip(&links) {
        assert!(!links.receive(server, now), "nothing has come yet");
    }
    for ear in &ears {
        let mut byte = [0];
        let silent = std::io::Read::read(&mut &*ear, &mut byte);
        assert!(silent.is_err(), "nobody has rung");
    }
    // A room of the third shard is told something by the first, which has nobody there.
    let room = (0..).map(|n| format!("room {n}"));
    let room = room
        .into_iter()
        .find(|name| servers[0].home_of(name) == ShardId(2));
    let message = r#"{"type":"news"}"#.to_owned();
    let room = room.expect("a name");
    let publish = roomwire_core::server::Command::Publish { room, message };
    let _ = servers[0].handle(now, Input::Command(publish));
    drive(&mut servers[0], &links[0]);
    let before = servers[2].stats();
    let mut byte = [0; 2];
    let heard = std::io::Read::read(&mut &ears[2], &mut byte).expect("a ring");
    assert_eq!(heard, 1, "once");
    bells[2].listen(|bytes| std::io::Read::read(&mut &ears[2], bytes));
    assert!(!links[2].receive(&mut servers[2], now));
    drive(&mut servers[2], &links[2]);
    // The room is not there: the program's message is for nobody.
    assert_eq!(servers[2].stats().relay_lost, before.relay_lost);
    assert_eq!(servers[0].stats().relayed, 1);
    assert_eq!(servers[1].stats(), shards(3)[1].stats());
}

/// A shard that nobody empties gets no more than its credits.
#[test]
fn what_is_on_its_way_is_bounded() {
    let (bells, _ears) = bells(2);
    let links = Links::between(&bells);
    let mut servers = shards(2);
    let now = Now::default();
    links[0].receive(&mut servers[0], now);
    let mut rooms = (0..).map(|n| format!("room {n}"));
    let room = rooms
        .find(|name| servers[0].home_of(name) == ShardId(1))
        .expect("a name");
    for _ in 0..100 {
        let publish = roomwire_core::server::Command::Publish {
            room: room.clone(),
            message: "{}".to_owned(),
        };
        let _ = servers[0].handle(now, Input::Command(publish));
        drive(&mut servers[0], &links[0]);
    }
    assert_eq!(servers[0].stats().relayed, u64::from(CREDITS));
    // Once it is emptied, it goes on, and all of it arrives.
    for _ in 0..100 {
        links[1].receive(&mut servers[1], now);
        drive(&mut servers[1], &links[1]);
        links[0].receive(&mut servers[0], now);
        drive(&mut servers[0], &links[0]);
    }
    assert!(servers[0].stats().relayed > u64::from(CREDITS));
    assert!(
        servers[0].take_relay(ShardId(1)).is_none(),
        "nothing is left"
    );
}

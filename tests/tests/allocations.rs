//! What a delivery costs, counted: nothing on the heap, and one transmit per member and turn.
//!
//! The only test of its binary: the counter sees every thread.

use std::alloc::System;
use std::time::Duration;

use roomwire_core::config::RateLimit;
use roomwire_core::{
    Config, ConnectionId, Input, ListenerId, Machine, Now, Output, PeerAddr, Server,
};
use roomwire_tests::{Opcode, Upgrade, compressed, deflated, masked};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MEMBERS: usize = 1_000;
const PUBLISHES_PER_TURN: usize = 10;
const WARM_UP_TURNS: usize = 20;
const TURNS: usize = 200;

/// A server and members of one room, driven without a harness that would allocate itself.
struct Room {
    server: Server,
    now: Now,
    members: Vec<ConnectionId>,
    /// The read buffer.
    bytes: Vec<u8>,
}

/// What a drain came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Drained {
    transmits: usize,
    bytes: usize,
}

impl Room {
    /// Members whose handshakes have these header lines, one after the other and again from the first.
    fn new(headers: &[&str]) -> Self {
        let mut config = Config {
            rate_limit: RateLimit::off(),
            ..Config::default()
        };
        config.timeouts.welcome_delay_ms = 0;
        let config = config.validate().expect("a config that is allowed");
        let mut room = Self {
            server: Server::new(config, [5; 32]),
            now: Now::default(),
            members: Vec::new(),
            bytes: Vec::with_capacity(4_096),
        };
        let join = masked(Opcode::Text, true, br#"{"type":"join","room":"tea"}"#);
        let requests = headers.iter().map(|headers| {
            let headers = (*headers).to_owned();
            let upgrade = Upgrade {
                headers,
                ..Upgrade::default()
            };
            upgrade.request()
        });
        let requests: Vec<_> = requests.collect();
        for request in requests.iter().cycle().take(MEMBERS) {
            let accepted = room.server.accept(room.now, PeerAddr::Local, ListenerId(0));
            let member = accepted.expect("a place");
            room.members.push(member);
            room.receive(member, request);
            room.drain();
            room.receive(member, &join);
            room.drain();
        }
        room
    }

    fn receive(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        let bytes = &mut self.bytes[..];
        let _ = self
            .server
            .handle(self.now, Input::Received { connection, bytes });
    }

    fn drain(&mut self) -> Drained {
        let mut drained = Drained::default();
        loop {
            match self.server.poll() {
                Output::Transmit { connection } => {
                    let bytes = self.server.unsent(connection).map(<[u8]>::len).sum();
                    drained.transmits += 1;
                    drained.bytes += bytes;
                    let blocked = false;
                    let sent = Input::Sent {
                        connection,
                        bytes,
                        blocked,
                    };
                    let _ = self.server.handle(self.now, sent);
                }
                Output::Idle { .. } => return drained,
                _ => {}
            }
        }
    }

    /// One turn: some members speak, then everyone gets what was said, at the end of the moment for which a room of so
    /// many is held.
    fn turn(&mut self, number: usize, frame: &[u8]) -> Drained {
        for publish in 0..PUBLISHES_PER_TURN {
            let speaker = self.members[(number * 37 + publish * 101) % MEMBERS];
            self.receive(speaker, frame);
        }
        self.end_moment()
    }

    fn end_moment(&mut self) -> Drained {
        self.now.mono = self.now.mono + Duration::from_millis(1);
        let _ = self.server.handle(self.now, Input::Tick);
        self.drain()
    }
}

// covers A3-11
#[test]
fn what_a_delivery_costs() {
    a_delivery_allocates_nothing_and_a_turn_is_one_transmit_per_member();
    nor_does_a_compressed_one();
}

fn a_delivery_allocates_nothing_and_a_turn_is_one_transmit_per_member() {
    let mut room = Room::new(&[""]);
    let text = br#"{"type":"room_message","room":"tea","data":{"x":1.25,"y":-7,"say":"hello"}}"#;
    let frame = masked(Opcode::Text, true, text);
    let typing = br#"{"type":"typing_start","room":"tea"}"#;
    room.turn(0, &masked(Opcode::Text, true, typing));
    for number in 0..WARM_UP_TURNS {
        room.turn(number, &frame);
    }
    let before = room.server.stats();
    let region = Region::new(ALLOCATOR);
    let mut drained = Drained::default();
    for number in 0..TURNS {
        let turn = room.turn(number, &frame);
        assert_eq!(turn.transmits, MEMBERS, "turn {number}");
        drained.transmits += turn.transmits;
        drained.bytes += turn.bytes;
    }
    let cost = region.change();
    let after = room.server.stats();

    let publishes = TURNS * PUBLISHES_PER_TURN;
    let deliveries = after.deliveries - before.deliveries;
    assert_eq!(deliveries, (publishes * (MEMBERS - 1)) as u64);
    assert_eq!(after.published - before.published, publishes as u64);
    // Every delivery went out whole.
    let payloads = drained.bytes as u64 / deliveries;
    assert!(payloads > text.len() as u64, "{payloads} bytes each");
    let allocations = cost.allocations + cost.reallocations;
    assert_eq!(
        allocations, 0,
        "{allocations} allocations for {deliveries} deliveries: {cost:?}"
    );
    assert_eq!(after.dropped, 0);
}

/// A long message is inflated and compressed once for each window in use, and shared like any other.
fn nor_does_a_compressed_one() {
    const OFFERS: [&str; 3] = [
        "",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n",
    ];
    let mut room = Room::new(&OFFERS);
    let data = "hello, and hello again; ".repeat(100);
    let text = format!(r#"{{"type":"room_message","room":"tea","data":"{data}"}}"#);
    let plain = masked(Opcode::Text, true, text.as_bytes());
    let packed = compressed(Opcode::Text, true, &deflated(text.as_bytes()));
    // Who has not agreed on compression sends it as it is.
    let turn = |room: &mut Room, number: usize| {
        for publish in 0..PUBLISHES_PER_TURN {
            let speaker = (number * 37 + publish * 101) % MEMBERS;
            let frame = if speaker.is_multiple_of(OFFERS.len()) {
                &plain
            } else {
                &packed
            };
            room.receive(room.members[speaker], frame);
        }
        room.end_moment()
    };
    for number in 0..WARM_UP_TURNS {
        turn(&mut room, number);
    }
    let before = room.server.stats();
    let region = Region::new(ALLOCATOR);
    for number in 0..TURNS {
        assert_eq!(turn(&mut room, number).transmits, MEMBERS, "turn {number}");
    }
    let cost = region.change();
    let after = room.server.stats();
    let publishes = (TURNS * PUBLISHES_PER_TURN) as u64;
    let deliveries = after.deliveries - before.deliveries;
    assert_eq!(deliveries, publishes * (MEMBERS as u64 - 1));
    assert_eq!(after.compressed - before.compressed, 2 * publishes);
    assert!(after.inflated - before.inflated > publishes / 2);
    assert_eq!(cost.allocations + cost.reallocations, 0, "{cost:?}");
}

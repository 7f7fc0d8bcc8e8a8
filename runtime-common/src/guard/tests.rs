use std::sync::Arc;
use std::time::Duration;

use roomwire_core::server::Place;
use roomwire_core::{Config, Instant, Server, TransportEnd};

use super::*;
use crate::mailbox::Bell;
use crate::sessions::Exchange;

/// A server that panics when it is told to, as often as it may.
struct Trap {
    server: Server,
    panics: u32,
}

impl Machine for Trap {
    type Command = Command;
    type Event = Event;
    type Relay = Relay;

    fn accept(&mut self, now: Now, peer: PeerAddr, listener: ListenerId) -> Option<ConnectionId> {
        self.server.accept(now, peer, listener)
    }

    fn handle(&mut self, now: Now, input: Input<'_, Command, Relay>) -> Turn {
        let abandons = matches!(input, Input::Command(Command::Abandon));
        if (abandons || matches!(input, Input::Tick)) && self.panics > 0 {
            self.panics -= 1;
            panic!("as asked for");
        }
        self.server.handle(now, input)
    }

    fn poll(&mut self) -> Output<Event> {
        self.server.poll()
    }

    fn unsent(&self, connection: ConnectionId) -> Unsent<'_> {
        self.server.unsent(connection)
    }

    fn take_relay(&mut self, to: ShardId) -> Option<Relay> {
        self.server.take_relay(to)
    }
}

impl Counting for Trap {
    fn stats(&self) -> Stats {
        self.server.stats()
    }
}

const NOW: Now = Now {
    mono: Instant::ZERO,
    unix_ms: 0,
};

/// A guarded server with one client, which has its upgrade response.
/// Without a pool.
fn desk() -> (Desk<Command>, Answers, Keeper) {
    let (bell, _) = Bell::new().expect("a bell");
    let desk = Desk::new(None, &Arc::new(bell), 1);
    let limits = Config::default().limits;
    let answers = Answers::new(None, None, desk.tray(), &limits);
    let exchange = Exchange::new(None, Duration::ZERO, 1);
    let keeper = Keeper::new(&exchange, None, desk.tray(), &limits);
    (desk, answers, keeper)
}

fn guarded(panics: u32) -> (Guarded<Trap>, ConnectionId) {
    let config = Config::default().validate().expect("the defaults");
    let server = Server::shard(config, [3; 32], Place::ALONE);
    let mut machine = Guarded::new(Trap { server, panics }, ShardId(4), desk());
    let peer = PeerAddr::Inet(([127, 0, 0, 1], 1).into());
    let client = machine.accept(NOW, peer, ListenerId(0)).expect("room");
    let mut request = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        .to_vec();
    let bytes = &mut request;
    let connection = client;
    let _ = machine.handle(NOW, Input::Received { connection, bytes });
    assert!(said(&mut machine).0.starts_with(b"HTTP/1.1 101"));
    (machine, client)
}

/// Polls until nothing is left to do: what was sent, and the events.
fn said(machine: &mut Guarded<Trap>) -> (Vec<u8>, Vec<Event>) {
    let (mut sent, mut events) = (Vec::new(), Vec::new());
    for _ in 0..1_000 {
        match machine.poll() {
            Output::Transmit { connection } => {
                let before = sent.len();
                machine
                    .unsent(connection)
                    .for_each(|slice| sent.extend_from_slice(slice));
                let bytes = sent.len() - before;
                let blocked = false;
                let sent = Input::Sent {
                    connection,
                    bytes,
                    blocked,
                };
                let _ = machine.handle(NOW, sent);
            }
            Output::Event(event) => events.push(event),
            Output::Idle { .. } => return (sent, events),
            _ => {}
        }
    }
    panic!("it goes round in circles");
}

#[test]
fn clients_are_told_and_the_shard_has_failed() {
    let (mut machine, client) = guarded(1);
    assert_eq!(machine.handle(NOW, Input::Tick), Turn::Open);
    let (sent, events) = said(&mut machine);
    let close = [0x88, 23, 0x03, 0xF3]; // 1011
    assert!(sent.windows(4).any(|bytes| bytes == close), "{sent:?}");
    assert_eq!(events.first(), Some(&Event::Failed { shard: ShardId(4) }));
    assert!(
        !events.contains(&Event::Drained),
        "its client is still there"
    );
    assert_eq!(machine.accept(NOW, PeerAddr::Local, ListenerId(0)), None);
    let end = TransportEnd::Closed;
    let _ = machine.handle(
        NOW,
        Input::Ended {
            connection: client,
            end,
        },
    );
    let (_, events) = said(&mut machine);
    assert_eq!(events.last(), Some(&Event::Drained));
    assert_eq!(said(&mut machine), (Vec::new(), Vec::new()), "once");
}

#[test]
fn a_machine_that_panics_again_is_given_up() {
    let (mut machine, client) = guarded(2);
    let _ = machine.handle(NOW, Input::Tick);
    let (sent, events) = said(&mut machine);
    assert_eq!(sent, b"");
    let failed = Event::Failed { shard: ShardId(4) };
    assert_eq!(events, [failed, Event::Drained]);
    assert_eq!(machine.unsent(client).count(), 0);
    assert!(machine.take_relay(ShardId(0)).is_none());
}

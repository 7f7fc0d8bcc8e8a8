use super::*;
use crate::config::{Config, RateLimit, RoomRule};
use crate::machine::{Input, ListenerId, Machine, Output, PeerAddr, TransportEnd};
use crate::server::Command;
use crate::time::{Instant, Now};
use crate::websocket::{Data, OpCode, put_masked_frame};

/// A server whose sockets take everything, except those that are blocked.
struct Bench {
    server: Server,
    now: Now,
    blocked: Vec<ConnectionId>,
    clients: Vec<(ConnectionId, String)>,
}

impl Bench {
    fn new(policy: SlowReader, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.timeouts.welcome_delay_ms = 0;
        config.explain.entries = 10_000;
        config.rate_limit = RateLimit::off();
        config.limits.max_message_bytes = 300;
        config.limits.max_members_listed = 2;
        config.limits.max_metadata_bytes = 64;
        config.limits.max_queued_bytes = config.min_queued_bytes();
        config.rooms = vec![RoomRule {
            slow_reader: policy,
            ..RoomRule::default()
        }];
        change(&mut config);
        Self {
            server: Server::new(config.validate().expect("valid"), [7; 32]),
            now: Now {
                mono: Instant::from_micros(1),
                unix_ms: 0,
            },
            blocked: Vec::new(),
            clients: Vec::new(),
        }
    }

    fn handle(&mut self, input: Input<'_, Command, crate::cluster::Relay>) {
        let _ = self.server.handle(self.now, input);
    }

    fn client(&mut self) -> ConnectionId {
        let id = self.server.accept(self.now, PeerAddr::Local, ListenerId(0));
        let id = id.expect("a place");
        let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        let mut bytes = head.as_bytes().to_vec();
        self.handle(Input::Received {
            connection: id,
            bytes: &mut bytes,
        });
        self.drain();
        id
    }

    /// A client in the room.
    fn member(&mut self) -> ConnectionId {
        let id = self.client();
        self.say(id, r#"{"type":"join","room":"a"}"#);
        self.drain();
        id
    }

    fn say(&mut self, connection: ConnectionId, text: &str) {
        let mut bytes = Vec::new();
        let opcode = OpCode::Data(Data::Text);
        put_masked_frame(&mut bytes, opcode, true, false, text.as_bytes(), [1; 4]);
        let bytes = &mut bytes;
        self.handle(Input::Received { connection, bytes });
    }

    /// Publishes in the room; returns the number.
    fn publish(&mut self, from: ConnectionId) -> u64 {
        let data = "d".repeat(200);
        self.say(
            from,
            &format!(r#"{{"type":"room_message","room":"a","data":"{data}","id":"m"}}"#),
        );
        self.server.published()
    }

    fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..10_000 {
            match self.server.poll() {
                Output::Transmit { connection } => {
                    let lent = self.server.unsent(connection).map(<[u8]>::len).sum();
                    let blocked = self.blocked.contains(&connection);
                    let bytes = if blocked { 0 } else { lent };
                    self.handle(Input::Sent {
                        connection,
                        bytes,
                        blocked,
                    });
                }
                Output::Event(event) => {
                    if let Event::Opened {
                        connection, client, ..
                    } = &event
                    {
                        self.clients.push((*connection, client.to_string()));
                    }
                    events.push(event);
                }
                Output::Idle { .. } => return events,
                _ => {}
            }
        }
        panic!("never idle");
    }

    fn block(&mut self, connection: ConnectionId) {
        self.blocked.push(connection);
    }

    fn unblock(&mut self, connection: ConnectionId) {
        self.blocked.retain(|&other| other != connection);
        self.handle(Input::Writable { connection });
        self.drain();
    }

    fn end(&mut self, connection: ConnectionId) {
        let end = TransportEnd::Reset;
        self.handle(Input::Ended { connection, end });
        self.drain();
    }

    fn verdict(&self, number: u64, connection: ConnectionId) -> Verdict {
        self.server
            .explain(&MessageName::Number(number), connection)
    }

    fn verdicts(&self, numbers: &[u64], connection: ConnectionId) -> Vec<Verdict> {
        let verdict = |&number| self.verdict(number, connection);
        numbers.iter().map(verdict).collect()
    }
}

#[test]
fn a_delivery_from_queue_to_socket() {
    let mut bench = Bench::new(SlowReader::Close, |_| {});
    let (ada, bob, eve) = (bench.member(), bench.member(), bench.client());
    let number = bench.publish(ada);
    assert_eq!(number, 1);
    assert_eq!(
        bench.verdict(number, bob),
        Verdict::Waiting,
        "in front of the queue"
    );
    bench.block(bob);
    bench.drain();
    assert_eq!(bench.verdict(number, bob), Verdict::Waiting, "in it");
    bench.unblock(bob);
    assert_eq!(bench.verdict(number, bob), Verdict::Delivered);
    assert_eq!(bench.verdict(number, ada), Verdict::Excluded);
    assert_eq!(bench.verdict(number, eve), Verdict::NotMember);
    // Who comes later, and who leaves, change nothing about it.
    bench.say(eve, r#"{"type":"join","room":"a"}"#);
    bench.say(bob, r#"{"type":"leave","room":"a"}"#);
    bench.drain();
    bench.say(bob, r#"{"type":"join","room":"a"}"#);
    bench.drain();
    let late = bench.member();
    assert_eq!(bench.verdict(number, eve), Verdict::NotMember);
    assert_eq!(bench.verdict(number, late), Verdict::NotMember);
    assert_eq!(bench.verdict(number, bob), Verdict::Delivered);
    bench.end(bob);
    assert_eq!(bench.verdict(number, bob), Verdict::Delivered);
    let next = bench.publish(ada);
    assert_eq!(bench.verdict(next, bob), Verdict::Gone);
    // The slot's next owner is another.
    let other = bench.member();
    assert_eq!(other.index(), bob.index());
    assert_eq!(bench.verdict(number, other), Verdict::NotMember);
    assert_eq!(bench.verdict(number, bob), Verdict::Delivered);
}

#[test]
fn what_a_policy_drops() {
    for policy in [SlowReader::DropOldest, SlowReader::DropNewest] {
        let mut bench = Bench::new(policy, |_| {});
        let (ada, bob) = (bench.member(), bench.member());
        bench.block(bob);
        let numbers: Vec<u64> = (0..30)
            .map(|_| {
                let number = bench.publish(ada);
                bench.drain();
                number
            })
            .collect();
        let waiting: Vec<bool> = bench
            .verdicts(&numbers, bob)
            .iter()
            .map(|&verdict| {
                assert!(verdict == Verdict::Waiting || verdict == Verdict::Dropped(policy));
                verdict == Verdict::Waiting
            })
            .collect();
        let kept = waiting.iter().filter(|&&waits| waits).count();
        assert!(kept > 0 && kept < 30);
        // A run at one end, and the same run is delivered afterwards.
        let expected: Vec<bool> = (0..30)
            .map(|at| match policy {
                SlowReader::DropOldest => at >= 30 - kept,
                _ => at < kept,
            })
            .collect();
        assert_eq!(waiting, expected, "{policy:?}");
        bench.unblock(bob);
        for (verdict, kept) in bench.verdicts(&numbers, bob).into_iter().zip(expected) {
            let fate = if kept {
                Verdict::Delivered
            } else {
                Verdict::Dropped(policy)
            };
            assert_eq!(verdict, fate);
        }
    }
}

#[test]
fn the_last_one_comes_after_all() {
    let mut bench = Bench::new(SlowReader::Latest, |_| {});
    let (ada, bob) = (bench.member(), bench.member());
    bench.block(bob);
    let numbers: Vec<u64> = (0..3)
        .map(|_| {
            let number = bench.publish(ada);
            bench.drain();
            number
        })
        .collect();
    let dropped = Verdict::Dropped(SlowReader::Latest);
    assert_eq!(
        bench.verdicts(&numbers, bob),
        [Verdict::Waiting, dropped, dropped]
    );
    bench.unblock(bob);
    let (first, last) = (Verdict::Delivered, Verdict::Delivered);
    assert_eq!(bench.verdicts(&numbers, bob), [first, dropped, last]);
}

#[test]
fn what_is_given_up_with_its_connection() {
    let mut bench = Bench::new(SlowReader::Close, |_| {});
    let (ada, bob, eve) = (bench.member(), bench.member(), bench.member());
    bench.block(bob);
    bench.block(eve);
    let first = bench.publish(ada);
    bench.drain();
    bench.end(eve);
    let mut last = first;
    for _ in 0..30 {
        last = bench.publish(ada);
        bench.drain();
    }
    let cause = |cause| Verdict::Discarded(Some(cause));
    assert_eq!(bench.verdict(first, eve), cause(CloseCause::Lost));
    assert_eq!(bench.verdict(first, bob), cause(CloseCause::SlowReader));
    assert_eq!(bench.verdict(last, bob), Verdict::NotMember);
    assert_eq!(bench.verdict(last, eve), Verdict::Gone);
}

#[test]
fn messages_are_found_by_their_request_too() {
    let mut bench = Bench::new(SlowReader::Close, |_| {});
    let (ada, bob) = (bench.member(), bench.client());
    let asked = |sender, id: &str| MessageName::Request {
        sender,
        id: id.to_owned(),
    };
    let bobs = bench.clients[1].1.clone();
    bench.say(
        ada,
        &format!(r#"{{"type":"private_message","to":"{bobs}","data":1,"id":7}}"#),
    );
    bench.say(
        bob,
        r#"{"type":"room_message","room":"a","data":1,"id":"no"}"#,
    );
    bench.say(ada, r#"{"type":"broadcast","data":1,"id":"all"}"#);
    let private = asked(ada, "7");
    assert_eq!(bench.server.explain(&private, bob), Verdict::Waiting);
    bench.drain();
    let explain = |name: &MessageName, to| bench.server.explain(name, to);
    assert_eq!(explain(&private, bob), Verdict::Delivered);
    assert_eq!(explain(&private, ada), Verdict::NotMember);
    let refused = asked(bob, r#""no""#);
    assert_eq!(
        explain(&refused, ada),
        Verdict::Refused(ErrorCode::NotMember)
    );
    assert_eq!(explain(&asked(ada, r#""all""#), bob), Verdict::Delivered);
    assert_eq!(explain(&asked(ada, r#""all""#), ada), Verdict::Excluded);
    assert_eq!(explain(&asked(ada, "8"), bob), Verdict::Unknown);
    assert_eq!(explain(&asked(bob, "7"), bob), Verdict::Unknown);
    assert_eq!(explain(&asked(ada, r#""no""#), ada), Verdict::Unknown);
    // A request that publishes nothing is no message, refused or not.
    bench.say(bob, r#"{"type":"leave","room":"none","id":"left"}"#);
    let left = asked(bob, r#""left""#);
    assert_eq!(bench.server.explain(&left, ada), Verdict::Unknown);
}

#[test]
fn a_program_asks_by_command() {
    let mut bench = Bench::new(SlowReader::Close, |_| {});
    let ada = bench.member();
    bench.handle(Input::Command(Command::Publish {
        room: "a".to_owned(),
        message: "{}".to_owned(),
    }));
    bench.drain();
    let message = MessageName::Number(1);
    bench.handle(Input::Command(Command::Explain {
        message: message.clone(),
        connection: ada,
    }));
    let expected = Event::Explanation {
        message,
        connection: ada,
        verdict: Verdict::Delivered,
    };
    assert_eq!(bench.drain(), [expected]);
}

#[test]
fn the_log_is_bounded_and_off_by_default() {
    let mut bench = Bench::new(SlowReader::Close, |config| config.explain.entries = 3);
    let (ada, bob) = (bench.member(), bench.member());
    for _ in 0..5 {
        bench.publish(ada);
        bench.drain();
    }
    assert_eq!(bench.server.outboxes.facts.iter().len(), 3);
    assert_eq!(bench.verdict(2, bob), Verdict::Unknown);
    assert_eq!(bench.verdict(3, bob), Verdict::Delivered);
    let mut bench = Bench::new(SlowReader::Close, |config| config.explain.entries = 0);
    let (ada, bob) = (bench.member(), bench.member());
    assert_eq!(bench.publish(ada), 0);
    assert_eq!(bench.verdict(1, bob), Verdict::Unknown);
    assert_eq!(bench.server.outboxes.facts.iter().len(), 0);
}

#[test]
fn what_moves_elsewhere_says_nothing_of_a_message() {
    use crate::session::buffer::Buffers;
    use crate::session::outbox::Range;
    let mut buffers = Buffers::default();
    let (buffer, copy) = (buffers.open(1), buffers.open(1));
    let place = |buffer, start, end| buffers.place(Range { buffer, start, end });
    let (own, behind) = (place(buffer, 0, 10), place(buffer, 10, 20));
    let policy = SlowReader::DropOldest;
    let to = Audience::Room { room: 1, policy };
    let mut trace = Trace {
        places: Places::from_slice(&[own]),
        fate: Verdict::Delivered,
        member: None,
        closing: None,
    };
    let dropped = Fact::Dropped {
        slot: 3,
        place: own,
    };
    trace.follow(&dropped, 3, to);
    assert_eq!(trace.fate, Verdict::Dropped(policy));
    for (slot, from) in [(4, own), (3, behind), (4, behind)] {
        let to_there = place(copy, 0, 10);
        let moved = Fact::Moved {
            slot,
            from,
            to: to_there,
        };
        trace.follow(&moved, 3, to);
        assert_eq!(trace.fate, Verdict::Dropped(policy));
        assert_eq!(trace.places[..], [own]);
    }
    for (slot, place) in [(4, own), (3, behind)] {
        trace.follow(&Fact::Dropped { slot, place }, 3, to);
        trace.follow(&Fact::Discarded { slot, place }, 3, to);
        assert_eq!(trace.fate, Verdict::Dropped(policy));
    }
    let cause = CloseCause::Lost;
    trace.follow(&Fact::Closing { slot: 4, cause }, 3, to);
    assert_eq!(trace.closing, None);
    let moved = Fact::Moved {
        slot: 3,
        from: own,
        to: place(copy, 0, 10),
    };
    trace.follow(&moved, 3, to);
    assert_eq!(trace.fate, Verdict::Delivered);
    assert_eq!(trace.places[..], [place(copy, 0, 10)]);
}

/// Of several messages at once, a run at one end waits and the others are dropped.
fn drops_of_several(policy: SlowReader, queue_bytes: Option<usize>, count: usize) {
    let mut bench = Bench::new(policy, |config| {
        config.limits.max_queued_bytes = queue_bytes.unwrap_or(config.limits.max_queued_bytes);
    });
    let (ada, bob) = (bench.member(), bench.member());
    bench.block(bob);
    bench.publish(ada);
    bench.drain();
    let numbers: Vec<u64> = (0..count).map(|_| bench.publish(ada)).collect();
    bench.drain();
    let verdicts = bench.verdicts(&numbers, bob);
    let waits = |verdict: &&Verdict| **verdict == Verdict::Waiting;
    let kept = verdicts.iter().filter(waits).count();
    assert!(kept > 0 && kept < count, "{policy:?}: {kept}");
    let run = match policy {
        SlowReader::DropOldest => &verdicts[count - kept..],
        _ => &verdicts[..kept],
    };
    assert!(run.iter().all(|verdict| waits(&verdict)), "{policy:?}");
    bench.unblock(bob);
    let verdicts = bench.verdicts(&numbers, bob);
    let delivered = verdicts.iter().filter(|&&it| it == Verdict::Delivered);
    assert_eq!(delivered.count(), kept, "{policy:?}");
}

#[test]
fn what_a_policy_drops_of_several_at_once() {
    for policy in [SlowReader::DropOldest, SlowReader::DropNewest] {
        // What waits for long is copied if it is small, and shared if it is not.
        drops_of_several(policy, None, 30);
        drops_of_several(policy, Some(40_000), 300);
    }
}

#[test]
fn what_comes_after_an_overflow_is_given_up_too() {
    let mut bench = Bench::new(SlowReader::Close, |_| {});
    let (ada, bob) = (bench.member(), bench.member());
    bench.block(bob);
    bench.publish(ada);
    bench.drain();
    let to = bench.clients[1].1.clone();
    let data = "d".repeat(150);
    for _ in 0..30 {
        bench.say(
            ada,
            &format!(r#"{{"type":"private_message","to":"{to}","data":"{data}"}}"#),
        );
    }
    let last = bench.server.published();
    assert_eq!(last, 31);
    assert_eq!(bench.verdict(last, bob), Verdict::Discarded(None));
    bench.drain();
    let cause = Some(CloseCause::SlowReader);
    assert_eq!(bench.verdict(last, bob), Verdict::Discarded(cause));
}

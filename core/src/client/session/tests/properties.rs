//! Whatever happens: every item has exactly one outcome, the right one, and bounds hold.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::resuming::{SECRET, session};
use super::*;

#[derive(Clone, Debug)]
enum Op {
    Text {
        bytes: usize,
    },
    Json {
        urgent: bool,
    },
    Request {
        again: bool,
    },
    Join {
        room: usize,
    },
    Leave {
        room: usize,
    },
    Wake,
    /// The server takes the connection, and welcomes it or not.
    Open {
        welcome: bool,
    },
    Fail,
    Cut,
    /// The server closes.
    Close {
        code: u16,
    },
    /// It answers one of those that wait: by `ack`, a refusal, a session, or a refusal that says when.
    Answer {
        which: prop::sample::Index,
        how: u8,
    },
    /// The socket takes so much more, and then nothing.
    Take {
        bytes: usize,
    },
    Unblock,
    Pass {
        ms: u64,
    },
    Sleep {
        ms: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..40_usize).prop_map(|bytes| Op::Text { bytes }),
        4 => any::<bool>().prop_map(|urgent| Op::Json { urgent }),
        4 => any::<bool>().prop_map(|again| Op::Request { again }),
        2 => (0..5_usize).prop_map(|room| Op::Join { room }),
        1 => (0..5_usize).prop_map(|room| Op::Leave { room }),
        1 => Just(Op::Wake),
        5 => prop::bool::weighted(0.9).prop_map(|welcome| Op::Open { welcome }),
        1 => Just(Op::Fail),
        2 => Just(Op::Cut),
        1 => prop_oneof![Just(1012), Just(1001), Just(1008)].prop_map(|code| Op::Close { code }),
        5 => (any::<prop::sample::Index>(), 0..4_u8)
            .prop_map(|(which, how)| Op::Answer { which, how }),
        2 => (0..200_usize).prop_map(|bytes| Op::Take { bytes }),
        2 => Just(Op::Unblock),
        3 => (0..3_000_u64).prop_map(|ms| Op::Pass { ms }),
        1 => (0..30_000_u64).prop_map(|ms| Op::Sleep { ms }),
    ]
}

fn settings() -> impl Strategy<Value = SessionConfig> {
    let batching = prop::option::of((0..100_u64, 1..5_usize, 10..200_usize));
    (
        0..6_usize,
        0..150_usize,
        1..20_000_u64,
        1..4_usize,
        batching,
        any::<bool>(),
    )
        .prop_map(
            |(queue_messages, queue_bytes, queue_age_ms, few, batching, resume)| {
                let mut config = config();
                config.resume = resume;
                config.queue_messages = queue_messages;
                config.queue_bytes = queue_bytes;
                config.queue_age_ms = queue_age_ms;
                config.max_in_flight = few * 2;
                config.max_rooms = few;
                config.joins_at_once = few;
                config.connection.max_unsent_bytes = 1_024;
                config.full_jitter = true;
                config.max_reconnect_attempts = None;
                config.batching = batching.map(|(interval_ms, max_messages, max_bytes)| Batching {
                    interval_ms,
                    max_messages,
                    max_bytes,
                });
                config
            },
        )
}

/// What a run has come to by now.
struct Run {
    world: World,
    items: u64,
    /// Items that are sent once at most, and have no outcome of the server's.
    plain: Vec<u64>,
    /// Requests that are sent once at most.
    once: Vec<u64>,
    outcomes: BTreeMap<u64, String>,
    /// How often the server got an item, in the order of their coming.
    arrived: Vec<u64>,
    /// Ids that the server has not answered, on this connection.
    open: Vec<String>,
    closed: usize,
    ended: usize,
}

impl Run {
    fn new(config: SessionConfig) -> Self {
        Self {
            world: World::new(config),
            items: 0,
            plain: Vec::new(),
            once: Vec::new(),
            outcomes: BTreeMap::new(),
            arrived: Vec::new(),
            open: Vec::new(),
            closed: 0,
            ended: 0,
        }
    }

    fn step(&mut self, op: &Op) {
        self.items += 1;
        let item = self.items;
        let world = &mut self.world;
        let is_connected = world.connection.is_some();
        let is_open = is_connected && world.is_upgraded;
        match op {
            Op::Text { bytes } => {
                self.plain.push(item);
                world.text(item, &format!("{item} {}", "x".repeat(*bytes)));
            }
            Op::Json { urgent } => {
                self.plain.push(item);
                let content = Content::Json(format!(r#"{{"n":{item}}}"#));
                let mut send = Send::new(Item(item), content);
                send.urgent = *urgent;
                world.command(Command::Send(send));
            }
            Op::Request { again } => {
                let content = Content::Request(format!(r#"{{"n":{item}}}"#));
                let mut send = Send::new(Item(item), content);
                if *again {
                    send.delivery = Delivery::AtLeastOnce;
                } else {
                    self.once.push(item);
                }
                world.command(Command::Send(send));
            }
            Op::Join { room } => world.join(item, &format!("room {room}")),
            Op::Leave { room } => world.leave(item, &format!("room {room}")),
            Op::Wake => {
                self.items -= 1;
                world.command(Command::Wake);
            }
            _ => {
                self.items -= 1;
                self.outside(op, is_connected, is_open);
            }
        }
        self.look();
    }

    fn outside(&mut self, op: &Op, is_connected: bool, is_open: bool) {
        let world = &mut self.world;
        match op {
            Op::Open { welcome } if is_connected && !is_open => {
                self.open.clear();
                if *welcome {
                    world.welcome(ME);
                } else {
                    world.open();
                }
            }
            Op::Fail if is_connected && !is_open => {
                let connection = world.connection.take().expect("a connection");
                world.input(Input::ConnectFailed { connection });
            }
            Op::Cut if is_connected => world.cut(),
            Op::Close { code } if is_open && world.takes.is_none() => world.close(*code),
            Op::Answer { which, how } if is_open && !self.open.is_empty() => {
                let id = self.open.remove(which.index(self.open.len()));
                world.say(&match how {
                    0 => format!(r#"{{"type":"ack","id":{id}}}"#),
                    1 => format!(r#"{{"type":"error","id":{id},"code":"forbidden","message":""}}"#),
                    2 => session(&id, (ME, SECRET), true, 0),
                    _ => format!(
                        r#"{{"type":"error","id":{id},"code":"rate_limited","message":"","retryAfterMs":500}}"#
                    ),
                });
            }
            Op::Take { bytes } if is_open => world.takes = Some(*bytes),
            Op::Unblock if is_open => world.unblock(),
            Op::Pass { ms } => world.pass(*ms),
            Op::Sleep { ms } => world.sleep(*ms),
            _ => {}
        }
    }

    /// Takes note of what was told and sent, and checks what must hold at any time.
    fn look(&mut self) {
        let config = &self.world.session.config;
        let queue = &self.world.session.queue;
        assert!(queue.count() <= config.queue_messages);
        assert!(queue.bytes() <= config.queue_bytes);
        assert!(self.world.session.rooms.len() <= config.max_rooms);
        assert!(self.world.session.slots <= config.joins_at_once);
        for event in self.world.told() {
            match event {
                Event::Outcome { item, outcome } => {
                    let former = self.outcomes.insert(item.0, word(&outcome));
                    assert_eq!(former, None, "{item:?} has two outcomes");
                }
                Event::Closed(_) => self.closed += 1,
                Event::Ended(_) => self.ended += 1,
                _ => assert_eq!(self.ended, 0, "nothing comes behind the end"),
            }
        }
        for text in self.world.sent() {
            let number = text.split(' ').next().and_then(|it| it.parse().ok());
            match number {
                Some(item) => self.arrived.push(item),
                None => self.arrive(&serde_json::from_str(&text).unwrap_or(Value::Null)),
            }
        }
    }

    fn arrive(&mut self, message: &Value) {
        for inner in message["messages"].as_array().into_iter().flatten() {
            self.arrive(inner);
        }
        if let Some(id) = message["id"].as_str() {
            self.open.push(format!("\"{id}\""));
        }
        self.arrived.extend(message["n"].as_u64());
    }

    /// All is over.
    fn end(mut self) {
        self.world.command(Command::Close);
        self.look();
        if self.world.connection.is_some() && self.world.takes.is_some() {
            self.world.cut();
        } else if self.world.connection.is_some() {
            self.world.close(1000);
        }
        self.look();
        assert_eq!(self.ended, 1);
        assert_eq!(self.closed, self.world.connects, "each is told once");
        assert_eq!(self.world.deadline, None);
        let items: Vec<u64> = self.outcomes.keys().copied().collect();
        assert_eq!(items, (1..=self.items).collect::<Vec<_>>());
        let times = |item: u64| self.arrived.iter().filter(|it| **it == item).count();
        for item in &self.plain {
            let outcome = &*self.outcomes[item];
            assert_eq!(
                times(*item),
                usize::from(outcome == "Sent"),
                "{item}: {outcome}"
            );
        }
        for item in &self.once {
            let outcome = &*self.outcomes[item];
            let never = ["QueueFull", "TooOld", "TooLarge"].contains(&outcome);
            let most = usize::from(!never);
            assert!(times(*item) <= most, "{item}: {outcome}");
        }
        let in_order = |items: &[u64]| {
            let arrived = self.arrived.iter().filter(|it| items.contains(it));
            assert!(arrived.is_sorted_by(|a, b| a < b), "{:?}", self.arrived);
        };
        in_order(&self.plain);
        in_order(&self.once);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// covers A4-06: every item has exactly one outcome, which is true, and the bounds hold at any time; what is sent
    /// once at most is, in order.
    #[test]
    fn every_item_has_exactly_one_outcome(
        config in settings(),
        ops in prop::collection::vec(op(), 0..120),
    ) {
        let mut run = Run::new(config);
        for op in &ops {
            run.step(op);
        }
        run.end();
    }
}

//! Sender and receivers joined by the [relay](super::relay): whatever is delayed, split or lost, what is received is
//! what was sent.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::relay::{Asked, Relay, Told};
use super::*;

/// What happens next; what is not possible does nothing.
#[derive(Clone, Copy, Debug)]
enum Step {
    SenderSpeaks,
    SenderHears,
    ServerHearsSender,
    ReceiverSpeaks(usize),
    ReceiverHears(usize),
    ServerHearsReceiver(usize),
    /// Writes so many bytes of what it has taken.
    Writes(usize, u64),
    SenderLost,
    /// Killed and started again.
    ReceiverLost(usize),
    /// And its copy has changed meanwhile.
    CopySpoilt(usize),
}

struct Receiver {
    receiving: Option<Receiving>,
    /// Written, and taken but not yet written.
    disk: Vec<u8>,
    waiting: Vec<u8>,
    to_server: VecDeque<Asked>,
    offer: Option<Offer>,
    done: bool,
    was_corrupt: bool,
}

struct World {
    file: Vec<u8>,
    sending: Sending,
    to_server: VecDeque<Asked>,
    relay: Relay,
    receivers: Vec<Receiver>,
    knows_secret: bool,
}

impl World {
    fn new(
        size: usize,
        chunk: u32,
        request: u32,
        window: u32,
        receivers: usize,
        hash: bool,
    ) -> Self {
        let file = content(size);
        let mut about = outgoing(size as u64);
        about.hash = hash.then(|| sha256(&file));
        Self {
            sending: Sending::new(about),
            to_server: VecDeque::new(),
            relay: Relay::new(size as u64, chunk, request, window, receivers),
            receivers: (0..receivers)
                .map(|_| Receiver {
                    receiving: None,
                    disk: Vec::new(),
                    waiting: Vec::new(),
                    to_server: VecDeque::new(),
                    offer: None,
                    done: false,
                    was_corrupt: false,
                })
                .collect(),
            file,
            knows_secret: false,
        }
    }

    fn is_over(&self) -> bool {
        self.sending.outcome().is_some() && self.receivers.iter().all(|it| it.done)
    }

    fn step(&mut self, step: Step) {
        let count = self.receivers.len();
        match step {
            Step::SenderSpeaks => self.sender_speaks(),
            Step::SenderHears => self.sender_hears(),
            Step::ServerHearsSender => {
                if let Some(asked) = self.to_server.pop_front() {
                    self.relay.sender_says(asked);
                }
            }
            Step::ReceiverSpeaks(it) => self.receivers[it % count].speak(),
            Step::ReceiverHears(it) => {
                let it = it % count;
                if let Some(told) = self.relay.to_receivers[it].pop_front() {
                    self.receivers[it].hear(&told, self.file.len() as u64);
                }
            }
            Step::ServerHearsReceiver(it) => {
                let it = it % count;
                if let Some(asked) = self.receivers[it].to_server.pop_front() {
                    self.relay.receiver_says(it, asked);
                }
            }
            Step::Writes(it, bytes) => self.receivers[it % count].write(bytes),
            // Before it knows its secret it would begin anew, which the relay does not know.
            Step::SenderLost if self.knows_secret => {
                self.to_server.clear();
                self.relay.sender_lost();
                self.sending.lost();
            }
            Step::SenderLost => {}
            Step::ReceiverLost(it) => self.restart(it % count),
            Step::CopySpoilt(it) => {
                self.restart(it % count);
                let receiver = &mut self.receivers[it % count];
                if let Some(byte) = receiver.disk.first_mut().filter(|_| !receiver.done) {
                    *byte ^= 1;
                }
            }
        }
    }

    fn restart(&mut self, it: usize) {
        let receiver = &mut self.receivers[it];
        if receiver.done {
            return;
        }
        receiver.to_server.clear();
        receiver.waiting.clear();
        receiver.receiving = None;
        self.relay.receiver_lost(it);
    }

    fn sender_speaks(&mut self) {
        let said = match self.sending.next_step() {
            None => return,
            Some(Next::Say(request)) => Asked::of(request),
            Some(Next::Read {
                offset,
                length_bytes,
            }) => {
                assert!(length_bytes <= self.relay.chunk_bytes);
                let (from, to) = (offset as usize, offset as usize + length_bytes as usize);
                let request = self.sending.read(&self.file[from..to]);
                Asked::of(request.expect("it was asked for"))
            }
        };
        self.to_server.push_back(said);
    }

    fn sender_hears(&mut self) {
        let Some(told) = self.relay.to_sender.pop_front() else {
            return;
        };
        let chunk_bytes = self.relay.chunk_bytes;
        let notice = match told {
            Told::Accepted => {
                self.knows_secret = true;
                FileNotice::Accepted {
                    name: "own",
                    transfer: TRANSFER,
                    secret: "secret",
                    offset: 0,
                    chunk_bytes,
                }
            }
            Told::Wanted(piece) => FileNotice::Wanted {
                transfer: TRANSFER,
                offset: piece.start,
                length_bytes: (piece.end - piece.start) as u32,
            },
            Told::Completed { completed, failed } => FileNotice::Completed {
                transfer: TRANSFER,
                completed,
                failed,
            },
            Told::Unknown => {
                let code = ErrorCode::TransferUnknown;
                return self.sending.refused(Said::Start, code, "unknown");
            }
            Told::EndTaken => return self.sending.done(Said::End),
            Told::EndEarly => {
                let code = ErrorCode::TransferUnexpected;
                return self.sending.refused(Said::End, code, "early");
            }
            other => panic!("{other:?}"),
        };
        assert!(self.sending.take(&notice), "{notice:?}");
    }

    /// Everyone goes on, in turn, until nothing more happens.
    fn settle(&mut self) {
        let count = self.receivers.len();
        for _ in 0..20_000 {
            if self.is_over() {
                return;
            }
            for it in 0..count {
                let steps = [
                    Step::ReceiverHears(it),
                    Step::Writes(it, u64::MAX),
                    Step::ReceiverSpeaks(it),
                    Step::ServerHearsReceiver(it),
                ];
                for step in steps {
                    self.step(step);
                }
                let receiver = &self.receivers[it];
                if !receiver.done && receiver.receiving.is_none() && receiver.offer.is_none() {
                    // What was corrupt is begun anew, which takes another offer.
                    self.restart(it);
                }
            }
            let steps = [
                Step::SenderHears,
                Step::SenderSpeaks,
                Step::ServerHearsSender,
            ];
            for step in steps {
                self.step(step);
            }
        }
        panic!("it does not end: {:?} {:?}", self.sending, self.relay);
    }
}

impl Receiver {
    fn hear(&mut self, told: &Told, size: u64) {
        if let Told::Offered { max_window_bytes } = told {
            let offer = offer(size, *max_window_bytes);
            let have = self.disk.len() as u64;
            let mut receiving = Receiving::new(&offer, have, 1 << 20).expect("it fits");
            while let Some(missing) = receiving.missing_hash() {
                let from = missing.start as usize;
                let to = (from + 100).min(self.disk.len());
                receiving.hash(&self.disk[from..to]);
            }
            self.receiving = Some(receiving);
            return;
        }
        let Some(receiving) = &mut self.receiving else {
            return;
        };
        match told {
            Told::Chunk(offset, data) => {
                let taken = receiving.chunk(*offset, data).expect("in order");
                let end = self.disk.len() + self.waiting.len();
                assert_eq!(taken.offset, end as u64);
                self.waiting.extend_from_slice(taken.data);
            }
            Told::End(hash) => {
                let notice = FileNotice::End {
                    transfer: TRANSFER,
                    size,
                    hash: *hash,
                };
                assert!(receiving.take(&notice));
            }
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self, bytes: u64) {
        let count = self.waiting.len().min(bytes as usize);
        self.disk.extend(self.waiting.drain(..count));
        if let Some(receiving) = &mut self.receiving {
            receiving.written(count as u64);
        }
    }

    fn speak(&mut self) {
        let Some(receiving) = &mut self.receiving else {
            return;
        };
        if receiving.is_whole() {
            receiving.kept();
        }
        self.to_server
            .extend(receiving.next_request().map(Asked::of));
        match receiving.outcome() {
            None => {}
            Some(ReceiveOutcome::Received) => self.done = true,
            Some(ReceiveOutcome::Corrupt) => {
                self.was_corrupt = true;
                self.disk.clear();
                self.waiting.clear();
                self.receiving = None;
            }
            Some(other) => panic!("{other:?}"),
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let it = || 0..3_usize;
    prop_oneof![
        20 => Just(Step::SenderSpeaks),
        20 => Just(Step::SenderHears),
        20 => Just(Step::ServerHearsSender),
        20 => it().prop_map(Step::ReceiverSpeaks),
        30 => it().prop_map(Step::ReceiverHears),
        20 => it().prop_map(Step::ServerHearsReceiver),
        30 => (it(), 1..200_u64).prop_map(|(it, bytes)| Step::Writes(it, bytes)),
        1 => Just(Step::SenderLost),
        1 => it().prop_map(Step::ReceiverLost),
        1 => it().prop_map(Step::CopySpoilt),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_received_is_what_was_sent(
        size in 0..3_000_usize,
        (chunk, request) in (1..300_u32, 1..700_u32),
        window in 1..900_u32,
        receivers in 1..4_usize,
        hash: bool,
        steps in prop::collection::vec(step(), 0..800),
    ) {
        let mut world = World::new(size, chunk, request, window, receivers, hash);
        let (mut spoilt, mut lost) = (false, false);
        for step in steps {
            lost |= matches!(step, Step::SenderLost);
            spoilt |= matches!(step, Step::CopySpoilt(_));
            world.step(step);
        }
        world.settle();
        for receiver in &world.receivers {
            prop_assert!(receiver.disk == world.file);
            prop_assert!(spoilt || !receiver.was_corrupt);
        }
        let outcome = world.sending.outcome();
        let is_right = match outcome {
            Some(SendOutcome::Completed { completed, .. }) => *completed as usize == receivers,
            // It ended while nobody was there to hear of it.
            Some(SendOutcome::Refused(refusal)) => lost && refusal.code == ErrorCode::TransferUnknown,
            _ => false,
        };
        prop_assert!(is_right, "{:?}", outcome);
    }
}

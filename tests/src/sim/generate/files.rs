//! Clients that send each other files, and settings with which that takes little.

use core::net::Ipv4Addr;

use roomwire_core::{Config, ListenerId, PeerAddr};

use super::{MS, Writer, between, pick, until};
use crate::rng::Rng;
use crate::sim::network::Reading;
use crate::sim::peer::Codec;
use crate::sim::plan::{
    Act, Claim, ClientPlan, Head, Nature, Parcel, Plan, Porter, Recipient, Wish,
};
use crate::sim::wire::Link;

/// Adds them to a share of the plans; of the others nothing changes.
pub(super) fn add(plan: &mut Plan) {
    let rng = &mut Rng::new(plan.seed ^ 0xF11E_0F11_E5EE);
    if !rng.one_in(FILES_ONE_IN) {
        return;
    }
    settings(rng, &mut plan.config);
    let first = plan.clients.len();
    let count = between(rng, 2, 6) as usize;
    let room = pick(rng, &[1, 2, 6, 7]);
    for number in first..first + count {
        let mut writer = Writer {
            rng: Rng::new(rng.next()),
            clients: first + count,
            homes: vec![room],
            long: 100,
            acts: Vec::new(),
        };
        let others = (first..first + count).filter(|&other| other != number);
        writer.porter(
            room,
            &others.collect::<Vec<_>>(),
            plan.config.files.chunk_bytes,
        );
        let address = (Ipv4Addr::new(10, 0, 2, number as u8), 42_000);
        plan.clients.push(ClientPlan {
            nature: Nature::Porter,
            peer: PeerAddr::Inet(address.into()),
            // Where data comes bare there are no frames.
            listener: ListenerId(0),
            codec: pick(rng, &[Codec::Own, Codec::Tungstenite]),
            link: link(rng),
            eager: false,
            fragments: pick(rng, &[1, 1, 1, 3]),
            porter: Some(porter(rng, &plan.config)),
            acts: until(writer.acts, plan.end_us),
        });
    }
}

/// One plan of so many has files.
const FILES_ONE_IN: usize = 4;

fn settings(rng: &mut Rng, config: &mut Config) {
    let files = &mut config.files;
    files.chunk_bytes = pick(rng, &[1_024, 2_048, 4_096, 16 * 1_024]);
    files.max_window_bytes = files.chunk_bytes * pick(rng, &[2, 4, 16]);
    files.request_bytes = files.chunk_bytes * pick(rng, &[1, 2, 4]);
    files.max_requested_bytes = files.request_bytes * pick(rng, &[1, 2, 4]);
    files.max_streams = pick(rng, &[1, 2, 4]);
    files.patience_ms = pick(rng, &[100, 500, 2_000]);
    files.gather_ms = pick(rng, &[0, 20, 100]);
    files.idle_ms = pick(rng, &[1_500, 3_000, 8_000]);
    files.resume_ms = pick(rng, &[500, 2_000, 5_000]);
    files.progress_interval_ms = pick(rng, &[1, 100, 500]);
    files.max_per_client = pick(rng, &[1, 8, 8]);
    files.max_per_room = pick(rng, &[2, 16, 16]);
    files.max_copies_per_client = pick(rng, &[2, 16, 16]);
    files.max_receivers = pick(rng, &[2, 1_000, 1_000]);
    files.max_transfers = pick(rng, &[3, 1_024, 1_024]);
    let limits = &mut config.limits;
    limits.max_message_bytes = limits.max_message_bytes.max(4_096);
    limits.max_queued_messages = limits.max_queued_messages.max(64);
    let least = config.min_queued_bytes();
    let limits = &mut config.limits;
    limits.max_queued_bytes = limits.max_queued_bytes.max(least);
    let least = config.min_buffered_bytes();
    let limits = &mut config.limits;
    limits.max_buffered_bytes = limits.max_buffered_bytes.max(least);
}

fn link(rng: &mut Rng) -> Link {
    let buffer = |rng: &mut Rng| pick(rng, &[64 * 1024, 64 * 1024, 4_096, 1_000]);
    Link {
        latency_us: pick(rng, &[50, 50, 2_000, 20_000, 100_000]),
        jitter_us: pick(rng, &[0, 500, 10_000]),
        segment_bytes: pick(rng, &[1_448, 1_448, 65_536, 400]),
        server_buffer_bytes: buffer(rng),
        client_buffer_bytes: buffer(rng),
    }
}

fn porter(rng: &mut Rng, config: &Config) -> Porter {
    let chunk_bytes = config.files.chunk_bytes;
    Porter {
        binary: rng.one_in(2),
        window_bytes: pick(rng, &[u32::MAX, 16, 4, 2, 1]).saturating_mul(chunk_bytes),
        chunk_us: pick(rng, &[0, 0, 500, 20_000]),
        credit_us: pick(rng, &[0, 0, 1_000, 30_000, 300_000]),
        refuses: pick(rng, &[0, 0, 1, 4]),
        drops: pick(rng, &[0, 0, 1, 20]),
        resumes: !rng.one_in(4),
    }
}

impl Writer {
    /// Sends files to a room and to others, with interruptions of every kind.
    fn porter(&mut self, room: usize, others: &[usize], chunk_bytes: u32) {
        self.act(1_500, Act::Connect(Head::Upgrade));
        self.say(100, Wish::Join(room));
        for _ in 0..between(&mut self.rng, 3, 10) {
            match self.rng.below(16) {
                0..7 => {
                    let parcel = self.parcel(room, others, chunk_bytes);
                    self.act(2_500, Act::Offer(parcel));
                }
                7 => self.act(2_000, Act::GiveUp),
                8 => {
                    let bytes = between(&mut self.rng, 500, 8_000) as usize;
                    let every_us = between(&mut self.rng, 500, 50_000);
                    self.act(1_000, Act::Read(Reading::Slow { bytes, every_us }));
                }
                9 => {
                    self.act(1_000, Act::Read(Reading::Stopped));
                    self.act(3_000, Act::Read(Reading::Prompt));
                }
                10 => {
                    let stall = MS * between(&mut self.rng, 10, 3_000);
                    self.act(1_500, Act::Stall(stall));
                }
                11 => self.say(1_000, Wish::Room(room, 50)),
                12 if self.rng.one_in(2) => {
                    self.say(1_000, Wish::Leave(room));
                    self.say(1_000, Wish::Join(room));
                }
                _ => self.back(room),
            }
        }
        if self.rng.one_in(2) {
            self.act(1_000, Act::Read(Reading::Prompt));
        }
    }

    /// Its connection breaks, and it comes back.
    fn back(&mut self, room: usize) {
        let end = match self.rng.below(8) {
            0 => Act::Vanish,
            1 => Act::Finish,
            2 => Act::Close(Some(1000)),
            3 => Act::Fail,
            _ => Act::Reset,
        };
        self.act(1_500, end);
        self.act(1_500, Act::Connect(Head::Upgrade));
        self.say(100, Wish::Join(room));
    }

    fn parcel(&mut self, room: usize, others: &[usize], chunk_bytes: u32) -> Parcel {
        let rng = &mut self.rng;
        let to = if rng.one_in(3) && !others.is_empty() {
            Recipient::Client(others[rng.below(others.len())])
        } else {
            Recipient::Room(room)
        };
        let most = match rng.below(8) {
            0 => 1,
            1 => chunk_bytes,
            2..6 => 8 * chunk_bytes,
            6 => 32 * chunk_bytes,
            _ => 64 * chunk_bytes,
        };
        let claims = [
            Claim::Nothing,
            Claim::Start,
            Claim::Start,
            Claim::End,
            Claim::End,
            Claim::Wrong,
        ];
        Parcel {
            to,
            size: (rng.next() % u64::from(most.min(MOST_BYTES) + 1)) as u32,
            claim: pick(rng, &claims),
        }
    }
}

/// The longest file.
const MOST_BYTES: u32 = 300_000;

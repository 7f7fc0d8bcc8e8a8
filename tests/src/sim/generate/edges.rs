//! Clients that go where chance alone seldom does: into the short stages of a connection's life, and out of
//! them in every way there is.

use core::net::Ipv4Addr;

use roomwire_core::{Config, ListenerId, PeerAddr};

use super::{DROPPING, MS, Writer, between, pick, until};
use crate::rng::Rng;
use crate::sim::network::Reading;
use crate::sim::peer::Codec;
use crate::sim::plan::{Act, ClientPlan, Head, Nature, Order, Plan, Wish};
use crate::sim::wire::Link;

/// Adds them to a plan that has everybody else; nothing else in it changes.
pub(super) fn add(plan: &mut Plan) {
    let rng = &mut Rng::new(plan.seed ^ 0xED6E_0F11_FE00);
    let room = pick(rng, &DROPPING);
    for nature in [
        Nature::Hasty,
        Nature::Hasty,
        Nature::Deaf,
        Nature::Late,
        Nature::Mover,
        Nature::Herald,
    ] {
        let link = link(rng, nature);
        let mut writer = Writer {
            rng: Rng::new(rng.next()),
            clients: plan.clients.len(),
            homes: vec![room],
            long: 400,
            acts: Vec::new(),
        };
        match nature {
            Nature::Hasty => hasty(&mut writer, &link),
            Nature::Deaf => deaf(&mut writer),
            Nature::Late => late(&mut writer, drain_us(plan), &plan.config),
            Nature::Mover => mover(&mut writer, room),
            _ => herald(&mut writer, room),
        }
        let number = plan.clients.len();
        let address = (Ipv4Addr::new(10, 0, 1, number as u8), 41_000);
        plan.clients.push(ClientPlan {
            nature,
            peer: PeerAddr::Inet(address.into()),
            listener: ListenerId(rng.below(plan.config.listeners.len()) as u16),
            codec: pick(rng, &[Codec::Own, Codec::Tungstenite, Codec::Deflating]),
            link,
            eager: false,
            fragments: 1,
            porter: None,
            acts: until(writer.acts, plan.end_us),
        });
    }
}

fn drain_us(plan: &Plan) -> Option<u64> {
    let mut commands = plan.commands.iter();
    let drain = commands.find(|(_, order)| *order == Order::Drain)?;
    Some(drain.0)
}

fn link(rng: &mut Rng, nature: Nature) -> Link {
    // Too little for a response, or for an upgrade's and the welcome that follows.
    let tiny = pick(rng, &[30, 60, 100]);
    let buffer_bytes = match nature {
        Nature::Deaf => tiny,
        Nature::Mover => 1_000,
        _ => 64 * 1024,
    };
    Link {
        latency_us: pick(rng, &[50, 5_000, 40_000]),
        jitter_us: pick(rng, &[0, 500]),
        segment_bytes: pick(rng, &[1_448, 1_448, 3]),
        server_buffer_bytes: buffer_bytes,
        client_buffer_bytes: buffer_bytes,
    }
}

/// Breaks off before it is welcomed: with half a request sent, or between the response and the welcome.
fn hasty(writer: &mut Writer, link: &Link) {
    for _ in 0..between(&mut writer.rng, 5, 9) {
        let waits = pick(&mut writer.rng, &[true, false]);
        let act = match writer.rng.below(5) {
            0 => Act::Fail,
            1 => Act::Reset,
            2 => Act::Vanish,
            3 => Act::Close(Some(1000)),
            _ => Act::Finish,
        };
        // When that happens at the server.
        let at = link.jitter_us + between(&mut writer.rng, 1, 95) * MS;
        let travels = act != Act::Fail;
        let after = if travels { at } else { at + link.latency_us };
        let head = if waits { Head::Half } else { Head::Upgrade };
        writer.act(3_000, Act::Connect(head));
        writer.acts.push((after, act));
    }
}

/// Asks and does not listen to the answer, for which there is no room on the way.
fn deaf(writer: &mut Writer) {
    for _ in 0..between(&mut writer.rng, 2, 4) {
        let heads = [
            Head::Upgrade,
            Head::Upgrade,
            Head::Path,
            Head::Plain,
            Head::Health,
        ];
        let head = pick(&mut writer.rng, &heads);
        writer.act(3_000, Act::Connect(head));
        writer.acts.push((0, Act::Read(Reading::Stopped)));
        let silence = between(&mut writer.rng, 2_000, 14_000) * MS;
        writer.acts.push((silence, Act::Ping));
    }
}

/// Takes its time over its request: with a drain, until that has begun.
fn late(writer: &mut Writer, drain_us: Option<u64>, config: &Config) {
    let most_ms = config.timeouts.handshake_ms.min(1_500);
    let mut now = 0;
    if let Some(drain_us) = drain_us {
        let pause = between(&mut writer.rng, 100, most_ms - 100) * MS;
        let before = between(&mut writer.rng, 50 * MS, pause - 1);
        now = drain_us.saturating_sub(before);
        writer.acts.push((now, Act::Connect(Head::Half)));
        writer.acts.push((pause, Act::Rest));
    }
    for _ in 0..between(&mut writer.rng, 2, 5) {
        writer.act(
            if now == 0 { 5_000 } else { 1_000 },
            Act::Connect(Head::Half),
        );
        writer.act(most_ms, Act::Rest);
        writer.talk(0, 3, 500);
        // Where only so many may come, it is sometimes the last of them: that server says that it is full.
        for _ in 0..4 {
            writer.act(2_000, Act::Connect(Head::Health));
        }
    }
}

/// Leaves a room with messages of it on the way that it has not read, and reads on.
fn mover(writer: &mut Writer, room: usize) {
    writer.act(1_000, Act::Connect(Head::Upgrade));
    for _ in 0..between(&mut writer.rng, 3, 6) {
        writer.say(300, Wish::Join(room));
        writer.act(500, Act::Read(Reading::Stopped));
        let silence = between(&mut writer.rng, 500, 4_000) * MS;
        let leave = writer.ask(Wish::Leave(room));
        writer.acts.push((silence, Act::Say(vec![leave])));
        writer.act(1_500, Act::Read(Reading::Prompt));
    }
}

/// Sends many messages to a room.
fn herald(writer: &mut Writer, room: usize) {
    writer.act(1_000, Act::Connect(Head::Upgrade));
    writer.say(300, Wish::Join(room));
    for _ in 0..between(&mut writer.rng, 10, 20) {
        let count = between(&mut writer.rng, 5, 40);
        let wishes = (0..count).map(|_| writer.ask(Wish::Room(room, 200)));
        let asks = wishes.collect();
        writer.act(1_500, Act::Say(asks));
    }
}

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::limits::rate::Quota;
use crate::time::Instant;

/// A server that remembers `max_idle` addresses; their buckets refill within a second.
fn server(max_idle: usize) -> Server {
    let mut config = Config::default();
    config.limits.max_idle_addresses = max_idle;
    config.rate_limit.messages = 1;
    config.rate_limit.address_factor = 10;
    config.rate_limit.per_ms = 1_000;
    Server::new(config.validate().unwrap(), [7; 32])
}

fn peer(number: u8) -> PeerAddr {
    PeerAddr::Inet(([10, 0, 0, number], 1_000).into())
}

/// Takes one message's worth from an address's bucket.
fn charge(server: &mut Server, index: u32) {
    let (quota, now): (Quota, Instant) = (server.quotas.address, server.now.mono);
    if let Some(entry) = server.addresses.get_mut(index)
        && let Ok(bucket) = quota.check(entry.messages, now, 1)
    {
        entry.messages = bucket;
    }
}

fn pass(server: &mut Server, micros: u64) {
    server.now.mono = server.now.mono + Duration::from_micros(micros);
    server.fire_deadlines();
}

impl Server {
    /// Fires what is due, as a poll does.
    fn fire_deadlines(&mut self) {
        while let Some((due, deadline)) = self.deadlines.first()
            && due <= self.now.mono
        {
            self.deadlines.pop_first();
            assert_eq!(deadline, Deadline::Addresses);
            self.forget_addresses();
        }
    }
}

fn known(server: &Server) -> BTreeSet<String> {
    let keys = server.addresses.by_key.iter();
    let keys = keys.map(|&index| &server.addresses.entries[index as usize].key);
    keys.map(|key| format!("{key:?}")).collect()
}

fn name(number: u8) -> String {
    format!("{:?}", key(peer(number)))
}

#[test]
fn an_address_is_an_ipv4_host_or_an_ipv6_network() {
    let of = |text: &str| key(PeerAddr::Inet((text.parse::<IpAddr>().unwrap(), 1).into()));
    assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(key(PeerAddr::Local), Key::Local);
    let local = |text: &str| is_local(PeerAddr::Inet((text.parse::<IpAddr>().unwrap(), 1).into()));
    assert!(local("127.0.0.9") && local("::1") && local("::ffff:127.0.0.1"));
    assert!(!local("10.0.0.1") && !local("2001:db8::1") && is_local(PeerAddr::Local));
}

#[test]
fn a_reconnect_gains_no_fresh_quota() {
    let mut server = server(10);
    let index = server.addresses.enter(peer(1));
    for _ in 0..10 {
        charge(&mut server, index);
    }
    let before = server.addresses.get(index).unwrap().messages;
    server.leave_address(index);
    assert_eq!(server.addresses.enter(peer(1)), index);
    assert_eq!(server.addresses.get(index).unwrap().messages, before);
}

#[test]
fn an_address_that_owes_nothing_is_forgotten_at_once() {
    let mut server = server(10);
    let index = server.addresses.enter(peer(1));
    server.leave_address(index);
    assert!(known(&server).is_empty());
    assert!(server.deadlines.is_empty());
}

/// One address that comes and goes must not push out what is known of others.
#[test]
fn an_address_is_kept_once_however_often_it_comes() {
    let mut server = server(3);
    let index = server.addresses.enter(peer(1));
    charge(&mut server, index);
    server.leave_address(index);
    for _ in 0..100 {
        let other = server.addresses.enter(peer(2));
        charge(&mut server, other);
        server.leave_address(other);
    }
    assert_eq!(known(&server), [name(1), name(2)].into());
    assert_eq!(server.addresses.idle_len, 2);
}

#[test]
fn many_addresses_are_forgotten_in_steps() {
    let mut server = server(10_000);
    for number in 0..1_000_u16 {
        let [high, low] = number.to_be_bytes();
        let peer = PeerAddr::Inet(([10, 1, high, low], 1).into());
        let index = server.addresses.enter(peer);
        charge(&mut server, index);
        server.leave_address(index);
    }
    pass(&mut server, 1_000_000);
    assert_eq!(known(&server).len(), 1_000 - FORGOTTEN_PER_LOOK);
    for _ in 0..3 {
        pass(&mut server, 1_000);
    }
    assert!(known(&server).is_empty());
    assert!(server.deadlines.is_empty(), "nothing left to look at");
}

#[derive(Clone, Debug)]
enum Op {
    Enter(u8),
    Charge(u8),
    Leave(u8),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..8_u8).prop_map(Op::Enter),
        4 => (0..8_u8).prop_map(Op::Charge),
        4 => (0..8_u8).prop_map(Op::Leave),
        1 => (0..700_000_u64).prop_map(Op::Pass),
    ]
}

/// What is known of one address.
#[derive(Debug)]
struct Known {
    index: u32,
    connections: u32,
    messages: Bucket,
    /// The order in which addresses became idle.
    since: u64,
}

proptest! {
    /// Against a map by number: an address with connections, or with a bucket that is not full, is known;
    /// of those without connections the oldest go first.
    #[test]
    fn addresses_are_a_map(max_idle in 0..5_usize, ops in prop::collection::vec(op(), 0..150)) {
        let mut server = server(max_idle);
        let mut reference: BTreeMap<u8, Known> = BTreeMap::new();
        for (turn, op) in (0..).zip(ops) {
            match op {
                Op::Enter(number) => {
                    let index = server.addresses.enter(peer(number));
                    let fresh = Known { index, connections: 0, messages: Bucket::default(), since: 0 };
                    let entry = reference.entry(number).or_insert(fresh);
                    prop_assert_eq!(entry.index, index);
                    entry.connections += 1;
                }
                Op::Charge(number) => {
                    if let Some(entry) = reference.get_mut(&number) {
                        charge(&mut server, entry.index);
                        entry.messages = server.addresses.get(entry.index).unwrap().messages;
                    }
                }
                Op::Leave(number) => {
                    let Some(entry) = reference.get_mut(&number).filter(|e| e.connections > 0) else {
                        continue;
                    };
                    server.leave_address(entry.index);
                    entry.connections -= 1;
                    entry.since = turn;
                    if entry.connections == 0 && server.quotas.address.is_full(entry.messages, server.now.mono) {
                        reference.remove(&number);
                    }
                    let idle = || reference.iter().filter(|(_, entry)| entry.connections == 0);
                    if idle().count() > max_idle {
                        let oldest = idle().min_by_key(|(_, entry)| entry.since).map(|(&n, _)| n);
                        reference.remove(&oldest.unwrap());
                    }
                }
                Op::Pass(micros) => {
                    pass(&mut server, micros);
                    let now = server.now.mono;
                    let quota = server.quotas.address;
                    // When it looks is its own affair: what it forgets is full, idle and older than the rest.
                    let left = known(&server);
                    reference.retain(|&number, entry| {
                        let gone = !left.contains(&name(number));
                        assert!(!gone || (entry.connections == 0 && quota.is_full(entry.messages, now)));
                        !gone
                    });
                }
            }
            let expected: BTreeSet<String> = reference.keys().copied().map(name).collect();
            prop_assert_eq!(known(&server), expected);
            let idle = reference.values().filter(|entry| entry.connections == 0).count();
            prop_assert_eq!(server.addresses.idle_len, idle);
            prop_assert_eq!(server.addresses.look_armed, !server.deadlines.is_empty());
            prop_assert!(idle == 0 || server.addresses.look_armed);
            for entry in reference.values() {
                let own = server.addresses.get(entry.index).unwrap();
                prop_assert_eq!(own.connections(), entry.connections);
                prop_assert_eq!(own.messages, entry.messages);
            }
            prop_assert!(server.addresses.entries.len() <= 8);
        }
        // Everyone leaves; after two windows nothing is left.
        for entry in reference.values() {
            for _ in 0..entry.connections {
                server.leave_address(entry.index);
            }
        }
        for _ in 0..3 {
            pass(&mut server, 11_000_000);
        }
        prop_assert!(known(&server).is_empty());
    }
}

#[test]
fn addresses_are_memory_and_so_is_the_list_of_free_ones() {
    let mut server = server(0);
    let entered: Vec<u32> = (0..100).map(|n| server.addresses.enter(peer(n))).collect();
    let known = server.addresses.heap_bytes();
    for index in entered {
        server.leave_address(index);
    }
    let free = server.addresses.free.capacity();
    assert!(free >= 100);
    // Entries keep their places.
    let change = server.addresses.heap_bytes() - known;
    assert!(change >= free * size_of::<u32>(), "{change} bytes");
}

/// Where an address lies in the table is nobody else's to choose.
#[test]
fn the_key_of_a_hash_comes_from_the_seed() {
    let hash = |seed| {
        let config = Config::default().validate().unwrap();
        Server::new(config, [seed; 32]).keyed_hash(b"somebody")
    };
    assert_eq!(hash(7), hash(7));
    assert_ne!(hash(7), hash(8));
}

#[test]
fn the_order_of_idle_addresses_is_memory() {
    let mut server = server(100);
    let entered: Vec<u32> = (0..100).map(|n| server.addresses.enter(peer(n))).collect();
    for index in entered {
        charge(&mut server, index);
        server.leave_address(index);
    }
    let entries = server.addresses.entries.capacity() * size_of::<Address>();
    let links = server.addresses.idle_links.heap_bytes();
    assert!(links >= 100 * 8, "{links} bytes");
    assert!(server.addresses.heap_bytes() >= entries + links);
}

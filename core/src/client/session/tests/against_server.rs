//! Sessions of the server of this crate, over wires that are cut: what a session hears of a room is all of it, but for
//! what it is told that it missed.

use super::net::{ADA, BOB, EVE, Net, View, server};
use super::*;

/// One run: everybody speaks, ada and bob are cut all the time, in all ways.
fn run(seed: u64, room: &str) -> Net {
    let mut net = Net::new(seed);
    for index in [EVE, ADA, BOB] {
        net.join(index, room);
    }
    net.settle();
    for _ in 0..200 {
        let who = [ADA, BOB][usize::try_from(net.below(2)).expect("one")];
        match net.below(12) {
            0 => net.cut(who, true),
            1 => net.cut(who, false),
            2 => net.freeze(who),
            3 => {
                net.is_down = true;
                net.cut(who, true);
            }
            4 => net.is_down = false,
            5 => {
                let ms = net.below(3_000);
                net.pass(ms);
            }
            6 => {
                let steps = net.below(50);
                net.crawl(steps);
            }
            7 => {
                let most = usize::try_from(net.below(300)).expect("a few");
                net.deliver(who, most);
                net.drain();
            }
            8 => {
                net.say(EVE, room, Delivery::AtMostOnce);
                net.pass(5);
            }
            9 => net.say(who, room, Delivery::AtLeastOnce),
            _ => net.say(who, room, Delivery::AtMostOnce),
        }
    }
    net.settle();
    net
}

/// What holds after a run, whatever happened. `keeps_all`: nothing is ever trimmed.
fn check(net: &Net, room: &str, keeps_all: bool) -> (usize, usize) {
    // Eve is never cut: what she heard, and what she said, is the log.
    let eve = net.view(EVE, room);
    assert_eq!((eve.resumed, eve.gaps.len()), (0, 0));
    let said_by = |item: &u64| net.said[item];
    let last = [EVE, ADA, BOB].map(|index| net.view(index, room).last);
    let last = last.into_iter().max().unwrap_or_default();
    let (mut returns, mut gaps) = (0, 0);
    for index in [ADA, BOB] {
        let view = net.view(index, room);
        (returns, gaps) = (returns + view.resumed, gaps + view.gaps.len());
        for (offset, item) in &view.heard {
            let there = eve.heard.get(offset);
            assert!(there == Some(item) || said_by(item) == EVE, "{offset}");
            assert_eq!(said_by(item) == index, view.own.contains(offset));
        }
        for offset in 1..=last {
            let is_own = eve.heard.get(&offset).map(said_by) == Some(index);
            let ways = [
                view.heard.contains_key(&offset),
                view.gaps.contains(&offset),
            ];
            let count = ways.iter().filter(|it| **it).count();
            // What it said itself is not told live.
            assert!(count == 1 || (count == 0 && is_own), "{offset}: {ways:?}");
        }
        assert!(view.gaps.is_empty() || view.incomplete > 0);
        if keeps_all {
            assert_eq!((view.gaps.len(), view.incomplete), (0, 0));
        }
        check_outcomes(net, index, &eve);
    }
    (returns, gaps)
}

/// Each item's outcome is what eve saw of it.
fn check_outcomes(net: &Net, index: usize, eve: &View) {
    let outcomes = net.outcomes(index);
    for item in net
        .said
        .iter()
        .filter(|(_, by)| **by == index)
        .map(|it| it.0)
    {
        let times = eve.heard.values().filter(|it| *it == item).count();
        match &*outcomes[item] {
            "ack" => assert_eq!(times, 1, "{item}"),
            "ConnectionLost" => assert!(times <= 1, "{item}"),
            other => assert_eq!((other, times), ("QueueFull", 0), "{item}"),
        }
    }
}

/// covers A4-15, A4-06: however it is cut, a session has everything, of a room that keeps it.
#[test]
fn nothing_is_missed_of_a_room_that_keeps_everything() {
    let mut returns = 0;
    for seed in 0..100 {
        let net = run(seed, "tea");
        returns += check(&net, "tea", true).0;
    }
    assert!(returns >= 1_000, "{returns}");
}

/// covers A4-15: or it is told what it missed.
#[test]
fn or_it_is_told_of_each_message_that_it_missed() {
    let (mut returns, mut gaps) = (0, 0);
    for seed in 1_000..1_100 {
        let net = run(seed, "short");
        let (more, missed) = check(&net, "short", false);
        (returns, gaps) = (returns + more, gaps + missed);
    }
    assert!(returns >= 1_000 && gaps >= 1_000, "{returns}, {gaps}");
}

/// covers A4-15: a server that has lost the log says so, and it goes on from there.
#[test]
fn a_server_that_is_restarted_is_told_apart() {
    let mut net = Net::new(7);
    for index in [EVE, ADA, BOB] {
        net.join(index, "tea");
    }
    net.settle();
    for _ in 0..5 {
        net.say(ADA, "tea", Delivery::AtMostOnce);
    }
    net.pass(1_000);
    assert_eq!(net.view(BOB, "tea").heard.len(), 5);
    net.restart();
    net.say(ADA, "tea", Delivery::AtMostOnce);
    net.settle();
    net.say(ADA, "tea", Delivery::AtMostOnce);
    net.pass(1_000);
    for index in [EVE, BOB] {
        let view = net.view(index, "tea");
        assert_eq!((view.resets, view.incomplete), (1, 1));
        assert_eq!(view.heard.values().copied().collect::<Vec<_>>(), [9, 10]);
    }
    let outcomes = net.outcomes(ADA);
    assert!(
        (4..=10).all(|item| outcomes[&item] == "ack"),
        "{outcomes:?}"
    );
}

/// covers A0-10, A4-03: who is drained comes back when it was told to.
#[test]
fn a_server_that_leaves_has_its_clients_back() {
    let mut net = Net::new(8);
    net.join(BOB, "tea");
    net.settle();
    let drain = crate::server::Command::Drain;
    let _ = net.server.handle(net.now, Input::Command(drain));
    net.drain();
    net.pass(100);
    let events = &net.peers[BOB].events;
    let closed = closed(events);
    let [
        Closed {
            code: 1012,
            reconnect_in: Some(wait),
            ..
        },
    ] = closed[..]
    else {
        panic!("{closed:?}");
    };
    assert!(*wait >= Duration::from_millis(500) && *wait <= Duration::from_millis(5_000));
    net.server = server(5);
    net.settle();
}

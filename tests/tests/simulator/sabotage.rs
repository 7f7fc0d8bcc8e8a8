//! The oracle notices: each test shows it a run with one thing wrong, and expects to be told what.

use std::cell::Cell;
use std::rc::Rc;

use roomwire_core::config::{Heartbeat, ListenerConfig};
use roomwire_core::{Config, ListenerId};
use roomwire_tests::sim::{
    Act, Ask, Driving, Editor, Head, Link, Plan, Sabotage, SocketId, Wish, run, run_sabotaged,
};

/// Plans in which some rooms tell everything to everybody, of one shard.
fn plans() -> impl Iterator<Item = Plan> {
    let strict = |plan: &Plan| plan.config.rooms.iter().all(|rule| rule.pattern != "*");
    (0..40).map(Plan::generate).map(Plan::alone).filter(strict)
}

/// In so many runs it must be noticed.
const RUNS: usize = 3;

/// Runs plans with an edited stream, in which `edit` replaces what it wants to; the oracle must say one of
/// `expected` wherever that was anything.
fn notices<E>(expected: &[&str], edit: E)
where
    E: FnMut(SocketId, &str) -> Option<Vec<String>> + Clone + 'static,
{
    notices_in(plans(), expected, edit);
}

fn notices_in<E>(plans: impl Iterator<Item = Plan>, expected: &[&str], edit: E)
where
    E: FnMut(SocketId, &str) -> Option<Vec<String>> + Clone + 'static,
{
    let mut noticed = 0;
    for plan in plans {
        let mut edit = edit.clone();
        let edited = Rc::new(Cell::new(false));
        let mark = edited.clone();
        let editor = Editor(Box::new(move |socket, text| match edit(socket, &text) {
            Some(texts) => {
                mark.set(true);
                texts
            }
            None => vec![text],
        }));
        let sabotage = Sabotage {
            editor: Some(editor),
            ..Sabotage::default()
        };
        let result = run_sabotaged(&plan, sabotage);
        if !edited.get() {
            continue;
        }
        let seed = plan.seed;
        let Err(failure) = result else {
            panic!("seed {seed}: the oracle has noticed nothing");
        };
        let what = failure.what;
        assert!(
            expected.iter().any(|expected| what.contains(expected)),
            "seed {seed}: {what}"
        );
        noticed += 1;
        if noticed == RUNS {
            return;
        }
    }
    panic!("only {noticed} runs had anything to edit");
}

/// The same, once.
fn notices_once<E>(expected: &[&str], mut edit: E)
where
    E: FnMut(SocketId, &str) -> Option<Vec<String>> + Clone + 'static,
{
    let mut done = false;
    notices(expected, move |socket, text| {
        let texts = if done { None } else { edit(socket, text) };
        done |= texts.is_some();
        texts
    });
}

/// The same with one text that is lost.
fn notices_loss_of(expected: &[&str], nth: usize, wanted: fn(&str) -> bool) {
    let mut left = nth;
    notices_once(expected, move |_, text| {
        left -= usize::from(wanted(text));
        (left == 0).then(Vec::new)
    });
}

fn is(kind: &str, text: &str) -> bool {
    text.starts_with(&format!("{{\"type\":\"{kind}\""))
}

fn in_milk(text: &str) -> bool {
    text.contains("\"room\":\"milk\"")
}

#[test]
fn plans_pass_as_they_are() {
    for plan in plans().take(RUNS) {
        run(&plan).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn room_messages_that_are_lost() {
    notices(&["never came"], |_, text| {
        (is("room_message", text) && in_milk(text)).then(Vec::new)
    });
}

#[test]
fn a_room_message_that_comes_twice() {
    notices_once(&["twice"], |_, text| {
        is("room_message", text).then(|| vec![text.to_owned(), text.to_owned()])
    });
}

/// Two clients in a room, of whom the second says two things in one piece.
fn two_in_a_room() -> Plan {
    let mut plan = Plan::generate(0).alone();
    plan.config = Config::default();
    plan.config.listeners = vec![ListenerConfig::default()];
    plan.driving = Driving::default();
    plan.commands.clear();
    plan.clients.truncate(2);
    let ask = |what| Ask { what, named: true };
    for client in &mut plan.clients {
        client.listener = ListenerId(0);
        client.link = Link::default();
        client.acts = vec![
            (0, Act::Connect(Head::Upgrade)),
            (500_000, Act::Say(vec![ask(Wish::Join(2))])),
        ];
    }
    let both = vec![ask(Wish::Room(2, 10)), ask(Wish::Room(2, 20))];
    plan.clients[1].acts.push((500_000, Act::Say(both)));
    plan
}

#[test]
fn two_room_messages_in_the_wrong_order() {
    let plan = two_in_a_room();
    run(&plan).unwrap_or_else(|failure| panic!("{failure}"));
    let mut held = Vec::new();
    let editor = Editor(Box::new(move |_, text| {
        if !is("room_message", &text) {
            return vec![text];
        }
        held.insert(0, text);
        if held.len() < 2 {
            return Vec::new();
        }
        core::mem::take(&mut held)
    }));
    let sabotage = Sabotage {
        editor: Some(editor),
        ..Sabotage::default()
    };
    let what = run_sabotaged(&plan, sabotage)
        .expect_err("nothing was noticed")
        .what;
    assert!(what.contains("after later ones"), "{what}");
}

#[test]
fn a_message_for_somebody_else() {
    let mut stolen: Option<(SocketId, String)> = None;
    notices_once(
        &[
            "not a member",
            "twice",
            "another's",
            "after news of",
            "its own message",
            "joined",
            "somebody who is not there",
            "overtaken",
            "after later ones",
            "an envelope",
        ],
        move |socket, text| {
            if let Some((from, old)) = &stolen
                && *from != socket
            {
                return is("pong", text).then(|| vec![text.to_owned(), old.clone()]);
            }
            if stolen.is_none() && is("room_message", text) {
                stolen = Some((socket, text.to_owned()));
            }
            None
        },
    );
}

#[test]
fn a_private_message_for_somebody_else() {
    let mut stolen: Option<(SocketId, String)> = None;
    notices_once(&["another's"], move |socket, text| {
        if let Some((from, old)) = &stolen
            && *from != socket
        {
            return is("pong", text).then(|| vec![text.to_owned(), old.clone()]);
        }
        if stolen.is_none() && is("private_message", text) {
            stolen = Some((socket, text.to_owned()));
        }
        None
    });
}

#[test]
fn private_messages_that_are_lost() {
    // One without an `id` may have been refused, for all that can be known.
    let named = plans().map(|mut plan| {
        let acts = plan.clients.iter_mut().flat_map(|client| &mut client.acts);
        for (_, act) in acts {
            if let Act::Say(asks) = act {
                asks.iter_mut().for_each(|ask| ask.named = true);
            }
        }
        plan
    });
    notices_in(named, &["never got"], |_, text| {
        is("private_message", text).then(Vec::new)
    });
}

#[test]
fn an_acknowledgement_that_is_lost() {
    notices_loss_of(&["no answer", "is still open"], 10, |text| is("ack", text));
}

#[test]
fn an_acknowledgement_that_comes_twice() {
    notices_once(&["nobody asked", "is still open"], |_, text| {
        is("ack", text).then(|| vec![text.to_owned(), text.to_owned()])
    });
}

#[test]
fn refusals_of_what_was_done() {
    notices(&["refused"], |_, text| {
        let (_, id) = text.split_once("\"id\":")?;
        let id = id.strip_suffix('}')?;
        let code = "\"code\":\"not_member\",\"message\":\"no\"";
        let refused = format!("{{\"type\":\"error\",\"id\":{id},{code}}}");
        is("ack", text).then(|| vec![refused])
    });
}

#[test]
fn members_that_join_unseen() {
    notices(&["does not fit", "sees", "not there"], |_, text| {
        (is("member_joined", text) && in_milk(text)).then(Vec::new)
    });
}

#[test]
fn members_that_leave_unseen() {
    notices(&["sees Some", "does not fit"], |_, text| {
        (is("member_left", text) && in_milk(text)).then(Vec::new)
    });
}

#[test]
fn a_member_that_leaves_and_does_not() {
    notices_once(&["nothing like it", "does not fit", "sees"], |_, text| {
        let left = text.replace("member_joined", "member_left");
        let left = left.strip_suffix('}')?.to_owned() + ",\"reason\":\"left\"}";
        (is("member_joined", text) && in_milk(text)).then(|| vec![text.to_owned(), left])
    });
}

#[test]
fn a_welcome_that_is_lost() {
    notices_loss_of(
        &["before its welcome", "never welcomed", "clients are there"],
        2,
        |text| is("welcome", text),
    );
}

#[test]
fn words_that_are_changed() {
    notices_once(&["garbled", "made up"], |_, text| {
        let padded = text.contains("\"p\":\"xxx");
        (is("room_message", text) && padded)
            .then(|| vec![text.replacen("\"p\":\"x", "\"p\":\"", 1)])
    });
}

/// The server runs with other settings than the oracle knows of.
fn notices_settings(
    expected: &[&str],
    seeds: core::ops::Range<u64>,
    change: fn(&mut Config),
    wanted: fn(&Config) -> bool,
) {
    let mut tried = 0;
    for seed in seeds {
        let plan = Plan::generate(seed).alone();
        if !wanted(&plan.config) {
            continue;
        }
        let mut config = plan.config.clone();
        change(&mut config);
        tried += 1;
        let sabotage = Sabotage {
            config: Some(config),
            ..Sabotage::default()
        };
        if let Err(failure) = run_sabotaged(&plan, sabotage) {
            let known = |expected: &&str| failure.what.contains(expected);
            assert!(expected.iter().any(known), "{failure}");
            return;
        }
    }
    panic!("{tried} seeds, and the oracle has noticed nothing");
}

#[test]
fn the_dead_that_are_not_cut() {
    notices_settings(
        &["sign of life"],
        0..60,
        |config| {
            config.heartbeat = Heartbeat {
                interval_ms: 0,
                timeout_ms: 0,
            };
        },
        |config| config.heartbeat.interval_ms == 2_000,
    );
}

#[test]
fn a_welcome_that_takes_too_long() {
    notices_settings(
        &["never welcomed"],
        0..20,
        |config| config.timeouts.welcome_delay_ms = 3_000,
        |_| true,
    );
}

#[test]
fn a_handshake_that_takes_too_long() {
    notices_settings(
        &["no request"],
        0..60,
        |config| config.timeouts.handshake_ms = 20_000,
        |config| config.timeouts.handshake_ms == 1_000,
    );
}

#[test]
fn a_goodbye_that_takes_too_long() {
    // What is not read is not known to be a goodbye.
    notices_settings(
        &["lingers", "sign of life"],
        0..60,
        |config| config.timeouts.linger_ms = 30_000,
        |config| config.timeouts.linger_ms == 500,
    );
}

#[test]
fn queues_that_grow() {
    notices_settings(
        &["are queued"],
        0..120,
        |config| {
            config.limits.max_queued_bytes = 4 << 20;
            config.limits.max_queued_messages = 65_536;
            config.limits.max_buffered_bytes = 256 << 20;
        },
        |config| config.limits.max_queued_bytes < 64 << 10,
    );
}

#[test]
fn reasons_to_drop_that_are_not_the_rooms() {
    notices_settings(
        &["drops in a room that drops nothing"],
        0..120,
        |config| {
            for rule in &mut config.rooms {
                rule.slow_reader = roomwire_core::config::SlowReader::DropOldest;
            }
        },
        |config| config.limits.max_queued_messages <= 16,
    );
}

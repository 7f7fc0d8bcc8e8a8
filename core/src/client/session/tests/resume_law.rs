//! The law of coming back: wherever the wire is cut, a session is for everybody who it was, and has each message once and
//! in order; or it is told what it cannot have.

use super::net::{ADA, BOB, EVE, Net};
use super::*;
use crate::message::Gap;
use crate::{Config, Server};

/// So much of what ada sends and gets arrives in one step.
const STEP_BYTES: usize = 23;
const STEPS: u64 = 150;

/// Everybody is there, ada with a session.
fn all_there(net: &mut Net) -> ClientId {
    for index in [EVE, ADA, BOB] {
        net.join(index, "tea");
    }
    net.settle();
    let told = |event: &Event| matches!(event, Event::Session(told) if !told.resumed);
    assert!(net.peers[ADA].events.iter().any(told));
    net.peers[ADA].session.client_id().expect("an id")
}

impl Net {
    /// Somebody writes to a client alone.
    fn write(&mut self, index: usize, to: ClientId) -> u64 {
        self.next_item += 1;
        let item = self.next_item;
        let text = format!(r#"{{"type":"private_message","to":"{to}","data":{item}}}"#);
        let send = Send::new(Item(item), Content::Request(text));
        self.command(index, Command::Send(send));
        item
    }

    /// A moment, in which little of what is ada's arrives.
    fn step(&mut self) {
        self.now.mono = self.now.mono + Duration::from_millis(3);
        self.tick();
        for (index, most) in [(EVE, 1 << 20), (BOB, 1 << 20), (ADA, STEP_BYTES)] {
            self.deliver(index, most);
        }
        self.drain();
    }

    /// Ada's mail, by offset, and what of it she was told is missing.
    fn mail(&self) -> (Vec<(u64, u64)>, Vec<Gap>) {
        let (mut mail, mut gaps) = (Vec::new(), Vec::new());
        for event in &self.peers[ADA].events {
            match event {
                Event::Message(Message {
                    told: Told::PrivateMessage { said, offset },
                    ..
                }) => {
                    let SaidData::Json(data) = &said.data else {
                        panic!("{said:?}");
                    };
                    let data = data.parse().expect("a number");
                    mail.push((offset.expect("a session"), data));
                }
                Event::MailGap(gap) => gaps.push(*gap),
                _ => {}
            }
        }
        (mail, gaps)
    }
}

/// Bob speaks, eve writes, ada answers, and is cut after so many steps; all that was written to her.
fn run(net: &mut Net, ada: ClientId, cuts: &[u64], server_sees_it: bool) -> Vec<u64> {
    let mut written = Vec::new();
    for step in 0..STEPS {
        match step % 12 {
            0 => net.say(BOB, "tea", Delivery::AtMostOnce),
            4 => written.push(net.write(EVE, ada)),
            8 => net.say(ADA, "tea", Delivery::AtLeastOnce),
            _ => {}
        }
        net.step();
        if cuts.contains(&step) {
            net.cut(ADA, server_sees_it);
        }
    }
    net.settle();
    written
}

/// What holds after any run in which the session was not over.
fn check(net: &Net, ada: ClientId, written: &[u64]) {
    let peer = &net.peers[ADA];
    assert_eq!(peer.session.client_id(), Some(ada));
    let is_somebody_else = |event: &Event| match event {
        Event::Session(told) => told.client != ada,
        Event::NewIdentity { .. } => true,
        _ => false,
    };
    assert!(!peer.events.iter().any(is_somebody_else));
    // Her mail.
    let (mail, gaps) = net.mail();
    assert_eq!(gaps, []);
    let (offsets, data): (Vec<u64>, Vec<u64>) = mail.into_iter().unzip();
    assert_eq!(offsets, (1..=offsets.len() as u64).collect::<Vec<_>>());
    assert_eq!(data, written);
    assert!(written.iter().all(|item| net.outcomes(EVE)[item] == "ack"));
    // Her room, which keeps everything.
    let (eve, view) = (net.view(EVE, "tea"), net.view(ADA, "tea"));
    assert_eq!((view.gaps.len(), view.incomplete, view.resets), (0, 0, 0));
    for (offset, item) in &eve.heard {
        let is_own = net.said[item] == ADA;
        let there = view.heard.get(offset);
        assert!(
            there == Some(item) || (there.is_none() && is_own),
            "{offset}"
        );
    }
    // What she said has been said.
    for (item, _) in net.said.iter().filter(|(_, by)| **by == ADA) {
        assert_eq!(net.outcomes(ADA)[item], "ack");
        let times = eve.heard.values().filter(|it| *it == item).count();
        assert_eq!(times, 1, "{item}");
    }
    // To nobody has she been away.
    for index in [EVE, BOB] {
        let is_about_her = |event: &&Event| match event {
            Event::Message(message) => match message.told {
                Told::MemberJoined { client, .. } | Told::MemberLeft { client, .. } => {
                    client == ada
                }
                _ => false,
            },
            _ => false,
        };
        let notices: Vec<&Event> = net.peers[index]
            .events
            .iter()
            .filter(is_about_her)
            .collect();
        assert!(
            notices.len() <= 1,
            "she joined, and that is all: {notices:?}"
        );
    }
}

/// covers A4-15, A13-05: it is cut once, anywhere.
#[test]
fn whoever_is_cut_anywhere_has_not_been_away() {
    let mut returns = 0;
    for cut in 0..STEPS {
        for server_sees_it in [true, false] {
            let mut net = Net::new(cut);
            let ada = all_there(&mut net);
            let written = run(&mut net, ada, &[cut], server_sees_it);
            check(&net, ada, &written);
            let is_back = |event: &&Event| matches!(event, Event::Session(told) if told.resumed);
            returns += net.peers[ADA].events.iter().filter(is_back).count();
        }
    }
    assert_eq!(returns, 2 * usize::try_from(STEPS).expect("a few"));
}

/// covers A4-15, A13-05: it is cut again while it comes back, anywhere.
#[test]
fn nor_has_who_is_cut_while_it_comes_back() {
    let mut seen = 0;
    // The first wait is over by then, and the handshake takes some steps.
    for again in 20..STEPS {
        let mut net = Net::new(again);
        for peer in &mut net.peers {
            peer.session.config.reconnect_interval_ms = 0;
        }
        let ada = all_there(&mut net);
        let connects = net.peers[ADA].session.stats().attempts;
        let written = run(&mut net, ada, &[3, again], again % 2 == 0);
        check(&net, ada, &written);
        seen += net.peers[ADA].session.stats().attempts - connects;
    }
    assert_eq!(seen, 2 * (STEPS - 20));
}

/// Cut before it has its session it may be somebody else; rooms and what it says are as they should be all the same.
#[test]
fn whoever_is_cut_before_it_has_a_session_begins_anew() {
    for cut in 0..STEPS {
        let mut net = Net::new(cut);
        for index in [EVE, BOB] {
            net.join(index, "tea");
        }
        net.pass(0);
        net.join(ADA, "tea");
        for step in 0..STEPS {
            if step % 20 == 10 {
                net.say(BOB, "tea", Delivery::AtMostOnce);
                net.say(ADA, "tea", Delivery::AtLeastOnce);
            }
            net.step();
            if step == cut {
                net.cut(ADA, true);
            }
        }
        net.settle();
        let (eve, view) = (net.view(EVE, "tea"), net.view(ADA, "tea"));
        assert_eq!((view.gaps.len(), view.resets), (0, 0));
        let first = view.heard.keys().next().copied().unwrap_or_default();
        for (offset, item) in eve.heard.range(first..) {
            let is_own = net.said[item] == ADA;
            assert!(is_own || view.heard.get(offset) == Some(item), "{offset}");
        }
        for (item, _) in net.said.iter().filter(|(_, by)| **by == ADA) {
            assert_eq!(net.outcomes(ADA)[item], "ack");
        }
    }
}

/// covers A4-15: mail that is not kept is named.
#[test]
fn mail_that_is_not_kept_is_named() {
    let mut net = Net::new(1);
    let mut config = Config::default();
    config.sessions.mail_messages = 2;
    net.server = Server::new(config.validate().expect("a config"), [9; 32]);
    let ada = all_there(&mut net);
    let written: Vec<u64> = (0..3).map(|_| net.write(EVE, ada)).collect();
    net.pass(100);
    net.is_down = true;
    net.cut(ADA, true);
    let missed: Vec<u64> = (0..5).map(|_| net.write(EVE, ada)).collect();
    net.pass(1_000);
    net.settle();
    let last = net.write(EVE, ada);
    net.pass(100);
    let (mail, gaps) = net.mail();
    let data: Vec<u64> = mail.iter().map(|it| it.1).collect();
    assert_eq!(data, [&written[..], &missed[3..], &[last]].concat());
    assert_eq!(gaps, [Gap { from: 4, to: 6 }]);
    let offsets: Vec<u64> = mail.iter().map(|it| it.0).collect();
    assert_eq!(offsets, [1, 2, 3, 7, 8, 9]);
}

/// covers A4-15: who is away for too long is somebody else, and is told so; so is everybody else.
#[test]
fn who_is_away_for_too_long_is_told_that_it_is_somebody_else() {
    let mut net = Net::new(2);
    let ada = all_there(&mut net);
    net.is_down = true;
    net.cut(ADA, true);
    net.pass(61_000);
    net.say(EVE, "tea", Delivery::AtMostOnce);
    net.settle();
    let peer = &net.peers[ADA];
    let now = peer.session.client_id().expect("an id");
    assert_ne!(now, ada);
    let lost = Event::NewIdentity {
        former: ada,
        refused: Some(crate::ErrorCode::StaleSession),
    };
    assert_eq!(peer.events.iter().filter(|it| **it == lost).count(), 1);
    let new = |event: &&Event| matches!(event, Event::Session(told) if told.client == now);
    assert_eq!(peer.events.iter().filter(new).count(), 1);
    let view = net.view(ADA, "tea");
    assert_eq!(
        (view.heard.len(), view.incomplete),
        (1, 0),
        "rooms go on all the same"
    );
    let left = |event: &&Event| {
        matches!(event, Event::Message(message)
            if matches!(message.told, Told::MemberLeft { client, .. } if client == ada))
    };
    assert_eq!(net.peers[BOB].events.iter().filter(left).count(), 1);
}

/// covers A4-15: of two connections of one session the later one has it, and the other does not come back.
#[test]
fn whose_session_goes_on_elsewhere_is_over() {
    let mut net = Net::new(3);
    all_there(&mut net);
    let told = net.peers[ADA]
        .events
        .iter()
        .rev()
        .find_map(|event| match event {
            Event::Session(told) => Some(told.clone()),
            _ => None,
        });
    let told = told.expect("a session");
    let mut config = SessionConfig::new("example.com");
    config.former = Some(crate::message::Former {
        client: told.client,
        secret: told.secret,
        after: Some(0),
    });
    net.peers[BOB].session = Session::new(config, [8; 32], net.now).expect("a config");
    net.cut(BOB, true);
    net.pass(5_000);
    assert_eq!(net.peers[BOB].session.client_id(), Some(told.client));
    let ada = &net.peers[ADA];
    assert_eq!(ada.session.state(), State::Closed);
    let last = closed(&ada.events).last().map(|it| it.code);
    assert_eq!(last, Some(4409));
}

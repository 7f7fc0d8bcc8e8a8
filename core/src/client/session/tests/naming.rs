//! Names for what may be sent twice: the server knows it again, and tells it once.

use super::net::{ADA, BOB as SECOND, EVE, Net};
use super::*;
use crate::{Config, Server};

const SAID: &str = r#"{"type":"room_message","room":"tea","data":1}"#;

impl World {
    /// Sends a request that may be carried out twice.
    fn insist(&mut self, item: u64, text: &str) {
        let mut send = Send::new(Item(item), Content::Request(text.to_owned()));
        send.delivery = Delivery::AtLeastOnce;
        self.command(Command::Send(send));
    }

    /// The only thing that was sent: its id, and its name.
    #[track_caller]
    fn only_named(&mut self) -> (String, Option<String>) {
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        let name = sent[0].split(r#""messageId":""#).nth(1);
        let name = name.map(|rest| rest.split('"').next().expect("a name").to_owned());
        (id_of(&sent[0]), name)
    }

    fn refuse(&mut self, id: &str, code: &str) {
        self.say(&format!(
            r#"{{"type":"error","id":{id},"code":"{code}","message":"no"}}"#
        ));
    }

    fn ack(&mut self, id: &str) {
        self.say(&format!(r#"{{"type":"ack","id":{id}}}"#));
    }
}

fn refused(item: u64, code: &str) -> (u64, String) {
    (item, code.to_owned())
}

#[test]
fn what_may_be_sent_twice_has_the_same_name_each_time() {
    let mut world = World::welcome_to(quiet());
    world.insist(1, SAID);
    let (_, first) = world.only_named();
    let first = first.expect("a name");
    assert!(first.len() <= 16, "{first}");
    world.insist(2, SAID);
    let (_, second) = world.only_named();
    assert_ne!(second.as_ref(), Some(&first));
    world.come_back();
    let sent = world.sent();
    for (text, name) in sent.iter().zip([Some(first), second]) {
        let name = name.expect("a name");
        let expected = SAID.replace('}', &format!(r#","messageId":"{name}"}}"#));
        assert_eq!(without_id(text), expected);
    }
    assert_eq!(sent.len(), 2);
}

#[test]
fn names_follow_from_the_seed() {
    let name = |seed| {
        let work = queue::Work::Content(Content::Request(SAID.to_owned()));
        let mut names = Names::new(seed);
        let naming = names.of(&work, Delivery::AtLeastOnce);
        names.spell(naming).expect("a name")
    };
    assert_eq!(name([1; 32]), name([1; 32]));
    assert_ne!(name([1; 32]), name([2; 32]));
}

#[test]
fn nothing_else_is_named() {
    let mut world = World::welcome_to(quiet());
    world.request(1, SAID);
    world.json(2, SAID);
    let texts = [
        r#"{"type":"room_message","room":"tea","data":1,"messageId":"mine"}"#,
        r#"{"type":"private_message","to":"x","data":1,"messageId":null}"#,
        r#"{"type":"broadcast","data":1}"#,
        r#"{"type":"roll"}"#,
    ];
    for (item, text) in (3..).zip(texts) {
        world.insist(item, text);
    }
    let expected: Vec<&str> = [SAID, SAID].into_iter().chain(texts).collect();
    assert_eq!(world.sent_plain(), expected);
}

/// A server that knows no message again, or only by shorter names.
#[test]
fn a_server_that_takes_no_names_is_given_none() {
    for code in ["forbidden", "too_large"] {
        let mut world = World::welcome_to(quiet());
        world.insist(1, SAID);
        world.insist(2, SAID);
        let sent = world.sent();
        assert!(sent.iter().all(|text| text.contains("messageId")));
        for text in &sent {
            world.refuse(&id_of(text), code);
        }
        assert_eq!(world.outcomes(), []);
        let sent = world.sent();
        assert_eq!(
            sent.iter().map(|it| without_id(it)).collect::<Vec<_>>(),
            [SAID, SAID]
        );
        for text in &sent {
            world.ack(&id_of(text));
        }
        let acks = [1, 2].map(|item| (item, "ack".to_owned()));
        assert_eq!(world.outcomes(), acks);
        // It is known now, on this connection.
        world.insist(3, SAID);
        let (id, name) = world.only_named();
        assert_eq!(name, None);
        world.refuse(&id, code);
        assert_eq!(world.outcomes(), [refused(3, code)]);
        world.come_back();
        world.insist(4, SAID);
        assert!(world.only_named().1.is_some());
    }
}

#[test]
fn what_is_refused_either_way_is_refused() {
    let mut world = World::welcome_to(quiet());
    world.insist(1, SAID);
    for is_second in [false, true] {
        let (id, name) = world.only_named();
        assert_eq!(name.is_none(), is_second);
        assert_eq!(world.outcomes(), []);
        world.refuse(&id, "forbidden");
    }
    assert_eq!(world.outcomes(), [refused(1, "forbidden")]);
    // That says nothing of names, nor does what is refused for another reason.
    for code in ["not_member", "rate_limited", "unheard_of"] {
        world.insist(2, SAID);
        let (id, name) = world.only_named();
        assert!(name.is_some());
        world.refuse(&id, code);
        assert_eq!(world.outcomes().len(), 1, "{code}");
    }
    // Where it cannot wait, that is what became of it.
    let mut config = quiet();
    config.queue_messages = 0;
    let mut world = World::welcome_to(config);
    world.insist(1, SAID);
    let (id, _) = world.only_named();
    world.refuse(&id, "forbidden");
    assert_eq!(world.outcomes(), [refused(1, "forbidden")]);
    assert_eq!(world.sent(), [""; 0]);
}

#[test]
fn a_name_makes_nothing_too_large() {
    let mut world = World::welcome_to(quiet());
    // The welcome says 100,000; an id takes eleven bytes.
    let fits = 100_000 - 11 - SAID.len();
    for (more, is_sent) in [(0, true), (1, false)] {
        let data = "1".repeat(fits + more + 1);
        world.insist(1, &SAID.replace('1', &data));
        let sent = world.sent();
        assert_eq!(sent.len(), usize::from(is_sent));
        assert!(sent.iter().all(|text| text.len() == 100_000));
        let dropped = world.outcomes() == [(1, "TooLarge".to_owned())];
        assert_eq!(dropped, !is_sent);
    }
}

/// Everybody is there, in a room that keeps what is said.
fn all_there(seed: u64) -> Net {
    let mut net = Net::new(seed);
    for index in [EVE, ADA, SECOND] {
        net.join(index, "tea");
    }
    net.settle();
    net
}

/// Ada says something, to the room or to eve, and what the server says to that is lost, several times.
fn say_and_lose_the_answer(net: &mut Net, to_eve: bool) -> (u64, Vec<Event>) {
    net.peers[ADA].events.clear();
    net.peers[EVE].events.clear();
    if to_eve {
        net.next_item += 1;
        let eve = net.peers[EVE].session.client_id().expect("an id");
        let content = Content::tell(eve, &net.next_item.to_string()).expect("JSON");
        let mut send = Send::new(Item(net.next_item), content);
        send.delivery = Delivery::AtLeastOnce;
        net.said.insert(net.next_item, ADA);
        net.command(ADA, Command::Send(send));
    } else {
        net.say(ADA, "tea", Delivery::AtLeastOnce);
    }
    let item = net.next_item;
    for _ in 0..3 {
        // The way there is clear, until it has been told.
        for _ in 0..50 {
            let up = core::mem::take(&mut net.peers[ADA].up);
            let connection = net.peers[ADA].there.filter(|_| !up.is_empty());
            if let Some(connection) = connection {
                let bytes = &mut Vec::from(up);
                let _ = net
                    .server
                    .handle(net.now, Input::Received { connection, bytes });
            }
            net.drain();
            let is_waiting = net.peers[ADA].session.pending.values().any(
                |pending| matches!(pending, Pending::Request { entry, .. } if entry.item.0 == item),
            );
            if is_waiting {
                break;
            }
            net.deliver(ADA, 1 << 20);
            net.drain();
        }
        net.cut(ADA, true);
        net.pass(50);
    }
    net.settle();
    let heard = net.peers[EVE].events.clone().into_iter();
    let is_said = |event: &Event| match event {
        Event::RoomMessage(_) => true,
        Event::Message(message) => matches!(message.told, Told::PrivateMessage { .. }),
        _ => false,
    };
    (item, heard.filter(is_said).collect())
}

/// In JSON and in binary.
#[test]
fn what_is_said_again_is_told_once() {
    for seed in [1, 2] {
        for to_eve in [false, true] {
            let mut net = all_there(seed);
            let (item, heard) = say_and_lose_the_answer(&mut net, to_eve);
            assert_eq!(heard.len(), 1, "{heard:?}");
            let is_known = |event: &Event| match event {
                Event::Outcome {
                    item: it,
                    outcome: Outcome::Answered(message),
                } if it.0 == item => Some(match message.told {
                    Told::Ack(published) => published.duplicate,
                    _ => panic!("{message:?}"),
                }),
                _ => None,
            };
            let told: Vec<bool> = net.peers[ADA].events.iter().filter_map(is_known).collect();
            assert_eq!(told, [true]);
        }
    }
}

/// A server that knows no message again hears it without a name, and tells it as often as it is said.
#[test]
fn a_server_without_names_is_spoken_to_all_the_same() {
    for max_bytes in [64, 4] {
        let mut net = Net::new(3);
        let mut config = Config::default();
        config.rate_limit.enabled = false;
        config.message_ids.max_bytes = max_bytes;
        config.message_ids.window_ms = if max_bytes == 64 { 0 } else { 120_000 };
        net.server = Server::new(config.validate().expect("a config"), [3; 32]);
        for index in [EVE, ADA, SECOND] {
            net.join(index, "tea");
        }
        net.settle();
        for index in [ADA, SECOND] {
            for _ in 0..5 {
                net.say(index, "tea", Delivery::AtLeastOnce);
            }
        }
        net.pass(1_000);
        let heard = net.peers[EVE]
            .events
            .iter()
            .filter_map(|event| match event {
                Event::RoomMessage(RoomMessage { said, .. }) => Some(said.data.clone()),
                _ => None,
            });
        let mut heard: Vec<SaidData> = heard.collect();
        let mut said: Vec<SaidData> = net
            .said
            .keys()
            .map(|it| SaidData::Json(it.to_string()))
            .collect();
        let key = |it: &SaidData| format!("{it:?}");
        heard.sort_by_key(key);
        said.sort_by_key(key);
        assert_eq!(heard, said);
        for index in [ADA, SECOND] {
            let outcomes = net.outcomes(index);
            let own = net.said.iter().filter(|(_, by)| **by == index);
            assert!(
                own.map(|it| &outcomes[it.0]).all(|it| it == "ack"),
                "{outcomes:?}"
            );
        }
    }
}

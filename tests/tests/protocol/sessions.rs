//! Who loses its connection is on another one who it was, and nobody has seen it leave.

use roomwire_core::Config;
use roomwire_core::config::{Permission, Sessions};
use roomwire_core::server::{CloseCause, Command, Event};
use roomwire_tests::{Opcode, Peer, World};
use serde_json::{Value, json};

use crate::unlimited;

const AWAY_MS: u64 = 1_000;
const WINDOW_MS: u64 = 4_000;

fn config() -> Config {
    let mut config = Config {
        sessions: Sessions {
            window_ms: WINDOW_MS,
            away_ms: AWAY_MS,
            ..Sessions::default()
        },
        broadcast: Permission::Allow,
        ..unlimited()
    };
    config.heartbeat.interval_ms = 0;
    config
}

/// What a client keeps to come back.
fn session(world: &mut World, peer: Peer) -> Value {
    let session = world.request(peer, &json!({"type": "resume"}));
    assert_eq!(session["type"], "session");
    assert_eq!(session["resumed"], false);
    assert_eq!(session["windowMs"], WINDOW_MS);
    assert_eq!(session["awayMs"], AWAY_MS);
    session
}

fn resume(session: &Value) -> Value {
    json!({"type": "resume", "clientId": session["clientId"], "sessionSecret": session["sessionSecret"]})
}

/// On a new connection.
fn come_back(world: &mut World, session: &Value) -> Peer {
    let peer = world.connect();
    let resumed = world.request(peer, &resume(session));
    assert_eq!(
        (&resumed["type"], &resumed["resumed"]),
        (&json!("session"), &json!(true))
    );
    assert_eq!(resumed["clientId"], session["clientId"]);
    assert_eq!(resumed["sessionSecret"], session["sessionSecret"]);
    peer
}

fn members(world: &mut World, peer: Peer, room: &str) -> Vec<String> {
    let list = world.request(peer, &json!({"type": "members", "room": room}));
    let members = list["members"].as_array().expect("members").iter();
    members
        .map(|id| id.as_str().expect("an id").to_owned())
        .collect()
}

/// A room with somebody who stays, and somebody who can come back.
fn scene() -> (World, Peer, Peer, Value) {
    let mut world = World::new(config());
    let (ada, bob) = (world.connect(), world.connect());
    let session = session(&mut world, bob);
    assert_eq!(session["clientId"], world.id(bob));
    for client in [ada, bob] {
        world.join(client, "den");
    }
    world.forget();
    (world, ada, bob, session)
}

#[test]
fn nobody_sees_a_blink() {
    let (mut world, ada, bob, session) = scene();
    let id = world.id(bob).to_owned();
    let set = json!({"type": "set_metadata", "metadata": {"name": "Bob"}});
    world.request(bob, &set);
    world.forget();
    world.reset(bob);
    world.advance_ms(AWAY_MS / 2);
    // It is still listed, with what it has said of itself.
    assert!(members(&mut world, ada, "den").contains(&id));
    let list = json!({"type": "members", "room": "den", "metadata": true});
    assert_eq!(world.request(ada, &list)["metadata"][&id]["name"], "Bob");
    let back = come_back(&mut world, &session);
    let joined = world.join(back, "den");
    assert_eq!(joined["total"], 2);
    assert_eq!(joined["members"].as_array().map(Vec::len), Some(2));
    world.expect_nothing(ada);
    world.advance_ms(2 * AWAY_MS);
    world.expect_nothing(ada);
    // It is who it was: to rooms, to clients, and in what it has said of itself.
    world.request(
        back,
        &json!({"type": "room_message", "room": "den", "data": 1, "id": 1}),
    );
    assert_eq!(world.expect(ada, "room_message")["from"], id);
    world.request(
        ada,
        &json!({"type": "private_message", "to": id, "data": 2, "id": 2}),
    );
    assert_eq!(world.expect(back, "private_message")["data"], 2);
    world.request(back, &json!({"type": "broadcast", "data": 3, "id": 3}));
    assert_eq!(world.expect(ada, "broadcast")["from"], id);
    assert_eq!(world.request(ada, &list)["metadata"][&id]["name"], "Bob");
    let more = json!({"type": "set_metadata", "metadata": {"age": 7}});
    let metadata = world.request(back, &more)["metadata"].clone();
    assert_eq!(metadata, json!({"name": "Bob", "age": 7}));
    assert_eq!(members(&mut world, ada, "den").len(), 2);
    assert_eq!(world.stats().resumed, 1);
}

#[test]
fn who_stays_away_has_left() {
    let (mut world, ada, bob, session) = scene();
    let id = world.id(bob).to_owned();
    world.reset(bob);
    world.advance_ms(AWAY_MS - 1);
    world.expect_nothing(ada);
    world.advance_ms(1);
    let left = world.expect(ada, "member_left");
    assert_eq!(
        (&left["clientId"], &left["reason"]),
        (&json!(id), &json!("disconnected"))
    );
    assert_eq!(members(&mut world, ada, "den").len(), 1);
    // It may come back for longer than that, and is seen to.
    let back = come_back(&mut world, &session);
    world.join(back, "den");
    assert_eq!(world.expect(ada, "member_joined")["clientId"], id);
    // Who does not join has not come back to the room.
    world.reset(back);
    let back = come_back(&mut world, &session);
    world.advance_ms(AWAY_MS);
    assert_eq!(world.expect(ada, "member_left")["clientId"], id);
    let reply = world.refused(
        back,
        &json!({"type": "room_message", "room": "den", "data": 1}),
    );
    assert_eq!(reply, "not_member");
}

#[test]
fn a_session_ends() {
    let (mut world, ada, bob, session) = scene();
    // With the window: a client that is refused goes on as who it is.
    world.reset(bob);
    world.advance_ms(WINDOW_MS - 500);
    let back = come_back(&mut world, &session);
    world.reset(back);
    world.advance_ms(WINDOW_MS);
    world.expect(ada, "member_left");
    let late = world.connect();
    assert_eq!(world.refused(late, &resume(&session)), "stale_session");
    let own = world.id(late).to_owned();
    let new = self::session(&mut world, late);
    assert_eq!(new["clientId"], own);
    // With a goodbye, which the rooms hear at once; 1001 is what a page says that goes.
    for code in [1000_u16, 1001] {
        let peer = world.connect();
        let session = self::session(&mut world, peer);
        world.join(peer, "den");
        world.expect(ada, "member_joined");
        world.send_frame(peer, Opcode::Close, &code.to_be_bytes());
        world.expect(ada, "member_left");
        let again = world.connect();
        assert_eq!(world.refused(again, &resume(&session)), "stale_session");
    }
    // By command.
    let peer = world.connect();
    let session = self::session(&mut world, peer);
    world.join(peer, "den");
    world.expect(ada, "member_joined");
    let connection = world.connection(peer);
    world.command(Command::Close {
        connection,
        code: 4000,
        reason: "go".into(),
        reconnect_after_ms: None,
    });
    assert_eq!(world.expect(ada, "member_left")["reason"], "kicked");
    let again = world.connect();
    assert_eq!(world.refused(again, &resume(&session)), "stale_session");
    // Another code is no goodbye: a client that gives a connection up says so.
    let peer = world.connect();
    let session = self::session(&mut world, peer);
    world.join(peer, "den");
    world.expect(ada, "member_joined");
    world.send_frame(peer, Opcode::Close, &4000_u16.to_be_bytes());
    world.expect_nothing(ada);
    come_back(&mut world, &session);
}

#[test]
fn the_second_connection_of_a_session_takes_it() {
    let (mut world, ada, bob, session) = scene();
    let id = world.id(bob).to_owned();
    world.request(
        bob,
        &json!({"type": "set_metadata", "metadata": {"name": "Bob"}}),
    );
    world.forget();
    // The server does not know yet that the old one is gone.
    let back = come_back(&mut world, &session);
    let closing = world.expect(bob, "closing");
    assert_eq!(closing["code"], 4409);
    assert_eq!(world.close_frame(bob).map(|(code, _)| code), Some(4409));
    world.join(back, "den");
    world.expect_nothing(ada);
    let metadata = world.request(back, &json!({"type": "set_metadata", "metadata": {}}));
    assert_eq!(metadata["metadata"], json!({"name": "Bob"}));
    world.advance_ms(2 * AWAY_MS);
    assert_eq!(members(&mut world, ada, "den").len(), 2);
    let third = come_back(&mut world, &session);
    world.expect(back, "closing");
    world.join(third, "den");
    world.advance_ms(2 * AWAY_MS);
    world.request(
        ada,
        &json!({"type": "private_message", "to": id, "data": 1, "id": 1}),
    );
    assert_eq!(world.expect(third, "private_message")["data"], 1);
    world.advance_ms(10_000);
    let events = world.events();
    let replaced = |event: &&Event| {
        matches!(
            event,
            Event::Closed {
                cause: CloseCause::Replaced,
                code: 4409,
                ..
            }
        )
    };
    assert_eq!(events.iter().filter(replaced).count(), 2);
    let resumed =
        |event: &&Event| matches!(event, Event::Resumed { client, .. } if client.as_str() == id);
    assert_eq!(events.iter().filter(resumed).count(), 2);
}

#[test]
fn a_secret_is_for_its_own_id() {
    let (mut world, _, bob, session) = scene();
    world.reset(bob);
    let other = world.connect();
    let others = self::session(&mut world, other);
    assert_ne!(session["sessionSecret"], others["sessionSecret"]);
    let peer = world.connect();
    let mixed = json!({"type": "resume", "clientId": session["clientId"], "sessionSecret": others["sessionSecret"]});
    assert_eq!(world.refused(peer, &mixed), "stale_session");
    for wrong in [
        json!({"type": "resume", "clientId": session["clientId"]}),
        json!({"type": "resume", "sessionSecret": session["sessionSecret"]}),
        json!({"type": "resume", "clientId": "client_", "sessionSecret": session["sessionSecret"]}),
        json!({"type": "resume", "clientId": session["clientId"], "sessionSecret": "short"}),
        json!({"type": "resume", "clientId": 1, "sessionSecret": 2}),
    ] {
        assert_eq!(world.refused(peer, &wrong), "bad_message", "{wrong}");
    }
    // An id that nobody can come back to: its client has not asked for that.
    let unasked = world.connect();
    let id = world.id(unasked).to_owned();
    let guess =
        json!({"type": "resume", "clientId": id, "sessionSecret": session["sessionSecret"]});
    assert_eq!(world.refused(peer, &guess), "stale_session");
    // All that was no use, and the right one is.
    let right = world.request(peer, &resume(&session));
    assert_eq!(right["resumed"], true);
}

#[test]
fn a_session_is_taken_up_before_all_else() {
    let (mut world, _, bob, session) = scene();
    world.reset(bob);
    let peer = world.connect();
    world.join(peer, "elsewhere");
    assert_eq!(world.refused(peer, &resume(&session)), "bad_message");
    world.request(peer, &json!({"type": "leave", "room": "elsewhere"}));
    self::session(&mut world, peer);
    assert_eq!(world.refused(peer, &resume(&session)), "bad_message");
    let back = come_back(&mut world, &session);
    assert_eq!(world.refused(back, &resume(&session)), "bad_message");
    // Asking again for what one has is no harm.
    let same = world.request(back, &json!({"type": "resume"}));
    assert_eq!(same["clientId"], session["clientId"]);
    assert_eq!(same["sessionSecret"], session["sessionSecret"]);
}

#[test]
fn there_is_an_end_to_what_is_kept() {
    let mut config = config();
    config.sessions.max_parked = 2;
    let mut world = World::alone(config);
    let ada = world.connect();
    world.join(ada, "den");
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let peer = world.connect();
        sessions.push(session(&mut world, peer));
        world.join(peer, "den");
        world.expect(ada, "member_joined");
        world.reset(peer);
    }
    // For the third there was no place: its end is an end.
    world.expect(ada, "member_left");
    world.expect_nothing(ada);
    let peer = world.connect();
    assert_eq!(world.refused(peer, &resume(&sessions[2])), "stale_session");
    come_back(&mut world, &sessions[0]);
    come_back(&mut world, &sessions[1]);
}

#[test]
fn without_a_window_there_are_no_sessions() {
    let mut config = config();
    config.sessions = Sessions {
        window_ms: 0,
        away_ms: 0,
        ..Sessions::default()
    };
    let mut world = World::new(config);
    let peer = world.connect();
    assert_eq!(world.refused(peer, &json!({"type": "resume"})), "forbidden");
}

#[test]
fn without_a_moment_rooms_are_told_at_once() {
    let mut config = config();
    config.sessions.away_ms = 0;
    let mut world = World::new(config);
    let (ada, bob) = (world.connect(), world.connect());
    let told = world.request(bob, &json!({"type": "resume"}));
    for client in [ada, bob] {
        world.join(client, "den");
    }
    world.forget();
    world.reset(bob);
    world.expect(ada, "member_left");
    let back = come_back(&mut world, &told);
    world.join(back, "den");
    assert_eq!(
        world.expect(ada, "member_joined")["clientId"],
        told["clientId"]
    );
}

#[test]
fn a_full_room_keeps_a_place() {
    let mut config = config();
    config.limits.max_members_per_room = 2;
    let mut world = World::new(config);
    let (ada, bob) = (world.connect(), world.connect());
    let session = session(&mut world, bob);
    for client in [ada, bob] {
        world.join(client, "den");
    }
    world.reset(bob);
    let late = world.connect();
    let join = json!({"type": "join", "room": "den"});
    assert_eq!(world.refused(late, &join), "room_full");
    let back = come_back(&mut world, &session);
    world.join(back, "den");
    world.reset(back);
    world.advance_ms(AWAY_MS);
    world.join(late, "den");
    let back = come_back(&mut world, &session);
    assert_eq!(world.refused(back, &join), "room_full");
}

#[test]
fn nothing_is_left_when_all_is_over() {
    let (mut world, ada, bob, session) = scene();
    world.reset(bob);
    let back = come_back(&mut world, &session);
    world.join(back, "den");
    for peer in [ada, back] {
        world.reset(peer);
    }
    world.advance_ms(WINDOW_MS + 1);
    assert_eq!(world.stats().rooms, 0);
    world.assert_empty();
}

/// The offsets and data of the messages to a client alone.
fn mail(world: &mut World, peer: Peer) -> Vec<(u64, Value)> {
    let all = world.all(peer).into_iter();
    let mail = all.filter(|message| message["type"] == "private_message");
    mail.map(|it| {
        (
            it["offset"].as_u64().expect("an offset"),
            it["data"].clone(),
        )
    })
    .collect()
}

fn write(world: &mut World, from: Peer, to: &Value, data: impl Into<Value>) {
    let message = json!({"type": "private_message", "to": to, "data": data.into(), "id": 1});
    assert_eq!(world.request(from, &message)["type"], "ack");
}

/// What comes of a resume with an offset: the answer, and the mail behind it.
fn resume_after(
    world: &mut World,
    session: &Value,
    after: u64,
) -> (Peer, Value, Vec<(u64, Value)>) {
    let peer = world.connect();
    let mut resume = resume(session);
    resume["after"] = after.into();
    let answer = world.request(peer, &resume);
    let mail = mail(world, peer);
    (peer, answer, mail)
}

#[test]
fn mail_waits_for_who_comes_back() {
    let (mut world, ada, bob, session) = scene();
    let id = session["clientId"].clone();
    write(&mut world, ada, &id, 1);
    write(&mut world, ada, &id, 2);
    assert_eq!(mail(&mut world, bob), [(1, 1.into()), (2, 2.into())]);
    // Who has no session has no offsets.
    let other = world.id(ada).to_owned();
    write(&mut world, bob, &other.into(), 0);
    assert_eq!(world.expect(ada, "private_message").get("offset"), None);
    // Of the third it is not known whether it has come.
    write(&mut world, ada, &id, 3);
    world.reset(bob);
    write(&mut world, ada, &id, 4);
    world.advance_ms(AWAY_MS);
    write(&mut world, ada, &id, 5);
    let (back, answer, missed) = resume_after(&mut world, &session, 2);
    assert_eq!((&answer["last"], answer.get("gap")), (&json!(5), None));
    assert_eq!(missed, [(3, 3.into()), (4, 4.into()), (5, 5.into())]);
    write(&mut world, ada, &id, 6);
    assert_eq!(mail(&mut world, back), [(6, 6.into())]);
    // The one that takes the place gets it, too, and without an offset all that is kept.
    let third = come_back(&mut world, &session);
    let all = mail(&mut world, third);
    assert_eq!(
        all.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6]
    );
    // Bytes, and the binary dialect, are carried as they are.
    world.reset(third);
    let bytes =
        json!({"type": "private_message", "to": id, "data": "AAE=", "encoding": "base64", "id": 1});
    assert_eq!(world.request(ada, &bytes)["type"], "ack");
    let back = world.connect();
    let mut resume = resume(&session);
    resume["after"] = 6.into();
    world.request(back, &resume);
    let told = world.expect(back, "private_message");
    assert_eq!(
        (&told["data"], &told["encoding"], &told["offset"]),
        (&json!("AAE="), &json!("base64"), &json!(7))
    );
    // When the session is over, it is nobody's.
    world.reset(back);
    world.advance_ms(WINDOW_MS);
    let late = json!({"type": "private_message", "to": id, "data": 1});
    assert_eq!(world.refused(ada, &late), "target_not_found");
}

#[test]
fn mail_that_is_not_kept_is_missing() {
    let mut config = config();
    config.sessions.mail_messages = 3;
    let mut world = World::new(config);
    let (ada, bob) = (world.connect(), world.connect());
    let session = session(&mut world, bob);
    let id = session["clientId"].clone();
    world.reset(bob);
    for number in 1..=5 {
        write(&mut world, ada, &id, number);
    }
    let (back, answer, missed) = resume_after(&mut world, &session, 0);
    assert_eq!(answer["gap"], json!({"from": 1, "to": 2}));
    assert_eq!(missed.len(), 3);
    world.reset(back);
    let large = "x".repeat(70_000);
    write(&mut world, ada, &id, large);
    let (_, answer, missed) = resume_after(&mut world, &session, 5);
    assert_eq!(answer["gap"], json!({"from": 6, "to": 6}));
    assert_eq!(missed, []);
}

#[test]
fn all_mail_together_has_a_bound() {
    let mut config = config();
    config.sessions.max_mail_bytes = 1_000;
    let mut world = World::alone(config);
    let ada = world.connect();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let peer = world.connect();
        sessions.push(session(&mut world, peer));
        world.reset(peer);
    }
    for session in &sessions {
        let id = session["clientId"].clone();
        write(&mut world, ada, &id, "x".repeat(900));
    }
    assert_eq!(world.stats().mail_lost, 1);
    let (_, answer, missed) = resume_after(&mut world, &sessions[2], 0);
    assert_eq!(
        (&answer["gap"], missed.len()),
        (&json!({"from": 1, "to": 1}), 0)
    );
    // What is over makes room.
    let (first, _, missed) = resume_after(&mut world, &sessions[0], 0);
    assert_eq!(missed.len(), 1);
    world.send_frame(first, Opcode::Close, &1000_u16.to_be_bytes());
    world.advance_ms(WINDOW_MS);
    let peer = world.connect();
    let next = session(&mut world, peer);
    write(&mut world, ada, &next["clientId"].clone(), "x".repeat(900));
    assert_eq!(world.stats().mail_lost, 1);
}

#[test]
fn where_mail_is_off_nobody_is_there() {
    let mut config = config();
    config.sessions.mail_messages = 0;
    let mut world = World::new(config);
    let (ada, bob) = (world.connect(), world.connect());
    let session = session(&mut world, bob);
    let message = json!({"type": "private_message", "to": session["clientId"], "data": 1});
    world.send(ada, &message);
    assert_eq!(world.expect(bob, "private_message").get("offset"), None);
    world.reset(bob);
    assert_eq!(world.refused(ada, &message), "target_not_found");
}

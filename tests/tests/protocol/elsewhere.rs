//! Sessions that go from one server to another, by way of the program around them.

mod asking;
mod drains;

use roomwire_core::config::{SessionKey, Sessions};
use roomwire_core::server::{Command, Event, SavedSession};
use roomwire_core::{ClientId, Config, ShardId};
use roomwire_tests::{Opcode, Peer, World, shards_of_tests};
use serde_json::{Value, json};

use crate::unlimited;

const WINDOW_MS: u64 = 4_000;
const KEY: SessionKey = SessionKey([3; 32]);

fn config(key: Option<SessionKey>) -> Config {
    let mut config = Config {
        sessions: Sessions {
            key,
            window_ms: WINDOW_MS,
            away_ms: 1_000,
            ..Sessions::default()
        },
        ..unlimited()
    };
    config.heartbeat.interval_ms = 0;
    config
}

/// Two servers with the same key, each with somebody who stays there.
fn two() -> [(World, Peer); 2] {
    [1, 2].map(|seed| node(config(Some(KEY)), seed))
}

fn node(config: Config, seed: u8) -> (World, Peer) {
    let mut world = World::with_seed(config, shards_of_tests(), seed);
    let friend = world.connect();
    world.forget();
    (world, friend)
}

fn session(world: &mut World, peer: Peer) -> Value {
    let session = world.request(peer, &json!({"type": "resume"}));
    assert_eq!(session["type"], "session");
    session
}

fn resume(session: &Value) -> Value {
    json!({"type": "resume", "clientId": session["clientId"], "sessionSecret": session["sessionSecret"], "id": 1})
}

fn id(session: &Value) -> ClientId {
    let id = session["clientId"].as_str().expect("an id");
    ClientId::parse(id).expect("an id")
}

fn write(world: &mut World, from: Peer, session: &Value, data: u64) -> Value {
    let to = &session["clientId"];
    world.request(
        from,
        &json!({"type": "private_message", "to": to, "data": data}),
    )
}

/// What a server asks for of others.
fn wanted(world: &mut World) -> Option<(ShardId, ClientId)> {
    let wanted = world.events().into_iter().filter_map(|event| match event {
        Event::SessionWanted { shard, client, .. } => Some((shard, client)),
        _ => None,
    });
    let wanted: Vec<_> = wanted.collect();
    assert!(wanted.len() < 2, "{wanted:?}");
    wanted.first().copied()
}

/// What a server has let go.
fn left(world: &mut World) -> Vec<(ClientId, Option<SavedSession>)> {
    let left = world.events().into_iter().filter_map(|event| match event {
        Event::SessionLeft { client, session } => Some((client, session)),
        _ => None,
    });
    left.collect()
}

fn take(world: &mut World, client: ClientId) -> Option<SavedSession> {
    world.events();
    // Later than anybody.
    let asked_ms = u64::MAX;
    world.command(Command::TakeSession { client, asked_ms });
    let mut left = left(world);
    assert_eq!(left.len(), 1, "one answer");
    let (whose, session) = left.remove(0);
    assert_eq!(whose, client);
    session
}

/// A client asks for its session where nobody has it; who wants it there.
fn ask(world: &mut World, session: &Value) -> (Peer, ShardId) {
    let peer = world.connect();
    world.forget();
    world.send(peer, &resume(session));
    world.expect_nothing(peer);
    let (shard, client) = wanted(world).expect("it is wanted");
    assert_eq!(client, id(session));
    (peer, shard)
}

/// What was found for whoever has asked, however late.
fn give(world: &mut World, shard: ShardId, client: ClientId, session: Option<SavedSession>) {
    let asked_ms = u64::MAX;
    world.command(Command::GiveSession {
        shard,
        client,
        asked_ms,
        session,
    });
}

/// As a store keeps it.
fn stored(session: Option<SavedSession>) -> Option<SavedSession> {
    let session = session.expect("a session");
    let again = SavedSession::from_bytes(session.as_bytes()).expect("a session");
    assert_eq!(again, session);
    Some(again)
}

fn resumed(world: &mut World, peer: Peer, session: &Value) -> Value {
    let told = world.expect(peer, "session");
    assert_eq!(
        (&told["resumed"], &told["id"]),
        (&json!(true), &json!(1)),
        "{told}"
    );
    assert_eq!(told["clientId"], session["clientId"]);
    assert_eq!(told["sessionSecret"], session["sessionSecret"]);
    told
}

fn is_stale(world: &mut World, peer: Peer) {
    let refused = world.expect(peer, "error");
    assert_eq!(
        (&refused["code"], &refused["id"]),
        (&json!("stale_session"), &json!(1))
    );
}

/// covers A11-04
#[test]
fn a_client_is_on_another_server_who_it_was() {
    for cut in [true, false] {
        let [(mut one, ada), (mut two, eve)] = two();
        let bob = one.connect();
        let session = session(&mut one, bob);
        let set = json!({"type": "set_metadata", "metadata": {"name": "Bob"}});
        one.request(bob, &set);
        assert_eq!(write(&mut one, ada, &session, 1)["type"], "ack");
        assert_eq!(one.expect(bob, "private_message")["offset"], 1);
        if cut {
            one.reset(bob);
        }
        write(&mut one, ada, &session, 2);
        write(&mut one, ada, &session, 3);
        let (back, shard) = ask(&mut two, &session);
        let saved = stored(take(&mut one, id(&session)));
        assert!(saved.as_ref().is_some_and(|it| it.until_ms() > 0));
        // It is nobody's there any more.
        if !cut {
            assert_eq!(one.close_frame(bob).map(|(code, _)| code), Some(4409));
        }
        assert_eq!(
            write(&mut one, ada, &session, 4)["code"],
            "target_not_found"
        );
        assert_eq!(take(&mut one, id(&session)), None);
        give(&mut two, shard, id(&session), saved);
        // What it does not say that it has it is told.
        let told = resumed(&mut two, back, &session);
        assert_eq!(told["last"], 3);
        let mail: Vec<_> = two.all(back);
        let mail = mail.iter().map(|it| (&it["offset"], &it["data"]));
        let expected = [1, 2, 3].map(|number| (json!(number), json!(number)));
        assert!(mail.eq(expected.iter().map(|(offset, data)| (offset, data))));
        // It can be found, has what it has said of itself, and goes on from there.
        assert_eq!(write(&mut two, eve, &session, 5)["type"], "ack");
        assert_eq!(two.expect(back, "private_message")["offset"], 4);
        let more = json!({"type": "set_metadata", "metadata": {"age": 7}});
        let metadata = two.request(back, &more)["metadata"].clone();
        assert_eq!(metadata, json!({"name": "Bob", "age": 7}));
        two.join(back, "den");
        assert_eq!(two.stats().resumed, 1);
        // There and back again.
        two.reset(back);
        let (again, shard) = ask(&mut one, &session);
        let saved = stored(take(&mut two, id(&session)));
        give(&mut one, shard, id(&session), saved);
        assert_eq!(resumed(&mut one, again, &session)["last"], 4);
        assert_eq!(one.all(again).len(), 4);
        assert_eq!(write(&mut one, ada, &session, 6)["type"], "ack");
        assert_eq!(one.expect(again, "private_message")["offset"], 5);
    }
}

#[test]
fn one_that_nobody_has_is_stale() {
    let [(mut one, _), (mut two, eve)] = two();
    let bob = one.connect();
    let session = session(&mut one, bob);
    let (back, shard) = ask(&mut two, &session);
    // Nobody is there yet for whom something could be kept.
    assert_eq!(
        write(&mut two, eve, &session, 1)["code"],
        "target_not_found"
    );
    give(&mut two, shard, id(&session), None);
    is_stale(&mut two, back);
    // It goes on as who it is, and may ask again.
    two.send(back, &resume(&session));
    assert!(wanted(&mut two).is_some());
    give(
        &mut two,
        shard,
        id(&session),
        stored(take(&mut one, id(&session))),
    );
    resumed(&mut two, back, &session);
    // Who has not the secret is not asked for.
    let mut guessed = resume(&session);
    guessed["clientId"] = two.id(eve).into();
    let peer = two.connect();
    two.forget();
    two.send(peer, &guessed);
    is_stale(&mut two, peer);
    assert_eq!(wanted(&mut two), None);
}

#[test]
fn one_that_comes_late_waits() {
    let [(mut one, _), (mut two, _)] = two();
    let relay_ms = config(None).timeouts.relay_ms;
    let bob = one.connect();
    let session = session(&mut one, bob);
    let (back, shard) = ask(&mut two, &session);
    two.advance_ms(relay_ms);
    assert_eq!(two.expect(back, "error")["code"], "internal");
    one.advance_ms(relay_ms);
    give(
        &mut two,
        shard,
        id(&session),
        stored(take(&mut one, id(&session))),
    );
    two.expect_nothing(back);
    // It is there for the window.
    two.advance_ms(WINDOW_MS - 1);
    two.send(back, &resume(&session));
    resumed(&mut two, back, &session);
    assert_eq!(wanted(&mut two), None);
    // And then it is over.
    let (gone, shard) = ask(&mut one, &session);
    one.reset(gone);
    two.advance_ms(1);
    one.advance_ms(WINDOW_MS);
    give(
        &mut one,
        shard,
        id(&session),
        stored(take(&mut two, id(&session))),
    );
    one.advance_ms(WINDOW_MS);
    ask(&mut one, &session);
}

/// Where two connections ask for it, the one that asks later has it.
#[test]
fn who_asks_later_has_it() {
    let [(mut one, _), (mut two, _)] = two();
    let bob = one.connect();
    let session = session(&mut one, bob);
    let (first, shard) = ask(&mut two, &session);
    two.advance_ms(1);
    let second = two.connect();
    two.send(second, &resume(&session));
    assert_eq!(two.close_frame(first).map(|(code, _)| code), Some(4409));
    assert_eq!(wanted(&mut two), None, "it is asked for once");
    // A server that asks for it itself has none.
    assert_eq!(take(&mut two, id(&session)), None);
    give(
        &mut two,
        shard,
        id(&session),
        stored(take(&mut one, id(&session))),
    );
    resumed(&mut two, second, &session);
    // What is given once more is not taken: what is here is newer.
    let (stale, saved) = (two.stats().stale, take(&mut two, id(&session)));
    let (third, shard) = ask(&mut two, &session);
    give(&mut two, shard, id(&session), saved.clone());
    resumed(&mut two, third, &session);
    give(&mut two, shard, id(&session), saved);
    assert_eq!(two.stats().stale, stale + 1);
}

#[test]
fn what_is_not_sealed_with_the_key_is_no_session() {
    let other = SessionKey([4; 32]);
    let (mut one, _) = node(config(Some(KEY)), 1);
    let (mut two, _) = node(config(Some(KEY)), 2);
    let (mut foreign, _) = node(config(Some(other)), 3);
    let bob = one.connect();
    let session = session(&mut one, bob);
    // Its secret is none there.
    let peer = foreign.connect();
    foreign.forget();
    foreign.send(peer, &resume(&session));
    is_stale(&mut foreign, peer);
    assert_eq!(wanted(&mut foreign), None);
    one.reset(bob);
    let good = take(&mut one, id(&session)).expect("a session");
    let whole = good.as_bytes().to_vec();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let Ok(changed) = SavedSession::from_bytes(&changed) else {
            assert_eq!(at, 0, "the version");
            continue;
        };
        let (peer, shard) = ask(&mut two, &session);
        let stale = two.stats().stale;
        give(&mut two, shard, id(&session), Some(changed));
        is_stale(&mut two, peer);
        assert_eq!(two.stats().stale, stale + 1);
    }
    for length in 0..whole.len() {
        if let Ok(short) = SavedSession::from_bytes(&whole[..length]) {
            let (peer, shard) = ask(&mut two, &session);
            give(&mut two, shard, id(&session), Some(short));
            is_stale(&mut two, peer);
        }
    }
    // Another client's.
    let (peer, shard) = ask(&mut two, &session);
    let stranger = one.connect();
    let strange = self::session(&mut one, stranger);
    let theirs = take(&mut one, id(&strange));
    give(&mut two, shard, id(&session), theirs);
    is_stale(&mut two, peer);
    // Unchanged it is good, until it is over.
    let (mut two, _) = node(config(Some(KEY)), 4);
    two.advance_ms(WINDOW_MS - 100);
    let (peer, shard) = ask(&mut two, &session);
    give(&mut two, shard, id(&session), Some(good));
    resumed(&mut two, peer, &session);
    let over = take(&mut two, id(&session));
    two.advance_ms(WINDOW_MS);
    let (peer, shard) = ask(&mut two, &session);
    give(&mut two, shard, id(&session), over);
    is_stale(&mut two, peer);
}

/// Everybody who may come back is let go, before the end; who has said goodbye is not.
#[test]
fn a_drain_lets_sessions_go() {
    let [(mut one, ada), (mut two, _)] = two();
    let (live, parked, gone, never) = (one.connect(), one.connect(), one.connect(), one.connect());
    let [live_session, parked_session, gone_session] =
        [live, parked, gone].map(|peer| session(&mut one, peer));
    one.reset(parked);
    write(&mut one, ada, &parked_session, 7);
    one.send_frame(gone, Opcode::Close, &1000_u16.to_be_bytes());
    one.forget();
    one.command(Command::Drain);
    one.advance_ms(config(None).drain.timeout_ms);
    assert_eq!(one.close_frame(never).map(|(code, _)| code), Some(1012));
    let events = one.events();
    let position = |is_it: &dyn Fn(&Event) -> bool| events.iter().position(is_it);
    let drained = position(&|event| *event == Event::Drained).expect("drained");
    let mut saved = Vec::new();
    for (at, event) in events.iter().enumerate() {
        if let Event::SessionLeft { client, session } = event {
            assert!(at < drained);
            saved.push((*client, session.clone()));
        }
    }
    let mut whose: Vec<_> = saved.iter().map(|(client, _)| *client).collect();
    whose.sort_unstable();
    let mut expected = [id(&live_session), id(&parked_session)];
    expected.sort_unstable();
    assert_eq!(whose, expected);
    for session in [&live_session, &parked_session] {
        let (peer, shard) = ask(&mut two, session);
        let own = saved.iter().find(|(client, _)| *client == id(session));
        give(
            &mut two,
            shard,
            id(session),
            own.and_then(|(_, it)| it.clone()),
        );
        resumed(&mut two, peer, session);
    }
    let (peer, shard) = ask(&mut two, &gone_session);
    give(&mut two, shard, id(&gone_session), None);
    is_stale(&mut two, peer);
}

/// Limits of the server that takes it are kept, and what did not fit is named.
#[test]
fn more_than_there_is_room_for_is_named() {
    let (mut one, ada) = node(config(Some(KEY)), 1);
    let bob = one.connect();
    let session = session(&mut one, bob);
    one.reset(bob);
    for data in 1..=5 {
        write(&mut one, ada, &session, data);
    }
    let saved = take(&mut one, id(&session));
    for (messages, bytes, from) in [(2, 65_536, 4), (100, 0, 6)] {
        let mut small = config(Some(KEY));
        small.sessions.mail_messages = messages;
        small.sessions.max_mail_bytes = if bytes == 0 { 0 } else { 16 << 20 };
        let (mut two, eve) = node(small, 2);
        let (peer, shard) = ask(&mut two, &session);
        give(&mut two, shard, id(&session), saved.clone());
        let told = resumed(&mut two, peer, &session);
        assert_eq!(told["gap"], json!({"from": 1, "to": from - 1}), "{told}");
        assert_eq!(two.all(peer).len() as u64, 6 - from);
        assert_eq!(write(&mut two, eve, &session, 6)["type"], "ack");
        assert_eq!(two.expect(peer, "private_message")["offset"], 6);
        two.reset(peer);
        two.advance_ms(2 * WINDOW_MS);
        assert_eq!(two.stats().buffered_bytes, 0);
    }
}

/// A session that comes late where there is no place for it goes back.
#[test]
fn what_has_no_place_leaves_again() {
    let (mut one, _) = node(config(Some(KEY)), 1);
    let mut full = config(Some(KEY));
    full.sessions.max_parked = 0;
    let (mut two, _) = node(full, 2);
    let bob = one.connect();
    let session = session(&mut one, bob);
    let (back, shard) = ask(&mut two, &session);
    two.reset(back);
    let saved = stored(take(&mut one, id(&session)));
    give(&mut two, shard, id(&session), saved);
    let (whose, again) = left(&mut two).remove(0);
    assert_eq!(whose, id(&session));
    assert_eq!(two.stats().buffered_bytes, 0);
    let (peer, shard) = ask(&mut one, &session);
    give(&mut one, shard, whose, stored(again));
    resumed(&mut one, peer, &session);
}

/// Without a key sessions are those of one server.
#[test]
fn without_a_key_nobody_is_asked() {
    let (mut one, _) = node(config(None), 1);
    let (mut two, _) = node(config(None), 2);
    let bob = one.connect();
    let session = session(&mut one, bob);
    let peer = two.connect();
    two.forget();
    two.send(peer, &resume(&session));
    is_stale(&mut two, peer);
    assert_eq!(wanted(&mut two), None);
    assert_eq!(take(&mut two, id(&session)), None);
    one.reset(bob);
    one.command(Command::Drain);
    one.advance_ms(config(None).drain.timeout_ms);
    assert!(left(&mut one).is_empty());
    // What it lets go when it is asked for nobody else can read.
    let (mut one, _) = node(config(None), 1);
    let bob = one.connect();
    let session = self::session(&mut one, bob);
    assert!(take(&mut one, id(&session)).is_some());
    let peer = one.connect();
    one.forget();
    one.send(peer, &resume(&session));
    is_stale(&mut one, peer);
}

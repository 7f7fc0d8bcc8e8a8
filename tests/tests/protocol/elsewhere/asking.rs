//! Clients that ask for a session of another server, and what becomes of what they say meanwhile.

use roomwire_core::server::{Command, Event};

use super::*;

/// Of two that ask a server the second one has asked last, also where a third one was between them elsewhere.
#[test]
fn who_asks_last_is_asked_for() {
    let [(mut one, _), (mut two, _)] = two();
    let bob = one.connect();
    let session = session(&mut one, bob);
    let pass = |worlds: [&mut World; 2]| worlds.into_iter().for_each(|it| it.advance_ms(10));
    pass([&mut one, &mut two]);
    let first = two.connect();
    two.forget();
    two.send(first, &resume(&session));
    pass([&mut one, &mut two]);
    let second = one.connect();
    one.forget();
    one.send(second, &resume(&session));
    resumed(&mut one, second, &session);
    pass([&mut one, &mut two]);
    let third = two.connect();
    two.send(third, &resume(&session));
    two.expect_nothing(third);
    // The program carries what is wanted, until nothing is.
    let mut carried = 0;
    while let Some((shard, client, asked_ms)) = asked_of(&mut two) {
        carried += 1;
        assert!(carried < 4, "without end");
        one.events();
        one.command(Command::TakeSession { client, asked_ms });
        let (_, session) = left(&mut one).pop().expect("an answer");
        give(&mut two, shard, client, session);
    }
    resumed(&mut two, third, &session);
    assert_eq!(one.close_frame(second).map(|(code, _)| code), Some(4409));
}

/// A batch in which a session is taken up goes on when that is there, and so does what comes behind it.
#[test]
fn a_batch_waits_for_its_session() {
    let [(mut one, _), (mut two, _)] = two();
    let bob = one.connect();
    let session = session(&mut one, bob);
    let back = two.connect();
    two.forget();
    let set = |n: u64| json!({"type": "set_metadata", "metadata": {"n": n}, "id": 10 + n});
    two.send(
        back,
        &json!({"type": "batch", "messages": [resume(&session), set(1)], "id": 9}),
    );
    two.send(back, &set(2));
    two.expect_nothing(back);
    let (shard, client) = wanted(&mut two).expect("it is wanted");
    let saved = stored(take(&mut one, client));
    give(&mut two, shard, client, saved);
    let ids: Vec<_> = two.all(back).iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(11), json!(9), json!(12)]);
}

/// Who goes while it waits leaves nothing behind, and what comes for it all the same is over in time.
#[test]
fn who_does_not_wait_leaves_nothing() {
    let [(mut one, _), (mut two, _)] = two();
    let bob = one.connect();
    let session = session(&mut one, bob);
    for late in [false, true] {
        let (back, shard) = ask(&mut two, &session);
        two.send_text(back, "{\"type\":\"typing_start\",\"room\":\"a\"}");
        two.reset(back);
        if late {
            let saved = stored(take(&mut one, id(&session)));
            give(&mut two, shard, id(&session), saved);
        } else {
            give(&mut two, shard, id(&session), None);
        }
        two.advance_ms(2 * WINDOW_MS);
        assert_eq!(two.stats().buffered_bytes, 0);
        assert_eq!(take(&mut two, id(&session)), None);
    }
}

/// What becomes of a question is not an answer to a later one: who had asked it has gone.
#[test]
fn an_answer_to_somebody_who_has_gone_is_nobody_elses() {
    let [(mut one, _), (mut two, _)] = two();
    let bob = one.connect();
    let session = session(&mut one, bob);
    let mut asked = Vec::new();
    let first = two.connect();
    two.forget();
    two.send(first, &resume(&session));
    asked.extend(asked_of(&mut two));
    two.reset(first);
    one.advance_ms(1_000);
    two.advance_ms(1_000);
    let second = one.connect();
    one.forget();
    one.send(second, &resume(&session));
    resumed(&mut one, second, &session);
    one.advance_ms(1_000);
    two.advance_ms(1_000);
    let third = two.connect();
    two.send(third, &resume(&session));
    asked.extend(asked_of(&mut two));
    // The program carries one after the other.
    assert_eq!(asked.len(), 2);
    for (shard, client, asked_ms) in asked {
        one.events();
        one.command(Command::TakeSession { client, asked_ms });
        let (_, session) = left(&mut one).pop().expect("an answer");
        two.command(Command::GiveSession {
            shard,
            client,
            asked_ms,
            session,
        });
    }
    resumed(&mut two, third, &session);
}

fn asked_of(world: &mut World) -> Option<(ShardId, ClientId, u64)> {
    let mut events = world.events().into_iter();
    events.find_map(|event| match event {
        Event::SessionWanted {
            shard,
            client,
            asked_ms,
        } => Some((shard, client, asked_ms)),
        _ => None,
    })
}

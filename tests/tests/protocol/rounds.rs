//! Rounds of writes: what shares one.

use roomwire_tests::{Poll, World};
use serde_json::json;

use crate::unlimited;

/// What is said while a round of writes goes on waits for its end, and there for one more look at what has come: all of
/// it shares the next round.
#[test]
fn what_comes_during_a_round_shares_the_next_one() {
    let mut world = World::alone(unlimited());
    let clients = world.connect_many(9);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.forget();
    let say = |world: &mut World, text: u32| {
        let message = json!({"type": "room_message", "room": "tea", "data": text});
        world.post_json(clients[0], &message);
        world.driver().feed();
    };
    say(&mut world, 1);
    let before = world.driver().transmits();
    while world.driver().transmits() < before + 4 {
        assert_eq!(world.driver().poll(), Poll::Busy);
    }
    say(&mut world, 2);
    // The other half has the first message yet, and the publisher its acknowledgement.
    let looks = loop {
        let written = world.driver().transmits();
        assert_eq!(world.driver().poll(), Poll::Busy);
        if world.driver().transmits() == written {
            break written - before;
        }
    };
    say(&mut world, 3);
    world.settle();
    let all = world.driver().transmits() - before;
    assert!((8..=9).contains(&looks), "{looks} writes before the look");
    assert!(
        all - looks <= 9,
        "{all} writes, {looks} of them before the look"
    );
    for &client in &clients[1..] {
        let heard: Vec<_> = world
            .all(client)
            .iter()
            .map(|said| said["data"].clone())
            .collect();
        assert_eq!(heard, [json!(1), json!(2), json!(3)]);
    }
}

//! What the ends of a transfer hear in which order, when shards hear from each other late.

use roomwire_tests::{Lag, Rng, World};
use serde_json::Value;

use super::hall::{Dialect, Hall, number, to_room, transfer};
use super::prompt;

// covers A6-01
/// A receiver may hear of a file from the room's home, and accept it, before the sender's shard hears that it was
/// offered: the sender hears that first of all.
#[test]
fn a_sender_is_told_of_its_transfer_before_anything_of_it() {
    let mut overtaken = 0;
    for seed in 0..100 {
        let mut hall = Hall::of(World::of_shards(prompt(), 3));
        let clients = [Dialect::Json; 6].map(|dialect| hall.member(dialect, "tea"));
        hall.forget();
        hall.world.driver().machine_mut().set_lag(Lag {
            rng: Rng::new(seed),
            most_us: 40_000,
            stalls_per_mille: 0,
            stall_us: 0,
        });
        let [sender, receivers @ ..] = clients;
        hall.say(sender, &to_room("one", "tea", 100));
        let mut heard: Vec<Value> = Vec::new();
        let mut accepted_at_ms = None;
        for ms in 0..200 {
            for receiver in receivers {
                for offered in hall.all(receiver) {
                    assert_eq!(offered["type"], "file_offered", "{offered}");
                    accepted_at_ms.get_or_insert(ms);
                    hall.credit(receiver, transfer(&offered), 0, 100);
                }
            }
            hall.world.advance_ms(1);
            let told_before = heard.len();
            heard.extend(hall.all(sender));
            if told_before == 0
                && !heard.is_empty()
                && accepted_at_ms.is_some_and(|at| at + 20 < ms)
            {
                overtaken += 1;
            }
        }
        assert_eq!(heard[0]["type"], "file_accepted", "{heard:?}");
        let asked = heard.iter().filter(|told| told["type"] == "file_wanted");
        assert_eq!(
            asked
                .map(|asked| number(asked, "length"))
                .collect::<Vec<_>>(),
            [100]
        );
        hall.close_all();
    }
    assert!(overtaken > 0, "the links were not slow enough");
}

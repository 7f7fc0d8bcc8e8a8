//! The oracle notices what goes wrong between shards: relays that come twice, never, or one before the other, and a
//! failure that somebody does not hear of.

use roomwire_core::cluster::Relay;
use roomwire_tests::sim::{Courier, HostId, Letter, Plan, Sabotage, Trouble, run_sabotaged};

/// So many plans are tried.
const PLANS: usize = 16;
/// In so many of their runs it must be noticed.
const RUNS: usize = 3;

/// Plans of several shards.
fn plans() -> impl Iterator<Item = Plan> {
    let several = |plan: &Plan| plan.shards.count > 1;
    (0..).map(Plan::generate).filter(several)
}

/// Those in which the links are as good as they can be, so that nothing but the sabotage is wrong.
fn sound_plans() -> impl Iterator<Item = Plan> {
    plans().map(|mut plan| {
        plan.shards.troubles.clear();
        plan
    })
}

/// Runs plans with a courier for each; where the oracle says anything, it must be one of `expected`. Returns what it
/// said.
fn notices<C>(
    plans: impl Iterator<Item = Plan>,
    expected: &[&str],
    courier: impl Fn() -> C,
) -> Vec<String>
where
    C: FnMut(HostId, HostId, Letter<Relay>) -> Vec<Letter<Relay>> + 'static,
{
    let mut noticed = Vec::new();
    for plan in plans.take(PLANS) {
        let courier: Courier<Relay> = Box::new(courier());
        let sabotage = Sabotage {
            courier: Some(courier),
            ..Sabotage::default()
        };
        if let Err(failure) = run_sabotaged(&plan, sabotage) {
            let known = |expected: &&str| failure.what.contains(expected);
            assert!(expected.iter().any(known), "{failure}");
            noticed.push(failure.what);
        }
        if noticed.len() == RUNS {
            return noticed;
        }
    }
    panic!("{PLANS} runs, and this is all that was noticed: {noticed:?}");
}

/// Whether a letter holds something for members of rooms; most others hold only what shards count of each other.
fn delivers(letter: &Letter<Relay>) -> bool {
    matches!(letter, Letter::Relay(relay) if format!("{relay:?}").contains("Delivery("))
}

/// Picks one letter of a run that delivers something, when people are there.
fn pick() -> impl FnMut(&Letter<Relay>) -> bool {
    let mut left = 50;
    move |letter| {
        if left == 0 || !delivers(letter) {
            return false;
        }
        left -= 1;
        left == 0
    }
}

#[test]
fn a_relay_that_comes_twice() {
    let expected = [
        "twice",
        "about itself",
        "at another time",
        "does not fit",
        "nobody asked",
    ];
    notices(sound_plans(), &expected, || {
        let mut picks = pick();
        move |_, _, letter| match letter {
            letter if !picks(&letter) => vec![letter],
            Letter::Relay(relay) => vec![Letter::Relay(relay.clone()), Letter::Relay(relay)],
            letter => vec![letter],
        }
    });
}

#[test]
fn a_relay_that_is_lost() {
    let expected = ["never came", "no answer", "sees", "does not fit", "told of"];
    notices(sound_plans(), &expected, || {
        let mut picks = pick();
        move |_, _, letter| {
            if picks(&letter) {
                Vec::new()
            } else {
                vec![letter]
            }
        }
    });
}

/// The one that is overtaken is lost until the next one comes, which is noticed as well.
#[test]
fn two_relays_of_a_link_in_the_wrong_order() {
    let out_of_order = ["after later ones", "after news of", "no one order"];
    let late = ["never came", "no answer", "does not fit", "sees", "told of"];
    let expected = [&out_of_order[..], &late].concat();
    let noticed = notices(sound_plans(), &expected, || {
        let mut picks = pick();
        let mut held = None;
        move |from, to, letter| match held.take() {
            Some((link, first)) if link == (from, to) => vec![letter, first],
            None if picks(&letter) => {
                held = Some(((from, to), letter));
                Vec::new()
            }
            still => {
                held = still;
                vec![letter]
            }
        }
    });
    let told = |what: &String| out_of_order.iter().any(|said| what.contains(said));
    assert!(noticed.iter().any(told), "{noticed:?}");
}

#[test]
fn a_failure_that_one_shard_is_not_told_of() {
    let fails = |plan: &Plan| {
        let mut troubles = plan.shards.troubles.iter();
        troubles.any(|(_, trouble)| !matches!(trouble, Trouble::Stall(..)))
    };
    let expected = [
        "sees",
        "never came",
        "no answer",
        "told of",
        "waits",
        "does not fit",
    ];
    notices(plans().filter(fails), &expected, || {
        |from: HostId, to: HostId, letter| match letter {
            Letter::Restarted(_) if to.0 == usize::from(from.0 == 0) => Vec::new(),
            letter => vec![letter],
        }
    });
}

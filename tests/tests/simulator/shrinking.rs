//! A plan that fails is made smaller, and what is left still fails.

use roomwire_tests::sim::{Act, Editor, Plan, Sabotage, run_sabotaged, shrink, size};

/// When a client vanishes, in microseconds from the beginning, each time.
fn vanishes(plan: &Plan, client: usize) -> Vec<u64> {
    let mut now = 0;
    let mut times = Vec::new();
    for (after, act) in &plan.clients[client].acts {
        now += after;
        if *act == Act::Vanish {
            times.push(now);
        }
    }
    times
}

#[test]
fn nothing_is_left_but_the_cause() {
    let plan = Plan::generate(3);
    let mut clients = 0..plan.clients.len();
    let client = clients.find(|&client| !vanishes(&plan, client).is_empty());
    let client = client.expect("somebody vanishes");
    let small = shrink(&plan, 10_000, |plan| !vanishes(plan, client).is_empty());
    assert!(size(&plan) > 100);
    assert_eq!(size(&small), 1);
    // What is left keeps its time.
    let left = vanishes(&small, client);
    assert!(vanishes(&plan, client).contains(&left[0]), "{left:?}");
}

/// Runs a plan of whose acknowledgements the oracle is shown none.
fn without_acknowledgements(plan: &Plan) -> Option<String> {
    let sabotage = Sabotage {
        editor: Some(Editor(Box::new(|_, text| {
            let lost = text.starts_with(r#"{"type":"ack""#);
            if lost { Vec::new() } else { vec![text] }
        }))),
        ..Sabotage::default()
    };
    run_sabotaged(plan, sabotage)
        .err()
        .map(|failure| failure.what)
}

#[test]
fn a_run_that_fails_becomes_short() {
    let plan = Plan::generate(4);
    assert!(without_acknowledgements(&plan).is_some());
    let small = shrink(&plan, 1_000, |plan| {
        without_acknowledgements(plan).is_some()
    });
    let what = without_acknowledgements(&small).expect("it still fails");
    assert!(
        what.contains("no answer") || what.contains("is still open"),
        "{what}"
    );
    // Connect, join and say.
    assert!(size(&small) <= 8, "{small:#?}");
}

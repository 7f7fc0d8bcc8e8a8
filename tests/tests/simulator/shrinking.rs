//! A plan that fails is made smaller, and what is left still fails.

use roomwire_tests::sim::{Act, Editor, Plan, Sabotage, run_sabotaged, shrink, size};

/// The first client of a plan that vanishes, and when, in microseconds from the beginning.
fn vanishing(plan: &Plan) -> Option<(usize, u64)> {
    plan.clients
        .iter()
        .enumerate()
        .find_map(|(number, client)| {
            let at = client
                .acts
                .iter()
                .position(|(_, act)| *act == Act::Vanish)?;
            let after = client.acts[..=at].iter().map(|(after, _)| after);
            Some((number, after.sum()))
        })
}

#[test]
fn nothing_is_left_but_the_cause() {
    let plan = Plan::generate(3);
    let (client, at) = vanishing(&plan).expect("somebody vanishes");
    let small = shrink(&plan, 10_000, |plan| {
        vanishing(plan).is_some_and(|(number, _)| number == client)
    });
    assert!(size(&plan) > 100);
    assert_eq!(size(&small), 1);
    // It keeps its number and its time.
    let (number, left_at) = vanishing(&small).expect("it still vanishes");
    assert_eq!(number, client);
    assert_eq!(left_at, at);
}

/// Runs a plan of whose acknowledgements the oracle is shown none.
fn without_acknowledgements(plan: &Plan) -> Option<String> {
    let sabotage = Sabotage {
        editor: Some(Editor(Box::new(|_, text| {
            let lost = text.starts_with(r#"{"type":"ack""#);
            if lost { Vec::new() } else { vec![text] }
        }))),
        config: None,
    };
    run_sabotaged(plan, sabotage)
        .err()
        .map(|failure| failure.what)
}

#[test]
fn a_run_that_fails_becomes_short() {
    let plan = Plan::generate(4);
    assert!(without_acknowledgements(&plan).is_some());
    let small = shrink(&plan, 400, |plan| without_acknowledgements(plan).is_some());
    let what = without_acknowledgements(&small).expect("it still fails");
    assert!(
        what.contains("no answer") || what.contains("is still open"),
        "{what}"
    );
    // Connect and ask.
    assert!(size(&small) <= 4, "{small:#?}");
}

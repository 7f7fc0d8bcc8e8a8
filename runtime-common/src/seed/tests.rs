//! Tests of the seed.

#[test]
fn two_seeds_differ() {
    let seed = super::from_system().expect("a seed");
    assert_ne!(seed, super::from_system().expect("a seed"));
}

use roomwire_core::ConnectionId;

use super::Slots;

fn id(generation: u64, slot: u64) -> ConnectionId {
    ConnectionId::from_bits(generation << 32 | slot).expect("a generation")
}

#[test]
fn a_stale_id_has_nothing() {
    let mut slots = Slots::new();
    let (old, new) = (id(1, 3), id(2, 3));
    slots.insert(old, "old");
    assert_eq!(slots.get_mut(old), Some(&mut "old"));
    assert_eq!(slots.get_mut(new), None);
    assert_eq!(slots.at_mut(3), Some((old, &mut "old")));
    assert_eq!(slots.at_mut(2), None);
    assert_eq!(slots.at_mut(4), None);
    slots.insert(new, "new");
    assert_eq!(slots.remove(old), None, "it has ended");
    assert_eq!(slots.iter_mut().count(), 1);
    assert_eq!(slots.remove(new), Some("new"));
    assert_eq!(slots.remove(new), None);
    assert_eq!(slots.iter_mut().count(), 0);
}

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn session() -> Session {
    let mut session = Session::new(Kind::Client(WireForm::Json), [0; 12], Instant::ZERO);
    session.hold = Hold::Released;
    session
}

#[test]
fn a_client_is_welcome_once_it_was_welcomed() {
    let mut session = session();
    assert!(session.is_welcome());
    session.hold = Hold::Delay;
    assert!(!session.is_welcome());
    (session.hold, session.kind) = (Hold::Released, Kind::Echo);
    assert!(!session.is_welcome());
}

#[test]
fn a_connection_has_a_session_in_one_stage() {
    let mut connection = Connection::new(PeerAddr::Local, ListenerId(0), 0, Preface::Done);
    assert!(connection.session().is_none() && connection.session_mut().is_none());
    connection.stage = Stage::Session(Box::new(session()));
    assert!(connection.session().is_some() && connection.session_mut().is_some());
    connection.stage = Stage::Over(None);
    assert!(connection.session().is_none());
}

#[derive(Clone, Debug)]
enum Op {
    Place(u32, u32),
    Leave(u32),
    Miss(u32, u32, u64),
}

fn op() -> impl Strategy<Value = Op> {
    let room = 0..6_u32;
    prop_oneof![
        (room.clone(), any::<u32>()).prop_map(|(room, slot)| Op::Place(room, slot)),
        room.clone().prop_map(Op::Leave),
        (room, 1..=u32::MAX, 0..5_u64).prop_map(|(room, count, last)| Op::Miss(room, count, last)),
    ]
}

proptest! {
    /// Against maps by room.
    #[test]
    fn places_and_notes_are_maps(ops in prop::collection::vec(op(), 0..100)) {
        let mut session = session();
        let mut places: BTreeMap<u32, u32> = BTreeMap::new();
        let mut missed: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let note = |missed: &mut BTreeMap<u32, (u64, u64)>, room, count, last: u64| {
            let (messages, newest) = missed.entry(room).or_default();
            *messages += count;
            *newest = last.max(*newest);
        };
        for op in ops {
            match op {
                Op::Place(room, slot) => {
                    session.set_slot(room, slot);
                    places.insert(room, slot);
                }
                Op::Leave(room) => {
                    prop_assert_eq!(session.remove_slot(room), places.remove(&room));
                    if let Some((count, _)) = missed.remove(&room) {
                        note(&mut missed, LOBBY, count, 0);
                    }
                }
                Op::Miss(room, count, last) => {
                    let (room, last) = match session.slot(room) {
                        Some(_) => (Some(room), last),
                        None => (None, 0),
                    };
                    session.miss(room, u64::from(count), last);
                    note(&mut missed, room.unwrap_or(LOBBY), u64::from(count), last);
                }
            }
            for room in 0..6 {
                prop_assert_eq!(session.slot(room), places.get(&room).copied());
            }
            prop_assert!(session.memberships.is_sorted_by_key(|m| m.room));
            let told = session.missed();
            let notes: BTreeMap<u32, (u64, u64)> =
                told.iter().map(|m| (m.room, (m.messages, m.last))).collect();
            prop_assert_eq!(told.len(), notes.len());
            prop_assert!(notes.len() <= places.len() + 1);
            prop_assert_eq!(notes, missed.clone());
        }
    }
}

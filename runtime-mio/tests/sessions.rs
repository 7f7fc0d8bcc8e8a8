//! Sessions that go from one server on mio to another.

use roomwire_mio::Mio;
use roomwire_tests::moves::{play_all, play_alone, play_taking, start};

#[test]
fn sessions_go_from_one_thread_to_another() {
    play_all(start::<Mio>, start::<Mio>, 1);
}

#[test]
fn sessions_go_from_many_threads_to_many() {
    play_all(start::<Mio>, start::<Mio>, 3);
}

#[test]
fn without_a_store_nobody_waits() {
    play_alone(start::<Mio>);
}

#[test]
fn a_program_takes_sessions_itself() {
    play_taking::<Mio>(|handle, client| handle.take_session(client, u64::MAX));
}

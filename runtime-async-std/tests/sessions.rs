//! Sessions that go from one server on async-std to another.

use async_std::task::block_on;
use roomwire_async_std::AsyncStd;
use roomwire_tests::moves::{play_all, play_alone, play_taking, start};

#[test]
fn sessions_go_from_one_thread_to_another() {
    play_all(start::<AsyncStd>, start::<AsyncStd>, 1);
}

#[test]
fn sessions_go_from_many_threads_to_many() {
    play_all(start::<AsyncStd>, start::<AsyncStd>, 3);
}

#[test]
fn without_a_store_nobody_waits() {
    play_alone(start::<AsyncStd>);
}

#[test]
fn a_program_takes_sessions_itself() {
    play_taking::<AsyncStd>(|handle, client| block_on(handle.take_session(client, u64::MAX)));
}

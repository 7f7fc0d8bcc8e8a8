//! Who has much to say does not keep the others waiting.

use roomwire_async_std::AsyncStd;
use roomwire_tests::busy::a_word_comes_before_the_busy;
use roomwire_tests::moves::start;

#[test]
fn a_word_does_not_wait_behind_the_busy() {
    a_word_comes_before_the_busy(start::<AsyncStd>);
}

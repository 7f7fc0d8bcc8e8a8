//! Seeds that once showed something wrong, in the server or in what was believed of it.

use super::passes;

/// A close frame behind the message for which its sender was throttled is read with what comes later: until
/// then the client is there, and the oracle believed otherwise.
#[test]
fn a_close_frame_of_a_client_that_is_throttled() {
    for seed in [5_001_108, 5_002_036, 5_004_324, 5_007_504, 5_007_568] {
        passes(seed);
    }
}

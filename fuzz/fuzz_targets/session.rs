//! Hands libFuzzer's inputs to the target of the same name in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| roomwire_fuzz::session::target(data));

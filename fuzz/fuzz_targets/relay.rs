//! See `countersign_tests::fuzz::relay`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_tests::fuzz::relay(data));

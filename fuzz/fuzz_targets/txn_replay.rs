//! The libFuzzer binary of the target `txn_replay`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("txn_replay", data));

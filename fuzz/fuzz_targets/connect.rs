//! The libFuzzer binary of the target `connect`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("connect", data));

//! The libFuzzer binary of the target `replies`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("replies", data));

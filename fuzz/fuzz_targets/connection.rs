//! The libFuzzer binary of the target `connection`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("connection", data));

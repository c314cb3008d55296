//! The libFuzzer binary of the target `frames`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("frames", data));

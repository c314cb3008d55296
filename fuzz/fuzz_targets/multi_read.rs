//! The libFuzzer binary of the target `multi_read`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("multi_read", data));

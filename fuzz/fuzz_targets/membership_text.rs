//! The libFuzzer binary of the target `membership_text`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("membership_text", data));

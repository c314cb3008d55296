//! The libFuzzer binary of the target `quota_text`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("quota_text", data));

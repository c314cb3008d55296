//! The libFuzzer binary of the target `quorum_opening`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("quorum_opening", data));

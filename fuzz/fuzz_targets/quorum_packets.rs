//! The libFuzzer binary of the target `quorum_packets`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("quorum_packets", data));

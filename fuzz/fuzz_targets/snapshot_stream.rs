//! The libFuzzer binary of the target `snapshot_stream`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("snapshot_stream", data));

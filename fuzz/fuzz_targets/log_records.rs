//! The libFuzzer binary of the target `log_records`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("log_records", data));

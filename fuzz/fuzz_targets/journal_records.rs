//! The libFuzzer binary of the target `journal_records`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("journal_records", data));

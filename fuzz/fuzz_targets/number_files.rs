//! The libFuzzer binary of the target `number_files`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("number_files", data));

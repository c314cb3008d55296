//! The libFuzzer binary of the target `access_list`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("access_list", data));

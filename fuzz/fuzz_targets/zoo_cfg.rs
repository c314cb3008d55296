//! The libFuzzer binary of the target `zoo_cfg`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("zoo_cfg", data));

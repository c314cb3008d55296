//! The libFuzzer binary of the target `jvm_flags`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("jvm_flags", data));

//! The libFuzzer binary of the target `txn_record`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("txn_record", data));

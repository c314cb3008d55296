//! The libFuzzer binary of the target `four_letter_word`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quorate_fuzz::run("four_letter_word", data));

//! Any bytes as a small history of a register, which every engine decides alike.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(disagreement) = checkers::engines::disagreement(bytes) {
        panic!("{disagreement}");
    }
});

//! Any bytes as a history in the format `porcupine-kv`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    histories::fuzz::survive(histories::Format::PorcupineKv, bytes);
});

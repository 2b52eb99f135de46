//! Any bytes as a history in the format `jepsen-log`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    histories::fuzz::survive(histories::Format::JepsenLog, bytes);
});

//! The histories crate from outside: what it reads, writes, records and refuses.

mod binary;
mod cases;
mod consistency;
mod edn;
mod formats;
mod jepsen_log;
mod jsonl;
mod properties;
mod recorder;
mod views;

use histories::{Format, History, ReadError};

/// Reads `text` under the name `h`, in the given format or in the one it is recognised to be.
fn read(text: &str, format: Option<Format>) -> Result<History, ReadError> {
    histories::read("h", text.as_bytes(), format)
}

/// The lines that the events of a history were read from.
fn lines(history: &History) -> Vec<u32> {
    let positions = 0..history.events.len();
    positions
        .filter_map(|position| history.events.line(position))
        .collect()
}

/// Checks that reading `text` fails with exactly `message`.
#[track_caller]
fn refused(text: &str, format: Option<Format>, message: &str) {
    match read(text, format) {
        Ok(history) => panic!("read {} events of:\n{text}", history.events.len()),
        Err(error) => assert_eq!(error.to_string(), message, "for:\n{text}"),
    }
}

//! Our format: JSON lines, a header first, then one event a line.
//!
//! ```text
//! {"format":"whitewater-history","version":1,"run":{"system":"raft-kv",…}}
//! {"index":0,"time":1200,"process":0,"type":"invoke","f":"write","key":"x","value":5}
//! {"index":1,"time":9800,"process":0,"type":"ok","f":"write","key":"x","value":5,"node":"n1"}
//! {"index":2,"time":9900,"process":"nemesis","type":"info","f":"kill","value":{"id":0,…}}
//! ```
//!
//! `key`, `value`, `node`, `error` and `path` are left out where there is none. Without a header
//! the same lines are read too; `index` and `time` may then be missing in all of them. A last line
//! that ends in the middle, as `kill -9` leaves it, is left out, and the history says so.
//!
//! Two readers stand behind one: the plain one reads blocks of lines on several threads and gives
//! up on anything wrong; the exact one then reads all again, line by line, and finds the words.

mod header;
mod lines;
pub(super) mod plain;
mod threads;

use std::io::{self, Read, Seek, Write};

use super::blocks::BlockError;
use super::error::{ReadError, ReadErrorKind};
use crate::{Event, History, Process, json};

pub(crate) use header::{read_header, write_header};

/// The version of the format that is written here, and the newest that is read.
pub const VERSION: u64 = 1;

/// Writes a history in our format, so that reading it gives the same events.
///
/// # Errors
///
/// Those of `out`.
pub fn write_jsonl(history: &History, mut out: impl Write) -> io::Result<()> {
    let mut lines = Vec::new();
    write_header(&history.header, history.failed_cas, &mut lines);
    for event in &history.events {
        write_event(&event, &mut lines);
        if lines.len() >= 64 * 1024 {
            out.write_all(&lines)?;
            lines.clear();
        }
    }
    out.write_all(&lines)?;
    out.flush()
}

/// Reads a history in our format from the beginning of `source`, which has about `length` bytes.
pub(crate) fn read(mut source: impl Read + Seek + Send, length: u64) -> Result<History, ReadError> {
    source.rewind().map_err(unreadable)?;
    if let Some(history) = threads::read(&mut source, length)? {
        history.validate()?;
        return Ok(history);
    }
    source.rewind().map_err(unreadable)?;
    let history = lines::read(&mut source)?;
    history.validate()?;
    Ok(history)
}

/// Whether the plain reader, where it reads the bytes at all, reads what the exact one does.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn ways_agree(bytes: &[u8]) -> bool {
    let plain = threads::read(bytes, bytes.len() as u64).unwrap_or_default();
    plain.is_none_or(|plain| lines::read(bytes).is_ok_and(|exact| exact == plain))
}

fn unreadable(error: io::Error) -> ReadError {
    ReadErrorKind::Unreadable(error).nowhere()
}

impl From<BlockError> for ReadError {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Io(error) => unreadable(error),
            BlockError::TooLong => ReadErrorKind::TooLong.nowhere(),
        }
    }
}

/// Writes the line of an event.
pub(crate) fn write_event(event: &Event, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"index\":");
    json::write_number(event.index, out);
    out.extend_from_slice(b",\"time\":");
    json::write_number(event.time_ns, out);
    out.extend_from_slice(b",\"process\":");
    match event.process {
        Process::Client(number) => json::write_number(number, out),
        Process::Nemesis => out.extend_from_slice(b"\"nemesis\""),
    }
    write_member("type", event.kind.name(), out);
    write_member("f", &event.f, out);
    for (name, value) in [("key", event.key.as_ref()), ("value", Some(&event.value))] {
        if let Some(value) = value.filter(|value| !value.is_nil()) {
            write_name(name, out);
            json::write(value, out);
        }
    }
    for (name, text) in [("node", &event.node), ("error", &event.error)] {
        if let Some(text) = text {
            write_member(name, text, out);
        }
    }
    if !event.path.is_empty() {
        write_names("path", &event.path, out);
    }
    out.extend_from_slice(b"}\n");
}

/// Writes `,"name":"text"`.
fn write_member(name: &str, text: &str, out: &mut Vec<u8>) {
    write_name(name, out);
    json::write_text(text, out);
}

/// Writes `,"name":["text",…]`.
fn write_names(name: &str, names: &[impl AsRef<str>], out: &mut Vec<u8>) {
    write_name(name, out);
    json::write_list(names.iter(), out, |name, out| {
        json::write_text(name.as_ref(), out)
    });
}

/// Writes `,"name":`.
fn write_name(name: &str, out: &mut Vec<u8>) {
    out.push(b',');
    json::write_text(name, out);
    out.push(b':');
}

#[cfg(test)]
mod tests;

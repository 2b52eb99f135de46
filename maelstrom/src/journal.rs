//! The log of messages: `messages.jsonl`, a line for each that was sent, received or dropped.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;

use crate::message::Message;
use crate::print::Print;

/// What is logged beyond this many bytes is left out, and the last line says so.
const BYTES_MAX: u64 = 512 << 20;

/// Who is also given messages, a line each.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Is given those that are sent.
    pub sent: Option<Print>,
    /// Is given those that are received.
    pub received: Option<Print>,
}

/// The log of messages.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Option<BufWriter<File>>,
    bytes: u64,
    shown: Shown,
}

impl Journal {
    pub fn create(path: &Path, shown: Shown) -> io::Result<Self> {
        Ok(Journal {
            file: Some(BufWriter::with_capacity(64 << 10, File::create(path)?)),
            bytes: 0,
            shown,
        })
    }

    /// No log at all.
    #[cfg(test)]
    pub fn none() -> Self {
        Journal {
            file: None,
            bytes: 0,
            shown: Shown::default(),
        }
    }

    pub fn sent(&mut self, time_ns: i64, message: &Message) {
        if let Some(show) = &self.shown.sent {
            show.line(&format!("sent {}", message.to_line().trim_end()));
        }
        self.write(time_ns, "send", None, message);
    }

    pub fn received(&mut self, time_ns: i64, message: &Message) {
        if let Some(show) = &self.shown.received {
            show.line(&format!("received {}", message.to_line().trim_end()));
        }
        self.write(time_ns, "recv", None, message);
    }

    pub fn dropped(&mut self, time_ns: i64, why: &str, message: &Message) {
        self.write(time_ns, "drop", Some(why), message);
    }

    /// Hands what is logged so far to the system.
    pub fn flush(&mut self) {
        if let Some(file) = &mut self.file {
            // The log is a help; a run does not depend on it.
            let _ = file.flush();
        }
    }

    fn write(&mut self, time_ns: i64, event: &str, why: Option<&str>, message: &Message) {
        let Some(file) = &mut self.file else {
            return;
        };
        let mut line = json!({
            "time": time_ns,
            "event": event,
            "id": message.id,
            "src": &*message.src,
            "dest": &*message.dest,
            "body": &message.body,
        });
        if message.sender != message.src {
            line["sender"] = (*message.sender).into();
        }
        if let Some(why) = why {
            line["why"] = why.into();
        }
        let line = format!("{line}\n");
        self.bytes += line.len() as u64;
        let is_full = self.bytes > BYTES_MAX;
        let line = match is_full {
            true => format!("{}\n", json!({"time": time_ns, "event": "log full"})),
            false => line,
        };
        if file.write_all(line.as_bytes()).is_err() || is_full {
            self.flush();
            self.file = None;
        }
    }
}

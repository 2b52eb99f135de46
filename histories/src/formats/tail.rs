//! A history of ours that is still being written, as it grows.

use super::binary::{self, Growing};
use super::error::{ReadError, ReadErrorKind};
use super::fields::{Assembly, Fields, Style};
use crate::{Event, json};

/// A line that is longer is no event of ours.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Turns the bytes of a history in JSON lines, or of a binary one, into events, in pieces that may
/// end anywhere.
///
/// It takes the lines and chunks as they come: whether the events are consistent with each other is
/// for whoever reads the whole history ([`crate::read`]).
#[derive(Debug, Default)]
pub struct Tail {
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
    /// How many lines have come.
    lines: u32,
    /// Whether it is a binary history; `None` before the first byte.
    chunks: Option<Option<Growing>>,
}

impl Tail {
    /// Nothing has come yet.
    pub fn new() -> Self {
        Tail::default()
    }

    /// The events whose lines end in these bytes, which follow those given before.
    ///
    /// # Errors
    ///
    /// When a whole line is no event, with the line; when a whole chunk is damaged.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, ReadError> {
        let Some(first) = bytes.first() else {
            return Ok(Vec::new());
        };
        // No text begins with this byte.
        let is_binary = *first == binary::MAGIC[0];
        let chunks = self
            .chunks
            .get_or_insert_with(|| is_binary.then(Growing::default));
        if let Some(chunks) = chunks {
            return chunks.push(bytes);
        }
        let mut events = Vec::new();
        let mut assembly = Assembly::new(Style::Json);
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        if !self.rest.is_empty()
            && let Some(first) = lines.next()
        {
            self.rest.extend_from_slice(first);
            if first.ends_with(b"\n") {
                let line = std::mem::take(&mut self.rest);
                events.extend(self.line(&line, &mut assembly)?);
            }
        }
        for line in lines {
            if line.ends_with(b"\n") {
                events.extend(self.line(line, &mut assembly)?);
            } else {
                self.rest.extend_from_slice(line);
            }
        }
        match self.rest.len() > LINE_BYTES_MAX {
            true => Err(ReadErrorKind::TooLong.at_line(self.lines as usize + 1)),
            false => Ok(events),
        }
    }

    /// The event of a whole line; `None` for the header and for an empty line.
    fn line(&mut self, line: &[u8], assembly: &mut Assembly) -> Result<Option<Event>, ReadError> {
        self.lines = self.lines.saturating_add(1);
        let number = self.lines as usize;
        let Ok(text) = std::str::from_utf8(line.trim_ascii()) else {
            return Err(ReadErrorKind::NotText.at_line(number));
        };
        let malformed = |what: String| ReadErrorKind::Malformed(what).at_line(number);
        if text.is_empty() {
            return Ok(None);
        }
        let mut is_header = false;
        let mut fields = Fields {
            line: self.lines,
            ..Fields::default()
        };
        json::parse_object(text, |name, value| {
            is_header |= name == "format" && number == 1;
            fields.set(Style::Json, name, value)
        })
        .map_err(|error| malformed(error.to_string()))?
        .map_err(malformed)?;
        match is_header {
            true => Ok(None),
            false => assembly.push(fields).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        EventType, Events, Header, History, Process, RunInfo, Value, write_binary, write_jsonl,
    };

    fn history() -> History {
        let event = |index: u64| Event {
            index,
            time_ns: 7 * index,
            process: match index % 5 {
                0 => Process::Nemesis,
                process => Process::Client(process),
            },
            kind: EventType::Info,
            f: "write".into(),
            key: Some("käse".into()),
            value: Value::Int(index.cast_signed()),
            node: None,
            error: Some("a \"quoted\" text\n".into()),
            path: Vec::new(),
        };
        History {
            header: Header {
                run: Some(RunInfo::default()),
            },
            events: (0..40).map(event).collect(),
            ..History::default()
        }
    }

    /// Goal: wherever the pieces end, the same events come. Method: all sizes of pieces.
    #[test]
    fn pieces_may_end_anywhere() {
        let history = history();
        let (mut text, mut binary) = (Vec::new(), Vec::new());
        write_jsonl(&history, &mut text).unwrap();
        write_binary(&history, &mut binary).unwrap();
        for size in 1..200 {
            for bytes in [&text, &binary] {
                let mut tail = Tail::new();
                let mut events = Events::new();
                for piece in bytes.chunks(size) {
                    for event in tail.push(piece).unwrap() {
                        events.push(event);
                    }
                }
                assert_eq!(events, history.events, "{size}");
            }
        }
    }

    #[test]
    fn a_chunk_that_is_damaged_is_named() {
        let mut bytes = Vec::new();
        write_binary(&history(), &mut bytes).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let mut tail = Tail::new();
        assert_eq!(tail.push(&bytes[..last]).unwrap(), []);
        let error = tail.push(&bytes[last..]).unwrap_err();
        assert!(
            error.to_string().contains("chunk 0, events 0 to 39"),
            "{error}"
        );
    }

    #[test]
    fn a_line_that_has_not_ended_waits_and_one_that_is_no_event_is_named() {
        let mut tail = Tail::new();
        let line = br#"{"index":0,"time":1,"process":0,"type":"invoke","f":"read"}"#;
        assert_eq!(tail.push(line).unwrap(), []);
        assert_eq!(tail.push(b"\n\n").unwrap().len(), 1);
        let error = tail.push(b"{\"index\":1}\n").unwrap_err();
        assert!(error.to_string().starts_with("history:3: "), "{error}");
    }
}

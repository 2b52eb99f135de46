//! Lines, one after the other: plain ones where that is wanted, others exactly.

use std::io::Read;
use std::str;

use super::header::read_header;
use crate::formats::HISTORY_BYTES_MAX;
use crate::formats::blocks::Blocks;
use crate::formats::error::{ReadError, ReadErrorKind, column};
use crate::formats::fields::{Assembly, Fields, Style};
use crate::scanner::SyntaxError;
use crate::{FailedCas, Fault, Header, History, Process, json};

/// Reads all lines exactly.
pub(super) fn read(source: impl Read) -> Result<History, ReadError> {
    let mut blocks = Blocks::new(source, HISTORY_BYTES_MAX);
    let mut lines = Lines::new(true);
    let mut block = Vec::new();
    while blocks.next_into(&mut block)? && !lines.torn {
        lines.read(&block, false)?;
    }
    Ok(lines.finish())
}

/// What was read of lines so far.
pub(super) struct Lines {
    pub assembly: Assembly,
    pub header: Option<(Header, FailedCas)>,
    /// Whether the last line was torn.
    pub torn: bool,
    /// How many lines there were.
    pub count: usize,
    /// Whether the first line is the first of the file, which may be a header.
    is_beginning: bool,
}

impl Lines {
    /// No lines; the first to come may be the first of the file.
    pub fn new(is_beginning: bool) -> Self {
        Lines {
            assembly: Assembly::new(Style::Json),
            header: None,
            torn: false,
            count: 0,
            is_beginning,
        }
    }

    /// Reads a block of lines.
    ///
    /// # Errors
    ///
    /// With the line, counted from the first that was read here.
    pub fn read(&mut self, block: &[u8], plainly: bool) -> Result<(), ReadError> {
        let mut rest = block;
        while !rest.is_empty() && !self.torn {
            self.count += 1;
            let line = u32::try_from(self.count).unwrap_or(u32::MAX);
            let plain = if plainly {
                self.assembly.push_plain(rest, line)
            } else {
                None
            };
            let length = match plain {
                Some(length) => length,
                None => {
                    let newline = rest.iter().position(|byte| *byte == b'\n');
                    let length = newline.map_or(rest.len(), |newline| newline + 1);
                    self.read_line(&rest[..length])?;
                    length
                }
            };
            rest = &rest[length..];
        }
        Ok(())
    }

    /// The history of all lines, not yet validated.
    pub fn finish(self) -> History {
        let (header, failed_cas) = self.header.unwrap_or_default();
        let (events, passed_over) = self.assembly.into_events();
        History {
            header,
            failed_cas,
            torn: self.torn,
            events,
            passed_over,
        }
    }

    /// Reads one line exactly.
    fn read_line(&mut self, line: &[u8]) -> Result<(), ReadError> {
        let number = self.count;
        let whole = line.ends_with(b"\n");
        let text = match str::from_utf8(line) {
            Ok(text) => text.trim_ascii_end(),
            Err(error) if !whole && error.error_len().is_none() => {
                self.torn = true;
                return Ok(());
            }
            Err(_) => return Err(ReadErrorKind::NotText.at_line(number)),
        };
        if text.is_empty() {
            return Ok(());
        }
        match read_text(text, number, self.is_beginning) {
            Ok(Line::Header(header, failed_cas)) => self.header = Some((header, failed_cas)),
            Ok(Line::Event(fields)) => self.push(*fields)?,
            Err(Complaint::Syntax(error)) if !whole && error.cut_off() => self.torn = true,
            Err(Complaint::Syntax(error)) => return Err(malformed(text, number, &error)),
            Err(Complaint::Other(kind)) => return Err(kind.at_line(number)),
        }
        Ok(())
    }

    /// Adds an event. Under our header every event has its index and time, and whatever looks like
    /// a fault event is one: nothing of what a run did may be passed over.
    fn push(&mut self, fields: Fields) -> Result<(), ReadError> {
        let line = fields.line as usize;
        let event = self.assembly.push(fields)?;
        let looks_like_fault = event.process == Process::Nemesis
            && event.value.get("id").is_some()
            && event.value.get("phase").is_some();
        if looks_like_fault {
            Fault::try_from(&event)
                .map_err(|error| ReadErrorKind::Malformed(error.to_string()).at_line(line))?;
        }
        if self.header.is_some() && !self.assembly.is_stamped() {
            let what = "expected \"index\" and \"time\", found only one of them or none".to_owned();
            return Err(ReadErrorKind::Malformed(what).at_line(line));
        }
        Ok(())
    }
}

/// What a line says.
enum Line {
    Header(Header, FailedCas),
    Event(Box<Fields>),
}

/// Why a line says nothing.
enum Complaint {
    /// It is no JSON object; perhaps because it is torn.
    Syntax(SyntaxError),
    /// It is one, and says something else than it should.
    Other(ReadErrorKind),
}

fn read_text(text: &str, number: usize, is_beginning: bool) -> Result<Line, Complaint> {
    if number == 1 && is_beginning {
        let value = json::parse(text).map_err(Complaint::Syntax)?;
        if value.get("format").is_some() {
            let (header, failed_cas) = read_header(&value).map_err(Complaint::Other)?;
            return Ok(Line::Header(header, failed_cas));
        }
    }
    let line = u32::try_from(number).unwrap_or(u32::MAX);
    let mut fields = Box::new(Fields {
        line,
        ..Fields::default()
    });
    json::parse_object(text, |name, value| fields.set(Style::Json, name, value))
        .map_err(Complaint::Syntax)?
        .map_err(|what| Complaint::Other(ReadErrorKind::Malformed(what)))?;
    Ok(Line::Event(fields))
}

/// The error of a line that is no JSON.
fn malformed(text: &str, line: usize, error: &SyntaxError) -> ReadError {
    let kind = ReadErrorKind::Malformed(error.to_string());
    ReadError {
        column: Some(column(text, error.offset)),
        ..kind.at_line(line)
    }
}

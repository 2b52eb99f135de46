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

use std::io::{self, Write};
use std::str;

use super::error::{ReadError, ReadErrorKind};
use super::fields::{Assembly, Fields, Style};
use crate::scanner::SyntaxError;
use crate::{Event, FailedCas, Fault, Header, History, Process, RunInfo, Value, json};

/// The version of the format that is written here, and the newest that is read.
pub const VERSION: u64 = 1;

/// What the header of a history calls its format.
const FORMAT: &str = "whitewater-history";

/// The header's word for [`FailedCas::Observed`].
const OBSERVED: &str = "observed";

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

/// Reads a history in our format.
pub(crate) fn read(bytes: &[u8]) -> Result<History, ReadError> {
    let bytes = bytes.strip_prefix(super::BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut assembly = Assembly::new(Style::Json);
    let mut header: Option<(Header, FailedCas)> = None;
    let mut torn = false;
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let whole = line.ends_with(b"\n");
        let text = match str::from_utf8(line) {
            Ok(text) => text,
            Err(error) if !whole && error.error_len().is_none() => {
                torn = true;
                break;
            }
            Err(_) => return Err(ReadErrorKind::NotText.at_line(number)),
        };
        let text = text.trim_ascii_end();
        if text.is_empty() {
            continue;
        }
        match read_line(text, number) {
            Ok(Line::Header(first, failed_cas)) => header = Some((first, failed_cas)),
            Ok(Line::Event(fields)) => push(&mut assembly, *fields, header.is_some())?,
            Err(Complaint::Syntax(error)) if !whole && error.cut_off() => {
                torn = true;
                break;
            }
            Err(Complaint::Syntax(error)) => return Err(malformed(text, number, &error)),
            Err(Complaint::Other(kind)) => return Err(kind.at_line(number)),
        }
    }
    let history = assembly.finish(false)?;
    let (header, failed_cas) = header.unwrap_or_default();
    Ok(History {
        header,
        failed_cas,
        torn,
        ..history
    })
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

fn read_line(text: &str, number: usize) -> Result<Line, Complaint> {
    if number == 1 {
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

/// Adds an event. Under our header every event has its index and time, and whatever looks like a
/// fault event is one: nothing of what a run did may be passed over.
fn push(assembly: &mut Assembly, fields: Fields, ours: bool) -> Result<(), ReadError> {
    let line = fields.line as usize;
    let event = assembly.push(fields)?;
    let looks_like_fault = event.process == Process::Nemesis
        && event.value.get("id").is_some()
        && event.value.get("phase").is_some();
    if looks_like_fault {
        Fault::try_from(&event)
            .map_err(|error| ReadErrorKind::Malformed(error.to_string()).at_line(line))?;
    }
    if ours && !assembly.is_stamped() {
        let what = "expected \"index\" and \"time\", found only one of them or none".to_owned();
        return Err(ReadErrorKind::Malformed(what).at_line(line));
    }
    Ok(())
}

/// The error of a line that is no JSON.
fn malformed(text: &str, line: usize, error: &SyntaxError) -> ReadError {
    let before = text.get(..error.offset).unwrap_or(text);
    let column = u32::try_from(before.chars().count())
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    let kind = ReadErrorKind::Malformed(error.to_string());
    ReadError {
        column: Some(column),
        ..kind.at_line(line)
    }
}

fn read_header(header: &Value) -> Result<(Header, FailedCas), ReadErrorKind> {
    let malformed = |name: &str, wanted: &str, found: Option<&Value>| {
        let found = found.map_or_else(|| "none".to_owned(), Value::to_string);
        ReadErrorKind::Malformed(format!("expected {name:?} to be {wanted}, found {found}"))
    };
    let format = header.get("format");
    if format.and_then(Value::as_text) != Some(FORMAT) {
        return Err(malformed("format", &format!("{FORMAT:?}"), format));
    }
    let version = header.get("version");
    match version.and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(other) if other > VERSION => {
            return Err(ReadErrorKind::Version {
                found: other.to_string(),
            });
        }
        _ => return Err(malformed("version", &VERSION.to_string(), version)),
    }
    let failed_cas = match header.get("failed_cas") {
        None => FailedCas::NoEffect,
        Some(Value::Text(word)) if **word == *OBSERVED => FailedCas::Observed,
        other => return Err(malformed("failed_cas", &format!("{OBSERVED:?}"), other)),
    };
    let run = match header.get("run") {
        None | Some(Value::Nil) => None,
        Some(run @ Value::Map(_)) => {
            Some(read_run(run).map_err(|(name, wanted)| malformed(name, wanted, run.get(name)))?)
        }
        other => return Err(malformed("run", "an object", other)),
    };
    Ok((Header { run }, failed_cas))
}

/// What the header says of the run; what it leaves out is empty.
fn read_run(run: &Value) -> Result<RunInfo, (&'static str, &'static str)> {
    let text = |name: &'static str| match run.get(name) {
        None => Ok(String::new()),
        Some(value) => value.as_text().map(str::to_owned).ok_or((name, "a string")),
    };
    let number = |name: &'static str| match run.get(name) {
        None => Ok(0),
        Some(value) => value
            .as_u64()
            .ok_or((name, "a number that is not negative")),
    };
    let texts = |name: &'static str| match run.get(name) {
        None => Ok(Vec::new()),
        Some(value) => value
            .as_list()
            .and_then(|list| {
                list.iter()
                    .map(|v| v.as_text().map(str::to_owned))
                    .collect()
            })
            .ok_or((name, "a list of strings")),
    };
    Ok(RunInfo {
        system: text("system")?,
        workload: text("workload")?,
        model: text("model")?,
        nodes: texts("nodes")?,
        clients: number("clients")?,
        faults: texts("faults")?,
        seed: number("seed")?,
    })
}

/// Writes the first line.
pub(crate) fn write_header(header: &Header, failed_cas: FailedCas, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"format\":");
    json::write_text(FORMAT, out);
    out.extend_from_slice(format!(",\"version\":{VERSION}").as_bytes());
    if failed_cas == FailedCas::Observed {
        write_member("failed_cas", OBSERVED, out);
    }
    if let Some(run) = &header.run {
        out.extend_from_slice(b",\"run\":{\"system\":");
        json::write_text(&run.system, out);
        write_member("workload", &run.workload, out);
        write_member("model", &run.model, out);
        write_names("nodes", &run.nodes, out);
        out.extend_from_slice(format!(",\"clients\":{}", run.clients).as_bytes());
        write_names("faults", &run.faults, out);
        out.extend_from_slice(format!(",\"seed\":{}}}", run.seed).as_bytes());
    }
    out.extend_from_slice(b"}\n");
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

//! Writing a history in any of the formats, as far as it can be expressed there.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{Format, binary, jsonl};
use crate::{Event, EventType, FailedCas, History, Outcome, Process, Value};

/// How deep values may be nested in formats made of EDN.
const EDN_DEPTH_MAX: usize = crate::edn::DEPTH_MAX - 4;

/// Why a history cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The format has no words for something.
    #[error(transparent)]
    CannotExpress(#[from] CannotExpress),
    /// The output fails.
    #[error("cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// What a format has no words for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot be expressed in {format}: event {index}: {what}")]
pub struct CannotExpress {
    /// The format.
    pub format: Format,
    /// The index of the first event that it is about.
    pub index: u64,
    /// What it is.
    pub what: String,
}

/// Writes a history in a format. What it has no place for and no verdict depends on is left out:
/// [`left_out`] says what that is.
///
/// # Errors
///
/// When an operation cannot be expressed, and those of `out`.
pub fn write(history: &History, format: Format, mut out: impl Write) -> Result<(), WriteError> {
    match format {
        Format::Jsonl => return Ok(super::write_jsonl(history, out)?),
        Format::Binary => return Ok(binary::write_binary(history, out)?),
        Format::Edn | Format::ElleJson | Format::JepsenLog | Format::PorcupineKv => {}
    }
    check_failed_cas(history, format)?;
    let mut bytes = Vec::new();
    let mut first = true;
    if matches!(format, Format::Edn | Format::ElleJson) {
        bytes.extend_from_slice(b"[");
    }
    for event in &history.events {
        if format == Format::PorcupineKv && event.process == Process::Nemesis {
            continue;
        }
        write_event(&event, format, first, &mut bytes)?;
        first = false;
        if bytes.len() >= 64 * 1024 {
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    if matches!(format, Format::Edn | Format::ElleJson) {
        bytes.extend_from_slice(b"]\n");
    }
    out.write_all(&bytes)?;
    Ok(out.flush()?)
}

/// What a format has no place for and is therefore left out; empty when that is nothing.
pub fn left_out(history: &History, format: Format) -> Vec<&'static str> {
    let events = &history.events;
    let clients = || (0..events.len()).filter(|at| events.process(*at) != Process::Nemesis);
    let ours = matches!(format, Format::Jsonl | Format::Binary);
    let whole = matches!(format, Format::Edn | Format::ElleJson) || ours;
    let kv = format == Format::PorcupineKv;
    let times = || (0..events.len()).any(|at| events.times_ns()[at] != at as u64);
    let rows = [
        (
            !ours && history.header.run.is_some(),
            "the header, which says how the run was made",
        ),
        (history.torn, "that the last line was torn"),
        (!whole && times(), "indexes and times"),
        (
            !whole && clients().any(|at| events.node(at).is_some()),
            "nodes",
        ),
        (
            !whole && clients().any(|at| !events.path(at).is_empty()),
            "paths",
        ),
        (
            kv && clients().any(|at| events.error(at).is_some()),
            "errors",
        ),
        (
            kv && !events.nemesis_positions().is_empty(),
            "the events of the nemesis",
        ),
    ];
    let left = rows.into_iter().filter(|(left, _)| *left);
    left.map(|(_, what)| what).collect()
}

/// Compares a history with what is read of it after it was written in a format: all that the
/// format has a place for must be the same.
///
/// # Errors
///
/// The first event that is another.
pub fn compare(history: &History, again: &History, format: Format) -> Result<(), CannotExpress> {
    let kv = format == Format::PorcupineKv;
    let written = history
        .events
        .iter()
        .filter(|event| !kv || event.process != Process::Nemesis);
    let mut read = again.events.iter();
    for event in written {
        let cannot = |what: String| CannotExpress {
            format,
            index: event.index,
            what,
        };
        let Some(read) = read.next() else {
            return Err(cannot("it is not read back".to_owned()));
        };
        let expected = kept(event.clone(), format);
        if kept(read.clone(), format) != expected {
            let what = format!(
                "{} of {} {} would be read back as {} of {} {}",
                event.kind.name(),
                event.f,
                event.value,
                read.kind.name(),
                read.f,
                read.value
            );
            return Err(cannot(what));
        }
    }
    match read.next() {
        None => Ok(()),
        Some(event) => Err(CannotExpress {
            format,
            index: event.index,
            what: "it would be read back and was never there".to_owned(),
        }),
    }
}

/// What a format keeps of an event.
fn kept(event: Event, format: Format) -> Event {
    let strange = matches!(format, Format::JepsenLog | Format::PorcupineKv);
    if !strange {
        return event;
    }
    let log = format == Format::JepsenLog;
    Event {
        index: 0,
        time_ns: 0,
        node: None,
        error: event.error.filter(|_| log),
        path: Vec::new(),
        ..event
    }
}

/// How a failed cas is meant is no matter of an event: formats have one meaning each.
fn check_failed_cas(history: &History, format: Format) -> Result<(), CannotExpress> {
    let meant = match format {
        Format::JepsenLog => FailedCas::Observed,
        _ => FailedCas::NoEffect,
    };
    if history.failed_cas == meant {
        return Ok(());
    }
    let events = &history.events;
    let operations = history.operations();
    for number in 0..operations.len() {
        let operation = operations.packed(number);
        let Some(ended) = operation.ended else {
            continue;
        };
        let position = ended.position as usize;
        let failed =
            events.kinds()[position] == EventType::Fail && events.error(position).is_none();
        if failed && events.symbol_name(operation.f) == "cas" {
            let what = match operation.outcome {
                Outcome::Ok => "a failed cas that found another value",
                _ => "a failed cas of which no more is known than that nothing was changed",
            };
            return Err(CannotExpress {
                format,
                index: ended.index,
                what: what.to_owned(),
            });
        }
    }
    Ok(())
}

fn write_event(
    event: &Event,
    format: Format,
    first: bool,
    out: &mut Vec<u8>,
) -> Result<(), CannotExpress> {
    let line = match format {
        Format::ElleJson => {
            out.extend_from_slice(if first { b"" } else { b"," });
            jsonl::write_event(event, out);
            return Ok(());
        }
        Format::Edn => {
            out.extend_from_slice(if first { b"" } else { b" " });
            edn_map(event)
        }
        Format::PorcupineKv => kv_line(event),
        _ => log_line(event),
    };
    let line = line.map_err(|what| CannotExpress {
        format,
        index: event.index,
        what,
    })?;
    out.extend_from_slice(line.as_bytes());
    out.push(b'\n');
    Ok(())
}

/// An event as Jepsen's `history.edn` has it, with the fields that only we have besides.
fn edn_map(event: &Event) -> Result<String, String> {
    let mut line = format!(
        "{{:index {}, :time {}, :process {}, :type :{}, :f {}",
        event.index,
        event.time_ns,
        edn_process(event.process),
        event.kind.name(),
        edn_name(&event.f),
    );
    if let Some(key) = &event.key {
        let _ = write!(line, ", :key {}", edn(key)?);
    }
    let _ = write!(line, ", :value {}", edn(&event.value)?);
    for (name, text) in [("node", &event.node), ("error", &event.error)] {
        if let Some(text) = text {
            let _ = write!(line, ", :{name} {}", edn_text(text));
        }
    }
    if !event.path.is_empty() {
        let path: Vec<String> = event.path.iter().map(|node| edn_text(node)).collect();
        let _ = write!(line, ", :path [{}]", path.join(" "));
    }
    line.push('}');
    Ok(line)
}

/// An event as Porcupine's tests have it: exactly these fields in this order.
fn kv_line(event: &Event) -> Result<String, String> {
    let f = match &*event.f {
        f @ ("get" | "put" | "append") => f,
        other => return Err(format!("the operation {other}: only get, put and append")),
    };
    if !matches!(event.kind, EventType::Invoke | EventType::Ok) {
        return Err(format!("an outcome of {}: only ok", event.kind.name()));
    }
    let key = match &event.key {
        Some(Value::Text(key)) => edn_text(key),
        Some(other) => return Err(format!("the key {other}: only texts")),
        None => return Err("an operation without key".to_owned()),
    };
    let read_nothing = f == "get" && event.kind == EventType::Ok;
    let value = match &event.value {
        Value::Text(text) => edn_text(text),
        Value::Nil if read_nothing => {
            return Err("a get that found nothing, which would be the empty text".to_owned());
        }
        Value::Nil => "nil".to_owned(),
        other => return Err(format!("the value {other}: only texts")),
    };
    let (process, kind) = (edn_process(event.process), event.kind.name());
    Ok(format!(
        "{{:process {process}, :type :{kind}, :f :{f}, :key {key}, :value {value}}}"
    ))
}

/// An event as a line of Jepsen's `history.txt`.
fn log_line(event: &Event) -> Result<String, String> {
    if event.key.is_some() {
        return Err("a key".to_owned());
    }
    let plain = event
        .f
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !plain {
        return Err(format!("the operation's name {:?}", event.f));
    }
    let (process, kind, f) = (edn_process(event.process), event.kind.name(), &event.f);
    let mut line = format!("{process}\t:{kind}\t:{f}\t{}", edn(&event.value)?);
    if let Some(error) = &event.error {
        if event.process == Process::Nemesis {
            return Err("an error of the nemesis".to_owned());
        }
        let _ = write!(line, "\t{}", edn_text(error));
    }
    Ok(line)
}

fn edn_process(process: Process) -> String {
    match process {
        Process::Client(number) => number.to_string(),
        Process::Nemesis => ":nemesis".to_owned(),
    }
}

/// A name as a keyword, where it can be one.
fn edn_name(name: &str) -> String {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !name.is_empty() && name.bytes().all(word) {
        format!(":{name}")
    } else {
        edn_text(name)
    }
}

/// A value in EDN.
fn edn(value: &Value) -> Result<String, String> {
    let mut text = String::new();
    write_edn(value, 0, &mut text)?;
    Ok(text)
}

fn write_edn(value: &Value, depth: usize, out: &mut String) -> Result<(), String> {
    if depth > EDN_DEPTH_MAX {
        return Err(format!("a value nested deeper than {EDN_DEPTH_MAX} levels"));
    }
    match value {
        Value::Nil => out.push_str("nil"),
        Value::Bool(truth) => {
            let _ = write!(out, "{truth}");
        }
        Value::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Text(text) => out.push_str(&edn_text(text)),
        Value::List(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { " " });
                write_edn(value, depth + 1, out)?;
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_edn(key, depth + 1, out)?;
                out.push(' ');
                write_edn(value, depth + 1, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// A text in quotes, on one line.
fn edn_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_ascii_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

//! The first line of our format: what the file is, and how its history was made.

use super::{VERSION, write_member, write_names};
use crate::formats::error::ReadErrorKind;
use crate::{FailedCas, Header, RunInfo, Value, json};

/// What the header of a history calls its format.
const FORMAT: &str = "whitewater-history";

/// The header's word for [`FailedCas::Observed`].
const OBSERVED: &str = "observed";

/// Reads a first line that has a `format`.
pub(crate) fn read_header(header: &Value) -> Result<(Header, FailedCas), ReadErrorKind> {
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

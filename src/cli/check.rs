//! `whitewater check`: judge a recorded history, with no cluster.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use checkers::{Cancel, Limits, ModelKind, ModelOptions, NilReads};
use histories::{FailedCas, Format, History, Value};

use super::args::{CheckArgs, FailedCasArg, LimitArgs, NilReadsArg};
use super::exit::Exit;
use super::{fail, print};
use crate::judge::judge;
use crate::plan::nearest;
use crate::reports::json::{self, Document};
use crate::reports::progress::say;
use crate::reports::text;

/// As much of a file as is looked at to recognise its format.
const BEGINNING_BYTES: u64 = 1 << 20;

/// Judges the history that was named.
pub fn check(args: &CheckArgs) -> Exit {
    let (history, model) = match prepare(args) {
        Ok(prepared) => prepared,
        Err(problem) => return fail(Exit::Usage, problem),
    };
    if history.torn {
        say(format_args!(
            "whitewater: the last line is torn and left out, as after a sudden end of the run"
        ));
    }
    match judge(&history, &model, &limits(&args.limits), &Cancel::new()) {
        Ok(judged) => {
            if args.output.json {
                print(&format!(
                    "{}\n",
                    json::to_text(&Document::of_check(&judged))
                ));
            } else {
                print(&text::render(&judged, &history, &text::Context::default()));
            }
            judged.report.verdict.into()
        }
        Err(error) => fail(Exit::Usage, format!("{}: {error}", args.file.display())),
    }
}

/// The limits that were asked for.
fn limits(args: &LimitArgs) -> Limits {
    let defaults = Limits::default();
    Limits {
        time_ms: args.check_time.unwrap_or(defaults.time_ms),
        memory_bytes: args
            .check_memory
            .map_or(defaults.memory_bytes, |mib| mib.saturating_mul(1 << 20)),
        ..defaults
    }
}

/// Reads the history and finds the model for it.
fn prepare(args: &CheckArgs) -> Result<(History, ModelOptions), String> {
    let format = match args.format.as_str() {
        "auto" => None,
        name => Some(
            Format::from_str(name)
                .map_err(|error| suggest(&error, name, Format::ALL.map(Format::name)))?,
        ),
    };
    let file = history_file(&args.file);
    let format = format.or_else(|| recognised(&file));
    let mut history = histories::read_file(&file, format).map_err(|error| error.to_string())?;
    match args.failed_cas {
        Some(FailedCasArg::Observed) => history.failed_cas = FailedCas::Observed,
        Some(FailedCasArg::NoEffect) => history.failed_cas = FailedCas::NoEffect,
        None => {}
    }
    let name = match (&args.model, &history.header.run) {
        (Some(name), _) => name.as_str(),
        (None, Some(run)) => run.model.as_str(),
        (None, None) => {
            return Err(format!(
                "{} does not say which model it is to be judged by (hint: --model with one of {})",
                args.file.display(),
                ModelKind::ALL.map(ModelKind::as_str).join(", ")
            ));
        }
    };
    let kind = ModelKind::from_str(name)
        .map_err(|error| suggest(&error, name, ModelKind::ALL.map(ModelKind::as_str)))?;
    let initial = args.initial.as_deref().map(initial_value).transpose()?;
    let nil_reads = match args.nil_reads {
        NilReadsArg::Observe => NilReads::Observe,
        NilReadsArg::Any => NilReads::Any,
    };
    let model = ModelOptions {
        kind,
        initial: initial.or(missing_key(kind, format)),
        nil_reads,
    };
    Ok((history, model))
}

/// An error about a name, with the nearest one there is.
fn suggest<'a>(
    error: &impl std::fmt::Display,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    match nearest(name, known) {
        Some(candidate) => format!("{error} (hint: did you mean {candidate}?)"),
        None => error.to_string(),
    }
}

/// A run folder stands for the history in it.
fn history_file(file: &Path) -> PathBuf {
    if file.is_dir() {
        file.join("history.jsonl")
    } else {
        file.to_owned()
    }
}

/// The format that the beginning of a file shows. When it shows none, or cannot be read, the reader
/// says so, and better.
fn recognised(file: &Path) -> Option<Format> {
    let mut beginning = Vec::new();
    File::open(file)
        .ok()?
        .take(BEGINNING_BYTES)
        .read_to_end(&mut beginning)
        .ok()?;
    histories::detect(&beginning).ok()
}

fn initial_value(text: &str) -> Result<Value, String> {
    histories::edn::parse_value(text)
        .map_err(|error| format!("--initial {text}: {error} (hint: e.g. 0, nil or {{:x 0, :y 0}})"))
}

/// In Porcupine's kv histories a key that is missing reads as the empty string.
fn missing_key(kind: ModelKind, format: Option<Format>) -> Option<Value> {
    (kind == ModelKind::Kv && format == Some(Format::PorcupineKv)).then(|| Value::from(""))
}

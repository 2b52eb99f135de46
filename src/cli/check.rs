//! `whitewater check`: judge a recorded history, with no cluster.

use std::path::Path;
use std::str::FromStr;

use checkers::certificate::{self, CertifyError, VerifyError};
use checkers::{Cancel, Limits, ModelKind, ModelOptions, NilReads};
use histories::{Format, History, Value};
use serde::Serialize;

use super::args::{CheckArgs, LimitArgs, NilReadsArg};
use super::exit::Exit;
use super::input::{Source, suggest};
use super::{fail, print};
use crate::certificates::{self, WriteError};
use crate::judge::judge;
use crate::reports::json::{self, Document};
use crate::reports::progress::say;
use crate::reports::text;

/// What to do about what must not happen.
const DEFECT: &str = "(hint: this is a defect of the checker: please report it)";

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
    if let Some(certificate) = &args.verify {
        return verify(args, certificate, &history, &model);
    }
    let limits = Limits {
        all: args.all,
        ..limits(&args.limits)
    };
    match judge(&history, &model, &limits, &Cancel::new()) {
        Ok(judged) => {
            if args.output.json {
                print_json(&Document::of_check(&judged));
            } else {
                print(&text::render(&judged, &history, &text::Context::default()));
            }
            let exit = judged.report.verdict.into();
            match &args.certificate {
                Some(file) => certify(args, file, &history, &model, exit),
                None => exit,
            }
        }
        Err(error) => fail(Exit::Usage, format!("{}: {error}", args.file.display())),
    }
}

/// Writes the proof of a valid verdict. Without it the command has not done what was asked, and
/// says so with its exit code.
fn certify(
    args: &CheckArgs,
    file: &Path,
    history: &History,
    model: &ModelOptions,
    exit: Exit,
) -> Exit {
    if exit != Exit::Valid {
        say(format_args!(
            "whitewater: no certificate is written: only a valid verdict has one"
        ));
        return exit;
    }
    let operations = history.operations();
    let none = |why: &dyn std::fmt::Display| format!("no certificate is written: {why}");
    let found = certificate::certify(&operations, model, &limits(&args.limits), &Cancel::new());
    let certificate = match found {
        Ok(certificate) => certificate,
        Err(error @ CertifyError::Limit { .. }) => {
            let hint = "(hint: a higher --check-time or --check-memory)";
            return fail(Exit::Undecided, format!("{} {hint}", none(&error)));
        }
        Err(error) => return fail(Exit::Undecided, format!("{} {DEFECT}", none(&error))),
    };
    match certificates::write(file, &certificate, &operations, model) {
        Ok(accepted) => {
            say(format_args!(
                "whitewater: {} orders {} operations on {}, and is verified",
                file.display(),
                accepted.placed,
                keys(accepted.parts)
            ));
            exit
        }
        Err(WriteError::File(error)) => fail(Exit::Usage, none(&error)),
        Err(error @ WriteError::Refused(_)) => {
            fail(Exit::Undecided, format!("{} {DEFECT}", none(&error)))
        }
    }
}

/// Checks a proof that was written earlier.
fn verify(args: &CheckArgs, file: &Path, history: &History, model: &ModelOptions) -> Exit {
    let document = match certificates::verify(file, &history.operations(), model) {
        Ok(accepted) => Verified {
            accepted: true,
            reason: None,
            line: None,
            placed: Some(accepted.placed),
            keys: Some(accepted.parts),
        },
        Err(VerifyError::Refused(refusal)) => Verified {
            accepted: false,
            reason: Some(refusal.why.to_string()),
            line: Some(refusal.line),
            placed: None,
            keys: None,
        },
        Err(VerifyError::Judge(error)) => {
            return fail(Exit::Usage, format!("{}: {error}", args.file.display()));
        }
        Err(VerifyError::Read(error)) => return fail(Exit::Usage, error),
    };
    if args.output.json {
        print_json(&document);
    } else {
        print(&document.to_string());
    }
    match document.accepted {
        true => Exit::Valid,
        false => Exit::Violation,
    }
}

/// What is said of a certificate.
#[derive(Debug, Serialize)]
struct Verified {
    accepted: bool,
    /// Why not.
    reason: Option<String>,
    /// Where.
    line: Option<u64>,
    /// How many operations have a place in an order.
    placed: Option<u64>,
    keys: Option<u64>,
}

impl std::fmt::Display for Verified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (placed, count) = (self.placed.unwrap_or(0), self.keys.unwrap_or(0));
        match (&self.reason, self.line) {
            (Some(reason), Some(line)) => {
                writeln!(f, "certificate refused: line {line}: {reason}")
            }
            _ => writeln!(
                f,
                "certificate accepted: it orders {placed} operations on {}",
                keys(count)
            ),
        }
    }
}

/// `1 key`, `2 keys`.
fn keys(count: u64) -> String {
    format!("{count} {}", if count == 1 { "key" } else { "keys" })
}

fn print_json(document: &impl Serialize) {
    print(&format!("{}\n", json::to_text(document)));
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
    let source = Source {
        file: &args.file,
        format: &args.format,
        keys: args.keys,
        failed_cas: args.failed_cas,
    };
    let (history, format) = source.read()?;
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

fn initial_value(text: &str) -> Result<Value, String> {
    histories::edn::parse_value(text)
        .map_err(|error| format!("--initial {text}: {error} (hint: e.g. 0, nil or {{:x 0, :y 0}})"))
}

/// In Porcupine's kv histories a key that is missing reads as the empty string.
fn missing_key(kind: ModelKind, format: Option<Format>) -> Option<Value> {
    (kind == ModelKind::Kv && format == Some(Format::PorcupineKv)).then(|| Value::from(""))
}

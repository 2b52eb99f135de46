//! `whitewater check`: judge a recorded history, with no cluster.

use std::path::Path;
use std::str::FromStr;

use checkers::certificate::{self, CertifyError, VerifyError};
use checkers::{Analysis, Cancel, Consistency, Limits, ModelKind, ModelOptions, NilReads};
use histories::{Format, History, Value};
use serde::Serialize;
use workloads::Workload;

use super::args::{CheckArgs, LimitArgs, NilReadsArg};
use super::exit::Exit;
use super::input::{Source, suggest};
use super::{fail, print};
use crate::certificates::{self, WriteError};
use crate::criteria::Criteria;
use crate::judge::judge;
use crate::reports::json::{self, Document};
use crate::reports::progress::say;
use crate::reports::text;
use crate::units::amount;

/// What to do about what must not happen.
const DEFECT: &str = "(hint: this is a defect of the checker: please report it)";

/// Judges the history that was named.
pub fn check(args: &CheckArgs) -> Exit {
    let (history, criteria) = match prepare(args) {
        Ok(prepared) => prepared,
        Err(problem) => return fail(Exit::Usage, problem),
    };
    if history.torn {
        say(format_args!(
            "whitewater: the last line is torn and left out, as after a sudden end of the run"
        ));
    }
    if let Some(certificate) = &args.verify {
        return match model_of(&criteria) {
            Ok(model) => verify(args, certificate, &history, model),
            Err(problem) => fail(Exit::Usage, problem),
        };
    }
    let limits = Limits {
        all: args.all,
        ..limits(&args.limits)
    };
    match judge(&history, &criteria, &limits, &Cancel::new()) {
        Ok(judged) => {
            if args.output.json {
                print_json(&Document::of_check(&judged));
            } else {
                print(&text::render(&judged, &history, &text::Context::default()));
            }
            let exit = judged.report.verdict.into();
            match &args.certificate {
                Some(file) => match model_of(&criteria) {
                    Ok(model) => certify(args, file, &history, model, exit),
                    Err(problem) => fail(Exit::Usage, problem),
                },
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
                amount(accepted.parts, "key")
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
                amount(count, "key")
            ),
        }
    }
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

/// The model that a certificate is about.
fn model_of(criteria: &Criteria) -> Result<&ModelOptions, String> {
    criteria.model.as_ref().ok_or_else(|| {
        "a certificate proves an order, and the history is judged by no model (hint: --model)"
            .to_owned()
    })
}

/// Reads the history and finds out what it is held against.
fn prepare(args: &CheckArgs) -> Result<(History, Criteria), String> {
    let source = Source {
        file: &args.file,
        format: &args.format,
        keys: args.keys,
        failed_cas: args.failed_cas,
    };
    let (history, format) = source.read()?;
    let mut criteria = criteria(args, &history)?;
    let models = args.consistency_models.iter().map(|name| {
        let model = Consistency::from_str(name);
        model.map_err(|error| suggest(&error, name, Consistency::ALL.map(Consistency::as_str)))
    });
    criteria.consistency = models.collect::<Result<_, _>>()?;
    if !criteria.consistency.is_empty() && !criteria.has_transactions() {
        return Err(
            "--consistency-model does nothing without the check list-append or rw-register"
                .to_owned(),
        );
    }
    if let Some(initial) = args.initial.as_deref().map(initial_value).transpose()? {
        criteria.initial = Some(initial);
    }
    if let Some(model) = &mut criteria.model {
        model.initial = criteria.initial.clone().or(missing_key(model.kind, format));
        model.nil_reads = match args.nil_reads {
            NilReadsArg::Observe => NilReads::Observe,
            NilReadsArg::Any => NilReads::Any,
        };
    }
    Ok((history, criteria))
}

/// What was asked for; where nothing was, what the history's header says.
fn criteria(args: &CheckArgs, history: &History) -> Result<Criteria, String> {
    if let Some(name) = &args.workload {
        let workload = workloads::by_name(name)
            .map_err(|error| suggest(&error, name, workloads::ALL.map(Workload::name)))?;
        return Criteria::of_workload(workload.name(), workload.model().unwrap_or_default());
    }
    let model = args.model.as_deref().map(|name| {
        let kind = ModelKind::from_str(name);
        kind.map_err(|error| suggest(&error, name, ModelKind::ALL.map(ModelKind::as_str)))
    });
    let checks = args.checks.iter().map(|name| {
        let analysis = Analysis::from_str(name);
        analysis.map_err(|error| suggest(&error, name, Analysis::ALL.map(Analysis::as_str)))
    });
    let asked = Criteria {
        model: model.transpose()?.map(ModelOptions::new),
        analyses: checks.collect::<Result<_, _>>()?,
        ..Criteria::default()
    };
    match &history.header.run {
        _ if asked != Criteria::default() => Ok(asked),
        Some(run) => Criteria::of_run(&run.system, &run.workload, &run.model),
        None => Err(format!(
            "{} does not say which model it is to be judged by (hint: --model with one of {}; or \
             --workload, or --check)",
            args.file.display(),
            ModelKind::ALL.map(ModelKind::as_str).join(", ")
        )),
    }
}

fn initial_value(text: &str) -> Result<Value, String> {
    histories::edn::parse_value(text)
        .map_err(|error| format!("--initial {text}: {error} (hint: e.g. 0, nil or {{:x 0, :y 0}})"))
}

/// In Porcupine's kv histories a key that is missing reads as the empty string.
fn missing_key(kind: ModelKind, format: Option<Format>) -> Option<Value> {
    (kind == ModelKind::Kv && format == Some(Format::PorcupineKv)).then(|| Value::from(""))
}

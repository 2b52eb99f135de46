//! The verdict for programs: one JSON document, described in `docs/json.md`.

use checkers::{Check, Counterexample, Verdict};
use serde::Serialize;

use crate::Outcome;
use crate::controller::notice::UnavailableFault;
use crate::coverage::KindCoverage;
use crate::judge::Judged;
use crate::reports::terminal::harmless_json;

/// The verdict of `run`, `check` and `replay`, and of each run of a `campaign`.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    /// `valid`, `unknown` or `invalid`.
    pub verdict: Verdict,
    /// Why, unless valid.
    pub reason: Option<&'a str>,
    /// How many operations there were, failed ones included.
    pub operations: u64,
    /// How many keys were judged on their own.
    pub keys: u64,
    /// How long the checks took, in milliseconds.
    pub elapsed_ms: u64,
    /// Each check.
    pub checks: &'a [Check],
    /// What each kind of fault exercised.
    pub faults: &'a [KindCoverage],
    /// How many messages there were, for a run of Maelstrom's protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<serde_json::Value>,
    /// The operations that contradict each other.
    pub counterexample: Option<&'a Counterexample>,
    /// What is known of the run, for a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunDocument<'a>>,
}

/// What there is to say of a run besides its verdict.
#[derive(Debug, Serialize)]
pub struct RunDocument<'a> {
    /// The run folder.
    pub folder: String,
    /// The seed.
    pub seed: u64,
    /// The command that does it again.
    pub replay: String,
    /// Why the run was not made to its end, if so.
    pub failure: Option<&'a str>,
    /// Whether it was ended early: by request, or at the first violation.
    pub stopped: bool,
    /// The violation found while it went on, in one line.
    pub online_violation: Option<&'a str>,
    /// The fault kinds that could not be injected on this machine.
    pub unavailable: &'a [UnavailableFault],
}

impl<'a> Document<'a> {
    /// The document of a history that was only checked.
    pub fn of_check(judged: &'a Judged) -> Self {
        let report = &judged.report;
        Document {
            verdict: report.verdict,
            reason: report.reason.as_deref(),
            operations: report.operations,
            keys: report.keys,
            elapsed_ms: judged.elapsed_ms,
            checks: &report.checks,
            faults: &judged.coverage,
            messages: judged.messages.as_ref().map(super::messages::json),
            counterexample: report.counterexample.as_ref(),
            run: None,
        }
    }

    /// The document of a run.
    pub fn of_run(outcome: &'a Outcome) -> Self {
        let run = RunDocument {
            folder: outcome.shown_path(),
            seed: outcome.plan.seed,
            replay: outcome.replay_command(),
            failure: outcome.why_not_made(),
            stopped: outcome.stopped,
            online_violation: outcome.online.violation.as_deref(),
            unavailable: &outcome.unavailable,
        };
        let judged = match &outcome.judged {
            Some((_, judged)) => Document::of_check(judged),
            None => Document {
                verdict: Verdict::Unknown,
                reason: None,
                operations: 0,
                keys: 0,
                elapsed_ms: 0,
                checks: &[],
                faults: &[],
                messages: None,
                counterexample: None,
                run: None,
            },
        };
        let reason = match outcome.verdict() {
            Verdict::Unknown => outcome.why_not_made().or(judged.reason),
            _ => judged.reason,
        };
        Document {
            verdict: outcome.verdict(),
            reason,
            run: Some(run),
            ..judged
        }
    }
}

/// Any of our documents as text. They are plain data with text keys, so that cannot fail; were it
/// ever to, the reader gets the reason instead of nothing.
pub fn to_text(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document)
        .unwrap_or_else(|error| format!("{{\"error\": {:?}}}", error.to_string()));
    harmless_json(&text).into_owned()
}

//! Whitewater: start a real cluster, break it on purpose, judge what its clients saw.
//!
//! This crate ties the nouns together: [`plan`] says what will happen, [`controller`] makes it
//! happen to what [`programs`] finds, [`store`] keeps what happened, [`online`] watches it while it
//! happens, [`judge`] says what it means by its [`criteria`], [`reports`] tell it.
//! [`run`] is the whole flow.

pub mod campaign;
pub mod certificates;
pub mod cli;
pub mod controller;
pub mod coverage;
pub mod criteria;
pub mod interrupt;
pub mod judge;
pub mod known;
pub mod online;
pub mod plan;
pub mod programs;
pub mod reports;
pub mod store;
pub mod zoo;

mod units;

use std::path::Path;

use checkers::Verdict;
use histories::{Encoding, History};

use controller::notice::{Failure, Notice, UnavailableFault};
use interrupt::Interrupt;
use judge::Judged;
use plan::Plan;
use store::{RunFolder, StoreError};

/// What became of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Where everything is.
    pub folder: RunFolder,
    /// The plan it was made by.
    pub plan: Plan,
    /// What was recorded, and what the checks say of it; `None` when nothing could be.
    pub judged: Option<(History, Judged)>,
    /// Why the run could not be made, or not to its end.
    pub failure: Option<Failure>,
    /// The fault kinds that could not be injected on this machine.
    pub unavailable: Vec<UnavailableFault>,
    /// Whether it was ended early: by request, or at the first violation.
    pub stopped: bool,
    /// What was found while it went on.
    pub online: online::Findings,
    /// What could not be written, such as the report on a full disk, or not be judged.
    pub complaints: Vec<String>,
}

/// Makes the run that a plan describes and judges what its clients saw.
///
/// # Errors
/// When the run folder cannot be made: then nothing was started. Whatever fails later is told in
/// the outcome, beside the verdict on what was recorded until then.
pub fn run(
    plan: &Plan,
    store: &Path,
    interrupt: &Interrupt,
    watch: &mut dyn FnMut(&Notice),
) -> Result<Outcome, StoreError> {
    let folder = RunFolder::create(store, plan)?;
    let mut beside = online::Beside::start(plan, &folder);
    let conducted = controller::conduct(plan, &folder, interrupt, &mut |notice| {
        beside.pass_on(notice, watch);
    });
    let online = beside.finish();
    let (judged, unreadable) = judge_run(&folder, plan, &online);
    let complaints = match (&judged, &online.violation) {
        (None, Some(violation)) => vec![format!(
            "while the run went on a violation was found ({violation}), but its history cannot be \
             judged"
        )],
        _ => Vec::new(),
    };
    let mut outcome = Outcome {
        folder,
        plan: plan.clone(),
        judged,
        failure: conducted.failure.or(unreadable.map(Failure::from)),
        unavailable: conducted.unavailable,
        stopped: conducted.stopped,
        online,
        complaints,
    };
    let unwritten = reports::write(&outcome);
    outcome.complaints.extend(unwritten);
    Ok(outcome)
}

/// Reads and judges what a run recorded; the second is why that cannot be done.
fn judge_run(
    folder: &RunFolder,
    plan: &Plan,
    online: &online::Findings,
) -> (Option<(History, Judged)>, Option<String>) {
    let encoding = Encoding::from(plan.history_format);
    let path = folder.history_path(encoding);
    if !path.exists() {
        return (None, Some("nothing was recorded".to_owned()));
    }
    let judged = histories::read_file(&path, Some(encoding.format()))
        .map_err(|error| error.to_string())
        .and_then(|history| {
            let judged = judge::judge_by_plan(&history, plan)?;
            Ok((history, online::confirm(judged, online)))
        });
    match judged {
        Ok(judged) => (Some(judged), None),
        Err(error) => (None, Some(error)),
    }
}

impl Outcome {
    /// The verdict: of what was recorded; a run that was not made to its end is never `Valid`.
    pub fn verdict(&self) -> Verdict {
        let judged = self
            .judged
            .as_ref()
            .map(|(_, judged)| judged.report.verdict);
        match (judged, &self.failure) {
            (Some(verdict), None) => verdict,
            (Some(verdict), Some(_)) => verdict.max(Verdict::Unknown),
            (None, _) => Verdict::Unknown,
        }
    }

    /// Why the run could not be made, or not to its end, in words.
    pub fn why_not_made(&self) -> Option<&str> {
        self.failure.as_ref().map(|failure| &*failure.text)
    }

    /// How a command that made this run ends.
    pub fn exit(&self) -> cli::exit::Exit {
        match (self.verdict(), &self.failure) {
            (Verdict::Invalid, _) => cli::exit::Exit::Violation,
            (_, Some(_)) => cli::exit::Exit::NotRun,
            (verdict, None) => verdict.into(),
        }
    }
}

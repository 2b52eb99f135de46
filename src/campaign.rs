//! A campaign: one seed after another within a time. Seeds are drawn from the campaign's own, so that
//! a campaign can be repeated as a whole; each run can be replayed alone.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use checkers::Verdict;
use seeds::{Purpose, Stream};
use serde::Serialize;

use crate::Outcome;
use crate::cli::exit::Exit;
use crate::controller::notice::Notice;
use crate::interrupt::Interrupt;
use crate::plan::{Plan, PlanError, reseed};
use crate::reports;
use crate::store::StoreError;
use crate::units::ms;

/// What a run takes besides driving the cluster: start, healing, recovery, final reads, check. A
/// run begins only when this much more than its duration is left.
const OVERHEAD: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Debug)]
pub struct Campaign<'a> {
    /// What each run is made of; its seed is the campaign's.
    pub plan: &'a Plan,
    /// How many runs at most.
    pub runs_max: u64,
    /// How long all runs may take together, in milliseconds.
    pub time_ms: u64,
    /// Where the run folders are made.
    pub folder: &'a Path,
    /// Keep the folders of valid runs too.
    pub keep_all: bool,
}

/// What became of one run.
#[derive(Debug, Serialize)]
pub struct RunSummary {
    /// The seed it was drawn from.
    pub seed: u64,
    /// The system.
    pub system: String,
    /// The workload.
    pub workload: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, unless valid.
    pub reason: Option<String>,
    /// Why the run was not made to its end, if so.
    pub failure: Option<String>,
    /// How many operations were recorded.
    pub operations: u64,
    /// How long the run took with everything, in milliseconds.
    pub elapsed_ms: u64,
    /// Its folder, where it was kept.
    pub folder: Option<PathBuf>,
    /// The verdict as text, for those that are not valid.
    #[serde(skip)]
    pub text: Option<String>,
}

/// What became of all of them.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The worst verdict; `unknown` when there was no run.
    pub verdict: Verdict,
    /// The reason of the first run with that verdict, or why there was none.
    pub reason: Option<String>,
    /// How many operations were recorded in all runs.
    pub operations: u64,
    /// How long the campaign took, in milliseconds.
    pub elapsed_ms: u64,
    /// How many runs were asked for.
    pub runs_asked: u64,
    /// Each run made.
    pub runs: Vec<RunSummary>,
    /// How the command ends.
    pub exit: Exit,
}

impl RunSummary {
    /// Verdict and reason in one line.
    pub fn message(&self) -> String {
        match self.failure.as_ref().or(self.reason.as_ref()) {
            Some(reason) => format!("{}: {reason}", self.verdict),
            None => self.verdict.to_string(),
        }
    }

    fn new(outcome: &Outcome, elapsed_ms: u64, folder: Option<PathBuf>) -> Self {
        let judged = outcome.judged.as_ref();
        let is_valid = outcome.verdict() == Verdict::Valid;
        let text = if is_valid { None } else { outcome.text() };
        RunSummary {
            seed: outcome.plan.seed,
            system: outcome.plan.system.name.clone(),
            workload: outcome.plan.workload.name.clone(),
            verdict: outcome.verdict(),
            reason: judged.and_then(|(_, judged)| judged.report.reason.clone()),
            failure: outcome.why_not_made().map(str::to_owned),
            operations: judged.map_or(0, |(_, judged)| judged.report.operations),
            elapsed_ms,
            folder,
            text,
        }
    }
}

/// Why a campaign could not go on.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// A run's plan could not be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A run folder could not be made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs one seed after another until there were enough, the time is over, or the user wants an end.
///
/// # Errors
/// When a run cannot even begin; what was found until then stands in the run folders.
pub fn run(
    campaign: &Campaign<'_>,
    interrupt: &Interrupt,
    watch: &mut dyn FnMut(&Plan, &Notice),
    told: &mut dyn FnMut(&RunSummary),
) -> Result<Summary, CampaignError> {
    let start = Instant::now();
    let mut seeds = Stream::new(campaign.plan.seed, Purpose::Campaign, 0);
    let mut runs: Vec<RunSummary> = Vec::new();
    let mut exit = None::<Exit>;
    let needed = Duration::from_millis(campaign.plan.duration_ms) + OVERHEAD;
    while (runs.len() as u64) < campaign.runs_max && !interrupt.asked() {
        let left = Duration::from_millis(campaign.time_ms).saturating_sub(start.elapsed());
        if left < needed {
            break;
        }
        // Seeds that are easy to read and to type.
        let plan = reseed(campaign.plan, seeds.below(1_000_000_000))?;
        let begun = Instant::now();
        let outcome = crate::run(&plan, campaign.folder, interrupt, &mut |notice| {
            watch(&plan, notice)
        })?;
        exit = Some(exit.map_or(outcome.exit(), |exit| exit.worse(outcome.exit())));
        let keep = campaign.keep_all || outcome.exit() != Exit::Valid;
        let folder = keep.then(|| outcome.folder.path().to_owned());
        let summary = RunSummary::new(&outcome, ms(begun.elapsed()), folder);
        if !keep {
            outcome.folder.remove()?;
        }
        told(&summary);
        runs.push(summary);
    }
    Ok(summarise(campaign, runs, exit, ms(start.elapsed())))
}

fn summarise(
    campaign: &Campaign<'_>,
    runs: Vec<RunSummary>,
    exit: Option<Exit>,
    elapsed_ms: u64,
) -> Summary {
    let verdict = runs
        .iter()
        .map(|run| run.verdict)
        .max()
        .unwrap_or(Verdict::Unknown);
    let worst = runs.iter().find(|run| run.verdict == verdict);
    let reason = match worst {
        Some(run) => run.failure.clone().or_else(|| run.reason.clone()),
        None => Some(format!(
            "no run was made: one of {} ms does not fit into {} ms (hint: --run-time, --time)",
            campaign.plan.duration_ms, campaign.time_ms
        )),
    };
    Summary {
        verdict,
        reason,
        operations: runs.iter().map(|run| run.operations).sum(),
        elapsed_ms,
        runs_asked: campaign.runs_max,
        runs,
        exit: exit.unwrap_or(Exit::NotRun),
    }
}

/// The summary for people.
pub fn render(summary: &Summary) -> String {
    let mut text = String::from("\nseed        verdict   operations  seconds  what\n");
    for run in &summary.runs {
        let what = run
            .failure
            .as_ref()
            .or(run.reason.as_ref())
            .map_or("", String::as_str);
        text.push_str(&format!(
            "{:<11} {:<9} {:>10}  {:>7.1}  {what}\n",
            run.seed,
            run.verdict.as_str(),
            run.operations,
            run.elapsed_ms as f64 / 1e3
        ));
        if let (Some(folder), false) = (&run.folder, run.verdict == Verdict::Valid) {
            text.push_str(&format!(
                "{:<43}again: whitewater replay {}\n",
                "",
                folder.display()
            ));
        }
    }
    let count = |verdict| {
        summary
            .runs
            .iter()
            .filter(|run| run.verdict == verdict)
            .count()
    };
    text.push_str(&format!(
        "\n{} of {} runs made in {:.0} s: {} valid, {} unknown, {} invalid; {} operations\n",
        summary.runs.len(),
        summary.runs_asked,
        summary.elapsed_ms as f64 / 1e3,
        count(Verdict::Valid),
        count(Verdict::Unknown),
        count(Verdict::Invalid),
        summary.operations
    ));
    if let (true, Some(reason)) = (summary.runs.is_empty(), &summary.reason) {
        text.push_str(&format!("{reason}\n"));
    }
    text
}

/// Writes `campaign.json`, `summary.txt` and the JUnit XML; returns what could not be written.
pub fn write(summary: &Summary, folder: &Path, junit: &Path) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut write = |path: &Path, text: String| {
        if let Err(error) = std::fs::write(path, text) {
            complaints.push(format!("failed to write {}: {error}", path.display()));
        }
    };
    write(
        &folder.join("campaign.json"),
        reports::json::to_text(summary),
    );
    write(&folder.join("summary.txt"), render(summary));
    match reports::junit::render(&summary.runs) {
        Ok(xml) => write(junit, xml),
        Err(error) => complaints.push(format!("failed to write {}: {error}", junit.display())),
    }
    complaints
}

//! What is known of real systems: each behaviour that their authors document, or that others have
//! shown, with the recipe of the runs that must show it, and controls that must show nothing.
//!
//! A harness that does not find what is known to be there finds nothing that is not.

use std::path::{Path, PathBuf};
use std::time::Instant;

use checkers::{Check, Verdict};
use serde::{Deserialize, Serialize};
use systems::parse;

use crate::Outcome;
use crate::cli::exit::Exit;
use crate::interrupt::Interrupt;
use crate::plan::{self, Plan, PlanError};
use crate::programs;
use crate::store::StoreError;
use crate::units::ms;

/// The table that comes with Whitewater.
const TABLE: &str = include_str!("known/table.toml");

/// What is known.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Faults written by hand.
    pub schedules: Vec<NamedSchedule>,
    /// The behaviours.
    pub behaviours: Vec<Behaviour>,
}

/// Faults written by hand, for any number of behaviours.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedSchedule {
    /// What behaviours call it.
    pub name: String,
    /// `[[schedule]]` tables.
    pub toml: String,
}

/// A behaviour of a real system, and how to see it.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    /// Its name.
    pub name: String,
    /// The system that behaves so: one that comes with Whitewater.
    pub system: String,
    /// What it does, in a sentence.
    pub about: String,
    /// What the verdict must be.
    pub expect: Expect,
    /// The check whose verdict it is; empty for that of the run.
    #[serde(default)]
    pub check: String,
    /// Of what that check counts (`lost`), whatever must be there, each at least once.
    #[serde(default)]
    pub some: Vec<String>,
    /// And whatever must not.
    #[serde(default)]
    pub none: Vec<String>,
    /// The version from which on it is not there any more; empty where it is in all.
    #[serde(default)]
    pub before: String,
    /// How often runs show it.
    pub rate: String,
    /// Where it was described or found.
    pub source: String,
    /// What the runs are told besides the system.
    pub options: String,
    /// The schedule's name; empty where faults are drawn, or are none.
    #[serde(default)]
    pub schedule: String,
    /// How many runs are made: of an anomaly at most, of a control all of them.
    pub runs: u64,
}

/// What a verdict must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// A control: every run is valid.
    Valid,
    /// A control: no run shows what there must be none of, whatever else the check finds.
    Without,
    /// An anomaly: one of the runs is invalid.
    Invalid,
}

impl Expect {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Expect::Valid => "valid",
            Expect::Without => "without",
            Expect::Invalid => "invalid",
        }
    }
}

impl Table {
    /// The one that comes with Whitewater.
    ///
    /// # Errors
    /// Never, but for a mistake in this build: a test reads it.
    pub fn builtin() -> Result<Self, PlanError> {
        parse::toml(TABLE)
    }

    /// The behaviour of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn by_name(&self, name: &str) -> Result<&Behaviour, PlanError> {
        let found = self.behaviours.iter().find(|known| known.name == name);
        found.ok_or_else(|| {
            let names = self.behaviours.iter().map(|known| &*known.name);
            PlanError::unknown("behaviour", name, names)
        })
    }

    fn schedule(&self, known: &Behaviour) -> &str {
        let named = self.schedules.iter().find(|one| one.name == known.schedule);
        named.map_or("", |named| &named.toml)
    }
}

impl Behaviour {
    /// What its system needs on this machine, as its definition says.
    pub fn install(&self) -> String {
        let definition = systems::builtin(&self.system);
        let install = definition.ok().and_then(|one| one.program.install.clone());
        install.unwrap_or_default()
    }

    /// Which versions of the system behave so, for people.
    fn versions(&self) -> String {
        match &*self.before {
            "" => "any version".to_owned(),
            before => format!("a version before {before}"),
        }
    }

    /// What `whitewater run` is told.
    pub fn run_options(&self) -> String {
        format!("--system {} {}", self.system, self.options)
    }
}

/// What to look for, and how.
#[derive(Debug)]
pub struct Search<'a> {
    /// The table.
    pub table: &'a Table,
    /// Which of its behaviours.
    pub behaviours: &'a [&'a Behaviour],
    /// The seed of the first run of each; the next is one more.
    pub first_seed: u64,
    /// How many runs of each; none for what the table says.
    pub runs: Option<u64>,
    /// How long each run drives its cluster, in milliseconds; none for what the table says.
    pub time_ms: Option<u64>,
    /// Where the run folders are made. Those that show something are kept.
    pub folder: &'a Path,
}

/// What became of a behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The runs showed what they must.
    AsKnown,
    /// A control was invalid, or no run showed the anomaly.
    NotAsKnown,
    /// The check came to no decision.
    Undecided,
    /// This machine cannot run it.
    Unavailable,
    /// A run could not be made.
    Failed,
    /// The user wanted an end.
    Stopped,
}

impl Status {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Status::AsKnown => "as known",
            Status::NotAsKnown => "NOT AS KNOWN",
            Status::Undecided => "undecided",
            Status::Unavailable => "unavailable",
            Status::Failed => "FAILED",
            Status::Stopped => "stopped",
        }
    }
}

/// How one behaviour was looked for, and what was found.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The behaviour.
    #[serde(flatten)]
    pub known: Behaviour,
    /// How it ended.
    pub status: Status,
    /// What the last run showed, or what was missing.
    pub reason: String,
    /// The seed of the last run.
    pub seed: Option<u64>,
    /// How many runs were made.
    pub made: u64,
    /// How long all of them took, in milliseconds.
    pub elapsed_ms: u64,
    /// The folder of the run that showed it.
    pub folder: Option<PathBuf>,
    /// The verdict as text.
    #[serde(skip)]
    pub text: Option<String>,
}

/// Looks for each of the behaviours.
///
/// # Errors
/// When run folders cannot be made.
pub fn run(
    search: &Search<'_>,
    interrupt: &Interrupt,
    told: &mut dyn FnMut(&Row),
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    for known in search.behaviours {
        let row = look_for(search, known, interrupt)?;
        told(&row);
        let stopped = row.status == Status::Stopped;
        rows.push(row);
        if stopped {
            break;
        }
    }
    Ok(rows)
}

/// How the command ends: well only when all showed what is known.
pub fn exit(statuses: &[Status], asked: usize) -> Exit {
    let has = |status| statuses.contains(&status);
    match () {
        () if has(Status::NotAsKnown) => Exit::Violation,
        () if has(Status::Failed) || statuses.is_empty() => Exit::NotRun,
        () if statuses.len() < asked => Exit::Undecided,
        () if statuses.iter().any(|one| *one != Status::AsKnown) => Exit::Undecided,
        () => Exit::Valid,
    }
}

fn look_for(
    search: &Search<'_>,
    known: &Behaviour,
    interrupt: &Interrupt,
) -> Result<Row, StoreError> {
    let start = Instant::now();
    let mut row = Row {
        known: known.clone(),
        status: Status::Stopped,
        reason: String::new(),
        seed: None,
        made: 0,
        elapsed_ms: 0,
        folder: None,
        text: None,
    };
    let runs_max = usize::try_from(search.runs.unwrap_or(known.runs)).unwrap_or(usize::MAX);
    for seed in (search.first_seed..).take(runs_max) {
        let plan = match plan_of(search, known, seed) {
            Ok(plan) => plan,
            Err((status, why)) => {
                (row.status, row.reason) = (status, why);
                break;
            }
        };
        let outcome = crate::run(&plan, search.folder, interrupt, &mut |_| {})?;
        (row.made, row.seed) = (row.made + 1, Some(seed));
        let (status, reason) = known.judge(&outcome);
        // An anomaly is looked for until a run shows it; a control until one does not hold.
        let goes_on = match known.expect {
            Expect::Invalid => matches!(status, Status::NotAsKnown | Status::Undecided),
            Expect::Valid | Expect::Without => status == Status::AsKnown,
        };
        (row.status, row.reason) = (status, reason);
        match goes_on {
            true => outcome.folder.remove()?,
            false => row.keep(&outcome),
        }
        // What is certain stays so however early the run was ended.
        let is_certain = matches!(
            (known.expect, status),
            (Expect::Invalid, Status::AsKnown)
                | (Expect::Valid | Expect::Without, Status::NotAsKnown)
        );
        if interrupt.asked() && !is_certain {
            row.status = Status::Stopped;
        }
        if !goes_on || interrupt.asked() {
            break;
        }
    }
    row.elapsed_ms = ms(start.elapsed());
    Ok(row)
}

/// The plan of a run with this seed, if the system is here.
fn plan_of(search: &Search<'_>, known: &Behaviour, seed: u64) -> Result<Plan, (Status, String)> {
    let failed = |error: PlanError| (Status::Failed, error.to_string());
    let definition = systems::builtin(&known.system).map_err(failed)?;
    let found = programs::find(&definition, None, Path::new(""))
        .map_err(|missing| (Status::Unavailable, missing.to_string()))?;
    if !known.before.is_empty() && found.is_from(&known.before) {
        let version = found.version.unwrap_or_default();
        let why = format!(
            "{} {version} is here, and {} is needed: it is fixed there",
            known.system,
            known.versions()
        );
        return Err((Status::Unavailable, why));
    }
    let (options, schedule) = (known.run_options(), search.table.schedule(known));
    let typed: Vec<&str> = options.split_whitespace().collect();
    plan::of_options(&typed, schedule, search.time_ms, seed).map_err(|why| (Status::Failed, why))
}

impl Behaviour {
    /// What a run showed of it, and the reason.
    fn judge(&self, outcome: &Outcome) -> (Status, String) {
        let verdict = outcome.verdict();
        if let Some(failure) = &outcome.failure
            && verdict != Verdict::Invalid
        {
            let status = match failure.is_unavailable {
                true => Status::Unavailable,
                false => Status::Failed,
            };
            return (status, failure.text.clone());
        }
        let Some((_, judged)) = &outcome.judged else {
            return (Status::Failed, "nothing was judged".to_owned());
        };
        let report = &judged.report;
        let check = report.checks.iter().find(|check| check.name == self.check);
        let (verdict, reason) = match (check, &*self.check) {
            (_, "") => (verdict, &report.reason),
            (Some(check), _) => (check.verdict, &check.reason),
            (None, name) => return (Status::Undecided, format!("there was no check {name}")),
        };
        let reason = match (reason, verdict) {
            (Some(reason), _) => reason.clone(),
            (None, verdict) => format!("{} operations: {}", report.operations, verdict.as_str()),
        };
        let status = self.status_of(verdict, check);
        let named = self.some.iter().chain(&self.none);
        let counts: Vec<String> = named
            .map(|name| format!("{} {name}", counted(check, name)))
            .collect();
        let reason = match counts.is_empty() || reason.starts_with(&counts.join(", ")) {
            true => reason,
            false => format!("{} ({reason})", counts.join(", ")),
        };
        (status, reason)
    }

    /// What a verdict shows of it, with what the check counted.
    fn status_of(&self, verdict: Verdict, check: Option<&Check>) -> Status {
        let are_as_known = self.some.iter().all(|name| counted(check, name) > 0)
            && self.none.iter().all(|name| counted(check, name) == 0);
        match (self.expect, verdict) {
            (_, Verdict::Unknown) => Status::Undecided,
            (Expect::Valid, Verdict::Valid)
            | (Expect::Invalid, Verdict::Invalid)
            | (Expect::Without, _)
                if are_as_known =>
            {
                Status::AsKnown
            }
            _ => Status::NotAsKnown,
        }
    }

    /// What must be counted, for people.
    fn counts_told(&self) -> String {
        let some = self.some.iter().map(|name| format!("some {name:?}"));
        let none = self.none.iter().map(|name| format!("no {name:?}"));
        let told: Vec<String> = some.chain(none).collect();
        told.join(", ")
    }
}

/// How often a check counted what has this name; 0 where there is no such check.
fn counted(check: Option<&Check>, name: &str) -> u64 {
    let findings = check.iter().filter_map(|check| check.findings.as_ref());
    let mut counts = findings.flat_map(|findings| &findings.counts);
    let found = counts.find(|(known, _)| *known == name);
    found.map_or(0, |(_, count)| *count)
}

impl Row {
    fn keep(&mut self, outcome: &Outcome) {
        self.folder = Some(outcome.folder.path().to_owned());
        self.text = outcome.text();
    }
}

/// A behaviour as it is listed for programs.
#[derive(Debug, Clone, Serialize)]
pub struct Listed<'a> {
    /// The behaviour.
    #[serde(flatten)]
    pub known: &'a Behaviour,
    /// What its system needs on this machine.
    pub install: String,
}

impl<'a> From<&'a Behaviour> for Listed<'a> {
    fn from(known: &'a Behaviour) -> Self {
        Listed {
            known,
            install: known.install(),
        }
    }
}

/// What is known, for people.
pub fn render_list(behaviours: &[&Behaviour]) -> String {
    let mut text = String::new();
    for known in behaviours {
        text += &format!(
            "{}\n  {}\n  must be   {}{} ({})\n  source    {}\n  run by    {}{}\n  needs     {}\n",
            known.name,
            known.about,
            known.expect.name(),
            match (&*known.check, &*known.counts_told()) {
                ("", _) => String::new(),
                (check, "") => format!(" by the check {check}"),
                (check, counts) => format!(" by the check {check}: {counts}"),
            },
            known.rate,
            known.source,
            known.run_options(),
            match &*known.schedule {
                "" => String::new(),
                schedule => format!(", faults by hand ({schedule})"),
            },
            match &*known.before {
                "" => known.install(),
                _ => format!("{}, {}", known.install(), known.versions()),
            },
        );
    }
    text
}

/// What was found, for people.
pub fn render(rows: &[Row]) -> String {
    let mut text = String::from(
        "| behaviour | must be | is | runs | seconds | what the last run showed |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in rows {
        text += &format!(
            "| `{}` | {} | {} | {} | {:.0} | {} |\n",
            row.known.name,
            row.known.expect.name(),
            row.status.name(),
            row.made,
            row.elapsed_ms as f64 / 1e3,
            row.reason.replace('\n', " "),
        );
    }
    let folders = rows
        .iter()
        .filter_map(|row| Some((row, row.folder.as_ref()?)));
    for (row, folder) in folders {
        text += &format!("\n{}: {}", row.known.name, folder.display());
    }
    if rows.iter().any(|row| row.folder.is_some()) {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;

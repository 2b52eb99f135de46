//! The bug zoo: every bug of raft-kv is switched on in turn, and runs of its recipe look for it,
//! one seed after another. What finds them, and how soon, is what this harness is worth.
//!
//! What a run meets depends on how processes interleave, so a bug is found with a probability.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use checkers::Verdict;
use faults::Kind;
use raft_kv::{Bug, Property, Recipe};
use serde::Serialize;

use crate::Outcome;
use crate::cli::exit::Exit;
use crate::interrupt::Interrupt;
use crate::plan::{self, Plan};
use crate::store::StoreError;
use crate::units::ms;

/// What a run takes besides driving the cluster, about. A run begins only when this much more than
/// its duration is left.
const OVERHEAD: Duration = Duration::from_secs(5);

/// What to look for.
#[derive(Debug)]
pub struct Zoo<'a> {
    /// The bugs.
    pub bugs: &'a [Bug],
    /// Run the recipes without the bugs, once each, to see that a correct server is not blamed.
    pub correct: bool,
    /// The seed of the first run of each; the next is one more.
    pub first_seed: u64,
    /// How many runs a bug gets at most.
    pub seeds_max: u64,
    /// How long the runs for one bug may take together, in milliseconds.
    pub time_ms: u64,
    /// Where the run folders are made. Those that found something are kept.
    pub folder: &'a Path,
}

/// How the search for a bug ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// A run broke what the bug breaks.
    Found,
    /// No run within the limits did.
    Missed,
    /// The run of a correct server was not found to break anything.
    NotBlamed,
    /// The run of a correct server was.
    Blamed,
    /// This machine, or this version, cannot do what the bug needs.
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
            Status::Found => "found",
            Status::Missed => "MISSED",
            Status::NotBlamed => "not blamed",
            Status::Blamed => "BLAMED",
            Status::Unavailable => "unavailable",
            Status::Failed => "FAILED",
            Status::Stopped => "stopped",
        }
    }
}

/// What became of the search for one bug.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The bug.
    pub bug: &'static str,
    /// The property that it breaks.
    pub breaks: &'static str,
    /// Where it was described or found.
    pub source: &'static str,
    /// What the runs were told.
    pub options: &'static str,
    /// The faults of the runs one by one, as a plan has them; `None` where they were drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<&'static str>,
    /// How it ended.
    pub status: Status,
    /// Why, where it was not found; and what was wrong, where it was.
    pub reason: Option<String>,
    /// The seed with which it was found.
    pub seed: Option<u64>,
    /// How many runs were made.
    pub runs: u64,
    /// How long all of them took, in milliseconds.
    pub elapsed_ms: u64,
    /// How many operations contradict each other.
    pub counterexample_operations: Option<usize>,
    /// The folder of the run that found it.
    pub folder: Option<PathBuf>,
    /// The verdict as text.
    #[serde(skip)]
    pub text: Option<String>,
}

/// Looks for each of the bugs.
///
/// # Errors
/// When run folders cannot be made.
pub fn run(
    zoo: &Zoo<'_>,
    interrupt: &Interrupt,
    told: &mut dyn FnMut(&Row),
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    for &bug in zoo.bugs {
        let row = look_for(zoo, bug, interrupt)?;
        told(&row);
        let stopped = row.status == Status::Stopped;
        rows.push(row);
        if stopped {
            break;
        }
    }
    Ok(rows)
}

/// How the command ends: well only when all were found, and undecided when some could not be
/// looked for.
pub fn exit(rows: &[Row], asked: usize) -> Exit {
    let has = |status| rows.iter().any(|row| row.status == status);
    match () {
        () if has(Status::Missed) || has(Status::Blamed) => Exit::Violation,
        () if has(Status::Failed) || rows.is_empty() => Exit::NotRun,
        () if has(Status::Unavailable) || has(Status::Stopped) || rows.len() < asked => {
            Exit::Undecided
        }
        () => Exit::Valid,
    }
}

fn look_for(zoo: &Zoo<'_>, bug: Bug, interrupt: &Interrupt) -> Result<Row, StoreError> {
    let start = Instant::now();
    let recipe = bug.recipe();
    let mut row = Row {
        bug: bug.name(),
        breaks: bug.breaks().name(),
        source: bug.source(),
        options: recipe.options,
        schedule: (!recipe.schedule.is_empty()).then_some(recipe.schedule),
        status: Status::Missed,
        reason: None,
        seed: None,
        runs: 0,
        elapsed_ms: 0,
        counterexample_operations: None,
        folder: None,
        text: None,
    };
    if let Some(kinds) = missing_kinds(&recipe) {
        row.status = Status::Unavailable;
        row.reason = Some(format!("this version has no fault {kinds}"));
        return Ok(row);
    }
    let limit = Duration::from_millis(zoo.time_ms);
    let runs_max = if zoo.correct { 1 } else { zoo.seeds_max };
    for seed in (zoo.first_seed..).take(usize::try_from(runs_max).unwrap_or(usize::MAX)) {
        let plan = match plan_of(&recipe, (!zoo.correct).then_some(bug), seed) {
            Ok(plan) => plan,
            Err(why) => {
                row.status = Status::Failed;
                row.reason = Some(why);
                break;
            }
        };
        let needed = Duration::from_millis(plan.duration_ms) + OVERHEAD;
        if row.runs > 0 && limit.saturating_sub(start.elapsed()) < needed {
            break;
        }
        let outcome = crate::run(&plan, zoo.folder, interrupt, &mut |_| {})?;
        row.runs += 1;
        let over = match zoo.correct {
            true => row.judge_correct(&outcome),
            false => row.judge(&outcome, bug.breaks()),
        };
        if interrupt.asked() && matches!(row.status, Status::Missed | Status::NotBlamed) {
            row.status = Status::Stopped;
        }
        if row.folder.is_none() {
            outcome.folder.remove()?;
        }
        if over || interrupt.asked() {
            break;
        }
    }
    row.elapsed_ms = ms(start.elapsed());
    Ok(row)
}

impl Row {
    /// Takes up what a run with the bug showed; tells whether the search is over.
    fn judge(&mut self, outcome: &Outcome, breaks: Property) -> bool {
        if let Some(over) = self.is_not_made(outcome) {
            return over;
        }
        let Some((_, judged)) = &outcome.judged else {
            return false;
        };
        // That a cluster is down at the end is what some bugs lead to, and others do not break.
        let invalid = |name: &str| {
            let checks = judged.report.checks.iter();
            let mut of_name = checks.filter(|check| name.is_empty() || check.name == name);
            of_name.find(|check| check.verdict == Verdict::Invalid)
        };
        let found = match breaks {
            Property::Liveness => invalid(""),
            _ => invalid("linearizability"),
        };
        match found {
            Some(check) => {
                self.status = Status::Found;
                self.reason.clone_from(&check.reason);
                self.keep(outcome);
                true
            }
            None => {
                self.reason.clone_from(&judged.report.reason);
                false
            }
        }
    }

    /// Takes up what a run without the bug showed.
    fn judge_correct(&mut self, outcome: &Outcome) -> bool {
        if let Some(over) = self.is_not_made(outcome) {
            return over;
        }
        self.reason = outcome
            .judged
            .as_ref()
            .and_then(|(_, judged)| judged.report.reason.clone());
        match outcome.verdict() {
            Verdict::Invalid => {
                self.status = Status::Blamed;
                self.keep(outcome);
            }
            _ => self.status = Status::NotBlamed,
        }
        true
    }

    /// Whether the search is over because runs cannot be made; `None` when this one was.
    fn is_not_made(&mut self, outcome: &Outcome) -> Option<bool> {
        let failure = outcome.failure.as_ref()?;
        if outcome.verdict() == Verdict::Invalid {
            return None;
        }
        self.reason = Some(failure.text.clone());
        self.status = match failure.is_unavailable {
            true => Status::Unavailable,
            false => Status::Failed,
        };
        Some(true)
    }

    fn keep(&mut self, outcome: &Outcome) {
        self.seed = Some(outcome.plan.seed);
        self.folder = Some(outcome.folder.path().to_owned());
        self.text = outcome.text();
        if let Some((_, judged)) = &outcome.judged {
            let counterexample = judged.report.counterexample.as_ref();
            self.counterexample_operations = counterexample.map(|found| found.core.len());
        }
    }
}

/// The kinds of faults that a recipe asks for and this version does not have, if any.
fn missing_kinds(recipe: &Recipe) -> Option<String> {
    let words: Vec<&str> = recipe.options.split_whitespace().collect();
    let typed = words.windows(2).filter(|pair| pair[0] == "--faults");
    let typed = typed.flat_map(|pair| pair[1].split(','));
    let typed = typed.map(|word| word.split(':').next().unwrap_or(word).to_owned());
    let table: toml::Table = recipe.schedule.parse().unwrap_or_default();
    let entries = table.get("schedule").and_then(toml::Value::as_array);
    let scheduled = entries.into_iter().flatten();
    let scheduled = scheduled.filter_map(|entry| Some(entry.get("fault")?.as_str()?.to_owned()));
    let is_known = |word: &String| word == "none" || word.parse::<Kind>().is_ok();
    let mut missing: Vec<String> = typed
        .chain(scheduled)
        .filter(|word| !is_known(word))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// The plan of a run by this recipe: as if its options were typed.
fn plan_of(recipe: &Recipe, bug: Option<Bug>, seed: u64) -> Result<Plan, String> {
    let mut typed: Vec<&str> = recipe.options.split_whitespace().collect();
    if let Some(bug) = bug {
        typed.extend(["--bug", bug.name()]);
    }
    plan::of_options(&typed, recipe.schedule, None, seed)
}

/// The table for people.
pub fn render(rows: &[Row]) -> String {
    let mut text = String::from(
        "| bug | | by seed | runs | seconds | operations in the counterexample | options |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let or_nothing = |number: Option<String>| number.unwrap_or_default();
    for row in rows {
        text += &format!(
            "| `{}` | {} | {} | {} | {:.0} | {} | {} |\n",
            row.bug,
            row.status.name(),
            or_nothing(row.seed.map(|seed| seed.to_string())),
            row.runs,
            row.elapsed_ms as f64 / 1e3,
            or_nothing(row.counterexample_operations.map(|count| count.to_string())),
            match row.schedule {
                Some(_) => format!("`{}`, faults by hand", row.options),
                None => format!("`{}`", row.options),
            },
        );
    }
    let count = |status| rows.iter().filter(|row| row.status == status).count();
    let blameless = count(Status::NotBlamed) + count(Status::Blamed) > 0;
    let (good, bad) = match blameless {
        true => (Status::NotBlamed, Status::Blamed),
        false => (Status::Found, Status::Missed),
    };
    text += &format!(
        "\n{} {}, {} {}, {} unavailable, {} failed, in {:.0} s\n",
        count(good),
        good.name(),
        count(bad),
        bad.name().to_lowercase(),
        count(Status::Unavailable),
        count(Status::Failed),
        rows.iter().map(|row| row.elapsed_ms).sum::<u64>() as f64 / 1e3
    );
    let is_news = |row: &&Row| match row.status {
        Status::Found => false,
        Status::NotBlamed => row.reason.is_some(),
        _ => true,
    };
    for row in rows.iter().filter(is_news) {
        let reason = row.reason.as_deref().unwrap_or("every run was valid");
        text += &format!("{}: {}: {reason}\n", row.bug, row.status.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_is_a_run_with_its_bug() {
        for bug in Bug::ALL {
            let recipe = bug.recipe();
            assert_eq!(missing_kinds(&recipe), None, "{bug}");
            let plan = plan_of(&recipe, Some(bug), 1);
            let plan = plan.unwrap_or_else(|why| panic!("{bug}: {why}"));
            assert_eq!(plan.system.bugs, [bug.name()]);
            assert!(recipe.schedule.is_empty() || plan.faults.explicit, "{bug}");
        }
    }

    #[test]
    fn a_recipe_waits_for_faults_that_there_are_not() {
        let recipe = Recipe {
            options: "--faults kill,sunspots:3",
            schedule: "[[schedule]]\nat = \"1s\"\nfault = \"gremlins\"\n",
        };
        let missing = missing_kinds(&recipe);
        assert_eq!(missing.as_deref(), Some("gremlins, sunspots"));
    }

    #[test]
    fn the_command_ends_well_only_when_all_were_found() {
        let row = |status| Row {
            bug: "stale-read",
            breaks: "",
            source: "",
            options: "",
            schedule: None,
            status,
            reason: None,
            seed: None,
            runs: 1,
            elapsed_ms: 1,
            counterexample_operations: None,
            folder: None,
            text: None,
        };
        let exit_of = |statuses: &[Status]| {
            let rows: Vec<Row> = statuses.iter().map(|status| row(*status)).collect();
            exit(&rows, statuses.len())
        };
        use Status::{Blamed, Failed, Found, Missed, NotBlamed, Stopped, Unavailable};
        assert_eq!(exit_of(&[Found, Found]), Exit::Valid);
        assert_eq!(exit_of(&[Found, Unavailable]), Exit::Undecided);
        assert_eq!(exit_of(&[Found, Stopped]), Exit::Undecided);
        assert_eq!(exit_of(&[Unavailable, Failed]), Exit::NotRun);
        assert_eq!(exit_of(&[Failed, Missed]), Exit::Violation);
        assert_eq!(exit_of(&[NotBlamed, NotBlamed]), Exit::Valid);
        assert_eq!(exit_of(&[NotBlamed, Blamed]), Exit::Violation);
        assert_eq!(exit_of(&[]), Exit::NotRun);
    }
}

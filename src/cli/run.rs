//! `whitewater run`: make a run, print its verdict.

use super::args::{OutputArgs, RunArgs};
use super::exit::Exit;
use super::{fail, print};
use crate::Outcome;
use crate::interrupt::Interrupt;
use crate::plan::{self, Plan};
use crate::reports::json::{self, Document};
use crate::reports::progress::{Display, say};
use crate::units::amount;

/// Makes the run that was asked for.
pub fn run(args: &RunArgs) -> Exit {
    match plan::make(&args.plan, args.time, fresh_seed()) {
        Ok(plan) => make(&plan, &args.store.store, &args.output),
        Err(error) => fail(Exit::Usage, error),
    }
}

/// Makes the run of this plan, shows how it goes, and prints the verdict.
pub fn make(plan: &Plan, store: &std::path::Path, output: &OutputArgs) -> Exit {
    match listen() {
        Ok(interrupt) => make_until(plan, store, output, &interrupt),
        Err(exit) => exit,
    }
}

/// The same, until it is interrupted so.
pub fn make_until(
    plan: &Plan,
    store: &std::path::Path,
    output: &OutputArgs,
    interrupt: &Interrupt,
) -> Exit {
    announce(plan);
    let mut display = Display::new(plan.duration_ms);
    let outcome = crate::run(plan, store, interrupt, &mut |notice| display.show(notice));
    display.finish();
    match outcome {
        Ok(outcome) => tell(&outcome, output),
        Err(error) => fail(Exit::NotRun, error),
    }
}

/// Begins to listen for Ctrl-C; where that fails it is said, with the exit code to end with.
pub fn listen() -> Result<Interrupt, Exit> {
    Interrupt::listen().map_err(|error| {
        fail(
            Exit::NotRun,
            format!("failed to listen for signals: {error}"),
        )
    })
}

/// A seed for a run that was given none: it is printed and stored, so any will do. Short enough to
/// be typed.
pub fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |since| since.as_nanos() as u64);
    seeds::Stream::new(nanos, seeds::Purpose::Campaign, 0).below(1_000_000_000)
}

fn announce(plan: &Plan) {
    let kinds: Vec<&str> = plan.faults.kinds.keys().map(|kind| kind.name()).collect();
    let faults = if kinds.is_empty() {
        "no faults".to_owned()
    } else {
        kinds.join(", ")
    };
    let bugs = match &plan.system.bugs[..] {
        [] => String::new(),
        bugs => format!(" with {}", bugs.join(", ")),
    };
    say(format_args!(
        "{} of {}{bugs}, {}, workload {}, {}, {:.1} s, seed {}",
        amount(plan.system.nodes.len() as u64, "node"),
        plan.system.name,
        amount(plan.workload.clients, "client"),
        plan.workload.name,
        faults,
        plan.duration_ms as f64 / 1e3,
        plan.seed
    ));
}

fn tell(outcome: &Outcome, output: &OutputArgs) -> Exit {
    if output.json {
        print(&json::to_text(&Document::of_run(outcome)));
        print("\n");
    } else if let Some(text) = outcome.text() {
        print(&text);
    }
    for complaint in &outcome.complaints {
        say(format_args!("whitewater: {complaint}"));
    }
    match outcome.why_not_made() {
        Some(failure) => {
            let what = match outcome.judged {
                Some(_) => "was not made to its end",
                None => "could not be made",
            };
            say(format_args!("whitewater: the run {what}: {failure}"));
            say(format_args!(
                "whitewater: its folder is {}",
                outcome.shown_path()
            ));
            outcome.exit()
        }
        None => outcome.exit(),
    }
}

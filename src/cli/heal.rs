//! `whitewater heal`: undo on hosts what runs that are over have left there.

use super::args::HealArgs;
use super::exit::Exit;
use super::{fail, print};
use crate::reports::json;

/// Undoes it and says what was done. Harmless where nothing was left, and twice.
pub fn heal(args: &HealArgs) -> Exit {
    let mut exit = Exit::Valid;
    let mut told = Vec::new();
    let healed = cluster::remote::heal(&args.hosts.hosts);
    for (host, healed) in args.hosts.hosts.iter().zip(healed) {
        let runs = match healed {
            Ok(runs) => runs,
            Err(error) => {
                exit = fail(Exit::NotRun, error);
                continue;
            }
        };
        if runs.iter().any(|run| !run.problems.is_empty()) {
            exit = Exit::NotRun;
        }
        if args.json {
            told.push(serde_json::json!({ "host": host.name, "runs": runs }));
            continue;
        }
        if runs.is_empty() {
            print(&format!("{}: nothing was left\n", host.name));
        }
        for run in runs {
            print(&format!("{}: {}\n", host.name, run.folder));
            run.done
                .iter()
                .for_each(|done| print(&format!("     {done}\n")));
            let problems = run.problems.iter();
            problems.for_each(|problem| print(&format!("     not done: {problem}\n")));
        }
    }
    if args.json {
        print(&format!("{}\n", json::to_text(&told)));
    }
    exit
}

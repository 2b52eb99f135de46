//! `whitewater heal`: undo on hosts, or in a Docker engine, what runs that are over have left there.

use cluster::remote::{self, Healed, RemoteError};

use super::args::{HealArgs, HealPlace};
use super::exit::Exit;
use super::{fail, print};
use crate::reports::json;

/// Undoes it and says what was done. Harmless where nothing was left, and twice.
pub fn heal(args: &HealArgs) -> Exit {
    let mut exit = Exit::Valid;
    let mut told = Vec::new();
    for (place, healed) in healed(&args.place) {
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
            told.push(serde_json::json!({ "host": place, "runs": runs }));
            continue;
        }
        if runs.is_empty() {
            print(&format!("{}: nothing was left\n", place));
        }
        for run in runs {
            print(&format!("{}: {}\n", place, run.folder));
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

/// What was done of each run at each place.
fn healed(place: &HealPlace) -> Vec<(&str, Result<Vec<Healed>, RemoteError>)> {
    if place.docker {
        return vec![("docker", remote::docker::heal())];
    }
    let names = place.hosts.iter().map(|host| &*host.name);
    names.zip(remote::heal(&place.hosts)).collect()
}

//! `whitewater zoo`: look for every bug of raft-kv.

use std::str::FromStr;

use raft_kv::Bug;

use super::args::ZooArgs;
use super::exit::Exit;
use super::run::listen;
use super::{fail, print, write_junit};
use crate::reports::progress::say;
use crate::reports::{json, junit};
use crate::units::amount;
use crate::zoo::{self, Row, Zoo};

/// Looks for the bugs, tells of each, prints the table.
pub fn zoo(args: &ZooArgs) -> Exit {
    let named: Result<Vec<Bug>, _> = args.bugs.iter().map(|name| Bug::from_str(name)).collect();
    let bugs = match named {
        Ok(named) if named.is_empty() => Bug::ALL.to_vec(),
        Ok(named) => named,
        Err(error) => return fail(Exit::Usage, error),
    };
    let interrupt = match listen() {
        Ok(interrupt) => interrupt,
        Err(exit) => return exit,
    };
    let made = zoo::run(
        &Zoo {
            bugs: &bugs,
            correct: args.correct,
            first_seed: args.seed,
            seeds_max: args.runs,
            time_ms: args.total_time,
            folder: &args.store.store,
        },
        &interrupt,
        &mut tell,
    );
    let rows = match made {
        Ok(rows) => rows,
        Err(error) => return fail(Exit::NotRun, error),
    };
    match args.output.json {
        true => print(&format!("{}\n", json::to_text(&rows))),
        false => print(&zoo::render(&rows)),
    }
    let exit = zoo::exit(&rows, bugs.len());
    write_junit(args.junit.as_deref(), exit, || junit::render_zoo(&rows))
}

fn tell(row: &Row) {
    let how = row.reason.as_deref().unwrap_or("every run was valid");
    say(format_args!(
        "{}: {} after {}, {:.0} s: {how}",
        row.bug,
        row.status.name(),
        amount(row.runs, "run"),
        row.elapsed_ms as f64 / 1e3
    ));
}

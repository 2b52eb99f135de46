//! `whitewater known`: what is known of real systems, and whether runs show it.

use super::args::KnownArgs;
use super::exit::Exit;
use super::run::listen;
use super::{fail, print, write_junit};
use crate::known::{self, Behaviour, Listed, Row, Search, Table};
use crate::reports::progress::say;
use crate::reports::{json, junit};

/// Lists what is known; or looks for it, tells of each, prints the table.
pub fn known(args: &KnownArgs) -> Exit {
    let table = match Table::builtin() {
        Ok(table) => table,
        Err(error) => return fail(Exit::NotRun, error),
    };
    let named: Result<Vec<&Behaviour>, _> = args
        .behaviours
        .iter()
        .map(|name| table.by_name(name))
        .collect();
    let behaviours = match named {
        Ok(named) if named.is_empty() => table.behaviours.iter().collect(),
        Ok(named) => named,
        Err(error) => return fail(Exit::Usage, error),
    };
    if args.behaviours.is_empty() && !args.all {
        let listed = || -> Vec<Listed<'_>> { behaviours.iter().map(|one| (*one).into()).collect() };
        print(&match args.output.json {
            true => format!("{}\n", json::to_text(&listed())),
            false => known::render_list(&behaviours),
        });
        return Exit::Valid;
    }
    let interrupt = match listen() {
        Ok(interrupt) => interrupt,
        Err(exit) => return exit,
    };
    let search = Search {
        table: &table,
        behaviours: &behaviours,
        first_seed: args.seed,
        runs: args.runs,
        time_ms: args.time,
        folder: &args.store.store,
    };
    let rows = match known::run(&search, &interrupt, &mut tell) {
        Ok(rows) => rows,
        Err(error) => return fail(Exit::NotRun, error),
    };
    print(&match args.output.json {
        true => format!("{}\n", json::to_text(&rows)),
        false => known::render(&rows),
    });
    let statuses: Vec<_> = rows.iter().map(|row| row.status).collect();
    let exit = known::exit(&statuses, behaviours.len());
    write_junit(args.junit.as_deref(), exit, || junit::render_known(&rows))
}

fn tell(row: &Row) {
    say(format_args!(
        "{}: {} after {} runs, {:.0} s: {}",
        row.known.name,
        row.status.name(),
        row.made,
        row.elapsed_ms as f64 / 1e3,
        row.reason
    ));
}

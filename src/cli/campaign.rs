//! `whitewater campaign`: one seed after another within a time.

use std::path::PathBuf;

use super::args::CampaignArgs;
use super::exit::Exit;
use super::run::{fresh_seed, listen};
use super::{fail, print};
use crate::campaign::{self, Campaign};
use crate::plan;
use crate::reports::json;
use crate::reports::progress::{Display, say};
use crate::store;

/// Makes the runs, tells of each, writes the summary.
pub fn campaign(args: &CampaignArgs) -> Exit {
    let plan = match plan::make(&args.plan, args.run_time, fresh_seed()) {
        Ok(plan) => plan,
        Err(error) => return fail(Exit::Usage, error),
    };
    if args.runs == 0 {
        return fail(Exit::Usage, "--runs is 0, expected at least 1");
    }
    let interrupt = match listen() {
        Ok(interrupt) => interrupt,
        Err(exit) => return exit,
    };
    let folder: PathBuf = args.store.store.join(format!("campaign-{}", plan.seed));
    if let Err(error) = store::create_dir_all(&folder) {
        return fail(Exit::NotRun, error);
    }
    say(format_args!(
        "campaign with seed {}: at most {} runs in {:.0} s",
        plan.seed,
        args.runs,
        args.total_time as f64 / 1e3
    ));
    let made = campaign::run(
        &Campaign {
            plan: &plan,
            runs_max: args.runs,
            time_ms: args.total_time,
            folder: &folder,
            keep_all: args.keep_all,
        },
        &interrupt,
        &mut show(),
        &mut |run| say(format_args!("seed {}: {}", run.seed, run.message())),
    );
    let summary = match made {
        Ok(summary) => summary,
        Err(error) => return fail(Exit::NotRun, error),
    };
    let junit = args
        .junit
        .clone()
        .unwrap_or_else(|| folder.join("junit.xml"));
    let complaints = campaign::write(&summary, &folder, &junit);
    match args.output.json {
        true => print(&format!("{}\n", json::to_text(&summary))),
        false => {
            print(&campaign::render(&summary));
            print(&format!(
                "evidence: {}\njunit:    {}\n",
                folder.display(),
                junit.display()
            ));
        }
    }
    for complaint in &complaints {
        say(format_args!("whitewater: {complaint}"));
    }
    // A nightly job that finds no report must not be told that all is well.
    if complaints.is_empty() {
        summary.exit
    } else {
        summary.exit.worse(Exit::NotRun)
    }
}

/// Shows each run on a terminal as `run` does; elsewhere the line at each run's end is enough.
fn show() -> impl FnMut(&plan::Plan, &crate::controller::notice::Notice) {
    use std::io::IsTerminal;

    use crate::controller::notice::Notice;
    let terminal = std::io::stderr().is_terminal();
    let mut display: Option<Display> = None;
    move |plan, notice| {
        if !terminal {
            return;
        }
        let shown = display.get_or_insert_with(|| Display::new(plan.duration_ms));
        if let Notice::Progress(_) = notice {
            shown.show(notice);
        }
        if let Notice::Finished { .. } | Notice::Failed(_) = notice {
            shown.finish();
            display = None;
        }
    }
}

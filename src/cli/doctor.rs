//! `whitewater doctor`: what this machine allows, what not, why, and how to change it.

use super::args::DoctorArgs;
use super::exit::Exit;
use super::print;
use crate::reports::json;

/// Tries every ability for real and tells what came of it. Always succeeds: what is missing is no
/// failure of this command.
pub fn doctor(args: &DoctorArgs) -> Exit {
    let abilities = cluster::doctor::examine();
    if args.json {
        print(&format!("{}\n", json::to_text(&abilities)));
        return Exit::Valid;
    }
    let width = abilities
        .iter()
        .map(|ability| ability.name.len())
        .max()
        .unwrap_or(0);
    for ability in &abilities {
        let mark = if ability.available { "yes" } else { "no " };
        print(&format!(
            "{mark}  {:<width$}  {}\n",
            ability.name, ability.needed_for
        ));
        for (name, text) in [("why", &ability.cause), ("fix", &ability.remedy)] {
            if let Some(text) = text {
                print(&format!("     {name}: {text}\n"));
            }
        }
    }
    let (mode, why) = cluster::Mode::detect();
    print(&match (mode, why) {
        (cluster::Mode::Sandbox, _) => {
            "\nRuns here are sandboxed: kills, pauses and partitions all work.\n".to_owned()
        }
        (cluster::Mode::Plain, Some(why)) => format!(
            "\nRuns here are in plain mode (kills and pauses only): {}\nfix: {}\n",
            why.cause, why.remedy
        ),
        (cluster::Mode::Plain, None) => "\nRuns here are in plain mode.\n".to_owned(),
    });
    Exit::Valid
}

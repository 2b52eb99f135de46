//! `whitewater doctor`: what this machine allows, what not, why, and how to change it.

use cluster::remote::HostFacts;
use faults::Unavailable;

use super::args::DoctorArgs;
use super::exit::Exit;
use super::{fail, print};
use crate::reports::json;

/// Tries every ability for real and tells what came of it. Always succeeds: what is missing is no
/// failure of this command.
pub fn doctor(args: &DoctorArgs) -> Exit {
    if !args.hosts.is_empty() {
        return hosts(args);
    }
    if args.docker {
        return docker(args);
    }
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

/// Tries the Docker engine. One that cannot be used at all is a failure: it was asked for.
fn docker(args: &DoctorArgs) -> Exit {
    let found = match cluster::remote::docker::examine() {
        Ok(found) => found,
        Err(error) => return fail(Exit::NotRun, error),
    };
    if args.json {
        let told =
            serde_json::json!({ "engine": found.engine, "abilities": abilities(&found.facts) });
        print(&format!("{}\n", json::to_text(&told)));
        return Exit::Valid;
    }
    print(&format!(
        "{}\nyes  containers of an image, and this program runs there: kills, pauses\n",
        found.engine
    ));
    show(found.facts);
    Exit::Valid
}

/// Tries each host. One that cannot be used at all is a failure: it was named.
fn hosts(args: &DoctorArgs) -> Exit {
    let mut exit = Exit::Valid;
    let mut told = Vec::new();
    for (host, facts) in args.hosts.iter().zip(cluster::remote::examine(&args.hosts)) {
        let facts = match facts {
            Ok(facts) => facts,
            Err(error) => {
                exit = fail(Exit::NotRun, error);
                continue;
            }
        };
        if args.json {
            told.push(serde_json::json!({ "host": host.name, "abilities": abilities(&facts) }));
            continue;
        }
        print(&format!(
            "{}\nyes  ssh, and this program runs there: kills, pauses\n",
            host.name
        ));
        show(facts);
    }
    if args.json {
        print(&format!("{}\n", json::to_text(&told)));
    }
    exit
}

fn abilities(facts: &HostFacts) -> Vec<serde_json::Value> {
    let ability = |(name, outcome): &(&str, Result<(), Unavailable>)| {
        let why = outcome.as_ref().err();
        serde_json::json!({
            "name": name,
            "available": why.is_none(),
            "cause": why.map(|why| &why.cause),
            "remedy": why.map(|why| &why.remedy),
        })
    };
    facts.iter().map(ability).collect()
}

fn show(facts: HostFacts) {
    for (name, outcome) in facts {
        let mark = if outcome.is_ok() { "yes" } else { "no " };
        print(&format!("{mark}  {name}\n"));
        if let Err(why) = outcome {
            print(&format!(
                "     why: {}\n     fix: {}\n",
                why.cause, why.remedy
            ));
        }
    }
}

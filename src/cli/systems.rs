//! `whitewater systems`: which systems there are definitions of, and which can run here.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use systems::{BUILTIN, Definition};

use super::args::SystemsArgs;
use super::exit::Exit;
use super::{fail, print};
use crate::plan::{PlanError, SystemPlan};
use crate::programs;
use crate::reports::json;

/// A system, as this command tells of it.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    about: String,
    workloads: Vec<String>,
    client: &'static str,
    nodes: u64,
    /// Whether it can run here.
    available: bool,
    program: Option<String>,
    version: Option<String>,
    /// What is missing, and what to do about it.
    cause: Option<String>,
    remedy: Option<String>,
}

/// Looks for the program of every system. What is missing is no failure of this command.
pub fn systems(args: &SystemsArgs) -> Exit {
    let names: Vec<String> = match &args.systems[..] {
        [] => BUILTIN.iter().map(|(name, _)| (*name).to_owned()).collect(),
        names => names.to_vec(),
    };
    let found: Result<Vec<Listed>, PlanError> = names.iter().map(|name| look(name)).collect();
    let found = match found {
        Ok(found) => found,
        Err(error) => return fail(Exit::Usage, error),
    };
    if args.json {
        print(&format!("{}\n", json::to_text(&found)));
        return Exit::Valid;
    }
    let width = found.iter().map(|system| system.name.len()).max();
    for system in &found {
        print(&told(system, width.unwrap_or(0)));
    }
    Exit::Valid
}

fn look(name: &str) -> Result<Listed, PlanError> {
    let mut system = SystemPlan::default();
    system.choose(name, Path::new(""))?;
    let definition: Arc<Definition> = system.definition()?;
    let found = programs::find(&definition, None, system.here());
    let (found, missing) = match found {
        Ok(found) => (Some(found), None),
        Err(missing) => (None, Some(missing)),
    };
    let program = found.as_ref().map(|found| match &found.path {
        Some(path) => path.display().to_string(),
        None => "this executable".to_owned(),
    });
    Ok(Listed {
        name: definition.name.clone(),
        about: definition.about.clone(),
        workloads: definition.workloads.clone(),
        client: definition.client.name(),
        nodes: definition.nodes,
        available: found.is_some(),
        program,
        version: found.and_then(|found| found.version),
        cause: missing.as_ref().map(|missing| missing.cause.clone()),
        remedy: missing.and_then(|missing| missing.remedy),
    })
}

fn told(system: &Listed, width: usize) -> String {
    let mark = if system.available { "yes" } else { "no " };
    let mut text = format!("{mark}  {:<width$}  {}\n", system.name, system.about);
    let mut detail = |name: &str, value: &str| text.push_str(&format!("     {name}: {value}\n"));
    if let Some(program) = &system.program {
        let version = system.version.as_deref().unwrap_or_default();
        detail("program", format!("{program} {version}").trim_end());
    }
    let workloads = system.workloads.join(", ");
    detail(
        "workloads",
        &format!(
            "{workloads} (client {}, usually {} node{})",
            system.client,
            system.nodes,
            if system.nodes == 1 { "" } else { "s" }
        ),
    );
    if let Some(cause) = &system.cause {
        detail("why", cause);
    }
    if let Some(remedy) = &system.remedy {
        detail("fix", remedy);
    }
    text
}

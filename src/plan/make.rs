//! From what was typed to what it means.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use checkers::ModelKind;
use clap::Parser;
use faults::{Draw, DrawError, Kind, Name, Profile, Schedule};
use raft_kv::Bug;
use serde::Deserialize;
use systems::{Definition, parse};
use workloads::{Values, by_name};

use super::{FaultPlan, Plan, PlanError, SandboxMode, node_names, of_maelstrom};
use crate::cli::args::{Cli, Command, PlanArgs};

/// The plan that the options describe, with every default filled in and the schedule drawn.
///
/// `fresh_seed` is used when no seed is given. A schedule from `--plan FILE` is kept unless an
/// option changes what it was drawn for.
pub fn make(args: &PlanArgs, time_ms: Option<u64>, fresh_seed: u64) -> Result<Plan, PlanError> {
    let mut plan = match &args.plan {
        Some(file) => Plan::read(file)?,
        None => Plan {
            seed: fresh_seed,
            ..Plan::default()
        },
    };
    let from_file = args.plan.is_some();
    plan.disk_faults |= args.disk_faults;
    let drawn_for = drawn_for(&plan);
    overlay_system(&mut plan, args)?;
    overlay_workload(&mut plan, args)?;
    overlay_faults(&mut plan, args)?;
    exclude_kinds(&mut plan)?;
    set(&mut plan.seed, args.seed);
    set(&mut plan.duration_ms, time_ms);
    set(&mut plan.check.time_limit_ms, args.limits.check_time);
    set(&mut plan.check.memory_limit_mib, args.limits.check_memory);
    plan.check.keep_going |= args.keep_going;
    if args.plain {
        plan.sandbox = SandboxMode::Plain;
    }
    set(&mut plan.history_format, args.history_format);
    set(&mut plan.network.backend, args.network);
    plan.network.pcap |= args.pcap;
    if plan.maelstrom.is_none()
        && let Ok(workload) = by_name(&plan.workload.name)
    {
        plan.check.model = workload.model().unwrap_or_default().to_owned();
    }
    if let Some(file) = &args.schedule {
        plan.schedule = read_schedule(file)?;
        plan.faults.explicit = true;
        complete(&mut plan);
    }
    let written_by_hand = plan.faults.explicit && !plan.schedule.faults.is_empty();
    if written_by_hand {
        refuse_rhythm(args)?;
    } else if !from_file || drawn_for != self::drawn_for(&plan) {
        // What it was drawn for is gone; what remains must be sound before anything is drawn.
        plan.schedule = Schedule::default();
        plan.validate()?;
        draw(&mut plan)?;
    }
    plan.disk_faults |= plan.faults.kinds.keys().any(|kind| kind.needs_disk());
    plan.validate()?;
    Ok(plan)
}

/// Finds the system that a plan's file names, and fills in what the file leaves to it.
pub(super) fn follow_system(plan: &mut Plan, text: &str, file: &Path) -> Result<(), PlanError> {
    if plan.maelstrom.is_some() {
        // Any program is the system.
        return Ok(());
    }
    if plan.system.definition.is_none() {
        let name = plan.system.name.clone();
        let base = file.parent().unwrap_or(Path::new(""));
        plan.system.choose(&name, base)?;
    }
    let Ok(definition) = plan.system.definition() else {
        // `validate` says so.
        return Ok(());
    };
    if !parse::has_field(text, "system.nodes") {
        plan.system.nodes = node_names(match plan.system.hosts.len() {
            0 => definition.nodes,
            hosts => hosts as u64,
        });
    }
    if !parse::has_field(text, "workload.name") {
        plan.workload.name = definition.usual_workload().to_owned();
    }
    Ok(())
}

/// Fills in what a schedule written by hand leaves open, and what kinds of faults it has.
pub(super) fn complete(plan: &mut Plan) {
    plan.schedule.complete(plan.seed, &plan.system.nodes);
    if plan.faults.explicit && !plan.schedule.faults.is_empty() {
        let kinds = plan.schedule.faults.iter().map(|fault| fault.action.kind());
        plan.faults.kinds = kinds.map(|kind| (kind, 1)).collect();
        plan.faults.required = true;
    }
}

/// `[[schedule]]` tables, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleFile {
    schedule: Schedule,
}

/// Gives a plan a schedule written by hand, in place of the one it has.
///
/// # Errors
/// What is wrong with it.
pub fn set_schedule(plan: &mut Plan, text: &str) -> Result<(), PlanError> {
    let read: ScheduleFile = parse::toml(text)?;
    plan.schedule = read.schedule;
    plan.faults.explicit = true;
    complete(plan);
    plan.validate()
}

/// The plan of a recipe: as if these options of `run` were typed, with a schedule written by hand
/// unless it is empty, and for another time than they say if one is given.
///
/// # Errors
/// In words: what is wrong with them.
pub(crate) fn of_options(
    options: &[&str],
    schedule: &str,
    time_ms: Option<u64>,
    seed: u64,
) -> Result<Plan, String> {
    let typed = ["whitewater", "run"].iter().chain(options);
    let cli = Cli::try_parse_from(typed).map_err(|error| error.to_string())?;
    let Command::Run(args) = cli.command else {
        return Err("a recipe is for `run`".to_owned());
    };
    let made = make(&args.plan, time_ms.or(args.time), seed);
    let mut plan = made.map_err(|error| error.to_string())?;
    if !schedule.is_empty() {
        set_schedule(&mut plan, schedule).map_err(|error| error.to_string())?;
    }
    Ok(plan)
}

/// A file with `[[schedule]]` tables.
fn read_schedule(file: &Path) -> Result<Schedule, PlanError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        PlanError::new(format!("failed to read the schedule: {error}")).in_file(file, None)
    })?;
    let read: ScheduleFile = parse::toml(&text).map_err(|error| {
        let line = error.line;
        error.in_file(file, line)
    })?;
    Ok(read.schedule)
}

/// Options that say how faults are drawn mean nothing beside a schedule written by hand.
fn refuse_rhythm(args: &PlanArgs) -> Result<(), PlanError> {
    let typed = [
        ("--profile", args.profile.is_some()),
        ("--faults", args.faults.is_some()),
        ("--fault-interval", args.fault_interval.is_some()),
        ("--fault-duration", args.fault_duration.is_some()),
        ("--fault-overlap", args.fault_overlap.is_some()),
    ];
    match typed.iter().find(|(_, typed)| *typed) {
        None => Ok(()),
        Some((option, _)) => Err(PlanError::new(format!(
            "{option} says how faults are drawn, and the schedule is written by hand"
        ))
        .with_hint(
            "leave the option out, or the schedule; `explicit = false` under [faults] in a plan \
             file lets its schedule be drawn anew",
        )),
    }
}

/// The same plan for another seed: its schedule is drawn anew, unless it was written by hand.
pub fn reseed(plan: &Plan, seed: u64) -> Result<Plan, PlanError> {
    let mut plan = Plan {
        seed,
        ..plan.clone()
    };
    if !plan.faults.explicit || plan.schedule.faults.is_empty() {
        draw(&mut plan)?;
    }
    Ok(plan)
}

/// What the schedule depends on.
fn drawn_for(plan: &Plan) -> impl PartialEq + use<> {
    (
        plan.seed,
        plan.duration_ms,
        plan.system.nodes.clone(),
        plan.faults.clone(),
    )
}

/// Draws the schedule that the plan asks for. Kinds that nobody asked for, and that so few nodes
/// cannot have, are left out.
pub(crate) fn draw(plan: &mut Plan) -> Result<(), PlanError> {
    plan.schedule = loop {
        let drawn = Schedule::draw(&Draw {
            seed: plan.seed,
            kinds: &plan.faults.kinds,
            nodes: &plan.system.nodes,
            duration_ms: plan.duration_ms,
            rhythm: plan.faults.rhythm(),
        });
        match drawn {
            Err(DrawError::Impossible { kind, .. }) if !plan.faults.are_asked_for() => {
                plan.faults.kinds.remove(&kind);
            }
            drawn => break drawn.map_err(|error| PlanError::new(error.to_string()))?,
        }
    };
    if let Some(options) = &plan.maelstrom {
        of_maelstrom::shape_partitions(&mut plan.schedule, options.partitions);
    }
    plan.faults.explicit = false;
    Ok(())
}

fn set<T>(field: &mut T, typed: Option<T>) {
    if let Some(value) = typed {
        *field = value;
    }
}

fn overlay_system(plan: &mut Plan, args: &PlanArgs) -> Result<(), PlanError> {
    if let Some(system) = &args.system {
        plan.system.choose(system, Path::new(""))?;
        // Where there is none of this name, `validate` says so.
        if let Ok(definition) = plan.system.definition() {
            plan.system.nodes = node_names(definition.nodes);
            if !definition.workloads.contains(&plan.workload.name) {
                plan.workload.name = definition.usual_workload().to_owned();
            }
        }
    }
    // More than the plan allows is refused by `validate`, after at most this many names.
    if let Some(count) = args.nodes {
        plan.system.nodes = node_names(count.min(1_000));
    }
    if !args.hosts.is_empty() {
        plan.system.hosts.clone_from(&args.hosts);
    }
    if args.docker.is_some() {
        plan.system.docker.clone_from(&args.docker);
    }
    let hosts = plan.system.hosts.len();
    if args.nodes.is_none() && hosts > 0 && hosts != plan.system.nodes.len() {
        plan.system.nodes = node_names(hosts as u64);
    }
    if !args.bugs.is_empty() {
        plan.system.bugs.clone_from(&args.bugs);
    }
    if let Some(binary) = &args.binary {
        // Elsewhere our working directory means nothing, and a name is looked for.
        plan.system.binary = Some(match plan.system.is_here() {
            true => std::path::absolute(binary).unwrap_or_else(|_| binary.clone()),
            false => binary.clone(),
        });
    }
    let transport = "e.g. transport=udp for a node's option --transport udp";
    let options = named_values("--system-option", &args.system_options, transport)?;
    plan.system.options.extend(options);
    let attempts =
        "e.g. attempts=1 where `[client.NAME]` of the definition has an option `attempts`";
    let options = named_values("--client-option", &args.client_options, attempts)?;
    plan.system.client_options.extend(options);
    Ok(())
}

/// NAME=VALUE, each.
fn named_values(
    option: &str,
    typed: &[String],
    hint: &str,
) -> Result<Vec<(String, String)>, PlanError> {
    let named = typed.iter().map(|typed| {
        let parts = typed.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = parts.ok_or_else(|| {
            PlanError::new(format!("{option} has `{typed}`, expected NAME=VALUE")).with_hint(hint)
        })?;
        Ok((name.to_owned(), value.to_owned()))
    });
    named.collect()
}

fn overlay_workload(plan: &mut Plan, args: &PlanArgs) -> Result<(), PlanError> {
    let workload = &mut plan.workload;
    set(&mut workload.name, args.workload.clone());
    set(&mut workload.clients, args.clients);
    if args.rate == Some(0) {
        return Err(
            PlanError::new("--rate is 0, expected at least 1 operation per second")
                .with_hint("leave it out to drive the cluster as fast as it answers"),
        );
    }
    set(&mut workload.rate_per_s, args.rate);
    set(&mut workload.keys, args.keys);
    set(&mut workload.ops_per_key, args.ops_per_key);
    set(&mut workload.values, args.values.clone());
    set(&mut workload.timeout_ms, args.timeout);
    Ok(())
}

fn overlay_faults(plan: &mut Plan, args: &PlanArgs) -> Result<(), PlanError> {
    let faults = &mut plan.faults;
    if let Some(name) = &args.profile {
        let profile = name
            .parse()
            .map_err(|error| PlanError::new(format!("{error}")))?;
        *faults = FaultPlan {
            recovery_limit_ms: faults.recovery_limit_ms,
            explicit: faults.explicit,
            ..FaultPlan::of(profile)
        };
    }
    if let Some(kinds) = &args.faults {
        faults.kinds = kinds_of(kinds)?;
        faults.required = true;
    } else if args.disk_faults {
        let usual = Kind::OF_SOUND_DISKS.map(|kind| (kind, 1));
        faults.kinds.extend(usual);
    }
    set(&mut faults.interval_ms, args.fault_interval);
    set(&mut faults.duration_ms, args.fault_duration);
    set(&mut faults.overlap_max, args.fault_overlap);
    set(&mut faults.recovery_limit_ms, args.recovery_limit);
    Ok(())
}

/// Leaves out the kinds of faults that the system cannot stand; those that were asked for by name are
/// refused.
fn exclude_kinds(plan: &mut Plan) -> Result<(), PlanError> {
    let Ok(definition) = plan.system.definition() else {
        // `validate` says so.
        return Ok(());
    };
    for (kind, reason) in &definition.faults.exclude {
        if plan.faults.kinds.remove(kind).is_some() && plan.faults.required {
            let name = &definition.name;
            let error = PlanError::new(format!("{name} takes no fault {kind}: {reason}"));
            return Err(error.with_hint(format!("leave out {kind}")));
        }
    }
    Ok(())
}

/// `kill,partition:2`: kinds with their weights (where none is said, that of the default profile),
/// or `none`.
fn kinds_of(text: &str) -> Result<BTreeMap<Kind, u32>, PlanError> {
    let usual = Profile::default().kinds();
    let mut kinds = BTreeMap::new();
    let words = text.split(',').map(str::trim);
    for word in words.filter(|word| !word.is_empty() && *word != "none") {
        let (name, weight) = match word.split_once(':') {
            Some((name, weight)) => (name, Some(weight)),
            None => (word, None),
        };
        let kind = Kind::from_str(name).map_err(|error| PlanError::new(error.to_string()))?;
        let usual = usual.get(&kind).copied().unwrap_or(1);
        let weight = weight.map_or(Ok(usual), str::parse).ok();
        let weight = weight.filter(|weight| (1..=100).contains(weight));
        let weight = weight.ok_or_else(|| {
            PlanError::new(format!(
                "--faults has {word:?}, expected a weight of 1 to 100"
            ))
            .with_hint(format!(
                "e.g. {name}:3, which comes three times as often as others"
            ))
        })?;
        kinds.insert(kind, weight);
    }
    Ok(kinds)
}

/// Refuses names that nothing is known by, suggesting the nearest one.
pub(super) fn validate_names(plan: &Plan) -> Result<(), PlanError> {
    match &plan.maelstrom {
        Some(options) => of_maelstrom::validate(plan, options)?,
        None => validate_system_and_workload(plan)?,
    }
    if !plan.check.model.is_empty() {
        ModelKind::from_str(&plan.check.model)
            .map_err(|error| PlanError::new(error.to_string()))?;
    }
    validate_nodes(plan)?;
    plan.schedule
        .validate(&plan.system.nodes, plan.duration_ms)
        .map_err(|error| PlanError::new(error.to_string()))
}

fn validate_system_and_workload(plan: &Plan) -> Result<(), PlanError> {
    let definition = plan.system.definition()?;
    validate_system(plan, &definition)?;
    let workloads = workloads::ALL.map(|workload| workload.name());
    if !workloads.contains(&plan.workload.name.as_str()) {
        return Err(PlanError::unknown(
            "workload",
            &plan.workload.name,
            workloads,
        ));
    }
    if !definition.workloads.contains(&plan.workload.name) {
        return Err(PlanError::new(format!(
            "the definition of {} has no workload `{}`, only {}",
            definition.name,
            plan.workload.name,
            definition.workloads.join(", ")
        )));
    }
    Values::from_str(&plan.workload.values)
        .map(drop)
        .map_err(|error| PlanError::new(error.to_string()))
}

fn validate_nodes(plan: &Plan) -> Result<(), PlanError> {
    let mut names: Vec<&Name> = plan.system.nodes.iter().collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != plan.system.nodes.len() {
        return Err(PlanError::new("`system.nodes` names a node twice"));
    }
    if let Some(name) = names.iter().find(|name| !is_node_name(name)) {
        return Err(PlanError::new(format!(
            "`system.nodes` has the name {name:?}, expected 1 to 32 letters, digits or dashes"
        )));
    }
    Ok(())
}

/// Refuses bugs and options that the system does not have.
fn validate_system(plan: &Plan, definition: &Definition) -> Result<(), PlanError> {
    let is_embedded = definition.program.embedded.is_some();
    for bug in &plan.system.bugs {
        if !is_embedded {
            let error = PlanError::new(format!(
                "`system.bugs`: {} has no bugs to switch on",
                definition.name
            ));
            return Err(error.with_hint("only raft-kv, the embedded system, has"));
        }
        if Bug::from_str(bug).is_err() {
            let error = PlanError::unknown("bug", bug, Bug::ALL.iter().map(|bug| bug.name()));
            return Err(error.or_hint("`whitewater raft-kv --list-bugs` lists them"));
        }
    }
    plan.system.client()?;
    if is_embedded && plan.system.binary.is_none() {
        return raft_kv::cli::check_options(&plan.system.options)
            .map_err(|why| PlanError::new(format!("`system.options`: {why}")));
    }
    if !definition.node.pass_option.is_empty() {
        return Ok(());
    }
    for name in plan.system.options.keys() {
        if !definition.options.contains_key(name) {
            let known = definition.options.keys().map(String::as_str);
            let what = format!("option of {}", definition.name);
            return Err(PlanError::unknown(&what, name, known));
        }
    }
    Ok(())
}

/// Node names become folder names and arguments.
fn is_node_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name != faults::CLIENTS
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

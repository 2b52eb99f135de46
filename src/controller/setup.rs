//! What a run needs before it can start: the nodes, the faults that are possible, the history.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use cluster::remote::{Remote, RemoteNodes};
use cluster::{Addresses, CaptureSpec, Cluster, ClusterSpec, Entrance, Mode, NetworkSpec};
use faults::{Kind, Target};
use histories::{Header, Recorder, RunInfo};

use super::commands::SystemCommands;
use super::driven::Driven;
use super::exits::Exits;
use super::notice::{Failure, UnavailableFault};
use super::system::System;
use crate::plan::{NetworkPlan, Plan};
use crate::store::RunFolder;

/// Starts every node and waits until each serves.
pub(super) fn start_cluster(
    plan: &Plan,
    folder: &RunFolder,
    mode: Mode,
    exits: &Exits,
) -> Result<(System, Driven), String> {
    if !plan.system.is_here() {
        return start_apart(plan, folder, exits);
    }
    let addresses = Addresses::plan(mode, &plan.system.nodes).map_err(|error| error.to_string())?;
    let system = System::new(plan, folder, &addresses)?;
    let nodes = system.nodes()?;
    system.write_files()?;
    let exits = exits.clone();
    let capture = plan.network.pcap.then(|| CaptureSpec {
        path: folder.capture_path(),
        frame_bytes_max: plan.network.pcap_frame_bytes_max,
    });
    if mode == Mode::Plain && plan.network != NetworkPlan::default() {
        return Err(
            "without a sandbox there is no network of our own to capture or to choose \
                    (hint: `whitewater doctor` says what this machine lacks)"
                .to_owned(),
        );
    }
    let spec = ClusterSpec {
        addresses,
        nodes,
        network: NetworkSpec {
            backend: plan.network.backend.into(),
            seed: plan.seed,
            capture,
        },
        disk_faults: plan.disk_faults,
        one_by_one: system.definition.start.one_by_one,
        ready_limit_ms: system.definition.ready.limit_ms,
        on_exit: Arc::new(move |exit| exits.tell(&exit)),
    };
    let cluster = Cluster::start(spec);
    let mut cluster = cluster.map_err(|error| format!("failed to start the cluster: {error}"))?;
    let bootstrapped = cluster.control_entrance().run(|| system.bootstrap());
    bootstrapped.map_err(|error| error.to_string())??;
    let commands = SystemCommands::of(&system, cluster.control_entrance())?;
    if let Some(commands) = commands {
        cluster.set_commands(Box::new(commands));
    }
    Ok((system, Driven::Here(Box::new(cluster))))
}

/// Starts every node on its host or in its container, and waits until each serves.
fn start_apart(plan: &Plan, folder: &RunFolder, exits: &Exits) -> Result<(System, Driven), String> {
    let names = &plan.system.nodes;
    let connected = match &plan.system.docker {
        Some(image) => Remote::contain(image, names),
        None => Remote::connect(&plan.system.hosts, names),
    };
    let (mut remote, places) = connected.map_err(|error| error.to_string())?;
    let (system, programs) = System::apart(plan, &places)?;
    let exits = exits.clone();
    let spec = RemoteNodes {
        nodes: system.remote_nodes(folder)?,
        programs,
        user: system.definition.node.user.clone(),
        one_by_one: system.definition.start.one_by_one,
        ready_limit_ms: system.definition.ready.limit_ms,
        on_exit: Arc::new(move |exit| exits.tell(&exit)),
    };
    let started = remote.start(spec);
    started.map_err(|error| format!("failed to start the cluster: {error}"))?;
    system.bootstrap()?;
    if let Some(commands) = SystemCommands::of(&system, Entrance::plain())? {
        remote.set_commands(Box::new(commands));
    }
    Ok((system, Driven::Apart(Box::new(remote))))
}

/// The kinds of faults that can be injected here, and those that cannot.
///
/// # Errors
/// When one that was asked for, by its name, by a profile's, or by disks, cannot: nobody shall
/// believe that it was tried.
pub(super) fn sort_kinds(
    plan: &Plan,
    target: &dyn Target,
) -> Result<(Vec<Kind>, Vec<UnavailableFault>), Failure> {
    let faults = &plan.faults;
    let (mut available, mut unavailable, mut missed) = (Vec::new(), Vec::new(), None);
    for kind in faults.kinds.keys() {
        let Err(why) = kind.available(target) else {
            available.push(*kind);
            continue;
        };
        if faults.are_asked_for() || plan.disk_faults && kind.needs_disk() {
            missed.get_or_insert_with(|| format!("the fault {kind} is unavailable: {why}"));
        }
        unavailable.push(UnavailableFault {
            kind: kind.to_string(),
            cause: why.cause,
            remedy: why.remedy,
        });
    }
    if let (true, Err(why)) = (plan.disk_faults, target.disks()) {
        missed.get_or_insert_with(|| {
            format!("a disk of its own for each node is unavailable: {why}")
        });
    }
    match missed {
        None => Ok((available, unavailable)),
        Some(missed) if available.is_empty() => Err(Failure::unavailable(missed)),
        Some(missed) => {
            let others: Vec<String> = available.iter().map(Kind::to_string).collect();
            Err(Failure::unavailable(format!(
                "{missed}; without it and its like: --faults {}",
                others.join(",")
            )))
        }
    }
}

/// Starts the history: its time zero is `start`.
pub(super) fn start_recorder(
    plan: &Plan,
    folder: &RunFolder,
    available: &[Kind],
    start: Instant,
) -> Result<Recorder, String> {
    let encoding = plan.history_format.into();
    let path = folder.history_path(encoding);
    let problem = |why: String| format!("failed to record into {}: {why}", path.display());
    let file = File::create(&path).map_err(|error| problem(error.to_string()))?;
    // What was scheduled and can happen: the assumptions are checked against this.
    let planned = |kind: &&Kind| {
        plan.schedule
            .faults
            .iter()
            .any(|planned| planned.action.kind() == **kind)
    };
    let run = RunInfo {
        system: plan.system.name.clone(),
        workload: plan.workload.name.clone(),
        model: plan.check.model.clone(),
        nodes: plan
            .system
            .nodes
            .iter()
            .map(|node| node.to_string())
            .collect(),
        clients: plan.workload.clients,
        faults: available
            .iter()
            .filter(planned)
            .map(|kind| kind.to_string())
            .collect(),
        seed: plan.seed,
    };
    let clock = move || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Recorder::start_as(encoding, file, &Header { run: Some(run) }, clock, None)
        .map_err(|error| problem(error.to_string()))
}

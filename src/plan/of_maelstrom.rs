//! What a plan of Maelstrom's protocol must be, and what is drawn for it.

use std::str::FromStr;

use checkers::Consistency;
use faults::{Action, Direction, Kind, Peers, Schedule};
use maelstrom::{MaelstromOptions, Partitions, workloads};

use super::{Plan, PlanError};

/// The system's name in plans and histories.
pub const SYSTEM: &str = "maelstrom";

/// The kinds of faults that nodes which speak by messages can have.
pub const KINDS: [Kind; 10] = [
    Kind::Partition,
    Kind::Kill,
    Kind::Pause,
    Kind::Loss,
    Kind::Duplicate,
    Kind::Reorder,
    Kind::Delay,
    Kind::Restart,
    Kind::CrashLoop,
    Kind::KillAtStart,
];

/// Refuses what such a run cannot have.
pub(super) fn validate(plan: &Plan, options: &MaelstromOptions) -> Result<(), PlanError> {
    if plan.system.name != SYSTEM {
        let name = &plan.system.name;
        return Err(PlanError::new(format!(
            "`system.name` is {name:?}, expected {SYSTEM:?} beside [maelstrom]"
        )));
    }
    if plan.system.binary.is_none() {
        return Err(PlanError::new("`system.binary` is missing")
            .with_hint("the program that is to run as each node"));
    }
    if workloads::by_name(&plan.workload.name).is_none() {
        let known = workloads::ALL.map(|workload| workload.name());
        return Err(PlanError::unknown("workload", &plan.workload.name, known));
    }
    let strange = plan.faults.kinds.keys().find(|kind| !KINDS.contains(kind));
    if let Some(kind) = strange {
        let known = KINDS.map(Kind::name).join(", ");
        return Err(PlanError::new(format!(
            "the fault {kind} needs more than messages (these do not: {known})"
        )));
    }
    for model in &options.consistency_models {
        if Consistency::from_str(model).is_err() {
            let known = Consistency::ALL.map(Consistency::as_str);
            return Err(PlanError::unknown("consistency model", model, known));
        }
    }
    if let Some(node) = plan.system.nodes.iter().find(|node| is_taken(node)) {
        return Err(PlanError::new(format!(
            "`system.nodes` has the name {node:?}, and names that begin with c are those of \
             clients, {} those of services",
            maelstrom::SERVICES.join(", ")
        )));
    }
    for (field, value, most) in [
        ("latency.mean_ms", options.latency.mean_ms, 3_600_000),
        ("loss_ppm", u64::from(options.loss_ppm), 1_000_000),
        ("max_txn_length", options.max_txn_length, 1_000),
        ("max_writes_per_key", options.max_writes_per_key, 1_000_000),
        ("settle_ms", options.settle_ms, 3_600_000),
        ("init_limit_ms", options.init_limit_ms, 3_600_000),
    ] {
        let least = u64::from(matches!(
            field,
            "max_txn_length" | "max_writes_per_key" | "init_limit_ms"
        ));
        if !(least..=most).contains(&value) {
            return Err(PlanError::new(format!(
                "`maelstrom.{field}` is {value}, expected {least} to {most}"
            )));
        }
    }
    Ok(())
}

fn is_taken(name: &str) -> bool {
    name.starts_with('c') || maelstrom::SERVICES.contains(&name)
}

/// Makes the partitions of a drawn schedule such as were asked for: between nodes, of the
/// directions that the options name.
pub(super) fn shape_partitions(schedule: &mut Schedule, partitions: Partitions) {
    let mut number = 0;
    for planned in &mut schedule.faults {
        let Action::Partition(partition) = &mut planned.action else {
            continue;
        };
        let one_way = match number / 2 % 2 {
            0 => Direction::In,
            _ => Direction::Out,
        };
        partition.direction = match partitions {
            Partitions::BothWays => Direction::Both,
            Partitions::OneWay if number % 2 == 0 => Direction::In,
            Partitions::OneWay => Direction::Out,
            Partitions::Mixed if number % 2 == 0 => one_way,
            Partitions::Mixed => Direction::Both,
        };
        partition.peers = Peers::Nodes;
        partition.flap_period_ms = 0;
        number += 1;
    }
}

//! Why a history is not linearizable, apart from finding out that it is not.
//!
//! First the shortest bad prefix, then a small core of it that is bad by itself, confirmed by the
//! [`oracle`](crate::oracle), then sentences about the core.

mod lanes;
mod reasons;
mod shrink;

use histories::{Operation, Outcome, Value};

pub use lanes::lanes;

use crate::limits::{Budget, Limits};
use crate::linearizability::{disagreement, name_of, violated};
use crate::oracle::{self, Interval};
use crate::search::Problem;
use crate::{Cancel, Check, CoreOperation, Counterexample, Model};

/// How long shrinking may take.
const TIME_MS_MAX: u64 = 10_000;
/// Sets of placed operations the oracle may look at.
const ORACLE_NODES_MAX: u64 = 500_000;

/// What was found out about a violation.
pub(crate) struct Explained<'m, M: Model> {
    /// Not linearizable by itself.
    core: Problem<'m, M>,
    /// Whether every further weakening was tried and is linearizable.
    minimal: bool,
    /// What the oracle says of the core, when it could be asked.
    oracle: Option<bool>,
    prefix_events: u64,
}

/// Finds a few operations that contradict each other, given that no configuration is left at
/// `event`, and that it took so many `nodes` to see that.
pub(crate) fn explain<'m, M: Model>(
    problem: &Problem<'m, M>,
    event: usize,
    nodes: u64,
    limits: &Limits,
    cancel: &Cancel,
) -> Explained<'m, M> {
    // Linearizability is closed under prefixes, and the engines look no further ahead than the
    // return at which no configuration is left: up to there is the shortest bad prefix.
    let prefix = problem.weakened(event + 1, |_| true);
    let limits = Limits {
        time_ms: limits.time_ms.min(TIME_MS_MAX),
        ..*limits
    };
    let shrunk = shrink::shrink(prefix, nodes, &Budget::new(&limits, cancel));
    let oracle = ask_oracle(&shrunk.core);
    Explained {
        core: shrunk.core,
        minimal: shrunk.minimal,
        oracle,
        prefix_events: event as u64 + 1,
    }
}

/// The explanation in terms of the recorded operations: the check, and the counterexample.
///
/// When the oracle finds an order for what the engines say has none, nothing is known.
pub(crate) fn present<M: Model>(
    operations: &[Operation],
    key: Option<&Value>,
    explained: &Explained<'_, M>,
) -> (Check, Option<Counterexample>) {
    let core = &explained.core;
    if explained.oracle == Some(true) {
        let reason = format!(
            "{}the search and the exhaustive search disagree about {} operations",
            name_of(key),
            core.calls.len()
        );
        return (disagreement(reason), None);
    }
    let culprit = core.moments.last().map_or(0, |moment| moment.call as usize);
    let recorded: Vec<CoreOperation> = core
        .calls
        .iter()
        .map(|call| {
            let operation = operations[call.source as usize].clone();
            let weakened = call.open && operation.outcome == Outcome::Ok;
            CoreOperation {
                operation,
                weakened,
            }
        })
        .collect();
    let explanation = reasons::reasons(core, operations, key);
    let reason = match recorded.get(culprit) {
        Some(culprit_op) => format!(
            "{}no order of the operations explains the {} by {}",
            name_of(key),
            core.model
                .describe(&core.classes[core.calls[culprit].class as usize]),
            reasons::who(&culprit_op.operation)
        ),
        None => format!("{}no order of the operations explains them", name_of(key)),
    };
    let counterexample = Counterexample {
        key: key.filter(|key| !key.is_nil()).cloned(),
        core: recorded,
        culprit,
        any_start: core.starts.len() > 1,
        prefix_events: explained.prefix_events,
        confirmed: explained.oracle == Some(false),
        minimal: explained.minimal,
        explanation,
    };
    (violated(reason), Some(counterexample))
}

/// Whether the oracle finds an order from any of the states the problem may start with.
fn ask_oracle<M: Model>(problem: &Problem<'_, M>) -> Option<bool> {
    let intervals = intervals(problem);
    let nodes_max = ORACLE_NODES_MAX / problem.starts.len().max(1) as u64;
    let mut found = Some(false);
    for start in &problem.starts {
        match oracle::is_linearizable(problem.model, start, &intervals, nodes_max) {
            Some(false) => {}
            Some(true) => return Some(true),
            None => found = None,
        }
    }
    found
}

/// The calls of a problem with their times, for the oracle.
pub(crate) fn intervals<M: Model>(problem: &Problem<'_, M>) -> Vec<Interval<M::Op>> {
    let mut intervals: Vec<Interval<M::Op>> = problem
        .calls
        .iter()
        .map(|call| {
            let op = problem.classes[call.class as usize].clone();
            Interval {
                op,
                begins: 0,
                ends: None,
            }
        })
        .collect();
    for (position, moment) in problem.moments.iter().enumerate() {
        let interval = &mut intervals[moment.call as usize];
        match moment.returns {
            true => interval.ends = Some(position as u64),
            false => interval.begins = position as u64,
        }
    }
    intervals
}

#[cfg(test)]
mod tests;

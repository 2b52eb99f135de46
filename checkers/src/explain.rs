//! Why a history is not linearizable, apart from finding out that it is not.
//!
//! First whether it shows on one thing alone (`aspect`), then the shortest bad prefix, then a small core of it that is bad by itself, confirmed by the
//! [`oracle`](crate::oracle), then sentences about the core.

mod aspect;
mod lanes;
mod place;
mod reasons;
mod shrink;

use histories::{Operations, Outcome, Value};

pub use lanes::lanes;

use shrink::Shrunk;

use crate::dispatch::{self, Violation};
use crate::limits::{Budget, Limits};
use crate::linearizability::{disagreement, name_of, violated};
use crate::oracle::{self, Interval};
use crate::registers::{self, Excerpt};
use crate::search::{self, Decision, Problem};
use crate::subject::Subject;
use crate::{Cancel, Check, CoreOperation, Counterexample, Model};

/// How long shrinking may take.
const TIME_MS_MAX: u64 = 10_000;
/// Sets of placed operations the oracle may look at.
const ORACLE_NODES_MAX: u64 = 500_000;
/// What the search may do to confirm and to shrink further what a faster engine found.
const CONFIRM_NODES_MAX: u64 = 1_000_000;

/// What was found out about a violation.
pub(crate) struct Explained<'m, M: Model> {
    /// Not linearizable by itself, says the search.
    core: Problem<'m, M>,
    /// Whether every further weakening was tried and is linearizable.
    minimal: bool,
    /// What the oracle says of the core when it could be asked, else whether the search found an
    /// order after all.
    oracle: Option<bool>,
    prefix_events: u64,
}

/// Finds a few operations that contradict each other.
pub(crate) fn explain<'m, M: Model>(
    model: &'m M,
    operations: &Operations<'_>,
    subject: &Subject<M::Op>,
    violation: Violation,
    limits: &Limits,
    cancel: &Cancel,
) -> Explained<'m, M> {
    let limits = Limits {
        time_ms: limits.time_ms.min(TIME_MS_MAX),
        ..*limits
    };
    let budget = Budget::new(&limits, cancel);
    let (shrunk, event) =
        match aspect::of_one_thing(model, operations, subject, &violation, &budget) {
            Some((seen, found)) => {
                let (shrunk, event) = core_of(model, operations, &seen, &found, &budget);
                let event = event.and_then(|event| aspect::moment_of(&seen, event, subject));
                (shrunk, violation.event.or(event))
            }
            None => core_of(model, operations, subject, &violation, &budget),
        };
    let oracle = ask_oracle(&shrunk.core).or(shrunk.contradicted.then_some(true));
    Explained {
        core: shrunk.core,
        minimal: shrunk.minimal,
        oracle,
        prefix_events: event.map_or(subject.moments().len(), |event| event + 1) as u64,
    }
}

/// A core, and the return with which the shortest prefix without an order ends, where known.
fn core_of<'m, M: Model>(
    model: &'m M,
    operations: &Operations<'_>,
    subject: &Subject<M::Op>,
    violation: &Violation,
    budget: &Budget,
) -> (Shrunk<Problem<'m, M>>, Option<usize>) {
    let registers = subject.registers(model).filter(|_| violation.in_registers);
    match registers {
        Some(seen) => {
            let whole = Excerpt::whole(seen.history.into_owned(), subject.names_states(model));
            let likely = || dispatch::likely_event(model, &subject.part(model, operations), budget);
            let (core, event) = of_registers(whole, violation, likely, budget);
            let problem = subject.excerpt(model, operations, &core);
            (again(problem, budget), event)
        }
        None => of_model(model, operations, subject, violation, budget),
    }
}

/// A core of a register, and the return with which the shortest prefix without an order ends, where
/// known. `likely` says where the history probably goes wrong.
fn of_registers(
    whole: Excerpt,
    violation: &Violation,
    likely: impl FnOnce() -> Option<usize>,
    budget: &Budget,
) -> (Excerpt, Option<usize>) {
    let nodes = violation.nodes;
    let hint = violation.hint.as_deref();
    let event = violation
        .event
        .or_else(|| registers::shortest_bad_prefix(&whole.history, budget));
    let shrunk = match (event, hint) {
        (None, None) => {
            let window = place::bad_window(&whole, budget);
            let by_itself = window.map(|window| shrink::shrink_all(window, nodes, budget));
            let near = || {
                let upto = whole.weakened(likely()? + 1, |_| true);
                shrink::shrink_end(&upto, nodes, budget)
            };
            match by_itself {
                Some(by_itself) => Some(by_itself.or_smaller(near)),
                None => near(),
            }
        }
        _ => None,
    };
    let shrunk = shrunk.unwrap_or_else(|| shrink::shrink(whole, event, hint, nodes, budget));
    (shrunk.core, event)
}

/// The same by the search of the model itself.
fn of_model<'m, M: Model>(
    model: &'m M,
    operations: &Operations<'_>,
    subject: &Subject<M::Op>,
    violation: &Violation,
    budget: &Budget,
) -> (Shrunk<Problem<'m, M>>, Option<usize>) {
    let part = subject.part(model, operations);
    let excised = violation.excised;
    if let Some(local) = excised.and_then(|excised| excised.of(&part.problem(model, true))) {
        return (again(local, budget), violation.event);
    }
    let whole = part.problem(model, false);
    let hint = violation.hint.as_deref();
    let (near, event) = match violation.event {
        Some(event) => (Some(event), Some(event)),
        None => {
            let bad = place::first_bad_return(&whole, hint, budget);
            let first = bad.filter(|bad| bad.is_first);
            (bad.map(|bad| bad.position), first.map(|bad| bad.position))
        }
    };
    let shrunk = shrink::shrink(whole, near, hint, violation.nodes, budget);
    (shrunk, event)
}

/// What other engines made small, made as small as the search of the model itself can make it.
fn again<'m, M: Model>(problem: Problem<'m, M>, budget: &Budget) -> Shrunk<Problem<'m, M>> {
    let budget = budget.with_nodes(CONFIRM_NODES_MAX);
    match search::decide(&problem, &budget) {
        (Decision::NotLinearizable { event }, nodes) => {
            shrink::shrink(problem, Some(event), None, nodes, &budget)
        }
        // Linearizable after all? The oracle has the last word, where it can be asked; else two
        // engines contradict each other.
        (decision, _) => Shrunk {
            core: problem,
            minimal: false,
            contradicted: decision == Decision::Linearizable,
        },
    }
}

/// The explanation in terms of the recorded operations: the check, and the counterexample.
///
/// When the oracle finds an order for what the engines say has none, nothing is known.
pub(crate) fn present<M: Model>(
    operations: &Operations<'_>,
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
            let operation = operations.get(call.source as usize);
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
        any_start: core.starts.len() > 1 || core.pinned.is_some(),
        prefix_events: explained.prefix_events,
        confirmed: explained.oracle == Some(false),
        minimal: explained.minimal,
        explanation,
        guarantees: None,
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

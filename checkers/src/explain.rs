//! Why a history is not linearizable, apart from finding out that it is not.

use histories::{Operation, Value};

use crate::limits::Limits;
use crate::linearizability::{name_of, violated};
use crate::search::Problem;
use crate::{Cancel, Check, CoreOperation, Counterexample, Model};

/// What was found out about a violation.
#[derive(Debug)]
pub(crate) struct Explained<'m, M: Model> {
    /// A problem that is not linearizable by itself, made from the given one by weakening.
    pub core: Problem<'m, M>,
    /// The call of `core` that cannot be placed.
    pub culprit: u32,
    pub prefix_events: u64,
}

/// Finds the operations that contradict each other.
pub(crate) fn explain<'m, M: Model>(
    problem: &Problem<'m, M>,
    event: usize,
    _nodes: u64,
    _limits: &Limits,
    _cancel: &Cancel,
) -> Explained<'m, M> {
    // Linearizability is closed under prefixes, and the engines look no further than the return
    // at which no configuration is left: up to there is the shortest bad prefix.
    let core = problem.weakened(event + 1, |_| true);
    let culprit = core.moments.last().map_or(0, |moment| moment.call);
    Explained {
        core,
        culprit,
        prefix_events: event as u64 + 1,
    }
}

/// The explanation in terms of the recorded operations.
pub(crate) fn present<M: Model>(
    problem: &Problem<'_, M>,
    operations: &[Operation],
    key: Option<&Value>,
    explained: Explained<'_, M>,
) -> (Check, Option<Counterexample>) {
    let core: Vec<CoreOperation> = explained
        .core
        .calls
        .iter()
        .map(|call| {
            let operation = operations[call.source as usize].clone();
            let weakened = call.open && operation.outcome == histories::Outcome::Ok;
            CoreOperation {
                operation,
                weakened,
            }
        })
        .collect();
    let culprit = &core[explained.culprit as usize].operation;
    let class = explained.core.calls[explained.culprit as usize].class;
    let reason = format!(
        "{}no order explains the {} by process {}",
        name_of(key),
        problem.model.describe(&problem.classes[class as usize]),
        culprit.process
    );
    let counterexample = Counterexample {
        key: key.cloned().filter(|key| !key.is_nil()),
        core,
        culprit: explained.culprit as usize,
        prefix_events: explained.prefix_events,
        confirmed: false,
        minimal: false,
        explanation: vec![reason.clone()],
    };
    (violated(reason), Some(counterexample))
}

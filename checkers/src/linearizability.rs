//! The check: normalise, dispatch each part to the engines, combine, explain.

use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use histories::{Operations, Value};
use rustc_hash::FxHashSet;

use crate::columns;
use crate::dispatch::{self, Finding};
use crate::explain;
use crate::limits::{Budget, Exhausted};
use crate::model::brief;
use crate::models::{InitialError, ModelKind, ModelOptions, Visitor};
use crate::normalise;
use crate::subject::Subject;
use crate::words::amount;
use crate::{Cancel, Check, Counterexample, Limits, Model, ModelError, Verdict, weaker};

const NAME: &str = "linearizability";
/// How many undecided keys are named.
const UNDECIDED_SHOWN_MAX: usize = 10;

/// What the check for linearizability says.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The verdict, with its reason.
    pub check: Check,
    /// How many operations there were, failed ones included.
    pub operations: u64,
    /// How many parts (keys) were judged on their own.
    pub keys: u64,
    /// The operations that contradict each other, when there are some.
    pub counterexample: Option<Counterexample>,
}

/// Why a history cannot be judged by a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// An operation means nothing to the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The initial value means nothing to the model.
    #[error(transparent)]
    Initial(#[from] InitialError),
}

/// Whether some order of the operations, each at one instant between its invocation and its
/// completion, explains everything that was observed (Herlihy and Wing, 1990).
///
/// Operations of outcome `Fail` did not happen; those of outcome `Info` may take effect at any
/// time after their invocation, or never. A history without operations is linearizable: whether
/// it shows anything is for [`crate::assumptions`] to say.
///
/// # Errors
///
/// When an operation, or the initial value, means nothing to the model.
pub fn linearizability(
    operations: &Operations<'_>,
    options: &ModelOptions,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Judgement, JudgeError> {
    if let Some(register) = options.plain_register()
        && let Some(parts) = columns::register_parts(operations, &register)
    {
        let model = register.model();
        let subjects = parts.into_iter().map(Subject::Register).collect();
        return Ok(judge(&model, operations, subjects, limits, cancel));
    }
    let judged = options.visit(Judge {
        operations,
        limits,
        cancel,
    })?;
    Ok(judged?)
}

/// Judges by whichever model it is.
struct Judge<'a> {
    operations: &'a Operations<'a>,
    limits: &'a Limits,
    cancel: &'a Cancel,
}

impl Visitor for Judge<'_> {
    type Output = Result<Judgement, ModelError>;

    fn visit<M: Model>(self, model: &M) -> Self::Output {
        linearizability_of(model, self.operations, self.limits, self.cancel)
    }
}

/// The same for any model.
///
/// # Errors
///
/// When an operation means nothing to the model.
pub fn linearizability_of<M: Model>(
    model: &M,
    operations: &Operations<'_>,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Judgement, ModelError> {
    let parts = normalise::parts(model, operations)?;
    let subjects = parts.into_iter().map(Subject::Part).collect();
    Ok(judge(model, operations, subjects, limits, cancel))
}

/// Decides every part, and makes one judgement of it.
fn judge<M: Model>(
    model: &M,
    operations: &Operations<'_>,
    parts: Vec<Subject<M::Op>>,
    limits: &Limits,
    cancel: &Cancel,
) -> Judgement {
    let budget = Budget::new(limits, cancel);
    let mut decided = decide_all(model, operations, &parts, limits, &budget);
    decided.sort_unstable_by_key(|decided| decided.part);
    let mut judgement = Judgement {
        check: Check::valid(NAME),
        operations: operations.len() as u64,
        keys: parts.len() as u64,
        counterexample: None,
    };
    let violated: Vec<usize> = decided
        .iter()
        .filter(|decided| matches!(decided.finding, Finding::Violated(_)))
        .map(|decided| decided.part)
        .collect();
    let first = decided.iter_mut().find_map(|decided| {
        let finding = std::mem::replace(&mut decided.finding, Finding::Linearizable);
        match finding {
            Finding::Violated(violation) => Some((decided.part, violation)),
            other => {
                decided.finding = other;
                None
            }
        }
    });
    if let Some(contradiction) = contradiction(&parts, &decided) {
        judgement.check = contradiction;
    } else if let Some((part, violation)) = first {
        let part = &parts[part];
        let explained = explain::explain(model, operations, part, violation, limits, cancel);
        (judgement.check, judgement.counterexample) =
            explain::present(operations, part.key(), &explained);
        if let Some(found) = &mut judgement.counterexample {
            found.guarantees = weaker::guarantees(model, operations, part, limits, cancel);
        }
        judgement.check.details.extend(others(&parts, &violated));
    } else if let Some(check) = undecided(model.name(), operations, &parts, &decided, limits) {
        judgement.check = check;
    }
    judgement
}

/// What was decided of one part.
struct Decided {
    part: usize,
    finding: Finding,
}

/// Decides the parts side by side, the largest first; all stop at the first violation, unless all
/// violations are wanted.
fn decide_all<M: Model>(
    model: &M,
    operations: &Operations<'_>,
    parts: &[Subject<M::Op>],
    limits: &Limits,
    budget: &Budget,
) -> Vec<Decided> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&part| std::cmp::Reverse(parts[part].operations()));
    let alone = parts.len() == 1 && limits.threads != 1;
    let taken = AtomicUsize::new(0);
    let decided = Mutex::new(Vec::with_capacity(parts.len()));
    let work = || {
        while let Some(&part) = order.get(taken.fetch_add(1, Ordering::Relaxed)) {
            let finding = match budget.check() {
                Ok(()) => dispatch::decide(model, operations, &parts[part], budget, alone),
                Err(limit) => Finding::Undecided { limit, event: 0 },
            };
            if matches!(finding, Finding::Violated(_)) && !limits.all {
                budget.stop();
            }
            if let Ok(mut decided) = decided.lock() {
                decided.push(Decided { part, finding });
            }
        }
    };
    // One part needs no pool; and where the system gives no threads, this one does it all.
    let pool = (parts.len() > 1).then(|| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(limits.threads)
            .build()
    });
    match pool {
        Some(Ok(pool)) => {
            pool.broadcast(|_| work());
        }
        Some(Err(_)) | None => work(),
    }
    decided.into_inner().unwrap_or_default()
}

/// That engines contradict each other about a part, where they do.
fn contradiction<Op: Clone + Eq + std::hash::Hash>(
    parts: &[Subject<Op>],
    decided: &[Decided],
) -> Option<Check> {
    decided.iter().find_map(|decided| match decided.finding {
        Finding::Disagreement(who) => {
            let key = name_of(parts[decided.part].key());
            Some(disagreement(format!("{key}{who} contradict each other")))
        }
        _ => None,
    })
}

/// The other keys in violation, of which no counterexample is given.
fn others<Op: Clone + Eq + std::hash::Hash>(
    parts: &[Subject<Op>],
    violated: &[usize],
) -> Vec<String> {
    let also = violated.iter().skip(1);
    also.map(|&part| format!("{}not linearizable either", name_of(parts[part].key())))
        .collect()
}

/// What is not known, when something is not: a part that was lost counts as not known.
fn undecided<Op: Clone + Eq + std::hash::Hash>(
    model: &str,
    operations: &Operations<'_>,
    parts: &[Subject<Op>],
    decided: &[Decided],
    limits: &Limits,
) -> Option<Check> {
    let stuck: Vec<(usize, Exhausted, usize)> = decided
        .iter()
        .filter_map(|decided| match decided.finding {
            Finding::Undecided { limit, event } => Some((decided.part, limit, event)),
            _ => None,
        })
        .collect();
    let lost = parts.len() - decided.len();
    if stuck.is_empty() && lost == 0 {
        return None;
    }
    let details = stuck
        .iter()
        .take(UNDECIDED_SHOWN_MAX)
        .map(|&(part, _, event)| progress(operations, &parts[part], event))
        .collect();
    let unknown = stuck.len() + lost;
    let of = match parts.len() {
        1 => String::new(),
        keys => format!(" with {unknown} of {keys} keys undecided"),
    };
    let limit = stuck
        .first()
        .map_or(Exhausted::Cancelled, |(_, limit, _)| *limit);
    // What was left out for lack of either can make a search need many times as much.
    let easier = ModelKind::from_str(model).ok().map(ModelKind::is_easy_with);
    let easier = easier.unwrap_or("fewer clients at once and fewer unknown outcomes");
    let (reason, hint) = match limit {
        Exhausted::Time => (
            format!("the time limit of {} was reached{of}", time(limits.time_ms)),
            format!(
                "a higher time limit (--check-time) may decide it; what surely is easier: {easier}"
            ),
        ),
        Exhausted::Memory => (
            format!(
                "the memory limit of {} MiB was reached{of}",
                limits.memory_bytes >> 20
            ),
            format!(
                "a higher memory limit (--check-memory) may decide it; what surely is easier: {easier}"
            ),
        ),
        Exhausted::Nodes | Exhausted::Cancelled => (
            format!("the check was cancelled{of}"),
            "check the recorded history again".to_owned(),
        ),
    };
    Some(
        Check::unknown(NAME, reason)
            .with_hint(hint)
            .with_details(details),
    )
}

/// A time limit as a person says it.
fn time(time_ms: u64) -> String {
    match time_ms % 1000 {
        0 => format!("{} s", time_ms / 1000),
        _ => format!("{time_ms} ms"),
    }
}

/// How far the search of one part came.
fn progress<Op: Clone + Eq + std::hash::Hash>(
    operations: &Operations<'_>,
    part: &Subject<Op>,
    event: usize,
) -> String {
    let key = name_of(part.key());
    let total = part.operations();
    let (before, after) = part.moments().split_at(event.min(part.moments().len()));
    if before.is_empty() {
        return format!("{key}not begun ({})", amount(total as u64, "operation"));
    }
    let returned = before.iter().filter(|moment| *moment & 1 == 1).count();
    let begun: FxHashSet<u32> = before.iter().map(|moment| moment >> 1).collect();
    let returns = after.iter().filter(|moment| *moment & 1 == 1);
    let under_way = returns
        .filter(|moment| begun.contains(&(*moment >> 1)))
        .count();
    let unknown = before.len() - 2 * returned - under_way;
    let stuck = after.first().map(|moment| {
        let source = part.source(moment >> 1);
        let operation = operations.packed(source as usize);
        format!(
            "; stuck where operation {} of process {} {}, with {under_way} under way and {unknown} of \
             unknown outcome",
            operation.invoked.index,
            operation.process,
            if moment & 1 == 1 { "ends" } else { "begins" },
        )
    });
    format!(
        "{key}linearizable as far as {returned} of {total} operations have ended{}",
        stuck.unwrap_or_default()
    )
}

/// How messages begin that are about one part.
pub(crate) fn name_of(key: Option<&Value>) -> String {
    match key {
        None | Some(Value::Nil) => String::new(),
        // Where parts are joined, it lists their keys.
        Some(key) => format!("key {}: ", brief(&key.to_string())),
    }
}

/// A check that found a violation.
pub(crate) fn violated(reason: String) -> Check {
    Check {
        verdict: Verdict::Invalid,
        ..Check::invalid(NAME, reason)
    }
}

/// A check whose engines contradict each other.
pub(crate) fn disagreement(reason: String) -> Check {
    Check::unknown(NAME, reason).with_hint("this is a defect of the checker: please report it")
}

#[cfg(test)]
mod tests;

//! Whether a history has anything to show at all: nothing empty, idle or undisturbed is valid.

use histories::{FaultSpan, Operation, Operations, Outcome, RunInfo, Value};
use rustc_hash::FxHashMap;

use crate::Check;
use crate::words::amount;

const NAME: &str = "assumptions";

/// How clients must have met for a history to show anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Contention {
    /// Two of them had operations on one key under way together, one an update.
    #[default]
    Together,
    /// Two of them had operations on one key, one an update, where there were two: for runs of few
    /// operations a second, in which hardly any two meet, and what one sees of the other's earlier
    /// ones is judged.
    InTurn,
}

/// Checks that the history could have shown a violation.
///
/// For every history: some operation was acknowledged. For one that Whitewater recorded (`run` is
/// there), besides: some update was acknowledged, clients met on a key as asked for, and of every
/// kind of fault that was scheduled one took effect, by its evidence, while an operation was under
/// way. Foreign histories say nothing of faults, so nothing is asked of them.
pub fn assumptions(
    operations: &Operations<'_>,
    faults: &[FaultSpan],
    run: Option<&RunInfo>,
    contention: Contention,
) -> Check {
    if operations.is_empty() {
        return Check::unknown(NAME, "the history has no operations");
    }
    let is_ok = |number: &usize| operations.outcome(*number).0 == Outcome::Ok;
    let mut acknowledged = (0..operations.len()).filter(is_ok);
    if acknowledged.next().is_none() {
        let reason = match operations.len() {
            1 => "the only operation was not acknowledged".to_owned(),
            count => format!("none of the {count} operations was acknowledged"),
        };
        return Check::unknown(NAME, reason);
    }
    let Some(run) = run else {
        return Check::valid(NAME);
    };
    let mut problems = Vec::new();
    if !operations
        .iter()
        .filter(|operation| operation.outcome == Outcome::Ok)
        .any(|operation| is_effective_update(&operation))
    {
        let count = 1 + acknowledged.count() as u64;
        problems.push(format!(
            "no update among {}",
            amount(count, "acknowledged operation")
        ));
    }
    let uncontended = match contention {
        Contention::Together if !is_contended(operations) => {
            Some("no two processes had operations on one key under way together, one an update")
        }
        Contention::InTurn if run.clients > 1 && !is_shared(operations) => {
            Some("no two processes had operations on one key, one an update")
        }
        _ => None,
    };
    problems.extend(uncontended.map(str::to_owned));
    problems.extend(
        run.faults
            .iter()
            .filter_map(|kind| missing(kind, faults, operations)),
    );
    problems.extend(faults.iter().filter_map(never_begun));
    let details = faults.iter().filter_map(without_effect).collect();
    match problems.is_empty() {
        true => Check::valid(NAME),
        false => Check::unknown(NAME, problems.join("; ")).with_hint(
            "a longer run, fewer keys or more clients give the system more chances to fail",
        ),
    }
    .with_details(details)
}

/// Why a scheduled kind of fault proves nothing; `None` when it did its part.
fn missing(kind: &str, faults: &[FaultSpan], operations: &Operations<'_>) -> Option<String> {
    let of_kind: Vec<&FaultSpan> = faults.iter().filter(|span| &*span.kind == kind).collect();
    let injected: Vec<&FaultSpan> = of_kind
        .iter()
        .copied()
        .filter(|span| span.inject.is_some())
        .collect();
    let effective: Vec<&FaultSpan> = injected
        .iter()
        .copied()
        .filter(|span| span.effective == Some(true))
        .collect();
    if of_kind.is_empty() {
        Some(format!("the fault {kind} was scheduled but never happened"))
    } else if injected.is_empty() {
        Some(format!(
            "the fault {kind} was tried {} times and never injected",
            of_kind.len()
        ))
    } else if effective.is_empty() {
        Some(format!(
            "the fault {kind} was injected {} times and nothing shows that it had an effect",
            injected.len()
        ))
    } else if !effective.iter().any(|span| overlaps_any(span, operations)) {
        Some(format!(
            "the fault {kind} was in force only while no operation was under way"
        ))
    } else {
        None
    }
}

fn overlaps_any(span: &FaultSpan, operations: &Operations<'_>) -> bool {
    let Some(inject) = span.inject else {
        return false;
    };
    operations.iter().any(|operation| {
        span.heal
            .is_none_or(|heal| operation.invoked.index < heal.index)
            && operation
                .ended
                .is_none_or(|ended| inject.index < ended.index)
    })
}

/// Names a single fault that was asked for at a condition which never came.
fn never_begun(span: &FaultSpan) -> Option<String> {
    match (&span.begin, &span.error) {
        (None, Some((_, why))) => Some(format!(
            "fault {} ({}) never began: {}",
            span.id,
            span.kind,
            errors(why)
        )),
        _ => None,
    }
}

/// The errors that an event's evidence lists, in words.
fn errors(evidence: &Value) -> String {
    let listed = evidence
        .get("errors")
        .and_then(Value::as_list)
        .unwrap_or(&[]);
    let texts: Vec<&str> = listed.iter().filter_map(Value::as_text).collect();
    match texts.is_empty() {
        true => evidence.to_string(),
        false => texts.join("; "),
    }
}

/// Names a single fault that did nothing.
fn without_effect(span: &FaultSpan) -> Option<String> {
    if never_begun(span).is_some() {
        return None;
    }
    let targets: Vec<&str> = span.targets.iter().map(|target| &**target).collect();
    let name = format!(
        "fault {} ({} on {})",
        span.id,
        span.kind,
        targets.join(", ")
    );
    if let Some((_, why)) = &span.error {
        Some(format!("{name} failed: {}", errors(why)))
    } else if span.effective == Some(false) {
        let evidence = if span.heal_evidence.is_nil() {
            &span.inject_evidence
        } else {
            &span.heal_evidence
        };
        Some(format!("{name} had no effect: {evidence}"))
    } else {
        None
    }
}

/// Whether two operations of different processes on one key overlapped, one of them an update.
///
/// An operation of unknown outcome counts only until its client gave up.
fn is_contended(operations: &Operations<'_>) -> bool {
    // For each key: the operation, and the update, that ends last of those begun so far.
    let mut latest: FxHashMap<Option<Value>, [Option<Span>; 2]> = FxHashMap::default();
    for operation in operations.iter() {
        if operation.outcome == Outcome::Fail {
            continue;
        }
        let updates = is_update(&operation);
        let end = operation.ended.map_or(u64::MAX, |ended| ended.index);
        let span = (operation.process, end);
        let [any, update] = latest.entry(operation.key).or_default();
        let rival = if updates { *any } else { *update };
        if rival.is_some_and(|(process, end)| {
            process != operation.process && end > operation.invoked.index
        }) {
            return true;
        }
        if any.is_none_or(|(_, held)| held < end) {
            *any = Some(span);
        }
        if updates && update.is_none_or(|(_, held)| held < end) {
            *update = Some(span);
        }
    }
    false
}

/// Whether two processes had operations on one key, one an update.
fn is_shared(operations: &Operations<'_>) -> bool {
    // For each key: one of the processes, and whether there was an update.
    let mut seen: FxHashMap<Option<Value>, (u64, bool, bool)> = FxHashMap::default();
    operations.iter().any(|operation| {
        let updates = is_update(&operation);
        let (process, is_shared, is_updated) =
            seen.entry(operation.key)
                .or_insert((operation.process, false, false));
        *is_shared |= *process != operation.process;
        *is_updated |= updates;
        *is_shared && *is_updated
    })
}

/// A process, and the index at which its operation ended.
type Span = (u64, u64);

/// Whether the operation is one that can change something, by the names all models share.
fn is_update(operation: &Operation) -> bool {
    match &*operation.f {
        "read" | "get" | "contains" | "leader" | "watch" => false,
        "txn" => operation.input.as_list().is_none_or(|steps| {
            steps.iter().any(|step| {
                let f = step
                    .as_list()
                    .and_then(|step| step.first())
                    .and_then(Value::as_text);
                !matches!(f, Some("read" | "r"))
            })
        }),
        _ => true,
    }
}

/// Whether an acknowledged operation changed something: a cas that found another value did not.
fn is_effective_update(operation: &Operation) -> bool {
    is_update(operation) && operation.output != Value::Bool(false)
}

#[cfg(test)]
mod tests;

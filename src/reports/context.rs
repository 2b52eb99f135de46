//! What went on around an operation: the faults in force, and who led.

use histories::{FaultSpan, History, Operation, Value};

use crate::judge::LEADER;

/// The faults in force at some moment between two indexes of the history.
pub fn faults_between(faults: &[FaultSpan], from_index: u64, to_index: u64) -> Vec<&FaultSpan> {
    faults
        .iter()
        .filter(|fault| {
            fault.inject.is_some_and(|inject| inject.index <= to_index)
                && fault.heal.is_none_or(|heal| heal.index >= from_index)
        })
        .collect()
}

/// A fault in words: `partition leader-alone on n3, 4.20 s to 6.01 s`.
pub fn describe_fault(fault: &FaultSpan) -> String {
    let shape = fault.parameters.get("shape").and_then(Value::as_text);
    let shape = shape.map_or_else(String::new, |shape| format!(" {shape}"));
    let targets: Vec<&str> = fault.targets.iter().map(|name| &**name).collect();
    let seconds = |time_ns: u64| format!("{:.2} s", time_ns as f64 / 1e9);
    let from = fault
        .inject
        .map_or_else(|| "never".to_owned(), |point| seconds(point.time_ns));
    let to = fault
        .heal
        .map_or_else(|| "the end".to_owned(), |point| seconds(point.time_ns));
    format!(
        "{}{shape} on {}, {from} to {to}",
        fault.kind,
        targets.join(" ")
    )
}

/// Who led when, as far as the controller could tell: time in nanoseconds, node, term.
pub fn leaders(history: &History) -> Vec<(u64, String, i64)> {
    history
        .events
        .nemesis()
        .filter(|event| &*event.f == LEADER)
        .filter_map(|event| {
            let leader = event.value.get("leader")?.as_text()?.to_owned();
            Some((event.time_ns, leader, event.value.get("term")?.as_int()?))
        })
        .collect()
}

/// The leader at a time, with its term.
pub fn leader_at(leaders: &[(u64, String, i64)], time_ns: u64) -> Option<(&str, i64)> {
    let (_, leader, term) = leaders
        .iter()
        .rev()
        .find(|(since_ns, _, _)| *since_ns <= time_ns)?;
    Some((leader, *term))
}

/// An operation in words: `read → 5`, `write 5`, `cas 5 to 6 → true`, `pop → nil`, `acquire → 7`. Of what only
/// says that it was done the answer is left out.
pub fn describe_operation(operation: &Operation) -> String {
    let input = match (&*operation.f, &operation.input) {
        ("cas", Value::List(pair)) if pair.len() == 2 => format!(" {} to {}", pair[0], pair[1]),
        (_, Value::Nil) => String::new(),
        (_, input) => format!(" {input}"),
    };
    let asks = matches!(
        &*operation.f,
        "read" | "get" | "cas" | "txn" | "contains" | "pop" | "remove-min" | "dequeue"
    );
    let output = &operation.output;
    let is_plain = matches!(output, Value::Nil | Value::Bool(true)) || *output == operation.input;
    let output = match operation.outcome {
        histories::Outcome::Ok if asks || !is_plain => format!(" → {output}"),
        _ => String::new(),
    };
    format!("{}{input}{output}", operation.f)
}

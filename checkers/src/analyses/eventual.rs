//! Sets that become the same everywhere in time: what anybody knows is known to all in the end.
//!
//! Only the last reads count: those that began after the nodes were left alone for a while, or,
//! where the history does not say when that was, after every acknowledged add had ended.

use std::collections::BTreeMap;

use histories::{Operation, Value};
use rustc_hash::{FxHashMap, FxHashSet};

use super::tally::Tally;
use super::{by_key, done_at, is_ok, may_have_happened, name_of};
use crate::Check;

/// The operations that add, as different systems call them.
const ADD_NAMES: [&str; 2] = ["add", "broadcast"];

const COUNTS: [&str; 9] = [
    "attempts",
    "acknowledged",
    "last reads",
    "known",
    "lost",
    "missing",
    "duplicated",
    "unexpected",
    "strange",
];

/// Judges the last reads of `add` (or `broadcast`) and `read`.
pub(super) fn check(operations: &[Operation], settled_index: Option<u64>) -> Check {
    let mut tally = Tally::new("eventual-set", &COUNTS);
    for (key, operations) in by_key(operations) {
        judge_key(&key, &operations, settled_index, &mut tally);
    }
    if tally.count("acknowledged") == 0 {
        tally.unknown("no add was acknowledged");
    }
    tally.unknown_if_strange("sets");
    tally.finish()
}

fn judge_key(
    key: &Value,
    operations: &[&Operation],
    settled_index: Option<u64>,
    tally: &mut Tally,
) {
    let mut adds: FxHashMap<&Value, &Operation> = FxHashMap::default();
    let mut reads: Vec<(&Operation, &[Value])> = Vec::new();
    for operation in operations {
        match &*operation.f {
            f if ADD_NAMES.contains(&f) => {
                tally.add("attempts", 1);
                tally.add("acknowledged", usize::from(is_ok(operation)));
                if may_have_happened(operation) {
                    adds.entry(&operation.input).or_insert(operation);
                }
            }
            "read" if !is_ok(operation) => {}
            "read" => match operation.output.as_list() {
                Some(elements) => reads.push((operation, elements)),
                None => tally.add("strange", 1),
            },
            _ => tally.add("strange", 1),
        }
    }
    let settled = settled_index.unwrap_or_else(|| {
        let ends = operations.iter().filter(|one| ADD_NAMES.contains(&&*one.f));
        ends.filter_map(|add| done_at(add)).max().unwrap_or(0)
    });
    for (read, elements) in &reads {
        judge_elements(key, read, elements, &adds, tally);
    }
    let known = known(&adds, &reads);
    tally.add("known", known.len());
    // The last of each node, or of each process where nobody says which node it asked.
    let mut last: BTreeMap<String, (&Operation, FxHashSet<&Value>)> = BTreeMap::new();
    for (read, elements) in &reads {
        if read.invoked.index >= settled {
            last.insert(place_of(read), (read, elements.iter().collect()));
        }
    }
    tally.add("last reads", last.len());
    for (element, shown_by) in &known {
        let lacking = last
            .iter()
            .filter(|(_, (_, found))| !found.contains(element));
        let lacking: Vec<(&String, &Operation)> =
            lacking.map(|(place, (read, _))| (place, *read)).collect();
        if lacking.is_empty() {
            continue;
        }
        let is_lost = lacking.len() == last.len();
        let places: Vec<&str> = lacking.iter().map(|(place, _)| place.as_str()).collect();
        let text = || {
            let how = name_of(shown_by);
            format!(
                "{element}, known by {how}, is not in the last read of {}",
                places.join(", ")
            )
        };
        let mut shown: Vec<&Operation> = vec![shown_by];
        shown.extend(lacking.iter().map(|(_, read)| *read));
        tally.violation(if is_lost { "lost" } else { "missing" }, key, text, &shown);
    }
    say_who_did_not_read(operations, &last, tally);
}

/// Every element that must be there in the end, with what shows it: its acknowledged add, or a read
/// that found it.
fn known<'a>(
    adds: &FxHashMap<&'a Value, &'a Operation>,
    reads: &[(&'a Operation, &'a [Value])],
) -> BTreeMap<&'a Value, &'a Operation> {
    let acknowledged = adds.iter().filter(|(_, add)| is_ok(add));
    let mut known: BTreeMap<&Value, &Operation> =
        acknowledged.map(|(value, add)| (*value, *add)).collect();
    for (read, elements) in reads {
        for element in elements.iter().filter(|element| adds.contains_key(element)) {
            known.entry(element).or_insert(read);
        }
    }
    known
}

fn judge_elements(
    key: &Value,
    read: &Operation,
    elements: &[Value],
    adds: &FxHashMap<&Value, &Operation>,
    tally: &mut Tally,
) {
    let mut seen: FxHashSet<&Value> = FxHashSet::default();
    for element in elements {
        if !seen.insert(element) {
            let text = || format!("{} found {element} twice", name_of(read));
            tally.violation("duplicated", key, text, &[read]);
        }
        let ended = read.ended.map_or(u64::MAX, |ended| ended.index);
        let was_added = adds
            .get(element)
            .is_some_and(|add| add.invoked.index < ended);
        if !was_added {
            let text = || {
                let name = name_of(read);
                format!("{name} found {element}, which nobody had added")
            };
            tally.violation("unexpected", key, text, &[read]);
        }
    }
}

/// A node that was asked before and not at the end may lack anything.
fn say_who_did_not_read(
    operations: &[&Operation],
    last: &BTreeMap<String, (&Operation, FxHashSet<&Value>)>,
    tally: &mut Tally,
) {
    if last.is_empty() {
        tally.unknown("no read began after the last acknowledged add");
        return;
    }
    let nodes = operations
        .iter()
        .filter_map(|operation| operation.node.as_deref());
    let nodes: std::collections::BTreeSet<&str> = nodes.collect();
    let silent: Vec<&str> = nodes
        .into_iter()
        .filter(|node| !last.contains_key(*node))
        .collect();
    if !silent.is_empty() {
        tally.unknown(format!(
            "no last read of {} was answered",
            silent.join(", ")
        ));
    }
}

fn place_of(operation: &Operation) -> String {
    match &operation.node {
        Some(node) => node.to_string(),
        None => format!("process {}", operation.process),
    }
}

#[cfg(test)]
mod tests {
    use histories::{Outcome, Point};

    use super::*;
    use crate::Verdict;

    /// A row is operations separated by `;`: `n1 0-1 add 5`, `n1 2-3 read 5 6`, of which `add?` is
    /// one of unknown outcome and `add!` one that failed.
    fn operations(row: &str) -> Vec<Operation> {
        let operation = |text: &str| {
            let words: Vec<&str> = text.split_whitespace().collect();
            let (from, to) = words[1].split_once('-').expect("two events");
            let point = |index: &str| {
                let index = index.parse().expect("an event");
                let time_ns = index;
                Point { index, time_ns }
            };
            let numbers: Vec<Value> = words[3..]
                .iter()
                .map(|word| Value::Int(word.parse().expect("a number")))
                .collect();
            let f = words[2].trim_end_matches(['?', '!']);
            let is_read = f == "read";
            Operation {
                process: 0,
                f: f.into(),
                key: None,
                input: if is_read {
                    Value::Nil
                } else {
                    numbers[0].clone()
                },
                output: if is_read {
                    Value::List(numbers)
                } else {
                    Value::Nil
                },
                outcome: match words[2] {
                    "add?" => Outcome::Info,
                    "add!" => Outcome::Fail,
                    _ => Outcome::Ok,
                },
                invoked: point(from),
                ended: Some(point(to)),
                node: Some(words[0].into()),
                error: None,
                path: Vec::new(),
                line: None,
            }
        };
        row.split(';').map(operation).collect()
    }

    #[test]
    fn in_the_end_everybody_knows_everything() {
        use Verdict::{Invalid, Unknown, Valid};
        let rows = [
            ("a 0-1 add 1; a 2-3 read 1", None, Valid, ""),
            (
                "a 0-1 add 1; b 2-3 read; b 4-5 read 1; a 6-7 read 1",
                None,
                Valid,
                "",
            ),
            // Stale before the end is nothing to complain of.
            (
                "a 0-1 add 1; b 2-3 read; b 8-9 read 1; a 8-10 read 1",
                Some(8),
                Valid,
                "",
            ),
            (
                "a 0-1 add 1; b 2-3 read 1; b 8-9 read 1",
                Some(8),
                Unknown,
                "read of a was",
            ),
            (
                "a 0-1 add 1; a 2-3 read 1",
                Some(8),
                Unknown,
                "no read began",
            ),
            (
                "a 0-1 add 1; a 8-9 read 1; b 8-10 read",
                Some(8),
                Invalid,
                "missing (1)",
            ),
            (
                "a 0-1 add 1; a 8-9 read; b 8-10 read",
                Some(8),
                Invalid,
                "lost (1)",
            ),
            // Of unknown outcome: known to one, known to all.
            (
                "a 0-1 add 9; a 0-2 add? 1; a 8-9 read 9; b 8-10 read 9",
                Some(8),
                Valid,
                "",
            ),
            (
                "a 0-1 add 9; a 0-2 add? 1; a 8-9 read 9 1; b 8-10 read 9",
                Some(8),
                Invalid,
                "missing",
            ),
            (
                "a 0-1 add 9; a 0-2 add? 1; a 4-5 read 9 1; a 8-9 read 9",
                Some(8),
                Invalid,
                "lost",
            ),
            (
                "a 0-1 add 9; a 0-2 add! 1; a 8-9 read 9 1",
                Some(8),
                Invalid,
                "unexpected",
            ),
            ("a 0-1 add 9; a 2-3 read 9 7", None, Invalid, "unexpected"),
            ("a 0-1 add 9; a 2-3 read 9 9", None, Invalid, "duplicated"),
            (
                "a 0-2 add? 1; a 8-9 read",
                Some(8),
                Unknown,
                "no add was acknowledged",
            ),
        ];
        for (row, settled, verdict, said) in rows {
            let check = check(&operations(row), settled);
            assert_eq!(check.verdict, verdict, "{row}: {check:?}");
            let reason = check.reason.clone().unwrap_or_default();
            assert!(reason.contains(said), "{row}: {check:?}");
        }
    }
}

//! Ids: none is given twice.

use histories::{Operation, Value};
use rustc_hash::FxHashMap;

use super::tally::Tally;
use super::{is_ok, name_of};
use crate::Check;
use crate::words::amount;

/// Judges `generate`, whatever key it has: an id is unique among all.
pub(super) fn check(operations: &[Operation]) -> Check {
    let counts = [
        "attempts",
        "acknowledged",
        "duplicated",
        "without an id",
        "strange",
    ];
    let mut tally = Tally::new("unique-ids", &counts);
    let mut given: FxHashMap<&Value, &Operation> = FxHashMap::default();
    for operation in operations {
        if &*operation.f != "generate" {
            tally.add("strange", 1);
            continue;
        }
        tally.add("attempts", 1);
        if !is_ok(operation) {
            continue;
        }
        tally.add("acknowledged", 1);
        let id = &operation.output;
        if id.is_nil() {
            tally.add("without an id", 1);
        } else if let Some(first) = given.get(id) {
            let text = || {
                format!(
                    "the id {id} was given by {} and by {}",
                    name_of(first),
                    name_of(operation)
                )
            };
            tally.violation("duplicated", &Value::Nil, text, &[first, operation]);
        } else {
            given.insert(id, operation);
        }
    }
    if given.is_empty() {
        tally.unknown("no id was given");
    }
    let (without, strange) = (tally.count("without an id"), tally.count("strange"));
    if without > 0 {
        tally.unknown(format!("without an id: {}", amount(without, "answer")));
    }
    if strange > 0 {
        let strange = amount(strange, "operation");
        tally.unknown(format!("not generate: {strange}"));
    }
    tally.finish()
}

//! Transactions as they stand in a history.

use histories::{Operation, Outcome, Value};

use super::Objects;
use crate::analyses::tally::Tally;
use crate::words::amount;

/// A transaction.
#[derive(Debug)]
pub(super) struct Txn<'a> {
    pub operation: &'a Operation,
    pub steps: Vec<Step<'a>>,
}

/// One thing that a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// It read this, where that is known.
    Read(&'a Value, Option<&'a Value>),
    /// It wrote or appended this.
    Write(&'a Value, &'a Value),
}

impl Txn<'_> {
    pub fn is_ok(&self) -> bool {
        self.operation.outcome == Outcome::Ok
    }

    /// Whether it writes to this key.
    pub fn writes(&self, key: &Value) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| matches!(step, Step::Write(of, _) if *of == key))
    }

    pub fn is_aborted(&self) -> bool {
        self.operation.outcome == Outcome::Fail
    }
}

/// The transactions, in order of invocation. Operations that are none are counted as strange.
pub(super) fn txns<'a>(
    operations: &'a [Operation],
    objects: Objects,
    tally: &mut Tally,
) -> Vec<Txn<'a>> {
    let mut txns = Vec::new();
    for operation in operations {
        let is_known = operation.outcome == Outcome::Ok;
        let asked = operation.input.as_list();
        let list = match is_known {
            true => operation.output.as_list().or(asked),
            false => asked,
        };
        let steps = list.map(|list| list.iter().map(|it| step(it, is_known, objects)).collect());
        let Some(Some(steps)) = steps.filter(|_| &*operation.f == "txn") else {
            tally.add("strange", 1);
            continue;
        };
        let steps: Vec<Step<'a>> = steps;
        tally.add("transactions", 1);
        let outcome = match operation.outcome {
            Outcome::Ok => "acknowledged",
            Outcome::Fail => "aborted",
            Outcome::Info => "of unknown outcome",
        };
        tally.add(outcome, 1);
        let reads = steps
            .iter()
            .filter(|step| matches!(step, Step::Read(_, Some(_))));
        tally.add("reads", reads.count());
        txns.push(Txn { operation, steps });
    }
    if tally.count("strange") > 0 {
        let update = match objects {
            Objects::Lists => "append",
            Objects::Registers => "w",
        };
        tally.unknown(format!(
            "no transactions of [f key value] with the f r and {update}: {}",
            amount(tally.count("strange"), "operation")
        ));
    }
    txns
}

fn step(step: &Value, is_known: bool, objects: Objects) -> Option<Step<'_>> {
    let (f, key, value) = match step.as_list()? {
        [f, key, value] => (f, key, value),
        // What is still to be read may be left out.
        [f, key] if !is_known && matches!(f.as_text(), Some("r" | "read")) => (f, key, &Value::Nil),
        _ => return None,
    };
    match (f.as_text()?, objects) {
        ("r" | "read", Objects::Registers) => Some(Step::Read(key, is_known.then_some(value))),
        ("r" | "read", Objects::Lists) => {
            // What was never written reads as nothing, or as a list of nothing.
            let is_list = value.is_nil() || value.as_list().is_some();
            (is_list || !is_known).then_some(Step::Read(key, is_known.then_some(value)))
        }
        ("append", Objects::Lists) | ("w" | "write", Objects::Registers) => {
            Some(Step::Write(key, value))
        }
        _ => None,
    }
}

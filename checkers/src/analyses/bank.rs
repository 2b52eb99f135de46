//! Banks: no money is made or lost, no account is overdrawn, and one order of the transfers
//! explains what everybody read.
//!
//! The last is weaker than linearizability: transfers keep their times, but a read may show the
//! accounts as they were at any time before its end. What has no order even so is no late answer:
//! two reads saw two transfers in different order (a long fork), or one saw what never was.

use histories::{History, Operation, Point, Value};

use super::tally::Tally;
use super::{AnalysisContext, by_key, done_at, is_ok, name_of};
use crate::{Check, ModelKind, ModelOptions, Verdict, linearizability};

const COUNTS: [&str; 8] = [
    "transfers",
    "acknowledged",
    "refused",
    "reads",
    "wrong totals",
    "overdrawn",
    "forks",
    "strange",
];

/// Judges `transfer` and `read`. Without the balances at the start all reads must have one total.
pub(super) fn check(operations: &[Operation], context: &AnalysisContext<'_>) -> Check {
    let mut tally = Tally::new("bank", &COUNTS);
    let start = context.initial.and_then(total);
    let mut sound: Vec<&Operation> = Vec::new();
    for (key, operations) in by_key(operations) {
        let mut expected = start;
        for &operation in &operations {
            match &*operation.f {
                "transfer" => {
                    let refused = operation.output == Value::Bool(false);
                    tally.add("transfers", 1);
                    tally.add("acknowledged", usize::from(is_ok(operation) && !refused));
                    tally.add("refused", usize::from(is_ok(operation) && refused));
                    if !refused {
                        sound.push(operation);
                    }
                }
                "read" if done_at(operation).is_none() => {}
                "read" if judge_read(&key, operation, &mut expected, &mut tally) => {
                    sound.push(operation);
                }
                "read" => {}
                _ => tally.add("strange", 1),
            }
        }
    }
    if tally.count("reads") == 0 {
        tally.unknown("no read was answered");
    }
    if tally.count("acknowledged") == 0 {
        tally.unknown("no transfer was acknowledged");
    }
    tally.unknown_if_strange("banks");
    if tally.count("strange") == 0 && context.linearizable != Some(Verdict::Valid) {
        judge_order(&sound, context, &mut tally);
    }
    tally.finish()
}

fn total(balances: &Value) -> Option<i128> {
    let Value::Map(entries) = balances else {
        return None;
    };
    entries
        .iter()
        .map(|(_, balance)| balance.as_int().map(i128::from))
        .sum()
}

/// Whether the balances can be those of a bank at all.
fn judge_read(
    key: &Value,
    read: &Operation,
    expected: &mut Option<i128>,
    tally: &mut Tally,
) -> bool {
    let Some(sum) = total(&read.output) else {
        tally.add("strange", 1);
        return false;
    };
    tally.add("reads", 1);
    let expected = *expected.get_or_insert(sum);
    let name = name_of(read);
    if sum != expected {
        let text = || format!("{name} found {sum} on all accounts together, expected {expected}");
        tally.violation("wrong totals", key, text, &[read]);
    }
    let overdrawn = overdrawn(&read.output);
    if let Some((account, balance)) = overdrawn {
        let text = || format!("{name} found {balance} on account {account}");
        tally.violation("overdrawn", key, text, &[read]);
    }
    sum == expected && overdrawn.is_none()
}

fn overdrawn(balances: &Value) -> Option<(&Value, i64)> {
    let Value::Map(entries) = balances else {
        return None;
    };
    let mut entries = entries
        .iter()
        .filter_map(|(name, balance)| Some((name, balance.as_int()?)));
    entries.find(|(_, balance)| *balance < 0)
}

/// Whether one order of the transfers explains all reads, however old what they show.
fn judge_order(sound: &[&Operation], context: &AnalysisContext<'_>, tally: &mut Tally) {
    let Some(initial) = context.initial else {
        tally.unknown("what was on the accounts at the start is not known");
        return;
    };
    let widened: Vec<Operation> = sound.iter().map(|operation| widen(operation)).collect();
    let history = History::from_operations(&widened);
    let options = ModelOptions {
        initial: Some(initial.clone()),
        ..ModelOptions::new(ModelKind::Bank)
    };
    let judged = linearizability(
        &history.operations(),
        &options,
        context.limits,
        context.cancel,
    );
    let judged = match judged {
        Ok(judged) => judged,
        Err(error) => {
            tally.unknown(error.to_string());
            return;
        }
    };
    match (judged.check.verdict, judged.counterexample) {
        (Verdict::Valid, _) => {}
        (Verdict::Invalid, Some(found)) => {
            let core = found.core.iter().filter_map(|one| {
                let end = one.operation.ended?.index;
                sound
                    .iter()
                    .copied()
                    .find(|known| done_at(known) == Some(end))
            });
            let core: Vec<&Operation> = core.collect();
            let reads: Vec<String> = core
                .iter()
                .filter(|one| &*one.f == "read")
                .map(|one| name_of(one))
                .collect();
            let key = found.key.unwrap_or_default();
            let text = || {
                format!(
                    "no one order of the transfers explains the reads {}, however old what they show",
                    reads.join(" and ")
                )
            };
            tally.violation("forks", &key, text, &core);
        }
        (_, _) => {
            let why = judged.check.reason.unwrap_or_default();
            tally.unknown(format!(
                "whether one order explains all reads was not decided: {why}"
            ));
        }
    }
}

/// A read that may be as old as it likes; everything else as it is.
fn widen(operation: &Operation) -> Operation {
    match &*operation.f {
        "read" => Operation {
            invoked: Point::default(),
            ..operation.clone()
        },
        _ => operation.clone(),
    }
}

//! Whether all engines agree about a small history made of bytes: what the fuzzer and the tests call.

use histories::Value;

use super::{Engine, Registers};
use crate::columns::RegisterPart;
use crate::limits::Budget;
use crate::normalise::{Member, Part};
use crate::oracle::{self, Interval};
use crate::registers::overwrite::{self, Options};
use crate::registers::{Access, OPEN, RegisterHistory, zones};
use crate::search::{self, Decision, Engines, Reductions};
use crate::{Cancel, Limits, NilReads, Register, RegisterOp, Verdict};

/// How many operations a history has at most.
const OPERATIONS_MAX: usize = 14;
/// How many are under way at a time at most.
const WIDTH_MAX: usize = 7;

/// Makes a history of one register out of bytes (reads, writes, compare-and-sets and such that found
/// another value, some of unknown outcome, values repeated or unique), and has every engine decide
/// it and the oracle too. Says who disagrees, if anybody does.
pub fn disagreement(bytes: &[u8]) -> Option<String> {
    let intervals = intervals(bytes);
    let values = 2 * OPERATIONS_MAX as u32 + 4;
    let (history, sources) = RegisterHistory::from_intervals(&intervals, values);
    let model = Register::with_cas(Value::Int(0), NilReads::Observe);
    let named: Vec<Interval<RegisterOp>> = intervals.iter().map(named).collect();
    let truth = oracle::is_linearizable(&model, &Value::Int(0), &named, u64::MAX)?;
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let budget = Budget::new(&limits, &cancel);
    let mut said: Vec<(&str, Option<bool>)> = Vec::new();
    for look_ahead in [false, true] {
        let outcome = overwrite::decide(&history, &Options::exact(look_ahead), &budget);
        said.push(("set of configurations", known(outcome.decision)));
    }
    let registers = Registers(vec![RegisterPart {
        key: None,
        sources: sources.clone(),
        history: history.clone(),
    }]);
    let by_zones = registers.decide(Engine::Zones, &limits, &cancel);
    said.extend(by_zones.map(|verdict| ("zones", Some(verdict == Verdict::Valid))));
    let part = Part {
        key: None,
        members: sources
            .iter()
            .zip(&history.calls)
            .map(|(&source, call)| Member {
                source,
                op: named[source as usize].op.clone(),
                open: call.returns == OPEN,
            })
            .collect(),
        moments: history.moments.clone(),
    };
    let problem = part.problem(&model, true);
    for (name, engines) in [
        ("set search", Engines::Sets),
        ("depth search", Engines::Depth),
    ] {
        let (decision, _) = search::decide_with(&problem, &budget, Reductions::ALL, engines);
        said.push((name, known(decision)));
    }
    if let Some(liar) = said.iter().find(|(_, said)| *said != Some(truth)) {
        return Some(format!(
            "{liar:?}, but the truth is {truth}: {intervals:#?}"
        ));
    }
    let by_zones = by_zones.and_then(|_| zones::order(&history));
    let orders = [by_zones, overwrite::order(&history, &budget)];
    let wrong = orders
        .iter()
        .flatten()
        .find(|order| !is_order(&history, order));
    wrong.map(|order| format!("{order:?} is no order of {intervals:#?}"))
}

fn known(decision: Decision) -> Option<bool> {
    match decision {
        Decision::Linearizable => Some(true),
        Decision::NotLinearizable { .. } => Some(false),
        Decision::Undecided { .. } => None,
    }
}

/// Each byte begins an operation, with another byte for its values, or ends one.
fn intervals(bytes: &[u8]) -> Vec<Interval<Access<u32>>> {
    let mut bytes = bytes.iter().copied();
    let how = bytes.next().unwrap_or(0);
    let unique = how & 1 == 1;
    let mut values = if unique {
        1
    } else {
        1 + u32::from(how >> 1) % 5
    };
    let mut made: Vec<Interval<Access<u32>>> = Vec::new();
    let mut under_way: Vec<usize> = Vec::new();
    let mut time = 0;
    while let Some(byte) = bytes.next() {
        time += 1;
        if byte & 1 == 0 && made.len() < OPERATIONS_MAX && under_way.len() < WIDTH_MAX {
            let which = u32::from(bytes.next().unwrap_or(0));
            let (a, b) = (which % values, which / 16 % values);
            let new = if unique { values } else { b };
            let op = match byte >> 1 & 3 {
                0 => Access::Read(a),
                1 if !unique => Access::Not(a),
                1 | 2 => Access::Write(new),
                _ => Access::Cas(a, new),
            };
            if unique && matches!(op, Access::Write(_) | Access::Cas(..)) {
                values += 1;
            }
            if byte >> 3 & 7 != 0 {
                under_way.push(made.len());
            }
            made.push(Interval {
                op,
                begins: time,
                ends: None,
            });
        } else if !under_way.is_empty() {
            let ends = under_way.swap_remove(usize::from(byte >> 1) % under_way.len());
            made[ends].ends = Some(time);
        }
    }
    for ends in under_way {
        time += 1;
        made[ends].ends = Some(time);
    }
    made
}

fn named(interval: &Interval<Access<u32>>) -> Interval<RegisterOp> {
    let value = |number: u32| Value::Int(i64::from(number));
    Interval {
        op: match interval.op {
            Access::Read(a) => RegisterOp::Read(value(a)),
            Access::Write(a) => RegisterOp::Write(value(a)),
            Access::Not(a) => RegisterOp::Mismatch(value(a)),
            Access::Cas(a, b) => RegisterOp::Cas(value(a), value(b)),
        },
        begins: interval.begins,
        ends: interval.ends,
    }
}

/// Whether the calls, one after another, are legal, in the order of those that do not overlap, and
/// all that returned are there.
fn is_order(history: &RegisterHistory, order: &[u32]) -> bool {
    let mut placed = vec![false; history.calls.len()];
    let (mut value, mut begun) = (0, 0);
    for &number in order {
        let call = history.calls[number as usize];
        if std::mem::replace(&mut placed[number as usize], true) || call.returns < begun {
            return false;
        }
        begun = begun.max(call.begins);
        match call.access {
            Access::Read(found) if found != value => return false,
            Access::Not(other) if other == value => return false,
            Access::Cas(old, _) if old != value => return false,
            Access::Write(new) | Access::Cas(_, new) => value = new,
            Access::Read(_) | Access::Not(_) => {}
        }
    }
    let mut calls = history.calls.iter().zip(placed);
    calls.all(|(call, placed)| placed || call.returns == OPEN)
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;
    use crate::testing::chance;

    /// What the fuzzer kept.
    #[test]
    fn the_corpus_is_decided_alike() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/engines");
        let mut inputs = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!intervals(&bytes).is_empty());
            assert_eq!(disagreement(&bytes), None);
            inputs += 1;
        }
        assert!(inputs >= 3);
    }

    /// So many histories are compared where nobody asks for more.
    const HISTORIES: u64 = 30_000;

    /// `CHECKERS_HISTORIES=10000000 cargo test --release -p checkers all_engines_agree` compares ten
    /// million; `CHECKERS_SEED` begins elsewhere.
    #[test]
    fn all_engines_agree() {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let histories = number("CHECKERS_HISTORIES").unwrap_or(HISTORIES);
        let first = number("CHECKERS_SEED").unwrap_or(1) << 32;
        let valid: u64 = (first..first + histories)
            .into_par_iter()
            .map(|seed| {
                let mut chance = chance(seed);
                let length = 8 + chance.below(40);
                let bytes: Vec<u8> = (0..length).map(|_| chance.below(256) as u8).collect();
                assert_eq!(disagreement(&bytes), None);
                let operations = intervals(&bytes).len() as u64;
                u64::from(operations > 4)
            })
            .sum();
        println!("{histories} histories, {valid} of them with more than 4 operations");
        assert!(valid > histories / 4, "{valid}");
    }
}

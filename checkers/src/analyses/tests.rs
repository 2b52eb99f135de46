//! Every verdict is held against rows judged by hand, against the models (whoever breaks a rule is
//! not linearizable either), and against histories of systems that are right.

use std::sync::Arc;

use histories::{History, Operation, Outcome, Point, Value};
use seeds::Stream;

use super::*;
use crate::testing::{chance, samples};
use crate::{ModelKind, ModelOptions, linearizability};
use Verdict::{Invalid, Unknown, Valid};

mod bank;
mod counter;
mod leader_election;
mod lock;
mod log;
mod queue;
mod set;
mod unique_ids;
mod watch;

fn initial(analysis: Analysis) -> Option<Value> {
    let bank = "{0 2, 1 2}";
    (analysis == Analysis::Bank).then(|| histories::edn::parse_value(bank).unwrap())
}

fn judge(analysis: Analysis, mut operations: Vec<Operation>) -> Check {
    operations.sort_by_key(|operation| operation.invoked.index);
    let history = History::from_operations(&operations);
    let initial = initial(analysis);
    let context = AnalysisContext {
        settled_index: None,
        consistency: &[],
        initial: initial.as_ref(),
        linearizable: None,
        limits: &Limits::default(),
        cancel: &Cancel::new(),
    };
    analysis.check(&history.operations(), &context)
}

fn count(check: &Check, name: &str) -> u64 {
    let findings = check.findings.as_ref().unwrap();
    let found = findings.counts.iter().find(|(known, _)| *known == name);
    found
        .unwrap_or_else(|| panic!("no count {name}: {check:#?}"))
        .1
}

/// A history, the verdict, and what is counted.
type Row<'a> = (&'a str, Verdict, &'a [(&'a str, u64)]);

#[track_caller]
fn rows(analysis: Analysis, rows: &[Row<'_>]) {
    for (row, verdict, counts) in rows {
        let check = judge(analysis, samples(row));
        assert_eq!(check.verdict, *verdict, "{row}\n{check:#?}");
        assert_eq!(
            check.reason.is_some(),
            *verdict != Valid,
            "{row}\n{check:#?}"
        );
        for (name, expected) in *counts {
            assert_eq!(count(&check, name), *expected, "{name}: {row}\n{check:#?}");
        }
        for anomaly in &check.findings.as_ref().unwrap().anomalies {
            assert!(!anomaly.operations.is_empty(), "{row}\n{check:#?}");
        }
    }
}

/// What one of a few operations of a model asks and may be answered.
fn random_call(kind: ModelKind, chance: &mut Stream) -> (&'static str, Value, Value) {
    let small = |chance: &mut Stream| Value::Int(chance.below(3).cast_signed());
    let list = |chance: &mut Stream| {
        let length = chance.below(4);
        Value::List((0..length).map(|_| small(chance)).collect())
    };
    let truth = |chance: &mut Stream| Value::Bool(chance.below(2) == 0);
    let updates = chance.below(2) == 0;
    match kind {
        ModelKind::Set | ModelKind::AppendList => {
            let add = if kind == ModelKind::Set {
                "add"
            } else {
                "append"
            };
            match updates {
                true => (add, small(chance), Value::Nil),
                false => ("read", Value::Nil, list(chance)),
            }
        }
        ModelKind::Counter => match updates {
            true => (
                "add",
                Value::Int(chance.below(5).cast_signed() - 2),
                Value::Nil,
            ),
            false => (
                "read",
                Value::Nil,
                Value::Int(chance.below(7).cast_signed() - 3),
            ),
        },
        ModelKind::FifoQueue => match (updates, chance.below(3)) {
            (true, _) => ("enqueue", small(chance), Value::Nil),
            (false, 0) => ("dequeue", Value::Nil, Value::Nil),
            (false, _) => ("dequeue", Value::Nil, small(chance)),
        },
        ModelKind::Mutex => match updates {
            true => ("acquire", Value::Nil, truth(chance)),
            false => ("release", Value::Nil, truth(chance)),
        },
        ModelKind::FencedLock => match (updates, chance.below(4)) {
            (true, 0) => ("acquire", Value::Nil, false.into()),
            (true, _) => ("acquire", Value::Nil, small(chance)),
            (false, _) => ("release", Value::Nil, truth(chance)),
        },
        _ => {
            let from = chance.below(2).cast_signed();
            let amount = Value::Int(chance.below(2).cast_signed() + 1);
            let transfer = [
                ("from", from.into()),
                ("to", (1 - from).into()),
                ("amount", amount),
            ];
            let transfer = transfer.map(|(name, value)| (Value::from(name), value));
            let left = chance.below(5).cast_signed();
            let balances = vec![(0.into(), left.into()), (1.into(), (4 - left).into())];
            match updates {
                true => ("transfer", Value::Map(transfer.into()), truth(chance)),
                false => ("read", Value::Nil, Value::Map(balances)),
            }
        }
    }
}

/// A few operations at random times.
fn random_operations(
    chance: &mut Stream,
    count: u64,
    mut call: impl FnMut(&mut Stream) -> (&'static str, Value, Value),
) -> Vec<Operation> {
    let mut times: Vec<u64> = (0..2 * count).collect();
    for place in (1..times.len()).rev() {
        times.swap(place, chance.below(place as u64 + 1) as usize);
    }
    let mut operations: Vec<Operation> = times
        .chunks(2)
        .map(|pair| {
            let (f, input, output) = call(chance);
            let outcome = match chance.below(8) {
                0 => Outcome::Info,
                1 => Outcome::Fail,
                _ => Outcome::Ok,
            };
            let is_ok = outcome == Outcome::Ok;
            let point = |index: u64| Point {
                index,
                time_ns: index * 1_000,
            };
            Operation {
                process: chance.below(3),
                f: Arc::from(f),
                key: None,
                input,
                output: if is_ok { output } else { Value::Nil },
                outcome,
                invoked: point(pair[0].min(pair[1])),
                ended: is_ok.then(|| point(pair[0].max(pair[1]))),
                node: None,
                error: None,
                path: Vec::new(),
                line: None,
            }
        })
        .collect();
    operations.sort_by_key(|operation| operation.invoked.index);
    operations
}

/// Whoever breaks a rule is not linearizable: an `invalid` here is one there, too. The other way
/// round need not be; that it often is shows that the rules are worth having.
#[test]
fn what_is_invalid_is_not_linearizable_either() {
    for (analysis, kind) in [
        (Analysis::Set, ModelKind::Set),
        (Analysis::Log, ModelKind::AppendList),
        (Analysis::Counter, ModelKind::Counter),
        (Analysis::FinalCounter, ModelKind::Counter),
        (Analysis::Queue, ModelKind::FifoQueue),
        (Analysis::UnorderedQueue, ModelKind::FifoQueue),
        (Analysis::Lock, ModelKind::Mutex),
        (Analysis::Lock, ModelKind::FencedLock),
        (Analysis::Bank, ModelKind::Bank),
    ] {
        let options = ModelOptions {
            initial: initial(analysis),
            ..ModelOptions::new(kind)
        };
        let (mut found, mut clean) = (0, 0);
        for seed in 0..2_000 {
            let mut chance = chance(seed);
            let count = 2 + chance.below(5);
            let operations =
                random_operations(&mut chance, count, |chance| random_call(kind, chance));
            let check = judge(analysis, operations.clone());
            let history = History::from_operations(&operations);
            let limits = Limits {
                threads: 1,
                ..Limits::default()
            };
            let judged = linearizability(&history.operations(), &options, &limits, &Cancel::new());
            let verdict = judged.unwrap().check.verdict;
            if check.verdict == Invalid {
                found += 1;
                assert_eq!(
                    verdict, Invalid,
                    "{analysis} {kind}\n{operations:#?}\n{check:#?}"
                );
            }
            clean += usize::from(verdict == Valid && check.verdict != Invalid);
        }
        assert!(
            found > 20 && clean > 20,
            "{analysis} {kind}: {found} found, {clean} clean"
        );
    }
}

/// Nothing makes a check fail, and nothing meaningless is valid.
#[test]
fn any_operations_are_judged() {
    const NAMES: [&str; 20] = [
        "add",
        "append",
        "broadcast",
        "read",
        "remove",
        "enqueue",
        "dequeue",
        "drain",
        "acquire",
        "release",
        "write",
        "campaign",
        "leader",
        "increment",
        "add-and-get",
        "generate",
        "put",
        "watch",
        "transfer",
        "nothing",
    ];
    fn value(chance: &mut Stream, depth: u64) -> Value {
        match chance.below(if depth == 0 { 5 } else { 8 }) {
            0 => Value::Nil,
            1 => Value::Bool(true),
            2 => Value::Int(i64::MAX),
            3 => Value::Int(chance.below(3).cast_signed()),
            4 => Value::Int(i64::MIN),
            5 => Value::List(
                (0..chance.below(4))
                    .map(|_| value(chance, depth - 1))
                    .collect(),
            ),
            6 => Value::List(vec![Value::Int(1), value(chance, depth - 1)]),
            _ => {
                let names = [
                    "leader", "term", "token", "revision", "value", "from", "amount",
                ];
                let entry = |name: &&str| (Value::from(*name), value(chance, 0));
                Value::Map(names.iter().map(entry).collect())
            }
        }
    }
    for seed in 0..3_000 {
        let mut chance = chance(seed);
        let count = chance.below(12);
        let operations = random_operations(&mut chance, count, |chance| {
            let name = NAMES[chance.below(NAMES.len() as u64) as usize];
            (name, value(chance, 2), value(chance, 2))
        });
        for analysis in Analysis::ALL {
            let check = judge(analysis, operations.clone());
            let nothing = operations
                .iter()
                .all(|operation| operation.outcome != Outcome::Ok);
            assert!(
                !nothing || check.verdict != Valid,
                "{analysis} {operations:#?}"
            );
            assert!(check.findings.is_some());
        }
    }
}

#[test]
fn every_name_is_its_own_check() {
    for analysis in Analysis::ALL {
        assert_eq!(analysis.as_str().parse(), Ok(analysis));
    }
    let error = "sets".parse::<Analysis>().unwrap_err().to_string();
    assert!(
        error.contains("known: set, queue, unordered-queue, lock"),
        "{error}"
    );
}

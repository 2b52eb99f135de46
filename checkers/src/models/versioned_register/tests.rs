//! The rules, and the monitor against every order tried.

use seeds::Stream;

use super::*;
use crate::testing::{chance, each_history, judge_rows, random_intervals, samples};
use crate::{ModelKind, ModelOptions, Verdict, oracle};
use Verdict::{Invalid, Valid};

const NODES_MAX: u64 = 10_000_000;

fn register() -> VersionedRegister {
    VersionedRegister::new(None, NilReads::default()).unwrap()
}

#[test]
fn versioned_register_histories() {
    judge_rows(
        &ModelOptions::new(ModelKind::VersionedRegister),
        &[
            ("write a -> 3; read nil -> [3 a]; write b -> [7 b]", Valid),
            ("read nil -> nil; write a -> 1; read nil -> [1 a]", Valid),
            (
                "read nil -> [0 nil]; cas [0 a] -> 1; cas [1 b] -> [4 b]",
                Valid,
            ),
            // Versions grow, and a version has one value.
            ("write a -> 3; write b -> 3", Invalid),
            ("write a -> 3; write b -> 2", Invalid),
            ("write a -> 3; read nil -> [3 b]", Invalid),
            ("write a -> 3; read nil -> nil", Invalid),
            ("write a -> 0", Invalid),
            // Side by side, the versions say which came first.
            (
                "0 write a -> 3 @0 9; 1 write b -> 2 @1 8; 2 read nil -> [3 a] @10 11",
                Valid,
            ),
            (
                "0 write a -> 3 @0 9; 1 write b -> 2 @1 8; 2 read nil -> [2 b] @10 11",
                Invalid,
            ),
            // What is read was written before.
            ("read nil -> [3 a]; write a -> 3", Invalid),
            ("write a -> 3; read nil -> [4 a]", Invalid),
            // A compare-and-set leaves no version between.
            ("write a -> 3; cas [3 b] -> 5; read nil -> [5 b]", Valid),
            ("write a -> 3; cas [2 b] -> 5", Invalid),
            ("write a -> 3; write c -> 4; cas [3 b] -> 5", Invalid),
            ("write a -> 3; cas [3 b] -> true; read nil -> [9 b]", Valid),
            ("write a -> 3; cas [3 b] -> false", Invalid),
            ("write a -> 3; cas [2 b] -> false; read nil -> [3 a]", Valid),
            // Unknown changes fit where a version is missing, each once.
            (
                "write a -> ? @0 ?; 1 write b -> 5 @1 2; 1 read nil -> [4 a] @3 4",
                Invalid,
            ),
            (
                "write a -> ? @0 ?; 1 write b -> 5 @1 2; 1 read nil -> [6 a] @3 4",
                Valid,
            ),
            (
                "write a -> ? @0 ?; 1 read nil -> [4 a] @1 2; 1 read nil -> [6 a] @3 4",
                Invalid,
            ),
            ("cas [0 a] -> ? @0 ?; 1 read nil -> [4 a] @1 2", Valid),
            ("cas [3 a] -> ? @0 ?; 1 read nil -> [4 a] @1 2", Invalid),
            ("write a -> x; read nil -> [1 a]", Invalid),
        ],
    );
}

#[test]
fn what_is_no_versioned_register_is_refused() {
    let rows = [
        (
            "write a -> nil",
            "operation 0 has a write with the result nil, but the model versioned-register \
             expects the version it made, or a list of that version and the value written",
        ),
        (
            "write a -> [3 b]",
            "operation 0 has a write with the result [3 \"b\"], but the model versioned-register \
             expects the version it made, or a list of that version and the value written",
        ),
        (
            "read nil -> a",
            "operation 0 has a read with the result \"a\", but the model versioned-register \
             expects a list of version and value",
        ),
        (
            "cas [a b] -> true",
            "operation 0 has a cas with the argument [\"a\" \"b\"], but the model \
             versioned-register expects a list of the version expected and the new value",
        ),
        (
            "append a -> 1",
            "operation 0 has an operation \"append\", but the model versioned-register expects \
             read (get), write (put) or cas",
        ),
    ];
    for (row, expected) in rows {
        let refused = register().parse(&samples(row)[0]).unwrap_err().to_string();
        assert_eq!(refused, expected);
    }
    assert!(VersionedRegister::new(Some(&Value::Int(1)), NilReads::default()).is_err());
}

/// How many histories had an order, had none, and were not decided by the monitor.
#[derive(Debug, Default)]
struct Said {
    valid: u32,
    invalid: u32,
    nothing: u32,
}

impl Said {
    /// The monitor says what is true or nothing, and the calls it names contradict each other.
    fn compare(&mut self, intervals: &[Interval<VersionedOp>]) {
        let model = register();
        let initial = model.initial(None);
        let truth = |intervals: &[Interval<VersionedOp>]| {
            oracle::is_linearizable(&model, &initial, intervals, NODES_MAX).unwrap()
        };
        let Some(said) = model.monitor(&initial, intervals) else {
            self.nothing += 1;
            return;
        };
        let expected = truth(intervals);
        match said {
            Monitored::Linearizable | Monitored::Ordered(_) => {
                assert!(expected, "{intervals:#?}");
                self.valid += 1;
            }
            Monitored::ViolatedAt(_) => unreachable!("it names calls"),
            Monitored::Violated(calls) => {
                assert!(!expected, "{calls:?} {intervals:#?}");
                let weak: Vec<_> = intervals
                    .iter()
                    .enumerate()
                    .map(|(call, interval)| Interval {
                        ends: interval.ends.filter(|_| calls.contains(&call)),
                        ..interval.clone()
                    })
                    .collect();
                assert!(!truth(&weak), "{calls:?} {intervals:#?}");
                self.invalid += 1;
            }
        }
    }
}

/// What is known while a history is only known up to `end`.
fn cut(intervals: &[Interval<VersionedOp>], end: u64) -> Vec<Interval<VersionedOp>> {
    let begun = intervals.iter().filter(|interval| interval.begins < end);
    begun
        .filter_map(|interval| {
            let ends = interval.ends.filter(|ends| *ends < end);
            let op = match (&interval.op, ends) {
                (op, Some(_)) => op.clone(),
                (VersionedOp::Read(..), None) => return None,
                (VersionedOp::Mismatch(version), None) => {
                    VersionedOp::Cas(*version, Value::Int(0), None)
                }
                (VersionedOp::Write(value, _), None) => VersionedOp::Write(value.clone(), None),
                (VersionedOp::Cas(expected, value, _), None) => {
                    VersionedOp::Cas(*expected, value.clone(), None)
                }
            };
            Some(Interval {
                op,
                ends,
                ..*interval
            })
        })
        .collect()
}

#[test]
fn every_history_of_few_operations_is_judged_as_by_trying_every_order() {
    use VersionedOp::{Cas, Mismatch, Read, Write};
    let value = Value::Int;
    let mut ops = vec![
        Read(0, Value::Nil),
        Read(2, Value::Nil),
        Mismatch(0),
        Mismatch(2),
        Cas(0, value(1), Some(2)),
        Cas(2, value(2), Some(4)),
        Cas(0, value(2), Some(3)),
        Cas(3, value(1), Some(2)),
        Cas(1, value(1), None),
    ];
    for version in [2, 4] {
        for v in [1, 2] {
            ops.push(Read(version, value(v)));
            ops.push(Write(value(v), Some(version)));
        }
    }
    let mut said = Said::default();
    for (count, stride) in [(2, 1), (3, 7), (4, 499)] {
        each_history(count, stride, &ops, |_, whole| {
            said.compare(&cut(whole, u64::MAX));
        });
    }
    let least = said.valid.min(said.invalid).min(said.nothing);
    assert!(least > 1_000, "{said:?}");
}

/// A register at work, which now and then says something wrong.
fn random_history(chance: &mut Stream) -> Vec<Interval<VersionedOp>> {
    let count = 3 + chance.below(9) as usize;
    let width = 1 + chance.below(5) as usize;
    let values = 1 + chance.below(6);
    let wrong = chance.below(3);
    let mismatches = chance.below(2);
    let mut there = vec![(0, Value::Nil)];
    random_intervals(chance, count, width, |chance| {
        let back = chance.below(2 + wrong) as usize;
        let (mut version, found) = there[there.len().saturating_sub(1 + back)].clone();
        if chance.below(30) < wrong {
            version += chance.below(3);
        }
        let value = Value::Int(chance.below(values) as i64);
        let made = there[there.len() - 1].0 + 1 + chance.below(3);
        let made = match chance.chance(1, 4) {
            true => there[there.len().saturating_sub(2)].0 + 1,
            false => made,
        };
        match chance.below(6) {
            0..=2 => VersionedOp::Read(version, found),
            3 if mismatches == 1 && chance.chance(1, 2) => VersionedOp::Mismatch(version),
            3 => {
                there.push((made, value.clone()));
                VersionedOp::Cas(version, value, Some(made))
            }
            _ => {
                there.push((made, value.clone()));
                VersionedOp::Write(value, Some(made))
            }
        }
    })
}

#[test]
fn random_histories_and_their_prefixes_are_judged_as_by_trying_every_order() {
    let mut chance = chance(8);
    let mut said = Said::default();
    for _ in 0..2_000 {
        let whole = random_history(&mut chance);
        let end = whole.iter().filter_map(|interval| interval.ends).max();
        for end in 0..=end.unwrap_or(0) + 1 {
            said.compare(&cut(&whole, end));
        }
    }
    let least = said.valid.min(said.invalid).min(said.nothing);
    assert!(least > 1_000, "{said:?}");
}

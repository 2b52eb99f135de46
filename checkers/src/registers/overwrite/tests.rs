//! The engine against the oracle, with everything on and off.

use histories::Value;
use rayon::prelude::*;
use seeds::Stream as Chance;

use super::*;
use crate::limits::{Cancel, Limits};
use crate::oracle::{self, Interval};
use crate::registers::{Access, OPEN};
use crate::search::Progress;
use crate::testing::{chance, random_intervals, shapes};
use crate::{NilReads, Register, RegisterOp};

mod mutations;
mod simulate;
mod sizes;

type Accesses = Vec<Interval<Access<u32>>>;

fn budget() -> Budget {
    Budget::new(&Limits::default(), &Cancel::new())
}

fn register_op(access: Access<u32>) -> RegisterOp {
    let value = |number: u32| Value::Int(i64::from(number));
    match access {
        Access::Read(a) => RegisterOp::Read(value(a)),
        Access::Write(a) => RegisterOp::Write(value(a)),
        Access::Cas(a, b) => RegisterOp::Cas(value(a), value(b)),
        Access::Not(a) => RegisterOp::Mismatch(value(a)),
    }
}

/// What the oracle says of a history that starts with one of these values.
fn truth(intervals: &[Interval<Access<u32>>], starts: &[u32]) -> bool {
    let model = Register::with_cas(Value::Int(0), NilReads::Observe);
    let ops: Vec<_> = intervals
        .iter()
        .map(|interval| Interval {
            op: register_op(interval.op),
            begins: interval.begins,
            ends: interval.ends,
        })
        .collect();
    starts.iter().any(|&start| {
        oracle::is_linearizable(&model, &Value::Int(i64::from(start)), &ops, u64::MAX).unwrap()
    })
}

/// The history up to (and without) a moment: calls under way there are open, later ones left out.
fn prefix(intervals: &[Interval<Access<u32>>], history: &RegisterHistory, end: usize) -> Accesses {
    let mut times: Vec<u64> = intervals.iter().map(|interval| interval.begins).collect();
    times.extend(intervals.iter().filter_map(|interval| interval.ends));
    times.sort_unstable();
    assert_eq!(times.len(), history.moments.len());
    let cut = times.get(end).copied().unwrap_or(u64::MAX);
    intervals
        .iter()
        .filter(|interval| interval.begins < cut)
        .map(|interval| Interval {
            ends: interval.ends.filter(|&ends| ends < cut),
            ..interval.clone()
        })
        .collect()
}

fn history_of(intervals: &[Interval<Access<u32>>], starts: &[u32]) -> RegisterHistory {
    let (mut history, _) = RegisterHistory::from_intervals(intervals, VALUES_MAX);
    history.starts = starts.to_vec();
    history
}

const VALUES_MAX: u32 = 8;

/// What the engine says, true for linearizable.
fn verdict(decision: Decision) -> bool {
    match decision {
        Decision::Linearizable => true,
        Decision::NotLinearizable { .. } => false,
        Decision::Undecided { .. } => panic!("undecided"),
    }
}

/// Independent of the engine: the order keeps real time, has every call that returns, and each
/// call finds what it must.
fn assert_explains(history: &RegisterHistory, order: &[u32]) {
    let mut seen = vec![false; history.calls.len()];
    let mut states = history.starts.clone();
    // The latest beginning so far: nothing that returned before it may come later.
    let mut begun = 0;
    for &number in order {
        let call = &history.calls[number as usize];
        assert!(!std::mem::replace(&mut seen[number as usize], true));
        assert!(
            call.returns > begun,
            "{number} comes too late in {order:?} of {history:?}"
        );
        begun = begun.max(call.begins);
        states.retain_mut(|state| match call.access {
            Access::Read(value) => *state == value,
            Access::Not(value) => *state != value,
            Access::Write(value) => {
                *state = value;
                true
            }
            Access::Cas(old, new) => std::mem::replace(state, new) == old,
        });
    }
    assert!(!states.is_empty(), "{order:?} is not legal in {history:?}");
    let all = history.calls.iter().zip(seen);
    assert!(all.clone().all(|(call, seen)| seen || call.returns == OPEN));
}

/// What the stream says, fed with values that are not small numbers.
fn streamed(history: &RegisterHistory, budget: &Budget) -> Decision {
    let value = |number: u32| u64::from(number) << 40 | 7;
    let starts: Vec<u64> = history.starts.iter().map(|&start| value(start)).collect();
    let mut stream = Stream::new(&starts, budget);
    let mut tickets = vec![None; history.calls.len()];
    for (event, &moment) in history.moments.iter().enumerate() {
        let number = (moment >> 1) as usize;
        let call = &history.calls[number];
        let access = match call.access {
            Access::Read(a) => Access::Read(value(a)),
            Access::Write(a) => Access::Write(value(a)),
            Access::Cas(a, b) => Access::Cas(value(a), value(b)),
            Access::Not(a) => Access::Not(value(a)),
        };
        if moment & 1 == 0 && call.returns == OPEN {
            stream.begins_open(access);
        } else if moment & 1 == 0 {
            tickets[number] = Some(stream.begins(access, u64::from(call.returns)));
        } else if !stream.returns(tickets[number].unwrap()).unwrap() {
            return Decision::NotLinearizable { event };
        }
    }
    Decision::Linearizable
}

/// Every way to run it says what the oracle says, and without look-ahead the event is exact.
fn agrees(intervals: &[Interval<Access<u32>>], starts: &[u32]) -> bool {
    let expected = truth(intervals, starts);
    let history = history_of(intervals, starts);
    let budget = budget();
    let ahead = decide(&history, &Options::exact(true), &budget).decision;
    assert_eq!(
        verdict(ahead),
        expected,
        "look-ahead {starts:?} {intervals:#?}"
    );
    let plain = shortest_bad_prefix(&history, &budget).decision;
    assert_eq!(verdict(plain), expected, "{starts:?} {intervals:#?}");
    let wide = widening(&history, &budget).advance(u64::MAX);
    assert!(matches!(wide, Progress::Done(decision) if verdict(decision) == expected));
    assert_eq!(
        streamed(&history, &budget),
        plain,
        "{starts:?} {intervals:#?}"
    );
    match order(&history, &budget) {
        Some(order) => assert_explains(&history, &order),
        None => assert!(!expected, "no order of {intervals:#?}"),
    }
    if let Decision::NotLinearizable { event } = plain {
        assert!(
            truth(&prefix(intervals, &history, event), starts),
            "{event} {intervals:#?}"
        );
        assert!(
            !truth(&prefix(intervals, &history, event + 1), starts),
            "{event} {intervals:#?}"
        );
        let Decision::NotLinearizable { event: early } = ahead else {
            unreachable!()
        };
        assert!(early <= event);
    }
    expected
}

/// All accesses to so many values.
fn accesses(values: u32, with_cas: bool) -> Vec<Access<u32>> {
    let mut found = Vec::new();
    for a in 0..values {
        found.extend([Access::Read(a), Access::Write(a)]);
        if with_cas {
            found.push(Access::Not(a));
            found.extend((0..values).map(|b| Access::Cas(a, b)));
        }
    }
    found
}

/// Whether no permutation of the values other than 0 makes it smaller: enough to look at.
fn is_first_of_its_kind(chosen: &[Access<u32>]) -> bool {
    let mut known = 1;
    let mut in_order = |value: u32| {
        known += u32::from(value == known);
        value < known
    };
    chosen.iter().all(|access| match *access {
        Access::Read(a) | Access::Write(a) | Access::Not(a) => in_order(a),
        Access::Cas(a, b) => in_order(a) && in_order(b),
    })
}

/// Every combination of accesses and overlaps: how many are linearizable, and how many not.
fn enumerate(count: usize, ops: &[Access<u32>]) -> (u64, u64) {
    let shapes = shapes(count);
    let combinations = ops.len().pow(count as u32);
    (0..combinations)
        .into_par_iter()
        .map(|number| {
            let mut rest = number;
            let mut chosen = Vec::new();
            while chosen.len() < count {
                chosen.push(ops[rest % ops.len()]);
                rest /= ops.len();
            }
            let (mut good, mut bad) = (0, 0);
            if is_first_of_its_kind(&chosen) {
                for shape in &shapes {
                    let intervals: Accesses = chosen
                        .iter()
                        .zip(shape)
                        .map(|(&op, &(begins, ends))| Interval { op, begins, ends })
                        .collect();
                    match agrees(&intervals, &[0]) {
                        true => good += 1,
                        false => bad += 1,
                    }
                }
            }
            (good, bad)
        })
        .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

#[test]
fn every_history_of_three_calls() {
    let (good, bad) = enumerate(3, &accesses(3, true));
    assert!(good > 10_000 && bad > 10_000, "{good} {bad}");
}

#[test]
fn every_history_of_four_reads_and_writes() {
    let (good, bad) = enumerate(4, &accesses(2, false));
    assert!(good > 10_000 && bad > 10_000, "{good} {bad}");
}

/// What small histories are made of.
struct Mix {
    calls_max: u64,
    width_max: u64,
    values: u32,
    /// How often an access is of each kind; what is left are writes.
    reads_percent: u64,
    cas_percent: u64,
    nots_percent: u64,
    /// How often a call stays open, besides one in six.
    open_percent: u64,
}

/// Kinds of histories in which different rules matter.
const MIXES: [Mix; 6] = [
    mix(14, 7, 2, [50, 0, 0], 0),
    mix(14, 7, 4, [50, 0, 0], 0),
    mix(14, 5, 3, [40, 20, 10], 0),
    mix(10, 5, 3, [25, 40, 10], 30),
    mix(10, 4, 4, [20, 5, 35], 40),
    mix(14, 7, 3, [40, 0, 0], 25),
];

const fn mix(
    calls_max: u64,
    width_max: u64,
    values: u32,
    [reads_percent, cas_percent, nots_percent]: [u64; 3],
    open_percent: u64,
) -> Mix {
    Mix {
        calls_max,
        width_max,
        values,
        reads_percent,
        cas_percent,
        nots_percent,
        open_percent,
    }
}

/// A small history by chance, and the values that may be there at its start.
fn small(chance: &mut Chance) -> (Accesses, Vec<u32>) {
    let mix = &MIXES[chance.below(MIXES.len() as u64) as usize];
    let count = 2 + chance.below(mix.calls_max - 1) as usize;
    let width = 1 + chance.below(mix.width_max) as usize;
    let values = 1 + chance.below(u64::from(mix.values));
    let mut intervals = random_intervals(chance, count, width, |chance| {
        let (a, b) = (chance.below(values) as u32, chance.below(values) as u32);
        match chance.below(100) {
            roll if roll < mix.reads_percent => Access::Read(a),
            roll if roll < mix.reads_percent + mix.cas_percent => Access::Cas(a, b),
            roll if roll < mix.reads_percent + mix.cas_percent + mix.nots_percent => Access::Not(a),
            _ => Access::Write(a),
        }
    });
    for interval in &mut intervals {
        if chance.chance(mix.open_percent, 100) {
            interval.ends = None;
        }
    }
    let starts = match chance.chance(1, 5) {
        true => vec![0, 1 + chance.below(u64::from(VALUES_MAX) - 1) as u32],
        false => vec![0],
    };
    (intervals, starts)
}

/// A larger history that a register has made.
fn made(chance: &mut Chance) -> RegisterHistory {
    let load = simulate::Load {
        calls: 20 + chance.below(120) as usize,
        clients: 3 + chance.below(8) as usize,
        values: 2 + chance.below(4) as u32,
        cas_percent: [0, 0, 30, 60][chance.below(4) as usize],
        open_percent: [0, 3, 15][chance.below(3) as usize],
    };
    simulate::simulate(&load, chance)
}

#[test]
fn small_histories_by_chance() {
    let good = (0..6_000_u64)
        .into_par_iter()
        .filter(|&seed| {
            let (intervals, starts) = small(&mut chance(seed));
            agrees(&intervals, &starts)
        })
        .count();
    assert!((1_000..5_000).contains(&good), "{good}");
}

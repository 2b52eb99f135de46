//! The zones against every order tried, exhaustively for few operations and by chance for more.

use rustc_hash::FxHashSet;
use seeds::Stream;

use super::*;
use crate::Model;
use crate::oracle::{self, Interval};
use crate::registers::{Access, OPEN};
use crate::testing::{Plain, chance, random_intervals, shapes};

const NODES_MAX: u64 = 10_000_000;

type Intervals = Vec<Interval<Access<u32>>>;

fn truth(intervals: &[Interval<Access<u32>>], start: u32) -> bool {
    oracle::is_linearizable(&Plain, &start, intervals, NODES_MAX).unwrap()
}

fn history(intervals: &[Interval<Access<u32>>]) -> (RegisterHistory, Vec<u32>) {
    let largest = intervals.iter().map(|interval| match interval.op {
        Access::Read(v) | Access::Write(v) | Access::Not(v) => v,
        Access::Cas(old, new) => old.max(new),
    });
    RegisterHistory::from_intervals(intervals, largest.max().unwrap_or(0) + 1)
}

/// The zones say what is true, the calls they name contradict each other, and the order they give
/// is one. Says whether there is one.
fn agrees(intervals: &[Interval<Access<u32>>]) -> bool {
    let (history, sources) = history(intervals);
    let expected = truth(intervals, 0);
    let order = order(&history);
    match decide(&history).unwrap() {
        Zones::Linearizable => {
            assert!(expected, "{intervals:#?}");
            assert_is_order(&history, &order.unwrap());
        }
        Zones::Violated { calls } => {
            assert!(!expected, "{intervals:#?}");
            assert_eq!(order, None);
            assert!((1..=6).contains(&calls.len()), "{calls:?} {intervals:#?}");
            let kept: FxHashSet<u32> = calls.iter().map(|&call| sources[call as usize]).collect();
            let weak = weakened(intervals, &kept);
            assert!(!truth(&weak, 0), "{kept:?} {intervals:#?}");
        }
    }
    expected
}

/// All but the `kept` made open; their observers left out.
fn weakened(intervals: &[Interval<Access<u32>>], kept: &FxHashSet<u32>) -> Intervals {
    let mut weak = Vec::new();
    for (number, interval) in (0..).zip(intervals) {
        let is_observer = matches!(interval.op, Access::Read(_) | Access::Not(_));
        if kept.contains(&number) {
            weak.push(interval.clone());
        } else if !is_observer {
            weak.push(Interval {
                ends: None,
                ..interval.clone()
            });
        }
    }
    weak
}

/// Every completed call is there once, nothing that observes nothing, the times are kept and
/// every call finds what it found.
fn assert_is_order(history: &RegisterHistory, order: &[u32]) {
    let placed: FxHashSet<u32> = order.iter().copied().collect();
    assert_eq!(placed.len(), order.len(), "{order:?} {history:?}");
    for (number, call) in (0..).zip(&history.calls) {
        assert!(
            call.returns == OPEN || placed.contains(&number),
            "{order:?} {history:?}"
        );
    }
    let (mut state, mut latest_begin) = (history.starts[0], 0);
    for &number in order {
        let call = &history.calls[number as usize];
        assert!(call.returns >= latest_begin, "{order:?} {history:?}");
        latest_begin = latest_begin.max(call.begins);
        state = Plain.step(&state, &call.access).expect("legal");
    }
}

/// All ways to choose operations, the written values counted 1, 2, … in order of beginning and
/// what is found any of them, the start, or (if `unwritten`) one that nobody writes.
fn choices(count: usize, with_cas: bool, unwritten: bool) -> Vec<Vec<Access<u32>>> {
    let mut found = Vec::new();
    for updates in 0..=count as u32 {
        let values = updates + 1 + u32::from(unwritten);
        extend_choices(
            count,
            updates,
            values,
            with_cas,
            &mut Vec::new(),
            &mut found,
        );
    }
    found
}

fn extend_choices(
    left: usize,
    updates: u32,
    values: u32,
    with_cas: bool,
    chosen: &mut Vec<Access<u32>>,
    found: &mut Vec<Vec<Access<u32>>>,
) {
    let written = chosen.iter().filter(|op| !matches!(op, Access::Read(_)));
    let next = written.count() as u32 + 1;
    if left == 0 {
        if next == updates + 1 {
            found.push(chosen.clone());
        }
        return;
    }
    let mut options: Vec<Access<u32>> = (0..values).map(Access::Read).collect();
    if next <= updates {
        options.push(Access::Write(next));
        if with_cas {
            let old = (0..values).filter(|old| *old != next);
            options.extend(old.map(|old| Access::Cas(old, next)));
        }
    }
    for option in options {
        chosen.push(option);
        extend_choices(left - 1, updates, values, with_cas, chosen, found);
        chosen.pop();
    }
}

fn with_shape(ops: &[Access<u32>], shape: &[(u64, Option<u64>)]) -> Intervals {
    ops.iter()
        .zip(shape)
        .map(|(&op, &(begins, ends))| Interval { op, begins, ends })
        .collect()
}

/// How many histories of these there are, and how many have an order; each `stride`-th is looked
/// at.
fn exhaust(count: usize, with_cas: bool, unwritten: bool, stride: usize) -> (u64, u64) {
    let shapes = shapes(count);
    let (mut all, mut valid) = (0, 0);
    let mut place = 0_usize;
    for ops in choices(count, with_cas, unwritten) {
        for shape in &shapes {
            place += 1;
            if place.is_multiple_of(stride) {
                all += 1;
                valid += u64::from(agrees(&with_shape(&ops, shape)));
            }
        }
    }
    (all, valid)
}

#[test]
fn every_history_of_few_operations_is_judged_as_by_trying_every_order() {
    let mut found = Vec::new();
    for (count, with_cas, unwritten, stride) in [
        (0, true, true, 1),
        (1, true, true, 1),
        (2, true, true, 1),
        (3, true, true, 1),
        (4, false, true, 3),
        (4, true, false, 31),
        (5, false, false, 101),
        (5, true, true, 20_011),
    ] {
        found.push(exhaust(count, with_cas, unwritten, stride));
    }
    println!("{found:?}");
    assert!(
        found[3..]
            .iter()
            .all(|(all, valid)| *all > 10_000 && *valid > 1_000)
    );
}

/// Operations of which each new value is written once. What is found leans to what was written
/// lately, so that there are histories that have an order.
fn random_history(chance: &mut Stream) -> Intervals {
    let count = 4 + chance.below(11) as usize;
    let width = 1 + chance.below(7) as usize;
    let cas = chance.below(4);
    let mut written = 0_u64;
    random_intervals(chance, count, width, |chance| {
        let back = chance.below(4).saturating_sub(1);
        let old = match chance.chance(1, 12) {
            true => chance.below(written + 3),
            false => (written + chance.below(2)).saturating_sub(back),
        } as u32;
        match chance.below(8) {
            0..=3 => Access::Read(old),
            4..=5 => {
                written += 1;
                Access::Write(written as u32)
            }
            _ if chance.below(3) < cas => {
                written += 1;
                Access::Cas(old, written as u32)
            }
            _ => Access::Read(old),
        }
    })
}

#[test]
fn random_histories_are_judged_as_by_trying_every_order() {
    let mut chance = chance(1);
    let mut valid = 0;
    for _ in 0..20_000 {
        valid += u32::from(agrees(&random_history(&mut chance)));
    }
    assert!((2_000..18_000).contains(&valid), "{valid}");
}

#[test]
fn numbering_values_and_calls_anew_changes_nothing() {
    let mut chance = chance(2);
    for _ in 0..2_000 {
        let mut intervals = random_history(&mut chance);
        let expected = is_linearizable(&intervals);
        let mut names: Vec<u32> = (1..40).collect();
        chance.shuffle(&mut names);
        names.insert(0, 0);
        let name = |value: u32| names[value as usize];
        for interval in &mut intervals {
            interval.op = match interval.op {
                Access::Read(value) => Access::Read(name(value)),
                Access::Write(value) => Access::Write(name(value)),
                Access::Cas(old, new) => Access::Cas(name(old), name(new)),
                Access::Not(value) => Access::Not(name(value)),
            };
            interval.begins *= 7;
            interval.ends = interval.ends.map(|ends| ends * 7);
        }
        chance.shuffle(&mut intervals);
        assert_eq!(is_linearizable(&intervals), expected, "{intervals:#?}");
    }
}

#[test]
fn what_has_an_order_has_one_when_intervals_are_wider() {
    let mut chance = chance(3);
    let mut widened = 0;
    for _ in 0..4_000 {
        let mut intervals = random_history(&mut chance);
        if !is_linearizable(&intervals) {
            continue;
        }
        let total = 2 * intervals.len() as u64;
        let picked = chance.below(intervals.len() as u64) as usize;
        for interval in &mut intervals {
            interval.begins = (interval.begins + 1) * 64;
            interval.ends = interval.ends.map(|ends| (ends + 1) * 64);
        }
        let wide = &mut intervals[picked];
        wide.begins = wide.begins.saturating_sub(chance.below(total) * 64 + 1);
        wide.ends = match chance.below(4) {
            0 => None,
            _ => wide.ends.map(|ends| ends + chance.below(total) * 64 + 1),
        };
        widened += 1;
        assert!(is_linearizable(&intervals), "{intervals:#?}");
    }
    assert!(widened > 500, "{widened}");
}

fn is_linearizable(intervals: &[Interval<Access<u32>>]) -> bool {
    decide(&history(intervals).0).unwrap() == Zones::Linearizable
}

/// Leaving out any one of the rules gives a wrong verdict on some small history.
#[test]
fn every_rule_is_needed() {
    let rules = [
        Rule::ReadIsWritten,
        Rule::BlockHasFirst,
        Rule::OneSuccessor,
        Rule::WriteAfterEarlier,
        Rule::ReadAfterEarlier,
        Rule::ForwardApart,
        Rule::BackwardOutside,
        Rule::StartIsFirst,
        Rule::OpenIfObserved,
        Rule::ObservedByChain,
    ];
    let mut chance = chance(4);
    let mut mistakes = [0_u32; 10];
    for _ in 0..20_000 {
        let (history, _) = history(&random_history(&mut chance));
        let right = decide(&history).unwrap() == Zones::Linearizable;
        for (rule, mistakes) in rules.into_iter().zip(&mut mistakes) {
            let said = Blocks::of(&history, Some(rule))
                .unwrap()
                .conflict(Some(rule));
            *mistakes += u32::from(said.is_none() != right);
        }
    }
    assert!(
        mistakes.iter().all(|mistakes| *mistakes > 0),
        "{mistakes:?}"
    );
}

fn check(ops: &[(Access<u32>, u64, Option<u64>)]) -> Option<Zones> {
    let intervals: Vec<_> = ops
        .iter()
        .map(|&(op, begins, ends)| Interval { op, begins, ends })
        .collect();
    decide(&history(&intervals).0)
}

#[test]
fn what_the_zones_cannot_judge_is_left_to_others() {
    use Access::{Cas, Not, Read, Write};
    let unclear = [
        vec![(Write(1), 0, Some(1)), (Write(1), 2, Some(3))],
        vec![(Write(1), 0, Some(1)), (Write(1), 2, None)],
        vec![(Write(0), 0, Some(1))],
        vec![(Cas(1, 0), 0, None)],
        vec![(Write(1), 0, Some(1)), (Cas(0, 1), 2, Some(3))],
        vec![(Not(0), 0, Some(1))],
    ];
    for ops in unclear {
        assert_eq!(check(&ops), None, "{ops:?}");
    }
    // What says nothing hinders nothing; a compare-and-set of a value with itself is a read.
    let clear = [
        (Read(5), 0, None),
        (Not(0), 1, None),
        (Cas(0, 0), 2, Some(3)),
    ];
    assert_eq!(check(&clear), Some(Zones::Linearizable));
    let wrong = [(Write(1), 0, Some(1)), (Cas(0, 0), 2, Some(3))];
    let calls = vec![0, 1];
    assert_eq!(check(&wrong), Some(Zones::Violated { calls }));
}

#[test]
fn the_start_may_be_any_one_value() {
    let intervals = vec![Interval {
        op: Access::Read(2),
        begins: 0,
        ends: Some(1),
    }];
    let (mut history, _) = history(&intervals);
    for (starts, expected) in [
        (vec![2], Some(Zones::Linearizable)),
        (vec![1], Some(Zones::Violated { calls: vec![0] })),
        (vec![1, 2], None),
        (vec![], None),
        (vec![3], None),
    ] {
        history.starts = starts;
        assert_eq!(decide(&history), expected);
    }
}

#[test]
fn the_calls_named_are_the_ones_that_contradict() {
    use Access::{Cas, Read, Write};
    let long = |from: u64, to: u64| (from, Some(to));
    let rows = [
        // A stale read: 1 is read after 2 is, and again after that.
        (
            vec![
                (Write(1), long(0, 1)),
                (Read(1), long(2, 3)),
                (Write(2), long(4, 5)),
                (Read(1), long(6, 7)),
            ],
            vec![0, 2, 3],
        ),
        // Two forward zones, each seen on both sides of the other's first return.
        (
            vec![
                (Write(1), long(0, 20)),
                (Write(2), long(1, 21)),
                (Read(1), long(2, 3)),
                (Read(2), long(4, 5)),
                (Read(1), long(6, 7)),
                (Read(2), long(8, 9)),
            ],
            vec![2, 3, 4, 5],
        ),
        // Lost update: two compare-and-sets found the start.
        (
            vec![
                (Cas(0, 1), long(0, 1)),
                (Cas(0, 2), long(2, 3)),
                (Read(2), long(4, 5)),
            ],
            vec![0, 1],
        ),
        // The same with one of unknown outcome that was seen.
        (
            vec![
                (Cas(0, 1), (0, None)),
                (Cas(0, 2), long(2, 3)),
                (Read(1), long(4, 5)),
            ],
            vec![0, 1, 2],
        ),
        // A circle: each found what the other left.
        (
            vec![(Cas(2, 1), long(0, 4)), (Cas(1, 2), long(1, 3))],
            vec![0, 1],
        ),
    ];
    for (ops, expected) in rows {
        let ops: Vec<_> = ops
            .into_iter()
            .map(|(op, (from, to))| (op, from, to))
            .collect();
        let calls = expected;
        assert_eq!(check(&ops), Some(Zones::Violated { calls }), "{ops:?}");
    }
}

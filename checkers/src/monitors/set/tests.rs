//! The monitor of sets against the oracle.

use histories::Value;
use seeds::Stream;

use super::{Conditions, decide};
use crate::models::{Element, Set, SetOp};
use crate::monitors::compare::{
    Comparison, assert_all_needed, compare, every, in_order, random, with,
};
use crate::oracle::Interval;
use crate::testing::{chance, random_intervals};
use crate::{Model, Monitored, NilReads};

fn model(initial: &[i64]) -> Set {
    let initial = Value::List(initial.iter().map(|value| Value::Int(*value)).collect());
    Set::new(Some(&initial), NilReads::Observe).unwrap()
}

fn element(value: i64) -> Element {
    Element {
        set: Value::Nil,
        value: Value::Int(value),
    }
}

fn add(value: i64) -> SetOp {
    SetOp::Add(element(value))
}

fn add_new(value: i64) -> SetOp {
    SetOp::AddNew(element(value))
}

fn look(value: i64, found: bool) -> SetOp {
    SetOp::Contains(element(value), found)
}

fn read(values: &[i64]) -> SetOp {
    let values: Vec<Value> = values.iter().map(|value| Value::Int(*value)).collect();
    SetOp::ReadAll(Value::Nil, values.into())
}

fn judge(initial: &[i64], history: &[Interval<SetOp>], conditions: Conditions) -> Comparison {
    let model = model(initial);
    let values: Vec<Value> = initial.iter().map(|value| Value::Int(*value)).collect();
    let starts_in = |element: &Element| values.contains(&element.value);
    compare(
        &model,
        history,
        decide(&values, starts_in, history, conditions),
    )
}

/// Goal: no small history is judged wrongly. Method: all of them.
#[test]
fn all_small_histories() {
    let all = Conditions::ALL;
    let plain = [
        add(1),
        add(2),
        read(&[]),
        read(&[1]),
        read(&[2]),
        read(&[1, 2]),
    ];
    let rich = [
        add(1),
        add_new(1),
        look(1, true),
        look(1, false),
        read(&[1]),
    ];
    let odd = [
        add(1),
        add(2),
        read(&[1, 1]),
        read(&[1, 2]),
        look(2, false),
        add_new(2),
    ];
    // Which element is which does not matter.
    let first = |ops: &[SetOp]| {
        let elements = ops.iter().filter_map(SetOp::element);
        in_order(elements.filter_map(|element| element.value.as_int()))
    };
    for (count, ops) in [(3, &plain[..]), (3, &odd), (4, &plain), (4, &rich)] {
        let tally = every(count, ops, first, |history| judge(&[], history, all));
        tally.assert_right();
        assert_eq!(tally.applicable_percent(), 100);
    }
    every(3, &plain, |_| true, |history| judge(&[1], history, all)).assert_right();
}

/// A history of a set: each operation happens at a moment between its ends, and now and then one
/// finds something a little wrong.
fn simulated(chance: &mut Stream, initial: &[i64], removals: bool) -> Vec<Interval<SetOp>> {
    let (operations, width) = (4 + chance.below(9) as usize, 1 + chance.below(6) as usize);
    let elements = 2 + chance.below(4);
    let mut history = random_intervals(chance, operations, width, |chance| {
        let value = chance.below(elements) as i64;
        match chance.below(if removals { 9 } else { 8 }) {
            0..4 => add(value),
            4 => look(value, true),
            8 => SetOp::Remove(element(value)),
            _ => read(&[]),
        }
    });
    let mut moments: Vec<(u64, usize)> = Vec::new();
    for (call, interval) in history.iter_mut().enumerate() {
        interval.begins *= 2;
        interval.ends = interval.ends.map(|ends| 2 * ends);
        let ends = interval.ends.unwrap_or(interval.begins + 7);
        if interval.ends.is_some() || chance.chance(1, 2) {
            let moment = interval.begins + chance.below(ends - interval.begins);
            moments.push((moment, call));
        }
    }
    moments.sort_unstable();
    let wrong_percent = 8 * chance.below(3);
    let mut held: std::collections::BTreeSet<i64> = initial.iter().copied().collect();
    for (_, call) in moments {
        let wrong = chance.chance(wrong_percent, 100);
        let interval = &mut history[call];
        let value = interval
            .op
            .element()
            .and_then(|element| element.value.as_int());
        interval.op = match (&interval.op, value) {
            (SetOp::Add(_), Some(value)) => {
                let new = held.insert(value) != wrong;
                match interval.ends.is_some() && chance.chance(1, 3) {
                    true if new => add_new(value),
                    true => look(value, true),
                    false => add(value),
                }
            }
            (SetOp::Remove(_), Some(value)) => {
                held.remove(&value);
                SetOp::Remove(element(value))
            }
            (_, Some(value)) => look(value, held.contains(&value) != wrong),
            (_, None) => {
                let mut shown = held.clone();
                if wrong {
                    let value = chance.below(elements) as i64;
                    if !shown.remove(&value) {
                        shown.insert(value);
                    }
                }
                let mut shown: Vec<i64> = shown.into_iter().collect();
                if wrong && chance.chance(1, 10) {
                    shown.extend(shown.last().copied());
                }
                read(&shown)
            }
        };
    }
    history
}

fn simulate(seed: u64, conditions: Conditions, removals: bool) -> Comparison {
    let mut chance = chance(seed);
    let initial: &[i64] = match chance.below(3) {
        0 => &[0, 1],
        _ => &[],
    };
    let history = simulated(&mut chance, initial, removals);
    judge(initial, &history, conditions)
}

const SEEDS: u64 = 2_500;

/// Goal: the same for longer histories. Method: sets that are right, and sets that sometimes
/// answer wrongly.
#[test]
fn random_histories() {
    let tally = random(SEEDS, |seed| simulate(seed, Conditions::ALL, false));
    tally.assert_right();
    assert_eq!(tally.applicable_percent(), 100);
    let removals = random(SEEDS, |seed| simulate(seed, Conditions::ALL, true));
    removals.assert_right();
    assert!(removals.not_applicable > 0, "{removals:?}");
}

/// Goal: every condition is needed. Method: without it, the comparison with the oracle fails.
#[test]
fn no_condition_can_be_left_out() {
    let with = |change: fn(&mut Conditions)| with(Conditions::ALL, change);
    let changed = [
        ("twice", with(|c| c.twice = false)),
        ("new once", with(|c| c.new_once = false)),
        ("new", with(|c| c.new = false)),
        ("chain", with(|c| c.chain = false)),
        ("spans", with(|c| c.spans = false)),
        ("layers", with(|c| c.layers = false)),
        ("link", with(|c| c.link = false)),
        ("no removals", with(|c| c.no_removals = false)),
        ("initial", with(|c| c.initial = false)),
    ];
    assert_all_needed(&changed, |conditions| {
        let either = [false, true].into_iter();
        either
            .map(|removals| random(SEEDS, |seed| simulate(seed, conditions, removals)))
            .any(|tally| tally.is_wrong())
    });
}

/// Goal: the calls named are the few that matter. Method: one history for each contradiction.
#[test]
fn what_contradicts_each_other_is_named() {
    let at = |op, begins, ends| Interval {
        op,
        begins,
        ends: Some(ends),
    };
    let rows: [(Vec<Interval<SetOp>>, Vec<usize>); 8] = [
        (vec![at(add(1), 0, 1), at(read(&[]), 2, 3)], vec![0, 1]),
        (vec![at(add(1), 0, 1), at(read(&[1, 2]), 2, 3)], vec![1]),
        (vec![at(read(&[1]), 0, 1), at(add(1), 2, 3)], vec![0]),
        (
            vec![
                at(add(1), 0, 9),
                at(add(2), 1, 8),
                at(read(&[1]), 2, 4),
                at(read(&[2]), 3, 5),
            ],
            vec![2, 3],
        ),
        (
            vec![at(add(1), 0, 9), at(read(&[1]), 2, 4), at(read(&[]), 5, 6)],
            vec![1, 2],
        ),
        // 1 was not in when 2 had been added, but a read shows 1 and not 2.
        (
            vec![
                at(add(1), 0, 20),
                at(read(&[1]), 1, 9),
                at(add(2), 2, 3),
                at(look(1, false), 4, 5),
            ],
            vec![1, 2, 3],
        ),
        (vec![at(add_new(1), 0, 3), at(add_new(1), 1, 4)], vec![0, 1]),
        (
            vec![
                at(add(1), 0, 9),
                at(look(1, true), 2, 3),
                at(look(1, false), 4, 5),
            ],
            vec![1, 2],
        ),
    ];
    for (history, calls) in rows {
        let found = model(&[]).monitor(&model(&[]).initial(None), &history);
        assert_eq!(found, Some(Monitored::Violated(calls)), "{history:#?}");
    }
}

/// Goal: sets with different keys do not mix. Method: one is right, the other is not.
#[test]
fn sets_are_told_apart() {
    let of = |key: i64, value: i64| Element {
        set: Value::Int(key),
        value: Value::Int(value),
    };
    let read = |key: i64, values: &[i64]| {
        let values: Vec<Value> = values.iter().map(|value| Value::Int(*value)).collect();
        SetOp::ReadAll(Value::Int(key), values.into())
    };
    let history = |last| -> Vec<Interval<SetOp>> {
        let ops = [
            SetOp::Add(of(1, 5)),
            SetOp::Add(of(2, 6)),
            read(1, &[5]),
            last,
        ];
        let times = (0..).step_by(2).zip(ops);
        times
            .map(|(begins, op)| Interval {
                op,
                begins,
                ends: Some(begins + 1),
            })
            .collect()
    };
    let all = Conditions::ALL;
    assert_eq!(
        judge(&[], &history(read(2, &[6])), all),
        Comparison::Linearizable
    );
    assert_eq!(
        judge(&[], &history(read(2, &[5, 6])), all),
        Comparison::Violated
    );
    assert_eq!(
        judge(&[], &history(read(2, &[])), all),
        Comparison::Violated
    );
}

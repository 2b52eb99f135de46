//! The monitor of stacks against the oracle.

use histories::Value;

use super::{Conditions, decide};
use crate::Model;
use crate::models::{Stack, StackOp};
use crate::monitors::compare::{
    Comparison, assert_all_needed, at_moments, compare, every, in_order, random, with,
};
use crate::oracle::Interval;
use crate::testing::{chance, random_intervals};

use StackOp::{Pop, PopAny, PopEmpty, Push};

fn judge(stack: &Stack, history: &[Interval<StackOp>], conditions: Conditions) -> Comparison {
    let initial = stack.initial(None);
    let mut there: Vec<Value> = initial.elements().cloned().collect();
    there.reverse();
    compare(stack, history, decide(&there, history, conditions))
}

fn empty() -> Stack {
    Stack::new(None).unwrap()
}

fn ops(values: i64) -> Vec<StackOp> {
    let known = (1..=values).flat_map(|value| [Push(Value::Int(value)), Pop(Value::Int(value))]);
    [PopEmpty, PopAny].into_iter().chain(known).collect()
}

/// Values come up in order, and at most one pop is unknown.
fn chosen(ops: &[StackOp]) -> bool {
    let mentioned = ops.iter().filter_map(|op| match op {
        Push(value) | Pop(value) => value.as_int(),
        PopEmpty | PopAny => None,
    });
    ops.iter().filter(|op| **op == PopAny).count() <= 1 && in_order(mentioned)
}

/// Goal: no small history is judged wrongly. Method: all of them.
#[test]
fn all_small_histories() {
    for (count, values) in [(1, 1), (2, 2), (3, 3), (4, 2)] {
        let tally = every(count, &ops(values), chosen, |history| {
            judge(&empty(), history, Conditions::ALL)
        });
        assert_eq!(tally.wrong, 0, "{:?}", tally.example);
        assert!(tally.applicable_percent() >= 70, "{count}: {tally:?}");
    }
}

/// A stack that now and then takes something else than the top. `repeated` says of how many values
/// the next one is drawn; 0 for a new one each time.
fn simulate(seed: u64, conditions: Conditions, unknown_percent: u64, repeated: u64) -> Comparison {
    let mut chance = chance(seed);
    let start = (0..chance.below(3) as i64).map(Value::Int).collect();
    let stack = Stack::new(Some(&Value::List(start))).unwrap();
    let wrong_percent = 10 * chance.below(3);
    let (count, width) = (4 + chance.below(9) as usize, 1 + chance.below(5) as usize);
    let mut next = 100;
    let asked = random_intervals(&mut chance, count, width, |chance| {
        next += 1;
        let new = match repeated {
            0 => next,
            values => chance.below(values) as i64,
        };
        (chance.chance(1, 2)).then_some(Value::Int(new))
    });
    let initial = stack.initial(None);
    let mut held: Vec<Value> = initial.elements().cloned().collect();
    held.reverse();
    let op = |asked: Option<Value>, found: Option<Value>, known: bool| match (asked, found) {
        (Some(value), _) => Push(value),
        (None, _) if !known => PopAny,
        (None, Some(value)) => Pop(value),
        (None, None) => PopEmpty,
    };
    let history = at_moments(
        &mut chance,
        asked,
        unknown_percent,
        |chance, asked| {
            if let Some(value) = asked {
                held.push(value.clone());
                return None;
            }
            match chance.chance(wrong_percent, 100) && !held.is_empty() {
                true => Some(held.remove(chance.below(held.len() as u64) as usize)),
                false => held.pop(),
            }
        },
        op,
    );
    judge(&stack, &history, conditions)
}

/// Operations without any sense: each value is pushed and popped once at most.
fn jumbled(seed: u64, conditions: Conditions, values: i64) -> Comparison {
    let mut chance = chance(seed);
    let (count, width) = (4 + chance.below(7) as usize, 1 + chance.below(6) as usize);
    let mut left = ops(values);
    let count = count.min(left.len());
    let history = random_intervals(&mut chance, count, width, |chance| {
        let place = chance.below(left.len() as u64) as usize;
        left.swap_remove(place)
    });
    judge(&empty(), &history, conditions)
}

const SEEDS: u64 = 2_000;

/// Goal: the same for longer histories. Method: stacks that are right, and stacks that sometimes
/// take something else; and operations without any sense.
#[test]
fn random_histories() {
    let all = Conditions::ALL;
    let known = random(SEEDS, |seed| simulate(seed, all, 0, 0));
    known.assert_right();
    assert_eq!(known.applicable_percent(), 100);
    let unknown = random(SEEDS, |seed| simulate(seed, all, 40, 0));
    unknown.assert_right();
    assert!(unknown.applicable_percent() >= 95, "{unknown:?}");
    let repeated = random(SEEDS, |seed| simulate(seed, all, 20, 6));
    repeated.assert_right();
    for values in [3, 5] {
        let jumbled = random(SEEDS, |seed| jumbled(seed, all, values));
        jumbled.assert_right();
        assert!(jumbled.applicable_percent() >= 40, "{jumbled:?}");
    }
}

/// Goal: every condition is needed. Method: without it, the comparison with the oracle fails.
#[test]
fn no_condition_can_be_left_out() {
    let with = |change: fn(&mut Conditions)| with(Conditions::ALL, change);
    let changed = [
        ("counts", with(|c| c.counts = false)),
        ("unique", with(|c| c.unique = false)),
        ("causes", with(|c| c.causes = false)),
        ("pushed before", with(|c| c.pushed_before = false)),
        ("popped after", with(|c| c.popped_after = false)),
        ("never popped", with(|c| c.never_popped = false)),
        ("open pops", with(|c| c.open_pops = false)),
        ("empty", with(|c| c.empty = false)),
        ("unknown", with(|c| c.unknown = false)),
        ("contested", with(|c| c.contested = false)),
    ];
    assert_all_needed(&changed, |conditions| {
        let small = || {
            every(3, &ops(2), chosen, |history| {
                judge(&empty(), history, conditions)
            })
        };
        small().is_wrong()
            || random(SEEDS, |seed| simulate(seed, conditions, 40, 0)).is_wrong()
            || random(SEEDS, |seed| simulate(seed, conditions, 0, 4)).is_wrong()
            || random(SEEDS, |seed| jumbled(seed, conditions, 4)).is_wrong()
    });
}

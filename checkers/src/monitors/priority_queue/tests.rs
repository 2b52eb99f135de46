//! The monitor of priority queues against the oracle.

use seeds::Stream;

use super::{Conditions, decide};
use crate::Model;
use crate::models::{PriorityQueue, PriorityQueueOp};
use crate::monitors::compare::{
    Comparison, assert_all_needed, at_moments, compare, every, random, with,
};
use crate::oracle::Interval;
use crate::testing::{chance, random_intervals};
use histories::Value;

use PriorityQueueOp::{Pop, PopAny, PopEmpty, Push};

fn judge(
    queue: &PriorityQueue,
    history: &[Interval<PriorityQueueOp>],
    conditions: Conditions,
) -> Comparison {
    let initial = queue.initial(None);
    compare(queue, history, decide(&initial, history, conditions))
}

fn empty() -> PriorityQueue {
    PriorityQueue::new(None).unwrap()
}

fn ops(numbers: i64) -> Vec<PriorityQueueOp> {
    let known = (1..=numbers).flat_map(|number| [Push(number), Pop(number)]);
    [PopEmpty, PopAny].into_iter().chain(known).collect()
}

/// At most one pop is unknown.
fn chosen(ops: &[PriorityQueueOp]) -> bool {
    ops.iter().filter(|op| **op == PopAny).count() <= 1
}

/// Goal: no small history is judged wrongly. Method: all of them.
#[test]
fn all_small_histories() {
    for (count, numbers) in [(1, 1), (2, 2), (3, 3), (4, 2)] {
        let tally = every(count, &ops(numbers), chosen, |history| {
            judge(&empty(), history, Conditions::ALL)
        });
        assert_eq!(tally.wrong, 0, "{:?}", tally.example);
        assert!(tally.applicable_percent() >= 40, "{count}: {tally:?}");
    }
}

/// A queue that now and then takes the wrong number, which is drawn of so many.
fn simulate(seed: u64, conditions: Conditions, unknown_percent: u64, numbers: u64) -> Comparison {
    let mut chance = chance(seed);
    let start = (0..chance.below(3)).map(|_| Value::Int(chance.below(numbers) as i64));
    let queue = PriorityQueue::new(Some(&Value::List(start.collect()))).unwrap();
    let wrong_percent = 10 * chance.below(3);
    let (count, width) = (4 + chance.below(8) as usize, 1 + chance.below(5) as usize);
    let asked = random_intervals(&mut chance, count, width, |chance| {
        (chance.chance(1, 2)).then(|| chance.below(numbers) as i64)
    });
    let mut held: Vec<i64> = queue.initial(None).to_vec();
    let op = |asked: Option<i64>, found: Option<i64>, known: bool| match (asked, found) {
        (Some(number), _) => Push(number),
        (None, _) if !known => PopAny,
        (None, Some(number)) => Pop(number),
        (None, None) => PopEmpty,
    };
    let history = at_moments(
        &mut chance,
        asked,
        unknown_percent,
        |chance, asked| {
            if let Some(number) = asked {
                held.push(*number);
                held.sort_unstable_by(|a, b| b.cmp(a));
                return None;
            }
            match chance.chance(wrong_percent, 100) && !held.is_empty() {
                true => Some(held.remove(chance.below(held.len() as u64) as usize)),
                false => held.pop(),
            }
        },
        op,
    );
    judge(&queue, &history, conditions)
}

/// Operations without any sense.
fn jumbled(seed: u64, conditions: Conditions) -> Comparison {
    let mut chance = chance(seed);
    let (count, width) = (4 + chance.below(7) as usize, 1 + chance.below(5) as usize);
    let ops = ops(3);
    let history = random_intervals(&mut chance, count, width, |chance: &mut Stream| {
        ops[chance.below(ops.len() as u64) as usize].clone()
    });
    judge(&empty(), &history, conditions)
}

const SEEDS: u64 = 2_000;

/// Goal: the same for longer histories. Method: queues that are right, and queues that sometimes
/// take the wrong number; and operations without any sense.
#[test]
fn random_histories() {
    let all = Conditions::ALL;
    for numbers in [2, 4, 1_000] {
        let known = random(SEEDS, |seed| simulate(seed, all, 0, numbers));
        assert_eq!(known.wrong, 0, "{:?}", known.example);
        assert!(known.applicable_percent() >= 60, "{known:?}");
        let unknown = random(SEEDS, |seed| simulate(seed, all, 40, numbers));
        assert_eq!(unknown.wrong, 0, "{:?}", unknown.example);
        assert!(numbers < 1_000 || known.violated.min(unknown.violated) > 0);
        assert!(unknown.applicable_percent() >= 95, "{unknown:?}");
    }
    let jumbled = random(SEEDS, |seed| jumbled(seed, all));
    assert_eq!(jumbled.wrong, 0, "{:?}", jumbled.example);
}

/// Goal: every condition is needed. Method: without it, the comparison with the oracle fails.
#[test]
fn no_condition_can_be_left_out() {
    let with = |change: fn(&mut Conditions)| with(Conditions::ALL, change);
    let changed = [
        ("smaller", with(|c| c.smaller = false)),
        ("pushed", with(|c| c.pushed = false)),
        ("never popped", with(|c| c.never_popped = false)),
        ("empty", with(|c| c.empty = false)),
        ("open pops", with(|c| c.open_pops = false)),
        ("repeated", with(|c| c.repeated = false)),
        ("unknown", with(|c| c.unknown = false)),
        ("delays", with(|c| c.delays = false)),
    ];
    assert_all_needed(&changed, |conditions| {
        let small = || {
            every(3, &ops(2), chosen, |history| {
                judge(&empty(), history, conditions)
            })
        };
        small().is_wrong()
            || random(SEEDS, |seed| simulate(seed, conditions, 40, 5)).is_wrong()
            || random(SEEDS, |seed| simulate(seed, conditions, 0, 100)).is_wrong()
            || random(SEEDS, |seed| jumbled(seed, conditions)).is_wrong()
    });
}

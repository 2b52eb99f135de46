//! The queue monitor against the oracle.

use histories::Value;
use seeds::Stream;

use super::{Conditions, decide};
use crate::models::{FifoQueue, FifoQueueOp};
use crate::monitors::compare::{
    Comparison, assert_all_needed, compare, every, in_order, random, with,
};
use crate::oracle::Interval;
use crate::testing::{chance, random_intervals};
use crate::{Model, Monitored};

use FifoQueueOp::{Dequeue, DequeueEmpty, DequeueUnknown, Enqueue};

fn empty() -> FifoQueue {
    FifoQueue::new(None).unwrap()
}

fn judge(
    queue: &FifoQueue,
    history: &[Interval<FifoQueueOp>],
    conditions: Conditions,
) -> Comparison {
    compare(
        queue,
        history,
        decide(&queue.initial(None), history, conditions),
    )
}

/// Enqueues and dequeues of so many values, and the two dequeues of none.
fn ops(values: i64) -> Vec<FifoQueueOp> {
    let mut ops = vec![DequeueEmpty, DequeueUnknown];
    for value in (1..=values).map(Value::Int) {
        ops.extend([Enqueue(value.clone()), Dequeue(value)]);
    }
    ops
}

fn mentioned(op: &FifoQueueOp) -> Option<i64> {
    match op {
        Enqueue(value) | Dequeue(value) => value.as_int(),
        DequeueEmpty | DequeueUnknown => None,
    }
}

/// Values come up in order, and no more than two dequeues are unknown.
fn chosen(ops: &[FifoQueueOp]) -> bool {
    let unknown = ops.iter().filter(|op| **op == DequeueUnknown).count();
    unknown <= 2 && in_order(ops.iter().filter_map(mentioned))
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

/// What happens by chance to a real queue, now and then with something wrong.
struct Faulty {
    operations: usize,
    width: usize,
    unknown_percent: u64,
    wrong_percent: u64,
    /// Of how many values the next one enqueued is drawn; 0 for a new one each time.
    repeated: u64,
}

/// A history of a queue: each operation happens at a moment between its ends.
fn simulated(
    chance: &mut Stream,
    queue: &FifoQueue,
    faulty: &Faulty,
) -> Vec<Interval<FifoQueueOp>> {
    let mut held: std::collections::VecDeque<Value> = queue.initial(None).iter().cloned().collect();
    let mut next = 100;
    let mut history = random_intervals(chance, faulty.operations, faulty.width, |chance| {
        next += 1;
        let new = match faulty.repeated {
            0 => next,
            values => chance.below(values) as i64,
        };
        (chance.chance(1, 2)).then_some(Value::Int(new))
    });
    // Where in its span each operation happens; some of those that never end do not.
    let mut moments: Vec<(u64, usize)> = Vec::new();
    for (call, interval) in history.iter_mut().enumerate() {
        // Room for the ends that come in: no two times are the same.
        interval.begins *= 2;
        interval.ends = interval.ends.map(|ends| 2 * ends);
        let ends = interval.ends.unwrap_or(interval.begins + 7);
        if interval.ends.is_none() && !chance.chance(faulty.unknown_percent, 100) {
            interval.ends = Some(ends);
        }
        if interval.ends.is_some() || chance.chance(1, 2) {
            moments.push((interval.begins + chance.below(ends - interval.begins), call));
        }
    }
    moments.sort_unstable();
    let mut found = vec![None; history.len()];
    for (_, call) in moments {
        match &history[call].op {
            Some(value) => held.push_back(value.clone()),
            None if chance.chance(faulty.wrong_percent, 100) => {
                let place = chance.below(held.len() as u64 + 1) as usize;
                found[call] = held.remove(place);
            }
            None => found[call] = held.pop_front(),
        }
    }
    let op = |(interval, found): (Interval<Option<Value>>, Option<Value>)| Interval {
        op: match (interval.op, found) {
            (Some(value), _) => Enqueue(value),
            (None, _) if interval.ends.is_none() => DequeueUnknown,
            (None, Some(value)) => Dequeue(value),
            (None, None) => DequeueEmpty,
        },
        begins: interval.begins,
        ends: interval.ends,
    };
    history.into_iter().zip(found).map(op).collect()
}

fn simulate(seed: u64, conditions: Conditions, unknown_percent: u64, repeated: u64) -> Comparison {
    let mut chance = chance(seed);
    let faulty = Faulty {
        operations: 4 + chance.below(8) as usize,
        width: 1 + chance.below(5) as usize,
        unknown_percent,
        wrong_percent: 10 * chance.below(3),
        repeated,
    };
    let initial = Value::List((0..chance.below(3) as i64).map(Value::Int).collect());
    let queue = FifoQueue::new(Some(&initial)).unwrap();
    let history = simulated(&mut chance, &queue, &faulty);
    judge(&queue, &history, conditions)
}

fn jumbled(seed: u64, conditions: Conditions) -> Comparison {
    let mut chance = chance(seed);
    let ops = ops(4);
    let (count, width) = (4 + chance.below(7) as usize, 1 + chance.below(5) as usize);
    // Each value is enqueued and dequeued once at most.
    let mut left = ops.clone();
    let history = random_intervals(&mut chance, count.min(ops.len()), width, |chance| {
        let place = chance.below(left.len() as u64) as usize;
        left.swap_remove(place)
    });
    judge(&empty(), &history, conditions)
}

const SEEDS: u64 = 2_500;

/// Goal: the same for longer histories. Method: queues that are right, and queues that sometimes
/// take the wrong item; and operations without any sense.
#[test]
fn random_histories() {
    let all = Conditions::ALL;
    let known = random(SEEDS, |seed| simulate(seed, all, 0, 0));
    known.assert_right();
    assert_eq!(known.applicable_percent(), 100);
    let unknown = random(SEEDS, |seed| simulate(seed, all, 40, 0));
    unknown.assert_right();
    assert!(unknown.applicable_percent() >= 80, "{unknown:?}");
    let repeated = random(SEEDS, |seed| simulate(seed, all, 20, 6));
    repeated.assert_right();
    let jumbled = random(SEEDS, |seed| jumbled(seed, all));
    jumbled.assert_right();
    assert!(jumbled.applicable_percent() >= 60, "{jumbled:?}");
}

/// Goal: every condition is needed. Method: without it, the comparison with the oracle fails.
#[test]
fn no_condition_can_be_left_out() {
    let with = |change: fn(&mut Conditions)| with(Conditions::ALL, change);
    let changed = [
        ("counts", with(|c| c.counts = false)),
        ("unique", with(|c| c.unique = false)),
        ("causes", with(|c| c.causes = false)),
        ("order", with(|c| c.order = false)),
        ("never dequeued", with(|c| c.never_dequeued = false)),
        ("open dequeues", with(|c| c.open_dequeues = false)),
        ("empty", with(|c| c.empty = false)),
        ("union", with(|c| c.union = false)),
        ("unknown", with(|c| c.unknown = false)),
        ("once", with(|c| c.once = false)),
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
            || random(SEEDS, |seed| jumbled(seed, conditions)).is_wrong()
    });
}

fn at(op: FifoQueueOp, begins: u64, ends: u64) -> Interval<FifoQueueOp> {
    Interval {
        op,
        begins,
        ends: Some(ends),
    }
}

/// Goal: the calls named are the few that matter. Method: one history for each contradiction.
#[test]
fn what_contradicts_each_other_is_named() {
    let enqueue = |value: i64, begins, ends| at(Enqueue(Value::Int(value)), begins, ends);
    let dequeue = |value: i64, begins, ends| at(Dequeue(Value::Int(value)), begins, ends);
    let rows: [(Vec<Interval<FifoQueueOp>>, Vec<usize>); 5] = [
        (vec![enqueue(1, 0, 1), dequeue(2, 2, 3)], vec![1]),
        (
            vec![enqueue(1, 0, 1), dequeue(1, 2, 4), dequeue(1, 3, 5)],
            vec![1, 2],
        ),
        (vec![dequeue(1, 0, 1), enqueue(1, 2, 3)], vec![0]),
        (
            vec![
                enqueue(1, 0, 1),
                enqueue(2, 2, 3),
                dequeue(2, 4, 5),
                dequeue(1, 6, 7),
            ],
            vec![0, 2],
        ),
        (
            vec![
                enqueue(1, 0, 1),
                at(DequeueEmpty, 2, 9),
                enqueue(2, 3, 4),
                dequeue(1, 5, 10),
                dequeue(2, 11, 12),
            ],
            vec![0, 1, 2],
        ),
    ];
    for (history, calls) in rows {
        let found = empty().monitor(&empty().initial(None), &history);
        assert_eq!(found, Some(Monitored::Violated(calls)), "{history:#?}");
        assert_eq!(
            judge(&empty(), &history, Conditions::ALL),
            Comparison::Violated
        );
    }
}

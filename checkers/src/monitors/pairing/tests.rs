//! Queues and stacks whose values come up again, against the oracle.

use std::collections::VecDeque;

use histories::Value;

use super::Gives;
use crate::Model;
use crate::models::{FifoQueue, FifoQueueOp, Stack, StackOp};
use crate::monitors::compare::{Comparison, Tally, at_moments, compare, every, random};
use crate::oracle::Interval;
use crate::testing::{chance, random_intervals};

const SEEDS: u64 = 2_000;

/// What clients of a container of few values asked and found: `Some` for a put; what was found where
/// that is known, `None` for nothing.
type Told = (Option<Value>, Option<Option<Value>>);

fn simulate(seed: u64, gives: Gives, unknown_percent: u64, values: u64) -> Vec<Interval<Told>> {
    let mut chance = chance(seed);
    let wrong_percent = 10 * chance.below(3);
    let (count, width) = (4 + chance.below(9) as usize, 1 + chance.below(5) as usize);
    let asked = random_intervals(&mut chance, count, width, |chance| {
        let value = Value::Int(chance.below(values) as i64);
        chance.chance(1, 2).then_some(value)
    });
    let mut held: VecDeque<Value> = start().into();
    at_moments(
        &mut chance,
        asked,
        unknown_percent,
        |chance, asked| {
            if let Some(value) = asked {
                held.push_back(value.clone());
                return None;
            }
            match gives {
                _ if chance.chance(wrong_percent, 100) => held.remove(held.len() / 2),
                Gives::First => held.pop_front(),
                Gives::Last => held.pop_back(),
            }
        },
        |asked, found, known| (asked, known.then_some(found)),
    )
}

fn start() -> Vec<Value> {
    [0, 1].map(Value::Int).to_vec()
}

fn with_ops<Op>(told: Vec<Interval<Told>>, op: fn(Told) -> Op) -> Vec<Interval<Op>> {
    let all = told.into_iter();
    all.map(|interval| Interval {
        op: op(interval.op),
        begins: interval.begins,
        ends: interval.ends,
    })
    .collect()
}

fn queue_op(told: Told) -> FifoQueueOp {
    match told {
        (Some(value), _) => FifoQueueOp::Enqueue(value),
        (None, Some(Some(value))) => FifoQueueOp::Dequeue(value),
        (None, Some(None)) => FifoQueueOp::DequeueEmpty,
        (None, None) => FifoQueueOp::DequeueUnknown,
    }
}

fn stack_op(told: Told) -> StackOp {
    match told {
        (Some(value), _) => StackOp::Push(value),
        (None, Some(Some(value))) => StackOp::Pop(value),
        (None, Some(None)) => StackOp::PopEmpty,
        (None, None) => StackOp::PopAny,
    }
}

fn judge<M: Model>(model: &M, history: &[Interval<M::Op>]) -> Comparison {
    let said = model.monitor(&model.initial(None), history);
    compare(model, history, said)
}

fn models() -> (FifoQueue, Stack) {
    let start = Value::List(start());
    let queue = FifoQueue::new(Some(&start)).unwrap();
    (queue, Stack::new(Some(&start)).unwrap())
}

fn both(unknown_percent: u64, values: u64) -> [Tally; 2] {
    let (queue, stack) = models();
    let queues = random(SEEDS, |seed| {
        let told = simulate(seed, Gives::First, unknown_percent, values);
        judge(&queue, &with_ops(told, queue_op))
    });
    let stacks = random(SEEDS, |seed| {
        let told = simulate(seed, Gives::Last, unknown_percent, values);
        judge(&stack, &with_ops(told, stack_op))
    });
    [queues, stacks]
}

/// Goal: an order is found where there is one, mostly, and none where there is none. Method: queues and
/// stacks of few values, right ones and such that sometimes take what they cannot.
#[test]
fn values_that_come_up_again_are_told_apart() {
    for values in [1, 2, 4] {
        for tally in both(0, values) {
            assert_eq!(tally.wrong, 0, "{:?}", tally.example);
            assert!(tally.applicable_percent() >= 75, "{values}: {tally:?}");
        }
        for tally in both(30, values) {
            assert_eq!(tally.wrong, 0, "{:?}", tally.example);
            assert!(tally.applicable_percent() >= 60, "{values}: {tally:?}");
        }
    }
}

/// Goal: the same for all small histories. Method: all of three operations on two values.
#[test]
fn all_small_histories() {
    let told: Vec<Told> = [0, 1]
        .map(Value::Int)
        .into_iter()
        .flat_map(|value| [(Some(value.clone()), None), (None, Some(Some(value)))])
        .chain([(None, Some(None)), (None, None)])
        .collect();
    let (queue, stack) = models();
    let queues = every(
        4,
        &told,
        |_| true,
        |history| judge(&queue, &with_ops(history.to_vec(), queue_op)),
    );
    let stacks = every(
        4,
        &told,
        |_| true,
        |history| judge(&stack, &with_ops(history.to_vec(), stack_op)),
    );
    for tally in [queues, stacks] {
        assert_eq!(tally.wrong, 0, "{:?}", tally.example);
    }
}

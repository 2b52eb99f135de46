//! What goes in and comes out, against the oracle, for every container.

use histories::Value;

use super::{Conditions, drop_surplus, overdrawn};
use crate::models::{FifoQueue, PriorityQueue, Stack};
use crate::monitors::compare::{
    Comparison, Tally, assert_all_needed, compare, every, random, with,
};
use crate::normalise::Part;
use crate::oracle::{self, Interval};
use crate::testing::{chance, problem, random_intervals};
use crate::{FifoQueueOp, Model, Monitored, PriorityQueueOp, StackOp};

const NODES_MAX: u64 = 1_000_000;
const SEEDS: u64 = 6_000;

/// Takes of what cannot be there contradict each other.
fn overdraws<M: Model>(
    model: &M,
    history: &[Interval<M::Op>],
    conditions: Conditions,
) -> Comparison {
    let mut history = history.to_vec();
    history.sort_by_key(|interval| interval.begins);
    let found = overdrawn(model, &Part::of_intervals(None, &history), conditions);
    let calls = |calls: Vec<u32>| calls.into_iter().map(|call| call as usize).collect();
    compare(
        model,
        &history,
        found.map(|found| Monitored::Violated(calls(found))),
    )
}

/// What is left out makes no difference.
fn goes_without<M: Model>(
    model: &M,
    history: &[Interval<M::Op>],
    conditions: Conditions,
) -> Comparison {
    let mut keep = vec![true; history.len()];
    drop_surplus(&problem(model, history, false), &mut keep, conditions);
    if keep.iter().all(|keep| *keep) {
        return Comparison::NotApplicable;
    }
    let kept = history.iter().zip(keep).filter(|(_, keep)| *keep);
    let rest: Vec<Interval<M::Op>> = kept.map(|(interval, _)| interval.clone()).collect();
    let holds = |history: &[Interval<M::Op>]| {
        oracle::is_linearizable(model, &model.initial(None), history, NODES_MAX)
            .expect("a small history")
    };
    match (holds(history), holds(&rest)) {
        (true, true) => Comparison::Linearizable,
        (false, false) => Comparison::Violated,
        _ => Comparison::Wrong(format!(
            "{history:#?}\nwithout what goes too far: {rest:#?}"
        )),
    }
}

type Judge<M> = fn(&M, &[Interval<<M as Model>::Op>], Conditions) -> Comparison;

/// All histories of three operations, and longer ones by chance.
fn tallies<M: Model>(
    model: &M,
    ops: &[M::Op],
    judge: Judge<M>,
    conditions: Conditions,
) -> [Tally; 2] {
    let small = every(
        3,
        ops,
        |_| true,
        |history| judge(model, history, conditions),
    );
    let longer = random(SEEDS, |seed| {
        let mut chance = chance(seed);
        let (count, width) = (4 + chance.below(5) as usize, 1 + chance.below(4) as usize);
        let history = random_intervals(&mut chance, count, width, |chance| {
            ops[chance.below(ops.len() as u64) as usize].clone()
        });
        judge(model, &history, conditions)
    });
    [small, longer]
}

/// Every container, with nothing or something in it at the start.
fn each(judge_with: impl Fn(&dyn Tried)) {
    let one = Value::List(vec![Value::Int(1)]);
    for initial in [None, Some(&one)] {
        let values = || [1, 2].map(Value::Int).into_iter();
        let queue =
            values().flat_map(|v| [FifoQueueOp::Enqueue(v.clone()), FifoQueueOp::Dequeue(v)]);
        let rest = [FifoQueueOp::DequeueEmpty, FifoQueueOp::DequeueUnknown];
        judge_with(&(
            FifoQueue::new(initial).unwrap(),
            queue.chain(rest).collect(),
        ));
        let stack = values().flat_map(|v| [StackOp::Push(v.clone()), StackOp::Pop(v)]);
        let rest = [StackOp::PopEmpty, StackOp::PopAny];
        judge_with(&(Stack::new(initial).unwrap(), stack.chain(rest).collect()));
        let queue = [1, 2].into_iter();
        let queue = queue.flat_map(|n| [PriorityQueueOp::Push(n), PriorityQueueOp::Pop(n)]);
        let rest = [PriorityQueueOp::PopEmpty, PriorityQueueOp::PopAny];
        judge_with(&(
            PriorityQueue::new(initial).unwrap(),
            queue.chain(rest).collect(),
        ));
    }
}

/// A container and what can be done to it.
trait Tried {
    fn overdraws(&self, conditions: Conditions) -> [Tally; 2];
    fn goes_without(&self, conditions: Conditions) -> [Tally; 2];
}

impl<M: Model> Tried for (M, Vec<M::Op>) {
    fn overdraws(&self, conditions: Conditions) -> [Tally; 2] {
        tallies(&self.0, &self.1, overdraws, conditions)
    }

    fn goes_without(&self, conditions: Conditions) -> [Tally; 2] {
        tallies(&self.0, &self.1, goes_without, conditions)
    }
}

/// Goal: what is taken too often is a contradiction. Method: every container, with and without
/// something in it, all small histories and longer ones by chance, against the oracle.
#[test]
fn what_is_overdrawn_has_no_order() {
    each(|tried| {
        for tally in tried.overdraws(Conditions::ALL) {
            assert_eq!(tally.wrong, 0, "{:?}", tally.example);
            assert!(tally.violated > 0, "{tally:?}");
        }
    });
}

/// Goal: takes of unknown outcome that find nothing make no difference. Method: as above.
#[test]
fn leaving_out_the_surplus_changes_nothing() {
    each(|tried| {
        for tally in tried.goes_without(Conditions::ALL) {
            tally.assert_right();
        }
    });
}

/// Goal: every condition is needed. Method: without it, the comparison with the oracle fails, for
/// some container.
#[test]
fn no_condition_can_be_left_out() {
    let with = |change: fn(&mut Conditions)| with(Conditions::ALL, change);
    let goes_wrong = |tallies: &dyn Fn(&dyn Tried) -> [Tally; 2]| {
        let wrong = std::cell::Cell::new(false);
        each(|tried| wrong.set(wrong.get() || tallies(tried).iter().any(Tally::is_wrong)));
        wrong.get()
    };
    let overdrawn = [
        ("the start", with(|c| c.start = false)),
        ("open puts", with(|c| c.open_puts = false)),
        ("open takes", with(|c| c.open_takes = false)),
        ("until the end", with(|c| c.until_end = false)),
    ];
    assert_all_needed(&overdrawn, |conditions| {
        goes_wrong(&|tried| tried.overdraws(conditions))
    });
    let surplus = [
        ("the start", with(|c| c.start = false)),
        ("open puts", with(|c| c.open_puts = false)),
        ("open takes", with(|c| c.open_takes = false)),
        ("the latest", with(|c| c.latest = false)),
        ("as many", with(|c| c.as_many = false)),
    ];
    assert_all_needed(&surplus, |conditions| {
        goes_wrong(&|tried| tried.goes_without(conditions))
    });
}

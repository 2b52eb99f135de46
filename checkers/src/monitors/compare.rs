//! Monitors against the oracle: what the tests of all of them share.

use rayon::prelude::*;
use seeds::Stream;

use super::{Replayed, replay};
use crate::oracle::{self, Interval};
use crate::testing::shapes;
use crate::{Model, Monitored};

/// Sets of placed operations that the oracle may look at: a test that needs more is badly made.
const NODES_MAX: u64 = 1_000_000;

/// How what a monitor said compares with the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// The history has an order, and it said so.
    Linearizable,
    /// It has none, it said so, and the calls it named contradict each other.
    Violated,
    /// It did not apply.
    NotApplicable,
    /// It was wrong, and how.
    Wrong(String),
}

/// How often a monitor was how right.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub linearizable: u64,
    pub violated: u64,
    pub not_applicable: u64,
    pub wrong: u64,
    /// The first thing it was wrong about.
    pub example: Option<String>,
}

impl Tally {
    fn with(mut self, comparison: Comparison) -> Self {
        match comparison {
            Comparison::Linearizable => self.linearizable += 1,
            Comparison::Violated => self.violated += 1,
            Comparison::NotApplicable => self.not_applicable += 1,
            Comparison::Wrong(how) => {
                self.wrong += 1;
                self.example = self.example.or(Some(how));
            }
        }
        self
    }

    fn and(self, other: Tally) -> Self {
        Tally {
            linearizable: self.linearizable + other.linearizable,
            violated: self.violated + other.violated,
            not_applicable: self.not_applicable + other.not_applicable,
            wrong: self.wrong + other.wrong,
            example: self.example.or(other.example),
        }
    }

    /// The monitor was never wrong, and both verdicts came up.
    pub(crate) fn assert_right(&self) {
        assert_eq!(
            self.wrong,
            0,
            "{}",
            self.example.as_deref().unwrap_or_default()
        );
        assert!(self.linearizable > 0 && self.violated > 0, "{self:?}");
    }

    /// The monitor was wrong about something.
    pub(crate) fn is_wrong(&self) -> bool {
        self.wrong > 0
    }

    /// How many in a hundred histories it applied to.
    pub(crate) fn applicable_percent(&self) -> u64 {
        let applied = self.linearizable + self.violated;
        100 * applied / (applied + self.not_applicable + self.wrong)
    }
}

/// Compares what was `said` of a history with the oracle, and with it again after everything but
/// the calls said to contradict each other was weakened.
pub(crate) fn compare<M: Model>(
    model: &M,
    history: &[Interval<M::Op>],
    said: Option<Monitored>,
) -> Comparison {
    let holds = |history: &[Interval<M::Op>]| {
        oracle::is_linearizable(model, &model.initial(None), history, NODES_MAX)
            .expect("a small history")
    };
    match said {
        None => Comparison::NotApplicable,
        Some(Monitored::Linearizable) if holds(history) => Comparison::Linearizable,
        Some(Monitored::Ordered(order))
            if replay(model, &model.initial(None), history, &order) == Replayed::Explains =>
        {
            Comparison::Linearizable
        }
        Some(Monitored::Violated(calls)) if !holds(history) => {
            if holds(&weakened(model, history, &calls)) {
                return Comparison::Wrong(format!("{calls:?} are no reason: {history:#?}"));
            }
            Comparison::Violated
        }
        Some(Monitored::ViolatedAt(call)) if !holds(history) => {
            let end = history[call].ends.expect("a call that returns");
            let before = |end: u64| -> Vec<Interval<M::Op>> {
                let begun = history.iter().filter(|interval| interval.begins < end);
                let cut = begun.map(|interval| Interval {
                    ends: interval.ends.filter(|ends| *ends < end),
                    ..interval.clone()
                });
                let seen = |interval: &Interval<M::Op>| {
                    interval.ends.is_some() || !model.is_observer(&interval.op)
                };
                cut.filter(seen).collect()
            };
            match (holds(&before(end)), holds(&before(end + 1))) {
                (true, false) => Comparison::Violated,
                _ => Comparison::Wrong(format!("not first at {call}: {history:#?}")),
            }
        }
        Some(said) => Comparison::Wrong(format!("said {said:?} of {history:#?}")),
    }
}

/// The history in which only these calls certainly happened.
fn weakened<M: Model>(
    model: &M,
    history: &[Interval<M::Op>],
    calls: &[usize],
) -> Vec<Interval<M::Op>> {
    let kept = |call: &usize| calls.contains(call) || !model.is_observer(&history[*call].op);
    (0..history.len())
        .filter(kept)
        .map(|call| Interval {
            ends: history[call].ends.filter(|_| calls.contains(&call)),
            ..history[call].clone()
        })
        .collect()
}

/// Compares the history with what is left of it without the open updates that the model calls
/// unobserved.
pub(crate) fn without_unobserved<M: Model>(model: &M, history: &[Interval<M::Op>]) -> Comparison {
    without_unobserved_from(model, &[model.initial(None)], history)
}

/// The same where any of these states may be there at the start.
pub(crate) fn without_unobserved_from<M: Model>(
    model: &M,
    starts: &[M::State],
    history: &[Interval<M::Op>],
) -> Comparison {
    let ops = |ended: bool| -> Vec<&M::Op> {
        history
            .iter()
            .filter(|interval| interval.ends.is_some() == ended)
            .map(|interval| &interval.op)
            .collect()
    };
    let mut dead = model
        .unobserved(starts, &ops(true), &ops(false))
        .into_iter();
    let mut rest = history.to_vec();
    rest.retain(|interval| interval.ends.is_some() || dead.next() == Some(false));
    let holds = |history: &[Interval<M::Op>]| {
        let mut each = starts
            .iter()
            .map(|start| oracle::is_linearizable(model, start, history, NODES_MAX));
        each.try_fold(false, |any, holds| Some(any | holds?))
    };
    match (holds(history), holds(&rest)) {
        (Some(true), Some(true)) => Comparison::Linearizable,
        (Some(false), Some(false)) => Comparison::Violated,
        _ => Comparison::Wrong(format!("{history:#?}")),
    }
}

/// Judges all ways in which `count` of the operations can be chosen and overlap, those in which
/// they are `chosen` well.
pub(crate) fn every<Op: Clone + Sync>(
    count: usize,
    ops: &[Op],
    chosen: impl Fn(&[Op]) -> bool + Sync,
    judge: impl Fn(&[Interval<Op>]) -> Comparison + Sync,
) -> Tally {
    let shapes = shapes(count);
    (0..ops.len().pow(count as u32))
        .into_par_iter()
        .map(|mut number| {
            let mut all = Vec::new();
            while all.len() < count {
                all.push(ops[number % ops.len()].clone());
                number /= ops.len();
            }
            if !chosen(&all) {
                return Tally::default();
            }
            shapes.iter().fold(Tally::default(), |tally, shape| {
                let history: Vec<Interval<Op>> = all
                    .iter()
                    .cloned()
                    .zip(shape)
                    .map(|(op, &(begins, ends))| Interval { op, begins, ends })
                    .collect();
                tally.with(judge(&history))
            })
        })
        .reduce(Tally::default, Tally::and)
}

/// Judges histories made from so many seeds.
pub(crate) fn random(seeds: u64, judge: impl Fn(u64) -> Comparison + Sync) -> Tally {
    (0..seeds)
        .into_par_iter()
        .map(|seed| Tally::default().with(judge(seed)))
        .reduce(Tally::default, Tally::and)
}

/// Whether the numbers come up in order: 1 before 2, 2 before 3. Other histories are the same with
/// other names.
pub(crate) fn in_order(mentioned: impl IntoIterator<Item = i64>) -> bool {
    let mut last = 0;
    mentioned.into_iter().all(|number| {
        let known = number <= last + 1;
        last = last.max(number);
        known
    })
}

/// Conditions with one of them changed.
pub(crate) fn with<C: Copy>(all: C, change: impl Fn(&mut C)) -> C {
    let mut conditions = all;
    change(&mut conditions);
    conditions
}

/// Without any of these, named by what is left out, a comparison goes wrong.
pub(crate) fn assert_all_needed<C: Copy>(changed: &[(&str, C)], goes_wrong: impl Fn(C) -> bool) {
    for (name, conditions) in changed {
        assert!(goes_wrong(*conditions), "nothing goes wrong without {name}");
    }
}

/// Lets each operation happen at a moment in its span; of those that never end, some never do, and
/// so many in a hundred stay without an end. What was asked, what was found, and whether that is
/// known, makes an operation.
pub(crate) fn at_moments<Asked: Clone, Found, Op>(
    chance: &mut Stream,
    mut asked: Vec<Interval<Asked>>,
    unknown_percent: u64,
    mut happen: impl FnMut(&mut Stream, &Asked) -> Option<Found>,
    op: impl Fn(Asked, Option<Found>, bool) -> Op,
) -> Vec<Interval<Op>> {
    let mut moments: Vec<(u64, usize)> = Vec::new();
    for (call, interval) in asked.iter_mut().enumerate() {
        // Room for the ends that come in: no two times are the same.
        interval.begins *= 2;
        interval.ends = interval.ends.map(|ends| 2 * ends);
        let ends = interval.ends.unwrap_or(interval.begins + 7);
        if interval.ends.is_none() && !chance.chance(unknown_percent, 100) {
            interval.ends = Some(ends);
        }
        if interval.ends.is_some() || chance.chance(1, 2) {
            moments.push((interval.begins + chance.below(ends - interval.begins), call));
        }
    }
    moments.sort_unstable();
    let mut found: Vec<Option<Found>> = asked.iter().map(|_| None).collect();
    for (_, call) in moments {
        found[call] = happen(chance, &asked[call].op);
    }
    let told = asked.into_iter().zip(found);
    told.map(|(interval, found)| Interval {
        op: op(interval.op, found, interval.ends.is_some()),
        begins: interval.begins,
        ends: interval.ends,
    })
    .collect()
}

//! Where histories go wrong, against every prefix tried.

use std::sync::Arc;

use rayon::prelude::*;

use super::*;
use crate::models::Counter;
use crate::oracle::{self, Interval};
use crate::testing::{chance, problem, random_intervals};
use crate::{Cancel, CounterOp, Kv, KvOp, Limits, NilReads};

/// The return with which the shortest prefix without an order ends, by the oracle.
fn by_oracle<M: Model>(problem: &Problem<'_, M>) -> Option<usize> {
    let returns = problem.returns(Only::All).into_iter();
    returns.map(|at| at as usize).find(|at| {
        let prefix = problem.weakened(at + 1, |_| true);
        let intervals: Vec<Interval<M::Op>> = super::super::intervals(&prefix);
        let initial = &problem.initial;
        oracle::is_linearizable(problem.model, initial, &intervals, u64::MAX) == Some(false)
    })
}

/// How often the place was found, with a hint and without; it is always the right one.
fn compare<M: Model>(model: &M, history: &[Interval<M::Op>], hint: &[u32]) -> u64 {
    let problem = problem(model, history, false);
    let expected = by_oracle(&problem);
    let budget = Budget::new(&Limits::default(), &Cancel::new());
    let mut found = 0;
    for hint in [None, Some(hint)] {
        if let Some(found_here) = first_bad_return(&problem, hint, &budget) {
            let BadReturn { position, is_first } = found_here;
            let is_bad = expected.is_some_and(|expected| expected <= position);
            assert!(is_bad, "{position} {expected:?} {history:#?}");
            assert!(
                !is_first || Some(position) == expected,
                "{position} {expected:?} {history:#?}"
            );
            found += u64::from(is_first);
        }
    }
    found
}

/// Goal: the shortest bad prefix is exact where the view of appends has to be made anew for each.
#[test]
fn prefixes_of_appends() {
    let found: u64 = (0..6_000_u64)
        .into_par_iter()
        .map(|seed| {
            let mut chance = chance(seed);
            let mut next = 0;
            let history = random_intervals(&mut chance, 8, 3, |chance| {
                let texts = ["a", "b", "c", "ab", "abc", "ac", "bc", "ba"];
                let text: Arc<str> = (*chance.pick(&texts).unwrap()).into();
                match chance.below(4) {
                    0..2 => {
                        next += 1;
                        KvOp::Append(["a", "b", "c", "d"][next % 4].into())
                    }
                    2 => KvOp::Mismatch(Some(text)),
                    _ => KvOp::Get(Some(text)),
                }
            });
            let model = Kv::new(None, NilReads::default()).unwrap();
            compare(&model, &history, &[chance.below(8) as u32])
        })
        .sum();
    assert!(found > 500, "{found}");
}

/// The same where the model decides by itself.
#[test]
fn prefixes_of_additions() {
    let found: u64 = (0..6_000_u64)
        .into_par_iter()
        .map(|seed| {
            let mut chance = chance(seed);
            let history = random_intervals(&mut chance, 8, 3, |chance| match chance.below(2) {
                0 => CounterOp::Add(1),
                _ => CounterOp::Read(chance.below(4) as i64),
            });
            let model = Counter::new(None, NilReads::default()).unwrap();
            compare(&model, &history, &[chance.below(8) as u32])
        })
        .sum();
    assert!(found > 500, "{found}");
}

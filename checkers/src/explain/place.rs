//! Where a history goes wrong, where the engine that found the violation does not say.

use std::cell::Cell;

use super::shrink::{Only, Weaken};
use crate::Model;
use crate::Monitored;
use crate::limits::Budget;
use crate::mend;
use crate::monitors::{self, Replayed};
use crate::oracle;
use crate::registers::{self, Excerpt, Opinion, RegisterHistory};
use crate::search::{Decision, Problem};

/// How many moments of a history are looked at by themselves, one size after the other.
const WINDOW_MOMENTS: [usize; 2] = [16, 64];
/// What may be done about each such window.
const WINDOW_NODES_MAX: u64 = 20_000;

/// A few moments of a history that have no order by themselves, whatever was there before
/// (`checker.md` section 5, local refutation), as few as were found.
pub(super) fn bad_window(whole: &Excerpt, budget: &Budget) -> Option<Excerpt> {
    if !whole.may_begin_anywhere {
        return None;
    }
    let nodes = budget.with_nodes(WINDOW_NODES_MAX);
    let is_bad = |window: Excerpt| match registers::decide_excerpt(&window, &nodes) {
        Decision::NotLinearizable { event } => Some(window.weakened(event + 1, |_| true)),
        Decision::Linearizable | Decision::Undecided { .. } => None,
    };
    overwritten(whole).and_then(is_bad).or_else(|| {
        WINDOW_MOMENTS.into_iter().find_map(|moments| {
            whole
                .windows(moments)
                .take_while(|_| budget.check().is_ok())
                // Of more nobody could make sense, nor could the oracle.
                .filter(|window| window.history.calls.len() <= oracle::OPERATIONS_MAX)
                .find_map(is_bad)
        })
    })
}

/// An observation of a value that was certainly overwritten, with the call that shows it.
fn overwritten(whole: &Excerpt) -> Option<Excerpt> {
    let found = registers::stale(&whole.history)?;
    let sources = [found.overwriter, found.observer].map(|call| whole.sources[call as usize]);
    let cut = whole.history.calls[found.overwriter as usize].begins;
    let after = whole.without_before(cut as usize);
    let is_observer = |source: &u32| *source == sources[1];
    let observer = after.sources.iter().position(is_observer)?;
    let end = after.history.calls[observer].returns as usize + 1;
    Some(after.weakened(end, |call| sources.contains(&after.sources[call as usize])))
}

/// A return with which a prefix ends that has no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadReturn {
    pub position: usize,
    /// Whether it is the first one.
    pub is_first: bool,
}

/// The return with which the shortest prefix ends that has no order, where an engine that is fast
/// and exact can say of every prefix whether it has one; else one before which there may be others. All calls of the hint, where there is one,
/// are in a prefix without an order.
pub(super) fn first_bad_return<M: Model>(
    problem: &Problem<'_, M>,
    hint: Option<&[u32]>,
    budget: &Budget,
) -> Option<BadReturn> {
    let is_first = Cell::new(true);
    let returns = problem.returns(Only::All);
    let is_bad = |count: usize| match count.checked_sub(1) {
        None => Some(false),
        Some(last) => {
            budget.check().ok()?;
            let prefix = problem.weakened(returns[last] as usize + 1, |_| true);
            match without_search(&prefix, budget) {
                // As good as one that has an order: what is looked for has certainly none.
                None if count < returns.len() => {
                    is_first.set(false);
                    Some(false)
                }
                decision => Some(decision? != Decision::Linearizable),
            }
        }
    };
    let ends = hint.and_then(|calls| calls.iter().map(|&call| problem.return_of(call)).max());
    let likely = ends.map_or(returns.len(), |end| {
        returns.partition_point(|&position| position <= end)
    });
    let mut bad = match is_bad(likely)? {
        true => likely,
        false if is_bad(returns.len())? => returns.len(),
        false => return None,
    };
    // Mostly it is the last one: ever longer steps back, then ever shorter ones.
    let mut step = 1;
    let mut good = loop {
        let before = bad.saturating_sub(step);
        match is_bad(before)? {
            true => bad = before,
            false => break before,
        }
        step *= 2;
    };
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        match is_bad(middle)? {
            true => bad = middle,
            false => good = middle,
        }
    }
    let &position = returns.get(bad - 1)?;
    Some(BadReturn {
        position: position as usize,
        is_first: is_first.get(),
    })
}

/// What the model's own algorithm or the engines for registers say of all states the problem may
/// start from.
pub(super) fn without_search<M: Model>(
    problem: &Problem<'_, M>,
    budget: &Budget,
) -> Option<Decision> {
    by_view(problem, budget).or_else(|| {
        let intervals = observed_intervals(problem);
        let last = problem.moments.len().saturating_sub(1);
        let mut event = 0;
        for start in &problem.starts {
            match problem.model.monitor(start, &intervals)? {
                Monitored::Linearizable => return Some(Decision::Linearizable),
                Monitored::Ordered(order) => {
                    let replayed = monitors::replay(problem.model, start, &intervals, &order);
                    return (replayed == Replayed::Explains).then_some(Decision::Linearizable);
                }
                Monitored::Violated(_) => event = last,
                // The times are the numbers of moments.
                Monitored::ViolatedAt(call) => {
                    let at = intervals[call].ends.map_or(last, |ends| ends as usize);
                    event = event.max(at);
                }
            }
        }
        Some(Decision::NotLinearizable { event })
    })
}

/// What the engines for registers say, where the model has a view that looks ahead: it has to be
/// made anew for whatever was weakened.
pub(super) fn by_view<M: Model>(problem: &Problem<'_, M>, budget: &Budget) -> Option<Decision> {
    if problem.starts != [problem.initial.clone()] {
        return None;
    }
    let intervals = observed_intervals(problem);
    let view = problem.model.register_view(&problem.initial, &intervals)?;
    if !view.looks_ahead {
        return None;
    }
    let history = RegisterHistory::from_view(&view, &intervals);
    match registers::decide(&history, budget, false).0 {
        Opinion::Linearizable if !view.allows_more => Some(Decision::Linearizable),
        Opinion::Linearizable => {
            let (model, initial) = (problem.model, &problem.initial);
            let is_so = mend::has_order(model, initial, &intervals, &history, budget);
            is_so.then_some(Decision::Linearizable)
        }
        Opinion::Violated(_) => Some(Decision::NotLinearizable {
            event: problem.moments.len().saturating_sub(1),
        }),
        Opinion::Undecided(..) | Opinion::Disagreement => None,
    }
}

/// The calls with their times, but for observers of unknown outcome, which say nothing.
fn observed_intervals<M: Model>(problem: &Problem<'_, M>) -> Vec<crate::oracle::Interval<M::Op>> {
    let mut intervals = super::intervals(problem);
    intervals
        .retain(|interval| interval.ends.is_some() || !problem.model.is_observer(&interval.op));
    intervals
}

#[cfg(test)]
mod tests;

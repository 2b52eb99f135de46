//! One register, values written more than once: sets of configurations with covered writes.
//!
//! A write hides whatever came before it. So when a write is placed, every other write under way
//! may later be declared to have happened just before it, and so may the reads that such a write
//! serves. One configuration stands for all these choices: it remembers the calls placed, the
//! value, and when the last write was placed (its cover); a call that returns unplaced and began
//! before the cover can be hidden behind it. Since later covers are better, one suffices for each
//! set of calls and value, and few configurations are left where a search through all orders sees
//! exponentially many.
//!
//! Calls are placed only when a return forces one (Lowe, "Testing for linearizability", 2017).
//! The rules R1 to R6 and R9 with their proofs are in the design of the checker, sections 2 and
//! 2.1; the names used here: *placed* (linearized), *cover* (tau), *hide* (insert just before the
//! last write), *dead* (R5), *doomed* (R6), *open* (crashed, outcome unknown).
//!
//! With look-ahead, configurations that cannot be completed with what is still to come are dropped
//! (R6): faster, but a violation is noticed before the return that makes it one. Without, the
//! return at which the set becomes empty is the end of the shortest prefix that has no order. That
//! nobody will ever see a value (R4, R5) may be used in both cases: what is not seen in the whole
//! history is not seen in any prefix. A [`Stream`] knows nothing of what is to come.

mod closure;
mod config;
mod engine;
mod force;
mod order;
mod prune;
mod rules;
mod run;
mod stream;
mod supply;
mod trail;
mod unobserved;
mod window;

pub(crate) use stream::{Stream, StreamError, Ticket};

use rules::Rules;
use run::Run;
use trail::{Told, Untold};

use super::RegisterHistory;
use crate::limits::Budget;
use crate::search::{Decision, Fixed, Mask, Progress, Search, Spilled};

/// How to decide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Whether configurations that cannot be completed are dropped: faster, but the event of a
    /// violation is then where it was noticed, before the return that makes it one.
    pub look_ahead: bool,
    /// At most so many configurations are kept, the most promising ones: a history found
    /// linearizable is, one that is not may stay undecided.
    pub beam: Option<usize>,
    #[cfg(test)]
    dropped: Option<rules::Condition>,
}

impl Options {
    /// Exact, with or without look-ahead.
    pub(crate) fn exact(look_ahead: bool) -> Self {
        Options {
            look_ahead,
            beam: None,
            #[cfg(test)]
            dropped: None,
        }
    }

    fn rules(&self) -> Rules {
        Rules {
            look_ahead: true,
            dooms: self.look_ahead,
            #[cfg(test)]
            dropped: self.dropped,
        }
    }
}

/// What was found, and what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Events are positions in `moments`.
    pub decision: Decision,
    /// Work units.
    pub nodes: u64,
    /// The most configurations there were at a time.
    pub configs_max: usize,
}

/// Decides whether the history is linearizable. With look-ahead the event of a violation is where
/// it was noticed, not later than where the history went wrong.
pub(crate) fn decide(history: &RegisterHistory, options: &Options, budget: &Budget) -> Outcome {
    let width = run::width(history);
    match width {
        0..=64 => Run::<Fixed<1>, Untold>::new(history, width, options, budget).finish(budget),
        65..=256 => Run::<Fixed<4>, Untold>::new(history, width, options, budget).finish(budget),
        _ => Run::<Spilled, Untold>::new(history, width, options, budget).finish(budget),
    }
}

/// The search with a beam that widens where it dies, exact in the end, to be raced against others:
/// quick where many configurations are equally good, as with many open calls of few values.
pub(crate) fn widening<'h>(history: &'h RegisterHistory, budget: &Budget) -> Box<dyn Search + 'h> {
    let options = Options::exact(true);
    let width = run::width(history);
    match width {
        0..=64 => {
            Box::new(Run::<Fixed<1>, Untold>::new(history, width, &options, budget).widening())
        }
        65..=256 => {
            Box::new(Run::<Fixed<4>, Untold>::new(history, width, &options, budget).widening())
        }
        _ => Box::new(Run::<Spilled, Untold>::new(history, width, &options, budget).widening()),
    }
}

/// The decision without look-ahead: the event of a violation is the return at which the shortest
/// prefix without an order ends.
pub(crate) fn shortest_bad_prefix(history: &RegisterHistory, budget: &Budget) -> Outcome {
    decide(history, &Options::exact(false), budget)
}

/// An order of the calls, by their numbers, that explains the history: every call that returns and
/// the open calls that happened. `None` when there is none, or when the budget is used up.
pub(crate) fn order(history: &RegisterHistory, budget: &Budget) -> Option<Vec<u32>> {
    let width = run::width(history);
    match width {
        0..=64 => order_with::<Fixed<1>>(history, width, budget),
        65..=256 => order_with::<Fixed<4>>(history, width, budget),
        _ => order_with::<Spilled>(history, width, budget),
    }
}

fn order_with<M: Mask>(
    history: &RegisterHistory,
    width: usize,
    budget: &Budget,
) -> Option<Vec<u32>> {
    let options = Options::exact(true);
    let mut run = Run::<M, Told>::new(history, width, &options, budget).widening();
    match run.advance(budget.nodes) {
        Progress::Done(Decision::Linearizable) => {}
        _ => return None,
    }
    let mark = run.engine.current.first()?.mark;
    let (start, steps) = run.engine.trail.steps(mark);
    order::replay(history, start, &steps)
}

#[cfg(test)]
mod tests;

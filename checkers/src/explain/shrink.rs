//! A small history that is not linearizable, out of a large one, by weakening.
//!
//! Operations are never just left out, for that can make a good history bad (a read whose write
//! is gone). A completed update that is to go is given an unknown outcome instead, and an observer
//! may go: both only ever make it easier to find an order (`checker.md` R7). Updates of unknown
//! outcome that nobody could tell of then go too (R4). The rest is delta debugging (Zeller and
//! Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).

use crate::Model;
use crate::limits::Budget;
use crate::search::{self, Decision, Problem};

/// One check may cost so many times what it cost to find the violation.
const CHECK_COST_FACTOR: u64 = 10;
const CHECK_NODES_MIN: u64 = 20_000;
/// The first window tried is the last so many returns.
const WINDOW_FIRST: usize = 4;

/// A core of more calls than this is tried again without what came before it.
const READABLE_MAX: usize = 6;

/// What is left.
pub(crate) struct Shrunk<'m, M: Model> {
    pub core: Problem<'m, M>,
    /// Whether weakening any one more operation was tried, and found to make it linearizable.
    pub minimal: bool,
}

/// Shrinks a problem that is not linearizable, as far as the budget goes.
pub(crate) fn shrink<'m, M: Model>(
    prefix: Problem<'m, M>,
    nodes: u64,
    budget: &Budget,
) -> Shrunk<'m, M> {
    let check_nodes = nodes.saturating_mul(CHECK_COST_FACTOR).max(CHECK_NODES_MIN);
    let budget = budget.with_nodes(check_nodes);
    let everything = prefix.moments.len();
    let local = prefix.weakened(everything, |_| true);
    let mut shrinker = Shrinker {
        current: prefix,
        budget: budget.clone(),
        undecided: false,
    };
    shrinker.shrink_to_window();
    let minimal = shrinker.shrink_by_weakening();
    let whole = Shrunk {
        core: shrinker.current,
        minimal,
    };
    if whole.core.calls.len() <= READABLE_MAX {
        return whole;
    }
    // Where values come back, much of what is left only says that an older value cannot be: try
    // without what came before.
    let mut shrinker = Shrinker {
        current: local,
        budget,
        undecided: false,
    };
    if !shrinker.shrink_to_end() {
        return whole;
    }
    let minimal = shrinker.shrink_by_weakening();
    match shrinker.current.calls.len() < whole.core.calls.len() {
        true => Shrunk {
            core: shrinker.current,
            minimal,
        },
        false => whole,
    }
}

/// Which calls are to be weakened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Only {
    Observers,
    All,
}

struct Shrinker<'m, M: Model> {
    /// Not linearizable.
    current: Problem<'m, M>,
    budget: Budget,
    /// Whether some check since this was last reset had no answer.
    undecided: bool,
}

impl<'m, M: Model> Shrinker<'m, M> {
    /// Tries the last few returns only, then more and more: contradictions are mostly local.
    fn shrink_to_window(&mut self) {
        let mut window = WINDOW_FIRST;
        loop {
            let returns = self.returns(Only::All);
            if window * 2 > returns.len() {
                return;
            }
            let first = returns[returns.len() - window];
            if self.weaken(|position| position < first) {
                return;
            }
            window *= 4;
        }
    }

    /// Leaves out all but the last few returns and what is not over before them, as few as can be.
    fn shrink_to_end(&mut self) -> bool {
        let returns = self.returns(Only::All);
        let mut window = 1;
        while window < returns.len() {
            window = (window * 2).min(returns.len());
            let cut = returns[returns.len() - window] as usize;
            if let Some(candidate) = self.current.without_before(cut)
                && self.replace(candidate)
            {
                return true;
            }
        }
        false
    }

    fn shrink_by_weakening(&mut self) -> bool {
        // Observers first: they vanish when weakened, updates only lose their end.
        self.shrink_by_chunks(Only::Observers);
        self.shrink_by_chunks(Only::All)
    }

    /// Weakens chunk after chunk, oldest first, in ever smaller chunks. Says whether no single
    /// operation is left that can be weakened.
    fn shrink_by_chunks(&mut self, only: Only) -> bool {
        let mut chunk = self.returns(only).len().div_ceil(2).max(1);
        loop {
            let mut from = 0;
            let mut changed = false;
            self.undecided = false;
            loop {
                let returns = self.returns(only);
                let Some(rest @ [_, ..]) = returns.get(from..) else {
                    break;
                };
                let weakened = &rest[..chunk.min(rest.len())];
                if self.weaken(|position| weakened.binary_search(&position).is_ok()) {
                    changed = true;
                } else {
                    from += chunk;
                }
                if self.budget.check().is_err() {
                    return false;
                }
            }
            match chunk {
                1 if !changed => return !self.undecided,
                _ => chunk = chunk.div_ceil(2),
            }
        }
    }

    /// Weakens the calls that return at the positions given, if what is left is still bad for
    /// certain, and then cuts it off where it is bad.
    fn weaken(&mut self, weakens: impl Fn(u32) -> bool) -> bool {
        let returns = &self.current.returns;
        let all = self.current.moments.len();
        let candidate = self
            .current
            .weakened(all, |call| !weakens(returns[call as usize]));
        self.replace(candidate)
    }

    /// Goes on with the candidate if it is bad for certain, cut off where it is bad.
    fn replace(&mut self, candidate: Problem<'m, M>) -> bool {
        match search::decide(&candidate, &self.budget).0 {
            Decision::NotLinearizable { event } => {
                self.current = candidate.weakened(event + 1, |_| true);
                true
            }
            Decision::Linearizable => false,
            Decision::Undecided { .. } => {
                self.undecided = true;
                false
            }
        }
    }

    /// Where calls return, in order.
    fn returns(&self, only: Only) -> Vec<u32> {
        let problem = &self.current;
        let wanted = |call: u32| {
            let class = problem.calls[call as usize].class;
            only == Only::All || problem.observers[class as usize]
        };
        (0..)
            .zip(&problem.moments)
            .filter(|(_, moment)| moment.returns && wanted(moment.call))
            .map(|(position, _)| position)
            .collect()
    }
}

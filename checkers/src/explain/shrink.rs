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
const CHECK_NODES_MIN: u64 = 200_000;
/// The first window tried is the last so many returns.
const WINDOW_FIRST: usize = 4;

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
    let mut shrinker = Shrinker {
        current: prefix,
        budget,
        undecided: false,
    };
    shrinker.to_window();
    let minimal = shrinker.by_chunks();
    Shrunk {
        core: shrinker.current,
        minimal,
    }
}

struct Shrinker<'m, M: Model> {
    /// Not linearizable.
    current: Problem<'m, M>,
    budget: Budget,
    /// Whether some check since this was last reset had no answer.
    undecided: bool,
}

impl<M: Model> Shrinker<'_, M> {
    /// Tries the last few returns only, then more and more: contradictions are mostly local.
    fn to_window(&mut self) {
        let mut window = WINDOW_FIRST;
        loop {
            let returns = self.returns();
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

    /// Weakens chunk after chunk, oldest first, in ever smaller chunks. Says whether no single
    /// operation is left that can be weakened.
    fn by_chunks(&mut self) -> bool {
        let mut chunk = self.returns().len().div_ceil(2).max(1);
        loop {
            let mut from = 0;
            let mut changed = false;
            self.undecided = false;
            loop {
                let returns = self.returns();
                let Some(&first) = returns.get(from) else {
                    break;
                };
                let last = returns[(from + chunk - 1).min(returns.len() - 1)];
                if self.weaken(|position| (first..=last).contains(&position)) {
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
    fn returns(&self) -> Vec<u32> {
        let moments = self.current.moments.iter().enumerate();
        moments
            .filter(|(_, moment)| moment.returns)
            .map(|(at, _)| at as u32)
            .collect()
    }
}

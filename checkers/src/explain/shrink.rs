//! A small history that is not linearizable, out of a large one, by weakening.
//!
//! Operations are never just left out, for that can make a good history bad (a read whose write
//! is gone). A completed update that is to go is given an unknown outcome instead, and an observer
//! may go: both only ever make it easier to find an order (`checker.md` R7). Updates of unknown
//! outcome that nobody could tell of then go too (R4). The rest is delta debugging (Zeller and
//! Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).

use super::place;
use crate::Model;
use crate::limits::Budget;
use crate::oracle;
use crate::registers::{self, Access, Excerpt};
use crate::search::{self, Decision, Problem};

/// One check may cost so many times what it cost to find the violation.
const CHECK_COST_FACTOR: u64 = 10;
const CHECK_NODES_MIN: u64 = 20_000;
/// The first window tried is the last so many returns.
const WINDOW_FIRST: usize = 4;

/// A core of more calls than this is tried again without what came before it.
const READABLE_MAX: usize = 6;
/// Of more returns than this, what came before the last few is left out first, for to weaken much
/// costs more than to leave it out.
const WHOLE_RETURNS_MAX: usize = 128;
/// How long a core is looked for by weakening, where leaving out what came before has found one.
const SMALLER_TIME_MS: u64 = 500;
/// As many returns are kept at most when what came before is left out.
const LOCAL_RETURNS_MAX: usize = 4_096;

/// A history that can be made smaller without making a good one bad.
pub(crate) trait Weaken: Sized {
    /// How many moments there are.
    fn moments(&self) -> usize;

    /// How many calls there are.
    fn calls(&self) -> usize;

    /// Where calls return, in order.
    fn returns(&self, only: Only) -> Vec<u32>;

    /// Where this call returns.
    fn return_of(&self, call: u32) -> u32;

    /// Whether the call changes something and observes nothing.
    fn is_blind(&self, call: u32) -> bool;

    /// Only the moments before `end`, with only the `bounded` calls returning.
    fn weakened(&self, end: usize, bounded: impl Fn(u32) -> bool) -> Self;

    /// Without what returned before `cut`, starting from whatever may be there; `None` where nobody
    /// can say what that is.
    fn without_before(&self, cut: usize) -> Option<Self>;

    /// Whether there is an order. The event of a violation is one at which it shows.
    fn decide(&self, budget: &Budget) -> Decision;
}

/// Which calls are to be weakened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    /// Those that only observe.
    Observers,
    /// All.
    All,
}

/// What is left.
pub(crate) struct Shrunk<P> {
    /// Not linearizable.
    pub core: P,
    /// Whether weakening any one more operation was tried, and found to make it linearizable.
    pub minimal: bool,
    /// Whether the general search found an order of what a faster engine says has none.
    pub contradicted: bool,
}

/// Shrinks what is not linearizable, as far as the budget goes: to the hint where it is enough,
/// calls that may contradict each other; else within the shortest bad prefix, which ends with
/// `event` where that is known (linearizability is closed under prefixes).
pub(crate) fn shrink<P: Weaken>(
    whole: P,
    event: Option<usize>,
    hint: Option<&[u32]>,
    nodes: u64,
    budget: &Budget,
) -> Shrunk<P> {
    let upto = |end: usize| whole.weakened(end, |_| true);
    if let Some(calls) = hint {
        let budget = check_budget(nodes, budget);
        let hinted = whole.weakened(whole.moments(), |call| calls.contains(&call));
        if let Some(hinted) = cut_if_bad(hinted, &budget) {
            // All that the hint needs is over with its last return.
            let last = calls.iter().map(|&call| whole.return_of(call) as usize);
            let end = last.max().map_or(whole.moments(), |last| last + 1);
            let end = event.map_or(end, |event| end.min(event + 1));
            let is_long = hinted.calls() > oracle::OPERATIONS_MAX;
            let hinted = || Shrinker::new(hinted, budget.clone()).shrink_by_weakening();
            // Contradictions that need no past are plain; what the hint took says nothing of them.
            let local = || shrink_end(&upto(end), 0, &budget);
            return match is_long.then(local).flatten() {
                Some(local) => local.or_smaller(|| Some(hinted())),
                None if is_long => hinted(),
                None => hinted().or_smaller(local),
            };
        }
    }
    let whole = event.map_or_else(|| upto(whole.moments()), |event| upto(event + 1));
    // Where values come back, much of what is left only says that an older value cannot be: try
    // without what came before; where there is much of it, do so first.
    let is_long = whole.returns(Only::All).len() > WHOLE_RETURNS_MAX;
    let before = match is_long {
        true => shrink_end(&whole, nodes, budget),
        false => None,
    };
    match before {
        Some(local) if local.is_readable() => local,
        Some(local) => local.or_smaller(|| {
            let budget = budget.within_ms(SMALLER_TIME_MS);
            Some(shrink_window(whole, nodes, &budget))
        }),
        None if is_long => shrink_window(whole, nodes, budget),
        None => {
            let all = whole.weakened(whole.moments(), |_| true);
            shrink_window(all, nodes, budget).or_smaller(|| shrink_end(&whole, nodes, budget))
        }
    }
}

/// Weakens what came before the last few returns, and what is left further.
fn shrink_window<P: Weaken>(whole: P, nodes: u64, budget: &Budget) -> Shrunk<P> {
    let mut shrinker = Shrinker::new(whole, check_budget(nodes, budget));
    shrinker.shrink_to_window();
    shrinker.shrink_by_weakening()
}

/// Shrinks what is perhaps not linearizable to its end, without what came before, if that is not
/// linearizable.
pub(crate) fn shrink_end<P: Weaken>(whole: &P, nodes: u64, budget: &Budget) -> Option<Shrunk<P>> {
    let budget = check_budget(nodes, budget);
    let end = bad_end(whole, &budget)?;
    Some(Shrinker::new(end, budget).shrink_by_weakening())
}

/// Weakens what is not linearizable and short.
pub(crate) fn shrink_all<P: Weaken>(whole: P, nodes: u64, budget: &Budget) -> Shrunk<P> {
    Shrinker::new(whole, check_budget(nodes, budget)).shrink_by_weakening()
}

/// What one check may cost when finding the violation took so many nodes.
fn check_budget(nodes: u64, budget: &Budget) -> Budget {
    let nodes = nodes.saturating_mul(CHECK_COST_FACTOR);
    budget.with_nodes(nodes.max(CHECK_NODES_MIN))
}

/// The candidate if it is bad for certain, cut off where it is bad.
fn cut_if_bad<P: Weaken>(candidate: P, budget: &Budget) -> Option<P> {
    match candidate.decide(budget) {
        Decision::NotLinearizable { event } => Some(candidate.weakened(event + 1, |_| true)),
        Decision::Linearizable | Decision::Undecided { .. } => None,
    }
}

/// All but the last few returns and what is not over before them, as few as can be, left out, so
/// that the rest is bad by itself.
fn bad_end<P: Weaken>(whole: &P, budget: &Budget) -> Option<P> {
    let returns = whole.returns(Only::All);
    let most = returns.len().min(LOCAL_RETURNS_MAX);
    let bad = |window: usize| {
        // Right after a return the fewest calls are under way.
        let before = returns[..returns.len() - window].last();
        let cut = before.map_or(0, |&before| before as usize + 1);
        let candidate = whole.without_before(cut)?;
        cut_if_bad(against_updates(&candidate), budget).or_else(|| cut_if_bad(candidate, budget))
    };
    let mut good = 0;
    let mut window = 1;
    let mut found = loop {
        if good >= most || budget.check().is_err() {
            return None;
        }
        match bad(window) {
            Some(found) => break found,
            None => good = window,
        }
        window = (window * 2).min(most);
    };
    // More of the past only makes it worse: somewhere between the two is the shortest.
    while window - good > 1 && budget.check().is_ok() {
        let middle = good.midpoint(window);
        match bad(middle) {
            Some(shorter) => (found, window) = (shorter, middle),
            None => good = middle,
        }
    }
    Some(found)
}

struct Shrinker<P> {
    /// Not linearizable.
    current: P,
    budget: Budget,
    /// Whether some check since this was last reset had no answer.
    undecided: bool,
}

impl<P: Weaken> Shrunk<P> {
    /// Whether a person can take it in at a glance.
    pub(crate) fn is_readable(&self) -> bool {
        self.core.calls() <= READABLE_MAX
    }

    /// Another one instead, where this one is not readable and the other is smaller.
    pub(crate) fn or_smaller(self, other: impl FnOnce() -> Option<Self>) -> Self {
        if self.is_readable() {
            return self;
        }
        match other() {
            Some(other) if other.core.calls() < self.core.calls() => other,
            _ => self,
        }
    }
}

impl<P: Weaken> Shrinker<P> {
    /// Each check is limited by this budget.
    fn new(current: P, budget: Budget) -> Self {
        Shrinker {
            current,
            budget,
            undecided: false,
        }
    }

    /// Tries the last few returns only, then more and more: contradictions are mostly local.
    fn shrink_to_window(&mut self) {
        let mut window = WINDOW_FIRST;
        loop {
            let returns = self.current.returns(Only::All);
            if window * 2 > returns.len() {
                return;
            }
            let first = returns[returns.len() - window];
            if self.budget.check().is_err() {
                return;
            }
            if self.weaken(|position| position < first) {
                return;
            }
            window *= 4;
        }
    }

    fn shrink_by_weakening(mut self) -> Shrunk<P> {
        // Observers first: they vanish when weakened, updates only lose their end.
        self.shrink_by_chunks(Only::Observers);
        let minimal = self.shrink_by_chunks(Only::All);
        Shrunk {
            core: self.current,
            minimal,
            contradicted: false,
        }
    }

    /// Weakens chunk after chunk, oldest first, in ever smaller chunks. Says whether no single
    /// operation is left that can be weakened.
    fn shrink_by_chunks(&mut self, only: Only) -> bool {
        let mut chunk = self.current.returns(only).len().div_ceil(2).max(1);
        loop {
            let mut from = 0;
            let mut changed = false;
            self.undecided = false;
            loop {
                let returns = self.current.returns(only);
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
        let current = &self.current;
        let candidate =
            current.weakened(current.moments(), |call| !weakens(current.return_of(call)));
        self.replace(candidate)
    }

    /// Goes on with the candidate if it is bad for certain, cut off where it is bad.
    fn replace(&mut self, candidate: P) -> bool {
        match candidate.decide(&self.budget) {
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
}

/// The call that returns last against the updates that observe nothing: a stale observation is a
/// contradiction by itself, and much less is left to decide.
fn against_updates<P: Weaken>(whole: &P) -> P {
    let last = whole.moments().saturating_sub(1) as u32;
    whole.weakened(whole.moments(), |call| {
        whole.return_of(call) == last || whole.is_blind(call)
    })
}

impl<M: Model> Weaken for Problem<'_, M> {
    fn moments(&self) -> usize {
        self.moments.len()
    }

    fn calls(&self) -> usize {
        self.calls.len()
    }

    fn returns(&self, only: Only) -> Vec<u32> {
        let wanted = |call: u32| {
            let class = self.calls[call as usize].class;
            (only == Only::All || self.observers[class as usize]) && !self.is_pinned(call)
        };
        (0..)
            .zip(&self.moments)
            .filter(|(_, moment)| moment.returns && wanted(moment.call))
            .map(|(position, _)| position)
            .collect()
    }

    fn return_of(&self, call: u32) -> u32 {
        self.returns[call as usize]
    }

    fn is_blind(&self, call: u32) -> bool {
        let class = self.calls[call as usize].class as usize;
        let op = &self.classes[class];
        !self.observers[class] && self.model.observed(op).is_none()
    }

    fn weakened(&self, end: usize, bounded: impl Fn(u32) -> bool) -> Self {
        Problem::weakened(self, end, bounded)
    }

    fn without_before(&self, cut: usize) -> Option<Self> {
        Problem::without_before(self, cut)
    }

    fn decide(&self, budget: &Budget) -> Decision {
        place::without_search(self, budget).unwrap_or_else(|| search::decide(self, budget).0)
    }
}

impl Weaken for Excerpt {
    fn moments(&self) -> usize {
        self.history.moments.len()
    }

    fn calls(&self) -> usize {
        self.history.calls.len()
    }

    fn returns(&self, only: Only) -> Vec<u32> {
        let wanted = |moment: u32| {
            let access = self.history.calls[(moment >> 1) as usize].access;
            only == Only::All || matches!(access, Access::Read(_) | Access::Not(_))
        };
        (0..)
            .zip(&self.history.moments)
            .filter(|(_, moment)| *moment & 1 == 1 && wanted(**moment))
            .map(|(position, _)| position)
            .collect()
    }

    fn return_of(&self, call: u32) -> u32 {
        self.history.calls[call as usize].returns
    }

    fn is_blind(&self, call: u32) -> bool {
        matches!(self.history.calls[call as usize].access, Access::Write(_))
    }

    fn weakened(&self, end: usize, bounded: impl Fn(u32) -> bool) -> Self {
        Excerpt::weakened(self, end, bounded)
    }

    fn without_before(&self, cut: usize) -> Option<Self> {
        self.may_begin_anywhere
            .then(|| Excerpt::without_before(self, cut))
    }

    fn decide(&self, budget: &Budget) -> Decision {
        registers::decide_excerpt(self, budget)
    }
}

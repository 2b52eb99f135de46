//! A small history that is not linearizable, out of a large one, by weakening.
//!
//! Operations are never just left out, for that can make a good history bad (a read whose write
//! is gone). A completed update that is to go is given an unknown outcome instead, and an observer
//! may go: both only ever make it easier to find an order (`checker.md` R7). Updates of unknown
//! outcome that nobody could tell of then go too (R4). The rest is delta debugging (Zeller and
//! Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).

use crate::Model;
use crate::limits::Budget;
use crate::registers::{self, Access, Excerpt, Opinion, RegisterHistory};
use crate::search::{self, Decision, Problem};

/// One check may cost so many times what it cost to find the violation.
const CHECK_COST_FACTOR: u64 = 10;
const CHECK_NODES_MIN: u64 = 20_000;
/// The first window tried is the last so many returns.
const WINDOW_FIRST: usize = 4;

/// A hint of more calls than this is first looked at without what came before.
const HINT_MAX: usize = 64;

/// A core of more calls than this is tried again without what came before it.
const READABLE_MAX: usize = 6;
/// Of more returns than this, what came before the last few is left out first, for to weaken much
/// costs more than to leave it out.
const WHOLE_RETURNS_MAX: usize = 2_000;
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

/// Shrinks what is perhaps not linearizable to its end, without what came before, if that is not
/// linearizable.
pub(crate) fn shrink_end<P: Weaken>(whole: P, nodes: u64, budget: &Budget) -> Option<Shrunk<P>> {
    Shrinker::new(whole, nodes, budget).shrink_locally()
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

/// Shrinks what is not linearizable, as far as the budget goes. `hint` are calls that may be
/// enough of a contradiction by themselves.
pub(crate) fn shrink<P: Weaken>(
    whole: P,
    hint: Option<&[u32]>,
    nodes: u64,
    budget: &Budget,
) -> Shrunk<P> {
    let mut shrinker = Shrinker::new(whole, nodes, budget);
    if let Some(hint) = hint {
        let ends = hint.iter().map(|&call| shrinker.current.return_of(call));
        let end = ends.filter(|&end| (end as usize) < shrinker.current.moments());
        let upto = end.max().map(|end| shrinker.upto(end as usize + 1));
        if shrinker.keep_only(hint) {
            if hint.len() <= HINT_MAX {
                let minimal = shrinker.shrink_by_weakening();
                if shrinker.current.calls() <= READABLE_MAX {
                    return shrinker.done(minimal);
                }
            }
            // Many may only say what was there, which a few that observed it say too.
            if let Some(local) = upto.and_then(Shrinker::shrink_locally)
                && local.core.calls() < shrinker.current.calls()
            {
                return local;
            }
        }
    }
    if shrinker.current.returns(Only::All).len() > WHOLE_RETURNS_MAX
        && let Some(local) = shrinker.again().shrink_locally()
        && local.core.calls() <= READABLE_MAX
    {
        return local;
    }
    let before = shrinker.again();
    shrinker.shrink_to_window();
    let minimal = shrinker.shrink_by_weakening();
    let whole = shrinker.done(minimal);
    if whole.core.calls() <= READABLE_MAX {
        return whole;
    }
    // Where values come back, much of what is left only says that an older value cannot be: try
    // without what came before.
    match before.shrink_locally() {
        Some(local) if local.core.calls() < whole.core.calls() => local,
        _ => whole,
    }
}

struct Shrinker<P> {
    /// Not linearizable.
    current: P,
    budget: Budget,
    /// Whether some check since this was last reset had no answer.
    undecided: bool,
}

impl<P: Weaken> Shrinker<P> {
    fn new(current: P, nodes: u64, budget: &Budget) -> Self {
        let check_nodes = nodes.saturating_mul(CHECK_COST_FACTOR).max(CHECK_NODES_MIN);
        Shrinker {
            current,
            budget: budget.with_nodes(check_nodes),
            undecided: false,
        }
    }

    /// Another one that begins where this one stands.
    fn again(&self) -> Self {
        Shrinker {
            current: self.current.weakened(self.current.moments(), |_| true),
            budget: self.budget.clone(),
            undecided: false,
        }
    }

    /// Another one of what came before a moment.
    fn upto(&self, end: usize) -> Self {
        Shrinker {
            current: self.current.weakened(end, |_| true),
            budget: self.budget.clone(),
            undecided: false,
        }
    }

    fn done(self, minimal: bool) -> Shrunk<P> {
        Shrunk {
            core: self.current,
            minimal,
            contradicted: false,
        }
    }

    /// Weakens all calls but these.
    fn keep_only(&mut self, calls: &[u32]) -> bool {
        let all = self.current.moments();
        let candidate = self.current.weakened(all, |call| calls.contains(&call));
        self.replace(candidate)
    }

    /// What is left of the last few returns, without what came before them.
    fn shrink_locally(mut self) -> Option<Shrunk<P>> {
        if !self.shrink_to_end() {
            return None;
        }
        let minimal = self.shrink_by_weakening();
        Some(self.done(minimal))
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
            if self.weaken(|position| position < first) {
                return;
            }
            window *= 4;
        }
    }

    /// Leaves out all but the last few returns and what is not over before them, as few as can be.
    fn shrink_to_end(&mut self) -> bool {
        let returns = self.current.returns(Only::All);
        let most = returns.len().min(LOCAL_RETURNS_MAX);
        let mut window = 1;
        while window < most {
            window = (window * 2).min(most);
            let cut = returns[returns.len() - window] as usize;
            let Some(candidate) = self.current.without_before(cut) else {
                return false;
            };
            if self.replace(against_updates(&candidate)) || self.replace(candidate) {
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
        by_view(self, budget).unwrap_or_else(|| search::decide(self, budget).0)
    }
}

/// What the engines for registers say, where the model has a view that looks ahead: it has to be
/// made anew for whatever was weakened.
fn by_view<M: Model>(problem: &Problem<'_, M>, budget: &Budget) -> Option<Decision> {
    if problem.starts != [problem.initial.clone()] {
        return None;
    }
    let mut intervals = super::intervals(problem);
    // An observer of unknown outcome says nothing.
    intervals
        .retain(|interval| interval.ends.is_some() || !problem.model.is_observer(&interval.op));
    let view = problem.model.register_view(&problem.initial, &intervals)?;
    if !view.looks_ahead {
        return None;
    }
    let history = RegisterHistory::from_view(&view, &intervals);
    match registers::decide(&history, budget, false).0 {
        Opinion::Linearizable => Some(Decision::Linearizable),
        Opinion::Violated(_) => Some(Decision::NotLinearizable {
            event: problem.moments.len().saturating_sub(1),
        }),
        Opinion::Undecided(..) | Opinion::Disagreement => None,
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

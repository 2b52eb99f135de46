//! Register histories with less to explain: what a counterexample is cut out of.
//!
//! Each of these turns a history that has an order into one that has an order (`checker.md` R7),
//! so that a violation in what is left is a violation of the whole.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::{Access, OPEN, RegisterCall, RegisterHistory};

/// A register history cut out of a larger one.
#[derive(Debug, Clone)]
pub(crate) struct Excerpt {
    pub history: RegisterHistory,
    /// For each call, its number in the history it all began with.
    pub sources: Vec<u32>,
    /// For each start value, the call (likewise) that may have left it; `None` for the value at
    /// the start of everything.
    pub start_sources: Vec<Option<u32>>,
    /// Whether what came before may be left out: only where it can be said which states of the
    /// model the start values stand for.
    pub may_begin_anywhere: bool,
}

impl Excerpt {
    /// All of it.
    pub(crate) fn whole(history: RegisterHistory, may_begin_anywhere: bool) -> Self {
        Excerpt {
            may_begin_anywhere,
            sources: (0..history.calls.len() as u32).collect(),
            start_sources: vec![None; history.starts.len()],
            history,
        }
    }

    /// Only the moments before `end`; of the calls that return by then only those in `bounded` (by
    /// their number) still do, all others are open. Open calls that nobody could tell of are left
    /// out (`checker.md` R4).
    pub(crate) fn weakened(&self, end: usize, bounded: impl Fn(u32) -> bool) -> Self {
        let history = &self.history;
        let end = end.min(history.moments.len());
        let returns = |call: u32| {
            let returns = history.calls[call as usize].returns;
            (returns as usize) < end && bounded(call)
        };
        let begun: Vec<u32> = history.moments[..end]
            .iter()
            .filter(|moment| *moment & 1 == 0)
            .map(|moment| moment >> 1)
            .collect();
        let accesses = begun
            .iter()
            .map(|&call| (history.calls[call as usize].access, returns(call)));
        let alive = alive(accesses, history.values);
        let mut number = vec![u32::MAX; history.calls.len()];
        let mut excerpt = self.nothing_of();
        for (&call, _) in begun.iter().zip(&alive).filter(|(_, alive)| **alive) {
            number[call as usize] = excerpt.add(self, call);
        }
        for &moment in &history.moments[..end] {
            let call = moment >> 1;
            if number[call as usize] != u32::MAX && (moment & 1 == 0 || returns(call)) {
                excerpt.at(number[call as usize], moment & 1 == 1);
            }
        }
        excerpt.history.starts.clone_from(&history.starts);
        excerpt.start_sources.clone_from(&self.start_sources);
        excerpt.renumber_values();
        excerpt
    }

    /// Without what returned before the moment `cut`, starting from any value that may have been
    /// left by then. Updates under way there may or may not have happened: they become open, and
    /// observers go.
    ///
    /// Values that nobody after the cut can tell apart are one and the same start.
    pub(crate) fn without_before(&self, cut: usize) -> Self {
        let mut past = Past::new(self);
        past.advance(cut);
        past.rest(self.history.moments.len())
    }

    /// Excerpts of so many moments each, in order of time, overlapping by half: each without what
    /// came before it and after it.
    pub(crate) fn windows(&self, moments: usize) -> impl Iterator<Item = Excerpt> {
        let all = &self.history.moments;
        let step = (moments / 2).max(1);
        let mut past = Past::new(self);
        (0..all.len()).step_by(step).map(move |from| {
            // Right after a return the fewest calls are under way.
            let returns = |moment: &u32| moment & 1 == 1;
            let later = all[from..].iter().take(step).position(returns);
            let from = if from == 0 {
                0
            } else {
                from + later.map_or(0, |later| later + 1)
            };
            past.advance(from);
            past.rest(from + moments)
        })
    }

    fn nothing_of(&self) -> Self {
        Excerpt {
            history: RegisterHistory {
                calls: Vec::new(),
                moments: Vec::new(),
                values: self.history.values,
                starts: Vec::new(),
            },
            sources: Vec::new(),
            start_sources: Vec::new(),
            may_begin_anywhere: self.may_begin_anywhere,
        }
    }

    /// Adds a call of `from`, and says its number here.
    fn add(&mut self, from: &Excerpt, call: u32) -> u32 {
        self.history.calls.push(RegisterCall {
            begins: 0,
            returns: OPEN,
            ..from.history.calls[call as usize]
        });
        self.sources.push(from.sources[call as usize]);
        self.sources.len() as u32 - 1
    }

    /// Adds the next moment.
    fn at(&mut self, number: u32, returns: bool) {
        let position = self.history.moments.len() as u32;
        let call = &mut self.history.calls[number as usize];
        match returns {
            true => call.returns = position,
            false => call.begins = position,
        }
        self.history.moments.push(number << 1 | u32::from(returns));
    }

    /// Numbers the values that occur from 0, the start first.
    fn renumber_values(&mut self) {
        let mut numbers: FxHashMap<u32, u32> = FxHashMap::default();
        let mut renumber = |value: &mut u32| {
            let next = numbers.len() as u32;
            *value = *numbers.entry(*value).or_insert(next);
        };
        self.history.starts.iter_mut().for_each(&mut renumber);
        for call in &mut self.history.calls {
            match &mut call.access {
                Access::Read(value) | Access::Write(value) | Access::Not(value) => renumber(value),
                Access::Cas(old, new) => {
                    renumber(old);
                    renumber(new);
                }
            }
        }
        self.history.values = numbers.len() as u32;
    }
}

/// What an excerpt comes to up to a moment: all that the moments after it need to know.
struct Past<'a> {
    whole: &'a Excerpt,
    /// The moments before this one are over.
    at: usize,
    /// Updates under way that never return, in order of beginning.
    open: Vec<u32>,
    /// Those that will.
    under_way: Vec<u32>,
    /// Every value that may have been left, with the call that left it first.
    left: FxHashMap<u32, Option<u32>>,
    /// The same values, in the order in which they were left.
    values: Vec<u32>,
}

impl<'a> Past<'a> {
    fn new(whole: &'a Excerpt) -> Self {
        let mut past = Past {
            whole,
            at: 0,
            open: Vec::new(),
            under_way: Vec::new(),
            left: FxHashMap::default(),
            values: Vec::new(),
        };
        for (&start, &source) in whole.history.starts.iter().zip(&whole.start_sources) {
            past.leave(start, source);
        }
        past
    }

    fn leave(&mut self, value: u32, source: Option<u32>) {
        if let Entry::Vacant(entry) = self.left.entry(value) {
            entry.insert(source);
            self.values.push(value);
        }
    }

    /// The moments before `to` are over too.
    fn advance(&mut self, to: usize) {
        let history = &self.whole.history;
        let to = to.clamp(self.at, history.moments.len());
        for &moment in &history.moments[self.at..to] {
            let call = moment >> 1;
            let RegisterCall {
                access, returns, ..
            } = history.calls[call as usize];
            let Some(value) = written(access) else {
                continue;
            };
            match (moment & 1 == 1, returns) {
                (true, _) => self.under_way.retain(|&other| other != call),
                (false, OPEN) => self.open.push(call),
                (false, _) => self.under_way.push(call),
            }
            if moment & 1 == 0 {
                self.leave(value, Some(self.whole.sources[call as usize]));
            }
        }
        self.at = to;
    }

    /// The moments from here to before `end`, from whatever may be there.
    fn rest(&self, end: usize) -> Excerpt {
        let whole = self.whole;
        let end = end.min(whole.history.moments.len());
        let mut excerpt = whole.nothing_of();
        let mut under_way = [self.open.as_slice(), self.under_way.as_slice()].concat();
        under_way.sort_unstable();
        for call in under_way {
            let number = excerpt.add(whole, call);
            excerpt.at(number, false);
        }
        let mut numbers: FxHashMap<u32, u32> = FxHashMap::default();
        for &moment in &whole.history.moments[self.at..end] {
            let call = moment >> 1;
            if moment & 1 == 0 {
                let number = excerpt.add(whole, call);
                numbers.insert(call, number);
                excerpt.at(number, false);
            } else if let Some(&number) = numbers.get(&call) {
                excerpt.at(number, true);
            }
        }
        self.choose_starts(&mut excerpt);
        excerpt.renumber_values();
        let everything = excerpt.history.moments.len();
        excerpt.weakened(everything, |_| true)
    }

    /// Of the values that may be there, those that somebody can tell from others, and one other.
    fn choose_starts(&self, excerpt: &mut Excerpt) {
        let mut observed: Vec<u32> = excerpt.history.calls.iter().filter_map(observed).collect();
        observed.sort_unstable();
        observed.dedup();
        let is_left = |value: &&u32| self.left.contains_key(value);
        // The first is what was there at the start of everything.
        let mut other = self
            .values
            .iter()
            .filter(|value| observed.binary_search(value).is_err());
        let starts: Vec<u32> = observed
            .iter()
            .filter(is_left)
            .chain(other.next())
            .copied()
            .collect();
        excerpt.start_sources = starts.iter().map(|value| self.left[value]).collect();
        excerpt.history.starts = starts;
    }
}

/// The value that the call says is there, or is not.
fn observed(call: &RegisterCall) -> Option<u32> {
    match call.access {
        Access::Read(value) | Access::Cas(value, _) | Access::Not(value) => Some(value),
        Access::Write(_) => None,
    }
}

/// The value that the access leaves when it changes something.
fn written(access: Access<u32>) -> Option<u32> {
    match access {
        Access::Write(value) | Access::Cas(_, value) => Some(value),
        Access::Read(_) | Access::Not(_) => None,
    }
}

/// Which calls matter: all that return, and of the others the updates that somebody could tell of.
fn alive(accesses: impl Iterator<Item = (Access<u32>, bool)> + Clone, values: u32) -> Vec<bool> {
    let mut observed = vec![false; values as usize];
    let mut anything = false;
    let mut open_cas: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    let mut seen = Vec::new();
    for (access, returns) in accesses.clone() {
        match (access, returns) {
            (Access::Read(value) | Access::Cas(value, _), true) => seen.push(value),
            // "Not this" may have been anything else.
            (Access::Not(_), true) => anything = true,
            (Access::Cas(old, new), false) => open_cas.entry(new).or_default().push(old),
            _ => {}
        }
    }
    while let Some(value) = seen.pop() {
        if !std::mem::replace(&mut observed[value as usize], true) {
            seen.extend(open_cas.remove(&value).unwrap_or_default());
        }
    }
    accesses
        .map(|(access, returns)| {
            let told = |value| anything || observed[value as usize];
            returns || written(access).is_some_and(told)
        })
        .collect()
}

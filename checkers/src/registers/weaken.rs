//! Register histories with less to explain: what a counterexample is cut out of.
//!
//! Each of these turns a history that has an order into one that has an order (`checker.md` R7),
//! so that a violation in what is left is a violation of the whole.

use rustc_hash::{FxHashMap, FxHashSet};

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
        let history = &self.history;
        let mut excerpt = self.nothing_of();
        let mut number = vec![u32::MAX; history.calls.len()];
        let mut left: FxHashMap<u32, Option<u32>> = FxHashMap::default();
        for (start, source) in history.starts.iter().zip(&self.start_sources) {
            left.insert(*start, *source);
        }
        for (position, &moment) in history.moments.iter().enumerate() {
            let call = moment >> 1;
            let RegisterCall {
                access, returns, ..
            } = history.calls[call as usize];
            let begun_before = position < cut;
            if moment & 1 == 1 {
                if number[call as usize] != u32::MAX && position >= cut {
                    let begun_after = history.calls[call as usize].begins as usize >= cut;
                    if begun_after {
                        excerpt.at(number[call as usize], true);
                    }
                }
                continue;
            }
            let written = written(access);
            if let (true, Some(value)) = (begun_before, written) {
                left.entry(value)
                    .or_insert(Some(self.sources[call as usize]));
            }
            let over = returns != OPEN && (returns as usize) < cut;
            if !over && (!begun_before || written.is_some()) {
                number[call as usize] = excerpt.add(self, call);
                excerpt.at(number[call as usize], false);
            }
        }
        excerpt.choose_starts(&left);
        excerpt.renumber_values();
        let everything = excerpt.history.moments.len();
        excerpt.weakened(everything, |_| true)
    }

    /// Of the values that may be there, those that somebody can tell from others, and one other.
    fn choose_starts(&mut self, left: &FxHashMap<u32, Option<u32>>) {
        let mut observed = FxHashSet::default();
        for call in &self.history.calls {
            match call.access {
                Access::Read(value) | Access::Cas(value, _) | Access::Not(value) => {
                    observed.insert(value);
                }
                Access::Write(_) => {}
            }
        }
        let mut starts: Vec<(u32, Option<u32>)> =
            left.iter().map(|(value, call)| (*value, *call)).collect();
        starts.sort_unstable();
        let other = starts
            .iter()
            .copied()
            .find(|(value, _)| !observed.contains(value));
        starts.retain(|(value, _)| observed.contains(value));
        starts.extend(other);
        (self.history.starts, self.start_sources) = starts.into_iter().unzip();
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

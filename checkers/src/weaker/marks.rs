//! Objects whose observations show which updates they have seen: lists, sets, versions.

use rustc_hash::{FxHashMap, FxHashSet};

use histories::Value;

use super::regular::Stale;
use super::{Answer, Cause, Guarantee};
use crate::Marks;
use crate::limits::Budget;

/// How many comparisons pass between two looks at the clock.
const STEPS_PER_LOOK: usize = 64;

/// One operation. Times are positions in the history.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub process: u64,
    pub begins: u32,
    /// `None` when its outcome is unknown.
    pub ends: Option<u32>,
    pub marks: Marks,
}

/// The operations at one place that say something of what was seen, in order of beginning.
#[derive(Debug)]
pub(super) struct Marked {
    /// Each with its number in the part.
    calls: Vec<(u32, Call)>,
    /// What is not for good: elements that are taken out at some time.
    removed: FxHashSet<Value>,
}

/// What a completed update leaves.
#[derive(Debug)]
struct Level {
    ends: u32,
    update: u32,
    level: i128,
    /// The most that one that ended by then leaves.
    most: i128,
}

/// Whether it holds at all these places; `None` where it means nothing for these operations.
pub(super) fn check(all: &[Marked], guarantee: Guarantee, budget: &Budget) -> Option<Answer> {
    let mut worst = None;
    for marked in all {
        match marked.check(guarantee, budget) {
            Some(Answer::Broken(cause)) => return Some(Answer::Broken(cause)),
            Some(answer) if worst != Some(Answer::Holds) || answer != Answer::Holds => {
                worst = Some(answer);
            }
            _ => {}
        }
    }
    worst
}

impl Marked {
    /// The operations by place, those where some observation says what it has seen.
    pub(super) fn all(calls: impl IntoIterator<Item = (u32, Value, Call)>) -> Vec<Self> {
        let mut places: Vec<Vec<(u32, Call)>> = Vec::new();
        let mut numbers: FxHashMap<Value, usize> = FxHashMap::default();
        for (number, place, call) in calls {
            let place = *numbers.entry(place).or_insert_with(|| {
                places.push(Vec::new());
                places.len() - 1
            });
            places[place].push((number, call));
        }
        let observes = |(_, call): &(u32, Call)| call.marks.is_seen();
        places.retain(|calls| calls.iter().any(observes));
        let marked = |calls: Vec<(u32, Call)>| {
            let removed = calls.iter().filter_map(|(_, call)| match &call.marks {
                Marks::Removes(element) => Some(element.clone()),
                _ => None,
            });
            let removed = removed.collect();
            Marked { calls, removed }
        };
        places.into_iter().map(marked).collect()
    }

    fn reads(&self) -> impl Iterator<Item = &(u32, Call)> {
        self.calls
            .iter()
            .filter(|(_, call)| call.ends.is_some() && call.marks.is_seen())
    }

    fn check(&self, guarantee: Guarantee, budget: &Budget) -> Option<Answer> {
        match guarantee {
            Guarantee::ComparableReads => self.comparable(budget),
            Guarantee::MonotonicReads | Guarantee::ReadYourWrites => {
                Some(self.session(guarantee, budget))
            }
            _ => None,
        }
    }

    /// Whether of two observations one always shows all that the other does.
    fn comparable(&self, budget: &Budget) -> Option<Answer> {
        let mut reads: Vec<(usize, &(u32, Call))> = self
            .reads()
            .filter_map(|read| match &read.1.marks {
                Marks::Finds { elements, .. } => Some((elements.len(), read)),
                _ => None,
            })
            .collect();
        if reads.is_empty() || !self.removed.is_empty() {
            return None;
        }
        reads.sort_by_key(|(found, read)| (*found, read.1.ends));
        // Each against the next larger one: that is enough, for what is contained in what is
        // contained is so as well.
        for (step, pair) in reads.windows(2).enumerate() {
            if step % STEPS_PER_LOOK == 0 && budget.check().is_err() {
                return Some(super::sequential::out_of_time());
            }
            let (smaller, larger) = (pair[0].1, pair[1].1);
            if larger.1.marks.is_behind(&smaller.1.marks, &self.removed) {
                let (first, second) = match smaller.1.ends < larger.1.ends {
                    true => (smaller.0, larger.0),
                    false => (larger.0, smaller.0),
                };
                return Some(Answer::Broken(Cause::Behind(first, second)));
            }
        }
        Some(Answer::Holds)
    }

    /// Of each process: whether its observations show all that those before it did, or all its own
    /// completed updates before it.
    fn session(&self, guarantee: Guarantee, budget: &Budget) -> Answer {
        let mut before: FxHashMap<u64, Vec<&(u32, Call)>> = FxHashMap::default();
        let mut first: Option<(u32, Cause)> = None;
        let mut steps = 0_usize;
        for entry in &self.calls {
            let (number, call) = entry;
            let Some(ends) = call.ends else {
                continue;
            };
            let known = before.entry(call.process).or_default();
            if call.marks.is_seen() {
                let found = call.marks.set();
                for earlier in known.iter() {
                    steps += 1;
                    if steps.is_multiple_of(STEPS_PER_LOOK) && budget.check().is_err() {
                        return super::sequential::out_of_time();
                    }
                    let is_behind = match &earlier.1.marks {
                        Marks::Adds(element) => {
                            !self.removed.contains(element)
                                && found.as_ref().is_some_and(|found| !found.contains(element))
                        }
                        other => call.marks.is_behind(other, &self.removed),
                    };
                    if is_behind && first.is_none_or(|(end, _)| ends < end) {
                        first = Some((ends, Cause::Behind(earlier.0, *number)));
                    }
                }
            }
            match (guarantee, call.marks.is_seen()) {
                // What the last one shows is enough: the ones before it are within it, or the first
                // that is not was found already.
                (Guarantee::MonotonicReads, true) => *known = vec![entry],
                (Guarantee::ReadYourWrites, false) => known.push(entry),
                _ => {}
            }
        }
        first.map_or(Answer::Holds, |(_, cause)| Answer::Broken(cause))
    }

    /// All observations that are behind, in order of beginning; `None` when that took too long.
    pub(super) fn behind(&self, budget: &Budget) -> Option<Vec<Stale>> {
        let elements = self.first_ends();
        let end_of: FxHashMap<&Value, u32> = elements
            .iter()
            .map(|(ends, _, element)| (*element, *ends))
            .collect();
        let levels = self.levels();
        let mut behind = Vec::new();
        for (number, call) in self.reads() {
            budget.check().ok()?;
            let over = |ends: u32| ends < call.begins;
            let (updates, first) = match &call.marks {
                Marks::Finds { .. } => {
                    let found = call.marks.set()?;
                    let known = found.iter().filter_map(|element| end_of.get(element));
                    let known = known.filter(|ends| over(**ends)).count();
                    let all = elements.partition_point(|(ends, ..)| over(*ends));
                    let mut missing = elements[..all].iter();
                    let first = missing.find(|(_, _, element)| !found.contains(element));
                    (all - known, first.map(|(_, update, _)| *update))
                }
                Marks::Level(found) => {
                    let all = levels.partition_point(|level| over(level.ends));
                    let mut missing = (0, None);
                    // Before, there is no such level.
                    for level in levels[..all].iter().rev().take_while(|l| l.most > *found) {
                        if level.level > *found {
                            missing = (missing.0 + 1, Some(level.update));
                        }
                    }
                    missing
                }
                _ => continue,
            };
            behind.extend(first.map(|overwriter| Stale {
                read: *number,
                writes: updates as u64,
                overwriter,
            }));
        }
        Some(behind)
    }

    /// What completed updates leave, in order of their ends.
    fn levels(&self) -> Vec<Level> {
        let levels = self.calls.iter().filter_map(|(number, call)| {
            let Marks::Leaves(level) = call.marks else {
                return None;
            };
            Some(Level {
                ends: call.ends?,
                update: *number,
                level,
                most: level,
            })
        });
        let mut levels: Vec<Level> = levels.collect();
        levels.sort_unstable_by_key(|level| level.ends);
        for at in 1..levels.len() {
            levels[at].most = levels[at].most.max(levels[at - 1].most);
        }
        levels
    }

    /// For each element that is added for good the first end of an update that adds it, in order.
    fn first_ends(&self) -> Vec<(u32, u32, &Value)> {
        let mut first: FxHashMap<&Value, (u32, u32)> = FxHashMap::default();
        for (number, call) in &self.calls {
            if let (Marks::Adds(element), Some(ends)) = (&call.marks, call.ends)
                && !self.removed.contains(element)
            {
                let known = first.entry(element).or_insert((ends, *number));
                *known = (*known).min((ends, *number));
            }
        }
        let mut ends: Vec<(u32, u32, &Value)> = first
            .into_iter()
            .map(|(element, (ends, number))| (ends, number, element))
            .collect();
        ends.sort_unstable_by_key(|(ends, number, _)| (*ends, *number));
        ends
    }
}

//! Counters all of whose changes are by the same amount.
//!
//! Then only how many changes came before counts: a read that found the start plus `k` times the
//! amount comes after the `k`-th change in order (the change at *place* `k`) and before the one at
//! place `k + 1`. So a read of `k` in `[b, r]` says that places up to `k` happen before `r`, and
//! places from `k + 1` on after `b`. A change that answered what it led to is at the place it
//! names, and says that places up to its own happen before its end and places from its own on
//! after its beginning. That gives every place a span, `[floor, ceiling]`, and both only grow with
//! the place. The history has an order exactly when every place up to the highest one observed can be
//! given a change that overlaps its span, every change one place, and every change that certainly
//! happened has one (places behind the highest have a floor, but no ceiling, and there are enough
//! of them).
//!
//! Why this is enough: where the change `x` has a place before that of `y`, but begins after `y`
//! ended, the two can be exchanged: as `y` ends before `x` begins, which is before the ceiling of the
//! earlier place, and `x` ends after `y` does, which is after the floor of the later one. (Changes
//! whose place is known are never part of such a pair, as they bound floors and ceilings
//! themselves.) When no such pair is left, time runs through the places in order: each at the
//! largest beginning or floor up to it. Each read happens between two of them.
//!
//! As floors and ceilings grow, the places a change can take follow each other without a gap, and
//! giving each place in turn the change that ends first finds an assignment if there is one
//! (Glover, "Maximum matching in a convex bipartite graph", 1967). `O(n log n)`. The reduction of
//! counters to it is our own.
//!
//! Changes by different amounts: deciding is as hard as finding a subset with a given sum. Here
//! only reads that no choice of changes explains are found; otherwise it is left to the search.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::NEVER;
use crate::Monitored;
use crate::models::CounterOp;
use crate::oracle::Interval;

/// What is looked at; all of it but in tests that show that each is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// Reads are at whole numbers of changes.
    pub levels: bool,
    /// A place's floor is not above its ceiling.
    pub reads: bool,
    /// There are enough changes for the places.
    pub enough: bool,
    /// Changes find a place in time.
    pub in_time: bool,
    /// Of the changes that are there, the one that ends first.
    pub first_end: bool,
    /// Two changes did not lead to the same.
    pub distinct: bool,
    /// A change that answered is at the place it named.
    pub pinned: bool,
    /// What a read of changes by different amounts can find at most, and at least.
    pub bounds: bool,
    /// The method does not apply to different amounts.
    pub one_amount: bool,
}

impl Conditions {
    pub(crate) const ALL: Conditions = Conditions {
        levels: true,
        reads: true,
        enough: true,
        in_time: true,
        first_end: true,
        distinct: true,
        pinned: true,
        bounds: true,
        one_amount: true,
    };
}

/// Decides the history of a counter that starts with `initial`; `None` when changes by different
/// amounts, or one that may have answered, leave it open.
pub(crate) fn decide(
    initial: i128,
    history: &[Interval<CounterOp>],
    conditions: Conditions,
) -> Option<Monitored> {
    let calls = Calls::of(initial, history);
    let Some(amount) = calls.amount(conditions) else {
        let found = bounds(&calls).filter(|_| conditions.bounds);
        return found.map(Monitored::Violated);
    };
    if calls
        .changes
        .iter()
        .any(|change| change.is_open() && change.result.is_some())
    {
        return None;
    }
    let found = match Places::of(&calls, amount, conditions) {
        Ok(places) => places.contradiction(&calls, conditions),
        Err(contradiction) => Some(contradiction),
    };
    Some(found.map_or(Monitored::Linearizable, |mut found| {
        found.sort_unstable();
        found.dedup();
        Monitored::Violated(found)
    }))
}

/// A change of the counter.
#[derive(Debug, Clone, Copy)]
struct Change {
    call: usize,
    amount: i128,
    /// What it answered, less what the counter starts with.
    result: Option<i128>,
    begins: u64,
    ends: u64,
}

impl Change {
    fn is_open(&self) -> bool {
        self.ends == NEVER
    }
}

/// A read that completed.
#[derive(Debug, Clone, Copy)]
struct Read {
    call: usize,
    /// What it found, less what the counter starts with.
    found: i128,
    begins: u64,
    ends: u64,
}

/// The history, divided. All times are above 0.
struct Calls {
    changes: Vec<Change>,
    reads: Vec<Read>,
}

impl Calls {
    fn of(initial: i128, history: &[Interval<CounterOp>]) -> Self {
        let mut calls = Calls {
            changes: Vec::new(),
            reads: Vec::new(),
        };
        for (call, interval) in history.iter().enumerate() {
            let (begins, ends) = (
                interval.begins.saturating_add(1),
                interval.ends.map_or(NEVER, |ends| ends.saturating_add(1)),
            );
            let (amount, result) = match interval.op {
                CounterOp::Add(amount) => (amount, None),
                CounterOp::AddAndGet(amount, result) => (amount, Some(result)),
                CounterOp::Read(found) => (0, Some(found)),
                // Where there are any, the search decides (`Model::monitor`).
                CounterOp::Reached(_) | CounterOp::Below(_) => (0, None),
            };
            let result = result.map(|result| i128::from(result) - initial);
            match (i128::from(amount), result) {
                (0, None) => {}
                (0, Some(_)) if ends == NEVER => {}
                (0, Some(found)) => calls.reads.push(Read {
                    call,
                    found,
                    begins,
                    ends,
                }),
                (amount, result) => calls.changes.push(Change {
                    call,
                    amount,
                    result,
                    begins,
                    ends,
                }),
            }
        }
        calls
    }

    /// The amount of all changes (1 when there are none), unless they differ.
    fn amount(&self, conditions: Conditions) -> Option<i128> {
        let first = self.changes.first().map_or(1, |change| change.amount);
        let one = self.changes.iter().all(|change| change.amount == first);
        (one || !conditions.one_amount).then_some(first)
    }
}

/// A bound of a place, and the call that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Bound {
    time: u64,
    call: usize,
    /// How many changes came before that call, or up to it.
    level: usize,
}

/// The places of changes in the order, from 1 on.
struct Places {
    /// For each place, and the one behind the last, after what it happens.
    floors: Vec<Option<Bound>>,
    /// For each place before what it happens.
    ceilings: Vec<Bound>,
    /// The change that must be there, where one answered so.
    pinned: Vec<Option<usize>>,
}

impl Places {
    /// What is observed of the places; or calls that contradict each other.
    fn of(calls: &Calls, amount: i128, conditions: Conditions) -> Result<Self, Vec<usize>> {
        let most = calls.changes.len();
        // A value that no number of changes leads to contradicts all else.
        let level = |value: i128, least: i128, call: usize| {
            let level = value / amount;
            let exact = value % amount == 0 || !conditions.levels;
            match usize::try_from(level) {
                Ok(places) if exact && level >= least && places <= most => Ok(places),
                _ => Err(vec![call]),
            }
        };
        let (mut floors, mut ceilings) = (Vec::new(), Vec::new());
        for read in &calls.reads {
            let (call, level) = (read.call, level(read.found, 0, read.call)?);
            let (begins, ends) = (read.begins, read.ends);
            floors.push((
                level + 1,
                Bound {
                    time: begins,
                    call,
                    level,
                },
            ));
            ceilings.push((
                level,
                Bound {
                    time: ends,
                    call,
                    level,
                },
            ));
        }
        let mut pins: Vec<(usize, usize)> = Vec::new();
        for change in &calls.changes {
            let Some(result) = change.result.filter(|_| conditions.pinned) else {
                continue;
            };
            let (call, place) = (change.call, level(result, 1, change.call)?);
            let (begins, ends) = (change.begins, change.ends);
            floors.push((
                place,
                Bound {
                    time: begins,
                    call,
                    level: place - 1,
                },
            ));
            ceilings.push((
                place,
                Bound {
                    time: ends,
                    call,
                    level: place,
                },
            ));
            pins.push((place, call));
        }
        let last = ceilings.iter().map(|(place, _)| *place).max().unwrap_or(0);
        let mut places = Places {
            floors: vec![None; last + 2],
            ceilings: vec![
                Bound {
                    time: NEVER,
                    call: 0,
                    level: 0
                };
                last + 1
            ],
            pinned: vec![None; last + 1],
        };
        for (place, floor) in floors {
            places.floors[place] = places.floors[place].max(Some(floor));
        }
        for (place, ceiling) in ceilings {
            places.ceilings[place] = places.ceilings[place].min(ceiling);
        }
        for place in 1..=last + 1 {
            places.floors[place] = places.floors[place].max(places.floors[place - 1]);
        }
        for place in (0..last).rev() {
            places.ceilings[place] = places.ceilings[place].min(places.ceilings[place + 1]);
        }
        for (place, call) in pins {
            match places.pinned[place].replace(call) {
                Some(other) if conditions.distinct => return Err(vec![other, call]),
                _ => {}
            }
        }
        Ok(places)
    }

    fn last(&self) -> usize {
        self.pinned.len() - 1
    }

    fn floor_time(&self, place: usize) -> u64 {
        self.floors[place].map_or(0, |floor| floor.time)
    }

    /// Calls that contradict each other, if there are some: gives each place in turn the change that ends
    /// first.
    fn contradiction(&self, calls: &Calls, conditions: Conditions) -> Option<Vec<usize>> {
        for place in (1..=self.last()).filter(|_| conditions.reads) {
            if let Some(floor) = self.floors[place]
                && floor.time > self.ceilings[place].time
            {
                return Some(vec![floor.call, self.ceilings[place].call]);
            }
        }
        let changes = &calls.changes;
        let free = |change: &usize| changes[*change].result.is_none() || !conditions.pinned;
        let mut coming: Vec<usize> = (0..changes.len()).filter(free).collect();
        coming.sort_unstable_by_key(|&change| changes[change].begins);
        let mut coming = coming.into_iter().peekable();
        // The changes that have begun and have no place, by their ends.
        let mut begun = BinaryHeap::new();
        let mut placed: Vec<(usize, &Change)> = Vec::new();
        for place in (1..=self.last()).filter(|place| self.pinned[*place].is_none()) {
            let ceiling = self.ceilings[place];
            while let Some(change) = coming.next_if(|&next| changes[next].begins < ceiling.time) {
                let rank = match conditions.first_end {
                    true => changes[change].ends,
                    false => changes[change].begins,
                };
                begun.push(Reverse((rank, change)));
            }
            let Some(Reverse((_, change))) = begun.pop() else {
                match conditions.enough {
                    // All changes that began before the ceiling are needed for earlier places.
                    true => return Some(vec![ceiling.call]),
                    false => continue,
                }
            };
            let change = &changes[change];
            if change.ends < self.floor_time(place) && conditions.in_time {
                return Some(self.crowd(place, change, &placed));
            }
            placed.push((place, change));
        }
        let behind = self.last() + 1;
        begun
            .into_iter()
            .map(|Reverse((_, change))| change)
            .chain(coming)
            .map(|change| &changes[change])
            .find(|change| change.ends < self.floor_time(behind) && conditions.in_time)
            .map(|change| self.crowd(behind, change, &placed))
    }

    /// Why `late` has no place: `place` is free, but happens after it ended. Together with those
    /// that began after some place `before` and ended before this one, it is one too many for the places
    /// between: at `before`, and not later, there was none of them.
    fn crowd(&self, place: usize, late: &Change, placed: &[(usize, &Change)]) -> Vec<usize> {
        let floor = self.floor_time(place);
        let crowd = placed
            .iter()
            .rev()
            .take_while(|(_, change)| change.ends < floor);
        let mut found = vec![late.call];
        found.extend(crowd.clone().map(|(_, change)| change.call));
        let before = placed
            .len()
            .checked_sub(1 + crowd.count())
            .map(|before| self.ceilings[placed[before].0]);
        let from = before.map_or(0, |before| before.level);
        let to = self.floors[place].map_or(0, |floor| floor.level);
        found.extend(before.map(|before| before.call));
        found.extend(self.floors[place].map(|floor| floor.call));
        found.extend((from + 1..=to).filter_map(|place| self.pinned[place]));
        found
    }
}

/// An observation that no choice of changes explains: it is above the sum of all additions begun by
/// then and the subtractions that must have happened, or below the sum the other way round.
fn bounds(calls: &Calls) -> Option<Vec<usize>> {
    let up = Sums::of(calls, |amount| amount.max(0));
    let down = Sums::of(calls, |amount| amount.min(0));
    let reads = calls.reads.iter().map(|read| (*read, 0));
    let answers = calls.changes.iter().filter(|change| !change.is_open());
    let answers = answers.filter_map(|change| {
        let read = Read {
            call: change.call,
            found: change.result?,
            begins: change.begins,
            ends: change.ends,
        };
        Some((read, change.amount))
    });
    reads.chain(answers).find_map(|(read, own)| {
        // What an answer says of the count before it.
        let found = read.found - own;
        let most = up.begun_before(read.ends) - own.max(0);
        let least = down.begun_before(read.ends) - own.min(0);
        if found > most + down.ended_before(read.begins) {
            Some(enough(&read, found - most, calls, -1))
        } else if found < least + up.ended_before(read.begins) {
            Some(enough(&read, found - least, calls, 1))
        } else {
            None
        }
    })
}

/// The observation, and as few as possible of the changes in this direction that ended before it
/// and together lead beyond `limit`.
fn enough(read: &Read, limit: i128, calls: &Calls, direction: i128) -> Vec<usize> {
    let mut ended: Vec<&Change> = calls
        .changes
        .iter()
        .filter(|change| change.ends < read.begins && change.amount * direction > 0)
        .collect();
    ended.sort_unstable_by_key(|change| Reverse(change.amount * direction));
    let (mut found, mut sum) = (vec![read.call], 0);
    let mut ended = ended.into_iter();
    while sum <= limit * direction
        && let Some(change) = ended.next()
    {
        sum += change.amount * direction;
        found.push(change.call);
    }
    found.sort_unstable();
    found
}

/// Sums of amounts up to a time.
struct Sums {
    begun: Vec<(u64, i128)>,
    ended: Vec<(u64, i128)>,
}

impl Sums {
    fn of(calls: &Calls, part: impl Fn(i128) -> i128) -> Self {
        let up_to = |time: fn(&Change) -> u64| {
            let mut sums: Vec<(u64, i128)> = calls
                .changes
                .iter()
                .map(|change| (time(change), part(change.amount)))
                .collect();
            sums.sort_unstable();
            let mut sum = 0;
            for (_, amount) in &mut sums {
                sum += *amount;
                *amount = sum;
            }
            sums
        };
        Sums {
            begun: up_to(|change| change.begins),
            ended: up_to(|change| change.ends),
        }
    }

    fn begun_before(&self, time: u64) -> i128 {
        before(&self.begun, time)
    }

    fn ended_before(&self, time: u64) -> i128 {
        before(&self.ended, time)
    }
}

fn before(sums: &[(u64, i128)], time: u64) -> i128 {
    let count = sums.partition_point(|(at, _)| *at < time);
    count.checked_sub(1).map_or(0, |last| sums[last].1)
}

#[cfg(test)]
mod tests;

//! Stacks whose values are unique.
//!
//! An element is there from its push to its pop, and of two elements one is there only while the
//! other is, or they are never there together: their stays do not cross. Where push and pop can
//! take effect at one moment, they do, and nothing else notices. Every other element is there for
//! certain from the end of its push to the beginning of its pop, its *core*; what is never popped,
//! to the end of time.
//!
//! Take a longest stretch of time, from `l` to `r`, covered by cores. In any order some element is
//! there all the time from `l` to `r`, for stays that do not cross and cover a stretch together
//! have one that covers it alone: its push begins before `l`, its pop ends after `r`. And whichever
//! element could, may be it: put its ends just outside of `l` and `r`, and all others of that
//! stretch into it, where their ends can be without crossing anew. So take any, leave it out, and go
//! on with what its core no longer joins together; where there is none, there is no order.
//!
//! A pop that found nothing needs a moment outside of all cores, as all stays can be put as close
//! to them as one likes.
//!
//! A pop of a value that may or may not have happened is as if it may happen at the end of time.
//! Pops of which nobody knows what they took need not have happened. When there is no order without
//! them, and none either where from the first of them on everything that nobody else takes may be
//! gone, there is none. Else they take, one after another, what nobody else takes and is in the way: an
//! order in which they do is one. Where none is found so, it is left open.
//!
//! That some element must cover the whole is from Lee and Mathur, "Efficient decrease-and-conquer
//! linearizability monitoring" (2024), who also say how published monitors of stacks went wrong:
//! this one is compared with the [`oracle`](crate::oracle). The proof, the rule for open operations
//! and the search for who covers are our own.
//!
//! With `k` pushes under way at once everything takes `O(n k log n)`.

use histories::Value;
use rustc_hash::FxHashMap;

use super::cores::{Cores, Least};
use super::gaps::{Gaps, Room};
use super::takers::Takers;
use crate::Monitored;
use crate::models::StackOp;
use crate::oracle::Interval;

/// What is looked at; all of it but in tests that show that each is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// A value is not popped more often than it was pushed.
    pub counts: bool,
    /// The method does not apply to repeated values.
    pub unique: bool,
    /// A pop does not end before its push begins.
    pub causes: bool,
    /// Who covers a stretch began to be pushed before it.
    pub pushed_before: bool,
    /// And its pop ends after it.
    pub popped_after: bool,
    /// What is never popped stays.
    pub never_popped: bool,
    /// A pop that may have happened may have taken what it names.
    pub open_pops: bool,
    /// Nothing certainly there when the stack was found empty.
    pub empty: bool,
    /// A pop of unknown answer can have taken any element.
    pub unknown: bool,
    /// A pop belongs to the contradiction where another one that may have happened could stand in
    /// for it.
    pub contested: bool,
}

impl Conditions {
    pub(crate) const ALL: Conditions = Conditions {
        counts: true,
        unique: true,
        causes: true,
        pushed_before: true,
        popped_after: true,
        never_popped: true,
        open_pops: true,
        empty: true,
        unknown: true,
        contested: true,
    };
}

/// Decides the history of a stack that holds `initial` at the start, the bottom first; `None` when
/// a value that comes up more than once, or a pop of which nobody knows what it took, leaves it
/// open.
pub(crate) fn decide(
    initial: &[Value],
    history: &[Interval<StackOp>],
    conditions: Conditions,
) -> Option<Monitored> {
    let gaps = Gaps::of(history);
    let told = told(initial, history);
    if conditions.counts
        && let Some(overdrawn) = told.values().find(|told| told.pops.len() > told.pushes)
    {
        return Some(Monitored::Violated(overdrawn.pops.clone()));
    }
    let repeats = |told: &Told| match told.pops.len() {
        0 => told.certain > 1 && told.open_pop.is_some(),
        _ => told.pushes > 1,
    };
    if conditions.unique && told.values().any(repeats) {
        return None;
    }
    let unknown = history
        .iter()
        .enumerate()
        .filter(|(_, interval)| interval.op == StackOp::PopAny && conditions.unknown);
    if unknown.clone().any(|(_, interval)| interval.ends.is_some()) {
        return None;
    }
    let depth = 2 * initial.len();
    let begin = unknown.map(|(call, interval)| (gaps.room(interval).first + depth, call));
    let takers = Takers::of(begin, gaps.len());
    let items = items(initial, history, &told, &gaps, conditions);
    let judge = |items: &[Item]| {
        let empties = empties(history, &gaps, depth, conditions);
        Nesting::new(items, gaps.len() + depth, conditions).all(&empties)
    };
    let stuck = match (judge(&items), takers.first()) {
        (Ok(order), _) => return Some(Monitored::Ordered(order)),
        (Err(stuck), None) => return Some(Monitored::Violated(stuck.calls)),
        (Err(stuck), Some(unknown)) => {
            let mut relaxed = items.clone();
            for item in &mut relaxed {
                item.contested = true;
                if item.leaves.end > gaps.len() + depth {
                    item.leaves.first = item.leaves.first.min(unknown);
                }
            }
            if let Err(stuck) = judge(&relaxed) {
                return Some(Monitored::Violated(stuck.calls));
            }
            stuck
        }
    };
    taken_by(takers, items, stuck, judge).map(Monitored::Ordered)
}

/// An order in which pops of unknown answer take what is in the way of others.
fn taken_by(
    mut takers: Takers,
    mut items: Vec<Item>,
    mut stuck: Stuck,
    judge: impl Fn(&[Item]) -> Result<Vec<usize>, Stuck>,
) -> Option<Vec<usize>> {
    for _ in 0..takers.attempts() {
        if stuck.in_the_way.is_empty() {
            return None;
        }
        for &place in &stuck.in_the_way {
            let item = &mut items[place];
            if let Some(later) = item.pop {
                takers.put_back(item.leaves.first, later);
            }
            let (first, call) = takers.take(stuck.gone_by)?;
            item.leaves.first = first;
            item.pop = Some(call);
        }
        match judge(&items) {
            Ok(order) => return Some(order),
            Err(again) => stuck = again,
        }
    }
    None
}

/// What the history says of one value.
#[derive(Debug, Default)]
struct Told {
    /// Pushes, what was there at the start included.
    pushes: usize,
    /// Those of them that certainly happened.
    certain: usize,
    /// Pops that certainly happened.
    pops: Vec<usize>,
    /// The first pop that may have happened.
    open_pop: Option<usize>,
}

fn told<'a>(initial: &'a [Value], history: &'a [Interval<StackOp>]) -> FxHashMap<&'a Value, Told> {
    let mut values: FxHashMap<&Value, Told> = FxHashMap::default();
    for value in initial {
        let told = values.entry(value).or_default();
        told.pushes += 1;
        told.certain += 1;
    }
    for (call, interval) in history.iter().enumerate() {
        match (&interval.op, interval.ends) {
            (StackOp::Push(value), ends) => {
                let told = values.entry(value).or_default();
                told.pushes += 1;
                told.certain += usize::from(ends.is_some());
            }
            (StackOp::Pop(value), Some(_)) => values.entry(value).or_default().pops.push(call),
            (StackOp::Pop(value), None) => {
                let told = values.entry(value).or_default();
                let begins = |call: usize| history[call].begins;
                if told
                    .open_pop
                    .is_none_or(|open| interval.begins < begins(open))
                {
                    told.open_pop = Some(call);
                }
            }
            (StackOp::PopEmpty | StackOp::PopAny, _) => {}
        }
    }
    values
}

/// Why elements cannot be put into each other.
struct Stuck {
    /// Calls that contradict each other.
    calls: Vec<usize>,
    /// Elements that nobody is known to take, by their places in the list, and the gap by which they
    /// must be gone.
    in_the_way: Vec<usize>,
    gone_by: usize,
}

/// An element on its way through the stack.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// Which one it is.
    place: usize,
    comes: Room,
    /// What may never be popped, may be in the gap after the last.
    leaves: Room,
    push: Option<usize>,
    pop: Option<usize>,
    /// Whether a pop that may have happened could stand in for the one that did.
    contested: bool,
}

impl Item {
    /// Whether it is there for certain at some time.
    fn has_core(&self) -> bool {
        self.comes.end < self.leaves.first
    }
}

/// Everything that must go through the stack.
fn items(
    initial: &[Value],
    history: &[Interval<StackOp>],
    told: &FxHashMap<&Value, Told>,
    gaps: &Gaps,
    conditions: Conditions,
) -> Vec<Item> {
    // What is there at the start came one after the other before everything else.
    let depth = 2 * initial.len();
    let later = |room: Room| shifted(room, depth);
    let item = |value: &Value, comes: Room, push: Option<usize>, open: bool| {
        let told = told.get(value)?;
        let never = Room {
            first: gaps.len() + depth,
            end: gaps.len() + depth + 1,
        };
        let open_pop = told.open_pop.filter(|_| conditions.open_pops);
        let (leaves, pop) = match (told.pops.first(), open_pop) {
            (Some(&pop), _) => (later(gaps.room(&history[pop])), Some(pop)),
            (None, _) if open || !conditions.never_popped => return None,
            (None, Some(pop)) => {
                let room = later(gaps.room(&history[pop]));
                let end = never.end;
                (Room { end, ..room }, Some(pop))
            }
            (None, None) => (never, None),
        };
        Some(Item {
            place: 0,
            comes,
            leaves,
            push,
            pop,
            contested: open_pop.is_some(),
        })
    };
    let there = initial.iter().enumerate().filter_map(|(place, value)| {
        let (first, end) = (2 * place, 2 * place + 1);
        item(value, Room { first, end }, None, false)
    });
    let pushed = history.iter().enumerate().filter_map(|(call, interval)| {
        let StackOp::Push(value) = &interval.op else {
            return None;
        };
        let open = interval.ends.is_none();
        item(value, later(gaps.room(interval)), Some(call), open)
    });
    let numbered = there.chain(pushed).enumerate();
    numbered
        .map(|(place, item)| Item { place, ..item })
        .collect()
}

fn shifted(room: Room, depth: usize) -> Room {
    Room {
        first: room.first + depth,
        end: room.end + depth,
    }
}

/// Pops that found nothing, and when.
fn empties(
    history: &[Interval<StackOp>],
    gaps: &Gaps,
    depth: usize,
    conditions: Conditions,
) -> Vec<(Room, usize)> {
    let all = history.iter().enumerate();
    all.filter(|(_, interval)| {
        conditions.empty && interval.op == StackOp::PopEmpty && interval.ends.is_some()
    })
    .map(|(call, interval)| (shifted(gaps.room(interval), depth), call))
    .collect()
}

/// Where an operation takes effect: in which gap, in which of its four parts, and which comes there
/// first.
type Place = (usize, Part, i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Pops,
    Pairs,
    Empty,
    Pushes,
}

/// The elements, while they are put into each other from the outermost on.
struct Nesting {
    /// Those with cores, by where these begin.
    items: Vec<Item>,
    /// Those without.
    pairs: Vec<Item>,
    left_out: Vec<bool>,
    /// For each of `items` the first gap of its push.
    began: Least,
    /// How many cores cover each gap.
    cores: Cores,
    placed: Vec<(Place, usize)>,
    conditions: Conditions,
}

impl Nesting {
    fn new(all: &[Item], gaps: usize, conditions: Conditions) -> Self {
        let (mut items, pairs): (Vec<Item>, Vec<Item>) =
            all.iter().copied().partition(Item::has_core);
        items.sort_unstable_by_key(|item| item.comes.end);
        let mut cores = Cores::none(gaps);
        for item in &items {
            cores.add(item.comes.end, item.leaves.first, 1);
        }
        Nesting {
            left_out: vec![false; items.len()],
            began: Least::of(items.iter().map(|item| item.comes.first)),
            items,
            pairs,
            cores,
            placed: Vec::new(),
            conditions,
        }
    }

    /// An order, or calls that contradict each other.
    fn all(mut self, empties: &[(Room, usize)]) -> Result<Vec<usize>, Stuck> {
        let early = |item: &&Item| item.leaves.end <= item.comes.first;
        let late = self.pairs.iter().find(early);
        if let Some(item) = late.filter(|_| self.conditions.causes) {
            return Err(Stuck {
                calls: item.pop.into_iter().collect(),
                in_the_way: Vec::new(),
                gone_by: 0,
            });
        }
        for &(room, call) in empties {
            let gap = self.cores.uncovered(room.first);
            if gap >= room.end {
                let chain = self.chain(room.first, room.end);
                let mut calls = vec![call];
                for item in &chain {
                    calls.extend(item.push);
                    calls.extend(item.pop.filter(|_| self.counts_as_contested(item)));
                }
                let in_the_way = chain.iter().find(|item| self.may_stay(item));
                return Err(Stuck {
                    calls,
                    in_the_way: in_the_way.into_iter().map(|item| item.place).collect(),
                    gone_by: room.end,
                });
            }
            self.placed.push(((gap, Part::Empty, 0), call));
        }
        for (turn, item) in (0..).zip(&self.pairs) {
            let gap = item.comes.first.max(item.leaves.first);
            for (after, call) in [(0, item.push), (1, item.pop)] {
                let place = (gap, Part::Pairs, 2 * turn + after);
                self.placed.extend(call.map(|call| (place, call)));
            }
        }
        self.nest()?;
        self.placed.sort_unstable();
        Ok(self.placed.into_iter().map(|(_, call)| call).collect())
    }

    /// Takes one after another the element that covers a whole stretch.
    fn nest(&mut self) -> Result<(), Stuck> {
        let mut stretches = Vec::new();
        self.split(0, self.cores.len(), &mut stretches);
        let mut turn = 0;
        while let Some((first, end)) = stretches.pop() {
            let Some(outer) = self.outermost(first, end) else {
                let (in_the_way, gone_by) = self.in_the_way(first, end);
                return Err(Stuck {
                    calls: self.contradiction(first, end),
                    in_the_way,
                    gone_by,
                });
            };
            let item = self.items[outer];
            self.left_out[outer] = true;
            self.began.set(outer, usize::MAX);
            turn += 1;
            let push = (first - 1, Part::Pushes, turn);
            self.placed.extend(item.push.map(|call| (push, call)));
            // At the very end it need not be popped.
            let pop = (end, Part::Pops, -turn);
            let popped = item.pop.filter(|_| end < self.cores.len());
            self.placed.extend(popped.map(|call| (pop, call)));
            self.cores.add(item.comes.end, item.leaves.first, -1);
            self.split(first, end, &mut stretches);
        }
        Ok(())
    }

    /// The stretches that cores cover from a gap up to but not with the end.
    fn split(&mut self, from: usize, end: usize, stretches: &mut Vec<(usize, usize)>) {
        let mut first = self.cores.covered(from);
        while first < end {
            let until = self.cores.uncovered(first).min(end);
            stretches.push((first, until));
            first = self.cores.covered(until);
        }
    }

    /// An element of the stretch that can be there all through it.
    fn outermost(&self, first: usize, end: usize) -> Option<usize> {
        let from = self.items.partition_point(|item| item.comes.end < first);
        let upto = self.items.partition_point(|item| item.comes.end < end);
        let before = match self.conditions.pushed_before {
            true => first,
            false => usize::MAX,
        };
        self.began.find(from, upto, before, |place| {
            !self.conditions.popped_after || self.items[place].leaves.end > end
        })
    }

    /// Calls because of which none can be there all through the stretch.
    fn contradiction(&self, first: usize, end: usize) -> Vec<usize> {
        let mut calls = Vec::new();
        for item in self.chain(first, end) {
            calls.extend(item.push);
            // What was pushed too late may be popped whenever it was.
            let matters = item.comes.first < first || self.counts_as_contested(&item);
            calls.extend(item.pop.filter(|_| matters));
        }
        calls
    }

    /// Whether nobody is known to take it.
    fn may_stay(&self, item: &Item) -> bool {
        item.leaves.end > self.cores.len() && !item.contested
    }

    /// Elements that nobody is known to take, and that are in the way of the one that could be there
    /// longest of those that may be there from the first gap on; and when that must be gone.
    ///
    /// Whatever is known to be taken and joins on, is put into that one; so is what comes up to there.
    fn in_the_way(&self, first: usize, end: usize) -> (Vec<usize>, usize) {
        let from = self.items.partition_point(|item| item.comes.end < first);
        let upto = self.items.partition_point(|item| item.comes.end < end);
        let left = (from..upto).filter(|&place| !self.left_out[place]);
        let left: Vec<&Item> = left.map(|place| &self.items[place]).collect();
        let outer = left.iter().filter(|item| item.comes.first < first);
        let gone_by = outer.map(|item| item.leaves.end).max().unwrap_or(0);
        let mut joined = first;
        let mut in_the_way = Vec::new();
        for item in left {
            if item.comes.end > joined {
                break;
            }
            match self.may_stay(item) {
                true if item.leaves.first >= gone_by => in_the_way.push(item.place),
                true => {}
                false => joined = joined.max(item.leaves.first),
            }
        }
        (in_the_way, gone_by)
    }

    fn counts_as_contested(&self, item: &Item) -> bool {
        item.contested && self.conditions.contested
    }

    /// Few elements, of those not left out, whose cores cover everything from a gap up to but not
    /// with the end.
    fn chain(&self, first: usize, end: usize) -> Vec<Item> {
        let mut chosen: Vec<Item> = Vec::new();
        let (mut reached, mut best) = (first, None::<Item>);
        let left = self.items.iter().zip(&self.left_out);
        for (item, _) in left.filter(|(item, left_out)| !**left_out && item.leaves.first > first) {
            if item.comes.end > reached {
                chosen.extend(best.take());
                reached = chosen.last().map_or(reached, |item| item.leaves.first);
            }
            if reached >= end {
                break;
            }
            if best.is_none_or(|best| best.leaves.first < item.leaves.first) {
                best = Some(*item);
            }
        }
        chosen.extend(best.filter(|_| reached < end));
        chosen
    }
}

#[cfg(test)]
mod tests;

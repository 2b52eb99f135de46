//! Objects that updates only add to: the balances of a bank, a counter changed by different amounts.
//!
//! Whether there is an order is as hard to say as whether some numbers have a given sum. This looks
//! for one; where it finds none it mostly says nothing.
//!
//! Updates that add can be exchanged, so which are placed counts and not in what order. An update is
//! therefore placed when it returns, or because somebody under way looked: then some of those under
//! way that together add what is missing, and the look after them. Any order can be brought into this
//! form, by moving every update behind what is next to it, unless that looks. What the updates under
//! way can add is put into two tables, one for each half of them, so that of a missing
//! amount only one has to be gone through (Horowitz and Sahni, "Computing partitions with applications to
//! the knapsack problem", 1974).
//!
//! Balances of many accounts are added up as one number, in which each account has a factor of its
//! own. Two that differ may by bad luck be alike there; and whether an account
//! would be overdrawn on the way only the model knows. So whoever asked takes the steps of an order that was found.
//!
//! Where every update that may have happened, and every sum, was in the tables, no update was ever
//! impossible and no way was left out, all ways were looked at: then there is no order, and none of what
//! came until there, if none goes on. (Sums that differ as one number differ; so luck does not come into
//! it.)
//!
//! Ways that are all alike so far go on side by side. Of updates of unknown outcome there may be many
//! that never happened, so they are left out of the tables until a look finds no place: then it goes
//! back to before that look began, and on with them. So with them nothing is said of histories in which
//! no order is found. A short history is then looked at once more, with all of them in large tables.

mod missing;

use rustc_hash::FxHashSet;

use crate::oracle::Interval;
use crate::{Model, Monitored};
use missing::{Missing, Tables};

/// Histories of as many calls are looked at once more.
const THOROUGH_CALLS_MAX: usize = 256;
/// How many events lie between two places to go back to.
const CHECKPOINT_EVENTS: usize = 64;
/// How often it goes back from about the same place.
const ATTEMPTS_MAX: u32 = 16;
/// After so many of them with more of everything.
const ATTEMPTS_PLAIN: u32 = 3;
/// Updates of unknown outcome that a look may need: so many of the last ones, then of all.
const OPEN_LATEST: usize = 16;
const OPEN_MAX: usize = 128;

/// How much is done for an order.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// How many ways go on side by side, and how many after some fruitless attempts.
    ways_max: usize,
    ways_more_max: usize,
    /// How many ways are looked at for one return.
    tried_max: usize,
    /// How large the tables are, and how many choices from them are named.
    tables: Tables,
    /// How many sums may be looked at, per event and at least.
    sums_per_event: u64,
    sums_min: u64,
    /// Whether updates of unknown outcome are in the tables from the start.
    with_open: bool,
}

impl Effort {
    const USUAL: Effort = Effort {
        ways_max: 64,
        ways_more_max: 512,
        tried_max: 256,
        tables: Tables {
            sums_max: 1_500,
            choices_max: 32,
        },
        sums_per_event: 2_000,
        sums_min: 0,
        with_open: false,
    };
    const THOROUGH: Effort = Effort {
        ways_max: 1_024,
        ways_more_max: 1_024,
        tried_max: 4_096,
        tables: Tables {
            sums_max: 1 << 17,
            choices_max: 1_024,
        },
        sums_per_event: 0,
        sums_min: 8_000_000,
        with_open: true,
    };
}

/// What must be so for all ways to have been looked at, and what makes ways alike; left out by tests.
#[derive(Debug, Clone, Copy)]
struct Conditions {
    /// No update of unknown outcome is left out of the tables.
    with_open: bool,
    /// No sum is left out of them.
    complete: bool,
    /// No choice of the right sum is left out.
    all_choices: bool,
    /// No way is left out before a return, nor after it.
    all_tried: bool,
    all_ways: bool,
    /// What is to happen next never turns out to be impossible.
    possible: bool,
    /// Of equal updates the one that ends first is chosen.
    first_end: bool,
}

impl Conditions {
    const ALL: Conditions = Conditions {
        with_open: true,
        complete: true,
        all_choices: true,
        all_tried: true,
        all_ways: true,
        possible: true,
        first_end: true,
    };
}

/// What a call adds, and what was there when it looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    /// 0 for one that only observes.
    pub adds: u64,
    /// What it found before it added anything; `None` when it does not say.
    pub finds: Option<u64>,
}

/// An odd number for each number: those of others have nothing to do with each other (the mixing of
/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
pub(crate) fn scattered(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (number ^ number >> 31) | 1
}

/// An order of the history that starts with this state and this sum, or that there is none, if that
/// is found out.
pub(crate) fn decide<M: Model>(
    model: &M,
    initial: (&M::State, u64),
    history: &[Interval<M::Op>],
    sums: &[Sum],
) -> Option<Monitored> {
    let with = |effort| decide_with(model, initial, history, sums, effort, Conditions::ALL);
    with(Effort::USUAL).or_else(|| {
        let is_short = history.len() <= THOROUGH_CALLS_MAX;
        is_short.then(|| with(Effort::THOROUGH)).flatten()
    })
}

fn decide_with<M: Model>(
    model: &M,
    initial: (&M::State, u64),
    history: &[Interval<M::Op>],
    sums: &[Sum],
    effort: Effort,
    conditions: Conditions,
) -> Option<Monitored> {
    let (state, total) = initial;
    let start = Way {
        state: state.clone(),
        total,
        placed: Vec::new(),
        open: 0,
        last: NOTHING,
    };
    let observes = |interval: &Interval<M::Op>| model.is_observer(&interval.op);
    let mut events: Vec<(u64, u32, bool)> = Vec::with_capacity(2 * history.len());
    for (call, interval) in (0..).zip(history) {
        events.push((interval.begins, call, false));
        events.extend(interval.ends.map(|ends| (ends, call, true)));
    }
    events.sort_unstable();
    let is_open = |interval: &Interval<M::Op>| interval.ends.is_none();
    Orders {
        model,
        history,
        sums,
        observers: history.iter().map(observes).collect(),
        sums_left: effort
            .sums_min
            .max(effort.sums_per_event.saturating_mul(events.len() as u64)),
        events,
        now: Moment {
            position: 0,
            under_way: Vec::new(),
            open: Vec::new(),
            ways: vec![start],
        },
        checkpoints: Vec::new(),
        trouble: Trouble::default(),
        trail: Vec::new(),
        exact: effort.with_open || !conditions.with_open || !history.iter().any(is_open),
        effort,
        conditions,
    }
    .find()
}

/// The end of the trail.
const NOTHING: u32 = u32::MAX;

/// One way to have placed the calls so far.
#[derive(Debug, Clone)]
struct Way<S> {
    state: S,
    total: u64,
    /// Of the calls under way and those of unknown outcome those that are placed, sorted.
    placed: Vec<u32>,
    /// How many of unknown outcome are placed.
    open: u32,
    /// The call placed last, by its place in the trail.
    last: u32,
}

impl<S> Way<S> {
    fn has(&self, call: u32) -> bool {
        self.placed.binary_search(&call).is_ok()
    }

    fn forget(&mut self, call: u32) {
        if let Ok(at) = self.placed.binary_search(&call) {
            self.placed.remove(at);
        }
    }
}

/// What is known between two events.
#[derive(Debug, Clone)]
struct Moment<S> {
    position: usize,
    /// The calls that will return, in order of beginning.
    under_way: Vec<u32>,
    /// The updates of unknown outcome that are not placed on every way, likewise.
    open: Vec<u32>,
    ways: Vec<Way<S>>,
}

/// Where no way went on.
#[derive(Debug, Default)]
struct Trouble {
    position: usize,
    attempts: u32,
    /// The calls that found no place, there or before.
    calls: FxHashSet<u32>,
}

struct Orders<'a, M: Model> {
    model: &'a M,
    history: &'a [Interval<M::Op>],
    sums: &'a [Sum],
    observers: Vec<bool>,
    /// The time, the call, and whether it ends.
    events: Vec<(u64, u32, bool)>,
    now: Moment<M::State>,
    checkpoints: Vec<Moment<M::State>>,
    trouble: Trouble,
    /// Calls placed, each with the place of the one before it.
    trail: Vec<(u32, u32)>,
    sums_left: u64,
    /// Whether all ways there are have been looked at so far.
    exact: bool,
    effort: Effort,
    conditions: Conditions,
}

impl<M: Model> Orders<'_, M> {
    fn find(mut self) -> Option<Monitored> {
        while let Some(&(_, call, ends)) = self.events.get(self.now.position) {
            self.save();
            let goes_on = match ends {
                true => self.end(call)?,
                false => self.begin(call),
            };
            match goes_on {
                true => self.now.position += 1,
                false if self.exact => return Some(Monitored::ViolatedAt(call as usize)),
                false => self.go_back(call)?,
            }
        }
        let mut last = self.now.ways.first()?.last;
        let mut order = Vec::new();
        while let Some(&(call, before)) = self.trail.get(last as usize) {
            order.push(call as usize);
            last = before;
        }
        order.reverse();
        Some(Monitored::Ordered(order))
    }

    fn save(&mut self) {
        let last = self.checkpoints.last();
        let next = last.map_or(0, |last| last.position + CHECKPOINT_EVENTS);
        if self.now.position < next {
            return;
        }
        // What is placed on every way is over.
        let Moment { open, ways, .. } = &mut self.now;
        open.retain(|&call| {
            let everywhere = ways.iter().all(|way| way.has(call));
            if everywhere {
                ways.iter_mut().for_each(|way| way.forget(call));
            }
            !everywhere
        });
        self.checkpoints.push(self.now.clone());
    }

    /// Goes back to before the call that has no place began, or further.
    fn go_back(&mut self, call: u32) -> Option<()> {
        let trouble = &mut self.trouble;
        if self.now.position > trouble.position {
            (trouble.position, trouble.attempts) = (self.now.position, 0);
        }
        trouble.attempts += 1;
        if trouble.attempts > ATTEMPTS_MAX {
            return None;
        }
        trouble.calls.insert(call);
        let begins = self.history[call as usize].begins;
        let events = &self.events;
        let before = self
            .checkpoints
            .partition_point(|before| events[before.position].0 <= begins);
        let further = trouble.attempts.saturating_sub(ATTEMPTS_PLAIN) as usize;
        self.checkpoints
            .truncate(before.saturating_sub(further).max(1));
        self.now = self.checkpoints.last()?.clone();
        Some(())
    }

    fn begin(&mut self, call: u32) -> bool {
        if self.history[call as usize].ends.is_none() {
            if !self.observers[call as usize] {
                self.now.open.push(call);
            }
            return true;
        }
        self.now.under_way.push(call);
        if self.observers[call as usize] {
            let mut ways = std::mem::take(&mut self.now.ways);
            for way in &mut ways {
                self.place(way, call);
            }
            self.now.ways = ways;
        }
        true
    }

    /// Whether some way goes on past the end of this call; `None` when that took too long.
    fn end(&mut self, call: u32) -> Option<bool> {
        let mut after: Vec<Way<M::State>> = Vec::new();
        let mut seen: FxHashSet<Vec<u32>> = FxHashSet::default();
        let mut tried: FxHashSet<Vec<u32>> = FxHashSet::default();
        let mut stack = std::mem::take(&mut self.now.ways);
        stack.reverse();
        while let Some(way) = stack.pop() {
            let mut next = way.clone();
            let is_placed = way.has(call);
            if is_placed || self.place(&mut next, call) {
                next.forget(call);
                if seen.insert(next.placed.clone()) {
                    after.push(next);
                }
                if is_placed || self.observers[call as usize] {
                    continue;
                }
            }
            let goes_on = tried.len() < self.effort.tried_max;
            self.exact &= goes_on || !self.conditions.all_tried;
            if goes_on && tried.insert(way.placed.clone()) {
                self.lead_on(&way, call, &mut stack)?;
            }
        }
        after.sort_by_key(|way| (way.open, way.placed.len()));
        let plain = self.trouble.attempts <= ATTEMPTS_PLAIN;
        let most = match plain {
            true => self.effort.ways_max,
            false => self.effort.ways_more_max,
        };
        self.exact &= after.len() <= most || !self.conditions.all_ways;
        after.truncate(most);
        self.now.under_way.retain(|&other| other != call);
        self.now.ways = after;
        Some(!self.now.ways.is_empty())
    }

    /// All ways that place some updates under way and then a look, without the call that ends; or
    /// that let it happen where it cannot as things are. `None` when it took too long.
    fn lead_on(
        &mut self,
        way: &Way<M::State>,
        ending: u32,
        stack: &mut Vec<Way<M::State>>,
    ) -> Option<()> {
        let left = self.now.under_way.iter().copied();
        let (mut looks, others): (Vec<u32>, Vec<u32>) = left
            .filter(|&call| !way.has(call))
            .partition(|&call| self.sums[call as usize].finds.is_some());
        let mut updates: Vec<u32> = others
            .into_iter()
            .filter(|&call| call != ending && !self.observers[call as usize])
            .collect();
        updates.sort_unstable_by_key(|&call| self.history[call as usize].ends);
        if !self.conditions.first_end {
            updates.reverse();
        }
        let (open_looks, open): (Vec<u32>, Vec<u32>) = self
            .open_left(way)
            .into_iter()
            .partition(|&call| self.sums[call as usize].finds.is_some());
        looks.extend(open_looks);
        if self.effort.with_open {
            updates.extend(open);
            self.look(way, &looks, &updates, &[], stack)?;
            self.make_room_for(way, ending, &updates, stack);
            return Some(());
        }
        let (hard, easy): (Vec<u32>, Vec<u32>) = looks
            .into_iter()
            .partition(|look| self.trouble.calls.contains(look));
        self.look(way, &easy, &updates, &[], stack)?;
        // Of several of unknown outcome any one more, or some of the last together.
        if self.trouble.attempts > 1 {
            let latest = open.len().min(OPEN_LATEST);
            let with = [&updates[..], &open[..latest]].concat();
            self.look(way, &hard, &with, &open[latest..], stack)?;
        } else {
            self.look(way, &hard, &updates, &open, stack)?;
        }
        updates.extend(open);
        self.make_room_for(way, ending, &updates, stack);
        Some(())
    }

    /// The same for all calls that had no place.
    fn make_room_for(
        &mut self,
        way: &Way<M::State>,
        ending: u32,
        updates: &[u32],
        stack: &mut Vec<Way<M::State>>,
    ) {
        let mut hindered: Vec<u32> = self.now.under_way.clone();
        hindered.retain(|&call| {
            let has_trouble = call == ending || self.trouble.calls.contains(&call);
            has_trouble && self.sums[call as usize].finds.is_none() && !way.has(call)
        });
        for call in hindered {
            self.make_room(way, call, ending, updates, stack);
        }
    }

    /// Ways on which one of these looks is next, after some of these updates and perhaps one that is
    /// additional. `None` when it took too long.
    fn look(
        &mut self,
        way: &Way<M::State>,
        looks: &[u32],
        updates: &[u32],
        additional: &[u32],
        stack: &mut Vec<Way<M::State>>,
    ) -> Option<()> {
        if looks.is_empty() {
            return Some(());
        }
        let ops: Vec<&M::Op> = updates
            .iter()
            .map(|&call| &self.history[call as usize].op)
            .collect();
        let are_equal = |one: usize, other: usize| ops[one] == ops[other];
        let missing = Missing::new(&self.adds(updates), are_equal, self.effort.tables);
        self.sums_left = self.sums_left.checked_sub(missing.sums())?;
        for &look in looks.iter().rev() {
            let wanted = self.sums[look as usize].finds.unwrap_or_default();
            let wanted = wanted.wrapping_sub(way.total);
            let found = missing.find(wanted, self.adds(additional).into_iter());
            self.sums_left = self.sums_left.checked_sub(found.tried)?;
            let Conditions {
                complete,
                all_choices,
                ..
            } = self.conditions;
            self.exact &= missing.complete || !complete;
            self.exact &= !found.truncated || !all_choices;
            for choice in found.choices.into_iter().rev() {
                let mut chosen: Vec<u32> = choice.numbers().map(|at| updates[at]).collect();
                chosen.extend(choice.additional.map(|at| additional[at]));
                let mut next = way.clone();
                if self.place_all(&mut next, chosen)
                    && (next.has(look) || self.place(&mut next, look))
                {
                    stack.push(next);
                }
            }
        }
        Some(())
    }

    /// Ways on which a call happens that had no place: at once, where it is not the one that ends, or
    /// after one or two of these updates, where it cannot happen before.
    fn make_room(
        &mut self,
        way: &Way<M::State>,
        call: u32,
        ending: u32,
        updates: &[u32],
        stack: &mut Vec<Way<M::State>>,
    ) {
        let with = |this: &mut Self, way: &Way<M::State>, update: u32| {
            let mut next = way.clone();
            (!next.has(update) && this.place(&mut next, update)).then_some(next)
        };
        if let Some(next) = with(self, way, call) {
            stack.extend((call != ending).then_some(next));
            return;
        }
        let updates = updates.iter().copied();
        let updates = updates.filter(|&update| update != call && update != ending);
        let mut firsts = Vec::new();
        for update in updates.clone() {
            firsts.extend(with(self, way, update));
        }
        let happens =
            |this: &mut Self, way: &Way<M::State>| way.has(call) || with(this, way, call).is_some();
        let mut found = Vec::new();
        for first in &firsts {
            if happens(self, first) {
                found.push(first.clone());
            }
        }
        if found.is_empty() {
            for first in &firsts {
                for update in updates.clone() {
                    let second = with(self, first, update);
                    found.extend(second.filter(|second| happens(self, second)));
                }
            }
        }
        stack.extend(found);
    }

    /// The updates of unknown outcome that this way may still need, the last ones first.
    fn open_left(&self, way: &Way<M::State>) -> Vec<u32> {
        let most = match self.trouble.attempts <= ATTEMPTS_PLAIN {
            _ if self.effort.with_open => usize::MAX,
            true => OPEN_LATEST,
            false => OPEN_MAX,
        };
        let open = self.now.open.iter().rev().copied();
        open.filter(|&call| !way.has(call)).take(most).collect()
    }

    fn adds(&self, calls: &[u32]) -> Vec<u64> {
        calls
            .iter()
            .map(|&call| self.sums[call as usize].adds)
            .collect()
    }

    /// Places all of these, in some order in which they can happen; or says that it found none.
    fn place_all(&mut self, way: &mut Way<M::State>, mut calls: Vec<u32>) -> bool {
        while !calls.is_empty() {
            let Some(at) = calls.iter().position(|&call| self.place(way, call)) else {
                return false;
            };
            calls.remove(at);
        }
        true
    }

    /// Places the call next, if it can happen, and the observers under way that can happen then.
    fn place(&mut self, way: &mut Way<M::State>, call: u32) -> bool {
        if !self.place_one(way, call) {
            return false;
        }
        if !self.observers[call as usize] {
            for at in 0..self.now.under_way.len() {
                let other = self.now.under_way[at];
                if self.observers[other as usize] && !way.has(other) {
                    self.place_one(way, other);
                }
            }
        }
        true
    }

    fn place_one(&mut self, way: &mut Way<M::State>, call: u32) -> bool {
        let Sum { adds, finds } = self.sums[call as usize];
        let interval = &self.history[call as usize];
        let (Err(at), true) = (
            way.placed.binary_search(&call),
            finds.is_none_or(|found| found == way.total),
        ) else {
            return false;
        };
        let Some(state) = self.model.step(&way.state, &interval.op) else {
            // Had something else been placed before, it might be possible.
            self.exact &= !self.conditions.possible;
            return false;
        };
        way.state = state;
        way.total = way.total.wrapping_add(adds);
        way.open += u32::from(interval.ends.is_none());
        way.placed.insert(at, call);
        self.trail.push((call, way.last));
        way.last = self.trail.len() as u32 - 1;
        true
    }
}

#[cfg(test)]
mod tests;

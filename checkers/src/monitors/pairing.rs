//! Which take took what was put in by which put, where values come up more than once: guessed by their
//! times, then exchanged where that contradicts itself.
//!
//! Once it is said who took what, all values are different, and the algorithms for such histories apply.
//! An order of the history told so is one of the history as it is, whatever led to it. Where none is
//! found, nothing is known.
//!
//! Contradictions of two are seen at once. Those of more the algorithm for different values names; they
//! are remembered, so that nothing that was refused once comes back.

use std::collections::{BTreeMap, VecDeque};

use histories::Value;
use rustc_hash::{FxHashMap, FxHashSet};
use seeds::{Purpose, Stream};

use super::{NEVER, Span};
use crate::oracle::Interval;
use crate::{Model, Monitored, Moves};

/// At most so many others are looked at in each direction.
const LOOKED_AT_MAX: usize = 256;
/// With so many of the same value before and after it, one may exchange what took it.
const EXCHANGED_WITH: usize = 8;
/// So many exchanges are made, for each that is put in, and all in all orders are looked for in so many
/// events.
const STEPS_PER_PUT: usize = 8;
const EVENTS_LOOKED_AT_MAX: usize = 20_000_000;
/// One in so many exchanges is made by chance.
const BY_CHANCE: u64 = 16;
/// A take that is over before the put begins is worse than other contradictions, the more so the
/// earlier it is.
const NO_CAUSE: u64 = 4;
const NO_CAUSE_PER: u64 = 8;

/// Which goes out next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    /// What came first.
    First,
    /// What came last.
    Last,
}

/// A put or take of a value.
#[derive(Debug, Clone, Copy)]
struct Move {
    /// Which value.
    value: u32,
    /// When.
    span: Span,
    /// The call; `None` for what was there at the start.
    call: Option<usize>,
}

impl Move {
    fn middle(&self) -> u64 {
        self.span.begins.saturating_add(self.span.ends)
    }

    fn is_open(&self) -> bool {
        self.span.ends == NEVER
    }
}

/// An order of a history in which values come up more than once, of a container that `held` this at
/// the start, what came first first. A name instead of the value makes an operation `told` apart.
pub(crate) fn told_apart<M: Model>(
    model: &M,
    gives: Gives,
    held: &[Value],
    history: &[Interval<M::Op>],
    told: impl Fn(&M::Op, Value) -> M::Op,
    decide: impl Fn(&[Value], &[Interval<M::Op>]) -> Option<Monitored>,
) -> Option<Monitored> {
    let mut numbers: FxHashMap<Value, u32> = FxHashMap::default();
    let mut number = |value: Value| {
        let next = numbers.len() as u32;
        *numbers.entry(value).or_insert(next)
    };
    let mut puts: Vec<Move> = Vec::new();
    for (begins, value) in (0..).step_by(2).zip(held) {
        let ends = begins + 1;
        puts.push(Move {
            value: number(value.clone()),
            span: Span { begins, ends },
            call: None,
        });
    }
    let (mut takes, mut empties, mut vanish) = (Vec::new(), Vec::new(), false);
    for (call, interval) in history.iter().enumerate() {
        let after = |time: u64| time.saturating_add(2 * held.len() as u64);
        let begins = after(interval.begins);
        let ends = interval.ends.map_or(NEVER, after);
        let span = Span { begins, ends };
        let mut of = |value| Move {
            value: number(value),
            span,
            call: Some(call),
        };
        match model.moves(&interval.op) {
            Some(Moves::Puts(value)) => puts.push(of(value)),
            Some(Moves::Takes(value)) if ends != NEVER => takes.push(of(value)),
            Some(Moves::Takes(_) | Moves::TakesAny) => vanish = true,
            None if ends != NEVER => empties.push(span),
            None => {}
        }
    }
    if puts.len() == numbers.len() {
        return None;
    }
    let there: Vec<Value> = (0..held.len() as i64).map(Value::Int).collect();
    Pairing::new(gives, puts, takes, empties, vanish).find(|pairing| {
        let named = history.iter().zip(pairing.names(history.len()));
        let apart: Vec<Interval<M::Op>> = named
            .map(|(interval, name)| Interval {
                op: told(&interval.op, name),
                ..*interval
            })
            .collect();
        decide(&there, &apart)
    })
}

/// Who took what.
struct Pairing {
    gives: Gives,
    /// In order of beginning.
    puts: Vec<Move>,
    takes: Vec<Move>,
    /// When nothing was found.
    empties: Vec<Span>,
    /// Whether what nobody is known to take may be gone.
    vanish: bool,
    taken_by: Vec<Option<usize>>,
    took: Vec<Option<usize>>,
    /// For each value its puts, and for each put its place there.
    mates: Vec<Vec<usize>>,
    places: Vec<usize>,
    /// Who took what where that was found to contradict itself, and for each put where it is among it.
    refused: Vec<Vec<(usize, Option<usize>)>>,
    refused_with: FxHashMap<usize, Vec<usize>>,
    steps_left: usize,
    chance: Stream,
}

impl Pairing {
    /// A first guess.
    fn new(
        gives: Gives,
        mut puts: Vec<Move>,
        mut takes: Vec<Move>,
        mut empties: Vec<Span>,
        vanish: bool,
    ) -> Self {
        puts.sort_by_key(|put| put.span.begins);
        takes.sort_by_key(|take| take.span.begins);
        empties.sort_by_key(|empty| empty.begins);
        let values = puts.iter().chain(&takes).map(|of| of.value as usize + 1);
        let mut mates = vec![Vec::new(); values.max().unwrap_or(0)];
        let mut places = Vec::with_capacity(puts.len());
        for (number, put) in puts.iter().enumerate() {
            let mates: &mut Vec<usize> = &mut mates[put.value as usize];
            places.push(mates.len());
            mates.push(number);
        }
        let mut pairing = Pairing {
            gives,
            taken_by: vec![None; puts.len()],
            took: vec![None; takes.len()],
            steps_left: STEPS_PER_PUT * puts.len(),
            puts,
            takes,
            empties,
            vanish,
            mates,
            places,
            refused: Vec::new(),
            refused_with: FxHashMap::default(),
            chance: Stream::new(0, Purpose::Client, 0),
        };
        pairing.guess();
        pairing
    }

    /// As if everything happened in the middle of its time.
    fn guess(&mut self) {
        let mut waiting: BTreeMap<u32, (VecDeque<usize>, VecDeque<usize>)> = BTreeMap::new();
        let puts = self.puts.iter().enumerate();
        let puts = puts.filter(|(_, put)| !put.is_open());
        let puts = puts.map(|(number, put)| (put.middle(), false, number));
        let takes = self.takes.iter().enumerate();
        let takes = takes.map(|(number, take)| (take.middle(), true, number));
        let mut all: Vec<(u64, bool, usize)> = puts.chain(takes).collect();
        all.sort_unstable();
        for (_, takes, number) in all {
            let value = match takes {
                true => self.takes[number].value,
                false => self.puts[number].value,
            };
            let (held, early) = waiting.entry(value).or_default();
            let (put, take) = match takes {
                true => match self.gives {
                    Gives::First => (held.pop_front(), Some(number)),
                    Gives::Last => (held.pop_back(), Some(number)),
                },
                false => (Some(number), early.pop_front()),
            };
            match (put, take) {
                (Some(put), Some(take)) => self.pair(put, take),
                (Some(put), None) => held.push_back(put),
                (None, Some(take)) => early.push_back(take),
                (None, None) => {}
            }
        }
        // What came too late for them may have been put in by somebody who does not know.
        for take in 0..self.takes.len() {
            let of = self.takes[take];
            if let Some(put) = self.took[take]
                && self.puts[put].span.begins < of.span.ends
            {
                continue;
            }
            let mates = self.mates[of.value as usize].iter().copied();
            let mut open = mates.filter(|&mate| {
                let put = &self.puts[mate];
                put.is_open() && put.span.begins < of.span.ends && self.taken_by[mate].is_none()
            });
            if let Some(put) = open.next() {
                if let Some(late) = self.took[take] {
                    self.taken_by[late] = None;
                }
                self.pair(put, take);
            }
        }
    }

    fn pair(&mut self, put: usize, take: usize) {
        self.taken_by[put] = Some(take);
        self.took[take] = Some(put);
    }

    /// Two puts of a value exchange what took them.
    fn exchange(&mut self, one: usize, other: usize) {
        self.taken_by.swap(one, other);
        for put in [one, other] {
            if let Some(take) = self.taken_by[put] {
                self.took[take] = Some(put);
            }
        }
    }

    /// For each call of so many a name for what it put in or took.
    fn names(&self, calls: usize) -> Vec<Value> {
        let beyond = self.puts.len();
        let mut names: Vec<usize> = (beyond..beyond + calls).collect();
        let puts = (0..).zip(&self.puts);
        let puts = puts.filter_map(|(number, put)| Some((put.call?, number)));
        let takes = self.takes.iter().zip(&self.took);
        let takes = takes.filter_map(|(take, took)| Some((take.call?, (*took)?)));
        for (call, number) in puts.chain(takes) {
            names[call] = number;
        }
        let named = names.into_iter();
        named.map(|name| Value::Int(name as i64)).collect()
    }

    /// An order found once it is said who took what.
    fn find(mut self, judge: impl Fn(&Self) -> Option<Monitored>) -> Option<Monitored> {
        if self.took.iter().any(Option::is_none) {
            return None;
        }
        let events = 2 * (self.puts.len() + self.takes.len());
        let mut doubtful: Vec<usize> = (0..self.puts.len()).collect();
        for turn in 0..EVENTS_LOOKED_AT_MAX / events.max(1) {
            let steps_left = self.steps_left;
            self.settle(doubtful)?;
            if turn > 0 && self.steps_left == steps_left {
                // Nobody could be exchanged: it would be refused again.
                return None;
            }
            match judge(&self)? {
                Monitored::Violated(calls) => doubtful = self.refuse(&calls),
                found => return Some(found),
            }
        }
        None
    }

    /// Exchanges what contradicts itself, beginning with these.
    fn settle(&mut self, doubtful: Vec<usize>) -> Option<()> {
        let mut queue = VecDeque::from(doubtful);
        let mut against = Vec::new();
        while let Some(put) = queue.pop_front() {
            against.clear();
            if self.against(put, &mut against) == 0 {
                continue;
            }
            self.steps_left = self.steps_left.checked_sub(1)?;
            let moved = match self.chance.chance(1, 2) {
                true => put,
                false => *self.chance.pick(&against)?,
            };
            let by_chance = self.chance.chance(1, BY_CHANCE);
            if let Some(other) = self.better(moved, by_chance) {
                self.exchange(moved, other);
                against.clear();
                self.against(other, &mut against);
                queue.push_back(other);
                queue.extend(&against);
            }
            queue.push_back(moved);
            queue.push_back(put);
        }
        Some(())
    }

    /// With which of its mates an exchange leaves the least against them, if not more than before.
    fn better(&mut self, moved: usize, by_chance: bool) -> Option<usize> {
        let mates = &self.mates[self.puts[moved].value as usize];
        let leaves = self.leaves(moved);
        let taken = mates.partition_point(|&mate| self.puts[mate].span.begins < leaves.ends);
        let mut others: Vec<usize> = Vec::new();
        for place in [self.places[moved], taken] {
            let from = place.saturating_sub(EXCHANGED_WITH);
            let upto = mates.len().min(place + EXCHANGED_WITH + 1);
            others.extend(&mates[from..upto]);
        }
        others.sort_unstable();
        others.dedup();
        others.retain(|&other| other != moved && self.taken_by[other] != self.taken_by[moved]);
        if by_chance {
            return self.chance.pick(&others).copied();
        }
        self.chance.shuffle(&mut others);
        let (mut best, mut least) = (None, i64::MAX);
        let mut ignored = Vec::new();
        for other in others {
            let mut weight = |pairing: &Self| {
                ignored.clear();
                let both = [moved, other].map(|put| pairing.against(put, &mut ignored) as i64);
                both[0] + both[1]
            };
            let before = weight(self);
            self.exchange(moved, other);
            let change = weight(self) - before;
            self.exchange(moved, other);
            if change < least {
                (best, least) = (Some(other), change);
            }
        }
        best.filter(|_| least <= 0)
    }

    /// Remembers that who took what contradicts itself at these calls; says about which puts.
    fn refuse(&mut self, calls: &[usize]) -> Vec<usize> {
        let calls: FxHashSet<usize> = calls.iter().copied().collect();
        let named = |call: Option<usize>| call.is_some_and(|call| calls.contains(&call));
        let taken = |put: usize| self.taken_by[put].and_then(|take| self.takes[take].call);
        let all = 0..self.puts.len();
        let puts: Vec<usize> = all
            .filter(|&put| named(self.puts[put].call) || named(taken(put)))
            .collect();
        for &put in &puts {
            let refused = self.refused.len();
            self.refused_with.entry(put).or_default().push(refused);
        }
        let pairs = puts.iter().map(|&put| (put, self.taken_by[put]));
        self.refused.push(pairs.collect());
        puts
    }

    fn leaves(&self, put: usize) -> Span {
        self.taken_by[put].map_or(
            Span {
                begins: NEVER,
                ends: NEVER,
            },
            |take| self.takes[take].span,
        )
    }

    /// How much there is against that this was put in and taken so, and who; itself where it alone is
    /// impossible.
    fn against(&self, put: usize, against: &mut Vec<usize>) -> u64 {
        let (comes, leaves) = (self.puts[put].span, self.leaves(put));
        if leaves.begins == NEVER && (self.vanish || comes.ends == NEVER) {
            return 0;
        }
        let known = against.len();
        let mut early = 0;
        if leaves.ends < comes.begins {
            against.push(put);
            early = NO_CAUSE + (comes.begins - leaves.ends) / NO_CAUSE_PER;
        }
        let stays = |time: u64| comes.ends < time && time < leaves.begins;
        // Those that begin while it is there for certain.
        let from = self
            .puts
            .partition_point(|other| other.span.begins <= comes.ends);
        let later = (from..self.puts.len()).take(LOOKED_AT_MAX);
        for other in later.take_while(|&other| stays(self.puts[other].span.begins)) {
            let (came, left) = (self.puts[other].span, self.leaves(other));
            let crosses = match self.gives {
                Gives::First => left.ends < leaves.begins,
                Gives::Last => {
                    came.ends < leaves.begins
                        && leaves.ends < left.begins
                        && !(left.begins == NEVER && (self.vanish || came.ends == NEVER))
                }
            };
            if crosses {
                against.push(other);
            }
        }
        let after = match self.gives {
            Gives::First => leaves.ends,
            Gives::Last => comes.ends,
        };
        let from = self.takes.partition_point(|take| take.span.begins <= after);
        for take in (from..self.takes.len()).take(LOOKED_AT_MAX) {
            let left = self.takes[take].span;
            if self.gives == Gives::Last && !stays(left.begins) {
                break;
            }
            let ends_before = self.gives == Gives::First || left.ends < leaves.begins;
            if let Some(other) = self.took[take]
                && ends_before
                && self.puts[other].span.ends < comes.begins
            {
                against.push(other);
            }
        }
        let from = self
            .empties
            .partition_point(|empty| empty.begins <= comes.ends);
        let empties = self.empties[from..].iter().take(LOOKED_AT_MAX);
        let while_there = empties.take_while(|empty| stays(empty.begins));
        against.extend(while_there.filter(|empty| stays(empty.ends)).map(|_| put));
        for &refused in self.refused_with.get(&put).into_iter().flatten() {
            let refused = &self.refused[refused];
            if refused
                .iter()
                .all(|(put, take)| self.taken_by[*put] == *take)
            {
                against.extend(refused.iter().map(|(put, _)| *put));
            }
        }
        early + (against.len() - known) as u64
    }
}

#[cfg(test)]
mod tests;

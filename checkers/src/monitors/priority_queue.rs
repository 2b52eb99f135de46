//! Priority queues.
//!
//! Numbers are looked at from the smallest on. That a pop took `v` says only that at that moment no
//! smaller number was in the queue, and some `v` was; larger numbers do not matter. So of each
//! number everything should be in the queue as short as can be, pushes late and pops early: the
//! moments at which it is there for certain are then as few as can be, and these alone are
//! forbidden to the pops of larger numbers, and to pops that found nothing.
//!
//! A *gap* is the time between two events. Say that the gaps in which some smaller number is there
//! all the time are covered. A pop of `v` takes effect in the first free gap in which both it and its
//! push have begun; when there is none before it ends, there is no order. From the end of the push
//! until there the gaps are covered from there on.
//!
//! Where the same number is pushed again, who takes which is a choice: when a push ends, it is taken
//! by the pop that waits and must end first, and if none waits, by the next that can; when a pop
//! ends, it takes what the push under way puts in that must end first. That may miss an order where
//! there is one. So an order found so is one, and a contradiction counts if only numbers that are
//! pushed once are part of it.
//!
//! In a gap that is not covered each number is either not yet there or already gone, so these can
//! follow each other: pops, the smaller numbers first, each behind its push where that is not over;
//! pops that found nothing; and at the end pushes that must not be later.
//!
//! Of a number that nobody certainly popped, a pop that may or may not have happened should happen as
//! soon as it can; else it need not. Pops of which nobody knows what they took need not have happened.
//! When there is no order without them, and none either where from the first of them on everything
//! that nobody else takes may be gone, there is none. Else they take, one after another, what nobody
//! else takes and is in the way: an order in which they do is one. Where none is found so, it is left
//! open.
//!
//! The conditions for unique values are those of Lee and Mathur, "Efficient decrease-and-conquer
//! linearizability monitoring" (2024); the sweep, repeated numbers and open operations are our own.
//!
//! Everything takes `O(n log n)`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rustc_hash::FxHashSet;

use super::gaps::{Covered, Gaps, Room};
use super::takers::Takers;
use crate::Monitored;
use crate::models::PriorityQueueOp;
use crate::oracle::Interval;

/// What is looked at; all of it but in tests that show that each is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// While a smaller number is there, none is popped.
    pub smaller: bool,
    /// A pop needs an element.
    pub pushed: bool,
    /// What is never popped stays.
    pub never_popped: bool,
    /// A pop that found nothing needs an empty queue.
    pub empty: bool,
    /// A pop that may have happened may have made room.
    pub open_pops: bool,
    /// Where a number comes up again, a contradiction may be none.
    pub repeated: bool,
    /// A pop of unknown answer can have taken anything.
    pub unknown: bool,
    /// What delayed a pop belongs to the contradiction.
    pub delays: bool,
}

impl Conditions {
    pub(crate) const ALL: Conditions = Conditions {
        smaller: true,
        pushed: true,
        never_popped: true,
        empty: true,
        open_pops: true,
        repeated: true,
        unknown: true,
        delays: true,
    };
}

/// Decides the history of a queue that holds `initial` at the start; `None` where numbers
/// that come up again, or pops of which nobody knows what they took, leave it open.
pub(crate) fn decide(
    initial: &[i64],
    history: &[Interval<PriorityQueueOp>],
    conditions: Conditions,
) -> Option<Monitored> {
    let gaps = Gaps::of(history);
    let numbers = numbers(initial, history, &gaps, conditions);
    let unknown = history
        .iter()
        .enumerate()
        .filter(|(_, interval)| interval.op == PriorityQueueOp::PopAny && conditions.unknown);
    if unknown.clone().any(|(_, interval)| interval.ends.is_some()) {
        return None;
    }
    let begin = unknown.map(|(call, of)| (gaps.room(of).first, call));
    let takers = Takers::of(begin, gaps.len());
    let sweep = |numbers: &BTreeMap<i64, Told>, vanish: Option<usize>| {
        let sweep = Sweep {
            numbers,
            gaps: &gaps,
            covered: Covered::none(gaps.len()),
            covers: Vec::new(),
            placed: Vec::new(),
            vanish,
            conditions,
        };
        sweep.all(history)
    };
    let blame = match sweep(&numbers, None) {
        Ok(order) => return Some(Monitored::Ordered(order)),
        Err(blame) => blame,
    };
    let relaxed = takers.first().map(|first| sweep(&numbers, Some(first)));
    match relaxed {
        Some(Ok(_)) => {}
        Some(Err(relaxed)) => return violated(relaxed, conditions),
        None => return violated(blame, conditions),
    }
    taken_by(takers, numbers, blame, |numbers| sweep(numbers, None)).map(Monitored::Ordered)
}

/// An order in which pops of unknown answer take what is in the way of others.
fn taken_by(
    mut takers: Takers,
    mut numbers: BTreeMap<i64, Told>,
    mut blame: Blame,
    sweep: impl Fn(&BTreeMap<i64, Told>) -> Result<Vec<usize>, Blame>,
) -> Option<Vec<usize>> {
    for _ in 0..takers.attempts() {
        if blame.in_the_way.is_empty() {
            return None;
        }
        for (number, taker) in std::mem::take(&mut blame.in_the_way) {
            let pops = &mut numbers.get_mut(&number)?.pops;
            if let Some(at) = pops.iter().position(|pop| pop.call == taker && pop.unknown) {
                let later = pops.remove(at);
                takers.put_back(later.room.first, later.call?);
            }
            let (first, call) = takers.take(blame.before)?;
            let place = pops.partition_point(|pop| pop.room.first < first);
            let end = blame.room.end;
            let pop = Action {
                room: Room { first, end },
                call: Some(call),
                open: false,
                unknown: true,
            };
            pops.insert(place, pop);
        }
        match sweep(&numbers) {
            Ok(order) => return Some(order),
            Err(again) => blame = again,
        }
    }
    None
}

fn violated(blame: Blame, conditions: Conditions) -> Option<Monitored> {
    let in_doubt = blame.in_doubt && conditions.repeated;
    (!in_doubt).then_some(Monitored::Violated(blame.calls))
}

/// Calls that contradict each other.
struct Blame {
    calls: Vec<usize>,
    /// Whether a number that is pushed again is among them: then perhaps they do not.
    in_doubt: bool,
    /// When one of them must happen.
    room: Room,
    /// Before which gap a pop must begin that could help.
    before: usize,
    /// Numbers that nobody is known to take and that are in its way, and which pop of unknown answer
    /// was to take them.
    in_the_way: Vec<(i64, Option<usize>)>,
}

/// A push or pop.
#[derive(Debug, Clone, Copy)]
struct Action {
    room: Room,
    /// `None` for what was there at the start.
    call: Option<usize>,
    /// Whether it may not have happened.
    open: bool,
    /// Whether it is a pop of which nobody knows what it took.
    unknown: bool,
}

/// What the history says of one number.
#[derive(Debug, Default)]
struct Told {
    pushes: Vec<Action>,
    pops: Vec<Action>,
}

fn numbers(
    initial: &[i64],
    history: &[Interval<PriorityQueueOp>],
    gaps: &Gaps,
    conditions: Conditions,
) -> BTreeMap<i64, Told> {
    let mut numbers: BTreeMap<i64, Told> = BTreeMap::new();
    for number in initial {
        let there = Action {
            room: Room { first: 0, end: 0 },
            call: None,
            open: false,
            unknown: false,
        };
        numbers.entry(*number).or_default().pushes.push(there);
    }
    for (call, interval) in history.iter().enumerate() {
        let action = Action {
            room: gaps.room(interval),
            call: Some(call),
            open: interval.ends.is_none(),
            unknown: false,
        };
        match interval.op {
            PriorityQueueOp::Push(number) => {
                numbers.entry(number).or_default().pushes.push(action);
            }
            PriorityQueueOp::Pop(number) if !action.open || conditions.open_pops => {
                numbers.entry(number).or_default().pops.push(action);
            }
            _ => {}
        }
    }
    for told in numbers.values_mut() {
        told.pushes.sort_unstable_by_key(|push| push.room.first);
        told.pops.sort_unstable_by_key(|pop| pop.room.first);
    }
    numbers
}

/// Gaps in which an element is there for certain.
#[derive(Debug, Clone, Copy)]
struct Cover {
    number: i64,
    /// Nobody is known to take it.
    stays: bool,
    /// From the end of its push.
    first: usize,
    /// From here on only because its pop was delayed by what is covered there.
    delayed: usize,
    /// Up to its pop.
    end: usize,
    push: Option<usize>,
    pop: Option<usize>,
    in_doubt: bool,
}

/// Where an operation takes effect: in which gap, in which of its three parts, and there by number
/// and turn.
type Place = (usize, Part, i64, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Pops,
    Empty,
    Pushes,
}

/// What can happen about one number; in one gap in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Just before the gap.
    PushEnds,
    PopEnds,
    /// In the gap, the first after it began that is free.
    Push,
    Pop,
}

/// Pushes or pops, while they are under way.
struct Waiting<'a> {
    all: &'a [Action],
    /// For each the gap from which on it waits.
    since: Vec<usize>,
    is_done: Vec<bool>,
    /// Those that must end first are first.
    order: BTreeSet<(usize, usize)>,
}

impl<'a> Waiting<'a> {
    fn of(all: &'a [Action]) -> Self {
        Waiting {
            all,
            since: vec![0; all.len()],
            is_done: vec![false; all.len()],
            order: BTreeSet::new(),
        }
    }

    fn key(&self, place: usize) -> (usize, usize) {
        (self.all[place].room.end, place)
    }

    /// It waits from now on, unless it is too late.
    fn wait(&mut self, place: usize, gap: usize) {
        self.since[place] = gap;
        if !self.is_done[place] {
            self.order.insert(self.key(place));
        }
    }

    fn waits(&self, place: usize) -> bool {
        self.order.contains(&self.key(place))
    }

    fn first(&self) -> Option<usize> {
        self.order.first().map(|(_, place)| *place)
    }

    fn is_done(&self, place: usize) -> bool {
        self.is_done[place]
    }

    fn done(&mut self, place: usize) {
        self.is_done[place] = true;
        self.order.remove(&self.key(place));
    }
}

/// The operations about one number at one time.
struct Queue<'a> {
    pushes: Waiting<'a>,
    pops: Waiting<'a>,
    /// Pushes that are over, and that nobody has taken.
    left: VecDeque<usize>,
}

impl Queue<'_> {
    /// The gap from which on both wait.
    fn both_since(&self, push: usize, pop: usize) -> usize {
        self.pushes.since[push].max(self.pops.since[pop])
    }
}

struct Sweep<'a> {
    numbers: &'a BTreeMap<i64, Told>,
    gaps: &'a Gaps,
    covered: Covered,
    covers: Vec<Cover>,
    placed: Vec<(Place, usize)>,
    /// From this gap on, what nobody is known to have taken may be gone.
    vanish: Option<usize>,
    conditions: Conditions,
}

impl Sweep<'_> {
    /// An order, or calls that contradict each other.
    fn all(mut self, history: &[Interval<PriorityQueueOp>]) -> Result<Vec<usize>, Blame> {
        for (&number, told) in self.numbers {
            let covers = self.one(number, told)?;
            for cover in covers.into_iter().filter(|_| self.conditions.smaller) {
                self.covered
                    .cover(cover.first, cover.end, self.covers.len() as u32);
                self.covers.push(cover);
            }
        }
        for (call, interval) in history.iter().enumerate() {
            let looked = interval.op == PriorityQueueOp::PopEmpty && interval.ends.is_some();
            if !looked || !self.conditions.empty {
                continue;
            }
            let room = self.gaps.room(interval);
            let gap = self.covered.free(room.first);
            if gap >= room.end {
                return Err(self.blame(vec![call], room, false));
            }
            self.placed.push(((gap, Part::Empty, 0, call), call));
        }
        self.placed.sort_unstable();
        Ok(self.placed.into_iter().map(|(_, call)| call).collect())
    }

    /// Places what is about one number, smaller ones being placed; says what it covers.
    fn one(&mut self, number: i64, told: &Told) -> Result<Vec<Cover>, Blame> {
        let required = told.pops.iter().filter(|pop| !pop.open).count();
        // An open pop of an open push need not be; several of one element are one.
        let optional = (required == 0).then(|| told.pops.first()).flatten();
        let optional = optional.filter(|_| told.pushes.iter().any(|push| !push.open));
        let mut pops: Vec<Action> = told.pops.iter().filter(|pop| !pop.open).copied().collect();
        pops.extend(optional);
        let mut events: Vec<(usize, Event, usize)> = Vec::new();
        for (place, push) in told.pushes.iter().enumerate() {
            events.push((self.covered.free(push.room.first), Event::Push, place));
            events.push((push.room.end, Event::PushEnds, place));
        }
        for (place, pop) in pops.iter().enumerate() {
            events.push((self.covered.free(pop.room.first), Event::Pop, place));
            events.push((pop.room.end, Event::PopEnds, place));
        }
        events.retain(|(gap, _, _)| *gap < self.gaps.len());
        events.sort_unstable();
        let mut queue = Queue {
            pushes: Waiting::of(&told.pushes),
            pops: Waiting::of(&pops),
            left: VecDeque::new(),
        };
        let mut covers = Vec::new();
        for (gap, event, place) in events {
            let met = match event {
                // What ended where nothing could be taken is taken as soon as it can be.
                Event::Push if queue.pushes.is_done(place) => match queue.pops.first() {
                    Some(pop) => queue.left.pop_front().map(|push| (push, pop, gap)),
                    None => None,
                },
                Event::Push => {
                    queue.pushes.wait(place, gap);
                    None
                }
                Event::PushEnds if queue.pushes.is_done(place) => None,
                Event::PushEnds => match queue.pops.first() {
                    Some(pop) if queue.pushes.waits(place) => {
                        Some((place, pop, queue.both_since(place, pop)))
                    }
                    _ => {
                        queue.pushes.done(place);
                        queue.left.push_back(place);
                        None
                    }
                },
                Event::Pop => {
                    queue.pops.wait(place, gap);
                    queue.left.pop_front().map(|push| (push, place, gap))
                }
                Event::PopEnds if queue.pops.is_done(place) => None,
                Event::PopEnds => match queue.pushes.first().filter(|_| queue.pops.waits(place)) {
                    Some(push) => Some((push, place, queue.both_since(push, place))),
                    None if self.conditions.pushed => {
                        let calls = pops.iter().filter_map(|pop| pop.call).collect();
                        let room = match told.pushes.len() < required {
                            // It could not be popped so often anyhow.
                            true => Room { first: 0, end: 0 },
                            false => pops[place].room,
                        };
                        let in_doubt = told.pushes.len() > 1 && room.end > 0;
                        let mut blame = self.blame(calls, room, in_doubt);
                        if pops[place].unknown && blame.in_the_way.is_empty() {
                            // One that begins earlier may find more room.
                            blame.before = room.first;
                            blame.in_the_way = vec![(number, pops[place].call)];
                        }
                        return Err(blame);
                    }
                    None => None,
                },
            };
            if let Some((push, pop, gap)) = met {
                queue.pushes.done(push);
                queue.pops.done(pop);
                self.take(number, gap, told.pushes[push], pops[pop], &mut covers);
            }
        }
        for place in queue.left {
            let could = optional.map_or(usize::MAX, |pop| pop.room.first);
            self.stays(number, told.pushes[place], could, &mut covers);
        }
        if let Some(vanish) = self.vanish.filter(|_| told.pushes.len() > required) {
            for cover in &mut covers {
                cover.end = cover.end.min(vanish.max(cover.first));
            }
        }
        for cover in &mut covers {
            cover.in_doubt = told.pushes.len() > 1;
        }
        Ok(covers)
    }

    /// A pop takes what a push put in.
    fn take(
        &mut self,
        number: i64,
        gap: usize,
        push: Action,
        pop: Action,
        covers: &mut Vec<Cover>,
    ) {
        let turn = self.placed.len();
        let is_over = push.room.end <= gap;
        let pushes = match is_over {
            true => (
                push.room.end.saturating_sub(1),
                Part::Pushes,
                number,
                2 * turn,
            ),
            false => (gap, Part::Pops, number, 2 * turn),
        };
        self.placed.extend(push.call.map(|call| (pushes, call)));
        let pops = (gap, Part::Pops, number, 2 * turn + 1);
        self.placed.extend(pop.call.map(|call| (pops, call)));
        if is_over {
            covers.push(Cover {
                number,
                stays: pop.unknown,
                first: push.room.end,
                delayed: pop.room.first.max(push.room.first),
                end: gap,
                push: push.call,
                pop: pop.call,
                in_doubt: false,
            });
        }
    }

    /// Nobody takes what a push put in, though from a gap on somebody could if none of that were
    /// covered.
    fn stays(&mut self, number: i64, push: Action, could: usize, covers: &mut Vec<Cover>) {
        let last = push.room.end.saturating_sub(1);
        let place = (last, Part::Pushes, 0, usize::MAX);
        self.placed.extend(push.call.map(|call| (place, call)));
        if self.conditions.never_popped {
            covers.push(Cover {
                number,
                stays: true,
                first: push.room.end,
                delayed: could.min(self.gaps.len()),
                end: self.gaps.len(),
                push: push.call,
                pop: None,
                in_doubt: false,
            });
        }
    }

    /// These calls, and those because of which these gaps are covered.
    fn blame(&self, mut calls: Vec<usize>, room: Room, mut in_doubt: bool) -> Blame {
        let mut asked = vec![(room.first, room.end)];
        let mut stay: Vec<(usize, i64, Option<usize>)> = Vec::new();
        let mut known = FxHashSet::default();
        while let Some((mut gap, end)) = asked.pop() {
            while gap < end {
                let by = self.covered.by(gap);
                let Some(cover) = self.covers.get(by as usize) else {
                    gap += 1;
                    continue;
                };
                if known.insert(by) {
                    calls.extend(cover.push.into_iter().chain(cover.pop));
                    in_doubt |= cover.in_doubt;
                    if cover.stays && cover.first < room.end {
                        stay.push((cover.first, cover.number, cover.pop));
                    }
                    if self.conditions.delays {
                        asked.push((cover.delayed.max(cover.first), cover.end));
                    }
                }
                gap = cover.end;
            }
        }
        calls.sort_unstable();
        calls.dedup();
        stay.sort_unstable();
        let certain = stay.partition_point(|(first, ..)| *first <= room.first);
        stay.truncate(certain.max(1));
        Blame {
            calls,
            in_doubt,
            room,
            before: room.end,
            in_the_way: stay
                .into_iter()
                .map(|(_, number, pop)| (number, pop))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;

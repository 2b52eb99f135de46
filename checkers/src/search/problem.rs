//! One part of a history as the engines see it: classes, calls, and the order of their ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Deref;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::facts::Facts;
use super::{Condition, Reductions};
use crate::Model;
use crate::moves;

/// No slot: the call is open.
const NO_SLOT: u32 = u32::MAX;

/// How many states a problem may start from.
const STARTS_MAX: usize = 4096;

/// How far back a call is looked for after which the state is known, in moments.
const PINNED_MOMENTS_MAX: usize = 512;

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    /// What it does: calls of one class are interchangeable but for their times.
    pub class: u32,
    /// Which operation it is, by its place in the caller's list.
    pub source: u32,
    /// Whether it never returns (its outcome is unknown).
    pub open: bool,
}

/// A call begins or returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub call: u32,
    pub returns: bool,
}

/// What to decide.
#[derive(Debug)]
pub(crate) struct Problem<'m, M: Model> {
    pub model: &'m M,
    /// The state at the start of the history.
    pub initial: M::State,
    /// The states that may be there at the start of this problem: more than one when what came
    /// before is left out.
    pub starts: Vec<M::State>,
    pub classes: Arc<[M::Op]>,
    pub timeline: Timeline,
    /// The source of a call that is never weakened: what comes before it is left out because of
    /// the state that it leaves.
    pub pinned: Option<u32>,
}

/// The calls of a problem and their order: all that the engines know of it, besides the steps.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// For each class, whether it only observes.
    pub observers: Arc<[bool]>,
    pub calls: Vec<Call>,
    /// In order of time; open calls have no return.
    pub moments: Vec<Moment>,
    /// For each call where in `moments` it returns; past the end when it is open.
    pub returns: Vec<u32>,
    /// For each call the slot it holds while under way.
    pub slots: Vec<u32>,
    /// How many slots it takes.
    pub width: usize,
    /// What calls find and leave, where the model can say.
    pub facts: Option<Arc<Facts>>,
}

impl<M: Model> Deref for Problem<'_, M> {
    type Target = Timeline;

    fn deref(&self) -> &Timeline {
        &self.timeline
    }
}

impl<'m, M: Model> Problem<'m, M> {
    pub(crate) fn new(
        model: &'m M,
        initial: M::State,
        classes: Arc<[M::Op]>,
        calls: Vec<Call>,
        moments: Vec<Moment>,
        drop_unobserved: bool,
    ) -> Self {
        let observers = classes.iter().map(|op| model.is_observer(op)).collect();
        let facts = Facts::of(model, &classes).map(Arc::new);
        let starts = vec![initial.clone()];
        let whole = Problem {
            model,
            initial,
            starts,
            classes,
            timeline: Timeline {
                observers,
                calls,
                moments,
                returns: Vec::new(),
                slots: Vec::new(),
                width: 0,
                facts,
            },
            pinned: None,
        };
        whole.finished(drop_unobserved)
    }

    /// The same calls, with any of these states at the start.
    pub(crate) fn starting_from(self, starts: Vec<M::State>) -> Self {
        Problem { starts, ..self }.finished(true)
    }

    fn finished(mut self, drop_unobserved: bool) -> Self {
        if drop_unobserved {
            self.drop_unobserved();
        }
        self.timeline.assign_slots();
        self
    }

    /// The same with only the moments before `end`, and of the calls that return by then only
    /// those in `bounded` (by their number), and the one that is pinned, still returning: all others
    /// are open.
    ///
    /// This only ever gives calls more freedom: if the result is not linearizable, neither is this
    /// (`checker.md` R7).
    pub(crate) fn weakened(&self, end: usize, bounded: impl Fn(u32) -> bool) -> Self {
        let mut numbers = vec![u32::MAX; self.calls.len()];
        let mut calls = Vec::new();
        let mut moments = Vec::new();
        for moment in &self.moments[..end.min(self.moments.len())] {
            let call = moment.call as usize;
            if !moment.returns {
                let bound = (bounded(moment.call) || self.is_pinned(moment.call))
                    && (self.returns[call] as usize) < end;
                numbers[call] = calls.len() as u32;
                calls.push(Call {
                    open: self.calls[call].open || !bound,
                    ..self.calls[call]
                });
                moments.push(Moment {
                    call: numbers[call],
                    returns: false,
                });
            } else if let Some(renumbered) = calls.get(numbers[call] as usize)
                && !renumbered.open
            {
                moments.push(Moment {
                    call: numbers[call],
                    returns: true,
                });
            }
        }
        self.with(self.starts.clone(), self.pinned, calls, moments)
    }

    /// The same without what returned before the moment `cut`, starting from any state that may
    /// have been left by then. Updates under way there may or may not have happened: they become
    /// open, and observers go.
    ///
    /// If the result is not linearizable, neither is this: what is left of an order for this is an
    /// order for it, from one of the states it starts with. `None` when the model cannot name the
    /// states, or they are too many, and nothing shortly before leaves a state that is known.
    pub(crate) fn without_before(&self, cut: usize) -> Option<Self> {
        self.beginning_anywhere(cut)
            .or_else(|| self.beginning_pinned(cut, &Reductions::ALL))
    }

    /// Whether this call is never weakened.
    pub(crate) fn is_pinned(&self, call: u32) -> bool {
        self.pinned == Some(self.calls[call as usize].source)
    }

    fn beginning_anywhere(&self, cut: usize) -> Option<Self> {
        let mut begun = vec![false; self.calls.len()];
        let mut left = vec![false; self.classes.len()];
        for moment in self.moments[..cut].iter().filter(|moment| !moment.returns) {
            begun[moment.call as usize] = true;
            left[self.calls[moment.call as usize].class as usize] = true;
        }
        let updates: Vec<&M::Op> = self
            .classes
            .iter()
            .zip(&left)
            .filter_map(|(op, &left)| left.then_some(op))
            .collect();
        let rest: Vec<&M::Op> = self
            .calls
            .iter()
            .zip(self.returns.iter().zip(&begun))
            // Observers under way become open, and go.
            .filter(|(call, (returns, begun))| {
                let observes = self.observers[call.class as usize];
                **returns as usize >= cut && !(observes && **begun)
            })
            .map(|(call, _)| &self.classes[call.class as usize])
            .collect();
        let mut starts = self.starts.clone();
        let mut known: FxHashSet<M::State> = starts.iter().cloned().collect();
        for state in self.model.states_after(&updates, &rest)? {
            if known.insert(state.clone()) {
                starts.push(state);
            }
        }
        if starts.len() > STARTS_MAX {
            return None;
        }
        let mut numbers = vec![u32::MAX; self.calls.len()];
        let mut calls = Vec::new();
        let mut moments = Vec::new();
        for (position, moment) in self.moments.iter().enumerate() {
            let call = moment.call as usize;
            let is_over = (self.returns[call] as usize) < cut;
            if !moment.returns && !is_over {
                let open = self.calls[call].open || position < cut;
                numbers[call] = calls.len() as u32;
                calls.push(Call {
                    open,
                    ..self.calls[call]
                });
                moments.push(Moment {
                    call: numbers[call],
                    returns: false,
                });
            } else if moment.returns && !begun[call] {
                moments.push(Moment {
                    call: numbers[call],
                    returns: true,
                });
            }
        }
        Some(self.with(starts, None, calls, moments))
    }

    /// The same without what returned before some call that itself returned before the moment
    /// `cut`, and after which there is one state only. Updates under way beside it may have happened
    /// before it, and are then part of that state: they become open, and observers go.
    ///
    /// What comes after that call in an order for this is an order for the rest, from that state;
    /// and so is all that comes after it in an order from anywhere. So it stays as the first, in a
    /// state in which it leaves that one: if the result is not linearizable, neither is this.
    pub(super) fn beginning_pinned(&self, cut: usize, reductions: &Reductions) -> Option<Self> {
        let drops = |condition| reductions.drops(condition);
        let mut among: Vec<&M::Op> = self.classes.iter().collect();
        if drops(Condition::PinnedLeavesOne) {
            among.clear();
        }
        let nearest = (0..cut).rev().take(PINNED_MOMENTS_MAX);
        let (call, start) = nearest
            .filter(|&at| self.moments[at].returns)
            .find_map(|at| {
                let call = self.moments[at].call;
                let op = &self.classes[self.calls[call as usize].class as usize];
                let left = self.model.leaves(op, &among)?;
                let fits = |start: &M::State| {
                    self.model.step(start, op).as_ref() == Some(&left)
                        || drops(Condition::PinnedFits)
                };
                let mut starts = [left.clone(), self.initial.clone()].into_iter();
                Some((call, starts.find(fits)?))
            })?;
        let returned = self.returns[call as usize] as usize;
        let begins = self.moments.iter().position(|moment| moment.call == call)?;
        let mut numbers = vec![u32::MAX; self.calls.len()];
        let mut calls = Vec::new();
        let mut moments = Vec::new();
        for (position, moment) in self.moments.iter().enumerate() {
            let of = moment.call as usize;
            let stays = moment.call == call && !drops(Condition::PinnedReturns);
            let beside = position < returned && !stays;
            let goes = beside && drops(Condition::BesideStays);
            if !moment.returns && self.returns[of] as usize >= begins && !goes {
                numbers[of] = calls.len() as u32;
                calls.push(Call {
                    open: self.calls[of].open || beside && !drops(Condition::BesideOpen),
                    ..self.calls[of]
                });
                moments.push(Moment {
                    call: numbers[of],
                    returns: false,
                });
            } else if let Some(renumbered) = calls.get(numbers[of] as usize)
                && moment.returns
                && !renumbered.open
            {
                moments.push(Moment {
                    call: numbers[of],
                    returns: true,
                });
            }
        }
        let pinned = Some(self.calls[call as usize].source);
        Some(self.with(vec![start], pinned, calls, moments))
    }

    /// Other calls and moments of the same history.
    fn with(
        &self,
        starts: Vec<M::State>,
        pinned: Option<u32>,
        calls: Vec<Call>,
        moments: Vec<Moment>,
    ) -> Self {
        let other = Problem {
            model: self.model,
            initial: self.initial.clone(),
            starts,
            classes: Arc::clone(&self.classes),
            timeline: Timeline {
                observers: Arc::clone(&self.observers),
                calls,
                moments,
                returns: Vec::new(),
                slots: Vec::new(),
                width: 0,
                facts: self.facts.clone(),
            },
            pinned,
        };
        other.finished(true)
    }

    /// R4: leaves out open calls that nobody could tell of.
    fn drop_unobserved(&mut self) {
        let mut completed = vec![false; self.classes.len()];
        let mut open = vec![false; self.classes.len()];
        for call in &self.calls {
            match call.open {
                true => open[call.class as usize] = !self.observers[call.class as usize],
                false => completed[call.class as usize] = true,
            }
        }
        if !self.calls.iter().any(|call| call.open) {
            return;
        }
        let of = |wanted: &[bool]| -> Vec<&M::Op> {
            self.classes
                .iter()
                .zip(wanted)
                .filter_map(|(op, &is)| is.then_some(op))
                .collect()
        };
        let dead = self
            .model
            .unobserved(&self.starts, &of(&completed), &of(&open));
        let mut dead = dead.into_iter();
        // Open observers, which were never in `open` above, go too.
        let stays: Vec<bool> = open
            .iter()
            .map(|&is_open| is_open && !dead.next().unwrap_or(false))
            .collect();
        let mut keep: Vec<bool> = self
            .calls
            .iter()
            .map(|call| !call.open || stays[call.class as usize])
            .collect();
        moves::drop_surplus(self, &mut keep, moves::Conditions::ALL);
        self.drop_late(&mut keep, &Reductions::ALL);
        let timeline = &mut self.timeline;
        let mut numbers = vec![u32::MAX; timeline.calls.len()];
        let mut kept = Vec::new();
        for (number, call) in timeline.calls.iter().enumerate() {
            if keep[number] {
                numbers[number] = kept.len() as u32;
                kept.push(*call);
            }
        }
        timeline.moments.retain_mut(|moment| {
            let keeps = keep[moment.call as usize];
            moment.call = numbers[moment.call as usize];
            keeps
        });
        timeline.calls = kept;
    }
}

impl Timeline {
    /// R4: marks open calls after whose beginning nothing returns as not to be kept.
    pub(super) fn drop_late(&self, keep: &mut [bool], reductions: &Reductions) {
        let is_late = |returns: bool| !returns || reductions.drops(Condition::NothingReturns);
        let moments = self.moments.iter().rev();
        for moment in moments.take_while(|moment| is_late(moment.returns)) {
            keep[moment.call as usize] &= !self.calls[moment.call as usize].open;
        }
    }

    /// Whether a violation noticed at this moment may have been noticed by what comes later.
    pub(crate) fn may_be_early(&self, event: usize) -> bool {
        self.facts.is_some() && event + 1 >= self.moments.len()
    }

    /// Gives every call that returns the lowest slot free when it begins.
    fn assign_slots(&mut self) {
        self.width = 0;
        self.returns = vec![self.moments.len() as u32; self.calls.len()];
        self.slots = vec![NO_SLOT; self.calls.len()];
        let mut free: BinaryHeap<Reverse<u32>> = BinaryHeap::new();
        for (position, moment) in self.moments.iter().enumerate() {
            let call = moment.call as usize;
            if moment.returns {
                self.returns[call] = position as u32;
                free.push(Reverse(self.slots[call]));
            } else if !self.calls[call].open {
                self.slots[call] = free.pop().map_or(self.width as u32, |Reverse(slot)| slot);
                self.width = self.width.max(self.slots[call] as usize + 1);
            }
        }
    }
}

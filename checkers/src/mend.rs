//! Orders that are nearly right, made right.
//!
//! A view that [allows more](crate::RegisterView::allows_more) than the history gives an order in which some
//! operation cannot happen where it stands. The reason mostly lies near: so the operations around it are
//! put in another order, by the depth-first search of the model itself, up to one after which there is
//! only one state ([`Model::leaves`]); what follows is then as good as before. Operations of unknown outcome
//! that the order left out may come in. What the view says each operation finds and leaves keeps the search from
//! states that lead nowhere (`checker.md` R6).
//!
//! Nothing is believed of what comes out: whoever asks takes the steps of it ([`crate::monitors::replay`]).
//! Where nothing comes out nothing is known.

use std::collections::VecDeque;

use histories::{Operation, Value};

use crate::limits::Budget;
use crate::monitors::{self, Replayed};
use crate::normalise::Part;
use crate::oracle::Interval;
use crate::registers::{self, RegisterHistory};
use crate::{Access, Model, ModelError, Touches, search};

/// How many operations are put in another order: before the one that cannot happen, and from it on
/// at least; and how many of unknown outcome that have no place may come in. The second way is tried where the
/// first finds none, and so on.
const WAYS: [(usize, usize, usize); 6] = [
    (8, 4, 0),
    (16, 8, 2),
    (32, 16, 0),
    (32, 16, 4),
    (64, 32, 8),
    (BACK_MAX, 64, 16),
];
const BACK_MAX: usize = 128;
/// How far after that an operation is looked for after which there is only one state.
const LEAVES_WITHIN: usize = 64;
/// What each search may do.
const NODES_MAX: u64 = 20_000;

/// Whether the history has an order, says one of the view that it has in registers, once it is mended;
/// `false` where that is not known.
pub(crate) fn has_order<M: Model>(
    model: &M,
    initial: &M::State,
    history: &[Interval<M::Op>],
    registers: &RegisterHistory,
    budget: &Budget,
) -> bool {
    mend(model, initial, history, registers, budget).is_some_and(|order| {
        let order: Vec<usize> = order.into_iter().map(|call| call as usize).collect();
        monitors::replay(model, initial, history, &order) == Replayed::Explains
    })
}

/// An order of the history in which every operation can happen, made of one of the view that it has
/// in registers.
pub(crate) fn mend<M: Model>(
    model: &M,
    initial: &M::State,
    history: &[Interval<M::Op>],
    registers: &RegisterHistory,
    budget: &Budget,
) -> Option<Vec<u32>> {
    let order = registers::order(registers, budget)?;
    let mut mender = Mender {
        seen: Seen(model),
        history,
        registers,
        order: &order,
        first_ends: first_ends(history, &order),
        spare: spare(model, history, &order),
        mended: Vec::with_capacity(order.len()),
        states: VecDeque::from([initial.clone()]),
    };
    let mut next = 0;
    while let Some(&call) = order.get(next) {
        next = match mender.push(call) {
            true => next + 1,
            false => {
                budget.check().ok()?;
                WAYS.into_iter()
                    .find_map(|way| mender.rearrange(next, way, budget))?
            }
        };
    }
    Some(mender.mended)
}

struct Mender<'a, M: Model> {
    seen: Seen<'a, M>,
    history: &'a [Interval<M::Op>],
    registers: &'a RegisterHistory,
    order: &'a [u32],
    /// For each place in the order the first end among the operations from there on.
    first_ends: Vec<u64>,
    /// Updates of unknown outcome that have no place, in order of beginning.
    spare: Vec<u32>,
    mended: Vec<u32>,
    /// The states before the last operations, and the one after all.
    states: VecDeque<M::State>,
}

impl<M: Model> Mender<'_, M> {
    /// The operation happens next, if it can.
    fn push(&mut self, call: u32) -> bool {
        let state = self.states.back();
        let op = &self.history[call as usize].op;
        let Some(next) = state.and_then(|state| self.seen.0.step(state, op)) else {
            return false;
        };
        self.mended.push(call);
        self.states.push_back(next);
        if self.states.len() > BACK_MAX + 1 {
            self.states.pop_front();
        }
        true
    }

    /// Puts the operations around the one at this place in another order. The place from which on
    /// the order is as before.
    fn rearrange(
        &mut self,
        at: usize,
        way: (usize, usize, usize),
        budget: &Budget,
    ) -> Option<usize> {
        let (before, after, spare_max) = way;
        let back = before.min(self.states.len() - 1);
        let start = self.states[self.states.len() - 1 - back].clone();
        let (end, last) = self.end(at + after)?;
        let kept = self.mended.len() - back;
        let mut calls = self.mended[kept..].to_vec();
        calls.extend(&self.order[at..end]);
        let had = calls.clone();
        let first_end = self.first_ends[end];
        let spare = self.spare.iter().rev().copied();
        let may_come = |call: &u32| self.history[*call as usize].begins < first_end;
        calls.extend(spare.filter(may_come).take(spare_max));
        calls.sort_unstable_by_key(|&call| self.history[call as usize].begins);

        let found = self.search(&calls, last, start, budget)?;
        self.mended.truncate(kept);
        self.states.truncate(self.states.len() - back);
        for &call in &found {
            if !self.push(call) {
                return None;
            }
        }
        let is_open = |call: u32| self.history[call as usize].ends.is_none();
        self.spare.retain(|call| !found.contains(call));
        let gone = had.iter().copied().filter(|call| is_open(*call));
        self.spare.extend(gone.filter(|call| !found.contains(call)));
        self.spare
            .sort_unstable_by_key(|&call| self.history[call as usize].begins);
        Some(end)
    }

    /// The end of what is put in another order, and the operation that has to be its last: from this
    /// place on the first after which there is only one state, or else the end of all.
    fn end(&self, from: usize) -> Option<(usize, Option<u32>)> {
        let leaves_one = |call: &u32| {
            let op = &self.history[*call as usize].op;
            self.seen.0.leaves(op, &[]).is_some()
        };
        let rest = self.order.get(from..).unwrap_or_default();
        let near = &rest[..rest.len().min(LEAVES_WITHIN)];
        match near.iter().position(leaves_one) {
            Some(place) => Some((from + place + 1, Some(rest[place]))),
            None if near.len() == rest.len() => Some((self.order.len(), None)),
            None => None,
        }
    }

    fn search(
        &self,
        calls: &[u32],
        last: Option<u32>,
        start: M::State,
        budget: &Budget,
    ) -> Option<Vec<u32>> {
        let seen = |call: u32| {
            let interval = &self.history[call as usize];
            Interval {
                op: (
                    interval.op.clone(),
                    self.registers.calls[call as usize].access,
                ),
                begins: interval.begins,
                ends: interval.ends,
            }
        };
        let mut intervals: Vec<Interval<(M::Op, Access<u32>)>> =
            calls.iter().map(|&call| seen(call)).collect();
        let mut calls = calls.to_vec();
        if let Some(last) = last {
            // It begins when all others are over.
            let at = calls.iter().position(|&call| call == last)?;
            calls.remove(at);
            let Interval { op, .. } = intervals.remove(at);
            let ends = intervals.iter().filter_map(|interval| interval.ends);
            let begins = intervals.iter().map(|interval| interval.begins);
            let over = ends.chain(begins).max().map_or(0, |time| time + 1);
            calls.push(last);
            intervals.push(Interval {
                op,
                begins: over,
                ends: Some(over + 1),
            });
        }
        let part = Part::of_intervals(None, &intervals);
        let problem = part.problem(&self.seen, false).starting_from(vec![start]);
        let found = search::order(&problem, &budget.with_nodes(NODES_MAX.min(budget.nodes)));
        let order = found.ok()??;
        let source = |call: u32| calls[problem.calls[call as usize].source as usize];
        Some(order.into_iter().map(source).collect())
    }
}

fn first_ends<Op>(history: &[Interval<Op>], order: &[u32]) -> Vec<u64> {
    let mut first = u64::MAX;
    let mut ends = vec![first];
    for &call in order.iter().rev() {
        first = first.min(history[call as usize].ends.unwrap_or(u64::MAX));
        ends.push(first);
    }
    ends.reverse();
    ends
}

fn spare<M: Model>(model: &M, history: &[Interval<M::Op>], order: &[u32]) -> Vec<u32> {
    let mut has_place = vec![false; history.len()];
    for &call in order {
        has_place[call as usize] = true;
    }
    let all = (0_u32..).zip(history.iter().zip(has_place));
    let mut spare: Vec<u32> = all
        .filter(|(_, (interval, has_place))| interval.ends.is_none() && !has_place)
        .filter(|(_, (interval, _))| !model.is_observer(&interval.op))
        .map(|(call, _)| call)
        .collect();
    spare.sort_unstable_by_key(|&call| history[call as usize].begins);
    spare
}

/// The model, where it is known of each operation what it does to a register.
struct Seen<'a, M>(&'a M);

impl<M: Model> Model for Seen<'_, M> {
    type State = M::State;
    type Op = (M::Op, Access<u32>);

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn parse(&self, _operation: &Operation) -> Result<Option<Self::Op>, ModelError> {
        Ok(None)
    }

    fn part(&self, _operation: &Operation, _op: &Self::Op) -> Option<Value> {
        None
    }

    fn initial(&self, part: Option<&Value>) -> M::State {
        self.0.initial(part)
    }

    fn step(&self, state: &M::State, (op, _): &Self::Op) -> Option<M::State> {
        self.0.step(state, op)
    }

    fn is_observer(&self, (op, _): &Self::Op) -> bool {
        self.0.is_observer(op)
    }

    fn touches(&self, (_, access): &Self::Op) -> Option<Touches> {
        let (finds, leaves) = match *access {
            Access::Read(value) => (Some(value), None),
            Access::Write(value) => (None, Some(value)),
            Access::Cas(old, new) => (Some(old), Some(new)),
            Access::Not(_) => (None, None),
        };
        let at_place = |value: Option<u32>| {
            let value = value.map(|value| (Value::Nil, Value::Int(value.into())));
            value.into_iter().collect()
        };
        Some(Touches {
            finds: at_place(finds),
            leaves: at_place(leaves),
        })
    }

    fn state_bytes(&self, state: &M::State) -> usize {
        self.0.state_bytes(state)
    }
}

#[cfg(test)]
mod tests;

//! What goes into containers and comes out of them (queues, stacks), in whatever order
//! (`checker.md` section 2, R4, and section 4).
//!
//! What was put in is taken out once at most. Two things follow, however a container chooses what it
//! gives away:
//!
//! - No value can have been taken more often than it had been put in by then, what was there at the
//!   start included: [`overdrawn`].
//! - Of the operations of unknown outcome that take whatever there is, no more can have found something
//!   than there is left of all that may have been put in when all that was certainly taken is gone: [`drop_surplus`]
//!   leaves out the rest. Those that find nothing do nothing, and need not be in an order. Those
//!   that do may be taken to be the ones that began first: in any order, let the first of them that
//!   began stand where the first did that found something, and so on; each began no later than the one
//!   it stands in for, does the same, and never returns.

use histories::Value;
use rustc_hash::FxHashMap;

use crate::normalise::Part;
use crate::search::Problem;
use crate::{Model, Moves};

/// What is looked at; all of it but in tests that show that each is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// What is there at the start can be taken.
    pub start: bool,
    /// So can what was put in by an operation of unknown outcome.
    pub open_puts: bool,
    /// An operation of unknown outcome need not have taken anything.
    pub open_takes: bool,
    /// What is taken may be put in while the take is under way.
    pub until_end: bool,
    /// Those that are left out began last.
    pub latest: bool,
    /// As many stay as can have found something, and not one fewer.
    pub as_many: bool,
}

impl Conditions {
    pub(crate) const ALL: Conditions = Conditions {
        start: true,
        open_puts: true,
        open_takes: true,
        until_end: true,
        latest: true,
        as_many: true,
    };
}

/// Completed takes of one value, as members of the part: more than it had been put in when the last of
/// them returned, so that they contradict each other whatever else happened. One pass.
pub(crate) fn overdrawn<M: Model>(
    model: &M,
    part: &Part<M::Op>,
    conditions: Conditions,
) -> Option<Vec<u32>> {
    let held = model.contents(&model.initial(part.key.as_ref()))?;
    let mut left: FxHashMap<Value, usize> = FxHashMap::default();
    for value in held.into_iter().filter(|_| conditions.start) {
        *left.entry(value).or_default() += 1;
    }
    for (position, moment) in part.moments.iter().enumerate() {
        let member = &part.members[(moment >> 1) as usize];
        let returns = moment & 1 == 1;
        let counts = match conditions.until_end {
            true => returns,
            false => !returns,
        };
        match model.moves(&member.op) {
            Some(Moves::Puts(value)) if !returns && (!member.open || conditions.open_puts) => {
                *left.entry(value).or_default() += 1;
            }
            Some(Moves::Takes(value))
                if counts && !member.open || !returns && member.open && !conditions.open_takes =>
            {
                let left = left.entry(value).or_default();
                match left.checked_sub(1) {
                    Some(fewer) => *left = fewer,
                    None => return Some(returned(part, position, &member.op)),
                }
            }
            _ => {}
        }
    }
    None
}

/// The members with this operation that have returned up to the moment.
fn returned<Op: Eq>(part: &Part<Op>, position: usize, op: &Op) -> Vec<u32> {
    let moments = &part.moments[..=position];
    let returned = moments.iter().filter(|moment| *moment & 1 == 1);
    let members = returned.map(|moment| moment >> 1);
    members
        .filter(|&member| part.members[member as usize].op == *op)
        .collect()
}

/// Marks open calls that take whatever there is as not to be kept, where they are more than can have
/// found something.
pub(crate) fn drop_surplus<M: Model>(
    problem: &Problem<'_, M>,
    keep: &mut [bool],
    conditions: Conditions,
) {
    let model = problem.model;
    let held = problem.starts.iter().map(|start| model.contents(start));
    let Some(held) = held.collect::<Option<Vec<_>>>() else {
        return;
    };
    let moves: Vec<Option<Moves>> = problem.classes.iter().map(|op| model.moves(op)).collect();
    let of = |class: u32| moves[class as usize].as_ref();
    let most = held.iter().map(Vec::len).max().unwrap_or(0);
    let (mut put, mut taken) = (if conditions.start { most } else { 0 }, 0);
    for (call, _) in problem.calls.iter().zip(&*keep).filter(|(_, keep)| **keep) {
        match of(call.class) {
            Some(Moves::Puts(_)) if !call.open || conditions.open_puts => put += 1,
            Some(Moves::Takes(_)) if !call.open || !conditions.open_takes => taken += 1,
            _ => {}
        }
    }
    let spare = usize::from(!conditions.as_many);
    let most = usize::saturating_sub(put, taken).saturating_sub(spare);
    let mut left: FxHashMap<u32, usize> = FxHashMap::default();
    let mut drop_beyond = |number: u32| {
        let call = problem.calls[number as usize];
        if call.open && keep[number as usize] && of(call.class) == Some(&Moves::TakesAny) {
            let left = left.entry(call.class).or_insert(most);
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => keep[number as usize] = false,
            }
        }
    };
    let begun = problem.moments.iter().filter(|moment| !moment.returns);
    let begun = begun.map(|moment| moment.call);
    match conditions.latest {
        true => begun.for_each(&mut drop_beyond),
        false => begun.rev().for_each(&mut drop_beyond),
    }
}

#[cfg(test)]
mod tests;

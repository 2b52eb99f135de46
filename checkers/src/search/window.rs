//! Which calls are under way at a position in the history, moved forward and backward.

use super::Problem;
use super::mask::Mask;
use super::transitions::{StateId, Transitions};
use crate::Model;

/// A call under way that will return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pending {
    pub class: u32,
    /// Where it returns.
    pub deadline: u32,
    pub slot: u32,
}

/// Open calls of one class begun so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    pub class: u32,
    pub count: u32,
}

/// A cursor in the moments of a problem.
#[derive(Debug)]
pub(crate) struct Window<'p, 'm, M: Model> {
    problem: &'p Problem<'m, M>,
    /// How many moments have passed.
    pub position: usize,
    /// Updates under way, by class, then deadline.
    pub updates: Vec<Pending>,
    /// Observers under way.
    pub observers: Vec<Pending>,
    /// Open calls, by class in order of first appearance; counts may be zero after going back.
    pub open: Vec<Open>,
    /// For each class its place in `open`.
    places: Vec<u32>,
}

impl<'p, 'm, M: Model> Window<'p, 'm, M> {
    pub(crate) fn new(problem: &'p Problem<'m, M>) -> Self {
        Window {
            problem,
            position: 0,
            updates: Vec::new(),
            observers: Vec::new(),
            open: Vec::new(),
            places: vec![u32::MAX; problem.classes.len()],
        }
    }

    /// Moves to where exactly `position` moments have passed.
    pub(crate) fn seek(&mut self, position: usize) {
        while self.position < position.min(self.problem.moments.len()) {
            let moment = self.problem.moments[self.position];
            self.apply(moment.call, !moment.returns);
            self.position += 1;
        }
        while self.position > position {
            self.position -= 1;
            let moment = self.problem.moments[self.position];
            self.apply(moment.call, moment.returns);
        }
    }

    /// A call comes under way (`enters`) or is so no more.
    fn apply(&mut self, call: u32, enters: bool) {
        let class = self.problem.calls[call as usize].class;
        if self.problem.calls[call as usize].open {
            self.count_open(class, enters);
            return;
        }
        let pending = Pending {
            class,
            deadline: self.problem.returns[call as usize],
            slot: self.problem.slots[call as usize],
        };
        let list = match self.problem.observers[class as usize] {
            true => &mut self.observers,
            false => &mut self.updates,
        };
        match (list.binary_search(&pending), enters) {
            (Err(at), true) => list.insert(at, pending),
            (Ok(at), false) => {
                list.remove(at);
            }
            (Ok(_), true) | (Err(_), false) => {}
        }
    }

    fn count_open(&mut self, class: u32, enters: bool) {
        let place = &mut self.places[class as usize];
        if *place == u32::MAX {
            *place = self.open.len() as u32;
            self.open.push(Open { class, count: 0 });
        }
        let count = &mut self.open[*place as usize].count;
        *count = if enters {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
    }

    /// R1: places every observer under way that is legal in the state.
    pub(crate) fn absorb<K: Mask>(
        &self,
        transitions: &mut Transitions<'_, M>,
        state: StateId,
        observers: &mut K,
    ) {
        for pending in &self.observers {
            if !observers.has(pending.slot) && transitions.step(state, pending.class).is_some() {
                observers.add(pending.slot);
            }
        }
    }
}

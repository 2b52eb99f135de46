//! Sequential consistency of any object: a search for an order by the steps of its model.

use rustc_hash::FxHashSet;

use super::super::{Answer, Cause};
use super::{grouped, out_of_time};
use crate::Model;
use crate::limits::Budget;

/// How many steps are taken at most.
const STEPS_MAX: u64 = 100_000;
/// What is remembered of them may take so much memory, in bytes.
const REMEMBERED_BYTES_MAX: usize = 128 << 20;
/// How many steps pass between two looks at the clock.
const STEPS_PER_LOOK: u64 = 64;

/// One operation.
#[derive(Debug, Clone)]
pub(in crate::weaker) struct Call<'a, Op> {
    pub op: &'a Op,
    /// When it ended; `None` when its outcome is unknown.
    pub ends: Option<u32>,
}

/// How far each process is, and the state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node<S> {
    places: Box<[u32]>,
    state: S,
}

/// Where the search stands, and what can follow, the most promising last.
struct Frame<S> {
    node: Node<S>,
    moves: Vec<(usize, S)>,
}

struct Search<'a, M: Model> {
    model: &'a M,
    /// The operations of each process, in their order.
    processes: &'a [Vec<Call<'a, M::Op>>],
}

/// Whether some order explains all operations in which each process' are in their order.
pub(in crate::weaker) fn check<M: Model>(
    model: &M,
    initial: M::State,
    processes: &[Vec<Call<'_, M::Op>>],
    budget: &Budget,
) -> Answer {
    let search = Search { model, processes };
    let mut node = Node {
        places: vec![0; processes.len()].into(),
        state: initial,
    };
    search.observe(&mut node);
    let mut bytes_left = REMEMBERED_BYTES_MAX;
    let mut seen = FxHashSet::from_iter([node.clone()]);
    let mut stack = vec![search.frame(node)];
    let mut steps = 0;
    while let Some(frame) = stack.last_mut() {
        if search.is_done(&frame.node) {
            return Answer::Holds;
        }
        let Some((process, state)) = frame.moves.pop() else {
            stack.pop();
            continue;
        };
        steps += 1;
        if steps > STEPS_MAX {
            return Answer::Undecided(format!("limit of {} steps reached", grouped(STEPS_MAX)));
        }
        if steps % STEPS_PER_LOOK == 0 && budget.check().is_err() {
            return out_of_time();
        }
        let mut node = Node {
            places: frame.node.places.clone(),
            state,
        };
        node.places[process] += 1;
        search.observe(&mut node);
        if seen.contains(&node) {
            continue;
        }
        // Twice: in what was seen, and where the search stands.
        let bytes = 2 * (model.state_bytes(&node.state) + size_of_val(&*node.places));
        let Some(left) = bytes_left.checked_sub(bytes) else {
            return Answer::Undecided("limit of memory reached".to_owned());
        };
        bytes_left = left;
        seen.insert(node.clone());
        stack.push(search.frame(node));
    }
    Answer::Broken(Cause::Somewhere)
}

impl<M: Model> Search<'_, M> {
    /// Whether only operations of unknown outcome are left, which need not happen.
    fn is_done(&self, node: &Node<M::State>) -> bool {
        let mut processes = self.processes.iter().zip(&node.places);
        processes.all(|(calls, &place)| {
            let mut left = calls[place as usize..].iter();
            left.all(|call| call.ends.is_none())
        })
    }

    /// Makes every observation that can be made: it changes nothing, and waiting gains nothing.
    fn observe(&self, node: &mut Node<M::State>) {
        for (calls, place) in self.processes.iter().zip(&mut node.places) {
            while let Some(call) = calls.get(*place as usize)
                && self.model.is_observer(call.op)
                && (call.ends.is_none() || self.model.step(&node.state, call.op).is_some())
            {
                *place += 1;
            }
        }
    }

    /// What can follow, what ended first last; and least of all that something of unknown outcome
    /// happens, or never does.
    fn frame(&self, node: Node<M::State>) -> Frame<M::State> {
        let mut found = Vec::new();
        for (process, calls) in self.processes.iter().enumerate() {
            let Some(call) = calls.get(node.places[process] as usize) else {
                continue;
            };
            let ends = call.ends.unwrap_or(u32::MAX);
            let next = self.model.step(&node.state, call.op);
            found.extend(next.map(|state| ((false, ends), (process, state))));
            if call.ends.is_none() {
                found.push(((true, ends), (process, node.state.clone())));
            }
        }
        found.sort_by_key(|(urgency, _)| std::cmp::Reverse(*urgency));
        Frame {
            node,
            moves: found.into_iter().map(|(_, next)| next).collect(),
        }
    }
}

//! The obviously right way to decide: try every order.
//!
//! It shares no code with the engines, so that it can be believed where they are doubted: in
//! tests, and to confirm a counterexample before it is shown (Wing and Gong, "Testing and
//! verifying concurrent objects", 1993, with a memory of what was tried).

use rustc_hash::FxHashSet;

use crate::Model;

/// How many operations can be given at most.
pub const OPERATIONS_MAX: usize = 64;

/// An operation and its interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval<Op> {
    /// What it does.
    pub op: Op,
    /// When it begins. Only the order of times counts.
    pub begins: u64,
    /// When it ends, `None` when it may happen at any time from its beginning on, or never.
    pub ends: Option<u64>,
}

/// Whether some order of the operations, one after another, is legal for the model and keeps the
/// order of those that do not overlap.
///
/// `None` when there are more than [`OPERATIONS_MAX`] operations or more than `nodes_max` sets of
/// placed operations had to be looked at.
pub fn is_linearizable<M: Model>(
    model: &M,
    initial: &M::State,
    intervals: &[Interval<M::Op>],
    nodes_max: u64,
) -> Option<bool> {
    if intervals.len() > OPERATIONS_MAX {
        return None;
    }
    let mut seen = FxHashSet::default();
    let mut stack = vec![(0_u64, initial.clone())];
    while let Some((placed, state)) = stack.pop() {
        if first_end(intervals, placed).is_none() {
            return Some(true);
        }
        if seen.contains(&(placed, state.clone())) {
            continue;
        }
        if seen.len() as u64 >= nodes_max {
            return None;
        }
        for next in candidates(intervals, placed) {
            if let Some(state) = model.step(&state, &intervals[next].op) {
                stack.push((placed | 1 << next, state));
            }
        }
        seen.insert((placed, state));
    }
    Some(false)
}

/// The operations that can come next: no other one that is not placed ended before they begin.
pub(crate) fn candidates<Op>(
    intervals: &[Interval<Op>],
    placed: u64,
) -> impl Iterator<Item = usize> {
    let first_end = first_end(intervals, placed).unwrap_or(u64::MAX);
    (0..intervals.len()).filter(move |&i| placed >> i & 1 == 0 && intervals[i].begins <= first_end)
}

/// When the first operation that is not placed ends; `None` when none that ends is left.
fn first_end<Op>(intervals: &[Interval<Op>], placed: u64) -> Option<u64> {
    intervals
        .iter()
        .enumerate()
        .filter(|(i, _)| placed >> i & 1 == 0)
        .filter_map(|(_, interval)| interval.ends)
        .min()
}

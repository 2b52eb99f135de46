//! Whether an order that a monitor found explains the history: step by step, by the model alone.

use crate::Model;
use crate::oracle::Interval;

/// What taking the steps one after the other showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replayed {
    /// It explains the history.
    Explains,
    /// It does not.
    DoesNot,
    /// The states are too large to go through all of them.
    TooLarge,
}

/// How much of states may be copied, in bytes.
const COPIED_BYTES_MAX: usize = 1 << 30;

/// Takes the calls of the history in this order: each completed one once, one of unknown outcome at
/// most once, none before one that had ended when it began.
pub(crate) fn replay<M: Model>(
    model: &M,
    initial: &M::State,
    history: &[Interval<M::Op>],
    order: &[usize],
) -> Replayed {
    let mut placed = vec![false; history.len()];
    let (mut state, mut began, mut copied) = (initial.clone(), 0, 0_usize);
    for &call in order {
        let Some(interval) = history.get(call).filter(|_| !placed[call]) else {
            return Replayed::DoesNot;
        };
        placed[call] = true;
        // Later ones in the order begin before this one ends, if none has begun after its end.
        began = began.max(interval.begins);
        if interval.ends.is_some_and(|ends| ends < began) {
            return Replayed::DoesNot;
        }
        match model.step(&state, &interval.op) {
            Some(next) => state = next,
            None => return Replayed::DoesNot,
        }
        copied = copied.saturating_add(model.state_bytes(&state));
        if copied > COPIED_BYTES_MAX {
            return Replayed::TooLarge;
        }
    }
    let all = placed.iter().zip(history);
    let mut missing = all.filter(|(placed, interval)| !**placed && interval.ends.is_some());
    match missing.next() {
        Some(_) => Replayed::DoesNot,
        None => Replayed::Explains,
    }
}

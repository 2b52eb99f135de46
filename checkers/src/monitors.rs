//! Polynomial algorithms for models that are not registers: what [`Model::monitor`] calls.
//!
//! Each decides some histories of one model exactly and says `None` of the others; none ever
//! guesses. Their truth is the [`oracle`](crate::oracle): every condition of each can be switched
//! off by tests, and the comparison must then fail.
//!
//! [`Model::monitor`]: crate::Model::monitor

mod cores;
pub(crate) mod counter;
pub(crate) mod fifo_queue;
mod gaps;
pub(crate) mod mutex;
pub(crate) mod pairing;
pub(crate) mod priority_queue;
mod replay;
pub(crate) mod set;
pub(crate) mod stack;
pub(crate) mod sums;
mod takers;

pub(crate) use replay::{Replayed, replay};

#[cfg(test)]
pub(crate) mod compare;

/// The end of what never ends.
pub(crate) const NEVER: u64 = u64::MAX;

/// When an operation happens, at the earliest and at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// When it begins.
    pub begins: u64,
    /// When it ends, or [`NEVER`].
    pub ends: u64,
}

//! Histories of one register, in numbers: what the fast engines decide.
//!
//! Many systems are registers in disguise: a key of a store, a lock (free or held by somebody), an
//! element of a set, a list whose content shows what was appended before. A model says so with
//! [`Model::register_view`](crate::Model::register_view), and engines made for registers then
//! decide what a search of the model itself would take far longer for.

mod decide;
pub(crate) mod overwrite;
mod reveal;
mod stale;
mod unwritten;
mod weaken;
pub(crate) mod zones;

pub(crate) use decide::{
    Opinion, decide, decide_excerpt, has_open_cas, order, shortest_bad_prefix,
};

pub(crate) use reveal::{Step, view as revealed};
pub(crate) use stale::stale;
pub(crate) use weaken::Excerpt;

use crate::oracle::Interval;

/// What one operation does to a register that holds values of type `V`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access<V> {
    /// Finds this value.
    Read(V),
    /// Leaves this value, whatever was there.
    Write(V),
    /// Finds the first value and leaves the second.
    Cas(V, V),
    /// Finds another value than this one, and changes nothing.
    Not(V),
}

/// A part of a history as accesses to one register: equivalent to the part, access by access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterView {
    /// For each operation, in the order given, what it does. Values are numbered from 0, which is
    /// the value at the start.
    pub accesses: Vec<Access<u32>>,
    /// How many values there are; every number in `accesses` is below it.
    pub values: u32,
    /// Whether what an operation does was found out from what others observed later. Then the view
    /// is of the whole history only: a prefix of it, or the same history with operations made of
    /// unknown outcome, has another view, for which the model has to be asked anew. Otherwise it
    /// has the same view, cut off or made open likewise.
    pub looks_ahead: bool,
    /// Whether the view may have an order where the history has none: it leaves out what a register does
    /// not know of. (Where the history has an order, the view always has that one.) An order of the view is then
    /// tried on the model.
    pub allows_more: bool,
}

impl RegisterView {
    /// The view in which `access` says of each operation what it does, `start` being the value at
    /// the start; `None` when it says `None` of one.
    pub fn of<'a, Op: 'a, V: Eq + std::hash::Hash + 'a>(
        start: V,
        operations: impl IntoIterator<Item = &'a Op>,
        access: impl Fn(&'a Op) -> Option<Access<V>>,
    ) -> Option<Self> {
        let mut numbers = rustc_hash::FxHashMap::default();
        numbers.insert(start, 0);
        let mut number = |value: V| {
            let next = numbers.len() as u32;
            *numbers.entry(value).or_insert(next)
        };
        let mut accesses = Vec::new();
        for operation in operations {
            accesses.push(match access(operation)? {
                Access::Read(value) => Access::Read(number(value)),
                Access::Write(value) => Access::Write(number(value)),
                Access::Cas(old, new) => {
                    let old = number(old);
                    Access::Cas(old, number(new))
                }
                Access::Not(value) => Access::Not(number(value)),
            });
        }
        Some(RegisterView {
            accesses,
            values: numbers.len() as u32,
            looks_ahead: false,
            allows_more: false,
        })
    }
}

/// The `returns` of a call that never returns: its outcome is unknown.
pub(crate) const OPEN: u32 = u32::MAX;

/// One operation on the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RegisterCall {
    pub access: Access<u32>,
    /// Where in `moments` it begins.
    pub begins: u32,
    /// Where in `moments` it returns, or [`OPEN`].
    pub returns: u32,
}

/// A history of one register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegisterHistory {
    /// In order of beginning.
    pub calls: Vec<RegisterCall>,
    /// Beginnings and returns in order of time: the call's number, times two, plus one if it
    /// returns there. Open calls have no return.
    pub moments: Vec<u32>,
    /// All values are below this number.
    pub values: u32,
    /// The values that may be there at the start: `[0]`, or more where what came before was left
    /// out.
    pub starts: Vec<u32>,
}

impl RegisterHistory {
    /// The history of these intervals, as the view of them says.
    pub(crate) fn from_view<Op>(view: &RegisterView, intervals: &[Interval<Op>]) -> Self {
        let accesses: Vec<Interval<Access<u32>>> = intervals
            .iter()
            .zip(&view.accesses)
            .map(|(interval, &op)| Interval {
                op,
                begins: interval.begins,
                ends: interval.ends,
            })
            .collect();
        RegisterHistory::from_intervals(&accesses, view.values).0
    }

    /// The history of these intervals, of which only the order of times counts (no two are the
    /// same), and which need not be sorted. The second part of the result says for each call which
    /// interval it is.
    pub(crate) fn from_intervals(
        intervals: &[Interval<Access<u32>>],
        values: u32,
    ) -> (Self, Vec<u32>) {
        let mut stamped: Vec<(u64, u32, bool)> = Vec::with_capacity(intervals.len() * 2);
        for (number, interval) in (0..).zip(intervals) {
            stamped.push((interval.begins, number, false));
            stamped.extend(interval.ends.map(|ends| (ends, number, true)));
        }
        stamped.sort_unstable();
        let mut calls: Vec<RegisterCall> = Vec::with_capacity(intervals.len());
        let mut sources = Vec::with_capacity(intervals.len());
        let mut moments = Vec::with_capacity(stamped.len());
        let mut call_of = vec![0_u32; intervals.len()];
        for (position, (_, interval, returns)) in (0..).zip(stamped) {
            if returns {
                let call = call_of[interval as usize];
                calls[call as usize].returns = position;
                moments.push(call << 1 | 1);
            } else {
                call_of[interval as usize] = calls.len() as u32;
                moments.push((calls.len() as u32) << 1);
                sources.push(interval);
                calls.push(RegisterCall {
                    access: intervals[interval as usize].op,
                    begins: position,
                    returns: OPEN,
                });
            }
        }
        let history = RegisterHistory {
            calls,
            moments,
            values,
            starts: vec![0],
        };
        (history, sources)
    }
}

//! The engines: each decides whether one part of a history is linearizable.

mod beam;
mod depth;
mod facts;
mod frontier;
mod mask;
mod problem;
mod race;
mod sets;
mod stream;
mod supply;
mod transitions;
mod window;

pub(crate) use depth::order;
pub(crate) use facts::stale;
pub(crate) use mask::{Fixed, Mask, Spilled};
pub(crate) use problem::{Call, Moment, Problem, Timeline};
pub(crate) use race::{Engines, Search, decide, decide_with, race_with};
pub(crate) use stream::{Stream, StreamLimits, Ticket};

use crate::limits::Exhausted;

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Some order of the operations explains everything observed.
    Linearizable,
    /// No order does. The events before `event` have one, those up to and with it have none: it is
    /// the return of an operation that cannot be placed. Where that was noticed by what is still to
    /// come (R6) it is the last of all, and those before it need not have one.
    NotLinearizable { event: usize },
    /// Not known. The events before `event` have an order.
    Undecided { limit: Exhausted, event: usize },
}

/// The proven shortcuts of a search (`checker.md` section 2), each of which can be left out, so
/// that tests can compare every search with and without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reductions {
    /// R1: an observer is placed as soon as it is legal.
    pub eager_observers: bool,
    /// R2: of equal operations the one that must end first is placed first.
    pub symmetry: bool,
    /// R3, and R1 across configurations: one that has used up no more open operations and placed
    /// no fewer observers replaces the other.
    pub dominance: bool,
    /// R4: open operations that nobody could tell of are left out.
    pub unobserved: bool,
    /// R6: configurations that cannot be completed with what is still to come are dropped, by the
    /// depth-first search where the model says what operations find and leave.
    pub dooms: bool,
    /// A beam in which nothing is left proves nothing once configurations were left out. No
    /// shortcut, but a condition: without it verdicts are wrong.
    pub truncation: bool,
    /// A condition of R6 that is left out, to show that a test notices.
    #[cfg(test)]
    pub dropped: Option<facts::Condition>,
}

impl Reductions {
    pub(crate) const ALL: Reductions = Reductions {
        eager_observers: true,
        symmetry: true,
        dominance: true,
        unobserved: true,
        dooms: true,
        truncation: true,
        #[cfg(test)]
        dropped: None,
    };
}

/// How far one turn of a search came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Done(Decision),
    /// The turn is over; the search can go on.
    Paused,
    /// The search cannot go on.
    GaveUp(Exhausted),
}

#[cfg(test)]
mod tests;

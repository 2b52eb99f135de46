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
    /// A condition that is left out, to show that a test notices.
    #[cfg(test)]
    pub dropped: Option<Condition>,
}

/// The conditions without which a shortcut gives wrong verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// R1: an observer is placed early only where it is legal.
    ObserverLegal,
    /// R2: of a class the call that must return first is placed first.
    EarliestFirst,
    /// R2: calls of other classes cannot stand in for it.
    MatesOnly,
    /// R2: nor can those that are placed already.
    MatesLeft,
    /// R3: one that used more open calls does not replace one that used fewer.
    UsedFewer,
    /// R1: one that placed fewer observers does not replace one that placed more.
    ObserversMore,
    /// No more open calls are used than have begun.
    OpenBegun,
    /// R6: a call to come may bring the fact.
    SourceAhead,
    /// R6: so may one under way.
    SourceUnderWay,
    /// R6: and one of unknown outcome.
    SourceOpen,
    /// R6: what brings the fact is over before what overwrites it begins.
    SourceOver,
    /// R6: and that is over before what finds the fact begins.
    OverwriterOver,
    /// R6: calls that are placed need nothing any more.
    NeededStill,
    /// R6: calls of unknown outcome need nothing.
    OpenNeedNot,
    /// R4: something may tell of a call of unknown outcome if it returns after that began.
    NothingReturns,
    /// R7: after the call that is pinned there is one state only.
    PinnedLeavesOne,
    /// R7: from the start it leaves that state.
    PinnedFits,
    /// R7: it is not weakened.
    PinnedReturns,
    /// R7: what was under way beside it may come after it.
    BesideStays,
    /// R7: or before it.
    BesideOpen,
}

impl Reductions {
    /// Whether a test wants this condition ignored. Outside tests none ever is.
    #[inline(always)]
    fn drops(&self, condition: Condition) -> bool {
        #[cfg(test)]
        let drops = self.dropped == Some(condition);
        #[cfg(not(test))]
        let drops = {
            let _ = condition;
            false
        };
        drops
    }

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

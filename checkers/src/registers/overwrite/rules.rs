//! Which of the proven shortcuts a run uses.

/// The rules of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// R4 and R5: what is still to come is known, so that what nobody will see can be forgotten.
    /// The same prefixes of the history have an order as without.
    pub look_ahead: bool,
    /// R6: configurations that cannot be completed are dropped, so that violations are noticed
    /// early.
    pub dooms: bool,
    /// A condition that is left out, to show that a test notices.
    #[cfg(test)]
    pub dropped: Option<Condition>,
}

impl Rules {
    /// Whether a test wants this condition ignored. Outside tests none ever is.
    #[inline(always)]
    pub(super) fn drops(&self, condition: Condition) -> bool {
        #[cfg(test)]
        let drops = self.dropped == Some(condition);
        #[cfg(not(test))]
        let drops = {
            let _ = condition;
            false
        };
        drops
    }
}

/// The conditions without which a rule gives wrong verdicts: what each one says is in the code
/// that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// R1: an observer is placed early only where it is legal.
    ObserverLegal,
    /// R2: the call that must return first goes first.
    EarliestFirst,
    /// R2: an open call only when no call of its class that returns is at hand.
    OpenLast,
    /// R3: a configuration that used more open calls does not replace one that used fewer.
    UsedFewer,
    /// Of two covers the later one is kept.
    CoverLater,
    /// R4: somebody who saw "not this value" may have seen any other.
    UnobservedNots,
    /// R4: an open cas that counts is an observer.
    UnobservedOpenCas,
    /// R5: observers under way keep a value alive.
    DeadUnderWay,
    /// R5: observers to come keep a value alive.
    DeadAhead,
    /// R5: "not this value" tells a value from a dead one.
    DeadNots,
    /// R5: a write of a value that nobody will see is only hidden, unless some call that is still
    /// to find "not this value" could be served by it.
    HideOnlyNots,
    /// R5: a write is only hidden when nobody will see its value.
    HideOnlyDead,
    /// R6: the call that returns may itself be the source of the value that is left.
    DoomReturning,
    /// R6: an open call may be the source.
    DoomOpen,
    /// R6: a call to come may be the source.
    DoomAhead,
    /// R6: an open cas from a value need not happen.
    DoomOpenCas,
    /// A write is hidden only behind one placed after it began.
    HideBegun,
    /// A source is hidden only behind a write placed after it began.
    SourceBegun,
    /// So is an open one.
    OpenSourceBegun,
    /// And the observers it serves.
    ReaderBegun,
    /// An open cas after which something was seen needs no other reason.
    RunServed,
    /// A blind write may come just before a cas.
    Enabling,
    /// The calls equal to the one that returns need not go before it, others may.
    MatesOnly,
    /// R9: the cover is as late.
    PruneCover,
    /// R9: as many observers are placed.
    PruneObservers,
    /// R9: no other writes are placed.
    PruneWrites,
    /// R9: the same cas are placed.
    PruneCas,
    /// R9: no more open calls are used.
    PruneUsed,
    /// The used calls of an open class are forgotten only when its value is dead.
    ForgetDead,
    /// And only when nobody is still to find "not this value".
    ForgetNots,
    /// R6: a cas may be the source.
    DoomCas,
    /// R5: only the writes of dead values are equal for who finds "not this value".
    OneDead,
    /// A beam that lost configurations proves nothing when it dies.
    BeamTruncated,
}

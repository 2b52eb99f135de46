//! What is known of processes whose clocks were changed.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::unistd::Pid;

/// What a change did to a process's clock, as the process itself saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub pid: Pid,
    /// How far its clock was from the true time before.
    pub before: Offset,
    /// And afterwards.
    pub after: Offset,
    /// For how long it was held.
    pub held: Duration,
}

/// How far a clock is from the true time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offset {
    pub offset_ns: i64,
    /// The reading took a moment: the offset is known only this exactly.
    pub within_ns: i64,
}

/// Where the payload was put last in each process of a node: it stays there, to be used again.
///
/// It is never taken out: a signal handler that interrupted it could still return into it.
pub(crate) type Mappings = BTreeMap<Pid, u64>;

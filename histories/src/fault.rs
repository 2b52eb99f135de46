//! Fault events: what was done to the cluster, when, to whom, and what shows that it took effect.

use std::sync::Arc;

use crate::Value;

/// Where in its life a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultPhase {
    /// About to be injected: its undo is noted, nothing is done yet.
    Begin,
    /// Injected: in force from here on.
    Inject,
    /// Undone: out of force from here on.
    Heal,
    /// It could not be injected or healed; the evidence says why.
    Error,
}

/// A fault as an event of the nemesis records it (the event's `f` is `kind`, its `value` the rest).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The number of this fault in the run's schedule: its events share it.
    pub id: u64,
    /// What kind: `kill`, `pause`, `partition`, …
    pub kind: Arc<str>,
    /// Where in its life.
    pub phase: FaultPhase,
    /// The nodes it acts on.
    pub targets: Vec<Arc<str>>,
    /// Its exact parameters, e.g. the shape of a partition and the directed links cut.
    pub parameters: Value,
    /// What shows that it took effect, e.g. packets dropped, process state, pid gone.
    pub evidence: Value,
    /// Whether the evidence shows an effect (`None` while that cannot be told yet).
    pub effective: Option<bool>,
}

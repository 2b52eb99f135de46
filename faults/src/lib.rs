//! What goes wrong: the kinds of faults, the schedule drawn from the seed, the ledger of undos.
//!
//! - [`Schedule`]: which fault happens when and to whom; drawn once, stored in the plan.
//! - [`Injector`]: takes each [`Planned`] fault through its life (undo noted, injected, healed)
//!   and returns the event to record, with evidence that it took effect.
//! - [`Ledger`]: the undos, written down before the faults.
//! - [`Target`]: what a fault may do to a cluster; the cluster implements it.
//!
//! A kind of fault is one file: [`kill`](Kill), [`pause`](Pause), [`partition`](Partition).
//! Nothing here reads a clock or knows of workloads; calls block until the cluster has done what
//! it was told.

mod injector;
mod kill;
mod kind;
mod ledger;
mod names;
mod partition;
mod pause;
mod role;
mod schedule;
mod shape;
mod target;

#[cfg(test)]
mod fake;

pub use injector::Injector;
pub use kill::Kill;
pub use kind::{Action, Kind, Undo};
pub use ledger::{Ledger, LedgerError, open_undos};
pub use names::UnknownName;
pub use partition::Partition;
pub use pause::Pause;
pub use role::Role;
pub use schedule::{Draw, DrawError, Planned, Problem, Schedule, ScheduleError, Step};
pub use shape::Shape;
pub use target::{CLIENTS, Link, Name, Network, Target, TargetError, Unavailable};

//! What goes wrong: the kinds of faults, the schedule drawn from the seed, the ledger of undos.
//!
//! - [`Schedule`]: which fault happens when and to whom; drawn once, by the rhythm of a [`Profile`], or
//!   written by hand; stored in the plan. [`Agenda`] says what it asks for next.
//! - [`Injector`]: takes each [`Planned`] fault through its life (undo noted, injected, healed)
//!   and returns the event to record, with evidence that it took effect.
//! - [`Ledger`]: the undos, written down before the faults.
//! - [`Target`]: what a fault may do to a cluster; the cluster implements it.
//!
//! A kind of fault is one file and one line in `kind.rs`: [`kill`](Kill), [`pause`](Pause), …
//! Nothing here reads a clock or knows of workloads; calls block until the cluster has done what
//! it was told.

mod aim;
mod bit_flip;
mod clock_drift;
mod clock_freeze;
mod clock_jump;
mod clock_strobe;
mod clocks;
mod command;
mod condition;
mod corrupt;
mod cpu_quota;
mod crash_loop;
mod crash_point;
mod delay;
mod disk_fault;
mod disk_full;
mod disks;
mod draws;
mod duplicate;
mod fd_limit;
mod injector;
mod io_error;
mod kill;
mod kill_at_start;
mod kind;
mod ledger;
mod limit;
mod loss;
mod lying_fsync;
mod member_change;
mod memory_limit;
mod names;
mod network;
mod packets;
mod partition;
mod pause;
mod power_loss;
mod profile;
mod rate_limit;
mod reboot;
mod refuse_connections;
mod reorder;
mod reset_connections;
mod restart;
mod role;
mod schedule;
mod shape;
mod slow_fsync;
mod slow_start;
mod standing;
mod target;
mod torn_write;

#[cfg(test)]
mod fake;

pub use bit_flip::BitFlip;
pub use clock_drift::ClockDrift;
pub use clock_freeze::ClockFreeze;
pub use clock_jump::ClockJump;
pub use clock_strobe::ClockStrobe;
pub use command::Command;
pub use condition::{Condition, Observed, Waiting};
pub use corrupt::Corrupt;
pub use cpu_quota::CpuQuota;
pub use crash_loop::CrashLoop;
pub use crash_point::{CrashKind, CrashPoint, Moment};
pub use delay::Delay;
pub use disk_full::DiskFull;
pub use disks::{Crash, Damage, DiskOperation, DiskRule, Disks, Spot};
pub use duplicate::Duplicate;
pub use fd_limit::FdLimit;
pub use injector::Injector;
pub use io_error::IoError;
pub use kill::Kill;
pub use kill_at_start::KillAtStart;
pub use kind::{Action, Kind, Undo};
pub use ledger::{Ledger, LedgerError, open_undos};
pub use loss::Loss;
pub use lying_fsync::LyingFsync;
pub use member_change::MemberChange;
pub use memory_limit::MemoryLimit;
pub use names::UnknownName;
pub use network::{
    Checksums, Delays, Distribution, Link, Network, NetworkAbility, Rule, RuleCounts, Treatment,
};
pub use packets::Peers;
pub use partition::Partition;
pub use pause::Pause;
pub use power_loss::PowerLoss;
pub use profile::Profile;
pub use rate_limit::RateLimit;
pub use reboot::Reboot;
pub use refuse_connections::RefuseConnections;
pub use reorder::Reorder;
pub use reset_connections::ResetConnections;
pub use restart::Restart;
pub use role::Role;
pub use schedule::{
    Agenda, Draw, DrawError, Next, Planned, Problem, Rhythm, Schedule, ScheduleError,
};
pub use shape::{Direction, Shape};
pub use slow_fsync::SlowFsync;
pub use slow_start::SlowStart;
pub use target::{
    Boots, CLIENTS, Clock, Clocks, Commands, Distortion, LimitShown, Limits, Membership, Name,
    Part, Resource, Target, TargetError, Unavailable, no_commands,
};
pub use torn_write::TornWrite;

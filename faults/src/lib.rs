//! What goes wrong: the kinds of faults, the schedule drawn from the seed, the ledger of undos.

mod target;

pub use target::{CLIENTS, Link, Name, Network, Target, TargetError, Unavailable};

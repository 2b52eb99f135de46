//! What clients do: the generators of operations, and the clients that speak a system's protocol.
//!
//! - [`Workload`]: a set of operations with their mix and the model that judges them; one file
//!   each, found by [`by_name`].
//! - [`Generator`]: pure; draws one client's operations from its own stream of chance.
//! - [`KeyRing`]: the keys in use, shared by all clients of a run.
//! - [`Client`]: the seam to a system under test; [`clients`] has an implementation for each.
//!
//! Nothing here knows of faults, and only [`clients`] touches the network.

mod append;
mod bank;
mod broadcast;
mod client;
pub mod clients;
mod counter;
mod drawn;
mod generator;
mod keys;
mod kv;
mod leader_election;
mod lock;
mod options;
mod pattern;
mod queue;
mod register;
mod set;
pub mod template;
mod unique_ids;
mod watch;
mod workload;

pub use append::APPEND;
pub use bank::{ACCOUNTS, BANK, INITIAL_BALANCE};
pub use broadcast::BROADCAST;
pub use client::{Client, Completion, Outcome};
pub use counter::COUNTER;
pub use drawn::ByWeight;
pub use keys::{KeyRing, SLOTS_MAX};
pub use kv::Kv;
pub use leader_election::LEADER_ELECTION;
pub use lock::{FENCED_LOCK, LOCK, Locks};
pub use options::{Options, UnknownValues, Values};
pub use pattern::Pattern;
pub use queue::QUEUE;
pub use register::Register;
pub use set::SET;
pub use unique_ids::UNIQUE_IDS;
pub use watch::Watch;
pub use workload::{
    ALL, Context, FINAL_READS_MAX, Generator, Invocation, UnknownWorkload, Workload, by_name,
};

//! The embedded system under test: a small but real Raft key-value server, one process per node,
//! in whose protocol well-known bugs can be switched on by name.
//!
//! - [`raft`] is consensus as a pure state machine, [`kv`] the state it replicates, and
//!   [`replica`] the two together with the clients that wait: no clock, no I/O.
//! - [`storage`] is the disk, [`transport`] the network, [`server`] the process around them.
//! - [`bugs`] says what can be broken; [`cli`] is the command line.

pub mod bugs;
pub mod cli;
pub mod kv;
pub mod raft;
pub mod replica;
pub mod server;
pub mod storage;
pub mod transport;

pub use bugs::{Bug, Bugs, Property, Recipe, UnknownBug};

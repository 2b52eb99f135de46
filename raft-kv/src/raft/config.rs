//! What a node starts with.

use std::sync::Arc;

use super::{LogImage, Name, Reads, Snapshot};
use crate::bugs::Bugs;

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name.
    pub name: Name,
    /// How often a leader shows itself, in milliseconds.
    pub heartbeat_ms: u64,
    /// How long a follower waits for a leader at least; at most it is twice that.
    pub election_ms: u64,
    /// How many bytes of entries, or of a snapshot, go into one message; a single entry may be
    /// larger.
    pub message_bytes: usize,
    /// What a leader does before it answers a read.
    pub reads: Reads,
    /// The bugs that are on.
    pub bugs: Bugs,
    /// Where its chance comes from.
    pub seed: u64,
}

/// What a node found on its disk.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// The log, and the term and vote.
    pub log: LogImage,
    /// The latest snapshot.
    pub snapshot: Option<Arc<Snapshot>>,
}

//! What a fault may do to a cluster. The cluster implements these traits; faults only use them.

use std::sync::Arc;

use histories::Value;
use serde::{Deserialize, Serialize};

/// The name of a node, or of another port of the network such as [`CLIENTS`].
pub type Name = Arc<str>;

/// The name of the port through which every client reaches the nodes.
pub const CLIENTS: &str = "clients";

/// A running cluster, as faults see it. Every call blocks until it is done, within a limit.
pub trait Target: Send + Sync {
    /// The nodes, in order.
    fn nodes(&self) -> Vec<Name>;

    /// Ends every process of the node by SIGKILL and waits until they are gone. Killing a node
    /// that is not running is no error.
    ///
    /// Returns evidence, in which every whole number is the pid of a process that was there and is
    /// no more: `{"gone" [412 413]}`. None stands there when nothing was running.
    fn kill(&self, node: &str) -> Result<Value, TargetError>;

    /// Starts a node that is not running, on the data it left behind, without waiting until it
    /// serves. Starting a running node is no error. Returns what is known of the new process, such
    /// as its pid.
    fn start(&self, node: &str) -> Result<Value, TargetError>;

    /// Stops every process of the node by SIGSTOP.
    ///
    /// Returns evidence, in which every text is the state of a process as the kernel reports it
    /// afterwards: `[{"pid" 412, "state" "T"}]`. A node that is not running gives none, or an
    /// error.
    fn pause(&self, node: &str) -> Result<Value, TargetError>;

    /// Lets every process of the node go on (SIGCONT). Resuming a node that runs, or is dead, is
    /// no error.
    fn resume(&self, node: &str) -> Result<Value, TargetError>;

    /// The network between the nodes, or why it cannot be touched here.
    fn network(&self) -> Result<&dyn Network, Unavailable>;
}

/// One direction of the connection between two ports of the network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// Where packets come from.
    pub from: Name,
    /// Where packets go.
    pub to: Name,
}

/// The network between the nodes and the clients.
pub trait Network {
    /// From now on drops every packet on these directed links and on no others: one atomic swap,
    /// established connections included. An empty slice heals everything.
    fn set_cuts(&self, cuts: &[Link]) -> Result<(), TargetError>;

    /// How many packets have been dropped on these links because they were cut, since the start.
    fn dropped_packets(&self, links: &[Link]) -> u64;
}

/// Why something could not be done to the cluster: what failed, on what, why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(pub String);

/// Why a kind of fault cannot be injected here, and what would make it possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause} (hint: {remedy})")]
pub struct Unavailable {
    /// What is missing.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

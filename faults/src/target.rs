//! What a fault may do to a cluster. The cluster implements these traits; faults only use them.

use std::sync::Arc;

use histories::Value;

use crate::Network;

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

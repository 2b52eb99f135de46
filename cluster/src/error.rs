//! What can go wrong with a cluster, in words for people.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use faults::TargetError;
use nix::errno::Errno;

use crate::node::NodeExit;

/// Why a cluster could not be started or asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The nodes' names do not do.
    #[error("cannot name the nodes: {0}")]
    Names(String),
    /// No node of this name.
    #[error("there is no node {0}")]
    NoSuchNode(String),
    /// A folder cannot be used.
    #[error("cannot use {path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The network could not be built.
    #[error("cannot build the network: {0}")]
    Network(SystemCall),
    /// The network could not be built, and netlink says why.
    #[error("cannot build the network: {action}: {error}")]
    Netlink {
        /// What was asked for.
        action: String,
        /// Why not.
        error: rtnetlink::Error,
    },
    /// Something that was asked for cannot be had here.
    #[error("{0}")]
    Unavailable(faults::Unavailable),
    /// In plain mode, another program has a node's address already.
    #[error(
        "cannot start node {node}: {address} is in use by another program (hint: end it, or let \
         the nodes listen on another port)"
    )]
    AddressInUse {
        /// Which node.
        node: String,
        /// Where it should serve.
        address: SocketAddr,
    },
    /// A node's process could not be started, or its processes not be seen or signalled.
    #[error("cannot {action} node {node}: {error}")]
    Node {
        /// What was tried: `start`, `pause`…
        action: &'static str,
        /// Which node.
        node: String,
        /// Why not.
        error: io::Error,
    },
    /// What is to be run before a node's first start failed.
    #[error("cannot prepare node {node}: {command}: {how}{tail}")]
    NotPrepared {
        /// Which node.
        node: String,
        /// What was run.
        command: String,
        /// How it ended, or that it did not.
        how: String,
        /// The last lines it wrote, each on a line of its own.
        tail: String,
    },
    /// A node ended before it was ready.
    #[error("before it was ready, {0}")]
    ExitedEarly(NodeExit),
    /// A node did not become ready in time.
    #[error("node {node} was not ready within {limit_ms} ms: {why}{tail}")]
    NotReady {
        /// Which node.
        node: String,
        /// The limit.
        limit_ms: u64,
        /// Why it was not when it was last asked.
        why: String,
        /// The last lines of its log, each on a line of its own; empty when it wrote none.
        tail: String,
    },
}

/// A call of the kernel that failed: what it was for, and the kernel's answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action}: {error}")]
pub struct SystemCall {
    /// What the call was for.
    pub action: String,
    /// The kernel's answer.
    pub error: Errno,
}

impl SystemCall {
    /// The call for `action` failed with `error`.
    pub(crate) fn new(action: impl fmt::Display, error: Errno) -> Self {
        Self {
            action: action.to_string(),
            error,
        }
    }

    /// The call for `action` failed with what the standard library says.
    pub(crate) fn from_io(action: impl fmt::Display, error: &io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or_default();
        Self::new(action, Errno::from_raw(errno))
    }
}

/// Names what a system call was for.
pub(crate) trait For<T> {
    /// The call was for `action`.
    fn call(self, action: impl fmt::Display) -> Result<T, SystemCall>;
}

impl<T> For<T> for nix::Result<T> {
    fn call(self, action: impl fmt::Display) -> Result<T, SystemCall> {
        self.map_err(|error| SystemCall::new(action, error))
    }
}

impl<T> For<T> for io::Result<T> {
    fn call(self, action: impl fmt::Display) -> Result<T, SystemCall> {
        self.map_err(|error| SystemCall::from_io(action, &error))
    }
}

impl From<SystemCall> for ClusterError {
    fn from(error: SystemCall) -> Self {
        ClusterError::Network(error)
    }
}

impl From<ClusterError> for TargetError {
    fn from(error: ClusterError) -> Self {
        TargetError(error.to_string())
    }
}

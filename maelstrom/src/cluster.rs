//! The nodes and the network between them, together.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use crate::journal::Journal;
use crate::link::Weather;
use crate::nodes::{Nodes, NodesSpec, StartError};
use crate::{Latency, Net, Shown};

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// The nodes.
    pub nodes: NodesSpec,
    /// What the fates of messages are drawn from.
    pub seed: u64,
    /// How long messages between nodes and services take.
    pub latency: Latency,
    /// How many of a million messages between nodes and services are lost.
    pub loss_ppm: u32,
    /// Where every message is logged.
    pub messages: PathBuf,
    /// Who is also given messages.
    pub shown: Shown,
}

/// The nodes and the network between them. Dropping it ends them.
pub struct Cluster {
    pub(crate) nodes: Nodes,
    pub(crate) net: Net,
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log of messages cannot be written.
    #[error("failed to create {}: {error}", path.display())]
    Journal {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// There is no thread for it.
    #[error("failed to start a thread: {0}")]
    Thread(io::Error),
    /// It could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Cluster {
    /// A network with nodes that are not started yet. Its times count from `start`.
    ///
    /// # Errors
    /// When a file or a thread is not to be had.
    pub fn open(spec: ClusterSpec, start: Instant) -> Result<Self, OpenError> {
        let journal = Journal::create(&spec.messages, spec.shown).map_err(|error| {
            let path = spec.messages.clone();
            OpenError::Journal { path, error }
        })?;
        let weather = Weather {
            latency: spec.latency,
            loss_ppm: spec.loss_ppm,
        };
        let net = Net::new(spec.nodes.names.clone(), spec.seed, weather, journal, start);
        net.deliver_in_background().map_err(OpenError::Thread)?;
        let nodes = Nodes::new(spec.nodes, net.clone())?;
        Ok(Cluster { nodes, net })
    }

    /// The nodes.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// The network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Ends every node and the network.
    ///
    /// # Errors
    /// When a process is left.
    pub fn stop(&self) -> Result<(), cluster::ClusterError> {
        let stopped = self.nodes.stop();
        self.net.close();
        stopped
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What cannot be ended here is ended by its init when this process ends.
        let _ = self.stop();
    }
}

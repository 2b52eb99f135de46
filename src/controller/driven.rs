//! The cluster that a run drives: on this machine, on hosts beyond it, or in containers.

use cluster::network::Network;
use cluster::remote::Remote;
use cluster::{Cluster, Entrance};
use faults::{Membership, Target};

/// A cluster whose nodes serve.
pub(super) enum Driven {
    /// On this machine.
    Here(Box<Cluster>),
    /// A node on each of several hosts, or in each of several containers.
    Apart(Box<Remote>),
}

impl Driven {
    /// What faults may do to it.
    pub fn target(&self) -> &dyn Target {
        match self {
            Driven::Here(cluster) => &**cluster,
            Driven::Apart(remote) => &**remote,
        }
    }

    /// From now on members can be changed, by the interface of the system that the nodes run.
    pub fn set_membership(&mut self, membership: Box<dyn Membership + Send + Sync>) {
        match self {
            Driven::Here(cluster) => cluster.set_membership(membership),
            Driven::Apart(remote) => remote.set_membership(membership),
        }
    }

    /// The way to where clients are to run.
    pub fn clients_entrance(&self) -> Entrance {
        match self {
            Driven::Here(cluster) => cluster.clients_entrance(),
            Driven::Apart(_) => Entrance::plain(),
        }
    }

    /// The way to where the controller asks nodes. There it is cut off from them as clients are.
    pub fn control_entrance(&self) -> Entrance {
        match self {
            Driven::Here(cluster) => cluster.control_entrance(),
            Driven::Apart(_) => Entrance::plain(),
        }
    }

    /// How many packets were lost that no fault dropped, as far as that is known.
    pub fn missed_packets(&self) -> u64 {
        match self {
            Driven::Here(cluster) => cluster.packet_network().map_or(0, Network::missed_packets),
            Driven::Apart(_) => 0,
        }
    }

    /// Why the run cannot go on, if a host was lost.
    pub fn lost(&self) -> Option<String> {
        match self {
            Driven::Here(_) => None,
            Driven::Apart(remote) => remote.lost().map(|lost| lost.to_string()),
        }
    }

    /// Ends every node.
    pub fn stop(self) -> Result<(), String> {
        match self {
            Driven::Here(cluster) => cluster.stop().map_err(|error| error.to_string()),
            Driven::Apart(remote) => remote.stop().map_err(|error| error.to_string()),
        }
    }
}

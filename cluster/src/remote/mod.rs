//! Nodes on hosts beyond this machine, by SSH.
//!
//! The user's own program `ssh` connects, with their configuration and agent. Nothing is installed on
//! a host: over each connection comes first this very executable, into a fresh private temporary
//! folder, and then what it is told as the *agent* of one node. The agent uses what there is for nodes
//! on this machine ([`Cluster`](crate::Cluster) in plain mode), so processes, limits and clocks are
//! done to in the same ways; links are cut by a table of its own in the host's nf_tables.
//!
//! When the connection ends, however it ends, the agent undoes everything and removes its folder.
//! What it may leave behind is written down before there is any of it, so that its guardian can undo it
//! when the agent is killed, and [`heal`] when that is killed too.
//!
//! * [`Host`]: how a host is named, reached and addressed.
//! * [`Remote`]: a cluster with a node on each of several hosts, as [`faults::Target`].
//! * [`examine`]: what hosts allow. [`heal`]: what runs that are over have left on hosts.
//! * [`docker`]: the same in containers of a Docker engine.

pub use cluster::{NodePlace, Remote, Shell};
pub use error::RemoteError;
pub use host::Host;
pub use launch::{RemoteNode, RemoteNodes};
pub use survey::{HostFacts, examine, heal};
pub use wire::Healed;

pub(crate) use docker::bundled;

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

pub(crate) mod agent;
mod cluster;
mod command;
pub mod docker;
mod error;
mod host;
mod launch;
mod ledger;
mod logs;
mod net;
mod opening;
mod session;
mod ssh;
mod survey;
mod wire;

/// After so long without a word from its controller, which asks for logs every second, an agent takes
/// it for gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// From which of this host's addresses packets go to another host's. Nothing is sent.
fn source_towards(peer: Ipv4Addr) -> std::io::Result<Ipv4Addr> {
    // A datagram socket that is connected has its address by the routes. Any port will do.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((peer, 9))?;
    match socket.local_addr()? {
        std::net::SocketAddr::V4(address) => Ok(*address.ip()),
        std::net::SocketAddr::V6(address) => Err(std::io::Error::other(format!(
            "packets to {peer} come from {address}"
        ))),
    }
}

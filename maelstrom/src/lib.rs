//! Maelstrom's protocol: node programs that read and write JSON messages on their standard input
//! and output, one a line, run unmodified.
//!
//! - [`Cluster`]: the nodes, as processes, and the network between them; it is a
//!   [`faults::Target`], so kills, pauses, partitions, losses, delays, duplicates and reorderings
//!   work as everywhere.
//! - [`Net`]: takes every message and delivers it when its time has come. What becomes of a message
//!   is drawn from the run's seed, its link and its number there.
//! - [`Client`]: sends a request to a node and waits for its answer.
//! - [`workloads`]: what clients ask, and what the answers mean.
//!
//! The services `lin-kv`, `seq-kv`, `lww-kv` and `lin-tso` answer nodes as part of the network.

mod client;
mod cluster;
mod errors;
mod journal;
mod latency;
mod link;
mod message;
mod net;
mod nodes;
mod options;
mod print;
mod services;
mod stats;
mod target;
mod topology;
pub mod workloads;

pub use crate::cluster::{Cluster, ClusterSpec, OpenError};
pub use client::{CallError, Client};
pub use errors::ErrorReply;
pub use journal::Shown;
pub use latency::{Latency, LatencyDist};
pub use message::{Body, Malformed, Message};
pub use net::Net;
pub use nodes::{Nodes, NodesSpec, StartError};
pub use options::{Availability, MaelstromOptions, Partitions, fraction_ppm};
pub use print::Print;
pub use services::SERVICES;
pub use topology::Topology;

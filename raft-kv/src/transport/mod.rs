//! How messages reach the other nodes. The seam is [`Transport`]; there are two of them, TCP and
//! UDP.
//!
//! A transport may lose, double and reorder: consensus expects it. TCP does so only when a
//! connection breaks; UDP does whatever the network does. It never blocks the node.

mod tcp;
mod udp;

use std::net::SocketAddr;
use std::str::FromStr;

use crate::raft::Message;

pub use tcp::Tcp;
pub use udp::Udp;

/// How many messages arrived may wait for the node.
const ARRIVED_MESSAGES_MAX: usize = 4096;

/// Carries messages to other nodes, without promise.
pub trait Transport {
    /// Sends a message towards a node, or drops it. Returns at once.
    fn send(&mut self, to: SocketAddr, message: Message);
}

/// Which transport there is between nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// One connection per peer.
    #[default]
    Tcp,
    /// One datagram per message; those too large for one go by TCP.
    Udp,
}

impl Kind {
    /// How many bytes of entries, or of a snapshot, go into one message.
    pub fn message_bytes(self) -> usize {
        match self {
            Kind::Tcp => 256 * 1024,
            // With all around them they fit into one packet of an ordinary network.
            Kind::Udp => 1_000,
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        match text {
            "tcp" => Ok(Kind::Tcp),
            "udp" => Ok(Kind::Udp),
            _ => Err("expected tcp or udp".to_owned()),
        }
    }
}

//! Clients, one for each system under test.
//!
//! # Rules for every client
//! 1. **One operation is one request**, unless the protocol itself makes a repetition harmless (a
//!    session and a number that the server remembers, a read). A request that timed out and is sent
//!    again is a second operation: only the generator may decide on that.
//! 2. **Unknown is unknown.** A time-out, a connection that broke after the first byte was written,
//!    an answer that is not understood: `Info`. A connection that could not be opened, and a refusal
//!    that the system documents as having no effect: `Fail`. A read that did not answer has no
//!    effect either way: either will do.
//! 3. **A redirect** that the system documents as "nothing done here" is followed, a bounded number
//!    of times; every node tried stands in the path.
//! 4. **A connection is never used again** once an answer may still arrive on it: an answer that
//!    comes late belongs to an operation that is over. A paused node (SIGSTOP) keeps what is in its
//!    socket's buffer and does it when it goes on, so the operation stays unknown for good.
//! 5. **Everything has a limit**: connecting, writing, reading, the size of an answer.
//! 6. **A read leaves nothing behind**: after one of unknown outcome a client is ready for the next
//!    operation, with or without [`open`](crate::Client::open).

use std::net::SocketAddr;
use std::sync::Arc;

mod class;
mod complaints;
mod data;
pub mod etcd;
pub mod http;
mod options;
pub mod over_kv;
pub mod postgres;
pub mod program;
pub mod raft_kv;
pub mod redis;
mod route;
#[cfg(test)]
mod scripted;
mod tcp;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod zookeeper;

pub(crate) use class::Class;
pub use complaints::Complaints;
pub use data::{Data, UnservedWorkload};
pub use options::{ClientError, ClientOptions, Factory, Setting};

/// A node and where clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// Where clients reach it.
    pub address: SocketAddr,
}

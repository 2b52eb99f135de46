//! Asking a node of raft-kv for its state: who leads, and how far it has come.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::answer::{Reply, Request};
use super::connection::Line;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// `leader`, `follower`, `candidate` or the like.
    pub role: String,
    /// Its current term.
    pub term: u64,
    /// Whom it takes for the leader, where it knows one.
    pub leader: Option<String>,
    /// The highest index it knows to be committed.
    pub commit: u64,
}

/// A node could not be asked for its state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no status from {address}: {why}")]
pub struct StatusError {
    /// The node asked.
    pub address: SocketAddr,
    /// What went wrong.
    pub why: String,
}

/// How long a node is given to tell its state, in milliseconds.
pub const STATUS_TIMEOUT_MS: u64 = 300;

/// Asks the node at this address for its state, on a connection of its own, within
/// [`STATUS_TIMEOUT_MS`].
///
/// # Errors
/// It did not answer in time, or not with a state.
pub async fn status(address: SocketAddr) -> Result<Status, StatusError> {
    status_within(address, STATUS_TIMEOUT_MS).await
}

pub(super) async fn status_within(
    address: SocketAddr,
    timeout_ms: u64,
) -> Result<Status, StatusError> {
    let until = Instant::now() + Duration::from_millis(timeout_ms);
    let reply = Line::default()
        .exchange(address, &Request::status(), None, until)
        .await;
    let why = match reply {
        Reply::Answer {
            status: 200, body, ..
        } => match serde_json::from_slice(&body) {
            Ok(status) => return Ok(status),
            Err(error) => format!("unexpected answer: {error}"),
        },
        Reply::Answer { status, .. } => format!("unexpected answer {status}"),
        Reply::NotSent(why) | Reply::Lost(why) => why,
    };
    Err(StatusError { address, why })
}

//! Why a host cannot be used, in words for people.

/// What went wrong with a host.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RemoteError {
    /// What was given is no host.
    #[error("{given:?} is no host: {why}")]
    NoHost {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// Its address could not be found out.
    #[error(
        "failed to find the address of host {host}: {why} (hint: give it as {host}=ADDRESS, the \
         IPv4 address by which nodes and clients reach it)"
    )]
    NoAddress {
        /// Which.
        host: String,
        /// Why.
        why: String,
    },
    /// ssh could not be started, or did not come through.
    #[error("failed to connect to host {host} by ssh: {why} (hint: {hint})")]
    NoConnection {
        /// Which.
        host: String,
        /// What ssh said.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The agent could not be put there or begun.
    #[error("failed to start an agent on {place}: {why} (hint: {hint})")]
    NoAgent {
        /// Where: `host a`, `container n1`.
        place: String,
        /// Why.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The agent said that what it was asked for failed.
    #[error("on {place}: {why}")]
    Refused {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
    /// The agent does not answer any more.
    #[error("{place} was lost: {why}")]
    Lost {
        /// Where it was.
        place: String,
        /// How that was seen.
        why: String,
    },
    /// A node serves on its host, and cannot be reached from here.
    #[error(
        "node {node} serves on {place}, but {address} cannot be reached from here: {why} (hint: {hint})"
    )]
    Unreachable {
        /// Which node.
        node: String,
        /// Where it runs.
        place: String,
        /// Where it serves.
        address: std::net::SocketAddr,
        /// What came of the last attempt.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A container is not met at its address.
    #[error("{0}")]
    NotMet(faults::Unavailable),
    /// No Docker engine is to be had.
    #[error("there is no Docker engine to use: {why} (hint: {hint})")]
    NoEngine {
        /// Why.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// An image cannot be used.
    #[error("cannot use the image {image}: {why} (hint: {hint})")]
    NoImage {
        /// Which.
        image: String,
        /// Why.
        why: String,
        /// What to do about it.
        hint: String,
    },
    /// The Docker engine refused something.
    #[error("failed to {action}: docker said: {said}")]
    Docker {
        /// What it was asked for.
        action: String,
        /// What it said.
        said: String,
    },
    /// Something on this machine failed.
    #[error("{0}")]
    Here(String),
}

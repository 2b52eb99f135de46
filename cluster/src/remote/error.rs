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
    #[error("failed to start an agent on host {host}: {why} (hint: {hint})")]
    NoAgent {
        /// Which.
        host: String,
        /// Why.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The agent said that what it was asked for failed.
    #[error("on host {host}: {why}")]
    Refused {
        /// Which.
        host: String,
        /// Why.
        why: String,
    },
    /// The host does not answer any more.
    #[error("host {host} was lost: {why}")]
    Lost {
        /// Which.
        host: String,
        /// How that was seen.
        why: String,
    },
    /// A node serves on its host, and cannot be reached from here.
    #[error(
        "node {node} serves on host {host}, but {address} cannot be reached from here: {why} (hint: \
         a firewall between, or give the host as {host}=ADDRESS if it has another address)"
    )]
    Unreachable {
        /// Which node.
        node: String,
        /// On which host.
        host: String,
        /// Where it serves.
        address: std::net::SocketAddr,
        /// What came of the last attempt.
        why: String,
    },
    /// Something on this machine failed.
    #[error("{0}")]
    Here(String),
}

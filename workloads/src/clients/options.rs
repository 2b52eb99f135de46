//! Which client speaks to a system, and the making of one for each client of a run.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Node;
use super::raft_kv::{RaftKv, RaftKvOptions};
use crate::Client;

/// A client and its options: the `[client.NAME]` table of a system's definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientOptions {
    /// The client of the embedded system.
    RaftKv(RaftKvOptions),
}

/// What every client of one run has in common.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The run's seed.
    pub seed: u64,
    /// The nodes, in the plan's order, each with the address of its port for clients.
    pub nodes: Arc<[Node]>,
    /// How long an operation may take before its outcome is unknown, in milliseconds.
    pub timeout_ms: u64,
}

/// Makes the clients of one run. A function from a client's number to the client is one.
///
/// Called on the thread that the clients run on, inside the clients' network.
pub trait Factory: Send + Sync {
    /// Client number `number`, from 0.
    fn client(&self, number: u32) -> Box<dyn Client>;
}

impl<F: Fn(u32) -> Box<dyn Client> + Send + Sync> Factory for F {
    fn client(&self, number: u32) -> Box<dyn Client> {
        self(number)
    }
}

/// Why a client cannot do what it was defined for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(pub String);

impl ClientOptions {
    /// The name of the client, as the definition's table has it.
    pub fn name(&self) -> &'static str {
        match self {
            ClientOptions::RaftKv(_) => "raft-kv",
        }
    }

    /// Whether the client does the operations of this workload itself. Others are made of keys and
    /// values, where they can be ([`over_kv`](super::over_kv)).
    pub fn speaks(&self, workload: &str) -> bool {
        match self {
            ClientOptions::RaftKv(_) => matches!(workload, "register" | "kv"),
        }
    }

    /// What makes the clients of a run.
    ///
    /// # Errors
    /// The options do not do for these nodes.
    pub fn factory(&self, setting: Setting) -> Result<Box<dyn Factory>, ClientError> {
        let Setting {
            seed,
            nodes,
            timeout_ms,
        } = setting;
        Ok(match self {
            ClientOptions::RaftKv(options) => {
                let options = RaftKvOptions {
                    timeout_ms,
                    ..options.clone()
                };
                Box::new(move |number| -> Box<dyn Client> {
                    Box::new(RaftKv::new(seed, number, nodes.clone(), options.clone()))
                })
            }
        })
    }
}

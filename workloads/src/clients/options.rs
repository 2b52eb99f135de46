//! Which client speaks to a system, and the making of one for each client of a run.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Node;
use super::http::{Http, HttpOptions};
use super::over_kv;
use super::raft_kv::{RaftKv, RaftKvOptions};
use crate::{Client, by_name};

/// A client and its options: the `[client.NAME]` table of a system's definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientOptions {
    /// The client of the embedded system.
    RaftKv(RaftKvOptions),
    /// Any system that speaks HTTP.
    Http(HttpOptions),
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
            ClientOptions::Http(_) => "http",
        }
    }

    /// Whether it can do this workload, itself or on keys and values.
    pub fn serves(&self, workload: &str) -> bool {
        let is_store = || ["get", "append", "cas"].into_iter().all(|f| self.does(f));
        self.speaks(workload) || (over_kv::WORKLOADS.contains(&workload) && is_store())
    }

    /// Whether it can do an operation.
    pub fn does(&self, f: &str) -> bool {
        match self {
            ClientOptions::RaftKv(_) => true,
            ClientOptions::Http(options) => options.operations.contains_key(f),
        }
    }

    /// Refuses options that do not do: the field below the client's table, and what is wrong with it.
    ///
    /// # Errors
    /// The first that is found.
    pub fn validate(&self) -> Result<(), (String, String)> {
        match self {
            ClientOptions::RaftKv(_) => Ok(()),
            ClientOptions::Http(options) => options.validate(),
        }
    }

    /// Whether the client does the operations of this workload itself. Others are made of keys and
    /// values, where they can be ([`over_kv`](super::over_kv)).
    pub fn speaks(&self, workload: &str) -> bool {
        match self {
            ClientOptions::RaftKv(_) => matches!(workload, "register" | "kv"),
            ClientOptions::Http(_) => by_name(workload).is_ok_and(|workload| {
                let needed = workload.operations().into_iter();
                let mut needed = needed.filter(|f| !workload.optional().contains(f));
                needed.all(|f| self.does(f))
            }),
        }
    }

    /// What makes the clients of a run.
    ///
    /// # Errors
    /// The options do not do for these nodes.
    pub fn factory(&self, setting: Setting) -> Result<Box<dyn Factory>, ClientError> {
        Ok(match self {
            ClientOptions::RaftKv(options) => {
                let options = RaftKvOptions {
                    timeout_ms: setting.timeout_ms,
                    ..options.clone()
                };
                Box::new(move |number| -> Box<dyn Client> {
                    let nodes = setting.nodes.clone();
                    Box::new(RaftKv::new(setting.seed, number, nodes, options.clone()))
                })
            }
            ClientOptions::Http(options) => {
                let options = Arc::new(options.clone());
                Box::new(move |number| -> Box<dyn Client> {
                    Box::new(Http::new(number, &setting, options.clone()))
                })
            }
        })
    }
}

//! Which client speaks to a system, and the making of one for each client of a run.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::etcd::{Etcd, EtcdOptions};
use super::http::{Http, HttpOptions};
use super::over_kv;
use super::postgres::{Postgres, PostgresOptions};
use super::program::{Program, ProgramOptions};
use super::raft_kv::{RaftKv, RaftKvOptions};
use super::redis::{Redis, RedisOptions};
use super::zookeeper::{Zookeeper, ZookeeperOptions};
use super::{Complaints, Data, Node};
use crate::{Client, by_name};

/// A client and its options: the `[client.NAME]` table of a system's definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientOptions {
    /// The client of the embedded system.
    RaftKv(RaftKvOptions),
    /// Any system that speaks HTTP.
    Http(HttpOptions),
    /// etcd, by its HTTP/JSON gateway.
    Etcd(EtcdOptions),
    /// Redis, with or without Sentinel.
    Redis(RedisOptions),
    /// ZooKeeper.
    Zookeeper(ZookeeperOptions),
    /// PostgreSQL, a primary and its replicas.
    Postgres(PostgresOptions),
    /// A program that is told what to do in JSON lines.
    Program(ProgramOptions),
}

/// What every client of one run has in common.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The run's seed.
    pub seed: u64,
    /// The nodes, in the plan's order, each with the address of its port for clients.
    pub nodes: Arc<[Node]>,
    /// The name of the workload whose operations the clients are to do.
    pub workload: Arc<str>,
    /// How long an operation may take before its outcome is unknown, in milliseconds.
    pub timeout_ms: u64,
    /// Where clients add what is wrong with themselves.
    pub complaints: Complaints,
    /// The folder for what clients that are programs say.
    pub log_folder: PathBuf,
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
            ClientOptions::Etcd(_) => "etcd",
            ClientOptions::Redis(_) => "redis",
            ClientOptions::Zookeeper(_) => "zookeeper",
            ClientOptions::Postgres(_) => "postgres",
            ClientOptions::Program(_) => "program",
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
            ClientOptions::Http(options) => options.operations.contains_key(f),
            _ => true,
        }
    }

    /// Whether it has an operation of a workload that it [serves](ClientOptions::serves), itself or
    /// on keys and values.
    pub fn has(&self, workload: &str, f: &str) -> bool {
        let is_guarded_write = (workload, f) == ("fenced-lock", "write");
        match self {
            ClientOptions::Etcd(_) | ClientOptions::Program(_) => true,
            _ if !self.speaks(workload) => !is_guarded_write,
            ClientOptions::Http(_) => self.does(f),
            _ => !is_guarded_write,
        }
    }

    /// Refuses options that do not do: the field below the client's table, and what is wrong with it.
    ///
    /// # Errors
    /// The first that is found.
    pub fn validate(&self) -> Result<(), (String, String)> {
        match self {
            ClientOptions::Http(options) => options.validate(),
            ClientOptions::Program(options) if options.command.is_empty() => {
                let why = "it is empty (hint: the program and its arguments)";
                Err(("command".to_owned(), why.to_owned()))
            }
            _ => Ok(()),
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
            ClientOptions::Etcd(_) => matches!(
                workload,
                "register" | "kv" | "set" | "append" | "counter" | "lock" | "fenced-lock" | "watch"
            ),
            ClientOptions::Redis(_) => matches!(
                workload,
                "register" | "kv" | "set" | "append" | "queue" | "counter" | "lock"
            ),
            ClientOptions::Zookeeper(_) => matches!(
                workload,
                "register" | "kv" | "set" | "append" | "lock" | "fenced-lock"
            ),
            ClientOptions::Postgres(_) => matches!(
                workload,
                "register" | "kv" | "set" | "append" | "counter" | "bank"
            ),
            ClientOptions::Program(_) => true,
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
            workload,
            timeout_ms,
            complaints,
            log_folder,
        } = setting.clone();
        // What is made of keys and values is theirs to do.
        let data = match self.speaks(&workload) {
            true => workload.parse().unwrap_or(Data::Kv),
            false => Data::Kv,
        };
        Ok(match self.clone() {
            ClientOptions::RaftKv(mut options) => {
                options.timeout_ms = timeout_ms;
                made(move |number| RaftKv::new(seed, number, nodes.clone(), options.clone()))
            }
            ClientOptions::Http(options) => {
                let options = Arc::new(options);
                made(move |number| Http::new(number, &setting, options.clone()))
            }
            ClientOptions::Etcd(mut options) => {
                (options.data, options.timeout_ms) = (data, timeout_ms);
                made(move |number| Etcd::new(seed, number, nodes.clone(), options.clone()))
            }
            ClientOptions::Redis(mut options) => {
                (options.data, options.timeout_ms) = (data, timeout_ms);
                made(move |number| Redis::new(seed, number, nodes.clone(), options.clone()))
            }
            ClientOptions::Zookeeper(mut options) => {
                (options.data, options.timeout_ms) = (data, timeout_ms);
                made(move |number| Zookeeper::new(seed, number, nodes.clone(), options.clone()))
            }
            ClientOptions::Postgres(mut options) => {
                (options.data, options.timeout_ms) = (data, timeout_ms);
                made(move |number| Postgres::new(seed, number, nodes.clone(), options.clone()))
            }
            ClientOptions::Program(options) => made(move |number| {
                let options = ProgramOptions {
                    timeout_ms,
                    workload: workload.clone(),
                    complaints: complaints.clone(),
                    log: Some(log_folder.join(format!("client-{number}.log"))),
                    ..options.clone()
                };
                Program::new(seed, number, nodes.clone(), options)
            }),
        })
    }
}

fn made<C: Client + 'static>(new: impl Fn(u32) -> C + Send + Sync + 'static) -> Box<dyn Factory> {
    Box::new(move |number| -> Box<dyn Client> { Box::new(new(number)) })
}

//! The client of Redis.
//!
//! | data | operation | command |
//! |---|---|---|
//! | register, kv | `read`, `get` | `GET` |
//! | | `write`, `put` | `SET` |
//! | | `cas` | `EVAL` of a script that compares and sets |
//! | kv | `append`, `delete` | `APPEND`, `DEL` |
//! | set | `add`, `read` | `SADD`, `SMEMBERS` |
//! | list | `append`, `read` | `RPUSH`, `LRANGE` |
//! | queue | `enqueue`, `dequeue` | `RPUSH`, `LPOP` |
//! | counter | `add`, `read` | `INCRBY`, `GET` |
//! | lock | `acquire`, `release` | `SET … NX PX`, `EVAL` of a script that compares and deletes |
//!
//! With [`RedisOptions::sentinel_port`] the client asks a Sentinel which node is the master, and
//! keeps to it until something goes wrong; without, it goes from node to node. With
//! [`RedisOptions::wait_replicas`] a change is acknowledged only when `WAIT` says that so many
//! replicas have it. Nothing is ever sent twice. Which errors say that nothing happened is a table
//! in `answer`.

mod answer;
mod resp;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::clients::route::{FAIL_PAUSE_MS, Route};
use crate::clients::tcp::Wire;
use crate::clients::{Class, Data, Node};
use crate::{Client, Completion, Invocation};
use answer::Request;
use resp::Resp;

/// How a client of Redis behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisOptions {
    /// What the keys hold: the workload's business.
    #[serde(skip)]
    pub data: Data,
    /// How long an operation may take before its outcome is unknown, in milliseconds: the plan's
    /// business.
    #[serde(skip)]
    pub timeout_ms: u64,
    /// The port on which a Sentinel listens on every node; nothing where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentinel_port: Option<u16>,
    /// The name under which the Sentinels know the master.
    pub master_name: String,
    /// How many replicas must have a change before it counts as done; 0 for none.
    pub wait_replicas: u32,
    /// For how long a lock is taken, in milliseconds.
    pub lock_ttl_ms: u64,
    /// Whether a connection is kept for the next operation. Without that each operation asks a
    /// Sentinel and connects anew, as programs do that live for one request.
    pub keep_connections: bool,
    /// How long the client waits before it returns after an operation that failed, in milliseconds.
    pub fail_pause_ms: u64,
}

impl Default for RedisOptions {
    fn default() -> Self {
        RedisOptions {
            data: Data::default(),
            timeout_ms: 1_000,
            sentinel_port: None,
            master_name: "mymaster".to_owned(),
            wait_replicas: 0,
            lock_ttl_ms: 10_000,
            keep_connections: true,
            fail_pause_ms: FAIL_PAUSE_MS,
        }
    }
}

/// How long a Sentinel is given to say which node is the master, in milliseconds.
const SENTINEL_TIMEOUT_MS: u64 = 300;

/// A client of Redis.
#[derive(Debug)]
pub struct Redis {
    options: RedisOptions,
    route: Route,
    wire: Option<Wire>,
    /// Under which it holds locks: its process's own.
    mark: String,
    /// The place of the node that a Sentinel called the master.
    master: Option<usize>,
}

impl Redis {
    /// Client number `client` of the run with this seed, for the cluster of these nodes.
    pub fn new(seed: u64, client: u32, nodes: Arc<[Node]>, options: RedisOptions) -> Self {
        Redis {
            route: Route::new(seed, client, nodes, options.fail_pause_ms),
            options,
            wire: None,
            mark: format!("process {client}"),
            master: None,
        }
    }

    async fn operate(&mut self, invocation: &Invocation) -> Completion {
        let (data, ttl_ms) = (self.options.data, self.options.lock_ttl_ms);
        let request = match Request::new(data, invocation, &self.mark, ttl_ms) {
            Ok(request) => request,
            Err(why) => return self.route.refuse(why).await,
        };
        if !self.options.keep_connections {
            (self.wire, self.master) = (None, None);
        }
        let until = Instant::now() + Duration::from_millis(self.options.timeout_ms);
        let place = match self.choose(until).await {
            Ok(place) => place,
            Err(why) => return self.route.refuse(why).await,
        };
        let mut class = self.request(place, &request, until).await;
        if request.is_read() {
            class = class.of_a_read();
        }
        if !matches!(class, Class::Done(_)) {
            self.master = None;
        }
        self.route.complete(place, class).await
    }

    /// The place of the node to ask.
    async fn choose(&mut self, until: Instant) -> Result<usize, String> {
        let (first, _) = self.route.next().ok_or("no nodes")?;
        let Some(port) = self.options.sentinel_port else {
            return Ok(first);
        };
        if let Some(master) = self.master {
            return Ok(master);
        }
        let nodes = self.route.nodes();
        let mut why = String::new();
        for place in (0..nodes.len()).map(|step| (first + step) % nodes.len()) {
            let limit = Instant::now() + Duration::from_millis(SENTINEL_TIMEOUT_MS);
            let sentinel = SocketAddr::new(nodes[place].address.ip(), port);
            let name = &self.options.master_name;
            match master_of(sentinel, name, until.min(limit)).await {
                Ok(address) => {
                    let found = nodes.iter().position(|node| node.address == address);
                    let found = found.ok_or_else(|| {
                        format!("a Sentinel calls {address} the master, where no node is")
                    })?;
                    self.master = Some(found);
                    return Ok(found);
                }
                Err(error) => why = format!("{}: {error}", nodes[place].name),
            }
        }
        Err(format!("no Sentinel says which node is the master: {why}"))
    }

    /// Sends the request to the node at this place. The connection is kept only after a whole
    /// answer.
    async fn request(&mut self, place: usize, request: &Request, until: Instant) -> Class {
        let address = self.route.nodes()[place].address;
        let kept = self.wire.take();
        let kept = kept.filter(|wire| wire.address == address && wire.is_idle());
        let mut wire = match kept {
            Some(wire) => wire,
            None => match Wire::open(address, until).await {
                Ok(wire) => wire,
                Err(why) => return Class::NotDone(why),
            },
        };
        let parts: Vec<&str> = request.parts.iter().map(String::as_str).collect();
        let answer = match exchange(&mut wire, &parts, until).await {
            Ok(answer) => answer,
            Err(why) => return Class::Unknown(why),
        };
        let mut class = request.understand(&answer);
        let wanted = self.options.wait_replicas;
        if wanted > 0 && !request.is_read() && matches!(class, Class::Done(_)) {
            let rest_ms = until.saturating_duration_since(Instant::now()).as_millis();
            // 0 would mean for ever.
            let (wanted_text, rest) = (wanted.to_string(), rest_ms.max(1).to_string());
            match exchange(&mut wire, &["WAIT", &wanted_text, &rest], until).await {
                Ok(answer) => class = answer::waited(class, &answer, wanted),
                Err(why) => return Class::Unknown(format!("done by the master, then: {why}")),
            }
        }
        self.wire = Some(wire);
        class
    }
}

impl Client for Redis {
    fn open(&mut self, process: u64) {
        self.wire = None;
        self.master = None;
        self.mark = format!("process {process}");
    }

    fn invoke<'a>(
        &'a mut self,
        invocation: &'a Invocation,
    ) -> Pin<Box<dyn Future<Output = Completion> + Send + 'a>> {
        Box::pin(self.operate(invocation))
    }
}

async fn exchange(wire: &mut Wire, parts: &[&str], until: Instant) -> Result<Resp, String> {
    wire.send(&resp::command(parts), until).await?;
    wire.receive(until, resp::parse).await
}

/// Which node the Sentinel at this address calls the master.
async fn master_of(sentinel: SocketAddr, name: &str, until: Instant) -> Result<SocketAddr, String> {
    let mut wire = Wire::open(sentinel, until).await?;
    let parts = ["SENTINEL", "get-master-addr-by-name", name];
    let answer = exchange(&mut wire, &parts, until).await?;
    let address = match &answer {
        Resp::Array(parts) => match parts.as_slice() {
            [Resp::Bulk(ip), Resp::Bulk(port)] => {
                let ip = std::str::from_utf8(ip).ok().and_then(|ip| ip.parse().ok());
                let port = std::str::from_utf8(port).ok();
                ip.zip(port.and_then(|port| port.parse().ok()))
            }
            _ => None,
        },
        Resp::Nil => return Err(format!("it knows no master {name:?}")),
        _ => None,
    };
    address
        .map(|(ip, port): (IpAddr, u16)| SocketAddr::new(ip, port))
        .ok_or_else(|| format!("unexpected answer {answer:?}"))
}

//! What the tests of every client use.

mod daemon;
pub mod wire;

pub use daemon::{Daemon, free_ports, program};

use std::net::SocketAddr;
use std::sync::Arc;

use histories::Value;
use tokio::net::TcpListener;

use crate::clients::Node;
use crate::{Completion, Invocation, Outcome};

/// Longer than any test runs: nothing ends by it.
pub const NEVER_MS: u64 = 60_000;

/// Nodes n1, n2, … at these addresses.
pub fn nodes(addresses: &[SocketAddr]) -> Arc<[Node]> {
    let node = |(place, &address): (usize, &SocketAddr)| {
        let name = format!("n{}", place + 1).into();
        Node { name, address }
    };
    addresses.iter().enumerate().map(node).collect()
}

/// An operation on the key `k`.
pub fn invocation(f: &str, value: impl Into<Value>) -> Invocation {
    Invocation {
        f: f.into(),
        key: Some("k".into()),
        value: value.into(),
    }
}

/// A pair, as a compare-and-set takes it.
pub fn pair(old: impl Into<Value>, new: impl Into<Value>) -> Value {
    Value::List(vec![old.into(), new.into()])
}

/// An address where nobody listens.
pub async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free loopback port");
    listener.local_addr().expect("it is bound")
}

/// A completion as `ok VALUE`, `fail WHY` or `info WHY`, with the path where there is one.
pub fn short(completion: &Completion) -> String {
    let error = completion.error.as_deref().unwrap_or_default();
    let path = completion.path.join(" ");
    let path = if path.is_empty() {
        path
    } else {
        format!(" via {path}")
    };
    match &completion.outcome {
        Outcome::Ok(value) => format!("ok {value}{path}"),
        Outcome::Fail => format!("fail {error}{path}"),
        Outcome::Info => format!("info {error}{path}"),
    }
}

//! Prolonging a lease in the background.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::request;
use crate::clients::http::Line;

/// Prolongs a lease until it is dropped.
#[derive(Debug)]
pub(super) struct Keeper(JoinHandle<()>);

impl Keeper {
    /// Prolongs this lease of so many seconds, at this node, three times in its time. What the node
    /// answers changes nothing: whether the lock is still held shows when it is given back.
    pub fn start(address: SocketAddr, lease: i64, ttl_s: u64) -> Self {
        let pause = Duration::from_secs(ttl_s) / 3;
        Keeper(tokio::spawn(async move {
            let mut line = Line::default();
            let request = request::post("lease/keepalive", &request::lease(lease));
            loop {
                sleep(pause).await;
                line.exchange(address, &request, Instant::now() + pause)
                    .await;
            }
        }))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

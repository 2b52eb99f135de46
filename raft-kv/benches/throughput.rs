//! Operations per second of five real nodes on loopback, with ten clients that each wait for
//! their answer before they ask again: half reads, half writes of sixteen keys.
//!
//! `cargo bench -p raft-kv --bench throughput`

#[expect(
    clippy::unwrap_used,
    reason = "a bench that cannot start its nodes has nothing to say"
)]
#[path = "../tests/it/support.rs"]
mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Client, Cluster};

const CLIENTS: u64 = 10;
const KEYS: u64 = 16;
const TIME: Duration = Duration::from_secs(5);

fn main() {
    let cluster = Cluster::start(5, &[]);
    let leader = cluster.leader();
    let address = cluster.address(&leader);
    for (name, writes_of_100) in [("reads", 0), ("half and half", 50), ("writes", 100)] {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| std::thread::spawn(move || drive(address, number, writes_of_100)))
            .collect();
        let mut latencies_us: Vec<u128> = clients
            .into_iter()
            .flat_map(|client| client.join().unwrap_or_default())
            .collect();
        latencies_us.sort_unstable();
        let count = latencies_us.len();
        let at = |part: usize| latencies_us.get(count * part / 100).copied().unwrap_or(0);
        println!(
            "{name}: {:.0} operations/s, median {} us, 99th percentile {} us",
            count as f64 / TIME.as_secs_f64(),
            at(50),
            at(99)
        );
    }
    let status = cluster.status(&leader);
    println!("status of {leader} of {:?}: {status:?}", cluster.nodes);
}

/// Asks for `TIME` and returns how long each operation took.
fn drive(address: SocketAddr, number: u64, writes_of_100: u64) -> Vec<u128> {
    let mut client = Client::connect(address).expect("the leader answers on its client port");
    let (started, mut latencies_us, mut step) = (Instant::now(), Vec::new(), number * 7919);
    while started.elapsed() < TIME {
        step = step
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let path = format!("/kv/k{}", (step >> 33) % KEYS);
        let asked = Instant::now();
        let answer = match (step >> 40) % 100 < writes_of_100 {
            true => client.send(
                "PUT",
                &path,
                Some(&json!({ "value": step.to_string() })),
                &[],
            ),
            false => client.send("GET", &path, None, &[]),
        };
        if answer.is_ok_and(|answer| answer.status == 200) {
            latencies_us.push(asked.elapsed().as_micros());
        }
    }
    latencies_us
}

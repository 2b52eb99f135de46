//! What the network does to packets, as processes on it see it.

mod capture;
mod connections;
mod corruption;
mod cuts;
mod probe;
mod treatments;

pub use capture::*;
pub use connections::*;
pub use corruption::*;
pub use cuts::*;
pub use treatments::*;

use cluster::{Backend, Cluster, NetworkSpec};
use faults::{Link, Rule, RuleCounts, Target, Treatment};

use crate::inside::link;
use crate::support::{Started, eventually};
use probe::Probe;

const CUT: Treatment = Treatment::Cut { flap_period_ms: 0 };

fn rule(fault: u64, links: &[Link], treatment: Treatment) -> Rule {
    Rule {
        fault,
        links: links.to_vec(),
        ports: Vec::new(),
        treatment,
    }
}

/// A network that draws from this seed.
fn seeded(seed: u64) -> NetworkSpec {
    NetworkSpec {
        seed,
        ..NetworkSpec::default()
    }
}

/// Runs a test on the switch, and on the bridge where there is one.
fn on_both_backends(nodes: &[&str], test: impl Fn(&Cluster)) {
    for backend in [Backend::Switch, Backend::Bridge] {
        let started = Started::on(
            NetworkSpec {
                backend,
                ..NetworkSpec::default()
            },
            nodes,
        );
        match &started.cluster {
            Ok(cluster) => test(cluster),
            Err(error) if backend == Backend::Bridge && error.to_string().contains("nft") => {
                assert!(std::env::var_os("CI").is_none(), "{error}");
                println!("skipped on the bridge: {error}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn n1_to_n2() -> Vec<Link> {
    vec![link("n1", "n2")]
}

/// Sets one treatment of the link from n1 to n2, as fault 1, and sends datagrams on it.
fn treated(seed: u64, treatment: Treatment, count: u32) -> (Started, Probe, RuleCounts) {
    let started = Started::on(seeded(seed), &["n1", "n2"]);
    let cluster = started.cluster();
    let mut probe = Probe::new(cluster, "n1", "n2");
    let network = cluster.network().unwrap();
    network
        .set_rules(&[rule(1, &n1_to_n2(), treatment)])
        .unwrap();
    probe.send(count, 16);
    let counts = || network.counts(1);
    eventually("the switch has seen every packet", || {
        counts().packets == u64::from(count)
    });
    let counts = counts();
    (started, probe, counts)
}

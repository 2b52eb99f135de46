//! Packets that are corrupted, with checksums that tell or do not.

use std::fs;
use std::io::Write;
use std::thread;

use cluster::Cluster;
use faults::{Checksums, Target, Treatment};

use super::{n1_to_n2, rule, treated};
use crate::inside::{connect, receive};

/// How many datagrams a host's kernel received, and how many it found damaged: by their checksum, or
/// before that by their length.
fn received_and_damaged(cluster: &Cluster, host: &str) -> (u64, u64) {
    let host = cluster.packet_network().unwrap().entrance(host).unwrap();
    let text = host
        .run(|| fs::read_to_string("/proc/thread-self/net/snmp").unwrap())
        .unwrap();
    let mut rows = text.lines().filter(|line| line.starts_with("Udp:"));
    let (names, values) = (rows.next().unwrap(), rows.next().unwrap());
    let fields: Vec<(&str, &str)> = names.split(' ').zip(values.split(' ')).collect();
    let field = |name: &str| -> u64 {
        let (_, value) = fields.iter().find(|(field, _)| *field == name).unwrap();
        value.parse().unwrap()
    };
    (field("InDatagrams"), field("InErrors"))
}

/// A megabyte there and back, as it came back.
fn echoed(cluster: &Cluster, sent: &[u8]) -> Vec<u8> {
    let mut stream = connect(cluster, "n1", "n2");
    let mut sender = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| sender.write_all(sent).unwrap());
        receive(&mut stream, sent.len())
    })
}

pub fn the_receiver_drops_corrupted_packets() {
    let corrupt = |permille| Treatment::Corrupt {
        permille,
        checksums: Checksums::Wrong,
    };
    let (started, probe, counts) = treated(7, corrupt(500), 200);
    let cluster = started.cluster();
    assert!((60..140).contains(&counts.affected), "{counts:?}");
    probe.receive(200 - counts.affected);
    assert_eq!(
        received_and_damaged(cluster, "n2"),
        (200 - counts.affected, counts.affected)
    );

    // TCP sends again what was dropped, and nobody gets a wrong byte.
    let network = cluster.network().unwrap();
    network
        .set_rules(&[rule(2, &n1_to_n2(), corrupt(50))])
        .unwrap();
    let sent: Vec<u8> = (0..100_000_u32).map(|at| (at >> 3) as u8).collect();
    assert!(echoed(cluster, &sent) == sent);
    assert!(network.counts(2).affected > 0);
}

pub fn the_application_gets_corrupted_packets_with_good_checksums() {
    let corrupt = |permille| Treatment::Corrupt {
        permille,
        checksums: Checksums::Repaired,
    };
    let (started, probe, counts) = treated(8, corrupt(1_000), 100);
    let cluster = started.cluster();
    assert_eq!(counts.affected, 100);
    for ((_, bytes), number) in probe.receive(100).iter().zip(0_u32..) {
        let mut sent = number.to_be_bytes().to_vec();
        sent.resize(16, 0x55);
        let bits = bytes
            .iter()
            .zip(&sent)
            .map(|(is, was)| (is ^ was).count_ones());
        assert_eq!(bits.sum::<u32>(), 1, "{number}");
    }
    assert_eq!(received_and_damaged(cluster, "n2"), (100, 0));

    let network = cluster.network().unwrap();
    network
        .set_rules(&[rule(2, &n1_to_n2(), corrupt(500))])
        .unwrap();
    let sent: Vec<u8> = (0..100_000_u32).map(|at| (at >> 3) as u8).collect();
    let wrong = echoed(cluster, &sent);
    let bits = sent
        .iter()
        .zip(&wrong)
        .map(|(was, is)| (was ^ is).count_ones());
    let bits = u64::from(bits.sum::<u32>());
    // A segment that was sent again may have been corrupted twice, and counted once too often.
    assert!(bits > 0 && bits <= network.counts(2).affected, "{bits}");
}

//! Packets that are lost, late, doubled, overtaken, or wait for a slow link.

use std::collections::BTreeSet;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use faults::{Delays, Distribution, Target, Treatment};

use super::probe::Probe;
use super::{n1_to_n2, rule, seeded, treated};
use crate::inside::{connect, link, receive};
use crate::support::{Started, eventually};

pub fn losses_are_those_of_the_seed() {
    let lost = |seed, correlation_permille| {
        let treatment = Treatment::Lose {
            permille: 300,
            correlation_permille,
        };
        let (_started, probe, counts) = treated(seed, treatment, 500);
        let arrived = probe.numbers(500 - counts.affected);
        let arrived: BTreeSet<u32> = arrived.into_iter().collect();
        (0..500)
            .filter(|number| !arrived.contains(number))
            .collect::<Vec<u32>>()
    };
    let first = lost(1, 0);
    // Six standard deviations.
    assert!((90..210).contains(&first.len()), "{}", first.len());
    assert_eq!(lost(1, 0), first, "the same seed, the same losses");
    assert_ne!(lost(2, 0), first);
    let runs = |lost: &[u32]| {
        lost.windows(2)
            .filter(|pair| pair[1] == pair[0] + 1)
            .count()
    };
    let in_runs = lost(1, 900);
    assert!(
        runs(&in_runs) * 10 > in_runs.len() * 8 && runs(&first) * 10 < first.len() * 5,
        "{in_runs:?}"
    );
}

fn delays(mean_ms: u64, jitter_ms: u64, keep_order: bool) -> Treatment {
    Treatment::Delay(Delays {
        mean_us: mean_ms * 1_000,
        jitter_us: jitter_ms * 1_000,
        distribution: Distribution::Uniform,
        correlation_permille: 0,
        keep_order,
    })
}

pub fn delays_hold_packets_and_nobody_else() {
    let started = Started::on(seeded(3), &["n1", "n2"]);
    let cluster = started.cluster();
    let network = cluster.network().unwrap();
    let slow = rule(1, &n1_to_n2(), delays(80, 0, true));
    let slower = rule(2, &n1_to_n2(), delays(40, 0, true));
    network.set_rules(&[slow.clone(), slower]).unwrap();
    let mut probe = Probe::new(cluster, "n1", "n2");
    let mut back = Probe::new(cluster, "n2", "n1");
    let sent = Instant::now();
    probe.send(20, 16);
    back.send(20, 16);
    let came_back = back.receive(20);
    let arrived = probe.receive(20);
    let earliest = arrived.iter().map(|(at, _)| *at).min().unwrap();
    assert!(
        earliest - sent >= Duration::from_millis(120),
        "{:?}",
        earliest - sent
    );
    let link = cluster.packet_network().unwrap();
    assert_eq!(link.counts(&n1_to_n2()[0]).unwrap().held, 20);
    assert_eq!(link.counts(&self::link("n2", "n1")).unwrap().held, 0);
    assert_eq!(came_back.len(), 20);
    assert_eq!(
        (network.counts(1).held_us, network.counts(2).held_us),
        (1_600_000, 800_000)
    );

    // What is held when the fault is healed goes on at once.
    network
        .set_rules(&[rule(3, &n1_to_n2(), delays(3_600_000, 0, true))])
        .unwrap();
    probe.send(5, 16);
    eventually("they are held", || network.counts(3).packets == 5);
    network.set_rules(&[]).unwrap();
    assert_eq!(probe.numbers(5), [20, 21, 22, 23, 24]);

    // Connections stand it: a round trip is a delay longer.
    network.set_rules(&[slow]).unwrap();
    let begin = Instant::now();
    let mut stream = connect(cluster, "n1", "n2");
    stream.write_all(b"ping").unwrap();
    assert_eq!(receive(&mut stream, 4), b"ping");
    assert!(begin.elapsed() >= Duration::from_millis(160));
}

pub fn jitter_reorders_unless_order_is_kept() {
    for keep_order in [false, true] {
        let (started, probe, counts) = treated(4, delays(30, 30, keep_order), 200);
        let arrived = probe.numbers(200);
        assert_eq!(arrived.is_sorted(), keep_order);
        let overtaken = (1..200).filter(|at| arrived[..*at].iter().max() > Some(&arrived[*at]));
        let network = started.cluster().packet_network().unwrap();
        let reordered = network.counts(&n1_to_n2()[0]).unwrap().reordered;
        assert_eq!(reordered, overtaken.count() as u64);
        assert!(counts.affected > 190);
    }
}

pub fn duplicates_arrive_twice() {
    for apart_us in [0, 30_000] {
        let treatment = Treatment::Duplicate {
            permille: 400,
            apart_us,
        };
        let (_started, probe, counts) = treated(5, treatment, 300);
        assert!((80..160).contains(&counts.affected), "{counts:?}");
        let mut arrived = probe.numbers(300 + counts.affected);
        arrived.sort_unstable();
        let twice = arrived.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert_eq!(twice as u64, counts.affected);
        arrived.dedup();
        assert_eq!(arrived, (0..300).collect::<Vec<_>>());
    }
}

pub fn held_packets_are_overtaken() {
    let treatment = Treatment::Reorder {
        permille: 100,
        hold_us: 20_000,
    };
    let (started, probe, counts) = treated(6, treatment, 300);
    let arrived = probe.numbers(300);
    let overtaken = (1..300).filter(|at| arrived[..*at].iter().max() > Some(&arrived[*at]));
    let overtaken = overtaken.count() as u64;
    assert!(overtaken > 0 && overtaken <= counts.affected);
    let network = started.cluster().network().unwrap();
    assert_eq!(network.counts(1).overtaken, overtaken);
}

pub fn a_speed_limit_lets_packets_wait_and_overflow() {
    // A datagram of 458 bytes is a frame of 500: 40 ms at 100 kbit/s.
    let started = Started::on(seeded(9), &["n1", "n2"]);
    let cluster = started.cluster();
    let network = cluster.network().unwrap();
    let limit = Treatment::Limit {
        kbit_per_s: 100,
        queue_ms: 100,
    };
    network.set_rules(&[rule(1, &n1_to_n2(), limit)]).unwrap();
    let mut probe = Probe::new(cluster, "n1", "n2");
    let sent = Instant::now();
    probe.send(30, 458);
    eventually("the switch has seen every packet", || {
        network.counts(1).packets == 30
    });
    let counts = network.counts(1);
    let passed = 30 - counts.overflowed;
    // Three fit the queue; a slow machine may have emptied it meanwhile.
    assert!(counts.overflowed > 0 && passed >= 3, "{counts:?}");
    let arrived = probe.receive(passed);
    let last = arrived.last().unwrap().0;
    assert!(last - sent >= Duration::from_millis(40) * passed as u32);
}

pub fn bulk_transfers_are_real_packets_once_packets_are_treated() {
    let started = Started::on(seeded(10), &["n1", "n2"]);
    let cluster = started.cluster();
    let network = cluster.network().unwrap();
    let sent = vec![7; 1_000_000];
    let forwarded = || {
        let counts = cluster.packet_network().unwrap().counts(&n1_to_n2()[0]);
        counts.unwrap().forwarded
    };
    // A connection from before is cut up too.
    let mut stream = connect(cluster, "n1", "n2");
    let mut transfer = || {
        let before = forwarded();
        let mut sender = stream.try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| sender.write_all(&sent).unwrap());
            receive(&mut stream, sent.len());
        });
        forwarded() - before
    };
    let whole = transfer();
    let other = [link("n2", "n1")];
    network
        .set_rules(&[rule(1, &other, delays(1, 0, true))])
        .unwrap();
    let packets = transfer();
    // 1500 bytes less headers.
    assert!(
        packets >= 1_000_000 / 1_460,
        "{packets}, and {whole} before"
    );
    assert!(whole < packets, "{packets}, and {whole} before");
}

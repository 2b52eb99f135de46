//! What the network does to packets, as processes on it see it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use cluster::network::CONTROL;
use cluster::{Backend, CaptureSpec, Cluster, NetworkSpec};
use faults::{
    CLIENTS, Checksums, Delays, Direction, Distribution, Link, Name, NetworkAbility, Rule,
    RuleCounts, Shape, Target, Treatment,
};

use crate::inside::{check_datagram, connect, link, receive, udp};
use crate::support::{LIMIT, PORT, Started, eventually};

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

pub fn a_cut_is_one_way_and_reaches_established_connections() {
    on_both_backends(&["n1", "n2", "n3"], |cluster| {
        let network = cluster.network().unwrap();
        let mut stream = connect(cluster, CLIENTS, "n1");
        let mut bystander = connect(cluster, CLIENTS, "n2");
        let (there, back) = (link(CLIENTS, "n1"), link("n1", CLIENTS));
        let (client, node) = (udp(cluster, CLIENTS), udp(cluster, "n1"));
        let both = vec![there.clone(), back.clone()];
        for (fault, cuts) in (1..).zip([vec![there.clone()], vec![back.clone()], both]) {
            network.set_rules(&[rule(fault, &cuts, CUT)]).unwrap();
            stream.write_all(b"through").unwrap();
            eventually("packets are dropped", || network.counts(fault).affected > 0);
            stream
                .set_read_timeout(Some(Duration::from_millis(100)))
                .unwrap();
            let error = stream.read(&mut [0; 1]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{cuts:?}");
            bystander.write_all(b"ping").unwrap();
            assert_eq!(receive(&mut bystander, 4), b"ping");
            check_datagram(&client, &node, !cuts.contains(&there));
            check_datagram(&node, &client, !cuts.contains(&back));

            network.set_rules(&[]).unwrap();
            let healed = network.counts(fault);
            assert_eq!(receive(&mut stream, 7), b"through", "after {cuts:?}");
            check_datagram(&client, &node, true);
            check_datagram(&node, &client, true);
            assert_eq!(network.counts(fault), healed);
        }
    });
}

pub fn only_links_that_exist_can_be_cut() {
    on_both_backends(&["n1", "n2"], |cluster| {
        let network = cluster.network().unwrap();
        network
            .set_rules(&[rule(1, &[link("n1", "n2")], CUT)])
            .unwrap();
        for (from, to) in [
            ("n1", "n9"),
            ("n9", "n1"),
            ("n1", CONTROL),
            (CONTROL, "n1"),
            ("n1", "n1"),
        ] {
            let links = [link("n2", "n1"), link(from, to)];
            let refused = network.set_rules(&[rule(2, &links, CUT)]).unwrap_err();
            assert!(refused.to_string().contains("link"), "{refused}");
        }
        // A refused table changes nothing: the first cut stands, the second never was.
        let (one, two) = (udp(cluster, "n1"), udp(cluster, "n2"));
        check_datagram(&one, &two, false);
        check_datagram(&two, &one, true);
        let mut control = connect(cluster, CONTROL, "n1");
        control.write_all(b"ping").unwrap();
        assert_eq!(receive(&mut control, 4), b"ping");
    });
}

/// Sends a datagram on every link. Those that are cut are counted, exactly, and all others arrive.
pub fn every_shape_of_a_partition_cuts_what_it_says() {
    let names = ["n1", "n2", "n3", "n4", "n5"];
    on_both_backends(&names, |cluster| {
        let network = cluster.network().unwrap();
        let order: Vec<Name> = names.map(Name::from).to_vec();
        let sockets: Vec<(Name, UdpSocket)> = [&names[..], &[CLIENTS]]
            .concat()
            .into_iter()
            .map(|name| (Name::from(name), udp(cluster, name)))
            .collect();
        let mut fault = 0;
        for shape in Shape::ALL {
            for direction in Direction::ALL {
                fault += 1;
                let mut cuts = shape.cuts(*direction, &order, Some("n3"));
                // And one between a client and a node.
                cuts.push(link(CLIENTS, "n2"));
                network.set_rules(&[rule(fault, &cuts, CUT)]).unwrap();
                let arrived = exchange(&sockets, || network.counts(fault).affected);
                let all = sockets.iter().flat_map(|(from, _)| {
                    let others = sockets.iter().filter(move |(to, _)| from != to);
                    others.map(move |(to, _)| link(from, to))
                });
                let expected: BTreeSet<Link> = all.filter(|link| !cuts.contains(link)).collect();
                assert_eq!(arrived, expected, "{shape} {direction}");
            }
        }
        network.set_rules(&[]).unwrap();
        assert_eq!(exchange(&sockets, || 0).len(), 6 * 5);
    });
}

/// The links on which a datagram arrived of one sent on each; all others were dropped and counted.
fn exchange(sockets: &[(Name, UdpSocket)], dropped: impl Fn() -> u64) -> BTreeSet<Link> {
    let mut sent = 0;
    for (from, sender) in sockets {
        for (to, receiver) in sockets.iter().filter(|(to, _)| to != from) {
            let address = receiver.local_addr().unwrap();
            sender
                .send_to(from.as_bytes(), address)
                .unwrap_or_else(|error| {
                    panic!("a cut must be silent, but {from} to {to}: {error}");
                });
            sent += 1;
        }
    }
    let mut arrived = BTreeSet::new();
    eventually("every datagram has arrived or been counted", || {
        for (to, socket) in sockets {
            socket.set_nonblocking(true).unwrap();
            let mut buffer = [0; 16];
            while let Ok(length) = socket.recv(&mut buffer) {
                let from = std::str::from_utf8(&buffer[..length]).unwrap();
                assert!(arrived.insert(link(from, to)), "twice from {from} to {to}");
            }
        }
        arrived.len() as u64 + dropped() == sent
    });
    arrived
}

pub fn a_cut_can_be_of_a_port() {
    on_both_backends(&["n1", "n2"], |cluster| {
        let network = cluster.network().unwrap();
        let sockets = ["n1", "n1", "n2", "n2"].map(|node| udp(cluster, node));
        let [here, other, there, elsewhere] = &sockets;
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let of_port = |fault, port| Rule {
            ports: vec![1, port],
            ..rule(fault, &[link("n1", "n2")], CUT)
        };
        network.set_rules(&[of_port(1, port(there))]).unwrap();
        check_datagram(here, there, false);
        check_datagram(here, elsewhere, true);
        check_datagram(there, here, true);
        network.set_rules(&[of_port(2, port(here))]).unwrap();
        check_datagram(here, elsewhere, false);
        check_datagram(other, elsewhere, true);
        network.set_rules(&[of_port(3, PORT)]).unwrap();
        check_datagram(here, there, true);
        let address = cluster.addresses().of("n2").unwrap();
        let host = cluster.packet_network().unwrap().entrance("n1").unwrap();
        let limit = Duration::from_millis(100);
        let connect = || TcpStream::connect_timeout(&(address, PORT).into(), limit);
        let refused = host.run(connect).unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TimedOut);
        assert_eq!([1, 2].map(|fault| network.counts(fault).affected), [1, 1]);
        assert!(network.counts(3).affected >= 1);
    });
}

pub fn a_cut_can_flap() {
    on_both_backends(&["n1", "n2"], |cluster| {
        let network = cluster.network().unwrap();
        let (from, to) = (udp(cluster, "n1"), udp(cluster, "n2"));
        to.set_nonblocking(true).unwrap();
        let flapping = Treatment::Cut {
            flap_period_ms: 100,
        };
        let links = [link("n1", "n2")];
        network.set_rules(&[rule(1, &links, flapping)]).unwrap();
        let address = to.local_addr().unwrap();
        let (mut sent, mut arrived, mut dropped) = (0, 0, 0);
        // It begins down.
        let (mut was_dropped, mut changes) = (true, 0);
        eventually("the link goes up and down and up and down", || {
            let before = dropped;
            from.send_to(b"x", address).unwrap();
            sent += 1;
            eventually("it is counted or arrives", || {
                arrived += u64::from(to.recv(&mut [0; 1]).is_ok());
                dropped = network.counts(1).affected;
                arrived + dropped == sent
            });
            let is_dropped = dropped > before;
            changes += usize::from(is_dropped != was_dropped);
            was_dropped = is_dropped;
            changes >= 4
        });
    });
}

/// Numbered datagrams from one node to another, received by a thread of their own.
struct Probe {
    from: UdpSocket,
    to: SocketAddr,
    received: Receiver<(Instant, Vec<u8>)>,
    sent: u32,
}

impl Probe {
    fn new(cluster: &Cluster, from: &str, to: &str) -> Self {
        let socket = udp(cluster, to);
        let address = socket.local_addr().unwrap();
        let (sender, received) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok(length) = socket.recv(&mut buffer) {
                if sender
                    .send((Instant::now(), buffer[..length].to_vec()))
                    .is_err()
                {
                    break;
                }
            }
        });
        Probe {
            from: udp(cluster, from),
            to: address,
            received,
            sent: 0,
        }
    }

    /// Sends so many datagrams of this size, each beginning with its number.
    fn send(&mut self, count: u32, bytes: usize) {
        for _ in 0..count {
            let mut datagram = self.sent.to_be_bytes().to_vec();
            datagram.resize(bytes, 0x55);
            self.from.send_to(&datagram, self.to).unwrap();
            self.sent += 1;
            // Not faster than anyone can receive.
            if self.sent.is_multiple_of(64) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// The next so many datagrams to arrive, and no more of them come within a while.
    fn receive(&self, count: u64) -> Vec<(Instant, Vec<u8>)> {
        let next = |_| self.received.recv_timeout(LIMIT).unwrap();
        let received: Vec<_> = (0..count).map(next).collect();
        let more = self.received.recv_timeout(Duration::from_millis(50));
        assert!(more.is_err(), "more than {count} arrived");
        received
    }

    fn numbers(&self, count: u64) -> Vec<u32> {
        self.receive(count)
            .iter()
            .map(|(_, bytes)| number(bytes))
            .collect()
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
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

pub fn new_connections_are_refused() {
    let outcomes = |permille| {
        let started = Started::on(seeded(11), &["n1", "n2"]);
        let cluster = started.cluster();
        let network = cluster.network().unwrap();
        let mut old = connect(cluster, "n1", "n2");
        network
            .set_rules(&[rule(1, &n1_to_n2(), Treatment::Refuse { permille })])
            .unwrap();
        let host = cluster.packet_network().unwrap().entrance("n1").unwrap();
        let address = cluster.addresses().of("n2").unwrap();
        let outcomes: Vec<bool> = (0..40)
            .map(
                |_| match host.run(|| TcpStream::connect((address, PORT))).unwrap() {
                    Ok(_) => false,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                        true
                    }
                },
            )
            .collect();
        let refused = outcomes.iter().filter(|refused| **refused).count() as u64;
        let counts = network.counts(1);
        assert_eq!((counts.packets, counts.affected), (40, refused));
        old.write_all(b"ping").unwrap();
        assert_eq!(receive(&mut old, 4), b"ping", "what exists goes on");
        network.set_rules(&[]).unwrap();
        drop(connect(cluster, "n1", "n2"));
        outcomes
    };
    assert_eq!(outcomes(1_000), [true; 40]);
    let some = outcomes(500);
    assert!(some.contains(&true) && some.contains(&false));
    assert_eq!(outcomes(500), some, "the same seed refuses the same");
}

pub fn live_connections_are_reset() {
    on_both_backends(&["n1", "n2", "n3"], |cluster| {
        let network = cluster.network().unwrap();
        if let Err(unavailable) = network.can(NetworkAbility::ResetConnections) {
            assert!(unavailable.to_string().contains("end a TCP connection"));
            println!("skipped: {unavailable}");
            return;
        }
        let mut connections = [("n1", "n2"), ("n1", "n2"), ("n2", "n1"), (CLIENTS, "n1")]
            .map(|(from, to)| connect(cluster, from, to));
        let mut bystander = connect(cluster, "n2", "n3");
        for stream in &mut connections {
            stream.write_all(b"ping").unwrap();
            receive(stream, 4);
        }
        let reset = |node: &str, others: &[&str], ports: &[u16]| {
            let others: Vec<Name> = others.iter().copied().map(Name::from).collect();
            let evidence = network.reset_connections(node, &others, ports).unwrap();
            evidence.get("reset").unwrap().as_int().unwrap()
        };
        assert_eq!(reset("n1", &["n3"], &[]), 0);
        assert_eq!(reset("n1", &["n2"], &[1]), 0);
        assert_eq!(reset("n1", &["n2"], &[PORT]), 3);
        let (between_nodes, of_clients) = connections.split_at_mut(3);
        for stream in between_nodes {
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let error = stream.read(&mut [0]).unwrap_err();
            let kinds = [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset];
            assert!(kinds.contains(&error.kind()), "{error}");
        }
        let again = &mut of_clients[0];
        again.write_all(b"ping").unwrap();
        assert_eq!(receive(again, 4), b"ping");
        assert_eq!(reset("n1", &[CLIENTS], &[]), 1);
        assert!(again.read(&mut [0]).is_err());
        bystander.write_all(b"ping").unwrap();
        assert_eq!(receive(&mut bystander, 4), b"ping");
        let mut fresh = connect(cluster, "n1", "n2");
        fresh.write_all(b"ping").unwrap();
        assert_eq!(receive(&mut fresh, 4), b"ping");
        assert!(network.reset_connections("n9", &[], &[]).is_err());
    });
}

pub fn a_capture_has_every_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture.pcapng");
    let spec = NetworkSpec {
        capture: Some(CaptureSpec {
            path: path.clone(),
            frame_bytes_max: 60,
        }),
        ..seeded(12)
    };
    let started = Started::on(spec, &["n1", "n2"]);
    let cluster = started.cluster();
    let network = cluster.network().unwrap();
    let mut probe = Probe::new(cluster, "n1", "n2");
    probe.send(3, 100);
    probe.receive(3);
    network.set_rules(&[rule(1, &n1_to_n2(), CUT)]).unwrap();
    probe.send(2, 100);
    eventually("they are dropped", || network.counts(1).affected == 2);
    // The address that nobody else sends to.
    let port = probe.to.port();
    let needle = port.to_be_bytes();
    let frames = |bytes: &[u8]| {
        let mut blocks = Vec::new();
        let mut at = 0;
        while let Some(head) = bytes.get(at..at + 8) {
            let length = u32::from_ne_bytes(head[4..8].try_into().unwrap()) as usize;
            let Some(block) = bytes.get(at..at + length) else {
                break;
            };
            // A frame, with the port where UDP has its destination.
            if head[0] == 6 && block.get(28 + 36..28 + 38) == Some(&needle) {
                let text = String::from_utf8_lossy(block);
                blocks.push((block[8], text.contains("cut n1 to n2")));
            }
            at += length;
        }
        blocks
    };
    let is_written = || frames(&fs::read(&path).unwrap()).len() == 5;
    eventually("all is written", is_written);
    let bytes = fs::read(&path).unwrap();
    let mut expected = vec![(0, false); 3];
    expected.extend([(1, true); 2]);
    assert_eq!(frames(&bytes), expected);
    // A torn tail costs the torn frame.
    assert!(frames(&bytes[..bytes.len() - 5]).len() >= 4);

    match Command::new("tcpdump")
        .args(["-nn", "-r"])
        .arg(&path)
        .arg(format!("udp port {port}"))
        .output()
    {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let said = String::from_utf8_lossy(&output.stderr);
            if said.contains("Couldn't change to") {
                // It wants to give up privileges that root of a user namespace cannot.
                println!("skipped what tcpdump reads: {said}");
                return;
            }
            assert_eq!(text.lines().count(), 5, "{text}{said}");
            let address = Ipv4Addr::new(10, 77, 0, 2);
            assert!(
                text.lines()
                    .all(|line| line.contains(&format!("> {address}.{port}")))
            );
        }
        Err(error) => println!("skipped what tcpdump reads: {error}"),
    }
}

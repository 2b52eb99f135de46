//! Links that are cut: which packets that takes, and which not.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use cluster::network::CONTROL;
use faults::{CLIENTS, Direction, Link, Name, Rule, Shape, Target, Treatment};

use super::{CUT, on_both_backends, rule};
use crate::inside::{check_datagram, connect, link, receive, udp};
use crate::support::{PORT, eventually};

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

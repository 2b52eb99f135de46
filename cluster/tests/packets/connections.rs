//! TCP connections that are refused, or ended.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use faults::{CLIENTS, Name, NetworkAbility, Target, Treatment};

use super::{n1_to_n2, on_both_backends, rule, seeded};
use crate::inside::{connect, receive};
use crate::support::{LIMIT, PORT, Started};

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

//! What is sent along a link, and what arrives of it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use cluster::Cluster;

use crate::inside::udp;
use crate::support::LIMIT;

/// Numbered datagrams from one node to another, received by a thread of their own.
pub struct Probe {
    from: UdpSocket,
    pub to: SocketAddr,
    received: Receiver<(Instant, Vec<u8>)>,
    sent: u32,
}

impl Probe {
    pub fn new(cluster: &Cluster, from: &str, to: &str) -> Self {
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
    pub fn send(&mut self, count: u32, bytes: usize) {
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
    pub fn receive(&self, count: u64) -> Vec<(Instant, Vec<u8>)> {
        let next = |_| self.received.recv_timeout(LIMIT).unwrap();
        let received: Vec<_> = (0..count).map(next).collect();
        let more = self.received.recv_timeout(Duration::from_millis(50));
        assert!(more.is_err(), "more than {count} arrived");
        received
    }

    pub fn numbers(&self, count: u64) -> Vec<u32> {
        self.receive(count)
            .iter()
            .map(|(_, bytes)| number(bytes))
            .collect()
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

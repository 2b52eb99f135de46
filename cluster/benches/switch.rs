//! What the switch costs: TCP through it against TCP over loopback.
//!
//! `cargo bench -p cluster` prints, for each, the round trip of 64 bytes there and back, and the
//! throughput of one connection. Medians of several rounds, which alternate so that both see the
//! same machine.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use cluster::network::{CONTROL, Network};
use cluster::{Addresses, Entrance, Mode, NetworkSpec, Sandbox};

const ROUNDS: usize = 5;
const PINGS: usize = 20_000;
const BULK: Duration = Duration::from_millis(500);
const CHUNK_BYTES: usize = 128 << 10;

fn main() -> ExitCode {
    if let Some(code) = cluster::hidden::run(std::env::args_os()) {
        return code;
    }
    if std::env::args().nth(1).as_deref() == Some("inside") {
        measure();
        return ExitCode::SUCCESS;
    }
    match Mode::detect() {
        (Mode::Sandbox, _) => {
            let child = Sandbox::new(["inside".into()]).enter().unwrap();
            ExitCode::from(child.wait().code().unwrap() as u8)
        }
        (Mode::Plain, why) => {
            println!("no sandbox here: {}", why.unwrap());
            ExitCode::SUCCESS
        }
    }
}

fn measure() {
    let names = ["n1", "n2", "n3", "n4", "n5"];
    let addresses = Addresses::plan(Mode::Sandbox, &names).unwrap();
    let begin = Instant::now();
    let network = Network::build(&addresses, &NetworkSpec::default()).unwrap();
    println!(
        "network of 5 nodes, clients and control built in {:.1?}",
        begin.elapsed()
    );

    let host = |name| network.entrance(name).unwrap();
    let loopback = Path {
        server: host(CONTROL),
        client: host(CONTROL),
        address: Ipv4Addr::LOCALHOST,
    };
    let switched = Path {
        server: host("n1"),
        client: host("n2"),
        address: addresses.of("n1").unwrap(),
    };
    let paths = [("loopback", loopback), ("switch", switched)];
    let mut results = paths.map(|(name, path)| (name, path, Vec::new(), Vec::new()));
    for _ in 0..ROUNDS {
        for (_, path, round_trips_us, gbit_per_s) in &mut results {
            round_trips_us.push(path.round_trip_us());
            gbit_per_s.push(path.gbit_per_s());
        }
    }
    for (name, _, round_trips_us, gbit_per_s) in &mut results {
        println!(
            "{name:>8}: round trip p50 {:.1} us, throughput {:.2} Gbit/s",
            median(round_trips_us),
            median(gbit_per_s)
        );
    }
    println!(
        "packets lost because the switch did not keep up: {}",
        network.missed_packets()
    );
}

/// A server on one host, to which a client on another connects.
struct Path {
    server: Entrance,
    client: Entrance,
    address: Ipv4Addr,
}

impl Path {
    fn connect(&self, serve: impl FnOnce(TcpStream) + Send + 'static) -> TcpStream {
        let listen = || TcpListener::bind((self.address, 0)).unwrap();
        let listener = self.server.run(listen).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            serve(stream);
        });
        let stream = self
            .client
            .run(|| TcpStream::connect(address))
            .unwrap()
            .unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The median time of 64 bytes there and back, in microseconds.
    fn round_trip_us(&self) -> f64 {
        let mut stream = self.connect(|mut stream| {
            let mut buffer = [0; 64];
            while stream.read_exact(&mut buffer).is_ok() {
                stream.write_all(&buffer).unwrap();
            }
        });
        let mut ping = || {
            let begin = Instant::now();
            stream.write_all(&[1; 64]).unwrap();
            stream.read_exact(&mut [0; 64]).unwrap();
            begin.elapsed().as_secs_f64() * 1e6
        };
        median(&mut (0..PINGS).map(|_| ping()).collect::<Vec<_>>())
    }

    fn gbit_per_s(&self) -> f64 {
        let mut stream = self.connect(|mut stream| {
            let mut buffer = vec![0; CHUNK_BYTES];
            while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
            // Tells the sender that all has arrived.
            stream.write_all(&[1]).unwrap();
        });
        let chunk = vec![7; CHUNK_BYTES];
        let (begin, mut sent) = (Instant::now(), 0_usize);
        while begin.elapsed() < BULK {
            stream.write_all(&chunk).unwrap();
            sent += chunk.len();
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        sent as f64 * 8e-9 / begin.elapsed().as_secs_f64()
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

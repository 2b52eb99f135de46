//! What the network costs: TCP over loopback, through the switch without rules and with them, and
//! through the kernel's bridge.
//!
//! `cargo bench -p cluster` prints, for each, the round trip of 64 bytes there and back, the
//! throughput of one connection, and how long a partition of five nodes takes to set and to heal.
//! Medians of several rounds, which alternate so that all see the same machine.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use cluster::network::{CONTROL, Network};
use cluster::{Addresses, Backend, Entrance, Mode, NetworkSpec, Sandbox};
use faults::{Delays, Direction, Distribution, Link, Name, Network as _, Rule, Shape, Treatment};

const NODES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];
const ROUNDS: usize = 5;
const PINGS: usize = 20_000;
const BULK: Duration = Duration::from_millis(500);
const CHUNK_BYTES: usize = 128 << 10;
const PARTITIONS: u64 = 50;

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

/// A network on its own, as it is measured.
struct Row {
    name: &'static str,
    network: Network,
    path: Path,
    round_trips_us: Vec<f64>,
    gbit_per_s: Vec<f64>,
}

fn measure() {
    let addresses = Addresses::plan(Mode::Sandbox, &NODES).unwrap();
    let build = |backend| {
        let begin = Instant::now();
        let spec = NetworkSpec {
            backend,
            ..NetworkSpec::default()
        };
        let network = Network::build(&addresses, &spec);
        println!(
            "{backend:?} of 5 nodes, clients and control built in {:.1?}",
            begin.elapsed()
        );
        network
    };
    let mut rows = Vec::new();
    let mut add = |name, network: Network, ends: (&str, &str), address| {
        let host = |name| network.entrance(name).unwrap();
        let path = Path {
            server: host(ends.0),
            client: host(ends.1),
            address,
        };
        rows.push(Row {
            name,
            network,
            path,
            round_trips_us: Vec::new(),
            gbit_per_s: Vec::new(),
        });
    };
    let n1 = addresses.of("n1").unwrap();
    let idle = || build(Backend::Switch).unwrap();
    add("loopback", idle(), (CONTROL, CONTROL), Ipv4Addr::LOCALHOST);
    add("switch", idle(), ("n1", "n2"), n1);
    for (name, treatment) in rules() {
        let network = idle();
        network.set_rules(&[between_all(1, treatment)]).unwrap();
        add(name, network, ("n1", "n2"), n1);
    }
    match build(Backend::Bridge) {
        Ok(network) => add("bridge", network, ("n1", "n2"), n1),
        Err(error) => println!("no bridge here: {error}"),
    }
    for _ in 0..ROUNDS {
        for row in &mut rows {
            row.round_trips_us.push(row.path.round_trip_us());
            row.gbit_per_s.push(row.path.gbit_per_s());
        }
    }
    for row in &mut rows {
        println!(
            "{:<28} round trip p50 {:7.1} us, throughput {:6.2} Gbit/s, missed packets {}",
            row.name,
            median(&mut row.round_trips_us),
            median(&mut row.gbit_per_s),
            row.network.missed_packets()
        );
    }
    for row in rows
        .iter()
        .filter(|row| ["switch", "bridge"].contains(&row.name))
    {
        partitions(row);
    }
}

/// Rules that are asked about every packet and leave a connection fast.
fn rules() -> [(&'static str, Treatment); 3] {
    let cut = Treatment::Cut { flap_period_ms: 0 };
    let lose = Treatment::Lose {
        permille: 0,
        correlation_permille: 0,
    };
    let delay = Treatment::Delay(Delays {
        mean_us: 1_000,
        jitter_us: 200,
        distribution: Distribution::Normal,
        correlation_permille: 0,
        keep_order: true,
    });
    [
        ("switch, others cut", cut),
        ("switch, loss of none", lose),
        ("switch, delay of 1 ms", delay),
    ]
}

/// A treatment of every link between nodes; a cut only of those that are not measured.
fn between_all(fault: u64, treatment: Treatment) -> Rule {
    let pairs = NODES
        .iter()
        .flat_map(|from| NODES.iter().map(move |to| (*from, *to)));
    let is_measured =
        |(from, to): &(&str, &str)| ["n1", "n2"].contains(from) && ["n1", "n2"].contains(to);
    let is_cut = matches!(treatment, Treatment::Cut { .. });
    let links = pairs.filter(|pair| pair.0 != pair.1 && !(is_cut && is_measured(pair)));
    let links = links.map(|(from, to)| Link {
        from: from.into(),
        to: to.into(),
    });
    Rule {
        fault,
        links: links.collect(),
        ports: Vec::new(),
        treatment,
    }
}

/// How long it takes until five nodes are divided, and until they are whole again.
fn partitions(row: &Row) {
    let order = NODES.map(Name::from);
    let (mut set_us, mut heal_us) = (Vec::new(), Vec::new());
    for fault in 1..=PARTITIONS {
        let shape = Shape::ALL[fault as usize % Shape::ALL.len()];
        let rule = Rule {
            fault,
            links: shape.cuts(Direction::Both, &order, None),
            ports: Vec::new(),
            treatment: Treatment::Cut { flap_period_ms: 0 },
        };
        let begin = Instant::now();
        row.network.set_rules(&[rule]).unwrap();
        set_us.push(begin.elapsed().as_secs_f64() * 1e6);
        let begin = Instant::now();
        row.network.set_rules(&[]).unwrap();
        heal_us.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    println!(
        "{:<28} partition of 5 nodes: set p50 {:.0} us (most {:.0}), healed p50 {:.0} us (most {:.0})",
        row.name,
        median(&mut set_us),
        most(&set_us),
        median(&mut heal_us),
        most(&heal_us)
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
        // Fewer where each takes long: a second's worth is enough.
        let first = ping();
        let count = PINGS.min((1e6 / first) as usize).max(100);
        median(&mut (0..count).map(|_| ping()).collect::<Vec<_>>())
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

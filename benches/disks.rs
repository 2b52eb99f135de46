//! What a disk that can fail costs a node, against the machine's own file system.
//!
//! `cargo bench --bench disks`. A program alone: small appends each with fdatasync, small appends,
//! large writes, files replaced by rename with all fsyncs. Then raft-kv: operations per second of a
//! whole cluster. Rounds alternate, so that both see the same machine; medians.
//!
//! An fsync on our disk makes nothing durable on the machine's own, so it may well cost less.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cluster::network::NetworkSpec;
use cluster::{Addresses, Cluster, ClusterSpec, Mode, NodeCommand, NodeSpec, Readiness, Sandbox};

const ROUNDS: usize = 5;
const SYNCS: u32 = 2_000;
const APPENDS: u32 = 20_000;
const LARGE_WRITES: u32 = 64;
const LARGE_BYTES: usize = 1 << 20;
const REPLACES: u32 = 500;
const SECONDS: u32 = 8;
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    if let Some(code) = cluster::hidden::run(std::env::args_os()) {
        return code;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("program") => program(),
        Some("inside") => measure_program(Path::new(&words[1])),
        _ => {
            let folder = tempfile::tempdir().unwrap();
            let args = ["inside".into(), folder.path().into()];
            let status = Sandbox::new(args).enter().unwrap().wait();
            assert!(status.success(), "{status}");
            measure_cluster(folder.path());
        }
    }
    ExitCode::SUCCESS
}

/// What a node does: works, and writes beside its data folder how many microseconds each kind of
/// work took.
fn program() {
    let mut log = OpenOptions::new()
        .append(true)
        .create(true)
        .open("log")
        .unwrap();
    let record = [7; 128];
    let syncs = timed(SYNCS, || {
        log.write_all(&record).unwrap();
        log.sync_data().unwrap();
    });
    let appends = timed(APPENDS, || log.write_all(&record).unwrap());
    let block = vec![7; LARGE_BYTES];
    let mut large = File::create("large").unwrap();
    let large = timed(LARGE_WRITES, || large.write_all(&block).unwrap());
    let replaces = timed(REPLACES, || {
        let mut fresh = File::create("state.new").unwrap();
        fresh.write_all(&record).unwrap();
        fresh.sync_all().unwrap();
        fs::rename("state.new", "state").unwrap();
        File::open(".").unwrap().sync_all().unwrap();
    });
    fs::write("../fresh", format!("{syncs} {appends} {large} {replaces}")).unwrap();
    fs::rename("../fresh", "../times").unwrap();
}

fn timed(count: u32, mut act: impl FnMut()) -> f64 {
    let begin = Instant::now();
    for _ in 0..count {
        act();
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn measure_program(folder: &Path) {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (which, times) in times.iter_mut().enumerate() {
            let folder = folder.join(format!("{round}-{which}"));
            times.push(run_program(&folder, which == 1));
        }
    }
    println!(
        "{:<44} {:>10} {:>10}",
        "microseconds each, median", "plain", "our disk"
    );
    let rows = [
        "append of 128 bytes and fdatasync",
        "append of 128 bytes",
        "write of 1 MiB",
        "file of 128 bytes replaced, with all fsyncs",
    ];
    for (row, name) in rows.iter().enumerate() {
        let [plain, ours] = [0, 1].map(|which: usize| {
            median(
                times[which]
                    .iter()
                    .map(|times: &Vec<f64>| times[row])
                    .collect(),
            )
        });
        println!("{name:<44} {plain:>10.1} {ours:>10.1}");
    }
}

fn run_program(folder: &Path, disk_faults: bool) -> Vec<f64> {
    let addresses = Addresses::plan(Mode::Sandbox, &["n1"]).unwrap();
    let cluster = Cluster::start(ClusterSpec {
        nodes: vec![NodeSpec {
            name: "n1".into(),
            commands: vec![NodeCommand::own(vec!["program".into()])],
            prepare: Vec::new(),
            data_dir: folder.join("data"),
            log_dir: folder.to_owned(),
            readiness: Readiness::Started,
        }],
        addresses,
        network: NetworkSpec::default(),
        disk_faults,
        one_by_one: false,
        ready_limit_ms: 10_000,
        on_exit: Arc::new(|_| {}),
    })
    .unwrap();
    let (times, begin) = (folder.join("times"), Instant::now());
    while !times.exists() {
        assert!(
            begin.elapsed() < LIMIT,
            "{}",
            fs::read_to_string(folder.join("stderr.log")).unwrap()
        );
        thread::sleep(Duration::from_millis(10));
    }
    cluster.stop().unwrap();
    let times = fs::read_to_string(times).unwrap();
    times.split(' ').map(|time| time.parse().unwrap()).collect()
}

fn measure_cluster(folder: &Path) {
    for clients in [1, 10, 50] {
        let mut rates = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            for (which, rates) in rates.iter_mut().enumerate() {
                let store = folder.join(format!("runs-{clients}-{round}-{which}"));
                rates.push(rate(&store, clients, which == 1));
            }
        }
        let [plain, ours] = rates.map(median);
        println!(
            "{:<44} {plain:>10.0} {ours:>10.0}",
            format!("raft-kv, 5 nodes, {clients} clients: operations/s")
        );
    }
}

fn rate(store: &Path, clients: u32, disk_faults: bool) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
    command
        .args(["run", "--json", "--faults", "none", "--seed", "1"])
        .args([
            "--time",
            &format!("{SECONDS}s"),
            "--clients",
            &clients.to_string(),
        ])
        .arg("--store")
        .arg(store);
    if disk_faults {
        command.arg("--disk-faults");
    }
    let output = command.output().unwrap();
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("{}", String::from_utf8_lossy(&output.stderr));
    });
    verdict["operations"].as_f64().unwrap() / f64::from(SECONDS)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

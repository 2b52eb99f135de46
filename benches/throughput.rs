//! Operations per second that `whitewater run` records against raft-kv with no faults: through the
//! packet switch of the sandbox, through it with a rule about every packet, through the kernel's
//! bridge, and in plain mode on the loopback interface. Where there is a file system in memory the
//! nodes' data are there, so that the disk does not decide.
//!
//! `cargo bench --bench throughput`

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

/// Runs of each kind, taken in turns.
const ROUNDS: usize = 3;
/// How long each run drives the cluster, in seconds.
const SECONDS: u64 = 10;

/// A fault of every packet from beginning to end that leaves operations alone.
const RULE: &str = "\
[[schedule]]
at_ms = 0
for_ms = 9999
fault = \"duplicate\"
permille = 1
apart_ms = 0
target = \"all\"
peers = \"all\"
";

/// How the nodes are connected, and the options that make it so.
const ROWS: [(&str, &[&str]); 4] = [
    ("switch", &["--faults", "none"]),
    ("switch with a rule", &["--schedule", "RULE"]),
    ("bridge", &["--faults", "none", "--network", "bridge"]),
    ("loopback", &["--faults", "none", "--plain"]),
];

fn main() -> ExitCode {
    let memory = Path::new("/dev/shm");
    let store = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let store = match store {
        Ok(store) => store,
        Err(error) => {
            eprintln!("no temporary folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = std::fs::write(store.path().join("RULE"), RULE) {
        eprintln!("no schedule: {error}");
        return ExitCode::FAILURE;
    }
    println!("5 nodes, 10 clients, {SECONDS} s; operations per second, median of {ROUNDS} (range)");
    for workload in ["register", "kv"] {
        let mut rates = ROWS.map(|_| Vec::new());
        for round in 0..ROUNDS {
            for ((name, options), rates) in ROWS.iter().zip(&mut rates) {
                match measure(workload, options, round, store.path()) {
                    Ok(rate) => rates.push(rate),
                    Err(problem) if round == 0 => println!("{workload} {name}: {problem}"),
                    Err(_) => {}
                }
            }
        }
        let loopback = median(&mut rates[ROWS.len() - 1]);
        for ((name, _), rates) in ROWS.iter().zip(&mut rates) {
            if let (Some(own), Some(loopback)) = (median(rates), loopback) {
                let ratio = own as f64 / loopback as f64;
                let (first, last) = (rates[0], rates[rates.len() - 1]);
                println!("{workload:<9} {name:<19} {own} ({first}–{last})  ratio {ratio:.2}");
            }
        }
    }
    ExitCode::SUCCESS
}

/// One run, in operations per second.
fn measure(workload: &str, options: &[&str], seed: usize, store: &Path) -> Result<u64, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_whitewater"))
        .args(["run", "--json", "--workload", workload])
        .args(["--time", &format!("{SECONDS}s")])
        .args(["--seed", &seed.to_string()])
        .args(options)
        .args(["--store", "."])
        // The schedule is there.
        .current_dir(store)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let verdict: Value = serde_json::from_slice(&output.stdout).map_err(|_| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        complaint.lines().last().unwrap_or("no verdict").to_owned()
    })?;
    if verdict["verdict"] != "valid" {
        return Err(format!("the run was not valid: {}", verdict["reason"]));
    }
    let operations = verdict["operations"]
        .as_u64()
        .ok_or("no operations in the verdict")?;
    Ok(operations / SECONDS)
}

/// The middle one, of an odd number; sorts them.
fn median(rates: &mut [u64]) -> Option<u64> {
    rates.sort_unstable();
    rates.get(rates.len() / 2).copied()
}

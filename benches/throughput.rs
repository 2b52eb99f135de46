//! Operations per second that `whitewater run` records against raft-kv with no faults: through the
//! packet switch of the sandbox, and in plain mode on the loopback interface.
//!
//! `cargo bench --bench throughput`

use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

/// Runs of each kind, taken in turns.
const ROUNDS: usize = 3;
/// How long each run drives the cluster, in seconds.
const SECONDS: u64 = 10;

fn main() -> ExitCode {
    let store = match tempfile::tempdir() {
        Ok(store) => store,
        Err(error) => {
            eprintln!("no temporary folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "5 nodes, 10 clients, {SECONDS} s, no faults; operations per second, median of {ROUNDS} (range)"
    );
    for workload in ["register", "kv"] {
        let (mut sandbox, mut plain) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            for (mode, rates) in [(None, &mut sandbox), (Some("--plain"), &mut plain)] {
                match measure(workload, mode, round, store.path()) {
                    Ok(rate) => rates.push(rate),
                    Err(problem) => {
                        eprintln!("{workload} {}: {problem}", mode.unwrap_or("sandbox"));
                        return ExitCode::FAILURE;
                    }
                }
            }
        }
        let ratio = median(&mut sandbox) as f64 / median(&mut plain) as f64;
        println!(
            "{workload:<9} switch {}  loopback {}  ratio {ratio:.2}",
            summary(&sandbox),
            summary(&plain)
        );
    }
    ExitCode::SUCCESS
}

/// One run, in operations per second.
fn measure(
    workload: &str,
    mode: Option<&str>,
    seed: usize,
    store: &std::path::Path,
) -> Result<u64, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_whitewater"))
        .args(["run", "--json", "--faults", "none", "--workload", workload])
        .args([
            "--time",
            &format!("{SECONDS}s"),
            "--seed",
            &seed.to_string(),
        ])
        .args(mode)
        .arg("--store")
        .arg(store)
        .stderr(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let verdict: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    if verdict["verdict"] != "valid" {
        return Err(format!("the run was not valid: {}", verdict["reason"]));
    }
    let operations = verdict["operations"]
        .as_u64()
        .ok_or("no operations in the verdict")?;
    Ok(operations / SECONDS)
}

/// The middle one of an odd number; sorts them.
fn median(rates: &mut [u64]) -> u64 {
    rates.sort_unstable();
    rates[rates.len() / 2]
}

fn summary(sorted: &[u64]) -> String {
    let (first, last) = (sorted[0], sorted[sorted.len() - 1]);
    format!("{} ({first}–{last})", sorted[sorted.len() / 2])
}

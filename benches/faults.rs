//! How long each kind of fault takes to inject and to heal, and what came of it: a run of
//! `whitewater run` for each kind, with a schedule of that fault alone, read from its history.
//!
//! `cargo bench --bench faults`, or `cargo bench --bench faults -- KIND ...`

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use faults::Kind;
use histories::{FaultSpan, History};

/// Faults in a run.
const FAULTS: u64 = 8;
/// From the beginning of one to that of the next, in milliseconds.
const INTERVAL_MS: u64 = 1_500;
/// How long each lasts, in milliseconds.
const LENGTH_MS: u64 = 600;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    let store = match tempfile::tempdir() {
        Ok(store) => store,
        Err(error) => {
            eprintln!("no temporary folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "5 nodes of raft-kv, 10 clients, {FAULTS} faults of {LENGTH_MS} ms each; medians (range) in ms"
    );
    println!(
        "{:<20} {:<24} {:<24} {:<10} verdict",
        "fault", "inject", "heal", "effective"
    );
    for kind in Kind::ALL {
        if words.is_empty() || words.iter().any(|word| word == kind.name()) {
            let row = measure(*kind, store.path());
            println!("{:<20} {}", kind.name(), row.unwrap_or_else(|why| why));
        }
    }
    ExitCode::SUCCESS
}

/// One run with this kind alone; a row of figures, or why there are none.
fn measure(kind: Kind, folder: &Path) -> Result<String, String> {
    let schedule = folder.join(format!("{kind}.toml"));
    std::fs::write(&schedule, entries(kind)).map_err(|error| error.to_string())?;
    let store = folder.join(kind.name());
    let output = Command::new(env!("CARGO_BIN_EXE_whitewater"))
        .args(["run", "--json", "--seed", "1", "--schedule"])
        .arg(&schedule)
        .args(["--time", &format!("{}ms", (FAULTS + 1) * INTERVAL_MS)])
        .arg("--store")
        .arg(&store)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|_| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        complaint.lines().last().unwrap_or("no verdict").to_owned()
    })?;
    let run = verdict["run"]["folder"].as_str().ok_or("no run folder")?;
    let history = histories::read_file(&Path::new(run).join("history.jsonl"), None)
        // Where nothing was recorded, the verdict says why.
        .map_err(|error| {
            verdict["reason"]
                .as_str()
                .map_or_else(|| error.to_string(), ToOwned::to_owned)
        })?;
    Ok(row(&history, &verdict))
}

/// The schedule: the same fault again and again, with its default parameters.
fn entries(kind: Kind) -> String {
    let mut text = String::new();
    for number in 0..FAULTS {
        let at_ms = INTERVAL_MS / 2 + number * INTERVAL_MS;
        let _ = writeln!(
            text,
            "[[schedule]]\nat_ms = {at_ms}\nfor_ms = {LENGTH_MS}\nfault = \"{kind}\"\n"
        );
    }
    text
}

fn row(history: &History, verdict: &serde_json::Value) -> String {
    let faults = history.faults();
    let inject: Vec<u64> = faults.iter().filter_map(inject_us).collect();
    let heal: Vec<u64> = faults.iter().filter_map(heal_us).collect();
    let effective = faults.iter().filter(|span| span.effective == Some(true));
    format!(
        "{:<24} {:<24} {:<10} {}{}",
        summary(inject),
        summary(heal),
        format!("{} of {}", effective.count(), faults.len()),
        verdict["verdict"].as_str().unwrap_or("none"),
        verdict["reason"]
            .as_str()
            .map_or_else(String::new, |reason| format!(": {reason}"))
    )
}

/// From when its undo was noted to when it was in force.
fn inject_us(span: &FaultSpan) -> Option<u64> {
    Some((span.inject?.time_ns - span.begin?.time_ns) / 1_000)
}

/// From when it was to end to when it was taken back.
fn heal_us(span: &FaultSpan) -> Option<u64> {
    let number = span.id - 1;
    let due_ms = INTERVAL_MS / 2 + number * INTERVAL_MS + LENGTH_MS;
    Some((span.heal?.time_ns / 1_000).saturating_sub(due_ms * 1_000))
}

fn summary(mut times_us: Vec<u64>) -> String {
    times_us.sort_unstable();
    let ms = |time_us: u64| time_us as f64 / 1_000.0;
    match (times_us.first(), times_us.last()) {
        (Some(&first), Some(&last)) => format!(
            "{:.2} ({:.2}-{:.2})",
            ms(times_us[times_us.len() / 2]),
            ms(first),
            ms(last)
        ),
        _ => "none".to_owned(),
    }
}

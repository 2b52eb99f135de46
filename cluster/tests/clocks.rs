//! Clocks of running programs, as those programs show them.

mod distortions;
mod processes;
mod programs;
mod undisturbed;

pub use distortions::*;
pub use processes::*;
pub use programs::{program, trace};
pub use undisturbed::*;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

use cluster::{Mode, NodeCommand, Readiness};
use faults::{Clock, Distortion, Target};
use histories::Value;

use crate::support::{LIMIT, Started, eventually};

/// What every test of this file moves clocks by: an hour.
const HOUR_MS: i64 = 3_600_000;
const HOUR_US: i64 = HOUR_MS * 1000;

/// Two readings of the same clock in a program are not further apart, nor are ours and theirs.
const CLOSE_US: i64 = 5_000_000;

/// What a program says of its clocks: `name of-day monotonic …`, in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Report {
    name: String,
    us: Vec<i64>,
}

impl Report {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let name = words.next()?.to_owned();
        let us = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        Some(Self { name, us })
    }

    fn day_us(&self) -> i64 {
        self.us[0]
    }

    fn monotonic_us(&self) -> i64 {
        self.us[1]
    }

    /// How far its clocks are from the truth that it says itself.
    fn offsets_us(&self) -> (i64, i64) {
        (self.us[0] - self.us[2], self.us[1] - self.us[3])
    }
}

/// Every whole line that a node's program wrote.
fn reports(started: &Started, node: &str) -> Vec<Report> {
    let text = started.output(node);
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    whole.lines().filter_map(Report::parse).collect()
}

/// What it says from now on, so many times.
fn next_reports(started: &Started, node: &str, count: usize) -> Vec<Report> {
    // The one being written now may be of before.
    let seen = reports(started, node).len() + 2;
    let mut new = Vec::new();
    eventually("the program says what time it is", || {
        new = reports(started, node).into_iter().skip(seen).collect();
        new.len() >= count
    });
    new
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_micros() as i64
}

/// One node for each of these commands.
fn start(mode: Mode, commands: &[NodeCommand]) -> (Started, Vec<String>) {
    let names: Vec<String> = (1..=commands.len())
        .map(|number| format!("n{number}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let command = |address: Ipv4Addr| commands[usize::from(address.octets()[3]) - 1].clone();
    let started = Started::with(mode, &names, command, &Readiness::Started, LIMIT);
    started.cluster();
    (
        started,
        names.iter().map(|name| (*name).to_owned()).collect(),
    )
}

fn start_one(mode: Mode, command: NodeCommand) -> Started {
    start(mode, &[command]).0
}

fn set(started: &Started, node: &str, clock: Clock, distortions: &[(u64, Distortion)]) -> Value {
    let clocks = started
        .cluster()
        .clocks()
        .unwrap_or_else(|why| panic!("{why}"));
    clocks
        .set_distortions(node, clock, distortions)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn offset(ms: i64) -> Vec<(u64, Distortion)> {
    vec![(1, Distortion::Offset { ms })]
}

fn number(process: &Value, name: &str) -> i64 {
    process
        .get(name)
        .and_then(Value::as_int)
        .unwrap_or_else(|| panic!("no {name} in {process}"))
}

/// What evidence says of each process.
fn processes(evidence: &Value) -> Vec<Value> {
    evidence
        .get("processes")
        .unwrap()
        .as_list()
        .unwrap()
        .to_vec()
}

/// Evidence of one change is exactly so: of each process, a change of its offset.
fn check_evidence(evidence: &Value, pids: &[i32], before_us: i64, after_us: i64) {
    let processes = processes(evidence);
    let changed: Vec<i64> = processes
        .iter()
        .map(|process| number(process, "pid"))
        .collect();
    let expected: Vec<i64> = pids.iter().map(|pid| i64::from(*pid)).collect();
    assert_eq!(changed, expected, "{evidence}");
    for process in &processes {
        let within_us = number(process, "within_us");
        for (name, expected_us) in [("before_us", before_us), ("after_us", after_us)] {
            let off_us = number(process, name) - expected_us;
            assert!(
                off_us.abs() <= within_us,
                "{name} should be {expected_us}: {evidence}"
            );
        }
    }
}

/// The vDSO of a process, byte for byte.
fn vdso(pid: i32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap();
    let (begin, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
    let [begin, end] = [begin, end].map(|address| u64::from_str_radix(address, 16).unwrap());
    let mut bytes = vec![0; (end - begin) as usize];
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    memory.read_exact_at(&mut bytes, begin).unwrap();
    bytes
}

//! What reading a history costs: nanoseconds an event, and the most memory the process took.
//!
//! `cargo bench -p histories --bench read`, or with `-- EVENTS` for another length. The history is
//! made by a seeded generator: 50 clients on 20 keys, half of them reads, unique values, one
//! operation in a hundred of unknown outcome. Every measurement is a process of its own, so that
//! its peak is its own; the files are in the page cache.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use histories::{
    Event, EventType, Events, Header, History, Process, RunInfo, Value, read_file, write_binary,
    write_jsonl,
};

const ROUNDS: usize = 9;
const EVENTS: usize = 2_000_000;
const CLIENTS: u64 = 50;
const KEYS: u64 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--measure") {
        return measure(Path::new(&args[at + 1]));
    }
    let events = args
        .iter()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(EVENTS);
    let temporary = tempfile::tempdir()?;
    // `--into FOLDER` keeps the files, for a look with other tools.
    let kept = args.iter().position(|arg| arg == "--into");
    let kept = kept.and_then(|at| args.get(at + 1)).map(Path::new);
    let folder = kept.unwrap_or(temporary.path());
    let history = generate(events);
    let jsonl = folder.join("history.jsonl");
    write_jsonl(&history, File::create(&jsonl)?)?;
    let binary = folder.join("history.bin");
    write_binary(&history, File::create(&binary)?)?;
    drop(history);
    for (name, path) in [("jsonl", &jsonl), ("binary", &binary)] {
        let bytes = fs::metadata(path)?.len();
        println!(
            "{name}: {events} events, {:.1} MB, {:.1} bytes an event",
            bytes as f64 / 1e6,
            bytes as f64 / events as f64
        );
        report(name, path, events)?;
    }
    Ok(())
}

/// Reads the file in a process of its own, several times.
fn report(name: &str, path: &Path, events: usize) -> Result<(), Box<dyn Error>> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let output = Command::new(std::env::current_exe()?)
            .arg("--measure")
            .arg(path)
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let numbers: Vec<u64> = text
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| format!("no measurement of {name}: {text}"))?;
        let [read_ns, pair_ns, peak_kib, heap_bytes] = numbers[..] else {
            return Err(format!("no measurement of {name}: {text}").into());
        };
        rounds.push([read_ns, pair_ns, peak_kib, heap_bytes]);
    }
    let median = |of: usize| {
        let mut column: Vec<u64> = rounds.iter().map(|round| round[of]).collect();
        column.sort_unstable();
        (column[0], column[ROUNDS / 2], column[ROUNDS - 1])
    };
    let (least, middle, most) = median(0);
    println!(
        "{name}: read in {:.1} ms ({:.1} to {:.1}), {:.1} ns an event",
        middle as f64 / 1e6,
        least as f64 / 1e6,
        most as f64 / 1e6,
        middle as f64 / events as f64
    );
    println!(
        "{name}: paired in {:.1} ms, {:.1} MB in columns, {:.1} MB at most in the process",
        median(1).1 as f64 / 1e6,
        median(3).1 as f64 / 1e6,
        median(2).1 as f64 * 1024.0 / 1e6
    );
    Ok(())
}

/// Reads the file once and prints: nanoseconds to read, to pair, KiB at most, bytes of columns.
fn measure(path: &Path) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let history = read_file(path, None)?;
    let read_ns = start.elapsed().as_nanos();
    let start = Instant::now();
    let operations = history.operations();
    let ended = (0..operations.len()).filter(|at| operations.positions(*at).1.is_some());
    let ended = std::hint::black_box(ended.count());
    let pair_ns = start.elapsed().as_nanos();
    if ended == 0 {
        return Err("a history without completions".into());
    }
    println!(
        "{read_ns} {pair_ns} {} {}",
        peak_kib()?,
        history.events.heap_bytes()
    );
    Ok(())
}

/// The most memory this process ever had.
fn peak_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmHWM")?.parse()?)
}

/// A history of so many events.
fn generate(count: usize) -> History {
    let mut chance = Chance(7);
    let mut events = Events::new();
    let mut open: Vec<Option<Event>> = vec![None; CLIENTS as usize];
    let mut process: Vec<u64> = (0..CLIENTS).collect();
    let mut held = vec![Value::Nil; KEYS as usize];
    let (mut time_ns, mut next) = (1_000_000, 0);
    while events.len() < count {
        time_ns += 500 + chance.below(20_000);
        let client = chance.below(CLIENTS) as usize;
        let index = events.len() as u64;
        let event = match open[client].take() {
            None => {
                let key = chance.below(KEYS);
                let read = chance.below(2) == 0;
                next += i64::from(!read);
                let event = Event {
                    index,
                    time_ns,
                    process: Process::Client(process[client]),
                    kind: EventType::Invoke,
                    f: if read { "read" } else { "write" }.into(),
                    key: Some(Value::from(format!("k{key}-0"))),
                    value: if read { Value::Nil } else { Value::Int(next) },
                    node: None,
                    error: None,
                    path: Vec::new(),
                };
                if !read {
                    held[key as usize] = event.value.clone();
                }
                open[client] = Some(event.clone());
                event
            }
            Some(invocation) => {
                let unknown = chance.below(100) == 0;
                let key = invocation.key.as_ref().and_then(Value::as_text);
                let key = key.and_then(|key| key[1..key.len() - 2].parse::<usize>().ok());
                let read = &*invocation.f == "read" && !unknown;
                if unknown {
                    process[client] += CLIENTS;
                }
                Event {
                    index,
                    time_ns,
                    kind: if unknown {
                        EventType::Info
                    } else {
                        EventType::Ok
                    },
                    value: match key {
                        Some(key) if read => held[key].clone(),
                        _ => Value::Nil,
                    },
                    node: Some(format!("n{}", 1 + chance.below(5)).into()),
                    error: unknown.then(|| "timed out".into()),
                    ..invocation
                }
            }
        };
        events.push(event);
    }
    let run = RunInfo {
        system: "raft-kv".into(),
        workload: "register".into(),
        model: "register".into(),
        clients: CLIENTS,
        seed: 7,
        ..RunInfo::default()
    };
    History {
        header: Header { run: Some(run) },
        events,
        ..History::default()
    }
}

/// Numbers by chance (splitmix64), the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

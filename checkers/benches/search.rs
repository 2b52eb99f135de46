//! How long a verdict takes: `cargo bench -p checkers`.
//!
//! Seeded histories of one register, half reads, clients that never rest: medians of some runs of
//! the whole check, parsing of operations included. Each is checked to have the verdict it must
//! have.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use checkers::{Cancel, Limits, ModelKind, ModelOptions, Verdict, linearizability};
use histories::{Operation, Outcome, Point, Value};
use seeds::{Purpose, Stream};

const RUNS: usize = 5;
const LATENCY_MEAN_NS: u64 = 1_000_000;

/// A history to make.
struct Load {
    operations: usize,
    clients: usize,
    /// How many distinct values are written; 0 for a new one each time.
    values: u64,
    unknown_percent: u64,
    /// Whether one read, in the middle, sees a value overwritten long ago; of unique values only,
    /// for others come back.
    stale: bool,
}

fn main() {
    println!(
        "{:>10} {:>7} {:>6} {:>7} {:>5}  median",
        "operations", "clients", "values", "unknown", ""
    );
    for (clients, values) in [(10, 0), (10, 5), (25, 5), (50, 5)] {
        for unknown_percent in [0, 1] {
            let load = Load {
                operations: 10_000,
                clients,
                values,
                unknown_percent,
                stale: false,
            };
            report(&load);
            if values == 0 {
                report(&Load {
                    stale: true,
                    ..load
                });
            }
        }
    }
    report(&Load {
        operations: 100_000,
        clients: 5,
        values: 0,
        unknown_percent: 0,
        stale: false,
    });
}

fn report(load: &Load) {
    let history = simulate(load);
    let options = ModelOptions::new(ModelKind::Register);
    let limits = Limits {
        time_ms: 20_000,
        ..Limits::default()
    };
    let mut times = Vec::new();
    let mut core = None;
    let mut verdict = Verdict::Unknown;
    for _ in 0..RUNS {
        let began = Instant::now();
        let judgement = linearizability(&history, &options, &limits, &Cancel::new())
            .expect("a register history");
        times.push(began.elapsed());
        verdict = judgement.check.verdict;
        core = judgement.counterexample.map(|found| found.core.len());
        if verdict == Verdict::Unknown {
            break;
        }
    }
    let wrong = if load.stale {
        Verdict::Valid
    } else {
        Verdict::Invalid
    };
    assert_ne!(verdict, wrong, "the checker is wrong");
    times.sort_unstable();
    let values = if load.values == 0 {
        "unique".to_owned()
    } else {
        load.values.to_string()
    };
    println!(
        "{:>10} {:>7} {:>6} {:>6}% {:>5}  {:>9.1} ms  {verdict}{}",
        load.operations,
        load.clients,
        values,
        load.unknown_percent,
        if load.stale { "stale" } else { "" },
        milliseconds(times[times.len() / 2]),
        core.map_or_else(String::new, |core| format!(", core of {core}")),
    );
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// What happens next in the simulation.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Begin,
    Effect,
    End,
}

fn simulate(load: &Load) -> Vec<Operation> {
    let mut chance = Stream::new(1, Purpose::Client, 0);
    let mut agenda = BinaryHeap::new();
    for client in 0..load.clients {
        agenda.push(Reverse((
            chance.exponential(LATENCY_MEAN_NS),
            Step::Begin,
            client,
            0,
        )));
    }
    let mut processes: Vec<u64> = (0..load.clients as u64).collect();
    let mut operations: Vec<Operation> = Vec::new();
    let (mut value, mut overwritten, mut stale) = (Value::Nil, Vec::new(), load.stale);
    let (mut index, mut written) = (0, 0);
    while let Some(Reverse((time_ns, step, client, number))) = agenda.pop() {
        match step {
            Step::Begin if operations.len() == load.operations => {}
            Step::Begin => {
                written += 1;
                let new = if load.values == 0 {
                    written
                } else {
                    chance.below(load.values)
                };
                let point = Point { index, time_ns };
                index += 1;
                let number = operations.len();
                operations.push(begin(processes[client], point, &mut chance, new));
                let effect_ns = time_ns + 1 + chance.exponential(LATENCY_MEAN_NS / 2);
                let end_ns = effect_ns + 1 + chance.exponential(LATENCY_MEAN_NS / 2);
                if chance.chance(load.unknown_percent, 100) {
                    // Given up; half of them take effect later.
                    processes[client] += load.clients as u64;
                    if chance.chance(1, 2) {
                        let late_ns = end_ns + chance.exponential(20 * LATENCY_MEAN_NS);
                        agenda.push(Reverse((late_ns, Step::Effect, client, number)));
                    }
                    agenda.push(Reverse((end_ns, Step::Begin, client, 0)));
                } else {
                    agenda.push(Reverse((effect_ns, Step::Effect, client, number)));
                    agenda.push(Reverse((end_ns, Step::End, client, number)));
                }
            }
            Step::Effect if &*operations[number].f == "write" => {
                let new = operations[number].input.clone();
                overwritten.push(std::mem::replace(&mut value, new));
            }
            Step::Effect => operations[number].output = value.clone(),
            Step::End => {
                let operation = &mut operations[number];
                let middle = number > load.operations / 2;
                let old = overwritten.len().checked_sub(5 * load.clients);
                if let (true, true, "read", Some(old)) = (stale, middle, &*operation.f, old) {
                    operation.output = overwritten[old].clone();
                    stale = false;
                }
                operation.outcome = Outcome::Ok;
                operation.ended = Some(Point { index, time_ns });
                index += 1;
                agenda.push(Reverse((time_ns + 1, Step::Begin, client, 0)));
            }
        }
    }
    // What an operation of unknown outcome saw is unknown.
    for operation in operations.iter_mut().filter(|o| o.outcome == Outcome::Info) {
        operation.output = Value::Nil;
    }
    operations
}

fn begin(process: u64, invoked: Point, chance: &mut Stream, new: u64) -> Operation {
    let writes = chance.chance(1, 2);
    Operation {
        process,
        f: if writes { "write" } else { "read" }.into(),
        key: None,
        input: if writes {
            Value::Int(new as i64)
        } else {
            Value::Nil
        },
        output: Value::Nil,
        outcome: Outcome::Info,
        invoked,
        ended: None,
        node: None,
        error: None,
        path: Vec::new(),
        line: None,
    }
}

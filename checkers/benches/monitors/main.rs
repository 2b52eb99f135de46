//! How long verdicts on queues, sets, locks and counters take:
//! `cargo bench -p checkers --bench monitors`.
//!
//! Medians of some runs of the whole check of a history in memory, parsing of operations included.
//! Each history has the verdict it must have.

use std::time::Instant;

use checkers::{Cancel, Limits, ModelOptions, Verdict, linearizability};
use histories::History;

mod simulate;

use simulate::{Load, Object, simulate};

const RUNS: usize = 7;

fn main() {
    println!(
        "{:<12} {:>10} {:>7} {:>8} {:>6}  median",
        "object", "operations", "clients", "unknown", ""
    );
    let objects = [
        Object::FifoQueue,
        Object::Set(1_000),
        Object::GrowingSet,
        Object::Mutex,
        Object::Counter,
    ];
    for object in objects {
        for (unknown_permille, faulty) in [(0, false), (10, false), (0, true)] {
            let load = Load {
                object,
                operations: 100_000,
                clients: 20,
                unknown_permille,
                faulty,
                seed: 1,
            };
            // Clients of the lock give up nothing.
            if object != Object::Mutex || unknown_permille == 0 {
                report(&load);
            }
        }
    }
}

fn report(load: &Load) {
    let history = History::from_operations(&simulate(load));
    let operations = history.operations();
    let options = ModelOptions::new(load.object.model().parse().expect("a model"));
    let limits = Limits {
        time_ms: 20_000,
        ..Limits::default()
    };
    let (mut times, mut verdict, mut core) = (Vec::new(), Verdict::Unknown, None);
    for _ in 0..RUNS {
        let began = Instant::now();
        let judged = linearizability(&operations, &options, &limits, &Cancel::new())
            .expect("a history of the model");
        times.push(began.elapsed());
        verdict = judged.check.verdict;
        core = judged.counterexample.map(|found| found.core.len());
        if verdict == Verdict::Unknown {
            break;
        }
    }
    let wrong = match load.faulty {
        true => Verdict::Valid,
        false => Verdict::Invalid,
    };
    assert_ne!(verdict, wrong, "the checker is wrong about {load:?}");
    times.sort_unstable();
    println!(
        "{:<12} {:>10} {:>7} {:>7}‰ {:>6}  {:>8.1} ms  {verdict}{}",
        load.object.model(),
        load.operations,
        load.clients,
        load.unknown_permille,
        if load.faulty { "faulty" } else { "" },
        times[times.len() / 2].as_secs_f64() * 1_000.0,
        core.map_or_else(String::new, |core| format!(", core of {core}")),
    );
}

//! How long verdicts by each model take, on good histories and on such with one wrong answer:
//! `cargo bench -p checkers --bench models [-- MODEL [OPERATIONS [CLIENTS [TIME_MS [certify]]]]]`.
//!
//! Time by the clock for the whole check of a history in memory, parsing
//! of operations included; the least of some runs. Each history has the verdict it must have, or is
//! undecided after the limit. With `certify` an order is asked for, and verified.

use std::time::{Duration, Instant};

use checkers::certificate::{certify, verify};
use checkers::{Cancel, Limits, ModelOptions, Verdict, linearizability};
use histories::History;

mod objects;
mod simulate;

use objects::Object;
use simulate::{Load, simulate};

/// A short check is timed so often.
const RUNS: usize = 3;
/// How long one may take, unless TIME_MS says so.
const TIME_MS_MAX: usize = 5_000;
/// Where something is wrong, in a hundred parts of the history; `None` for nowhere.
const FAULTS: [Option<u64>; 4] = [None, Some(1), Some(50), Some(99)];

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let number = |place: usize, otherwise: usize| {
        let given = arguments.get(place);
        given.map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let wanted = arguments.first().filter(|name| *name != "all");
    let certificates = arguments.get(4).is_some_and(|what| what == "certify");
    let limits = Limits {
        time_ms: number(3, TIME_MS_MAX) as u64,
        ..Limits::default()
    };
    println!(
        "{:<22} {:>10} {:>7} {:>7} {:>6} {:>10}",
        "object", "operations", "clients", "unknown", "wrong", "time"
    );
    for object in Object::ALL {
        if wanted.is_some_and(|name| name != object.name() && name != object.model()) {
            continue;
        }
        for unknown_permille in [0, 10, 50] {
            if unknown_permille > 10 && !matches!(object, Object::KvMixed { .. }) {
                continue;
            }
            if unknown_permille > 0 && object.is_lock() {
                // Clients of a lock give up nothing.
                continue;
            }
            for wrong_percent in FAULTS {
                let load = Load {
                    object,
                    operations: number(1, 20_000),
                    clients: number(2, 20),
                    unknown_permille,
                    wrong_percent,
                    seed: 1,
                };
                match certificates {
                    true if wrong_percent.is_none() => report_certificate(&load, &limits),
                    true => {}
                    false => report_verdict(&load, &limits),
                }
            }
        }
    }
}

fn options(load: &Load) -> ModelOptions {
    ModelOptions {
        initial: load.object.initial(),
        ..ModelOptions::new(load.object.model().parse().expect("a model"))
    }
}

fn report_verdict(load: &Load, limits: &Limits) {
    let history = History::from_operations(&simulate(load));
    let operations = history.operations();
    let (mut least, mut verdict, mut core) = (Duration::MAX, Verdict::Unknown, None);
    for _ in 0..RUNS {
        let began = Instant::now();
        let judged = linearizability(&operations, &options(load), limits, &Cancel::new())
            .expect("a history of the model");
        least = least.min(began.elapsed());
        verdict = judged.check.verdict;
        core = judged.counterexample.map(|found| found.core.len());
        if least > Duration::from_secs(1) {
            break;
        }
    }
    let wrong = match load.wrong_percent {
        Some(_) => Verdict::Valid,
        None => Verdict::Invalid,
    };
    assert_ne!(verdict, wrong, "the checker is wrong about {load:?}");
    let core = core.map_or_else(String::new, |core| format!(", core of {core}"));
    line(load, least, &format!("{verdict}{core}"));
}

fn report_certificate(load: &Load, limits: &Limits) {
    let history = History::from_operations(&simulate(load));
    let operations = history.operations();
    let began = Instant::now();
    let found = certify(&operations, &options(load), limits, &Cancel::new());
    let took = began.elapsed();
    let said = match found {
        Ok(found) => {
            let orders = found.orders.into_iter().map(Ok::<_, std::io::Error>);
            let verified = verify(&operations, &options(load), &found.header, orders);
            let placed = verified.expect("the certificate is accepted").placed;
            format!("{placed} operations in order, verified")
        }
        Err(why) => why.to_string(),
    };
    line(load, took, &said);
}

fn line(load: &Load, took: Duration, said: &str) {
    let wrong = load
        .wrong_percent
        .map_or_else(String::new, |percent| format!("{percent} %"));
    println!(
        "{:<22} {:>10} {:>7} {:>6}‰ {:>6} {:>7.1} ms  {said}",
        load.object.name(),
        load.operations,
        load.clients,
        load.unknown_permille,
        wrong,
        took.as_secs_f64() * 1_000.0,
    );
}

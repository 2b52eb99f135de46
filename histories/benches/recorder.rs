//! What recording costs the client's loop: nanoseconds an event on the caller's side, with one
//! caller and with ten at once, the writer's thread running beside them and writing to a file.
//!
//! `cargo bench -p histories --bench recorder`. Two loads: `saturated` records as fast as it can
//! (the queue fills, and the callers wait for the writer), `paced` lets the writer keep up, as a
//! client does that waits for a server.

use std::error::Error;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use histories::{Completion, Header, Invocation, Outcome, RecordError, Recorder, Value};

const ROUNDS: usize = 9;
const EVENTS: usize = 200_000;
const PACED_EVENTS: usize = 20_000;
const PACE: Duration = Duration::from_micros(20);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    for callers in [1, 10] {
        for (load, events, pace) in [
            ("saturated", EVENTS, Duration::ZERO),
            ("paced", PACED_EVENTS, PACE),
        ] {
            let mut rounds = Vec::new();
            for round in 0..ROUNDS {
                let path = folder
                    .path()
                    .join(format!("{load}-{callers}-{round}.jsonl"));
                let started = Instant::now();
                let clock = move || started.elapsed().as_nanos() as u64;
                let file = std::fs::File::create(path)?;
                let recorder = Recorder::start(file, &Header::default(), clock, None)?;
                rounds.push(ns_per_event(&recorder, callers, events / callers, pace)?);
                recorder.finish()?;
            }
            rounds.sort_by(f64::total_cmp);
            let (least, median, most) = (rounds[0], rounds[ROUNDS / 2], rounds[ROUNDS - 1]);
            println!(
                "recorder {load:9} {callers:2} callers: {median:6.0} ns per event \
                 (median of {ROUNDS} rounds, {least:.0} to {most:.0})"
            );
        }
    }
    Ok(())
}

/// The time a caller spends in the recorder for one event, in nanoseconds.
fn ns_per_event(
    recorder: &Recorder,
    callers: usize,
    events_per_caller: usize,
    pace: Duration,
) -> Result<f64, RecordError> {
    let start = Barrier::new(callers);
    let start = &start;
    let spent: Result<Vec<Duration>, RecordError> = thread::scope(|scope| {
        let callers = (0..callers as u64).map(|process| {
            scope.spawn(move || drive(recorder, start, process, events_per_caller, pace))
        });
        let callers: Vec<_> = callers.collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap_or(Err(RecordError::Stopped)))
            .collect()
    });
    let spent: Duration = spent?.into_iter().sum();
    Ok(spent.as_nanos() as f64 / (callers * events_per_caller) as f64)
}

/// Records one caller's operations; returns the time this took, without the pauses.
fn drive(
    recorder: &Recorder,
    start: &Barrier,
    process: u64,
    events: usize,
    pace: Duration,
) -> Result<Duration, RecordError> {
    let f: Arc<str> = "write".into();
    let key: Arc<str> = "k7".into();
    let node: Arc<str> = "n1".into();
    let mut spent = Duration::ZERO;
    start.wait();
    for number in 0..events as i64 / 2 {
        let (f, key, value) = (
            f.clone(),
            Some(Value::Text(key.clone())),
            Value::Int(number),
        );
        let began = Instant::now();
        let invocation = Invocation {
            process,
            f: f.clone(),
            key: key.clone(),
            value: value.clone(),
            node: None,
        };
        recorder.invoke(invocation)?;
        recorder.complete(Completion {
            process,
            f,
            key,
            outcome: Outcome::Ok,
            value,
            node: Some(node.clone()),
            error: None,
            path: Vec::new(),
        })?;
        spent += began.elapsed();
        if !pace.is_zero() {
            thread::sleep(pace);
        }
    }
    Ok(spent)
}

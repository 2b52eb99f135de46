//! What recording costs the client's loop: nanoseconds an event on the caller's side, with one
//! caller and with ten at once, the writer's thread running beside them and writing to a file.
//!
//! `cargo bench -p histories --bench recorder`. First the cost with callers that pause between
//! operations, as a client does that waits for a server; then what the writer can bear: events a
//! second when the callers never pause and wait for room in the queue.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use histories::{Completion, Header, Invocation, Outcome, RecordError, Recorder, Value};

const ROUNDS: usize = 9;
const PACED_EVENTS: usize = 20_000;
const PACE: Duration = Duration::from_micros(20);
const SATURATED_EVENTS: usize = 400_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    for callers in [1, 10] {
        let path = folder.path().join(format!("{callers}.jsonl"));
        let mut costs = Vec::new();
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let recorder = start(&path)?;
            costs.push(ns_per_event(
                &recorder,
                callers,
                PACED_EVENTS / callers,
                PACE,
            )?);
            recorder.finish()?;

            let recorder = start(&path)?;
            let began = Instant::now();
            ns_per_event(
                &recorder,
                callers,
                SATURATED_EVENTS / callers,
                Duration::ZERO,
            )?;
            let events = recorder.finish()?.events;
            rates.push(events as f64 / began.elapsed().as_secs_f64());
        }
        println!(
            "recorder, {callers:2} callers: {} ns per event on the caller's side",
            show(costs)
        );
        println!(
            "recorder, {callers:2} callers: {} events per second at most",
            show(rates)
        );
    }
    Ok(())
}

/// A recorder that writes to a file, with the clock of a run.
fn start(path: &Path) -> Result<Recorder, Box<dyn Error>> {
    let started = Instant::now();
    let clock = move || started.elapsed().as_nanos() as u64;
    Ok(Recorder::start(
        std::fs::File::create(path)?,
        &Header::default(),
        clock,
        None,
    )?)
}

/// The median, and between what it lies.
fn show(mut rounds: Vec<f64>) -> String {
    rounds.sort_by(f64::total_cmp);
    let (least, median, most) = (
        rounds[0],
        rounds[rounds.len() / 2],
        rounds[rounds.len() - 1],
    );
    format!("{median:.0} ({least:.0} to {most:.0})")
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

//! The clients: each on a thread of its own, with one operation in flight, at a node of its own.

use std::sync::atomic::Ordering;
use std::sync::{PoisonError, mpsc};
use std::time::{Duration, Instant};

use histories::{Invocation, Outcome, RecordError};
use maelstrom::workloads::{Generator, Operation, Session};
use seeds::{Purpose, Stream};

use super::{LOOK_MS, Run};
use crate::controller::signal::Phase;
use crate::plan::Plan;

/// How often a last read is tried before it is given up.
const FINAL_READ_ATTEMPTS_MAX: u32 = 5;
/// Arrivals that nobody was free for are made up for as far as this.
const BACKLOG: Duration = Duration::from_secs(1);

/// When operations begin, over all clients.
pub(super) struct Arrivals {
    stream: Stream,
    next: Instant,
    /// The mean time between two; none for as soon as a client is free.
    mean_ns: u64,
}

impl Arrivals {
    pub fn new(plan: &Plan, start: Instant) -> Self {
        Arrivals {
            stream: Stream::new(plan.seed, Purpose::Arrivals, 0),
            next: start,
            mean_ns: match plan.workload.rate_per_s {
                0 => 0,
                rate_per_s => 1_000_000_000 / rate_per_s,
            },
        }
    }

    /// When the next begins; whoever asks is the one to begin it.
    fn take(&mut self) -> Instant {
        let now = Instant::now();
        if self.mean_ns == 0 {
            return now;
        }
        self.next = self.next.max(now.checked_sub(BACKLOG).unwrap_or(now));
        let taken = self.next;
        self.next += Duration::from_nanos(self.stream.below(2 * self.mean_ns + 1));
        taken
    }
}

/// One client: its process, its generator, its node.
pub(super) struct ClientLoop<'a> {
    run: &'a Run<'a>,
    number: u32,
    process: u64,
    session: Session,
    generator: Box<dyn Generator>,
    recovered: mpsc::Sender<()>,
}

impl<'a> ClientLoop<'a> {
    pub fn new(run: &'a Run<'a>, number: u32, recovered: mpsc::Sender<()>) -> Self {
        ClientLoop {
            run,
            number,
            process: u64::from(number),
            session: session(run, number),
            generator: run.workload.generator(&run.shared, number),
            recovered,
        }
    }

    /// Goes on until the run is over.
    pub fn run(mut self) -> Result<(), String> {
        let signal = &self.run.signal;
        loop {
            match signal.phase() {
                phase @ (Phase::Drive | Phase::Heal | Phase::Recover) => {
                    if self.run.is_quiet.load(Ordering::SeqCst) {
                        let look = Instant::now() + Duration::from_millis(LOOK_MS);
                        signal.wait_until(look, phase);
                    } else if self.await_arrival() {
                        self.run.busy.fetch_add(1, Ordering::SeqCst);
                        // Whoever makes it quiet now waits for this one, or this one sees it.
                        let driven = match self.run.is_quiet.load(Ordering::SeqCst) {
                            true => Ok(()),
                            false => self.drive(),
                        };
                        self.run.busy.fetch_sub(1, Ordering::SeqCst);
                        driven?;
                    }
                }
                Phase::FinalReads => return self.read_finally(),
                Phase::Over => return Ok(()),
            }
        }
    }

    /// Waits for the time to begin an operation; false when there is none to begin.
    fn await_arrival(&self) -> bool {
        let run = self.run;
        let arrivals = run.arrivals.lock();
        let arrival = arrivals.unwrap_or_else(PoisonError::into_inner).take();
        while Instant::now() < arrival {
            let phase = run.signal.phase();
            if phase > Phase::Recover || run.is_quiet.load(Ordering::SeqCst) {
                return false;
            }
            let look = Instant::now() + Duration::from_millis(LOOK_MS);
            run.signal.wait_until(arrival.min(look), phase);
        }
        run.signal.phase() <= Phase::Recover && !run.is_quiet.load(Ordering::SeqCst)
    }

    fn drive(&mut self) -> Result<(), String> {
        let operation = self.generator.next();
        let recovering = self.run.signal.phase() == Phase::Recover;
        let outcome = self.operate(&operation)?;
        if recovering && outcome == Outcome::Ok && is_update(&operation) {
            // When nobody waits any more, it was not the first.
            let _ = self.recovered.send(());
        }
        Ok(())
    }

    fn read_finally(&mut self) -> Result<(), String> {
        let run = self.run;
        for operation in run.workload.final_operations(&run.shared, self.number) {
            self.try_finally(&operation)?;
        }
        while let Some(operation) = self.generator.next_final() {
            if !self.try_finally(&operation)? {
                break;
            }
        }
        Ok(())
    }

    /// One of the last operations, a few times where it does not come off; tells whether it did.
    fn try_finally(&mut self, operation: &Operation) -> Result<bool, String> {
        for _ in 0..FINAL_READ_ATTEMPTS_MAX {
            if self.run.signal.phase() == Phase::Over {
                return Ok(false);
            }
            if self.operate(operation)? == Outcome::Ok {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One operation, recorded before and after. A process whose operation has an unknown outcome is
    /// retired: its client goes on under a new number, and a new name.
    fn operate(&mut self, operation: &Operation) -> Result<Outcome, String> {
        let run = self.run;
        let node = Some(self.session.node().clone());
        let unrecorded = |error: RecordError| {
            run.signal.advance(Phase::Over);
            error.to_string()
        };
        run.recorder
            .invoke(Invocation {
                process: self.process,
                f: operation.f.clone(),
                key: operation.key.clone(),
                value: operation.value.clone(),
                node: node.clone(),
            })
            .map_err(unrecorded)?;
        let completion = match run.workload.invoke(&mut self.session, operation) {
            Ok(completion) => completion,
            Err(why) => {
                // The operation stays open.
                run.cluster.net().fail(why);
                run.signal.advance(Phase::Over);
                return Ok(Outcome::Info);
            }
        };
        let outcome = completion.outcome;
        run.recorder
            .complete(histories::Completion {
                process: self.process,
                f: operation.f.clone(),
                key: operation.key.clone(),
                outcome,
                value: completion.value.clone(),
                node,
                error: completion.error.clone(),
                path: Vec::new(),
            })
            .map_err(unrecorded)?;
        let count = match outcome {
            Outcome::Ok if is_update(operation) => &run.tally.ok_writes,
            Outcome::Ok => &run.tally.ok_reads,
            Outcome::Fail => &run.tally.fail,
            Outcome::Info => &run.tally.info,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.generator.observe(operation, &completion);
        if outcome == Outcome::Info {
            self.process += u64::from(run.shared.clients);
            self.session = session(run, self.number);
        }
        Ok(outcome)
    }
}

/// A fresh client of the node that a client of this number has.
fn session(run: &Run<'_>, number: u32) -> Session {
    let nodes = &run.shared.nodes;
    let node = nodes[number as usize % nodes.len()].clone();
    Session::new(run.cluster.net(), node, run.plan.workload.timeout_ms)
}

fn is_update(operation: &Operation) -> bool {
    let is_read =
        |step: &histories::Value| step.as_list().and_then(|step| step.first()) == Some(&"r".into());
    match (&*operation.f, operation.value.as_list()) {
        ("read" | "poll" | "list" | "assign", _) => false,
        ("txn", Some(steps)) => !steps.iter().all(is_read),
        _ => true,
    }
}

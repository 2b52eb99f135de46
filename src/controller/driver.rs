//! The driver: clients side by side on one thread, each with one operation in flight.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use histories::{Completion, Invocation, Outcome, Point, RecordError, Recorder};
use seeds::{Purpose, Stream};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};
use workloads::{Client, Context, Generator, KeyRing, Options, Workload};

use super::signal::{Phase, Signal};

/// How often a waiting client looks whether the run goes on.
const LOOK_MS: u64 = 50;
/// How often a client that is done looks whether the others are.
const REST_LOOK_MS: u64 = 5;
/// How often a final read is tried before it is given up.
const FINAL_READ_ATTEMPTS_MAX: u32 = 5;

/// How many operations in a row may be ones that the client does not have.
const DRAWS_MAX: u32 = 10_000;

/// What the clients do, and what they share.
pub struct Drive {
    /// The workload.
    pub workload: &'static dyn Workload,
    /// Its options.
    pub options: Options,
    /// The operations that the client does not have: left out of the workload.
    pub lacking: Vec<&'static str>,
    /// The seed of every client's streams.
    pub seed: u64,
    /// How many clients.
    pub clients: u32,
    /// Operations per second over all clients; 0 for as fast as they get answers.
    pub rate_per_s: u64,
    /// The keys in use.
    pub keys: Arc<KeyRing>,
    /// Where the run stands.
    pub signal: Signal,
    /// Where everything is recorded.
    pub recorder: Arc<Recorder>,
    /// What came of the operations so far.
    pub tally: Arc<Tally>,
    /// How many clients have ended the last operation that they drew.
    pub done_driving: AtomicU64,
    /// The reads of the last phase, filled before it begins.
    pub final_reads: Arc<Mutex<VecDeque<(workloads::Invocation, u32)>>>,
    /// Told in the phase `Recover` when an update that began in that phase took effect.
    pub recovered: mpsc::Sender<()>,
}

/// What came of the operations so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Reads that were answered.
    pub ok_reads: AtomicU64,
    /// Updates that took effect.
    pub ok_writes: AtomicU64,
    /// They certainly did not.
    pub fail: AtomicU64,
    /// Nobody knows.
    pub info: AtomicU64,
}

/// Runs every client until the run is over, on the calling thread; returns why recording failed,
/// if it did.
pub fn drive(
    drive: &Drive,
    mut new_client: impl FnMut(u32) -> Box<dyn Client>,
) -> std::io::Result<Result<(), RecordError>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let failure: Rc<RefCell<Result<(), RecordError>>> = Rc::new(RefCell::new(Ok(())));
    let clients: Vec<ClientLoop> = (0..drive.clients)
        .map(|number| ClientLoop::new(drive, number, new_client(number)))
        .collect();
    LocalSet::new().block_on(&runtime, async {
        let loops = clients.into_iter().map(|client| {
            let failure = failure.clone();
            async move {
                if let Err(error) = client.run(drive).await {
                    *failure.borrow_mut() = Err(error);
                    drive.signal.advance(Phase::Over);
                }
            }
        });
        futures_util::future::join_all(loops).await;
    });
    Ok(failure.replace(Ok(())))
}

/// One client: its process, its generator, its connection.
struct ClientLoop {
    process: Cell<u64>,
    client: Box<dyn Client>,
    generator: Box<dyn Generator>,
    context: Context,
    arrivals: Option<Arrivals>,
    /// Whether it has ended the last operation that it drew.
    is_done_driving: bool,
}

impl ClientLoop {
    fn new(drive: &Drive, number: u32, client: Box<dyn Client>) -> Self {
        let context = Context {
            client: number,
            clients: drive.clients,
            keys: drive.keys.clone(),
        };
        ClientLoop {
            process: Cell::new(u64::from(number)),
            generator: drive
                .workload
                .generator(drive.seed, &context, &drive.options),
            client,
            context,
            arrivals: Arrivals::new(drive, number),
            is_done_driving: false,
        }
    }

    async fn run(mut self, drive: &Drive) -> Result<(), RecordError> {
        self.client.open(self.process.get());
        loop {
            match drive.signal.phase() {
                Phase::Drive | Phase::Heal | Phase::Recover => {
                    if let Some(arrivals) = &mut self.arrivals
                        && !arrivals.wait(&drive.signal).await
                    {
                        continue;
                    }
                    let Some(invocation) = self.draw(drive) else {
                        return Ok(());
                    };
                    let recovering = drive.signal.phase() == Phase::Recover;
                    let outcome = self.operate(drive, &invocation).await?;
                    let update = Some(&*invocation.f) != drive.workload.read();
                    if recovering && update && matches!(outcome, workloads::Outcome::Ok(_)) {
                        // When nobody waits any more, it was not the first.
                        let _ = drive.recovered.send(());
                    }
                }
                Phase::FinalReads if !self.is_at_rest(drive) => {
                    tokio::time::sleep(Duration::from_millis(REST_LOOK_MS)).await;
                }
                Phase::FinalReads => {
                    let next = locked(&drive.final_reads).pop_front();
                    let Some((invocation, attempt)) = next else {
                        return Ok(());
                    };
                    let outcome = self.operate(drive, &invocation).await?;
                    let again = match &outcome {
                        workloads::Outcome::Ok(_) => drive
                            .workload
                            .is_unfinished(&invocation, &outcome)
                            .then_some(attempt),
                        _ => (attempt < FINAL_READ_ATTEMPTS_MAX).then_some(attempt + 1),
                    };
                    if let Some(attempt) = again {
                        locked(&drive.final_reads).push_back((invocation, attempt));
                    }
                }
                Phase::Over => return Ok(()),
            }
        }
    }

    /// Whether no client is busy any more with an operation from before the final reads: what such
    /// an operation does, a final read made meanwhile would not see. Each ends within its own limit.
    fn is_at_rest(&mut self, drive: &Drive) -> bool {
        if !std::mem::replace(&mut self.is_done_driving, true) {
            // Only a count: no other memory depends on its order.
            drive.done_driving.fetch_add(1, Ordering::Relaxed);
        }
        drive.done_driving.load(Ordering::Relaxed) >= u64::from(drive.clients)
    }

    /// The next operation that the client has; none if there never is one.
    fn draw(&mut self, drive: &Drive) -> Option<workloads::Invocation> {
        let drawn = (0..DRAWS_MAX).map(|_| self.generator.next(&self.context));
        let mut drawn = drawn.filter(|drawn| !drive.lacking.contains(&&*drawn.f));
        drawn.next()
    }

    /// One operation, recorded before and after. A process whose operation has an unknown outcome is
    /// retired: its client goes on under a new number.
    async fn operate(
        &mut self,
        drive: &Drive,
        invocation: &workloads::Invocation,
    ) -> Result<workloads::Outcome, RecordError> {
        let process = self.process.get();
        let _begun: Point = drive.recorder.invoke(Invocation {
            process,
            f: invocation.f.clone(),
            key: invocation.key.clone(),
            value: invocation.value.clone(),
            node: None,
        })?;
        let completion = self.client.invoke(invocation).await;
        let (outcome, value, count) = match &completion.outcome {
            workloads::Outcome::Ok(value) => {
                let is_read = Some(&*invocation.f) == drive.workload.read();
                let reads_or_writes = match is_read {
                    true => &drive.tally.ok_reads,
                    false => &drive.tally.ok_writes,
                };
                (Outcome::Ok, value.clone(), reads_or_writes)
            }
            workloads::Outcome::Fail => (Outcome::Fail, histories::Value::Nil, &drive.tally.fail),
            workloads::Outcome::Info => (Outcome::Info, histories::Value::Nil, &drive.tally.info),
        };
        drive.recorder.complete(Completion {
            process,
            f: invocation.f.clone(),
            key: invocation.key.clone(),
            outcome,
            value,
            node: completion.node,
            error: completion.error,
            path: completion.path,
        })?;
        count.fetch_add(1, Ordering::Relaxed);
        self.generator.observe(invocation, &completion.outcome);
        if outcome == Outcome::Info {
            self.process.set(process + u64::from(drive.clients));
            self.client.open(self.process.get());
        }
        Ok(completion.outcome)
    }
}

/// When one client's operations arrive, at an open-loop rate: a Poisson process of its own.
struct Arrivals {
    stream: Stream,
    next: Instant,
    mean_ns: u64,
}

impl Arrivals {
    fn new(drive: &Drive, number: u32) -> Option<Self> {
        let rate_per_s = drive.rate_per_s;
        (rate_per_s > 0).then(|| {
            let mean_ns = 1_000_000_000 * u64::from(drive.clients) / rate_per_s;
            let mut stream = Stream::new(drive.seed, Purpose::Arrivals, number);
            let first = Duration::from_nanos(stream.exponential(mean_ns));
            Arrivals {
                stream,
                next: Instant::now() + first,
                mean_ns,
            }
        })
    }

    /// Waits for the next arrival; an arrival that is overdue is at once. False when the clients
    /// are to do something else by now.
    async fn wait(&mut self, signal: &Signal) -> bool {
        while Instant::now() < self.next {
            if signal.phase() > Phase::Recover {
                return false;
            }
            let look = Instant::now() + Duration::from_millis(LOOK_MS);
            if self.next <= look {
                sleep_until(self.next).await
            } else {
                sleep_until(look).await
            }
        }
        self.next += Duration::from_nanos(self.stream.exponential(self.mean_ns));
        true
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

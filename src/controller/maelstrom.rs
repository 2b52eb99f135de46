//! A run of Maelstrom's protocol, from the start of the first node to the end of the last.
//!
//! The nodes are programs on pipes, and the network between them is ours: no namespaces are needed,
//! so all of it happens in the command's own process.

use std::ffi::OsString;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use faults::{Injector, Kind, Ledger, Observed, Target};
use histories::{Fault, FaultPhase, RecordError, Recorder, Value};
use maelstrom::workloads::{self, Shared, Workload};
use maelstrom::{Client, Cluster, ClusterSpec, MaelstromOptions, NodesSpec, Print, Shown};

use super::conductor::told;
use super::driver::Tally;
use super::notice::{Failure, Notice, Progress};
use super::setup::start_recorder;
use super::signal::{Phase, Signal};
use super::walker::{self, Walk};
use crate::interrupt::STOP_FILE;
use crate::judge::RECOVERY;
use crate::judge::of_maelstrom::{AVAILABILITY, CONSISTENCY, MESSAGES, SETTLED};
use crate::plan::Plan;
use crate::reports::progress::say;
use crate::store::RunFolder;
use crate::units::ms;
use clients::{Arrivals, ClientLoop};

mod clients;

/// How long the last reads may take.
const FINAL_READS_LIMIT_MS: u64 = 20_000;
/// How often the run looks for a request to stop.
const LOOK_MS: u64 = 50;
/// How often it tells where it stands.
const PROGRESS_MS: u64 = 500;
/// After how many operations a key of `lin-kv` is retired.
const OPS_PER_KEY: u64 = 200;

/// Makes the run and tells what happens; the last notice is `Finished` or `Failed`.
pub fn conduct(
    plan: &Plan,
    options: &MaelstromOptions,
    folder: &RunFolder,
    watch: &mut dyn FnMut(&Notice),
) {
    told(watch, |tell| conduct_run(plan, options, folder, tell));
}

/// The run in named steps. Errors are for people.
fn conduct_run(
    plan: &Plan,
    options: &MaelstromOptions,
    folder: &RunFolder,
    tell: &mpsc::Sender<Notice>,
) -> Result<Notice, Failure> {
    let begun = Instant::now();
    let workload = workloads::by_name(&plan.workload.name)
        .ok_or_else(|| format!("there is no workload {}", plan.workload.name))?;
    let cluster = Cluster::open(cluster_spec(plan, options, folder), begun)
        .map_err(|error| error.to_string())?;
    for kind in plan.faults.kinds.keys() {
        kind.available(&cluster)
            .map_err(|why| format!("the fault {kind} is unavailable: {why}"))
            .map_err(Failure::unavailable)?;
    }
    cluster.nodes().start_all()?;
    let shared = Arc::new(shared(plan, options, workload));
    workload.prepare(&shared, &mut Client::new(cluster.net()))?;
    let start = Instant::now();
    cluster.net().begin(start);
    let available: Vec<Kind> = plan.faults.kinds.keys().copied().collect();
    let recorder = Arc::new(start_recorder(plan, folder, &available, start)?);
    let after_ms = ms(begun.elapsed());
    let _ = tell.send(Notice::Ready { after_ms });
    let run = Run {
        plan,
        options,
        folder,
        workload,
        cluster: &cluster,
        shared,
        signal: Signal::default(),
        is_quiet: AtomicBool::new(false),
        busy: AtomicU64::new(0),
        active: Mutex::default(),
        tally: Arc::default(),
        arrivals: Mutex::new(Arrivals::new(plan, start)),
        available,
        recorder,
        start,
        tell,
    };
    let conducted = run.conduct();
    run.note_messages();
    // What was recorded until a failure is judged all the same.
    let recorded = run.recorder.finish().map_err(|error| error.to_string());
    let stopped = match cluster.net().failure() {
        Some(failure) => return Err(failure.to_owned().into()),
        None => conducted?,
    };
    cluster
        .stop()
        .map_err(|error| format!("failed to end the nodes: {error}"))?;
    Ok(Notice::Finished {
        stopped,
        events: recorded?.events,
    })
}

fn cluster_spec(plan: &Plan, options: &MaelstromOptions, folder: &RunFolder) -> ClusterSpec {
    let print = |shown: bool| shown.then(|| Print::new(|line: &str| say(line)));
    ClusterSpec {
        nodes: NodesSpec {
            names: plan.system.nodes.clone(),
            program: plan.system.binary.clone().unwrap_or_default(),
            args: options.args.iter().map(OsString::from).collect(),
            logs: folder.path().join("nodes"),
            show: print(options.log_stderr),
            init_limit_ms: options.init_limit_ms,
        },
        seed: plan.seed,
        latency: options.latency,
        loss_ppm: options.loss_ppm,
        messages: folder.path().join("messages.jsonl"),
        shown: Shown {
            sent: print(options.log_net_send),
            received: print(options.log_net_recv),
        },
    }
}

fn shared(plan: &Plan, options: &MaelstromOptions, workload: &dyn Workload) -> Shared {
    let keys = match plan.workload.keys {
        0 => workload.keys(),
        keys => keys,
    };
    let uses_per_key = match (plan.workload.ops_per_key, workload.model()) {
        (0, Some(_)) => OPS_PER_KEY,
        (0, None) => options.max_writes_per_key,
        (uses, _) => uses,
    };
    let clients = u32::try_from(plan.workload.clients).unwrap_or(u32::MAX);
    let nodes = plan.system.nodes.clone();
    Shared::new(
        plan.seed,
        clients,
        nodes,
        options.clone(),
        [keys, uses_per_key],
    )
}

/// A run with its nodes serving.
struct Run<'a> {
    plan: &'a Plan,
    options: &'a MaelstromOptions,
    folder: &'a RunFolder,
    workload: &'static dyn Workload,
    cluster: &'a Cluster,
    shared: Arc<Shared>,
    signal: Signal,
    /// Whether clients ask for nothing, so that what one node knows becomes known to all.
    is_quiet: AtomicBool,
    /// How many clients have an operation under way, or are about to.
    busy: AtomicU64,
    /// The faults in force, in words, by number.
    active: Mutex<Vec<(u64, String)>>,
    tally: Arc<Tally>,
    arrivals: Mutex<Arrivals>,
    available: Vec<Kind>,
    recorder: Arc<Recorder>,
    start: Instant,
    tell: &'a mpsc::Sender<Notice>,
}

impl Run<'_> {
    /// Clients and faults side by side, then healing, recovery, some quiet, final reads. Tells
    /// whether the run was ended early.
    fn conduct(&self) -> Result<bool, String> {
        self.note_demands().map_err(|error| error.to_string())?;
        let ledger = File::create(self.folder.ledger_path())
            .map_err(|error| format!("failed to create the ledger of undos: {error}"))?;
        let mut injector = Injector::new(Ledger::new(ledger));
        let (recovered, recoveries) = mpsc::channel();
        thread::scope(|scope| {
            // Whatever happens below, the other threads end.
            let _over = OverOnDrop(&self.signal);
            let clients = self.spawn_clients(scope, &recovered)?;
            let walker = scope.spawn(|| {
                self.walk(&mut injector);
                injector
            });
            let stopped = self.await_end();
            self.signal.advance(Phase::Heal);
            let mut injector = walker
                .join()
                .map_err(|_| "the walker failed; this is a bug in Whitewater".to_owned())?;
            self.heal(&mut injector)?;
            self.signal.advance(Phase::Recover);
            if self.signal.phase() < Phase::Over {
                self.await_recovery(&recoveries);
                self.settle();
                self.phase("last reads");
                self.signal.advance(Phase::FinalReads);
                self.await_clients(&clients);
            }
            self.signal.advance(Phase::Over);
            for client in clients {
                client
                    .join()
                    .map_err(|_| "a client failed; this is a bug in Whitewater".to_owned())??;
            }
            Ok(stopped)
        })
    }

    /// Records what was asked for, so that the history can be judged without its plan.
    fn note_demands(&self) -> Result<(), RecordError> {
        if let Some(availability) = self.options.availability {
            let value = vec![("wanted".into(), availability.to_string().into())];
            self.recorder.note(AVAILABILITY, Value::Map(value))?;
        }
        let models = &self.options.consistency_models;
        if !models.is_empty() {
            let models = models.iter().map(|model| model.as_str().into()).collect();
            let value = vec![("models".into(), Value::List(models))];
            self.recorder.note(CONSISTENCY, Value::Map(value))?;
        }
        Ok(())
    }

    fn spawn_clients<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        recovered: &mpsc::Sender<()>,
    ) -> Result<Vec<ScopedJoinHandle<'scope, Result<(), String>>>, String> {
        (0..self.shared.clients)
            .map(|number| {
                let client = ClientLoop::new(self, number, recovered.clone());
                let named = thread::Builder::new().name(format!("client {number}"));
                named
                    .spawn_scoped(scope, move || client.run())
                    .map_err(|error| format!("failed to start a thread: {error}"))
            })
            .collect()
    }

    fn walk(&self, injector: &mut Injector) {
        let walk = Walk {
            schedule: &self.plan.schedule,
            available: &self.available,
            target: self.cluster,
            start: self.start,
            signal: &self.signal,
            leader: &|| None,
            observed: &|| Observed {
                ok_writes: self.tally.ok_writes.load(Ordering::Relaxed),
                ok_reads: self.tally.ok_reads.load(Ordering::Relaxed),
                ..Observed::default()
            },
            record: &|fault| self.record(&fault),
        };
        walker::walk(&walk, injector);
    }

    fn record(&self, fault: &Fault) {
        let text = walker::describe(fault);
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.retain(|(id, _)| *id != fault.id);
        if matches!(fault.phase, FaultPhase::Inject | FaultPhase::Error) {
            active.push((fault.id, fault.kind.to_string()));
        }
        drop(active);
        // A history that cannot be written ends the run by way of the clients.
        let _ = self.recorder.fault(fault);
        if fault.phase != FaultPhase::Begin {
            let at_ms = ms(self.start.elapsed());
            let _ = self.tell.send(Notice::Fault { at_ms, text });
        }
    }

    /// Waits for the end of the first phase: its time is over, a stop is asked for (then `true`), or
    /// the run cannot go on.
    fn await_end(&self) -> bool {
        let end = self.start + Duration::from_millis(self.plan.duration_ms);
        let stop = self.folder.path().join(STOP_FILE);
        let mut told = Instant::now();
        let mut counted = 0;
        while Instant::now() < end && !self.has_failed() {
            let look = end.min(Instant::now() + Duration::from_millis(LOOK_MS));
            if !self.signal.wait_until(look, Phase::Drive) {
                return false;
            }
            if stop.exists() {
                return true;
            }
            if told.elapsed() >= Duration::from_millis(PROGRESS_MS) {
                let progress = self.progress(told.elapsed(), &mut counted);
                told = Instant::now();
                let _ = self.tell.send(Notice::Progress(progress));
            }
        }
        false
    }

    /// Whether the run cannot go on; then it goes nowhere from here.
    fn has_failed(&self) -> bool {
        let has_failed = self.cluster.net().failure().is_some();
        if has_failed {
            self.signal.advance(Phase::Over);
        }
        has_failed
    }

    fn progress(&self, since: Duration, counted: &mut u64) -> Progress {
        let tally = &self.tally;
        let [reads, writes, fail, info] =
            [&tally.ok_reads, &tally.ok_writes, &tally.fail, &tally.info]
                .map(|count| count.load(Ordering::Relaxed));
        let count = reads + writes + fail + info;
        let lately = count - std::mem::replace(counted, count);
        let faults = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        Progress {
            at_ms: ms(self.start.elapsed()),
            ok: reads + writes,
            fail,
            info,
            rate_per_s: lately * 1_000 / ms(since).max(1),
            leader: None,
            faults: faults.iter().map(|(_, text)| text.clone()).collect(),
            online: None,
        }
    }

    /// Takes back every fault, and waits until every node that was started again is there.
    fn heal(&self, injector: &mut Injector) -> Result<(), String> {
        self.phase("healing");
        let healed = walker::heal(injector, self.cluster, &|fault| self.record(&fault));
        if !healed {
            return Err(
                "a fault could not be taken back (hint: the history says which and why)".to_owned(),
            );
        }
        if self.has_failed() {
            return Ok(());
        }
        for node in self.cluster.nodes().names() {
            Target::start(self.cluster, node)
                .map_err(|error| format!("failed to start {node} again: {error}"))?;
        }
        self.cluster.nodes().await_inits()
    }

    /// Waits until an operation that began after healing and changes something takes effect, and
    /// records how long it took.
    fn await_recovery(&self, recoveries: &mpsc::Receiver<()>) {
        let limit_ms = self.plan.faults.recovery_limit_ms;
        let healed = Instant::now();
        let mut came = false;
        while !came && ms(healed.elapsed()) < limit_ms && !self.has_failed() {
            came = recoveries
                .recv_timeout(Duration::from_millis(LOOK_MS))
                .is_ok();
        }
        let took_ms = ms(healed.elapsed());
        let took = match came {
            true => Value::Int(took_ms.cast_signed()),
            false => Value::Nil,
        };
        let value = Value::Map(vec![
            ("limit_ms".into(), Value::Int(limit_ms.cast_signed())),
            ("took_ms".into(), took),
        ]);
        let _ = self.recorder.note(RECOVERY, value);
        self.phase(&match came {
            true => format!("serving again after {took_ms} ms"),
            false => format!("not serving again within {limit_ms} ms"),
        });
    }

    /// Leaves the nodes alone for a while, where what one knows is to become known to all.
    fn settle(&self) {
        let settle_ms = self.options.settle_ms;
        if !self.workload.settles() {
            return;
        }
        self.is_quiet.store(true, Ordering::SeqCst);
        self.phase(&format!("leaving the nodes alone for {settle_ms} ms"));
        // What is under way ends within its timeout.
        while self.busy.load(Ordering::SeqCst) > 0 && !self.has_failed() {
            thread::sleep(Duration::from_millis(LOOK_MS / 5));
        }
        let end = Instant::now() + Duration::from_millis(settle_ms);
        while Instant::now() < end && !self.has_failed() {
            let look = end.min(Instant::now() + Duration::from_millis(LOOK_MS));
            if !self.signal.wait_until(look, Phase::Recover) {
                return;
            }
        }
        // A history that cannot be written ends the run by way of the clients.
        let _ = self.recorder.note(SETTLED, Value::Nil);
    }

    fn await_clients(&self, clients: &[ScopedJoinHandle<'_, Result<(), String>>]) {
        let end = Instant::now() + Duration::from_millis(FINAL_READS_LIMIT_MS);
        let are_done = || clients.iter().all(ScopedJoinHandle::is_finished);
        while !are_done() && Instant::now() < end && !self.has_failed() {
            thread::sleep(Duration::from_millis(LOOK_MS / 5));
        }
    }

    /// Records how many messages there were.
    fn note_messages(&self) {
        let tally = &self.tally;
        let counts = [&tally.ok_reads, &tally.ok_writes, &tally.fail, &tally.info];
        let operations = counts
            .map(|count| count.load(Ordering::Relaxed))
            .iter()
            .sum();
        let stats = self.cluster.net().stats(operations);
        // A history that cannot be written has said so.
        let _ = self.recorder.note(MESSAGES, stats);
    }

    fn phase(&self, text: &str) {
        let text = text.to_owned();
        let _ = self.tell.send(Notice::Phase { text });
    }
}

/// Ends every thread of a run when the conductor leaves early.
struct OverOnDrop<'a>(&'a Signal);

impl Drop for OverOnDrop<'_> {
    fn drop(&mut self) {
        self.0.advance(Phase::Over);
    }
}

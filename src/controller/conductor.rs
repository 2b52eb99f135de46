//! The conductor: one run, from the start of the first node to the end of the last.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use cluster::Mode;
use faults::{Injector, Kind, Ledger, Observed};
use histories::{Fault, FaultPhase, Recorder, Value};
use systems::Members;
use workloads::clients::{Complaints, Factory, Node};
use workloads::{KeyRing, Workload};

use super::driven::Driven;
use super::driver::{Drive, Tally, drive};
use super::exits::Exits;
use super::logs;
use super::member_requests::RequestedMembers;
use super::membership::RaftKvMembers;
use super::notice::{Failure, Notice, Progress};
use super::setup::{sort_kinds, start_cluster, start_recorder};
use super::signal::{Phase, Signal};
use super::system::System;
use super::view::{Leader, RoleAsker, View, Watch};
use super::walker::{self, Walk};
use crate::interrupt::STOP_FILE;
use crate::judge::{LEADER, LOG_FAILURES, RECOVERY};
use crate::plan::Plan;
use crate::store::RunFolder;
use crate::units::{amount, ms};

/// How long the reads of every key at the end may take.
const FINAL_READS_LIMIT_MS: u64 = 20_000;
/// How often the run looks for a request to stop.
const LOOK_MS: u64 = 100;
/// How often it tells where it stands.
const PROGRESS_MS: u64 = 500;

/// Does the work on a thread of its own and passes on what it tells meanwhile. What it returns, or
/// why it failed, is told last.
pub(super) fn told(
    watch: &mut dyn FnMut(&Notice),
    work: impl FnOnce(&mpsc::Sender<Notice>) -> Result<Notice, Failure> + Send,
) {
    let (tell, notices) = mpsc::channel();
    let failed = thread::scope(|scope| {
        let work = scope.spawn(move || {
            let last = work(&tell);
            let _ = tell.send(last.unwrap_or_else(Notice::Failed));
        });
        for notice in notices {
            watch(&notice);
            if matches!(notice, Notice::Finished { .. } | Notice::Failed(_)) {
                break;
            }
        }
        work.join().is_err()
    });
    if failed {
        watch(&Notice::Failed(bug("the conductor").into()));
    }
}

/// Makes the run and tells what happens; the last notice is `Finished` or `Failed`.
pub fn conduct(plan: &Plan, folder: &RunFolder, mode: Mode, watch: &mut dyn FnMut(&Notice)) {
    told(watch, |tell| conduct_run(plan, folder, mode, tell));
}

/// The run in named steps. Errors are for people.
fn conduct_run(
    plan: &Plan,
    folder: &RunFolder,
    mode: Mode,
    tell: &mpsc::Sender<Notice>,
) -> Result<Notice, Failure> {
    let begun = Instant::now();
    let exits = Exits::default();
    let (system, mut cluster) = start_cluster(plan, folder, mode, &exits)?;
    let nodes = system.client_nodes();
    set_membership(&mut cluster, &system, &nodes)?;
    let (clients, complaints) = system.clients(plan, folder)?;
    let (available, unavailable) = sort_kinds(plan, cluster.target())?;
    let _ = tell.send(Notice::Phase {
        text: system.told(),
    });
    let _ = tell.send(Notice::Sandbox {
        namespaces: mode == Mode::Sandbox,
        hosts: plan.system.hosts.len() as u64,
        image: plan.system.docker.clone(),
        unavailable,
    });
    let askers = system.role_askers()?;
    let leader = first_leader(&system, &cluster, &nodes, &askers)?;
    let start = Instant::now();
    let recorder = Arc::new(start_recorder(plan, folder, &available, start)?);
    exits.record_from_now(recorder.clone(), start, tell.clone());
    let after_ms = ms(begun.elapsed());
    let _ = tell.send(Notice::Ready { after_ms });
    let run = Run {
        plan,
        folder,
        cluster: &cluster,
        system: &system,
        clients,
        complaints,
        askers,
        nodes,
        available,
        signal: Signal::default(),
        view: View::of(leader.clone()),
        active: Mutex::default(),
        tally: Arc::default(),
        recorder,
        start,
        tell,
    };
    if let Some(leader) = &leader {
        let _ = run.note_leader(leader);
    }
    let stopped = run
        .conduct()
        // What failed then failed because of that.
        .map_err(|why| cluster.lost().unwrap_or(why))?;
    let recorder = run.recorder.clone();
    drop(run);
    let missed = cluster.missed_packets();
    if missed > 0 {
        let text =
            format!("{missed} packets were lost that no fault dropped: the switch did not keep up");
        let _ = tell.send(Notice::Phase { text });
    }
    let ended = cluster.stop();
    // Only now are the logs complete.
    if let Some(failures) = logs::failures(&system, folder) {
        let noted = recorder.note(LOG_FAILURES, failures);
        noted.map_err(|error| error.to_string())?;
    }
    let recorded = recorder.finish().map_err(|error| error.to_string())?;
    ended.map_err(|error| format!("failed to end the nodes: {error}"))?;
    Ok(Notice::Finished {
        stopped,
        events: recorded.events,
    })
}

/// Lets members be changed, where the system's definition says how.
fn set_membership(cluster: &mut Driven, system: &System, nodes: &[Node]) -> Result<(), String> {
    let entrance = cluster.control_entrance();
    match &system.definition.members {
        None => {}
        Some(Members::RaftKv(_)) => cluster.set_membership(Box::new(RaftKvMembers {
            nodes: nodes.into(),
            entrance,
        })),
        Some(Members::Requests(requests)) => {
            let members = RequestedMembers::new(requests, system, entrance)?;
            cluster.set_membership(Box::new(members));
        }
    }
    Ok(())
}

/// Who leads before anything goes wrong; none where the system has no leaders, or may lack one.
fn first_leader(
    system: &System,
    cluster: &Driven,
    nodes: &[Node],
    askers: &[RoleAsker],
) -> Result<Option<Leader>, String> {
    let Some(roles) = &system.definition.roles else {
        return Ok(None);
    };
    let watch = Watch { nodes, askers };
    let limit_ms = system.definition.ready.limit_ms;
    let led = cluster
        .control_entrance()
        .run(|| watch.await_leader(limit_ms))
        .map_err(|error| error.to_string())?;
    match led {
        Err(_) if roles.may_lack => Ok(None),
        led => led.map(Some),
    }
}

/// A run with its nodes serving.
struct Run<'a> {
    plan: &'a Plan,
    folder: &'a RunFolder,
    system: &'a System,
    cluster: &'a Driven,
    clients: Box<dyn Factory>,
    /// What is wrong with the clients themselves.
    complaints: Complaints,
    /// How each node is asked who leads.
    askers: Vec<RoleAsker>,
    nodes: Arc<[Node]>,
    available: Vec<Kind>,
    signal: Signal,
    view: View,
    /// The faults in force, in words, by number.
    active: Mutex<Vec<(u64, String)>>,
    tally: Arc<Tally>,
    recorder: Arc<Recorder>,
    start: Instant,
    tell: &'a mpsc::Sender<Notice>,
}

impl Run<'_> {
    /// Clients and faults side by side, then healing, recovery, final reads. Tells whether the run
    /// was ended early.
    fn conduct(&self) -> Result<bool, String> {
        let workload =
            workloads::by_name(&self.plan.workload.name).map_err(|error| error.to_string())?;
        let options = self.options(workload)?;
        let lacking = self.lacking(workload)?;
        let ledger = File::create(self.folder.ledger_path())
            .map_err(|error| format!("failed to create the ledger of undos: {error}"))?;
        let mut injector = Injector::new(Ledger::new(ledger));
        let keys = Arc::new(KeyRing::new(options.keys, options.ops_per_key));
        let final_reads = Arc::new(Mutex::new(VecDeque::new()));
        let (recovered, recoveries) = mpsc::channel();
        let driving = Drive {
            workload,
            options,
            lacking,
            seed: self.plan.seed,
            clients: u32::try_from(self.plan.workload.clients).unwrap_or(u32::MAX),
            rate_per_s: self.plan.workload.rate_per_s,
            keys: keys.clone(),
            signal: self.signal.clone(),
            recorder: self.recorder.clone(),
            tally: self.tally.clone(),
            done_driving: AtomicU64::new(0),
            final_reads: final_reads.clone(),
            recovered,
        };
        thread::scope(|scope| {
            // Whatever happens below, the other threads end.
            let _over = OverOnDrop(&self.signal);
            let clients = self.spawn_clients(scope, &driving)?;
            self.spawn_watcher(scope)?;
            let walker = scope.spawn(|| {
                self.walk(&mut injector);
                injector
            });
            let stopped = self.await_end(Duration::from_millis(self.plan.duration_ms));
            self.signal.advance(Phase::Heal);
            let mut injector = walker.join().map_err(|_| bug("the walker"))?;
            self.heal(&mut injector)?;
            self.signal.advance(match self.complaints.first() {
                Some(_) => Phase::Over,
                None => Phase::Recover,
            });
            if self.signal.phase() < Phase::Over && self.await_recovery(&recoveries) {
                let reads = workload.final_reads(&keys);
                self.phase(&format!(
                    "reading {} once more",
                    amount(reads.len() as u64, "key")
                ));
                *final_reads.lock().unwrap_or_else(PoisonError::into_inner) =
                    reads.into_iter().map(|read| (read, 1)).collect();
                self.signal.advance(Phase::FinalReads);
                self.await_clients(&clients);
            }
            self.signal.advance(Phase::Over);
            clients.join().map_err(|_| bug("a client"))??;
            // What a broken client saw says nothing about the system.
            self.complaints.first().map_or(Ok(stopped), Err)
        })
    }

    /// The operations of the workload that the client does not have.
    fn lacking(&self, workload: &dyn Workload) -> Result<Vec<&'static str>, String> {
        let client = self.plan.system.client();
        let client = client.map_err(|error| error.to_string())?;
        let mut lacking = workload.optional().to_vec();
        lacking.retain(|f| !client.has(workload.name(), f));
        if !lacking.is_empty() {
            let lacking = lacking.join(", ");
            self.phase(&format!(
                "the client has no {lacking}: left out of the workload"
            ));
        }
        Ok(lacking)
    }

    fn options(&self, workload: &dyn Workload) -> Result<workloads::Options, String> {
        let plan = &self.plan.workload;
        let defaults = workload.defaults();
        let or = |typed, default| if typed == 0 { default } else { typed };
        Ok(workloads::Options {
            keys: or(plan.keys, defaults.keys),
            ops_per_key: or(plan.ops_per_key, defaults.ops_per_key),
            values: plan.values.parse().map_err(|error| format!("{error}"))?,
        })
    }

    fn spawn_clients<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        driving: &'scope Drive,
    ) -> Result<ScopedJoinHandle<'scope, Result<(), String>>, String> {
        let entrance = self.cluster.clients_entrance();
        let run = move || {
            entrance.enter().map_err(|error| error.to_string())?;
            drive(driving, |number| self.clients.client(number))
                .map_err(|error| format!("failed to run the clients: {error}"))?
                .map_err(|error| error.to_string())
        };
        let named = thread::Builder::new().name("clients".to_owned());
        named
            .spawn_scoped(scope, run)
            .map_err(|error| format!("failed to start a thread: {error}"))
    }

    fn spawn_watcher<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<(), String> {
        if self.system.definition.roles.is_none() {
            return Ok(());
        }
        let entrance = self.cluster.control_entrance();
        let run = move || {
            let watch = Watch {
                nodes: &self.nodes,
                askers: &self.askers,
            };
            // Without a view of who leads, the schedule's own order decides whom faults hit.
            if entrance.enter().is_ok() {
                watch.watch(&self.view, &self.signal, &|leader| {
                    // A history that cannot be written ends the run by way of the clients.
                    let _ = self.note_leader(leader);
                });
            }
        };
        let named = thread::Builder::new().name("watcher".to_owned());
        named
            .spawn_scoped(scope, run)
            .map(drop)
            .map_err(|error| format!("failed to start a thread: {error}"))
    }

    fn note_leader(&self, leader: &Leader) -> Result<(), histories::RecordError> {
        let mut value = vec![("leader".into(), Value::Text(leader.node.clone()))];
        if let Some(term) = leader.term {
            let term = i64::try_from(term).unwrap_or(i64::MAX);
            value.push(("term".into(), term.into()));
        }
        let value = Value::Map(value);
        self.recorder.note(LEADER, value).map(drop)
    }

    fn walk(&self, injector: &mut Injector) {
        let walk = Walk {
            schedule: &self.plan.schedule,
            available: &self.available,
            target: self.cluster.target(),
            start: self.start,
            signal: &self.signal,
            leader: &|| self.view.leader().map(|leader| leader.node.to_string()),
            observed: &|| Observed {
                leaders: self.view.changes(),
                leader: self.view.leader().map(|leader| leader.node),
                leading: self.view.leading(),
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
        match fault.phase {
            FaultPhase::Begin => {}
            FaultPhase::Inject | FaultPhase::Error => {
                // One that could not be healed, or whose beats fail, is told of more than once.
                active.retain(|(id, _)| *id != fault.id);
                active.push((fault.id, fault.kind.to_string()));
            }
            FaultPhase::Heal => active.retain(|(id, _)| *id != fault.id),
        }
        drop(active);
        // A history that cannot be written ends the run by way of the clients.
        let _ = self.recorder.fault(fault);
        if fault.phase != FaultPhase::Begin {
            let _ = self.tell.send(Notice::Fault {
                at_ms: ms(self.start.elapsed()),
                text,
            });
        }
    }

    /// Waits for the end of the first phase: its time is over, a stop is asked for (then `true`),
    /// a host is lost, or the history cannot be written.
    fn await_end(&self, duration: Duration) -> bool {
        let end = self.start + duration;
        let stop = self.folder.path().join(STOP_FILE);
        let mut rate = Rate::since(self.start);
        let mut told = Instant::now();
        while Instant::now() < end {
            let look = end.min(Instant::now() + Duration::from_millis(LOOK_MS));
            if !self.signal.wait_until(look, Phase::Drive) {
                return false;
            }
            if stop.exists() {
                return true;
            }
            if self.complaints.first().is_some() {
                return false;
            }
            if self.cluster.lost().is_some() {
                return false;
            }
            if told.elapsed() >= Duration::from_millis(PROGRESS_MS) {
                told = Instant::now();
                let _ = self.tell.send(Notice::Progress(self.progress(&mut rate)));
            }
        }
        false
    }

    fn progress(&self, rate: &mut Rate) -> Progress {
        let tally = &self.tally;
        let [reads, writes, fail, info] =
            [&tally.ok_reads, &tally.ok_writes, &tally.fail, &tally.info]
                .map(|count| count.load(Ordering::Relaxed));
        let ok = reads + writes;
        let faults = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        Progress {
            at_ms: ms(self.start.elapsed()),
            ok,
            fail,
            info,
            rate_per_s: rate.update(ok + fail + info),
            leader: self.view.leader().map(|leader| leader.to_string()),
            faults: faults.iter().map(|(_, text)| text.clone()).collect(),
            online: None,
        }
    }

    /// Takes back every fault, and starts again what ended by itself.
    fn heal(&self, injector: &mut Injector) -> Result<(), String> {
        self.phase("healing");
        let target = self.cluster.target();
        let healed = walker::heal(injector, target, &|fault| self.record(&fault));
        for node in target.nodes() {
            target
                .start(&node)
                .map_err(|error| format!("failed to start {node} again: {error}"))?;
        }
        if healed {
            Ok(())
        } else {
            Err("a fault could not be taken back (hint: the history says which and why)".to_owned())
        }
    }

    /// Waits until an update that began after healing takes effect, and records how long it took.
    fn await_recovery(&self, recoveries: &mpsc::Receiver<()>) -> bool {
        let limit_ms = self.plan.faults.recovery_limit_ms;
        let healed = Instant::now();
        let limit = Duration::from_millis(limit_ms);
        let came = loop {
            let left = limit.saturating_sub(healed.elapsed());
            let look = left.min(Duration::from_millis(LOOK_MS));
            match recoveries.recv_timeout(look) {
                Ok(()) => break true,
                // Clients that are broken do not see whether the cluster serves.
                Err(_) if self.complaints.first().is_some() => return false,
                Err(mpsc::RecvTimeoutError::Timeout) if look < left => {}
                Err(_) => break false,
            }
        };
        let took_ms = ms(healed.elapsed());
        let took = if came {
            Value::Int(took_ms.cast_signed())
        } else {
            Value::Nil
        };
        let value = Value::Map(vec![
            ("limit_ms".into(), Value::Int(limit_ms.cast_signed())),
            ("took_ms".into(), took),
        ]);
        let _ = self.recorder.note(RECOVERY, value);
        self.phase(&if came {
            format!("serving again after {took_ms} ms")
        } else {
            format!("not serving again within {limit_ms} ms")
        });
        true
    }

    fn await_clients(&self, clients: &ScopedJoinHandle<'_, Result<(), String>>) {
        let end = Instant::now() + Duration::from_millis(FINAL_READS_LIMIT_MS);
        while !clients.is_finished() && Instant::now() < end {
            thread::sleep(Duration::from_millis(LOOK_MS / 5));
        }
    }

    fn phase(&self, text: &str) {
        let _ = self.tell.send(Notice::Phase {
            text: text.to_owned(),
        });
    }
}

/// Ends every thread of a run when the conductor leaves early.
struct OverOnDrop<'a>(&'a Signal);

impl Drop for OverOnDrop<'_> {
    fn drop(&mut self) {
        self.0.advance(Phase::Over);
    }
}

/// Operations per second since the last look.
struct Rate {
    /// When that was, and how many there had been.
    last: (Instant, u64),
}

impl Rate {
    fn since(start: Instant) -> Self {
        Rate { last: (start, 0) }
    }

    fn update(&mut self, count: u64) -> u64 {
        let now = Instant::now();
        let (then, earlier) = std::mem::replace(&mut self.last, (now, count));
        (count - earlier) * 1_000 / ms(now - then).max(1)
    }
}

fn bug(who: &str) -> String {
    format!("{who} failed; this is a bug in Whitewater")
}

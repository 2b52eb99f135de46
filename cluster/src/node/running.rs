//! One node and its current process, if any.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::absolute;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use faults::{Clock, Distortion, LimitShown, Resource};
use histories::Value;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::life::Life;
use super::limits::cgroup::TOKEN;
use super::limits::{Limited, NodeLimits};
use super::log::Logs;
use super::processes::{Process, Scope, is_alive};
use super::uptime::Uptime;
use super::{ExitCallback, NodeCommand, NodeExit, NodeSpec, stage, tail_text};
use crate::clock::NodeClocks;
use crate::disk::{Loss, NodeDisk};
use crate::error::ClusterError;
use crate::init::{Begin, pid_of};
use crate::lifeline::Lifeline;
use crate::mode::Mode;
use crate::network::Entrance;
use crate::watched::Watched;

/// How long one command that prepares a node may take.
pub(crate) const PREPARE_LIMIT: Duration = Duration::from_secs(60);

/// How long the program of a node that has just been started may take to be there.
const PROGRAM_LIMIT: Duration = Duration::from_secs(1);

/// A node that can be started, killed, paused and resumed, again and again.
pub(crate) struct Node {
    pub spec: NodeSpec,
    mode: Mode,
    host: Entrance,
    /// The disk of ours below its data folder, if that is not simply a folder.
    disk: Option<NodeDisk>,
    on_exit: ExitCallback,
    /// How often it has ended by itself.
    ends: Arc<AtomicU64>,
    /// Locked before the current life, where both are.
    limits: Mutex<NodeLimits>,
    current: Mutex<Option<Life>>,
    /// Locked after `current`, so that what is done to the node's processes is done one by one.
    clocks: Mutex<NodeClocks>,
}

/// What a kill ended.
pub(crate) struct Killed {
    /// The processes that there were, without the init.
    pub processes: Vec<Process>,
    /// What was lost besides, if the node's power failed.
    pub loss: Option<Loss>,
}

/// How a node ended that was asked to.
#[derive(Default)]
pub(crate) struct Ended {
    /// The processes that were there.
    pub gone: Vec<Process>,
    /// Whether any had to be ended by SIGKILL.
    pub was_killed: bool,
    /// How long it took.
    pub took: Duration,
}

impl Node {
    pub fn new(
        mut spec: NodeSpec,
        mode: Mode,
        host: Entrance,
        disk: Option<NodeDisk>,
        on_exit: ExitCallback,
        cgroups: Option<Arc<str>>,
    ) -> Self {
        // The node gets a working directory of its own, so no path may depend on ours. A program
        // without a folder is searched for in PATH.
        let mut paths = vec![&mut spec.data_dir, &mut spec.log_dir];
        for command in spec.commands.iter_mut().chain(&mut spec.prepare) {
            if command.program.components().count() > 1 {
                paths.push(&mut command.program);
            }
        }
        for path in paths {
            if let Ok(whole) = absolute(&*path) {
                *path = whole;
            }
        }
        Self {
            spec,
            mode,
            host,
            disk,
            on_exit,
            ends: Arc::default(),
            limits: Mutex::new(NodeLimits::new(cgroups)),
            current: Mutex::new(None),
            clocks: Mutex::default(),
        }
    }

    /// Starts the node's program if it does not run. Returns the pid of its init.
    pub fn start(&self) -> Result<Pid, ClusterError> {
        self.start_as(None)
    }

    /// Does the same, as on a machine that has been up for so long. Returns besides what the program
    /// is shown; nothing of a node that ran already, or ended at once.
    pub fn start_booted(&self, uptime: Duration) -> Result<(Pid, Option<Duration>), ClusterError> {
        let init = self.start_as(Some(uptime))?;
        let failed = |error| self.failed("see the uptime of", error);
        let current = self.current();
        let Some(life) = current.as_ref().filter(|life| life.init.status().is_none()) else {
            return Ok((init, None));
        };
        let processes = life.await_program(PROGRAM_LIMIT).map_err(failed)?;
        let shown = processes
            .first()
            .map(|process| Uptime::shown_to(process.pid));
        let shown = shown.transpose().map_err(failed)?;
        Ok((init, shown.map(Uptime::now)))
    }

    fn start_as(&self, booted: Option<Duration>) -> Result<Pid, ClusterError> {
        let limits = self.limits();
        let mut current = self.current();
        if let Some(life) = &*current {
            if life.init.status().is_none() {
                return Ok(life.init.pid());
            }
            life.await_report();
        }
        let mut clocks = self.clocks();
        clocks.forget_processes();
        if let Some(uptime) = booted {
            clocks.set_uptime(Uptime::of(uptime));
        }
        let begin = match clocks.is_true() {
            true => Begin::Running,
            false => Begin::Stopped,
        };
        let failed = |error| self.failed("start", error);
        let life = current.insert(
            self.launch(&self.spec.commands, begin, &limits, clocks.uptime())
                .map_err(failed)?,
        );
        if begin == Begin::Stopped {
            let begun = life.begin_with(&mut clocks);
            begun.map_err(|error| self.failed("change the clocks at the start of", error))?;
        }
        // Not before, lest it lets the program go on that waits for its clocks.
        life.govern(&limits).map_err(failed)?;
        Ok(life.init.pid())
    }

    /// Runs what is to be run before the first start, where the node will run.
    pub fn prepare(&self) -> Result<(), ClusterError> {
        let failed = |error| self.failed("prepare", error);
        for command in &self.spec.prepare {
            let uptime = self.clocks().uptime();
            let programs = std::slice::from_ref(command);
            let life = self.launch(programs, Begin::Running, &self.limits(), uptime);
            let life = life.map_err(failed)?;
            life.is_end_expected.store(true, Ordering::SeqCst);
            let status = life.init.wait_within(PREPARE_LIMIT);
            if status.is_none() {
                life.end(self.disk.as_ref()).map_err(failed)?;
            }
            let how = match status {
                Some(status) if status.success() => continue,
                Some(status) => status.to_string(),
                None => format!("it did not end within {} s", PREPARE_LIMIT.as_secs()),
            };
            return Err(ClusterError::NotPrepared {
                node: self.spec.name.to_string(),
                command: command.to_string(),
                how,
                tail: tail_text(&life.logs.last_lines()),
            });
        }
        Ok(())
    }

    /// From now on this clock is distorted in these ways, in every process of the node.
    pub fn set_distortions(
        &self,
        clock: Clock,
        distortions: &[(u64, Distortion)],
    ) -> Result<Value, ClusterError> {
        let failed = |error| self.failed("change the clocks of", error);
        let current = self.current();
        let life = current.as_ref().filter(|life| life.init.status().is_none());
        let processes = || life.map_or(Ok(Vec::new()), Life::pids);
        let set = || self.clocks().set(clock, distortions, processes);
        let changed = match life {
            Some(life) => life.gate.undisturbed(set),
            None => set(),
        };
        let changed = changed.map_err(failed)?;
        match changed.problems.is_empty() {
            true => Ok(changed.evidence),
            false => Err(failed(io::Error::other(changed.problems.join("; ")))),
        }
    }

    /// Whether the clocks of later processes must be looked after.
    pub fn has_distortions(&self) -> bool {
        !self.clocks().is_true()
    }

    /// Distorts the clocks of processes that were started since, as all others are.
    pub fn keep_distortions(&self) -> io::Result<()> {
        let current = self.current();
        match current.as_ref().filter(|life| life.init.status().is_none()) {
            Some(life) => life.gate.undisturbed(|| self.clocks().keep(|| life.pids())),
            None => Ok(()),
        }
    }

    /// Ends every process of the node and waits until they are gone. If its power has failed, what
    /// was not durable is gone then too.
    pub fn kill(&self) -> Result<Killed, ClusterError> {
        let mut current = self.current();
        let processes = match &mut *current {
            Some(life) => self.end(life)?,
            None => Vec::new(),
        };
        let loss = match &self.disk {
            Some(disk) => disk
                .settle()
                .map_err(|error| self.failed("reset the disk of", error.into()))?,
            None => None,
        };
        Ok(Killed { processes, loss })
    }

    fn end(&self, life: &mut Life) -> Result<Vec<Process>, ClusterError> {
        let failed = |error| self.failed("kill", error);
        life.governor = None;
        life.is_end_expected.store(true, Ordering::SeqCst);
        if life.init.status().is_some() {
            return Ok(Vec::new());
        }
        let processes = life.scope.processes().map_err(failed)?;
        life.end(self.disk.as_ref()).map_err(failed)?;
        match processes.iter().find(|process| is_alive(process.pid)) {
            None => Ok(processes),
            Some(survivor) => {
                let why = format!("process {} is still there after SIGKILL", survivor.pid);
                Err(failed(io::Error::other(why)))
            }
        }
    }

    /// The node's disk, if it has one of ours.
    pub fn disk(&self) -> Option<&NodeDisk> {
        self.disk.as_ref()
    }

    /// Asks the node's program to end, and ends what is left after the grace.
    pub fn terminate(&self, grace: Duration) -> Result<Ended, ClusterError> {
        let failed = |error| self.failed("end", error);
        let begin = Instant::now();
        let asked = match &*self.current() {
            Some(life) if life.init.status().is_none() => {
                life.is_end_expected.store(true, Ordering::SeqCst);
                let gone = life.await_program(grace).map_err(failed)?;
                // The init passes it on.
                life.init
                    .signal(Signal::SIGTERM)
                    .map_err(|error| failed(error.into()))?;
                Some((life.init.clone(), gone))
            }
            _ => None,
        };
        let Some((init, mut gone)) = asked else {
            return Ok(Ended::default());
        };
        // Nothing is locked: a governor goes on meanwhile, and the node can be looked at.
        let was_killed = init.wait_within(grace).is_none();
        let took = begin.elapsed();
        for process in self.kill()?.processes {
            if gone.iter().all(|known| known.pid != process.pid) {
                gone.push(process);
            }
        }
        match gone.iter().find(|process| is_alive(process.pid)) {
            None => Ok(Ended {
                gone,
                was_killed,
                took,
            }),
            Some(survivor) => {
                let why = format!("process {} outlived it", survivor.pid);
                Err(failed(io::Error::other(why)))
            }
        }
    }

    /// Limits what its processes may use of a resource.
    pub fn limit(
        &self,
        resource: Resource,
        amount: Option<u64>,
    ) -> Result<LimitShown, ClusterError> {
        let failed = |error| self.failed("limit", error);
        let mut limits = self.limits();
        let mut current = self.current();
        let mut life = current.as_mut().filter(|life| {
            let runs = life.init.status().is_none();
            if !runs {
                life.await_report();
            }
            runs
        });
        match (&mut life, resource) {
            (Some(life), Resource::CpuPercent) => life.governor = None,
            // These limit processes, so there must be one.
            (Some(life), _) if amount.is_some() => {
                life.await_program(PROGRAM_LIMIT).map_err(failed)?;
            }
            _ => {}
        }
        let scope = life.as_ref().map(|life| life.scope.clone());
        let limited = Limited {
            name: &self.spec.name,
            token: None,
            scope: scope.as_ref(),
            ends: self.ends.load(Ordering::SeqCst),
        };
        let shown = limits.limit(limited, resource, amount).map_err(failed)?;
        if let (Some(life), Resource::CpuPercent) = (life, resource) {
            life.govern(&limits).map_err(failed)?;
        }
        Ok(shown)
    }

    /// Lifts every limit. Each is tried; the first failure is returned.
    pub fn unlimit(&self) -> Result<(), ClusterError> {
        let mut outcome = Ok(());
        for resource in [
            Resource::CpuPercent,
            Resource::SpareMemoryKib,
            Resource::SpareFiles,
        ] {
            outcome = outcome.and(self.limit(resource, None).map(drop));
        }
        outcome
    }

    /// Stops every process of the node and returns them as they then are.
    pub fn pause(&self) -> Result<Vec<Process>, ClusterError> {
        let current = self.current();
        let life = current
            .as_ref()
            .filter(|life| life.init.status().is_none())
            .ok_or_else(|| self.failed("pause", io::Error::other("it does not run")))?;
        match life.gate.pause(&life.scope) {
            Ok(processes) if processes.is_empty() => {
                Err(self.failed("pause", io::Error::other("it has no process")))
            }
            Ok(processes) => Ok(processes),
            Err(error) => Err(self.failed("pause", error)),
        }
    }

    /// Lets every process of the node go on and returns them. A dead node has none.
    pub fn resume(&self) -> Result<Vec<Process>, ClusterError> {
        match &*self.current() {
            Some(life) if life.init.status().is_none() => life
                .gate
                .resume(&life.scope)
                .map_err(|error| self.failed("resume", error)),
            _ => Ok(Vec::new()),
        }
    }

    /// The node's processes now, without the init.
    pub fn processes(&self) -> Result<Vec<Process>, ClusterError> {
        match &*self.current() {
            Some(life) if life.init.status().is_none() => life
                .scope
                .processes()
                .map_err(|error| self.failed("see the processes of", error)),
            _ => Ok(Vec::new()),
        }
    }

    /// How the node's process ended, if it was started and has ended.
    pub fn exit(&self) -> Option<NodeExit> {
        let current = self.current();
        let life = current.as_ref()?;
        Some(NodeExit {
            node: self.spec.name.clone(),
            status: life.init.status()?,
            last_lines: life.logs.last_lines(),
        })
    }

    /// The last lines that the current process wrote.
    pub fn last_lines(&self) -> Vec<String> {
        let current = self.current();
        current
            .as_ref()
            .map_or_else(Vec::new, |life| life.logs.last_lines())
    }

    fn launch(
        &self,
        programs: &[NodeCommand],
        begin: Begin,
        limits: &NodeLimits,
        uptime: Uptime,
    ) -> io::Result<Life> {
        fs::create_dir_all(&self.spec.data_dir)?;
        fs::create_dir_all(&self.spec.log_dir)?;
        let (logs, stdout, stderr) = Logs::open(&self.spec.log_dir)?;
        let lifeline = Lifeline::new().map_err(io::Error::other)?;
        let mount = match &self.disk {
            Some(disk) => Some(disk.mount().map_err(io::Error::other)?),
            None => None,
        };
        let mut command = self.command(&lifeline, begin, mount.as_ref(), uptime, programs)?;
        limits.attach(&mut command)?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);

        let is_end_expected = Arc::new(AtomicBool::new(false));
        let (mode, host) = (self.mode, self.host.clone());
        let start = move || {
            // This thread is the node's own, so it may stay in the node's namespaces.
            host.enter().map_err(io::Error::other)?;
            if mode == Mode::Sandbox {
                unshare(CloneFlags::CLONE_NEWPID)?;
            }
            let mut child = command.spawn()?;
            // The node has it now; it is to end with the node.
            drop(mount);
            match Scope::below(pid_of(&child), mode) {
                Ok(scope) => Ok((child, scope)),
                Err(error) => {
                    // A node whose processes cannot be found could be neither paused nor killed.
                    child.kill()?;
                    child.wait()?;
                    Err(error)
                }
            }
        };
        let thread_name = format!("node {}", self.spec.name);
        let report = self.report_unexpected_end(&logs, &is_end_expected);
        let (reporting, reported) = channel::<()>();
        let on_end = move |status| {
            report(status);
            drop(reporting);
        };
        let (init, scope) = Watched::spawn(thread_name, start, on_end)?;
        Ok(Life {
            init,
            programs: programs.len(),
            scope,
            logs,
            is_end_expected,
            gate: Arc::default(),
            governor: None,
            reported,
            _lifeline: lifeline,
        })
    }

    fn command(
        &self,
        lifeline: &Lifeline,
        begin: Begin,
        mount: Option<&OwnedFd>,
        uptime: Uptime,
        programs: &[NodeCommand],
    ) -> io::Result<Command> {
        let spec = &self.spec;
        let mut command = stage::command(
            self.mode, lifeline, begin, &spec.name, mount, uptime, programs,
        )?;
        let env = programs.iter().flat_map(|program| &program.env);
        command
            .envs(env.map(|(name, value)| (name, value)))
            .env_remove(TOKEN)
            .current_dir(&spec.data_dir);
        Ok(command)
    }

    fn report_unexpected_end(
        &self,
        logs: &Logs,
        is_expected: &Arc<AtomicBool>,
    ) -> impl FnOnce(ExitStatus) + Send + use<> {
        let (node, on_exit) = (self.spec.name.clone(), Arc::clone(&self.on_exit));
        let (logs, is_expected) = (logs.clone(), Arc::clone(is_expected));
        let ends = Arc::clone(&self.ends);
        move |status| {
            if !is_expected.load(Ordering::SeqCst) {
                ends.fetch_add(1, Ordering::SeqCst);
                on_exit(NodeExit {
                    node,
                    status,
                    last_lines: logs.last_lines(),
                });
            }
        }
    }

    fn limits(&self) -> MutexGuard<'_, NodeLimits> {
        // What a panic elsewhere has torn is lifted by the node's end.
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> MutexGuard<'_, Option<Life>> {
        // A life is replaced in one move, so a panic elsewhere cannot have torn it.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clocks(&self) -> MutexGuard<'_, NodeClocks> {
        // Of a change that a panic interrupted, the processes left over are found by the next.
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, action: &'static str, error: io::Error) -> ClusterError {
        ClusterError::Node {
            action,
            node: self.spec.name.to_string(),
            error,
        }
    }
}

//! One life of a node, from its start to its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::limits::{Gate, Governor, NodeLimits};
use super::log::Logs;
use super::processes::{Process, Scope};
use crate::clock::NodeClocks;
use crate::disk::NodeDisk;
use crate::lifeline::Lifeline;
use crate::watched::Watched;

/// Within how long all processes of a killed node must be gone.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// Within how long a program that is to wait at its beginning must be there.
const BEGIN_LIMIT: Duration = Duration::from_secs(5);

/// Between two looks at one that is not there yet.
const BEGIN_POLL: Duration = Duration::from_micros(500);

/// Within how long an unexpected end is reported by the thread that noticed it.
const REPORT_LIMIT: Duration = Duration::from_secs(2);

/// Between two looks for the program of a node that has just been started.
const PROGRAM_POLL: Duration = Duration::from_millis(1);

/// One process of the node, from its start to its end.
pub(super) struct Life {
    pub init: Watched,
    /// How many programs there are besides what they start.
    pub programs: usize,
    pub scope: Scope,
    pub logs: Logs,
    pub is_end_expected: Arc<AtomicBool>,
    pub gate: Arc<Gate>,
    /// Keeps it to its part of a processor, where it has only a part.
    pub governor: Option<Governor>,
    /// Closed when an unexpected end has been reported.
    pub reported: Receiver<()>,
    pub _lifeline: Lifeline,
}

impl Life {
    /// The pids of what runs below the init.
    pub fn pids(&self) -> io::Result<Vec<Pid>> {
        let processes = self.scope.processes()?;
        Ok(processes.iter().map(|process| process.pid).collect())
    }

    /// Changes the clocks of the program, which waits at its beginning, and lets it begin.
    pub fn begin_with(&self, clocks: &mut NodeClocks) -> io::Result<()> {
        let deadline = Instant::now() + BEGIN_LIMIT;
        while self.init.status().is_none() {
            let processes = self.scope.processes()?;
            let stopped = processes.iter().filter(|process| process.state == 'T');
            if stopped.count() >= self.programs {
                break;
            }
            if Instant::now() > deadline {
                let why = format!("the program was not there within {BEGIN_LIMIT:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            thread::sleep(BEGIN_POLL);
        }
        let kept = clocks.keep(|| self.pids());
        // It begins in any case.
        self.scope.resume_all()?;
        kept?;
        match clocks.missed() {
            missed if missed.is_empty() => Ok(()),
            missed => Err(io::Error::other(missed.join("; "))),
        }
    }

    /// Waits until an end that was unexpected has been reported: so that the report comes before
    /// whatever is done next about the node.
    pub fn await_report(&self) {
        // Nothing is ever sent; it ends by the sender's end.
        let _ = self.reported.recv_timeout(REPORT_LIMIT);
    }

    /// Waits until there is a process, at most so long: before that the init would not hear of a
    /// request to end.
    pub fn await_program(&self, limit: Duration) -> io::Result<Vec<Process>> {
        let begin = Instant::now();
        loop {
            let processes = self.scope.processes()?;
            let is_over = begin.elapsed() >= limit || self.init.status().is_some();
            if is_over || !processes.is_empty() {
                return Ok(processes);
            }
            thread::sleep(PROGRAM_POLL);
        }
    }

    /// Keeps it to its part of a processor, if it has only a part.
    pub fn govern(&mut self, limits: &NodeLimits) -> io::Result<()> {
        self.governor = match limits.cpu() {
            Some(cpu) => {
                let (init, scope) = (self.init.clone(), self.scope.clone());
                Some(cpu.govern(init, scope, Arc::clone(&self.gate))?)
            }
            None => None,
        };
        Ok(())
    }

    /// Ends the init and with it everything below, and waits until it is reaped.
    pub fn end(&self, disk: Option<&NodeDisk>) -> io::Result<()> {
        // With an init of a PID namespace the kernel ends the rest. A plain init does it itself
        // when told that its parent hung up.
        let signal = match self.scope {
            Scope::PidNamespace { .. } => Signal::SIGKILL,
            Scope::Descendants { .. } => Signal::SIGHUP,
        };
        if let Some(disk) = disk {
            // A process that waits for the disk cannot end before it has an answer, and must not
            // go on after it.
            self.scope.doom_all()?;
            self.init.signal(signal)?;
            disk.let_die();
        } else {
            self.init.signal(signal)?;
        }
        if self.init.wait_within(KILL_LIMIT).is_some() {
            return Ok(());
        }
        self.init.signal(Signal::SIGKILL)?;
        let why = format!("its init did not end within {KILL_LIMIT:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    }
}

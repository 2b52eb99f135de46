//! A program that is spoken to through its standard input and output, as one that serves as a node
//! there.
//!
//! It runs below an init of its own, which adopts what the program starts: so a kill or a pause
//! reaches all of it, and when this process dies, however it dies, the init ends all of it too. That
//! needs no namespaces and no rights.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use faults::Name;
use histories::Value;
use nix::sys::signal::Signal;

use crate::error::ClusterError;
use crate::init::{Begin, pid_of};
use crate::lifeline::Lifeline;
use crate::mode::Mode;
use crate::node::processes::{Process, Scope, is_alive};
use crate::node::uptime::Uptime;
use crate::node::{NodeCommand, evidence, stage};
use crate::watched::Watched;

/// Within how long everything below a killed program must be gone.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Debug, Clone)]
pub struct ProgramSpec {
    /// What the program is called in messages.
    pub name: Name,
    /// The program: a path, or a name to be searched for in PATH.
    pub program: PathBuf,
    /// Its arguments, without a program name.
    pub args: Vec<OsString>,
    /// Its working directory.
    pub folder: PathBuf,
}

/// Our ends of the program's standard streams.
#[derive(Debug)]
pub struct Pipes {
    /// What it reads.
    pub stdin: ChildStdin,
    /// What it writes. Ends when the program and everything it started have ended.
    pub stdout: ChildStdout,
    /// What it writes as its log. Ends likewise.
    pub stderr: ChildStderr,
}

/// A program that was started, with everything that it started in turn. Dropping it ends it.
#[derive(Debug)]
pub struct Program {
    name: Name,
    init: Watched,
    scope: Scope,
    _lifeline: Lifeline,
}

impl Program {
    /// Starts it. One that cannot be run ends at once with exit status 127, and says why on its
    /// standard error.
    ///
    /// # Errors
    /// When no process can be made.
    pub fn start(spec: ProgramSpec) -> Result<(Self, Pipes), ClusterError> {
        let name = spec.name.clone();
        Self::launch(spec).map_err(|error| failed(&name, "start", error))
    }

    fn launch(spec: ProgramSpec) -> io::Result<(Self, Pipes)> {
        let lifeline = Lifeline::new().map_err(io::Error::other)?;
        let mut command = stage::command(
            Mode::Plain,
            &lifeline,
            Begin::Running,
            &spec.name,
            None,
            Uptime::default(),
            &[NodeCommand {
                program: spec.program,
                args: spec.args,
                env: Vec::new(),
                user: None,
            }],
        )?;
        command
            .current_dir(&spec.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let start = move || {
            let mut child = command.spawn()?;
            let pipes = match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
                (Some(stdin), Some(stdout), Some(stderr)) => Pipes {
                    stdin,
                    stdout,
                    stderr,
                },
                _ => return Err(io::Error::other("its pipes are missing")),
            };
            let scope = Scope::below(pid_of(&child), Mode::Plain)?;
            Ok((child, (pipes, scope)))
        };
        let thread_name = format!("node {}", spec.name);
        let (init, (pipes, scope)) = Watched::spawn(thread_name, start, |_| ())?;
        let program = Program {
            name: spec.name,
            init,
            scope,
            _lifeline: lifeline,
        };
        Ok((program, pipes))
    }

    /// How it ended, if it has. A program that a signal ended counts as one that exited with 128 +
    /// the signal's number.
    pub fn exit(&self) -> Option<ExitStatus> {
        self.init.status()
    }

    /// Waits for its end, at most so long.
    pub fn exit_within(&self, limit: Duration) -> Option<ExitStatus> {
        self.init.wait_within(limit)
    }

    /// Asks the program to end (SIGTERM), waits at most so long until all of it is gone, and ends
    /// what is left by SIGKILL. Harmless when it has ended.
    ///
    /// Returns the pids that were there and are no more, what ended them, and how long it took:
    /// `{"gone" [412], "by" "SIGTERM", "took_ms" 3}`.
    ///
    /// # Errors
    /// When something is left.
    pub fn terminate(&self, grace: Duration) -> Result<Value, ClusterError> {
        let failed = |error| failed(&self.name, "end", error);
        let begin = Instant::now();
        let mut gone = Vec::new();
        let mut by = "SIGTERM";
        if self.init.status().is_none() {
            gone = self.pids().map_err(failed)?;
            self.init
                .signal(Signal::SIGTERM)
                .map_err(|error| failed(error.into()))?;
            if self.init.wait_within(grace).is_none() {
                by = "SIGKILL";
                self.kill()?;
            }
        }
        let took_ms = i64::try_from(begin.elapsed().as_millis()).unwrap_or(i64::MAX);
        Ok(Value::Map(vec![
            ("gone".into(), Value::List(gone)),
            ("by".into(), by.into()),
            ("took_ms".into(), took_ms.into()),
        ]))
    }

    /// Ends all of it by SIGKILL and waits until it is gone. Harmless when it has ended.
    ///
    /// Returns the pids that were there and are no more: `{"gone" [412 413]}`.
    ///
    /// # Errors
    /// When something is left.
    pub fn kill(&self) -> Result<Value, ClusterError> {
        let failed = |error| failed(&self.name, "kill", error);
        let mut gone = Vec::new();
        if self.init.status().is_none() {
            let processes = self.scope.processes().map_err(failed)?;
            // The init ends everything below it when told that its parent hung up.
            self.init
                .signal(Signal::SIGHUP)
                .map_err(|error| failed(error.into()))?;
            if self.init.wait_within(KILL_LIMIT).is_none() {
                let why = format!("its init did not end within {KILL_LIMIT:?}");
                return Err(failed(io::Error::new(io::ErrorKind::TimedOut, why)));
            }
            for process in processes {
                if is_alive(process.pid) {
                    let why = format!("process {} is still there after SIGKILL", process.pid);
                    return Err(failed(io::Error::other(why)));
                }
                gone.push(i64::from(process.pid.as_raw()).into());
            }
        }
        Ok(Value::Map(vec![("gone".into(), Value::List(gone))]))
    }

    fn pids(&self) -> io::Result<Vec<Value>> {
        let processes = self.scope.processes()?;
        let pid = |process: &Process| i64::from(process.pid.as_raw()).into();
        Ok(processes.iter().map(pid).collect())
    }

    /// Stops all of it by SIGSTOP.
    ///
    /// Returns the processes as the kernel shows them afterwards: `[{"pid" 412, "state" "T"}]`.
    ///
    /// # Errors
    /// When it does not run, or some of it goes on.
    pub fn pause(&self) -> Result<Value, ClusterError> {
        let failed = |error| failed(&self.name, "pause", error);
        if self.init.status().is_some() {
            return Err(failed(io::Error::other("it does not run")));
        }
        let processes = self.scope.stop_all().map_err(failed)?;
        match processes.is_empty() {
            true => Err(failed(io::Error::other("it has no process"))),
            false => Ok(evidence(&processes)),
        }
    }

    /// Lets all of it go on (SIGCONT) and returns its processes. One that has ended has none.
    ///
    /// # Errors
    /// When a signal cannot be sent.
    pub fn resume(&self) -> Result<Value, ClusterError> {
        if self.init.status().is_some() {
            return Ok(Value::List(Vec::new()));
        }
        let resumed = self.scope.resume_all();
        resumed
            .map(|processes| evidence(&processes))
            .map_err(|error| failed(&self.name, "resume", error))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // What cannot be ended is left to the init, which ends it when this process does.
        let _ = self.kill();
    }
}

fn failed(name: &Name, action: &'static str, error: io::Error) -> ClusterError {
    ClusterError::Node {
        action,
        node: name.to_string(),
        error,
    }
}

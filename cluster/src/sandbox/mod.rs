//! Running the controller in namespaces of its own, so that nothing can leak.
//!
//! ```text
//! parent ──► unshared ──► init (PID 1) ──► controller ──► node inits ──► nodes
//! terminal   namespaces   /proc, lo, reaps
//! ```
//!
//! All four are this program's own executable. The parent stays outside with the terminal. When
//! any process of the chain dies, however it dies, everything to its right dies: each hop up to
//! the init is tied to its parent (`lifeline`), the init ends when the controller ends, and with
//! the init the kernel kills every process of the PID namespace. The interfaces and mounts belong
//! to namespaces that nobody holds any more, and vanish. Cgroups do not, so where any can be made a
//! janitor beside the chain waits for its end and removes them.

use std::ffi::OsString;
use std::io;
use std::process::{ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::doctor::outcome_within;
use crate::error::SystemCall;
use crate::hidden::stage_command;
use crate::lifeline::Lifeline;
use crate::node::limits::janitor::Janitor;
use crate::watched::{Watched, with_output};

pub(crate) mod namespaces;
pub(crate) mod stages;

/// The exit code when the sandbox could not be made; the reason is on standard error.
pub const SETUP_FAILED: u8 = 125;

/// A sandbox to be made, with what runs in it.
#[derive(Debug)]
pub struct Sandbox {
    args: Vec<OsString>,
    stdout: Stdio,
    stderr: Stdio,
}

/// A sandbox with the controller in it. Dropping it does not end it; the end of this process does.
#[derive(Debug)]
pub struct SandboxChild {
    /// The controller's standard output, where it was piped.
    pub stdout: Option<ChildStdout>,
    /// The controller's standard error, where it was piped.
    pub stderr: Option<ChildStderr>,
    first: Watched,
    _lifeline: Lifeline,
}

impl Sandbox {
    /// A sandbox in which this program's executable will run with `args` (without a program name).
    /// Its output goes where this process's output goes.
    pub fn new(args: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            args: args.into_iter().collect(),
            stdout: Stdio::inherit(),
            stderr: Stdio::inherit(),
        }
    }

    /// Where standard output goes.
    #[must_use]
    pub fn stdout(mut self, stdout: Stdio) -> Self {
        self.stdout = stdout;
        self
    }

    /// Where standard error goes.
    #[must_use]
    pub fn stderr(mut self, stderr: Stdio) -> Self {
        self.stderr = stderr;
        self
    }

    /// Starts it. The controller keeps the working directory and environment; its standard input is
    /// empty.
    ///
    /// Ctrl-C on the terminal reaches the parent and the controller alike (they are one process
    /// group), and neither the stages between nor the nodes. A parent that dies by it ends
    /// everything: one that wants the controller to decide ignores SIGINT while it waits.
    pub fn enter(self) -> Result<SandboxChild, SandboxError> {
        let lifeline = Lifeline::new()?;
        let mut command = stage_command("sandbox").map_err(SandboxError::Start)?;
        command
            .arg(lifeline.child_fd().to_string())
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(self.stdout)
            .stderr(self.stderr);
        lifeline.attach(&mut command);
        let janitor = Janitor::start();
        if let Some(janitor) = &janitor {
            janitor.tell(&mut command);
        }
        // The janitor waits for as long as anything may be inside.
        let on_end = |_| drop(janitor);
        let (first, (stdout, stderr)) =
            Watched::spawn("sandbox".into(), || with_output(command), on_end)
                .map_err(SandboxError::Start)?;
        Ok(SandboxChild {
            stdout,
            stderr,
            first,
            _lifeline: lifeline,
        })
    }
}

impl SandboxChild {
    /// The pid of the outermost stage: everything inside ends with it.
    pub fn pid(&self) -> u32 {
        self.first.pid().as_raw().unsigned_abs()
    }

    /// Waits for the controller's end and returns its exit status. A controller that was ended by a
    /// signal counts as one that exited with 128 + the signal's number.
    pub fn wait(&self) -> ExitStatus {
        self.first.wait()
    }

    /// The exit status, if the controller has ended.
    pub fn try_wait(&self) -> Option<ExitStatus> {
        self.first.status()
    }

    /// Waits for the controller's end and says whether it was a success; what it wrote on piped
    /// standard error is the failure. After the limit everything inside is ended.
    pub(crate) fn outcome_within(mut self, limit: Duration) -> Result<(), String> {
        let stderr = self.stderr.take();
        outcome_within(&self.first, stderr, limit)
    }

    /// Ends everything inside, at once.
    pub fn kill(&self) -> Result<(), SandboxError> {
        self.first
            .signal(Signal::SIGKILL)
            .map(|_| ())
            .map_err(|error| SandboxError::Start(io::Error::from(error)))
    }
}

/// Why a sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel refused something in this process.
    #[error("cannot start the sandbox: {0}")]
    Prepare(#[from] SystemCall),
    /// The first stage could not be started or signalled.
    #[error("cannot start the sandbox's first process: {0}")]
    Start(io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bug found: a test binary that asked for a sandbox started itself again and again, without end.
    #[test]
    fn a_program_that_does_not_serve_its_stages_is_not_started_again() {
        let error = Sandbox::new([])
            .enter()
            .map(drop)
            .expect_err("no call in a test's main");
        assert!(
            error.to_string().contains("cluster::hidden::run"),
            "{error}"
        );
        let (mode, why) = crate::Mode::detect();
        assert_eq!(mode, crate::Mode::Plain);
        assert!(why.is_some_and(|why| why.cause.contains("cluster::hidden::run")));
    }
}

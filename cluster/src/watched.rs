//! A child process whose end is awaited by the thread that started it.
//!
//! That thread lives as long as the child, so a child that is tied to it (PR_SET_PDEATHSIG) is
//! tied to the life of the whole process. A signal is never sent to a pid that may by now belong
//! to somebody else: the child is reaped under the same lock that senders hold.

use std::io;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::init::pid_of;

/// A child process, running or ended.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pid: Pid,
    end: Arc<End>,
}

/// A child's output, where it was piped.
pub(crate) type Output = (Option<ChildStdout>, Option<ChildStderr>);

/// Starts a command and takes its output.
pub(crate) fn with_output(mut command: Command) -> io::Result<(Child, Output)> {
    let mut child = command.spawn()?;
    let output = (child.stdout.take(), child.stderr.take());
    Ok((child, output))
}

#[derive(Debug, Default)]
struct End {
    status: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

impl Watched {
    /// Starts a child by `start` on a thread of its own, which calls `on_end` once the child is
    /// reaped. What `start` finds out about the child besides is returned: there, even one that
    /// ends at once is still to be found in /proc.
    pub fn spawn<T: Send + 'static>(
        thread_name: String,
        start: impl FnOnce() -> io::Result<(Child, T)> + Send + 'static,
        on_end: impl FnOnce(ExitStatus) + Send + 'static,
    ) -> io::Result<(Self, T)> {
        let end = Arc::new(End::default());
        let (started, answer) = sync_channel(1);
        let shared = Arc::clone(&end);
        thread::Builder::new().name(thread_name).spawn(move || {
            let (mut child, found) = match start() {
                Ok(started) => started,
                Err(error) => return drop(started.send(Err(error))),
            };
            let pid = pid_of(&child);
            // If nobody waits for the answer any more, the child is still waited for.
            let _ = started.send(Ok((pid, found)));
            on_end(shared.await_end(pid, &mut child));
        })?;
        let (pid, found) = answer
            .recv()
            .map_err(|_| io::Error::other("the thread that starts processes died"))??;
        Ok((Self { pid, end }, found))
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal; false if the child has ended.
    pub fn signal(&self, signal: Signal) -> nix::Result<bool> {
        let status = self.end.lock();
        if status.is_some() {
            return Ok(false);
        }
        kill(self.pid, signal).map(|()| true)
    }

    /// How the child ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        *self.end.lock()
    }

    /// Waits until the child has ended and is reaped.
    pub fn wait(&self) -> ExitStatus {
        let mut status = self.end.lock();
        loop {
            if let Some(status) = *status {
                return status;
            }
            status = self
                .end
                .ended
                .wait(status)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits likewise, but not for longer than the limit.
    pub fn wait_within(&self, limit: Duration) -> Option<ExitStatus> {
        let (status, _) = self
            .end
            .ended
            .wait_timeout_while(self.end.lock(), limit, |status| status.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *status
    }
}

impl End {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        // The status is written whole or not at all, so a panic elsewhere cannot tear it.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn await_end(&self, pid: Pid, child: &mut Child) -> ExitStatus {
        let leave_it = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(pid), leave_it) == Err(Errno::EINTR) {}
        let mut status = self.lock();
        // Cannot fail: the child exists, is ours, and is reaped nowhere else.
        let how = child.wait().unwrap_or_default();
        *status = Some(how);
        self.ended.notify_all();
        how
    }
}

//! Why a process's clock could not be changed or read.

use nix::unistd::Pid;

use crate::error::SystemCall;

/// Why a process's clock could not be changed or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClockError {
    /// It has ended, or runs another program by now.
    #[error("process {0} has ended or runs another program")]
    Ended(Pid),
    /// Only one process at a time can trace another.
    #[error(
        "process {pid} is traced by process {tracer} already (hint: end that debugger or strace)"
    )]
    Traced { pid: Pid, tracer: i32 },
    /// The kernel does not let us.
    #[error(
        "the kernel refuses ptrace of process {pid}: {error} (hint: `whitewater doctor` says what \
         forbids it)"
    )]
    Refused { pid: Pid, error: nix::errno::Errno },
    /// It does not stop, or not where it could be changed.
    #[error("process {pid} {what} within {limit_ms} ms (hint: is it in a frozen cgroup?)")]
    Stuck {
        pid: Pid,
        what: &'static str,
        limit_ms: u128,
    },
    /// There is nothing to redirect, or nothing that we know how to.
    #[error("the time functions of process {pid} cannot be redirected: {problem}")]
    Vdso { pid: Pid, problem: String },
    /// A call of the kernel failed, by us or by the process on our behalf.
    #[error("{call} (process {pid})")]
    Call { pid: Pid, call: SystemCall },
}

impl ClockError {
    pub fn stuck(pid: Pid, what: &'static str) -> Self {
        let limit_ms = super::LIMIT.as_millis();
        ClockError::Stuck {
            pid,
            what,
            limit_ms,
        }
    }

    pub fn vdso(pid: Pid, problem: impl ToString) -> Self {
        let problem = problem.to_string();
        ClockError::Vdso { pid, problem }
    }

    pub fn call(pid: Pid, action: &str, error: nix::errno::Errno) -> Self {
        if error == nix::errno::Errno::ESRCH {
            return ClockError::Ended(pid);
        }
        let call = SystemCall::new(action, error);
        ClockError::Call { pid, call }
    }

    pub fn io(pid: Pid, action: &str, error: &std::io::Error) -> Self {
        // There was nothing to be read: its memory is gone.
        let Some(errno) = error.raw_os_error() else {
            return ClockError::Ended(pid);
        };
        match nix::errno::Errno::from_raw(errno) {
            nix::errno::Errno::ENOENT => ClockError::Ended(pid),
            nix::errno::Errno::EACCES if !has_memory(pid) => ClockError::Ended(pid),
            nix::errno::Errno::EACCES => ClockError::Refused {
                pid,
                error: nix::errno::Errno::EACCES,
            },
            errno => Self::call(pid, action, errno),
        }
    }
}

/// Whether a process still has any memory: one that is about to end has none, and then its files in
/// /proc belong to nobody whom we may be.
fn has_memory(pid: Pid) -> bool {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm"));
    statm.is_ok_and(|pages| !pages.starts_with("0 "))
}

//! Stopping a program before its first instruction, so that its clocks can be changed before it
//! ever reads one.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::ptrace;

/// Has the program of this command stop at its very beginning. Whoever spawned it must call
/// [`leave_stopped`] then, on the same thread.
pub(crate) fn stop_at_exec(command: &mut Command) {
    let ask = || ptrace::trace_me().map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one system call (ptrace), which allocates
    // nothing and takes no lock.
    unsafe { command.pre_exec(ask) };
}

/// Leaves the program as SIGSTOP would have stopped it, traced by nobody. SIGCONT lets it begin.
pub(crate) fn leave_stopped(program: Pid) -> nix::Result<()> {
    loop {
        match waitpid(program, None) {
            Ok(WaitStatus::Stopped(..)) => break,
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => return Err(Errno::ESRCH),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    ptrace::detach(program, libc::SIGSTOP)
}

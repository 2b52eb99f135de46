//! Stopping a program before its first instruction, so that its clocks can be changed before it
//! ever reads one.

#![allow(
    clippy::unnecessary_cast,
    reason = "the C libraries do not agree whether a request is signed"
)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// Has the program of this command stop at its very beginning. Whoever spawned it must call
/// [`leave_stopped`] then, on the same thread.
pub(crate) fn stop_at_exec(command: &mut Command) {
    let ask = || request(libc::PTRACE_TRACEME as u32, 0, 0).map_err(io::Error::from);
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
    let signal = libc::SIGSTOP as usize;
    request(libc::PTRACE_DETACH as u32, program.as_raw(), signal)
}

fn request(request: u32, pid: libc::pid_t, data: usize) -> nix::Result<()> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: neither of the two requests takes an address; the data of the one is a number.
    Errno::result(unsafe { libc::ptrace(request as _, pid, nothing, data) }).map(drop)
}

//! A child that cannot outlive its parent.
//!
//! The kernel can be asked to kill a process when its parent dies (PR_SET_PDEATHSIG), but three
//! things go wrong with that alone, and each is met here:
//!
//! * a parent that dies *before* the child has asked goes unnoticed. So the parent keeps the write
//!   end of a pipe whose read end the child inherits, and the child looks at the pipe after asking;
//! * "parent" means the *thread* that forked. So whoever starts such a child does it on a thread
//!   that lives as long as the child;
//! * a change of credentials may clear the request. So it is made again after each.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::pipe2;

use crate::error::{For, SystemCall};

/// The parent's end. The child takes its closing for the parent's death.
#[derive(Debug)]
pub(crate) struct Lifeline {
    /// Never written to; closed by the kernel when the parent dies.
    _write_end: OwnedFd,
    read_end: OwnedFd,
}

impl Lifeline {
    pub(crate) fn new() -> Result<Self, SystemCall> {
        let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC).call("make a pipe")?;
        Ok(Self {
            _write_end: write_end,
            read_end,
        })
    }

    /// The number under which the child finds its end.
    pub(crate) fn child_fd(&self) -> RawFd {
        self.read_end.as_raw_fd()
    }

    /// Lets the child of this command inherit its end.
    pub(crate) fn attach(&self, command: &mut Command) {
        inherit(command, &self.read_end);
    }
}

/// Lets the child of this command end with the thread that starts it: for what is asked and soon over.
pub fn end_with_parent(command: &mut Command) {
    let tie = || prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one system call (prctl), which is
    // async-signal-safe; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(tie) };
}

/// Lets the child of this command inherit a descriptor, under its own number. It must be open when
/// the child is started.
pub(crate) fn inherit(command: &mut Command, fd: &OwnedFd) {
    let fd = fd.as_raw_fd();
    let inherit = move || {
        // SAFETY: `fd` is open in the parent when it forks and so in the child. Only its flags are
        // changed and it is not kept.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).map_err(io::Error::from)?;
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes one system call (fcntl), which is
    // async-signal-safe; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(inherit) };
}

/// Takes a descriptor that the parent left open under this number, and closes it at the next exec.
pub(crate) fn inherited(fd: RawFd) -> Result<OwnedFd, SystemCall> {
    // SAFETY: a hidden stage gets the number from its parent, which left it open for this one
    // purpose; the check below refuses a number that is not open. Nobody else owns it.
    let end = unsafe { OwnedFd::from_raw_fd(fd) };
    if let Err(error) = fcntl(&end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
        // Not ours after all: dropping it would close what we do not own.
        std::mem::forget(end);
        return Err(SystemCall::new("find what the parent left open", error));
    }
    Ok(end)
}

/// The child's end.
#[derive(Debug)]
pub(crate) struct ChildEnd(OwnedFd);

impl ChildEnd {
    /// Takes the end that the parent left open under this number.
    pub(crate) fn inherited(fd: RawFd) -> Result<Self, SystemCall> {
        inherited(fd).map(Self)
    }

    /// From now on this process gets `signal` when its parent dies. Fails if the parent is dead.
    pub(crate) fn tie(&self, signal: Signal) -> Result<(), SystemCall> {
        prctl::set_pdeathsig(signal).call("ask for a signal at the parent's death")?;
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).call("look at the parent's pipe")?;
        let hung_up = fds[0]
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLHUP));
        if hung_up {
            return Err(SystemCall::new(
                "find the parent alive",
                nix::errno::Errno::ESRCH,
            ));
        }
        Ok(())
    }
}

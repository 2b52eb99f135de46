//! The first process of a PID namespace, or of a process tree: starts one program, reaps whatever
//! is orphaned below it, and ends as the program ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::clock;

/// What a signal to the init itself asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// SIGTERM: meant for the program.
    Terminate,
    /// SIGHUP: the parent is gone.
    HangUp,
}

/// How a program begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At once.
    Running,
    /// Stopped as by SIGSTOP before its first instruction.
    Stopped,
}

/// Runs these programs as the only own children until the first of them ends, or, once they are asked
/// to, until all have. Returns the exit code of the first that ended, 128 + the signal's number if a
/// signal ended it. `on_request` says what to do, with those that run, when a signal asks something of
/// the init.
pub(crate) fn run(
    programs: &mut [Command],
    begin: Begin,
    on_request: impl Fn(Request, &[Pid]),
) -> io::Result<u8> {
    // Blocked before the child exists, so that none of its signals is missed.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGHUP);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals), None)?;
    let unblock = || Ok(SigSet::empty().thread_set_mask()?);
    let mut running = Vec::new();
    for program in programs {
        // SAFETY: between fork and exec the closure makes one system call (rt_sigprocmask), which is
        // async-signal-safe; it allocates nothing and takes no lock.
        unsafe { program.pre_exec(unblock) };
        if begin == Begin::Stopped {
            clock::stop_at_exec(program);
        }
        let name = program.get_program().display().to_string();
        let cannot_run = |error| io::Error::other(format!("cannot run {name}: {error}"));
        let pid = pid_of(&program.spawn().map_err(cannot_run)?);
        if begin == Begin::Stopped {
            clock::leave_stopped(pid)?;
        }
        running.push(pid);
    }
    let (mut first_code, mut is_end_asked) = (None, false);
    loop {
        if let Some(code) = reap(&mut running)? {
            first_code.get_or_insert(code);
        }
        if let Some(code) = first_code
            && (running.is_empty() || !is_end_asked)
        {
            return Ok(code);
        }
        match signals.wait()? {
            Signal::SIGTERM => {
                is_end_asked = true;
                on_request(Request::Terminate, &running);
            }
            Signal::SIGHUP => on_request(Request::HangUp, &running),
            _ => {}
        }
    }
}

/// Passes a request for the end on to the programs.
pub(crate) fn forward_terminate(request: Request, running: &[Pid]) {
    if request == Request::Terminate {
        for program in running {
            // A program that is gone already needs no signal.
            let _ = kill(*program, Signal::SIGTERM);
        }
    }
}

/// The exit code that stands for a wait status, as shells have it.
pub(crate) fn exit_code(status: WaitStatus) -> Option<u8> {
    match status {
        WaitStatus::Exited(_, code) => Some((code & 0xff) as u8),
        WaitStatus::Signaled(_, signal, _) => Some(128 + (signal as i32 & 0x7f) as u8),
        _ => None,
    }
}

/// Takes every process that has ended off the kernel's hands; the exit code of the first program that
/// was among them.
fn reap(running: &mut Vec<Pid>) -> nix::Result<Option<u8>> {
    let mut first_code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::ECHILD) => return Ok(first_code),
            Ok(status) => {
                let (Some(pid), Some(code)) = (status.pid(), exit_code(status)) else {
                    continue;
                };
                if let Some(at) = running.iter().position(|program| *program == pid) {
                    running.remove(at);
                    first_code.get_or_insert(code);
                }
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn pid_of(child: &Child) -> Pid {
    // Linux pids fit an i32 (PID_MAX_LIMIT is 2^22).
    Pid::from_raw(child.id() as i32)
}

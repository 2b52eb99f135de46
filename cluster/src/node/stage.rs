//! The init of one node: the hidden stage between the controller and the node's program.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, chdir, getcwd, getpid, sethostname, setsid};

use crate::disk::mount::attach;
use crate::error::{For, SystemCall};
use crate::hidden::{StageError, parse_fd, stage_command};
use crate::init::{self, Begin, Request};
use crate::lifeline::{ChildEnd, Lifeline, inherit, inherited};
use crate::mode::Mode;
use crate::node::processes::Scope;
use crate::node::uptime::Uptime;
use crate::sandbox::namespaces::{make_mounts_private, mount_proc};

/// How the program names itself as the program of a node.
pub(super) use crate::hidden::OWN_EXECUTABLE;

/// The exit code for a program that could not be run, as shells have it.
const CANNOT_RUN: u8 = 127;

const SANDBOX: &str = "sandbox";
const PLAIN: &str = "plain";
const RUNNING: &str = "running";
const STOPPED: &str = "stopped";
/// In the place of the mount of a disk of ours.
const NO_DISK: &str = "-";

/// The command that starts the init of a node with this program below it.
pub(super) fn command(
    mode: Mode,
    lifeline: &Lifeline,
    begin: Begin,
    name: &str,
    disk: Option<&OwnedFd>,
    uptime: Uptime,
    program: &Path,
) -> io::Result<Command> {
    let mut command = stage_command("node")?;
    let mount = disk.map_or(NO_DISK.into(), |mount| mount.as_raw_fd().to_string());
    command
        .arg(lifeline.child_fd().to_string())
        .arg(match mode {
            Mode::Sandbox => SANDBOX,
            Mode::Plain => PLAIN,
        })
        .arg(match begin {
            Begin::Running => RUNNING,
            Begin::Stopped => STOPPED,
        })
        .arg(name)
        .arg(mount)
        .arg(uptime.to_arg())
        .arg(program);
    lifeline.attach(&mut command);
    if let Some(mount) = disk {
        inherit(&mut command, mount);
    }
    Ok(command)
}

/// Runs the node's program, reaps orphans below it, and ends as the program ends.
pub(crate) fn run(args: &[OsString]) -> Result<u8, StageError> {
    let [
        fd,
        mode,
        begin,
        name,
        disk,
        uptime,
        program,
        program_args @ ..,
    ] = args
    else {
        return Err(StageError::usage(
            "a pipe, a mode, a beginning, a name, a disk, an uptime and a program",
        ));
    };
    let uptime = Uptime::from_arg(uptime)
        .ok_or_else(|| StageError::usage("an uptime as two numbers, MONOTONIC,BOOTTIME"))?;
    let begin = match begin == STOPPED {
        true => Begin::Stopped,
        false => Begin::Running,
    };
    let parent = ChildEnd::inherited(parse_fd(Some(fd))?)?;
    let disk = match disk == NO_DISK {
        true => None,
        false => Some(inherited(parse_fd(Some(disk))?)?),
    };
    close_at_exec_from(3);
    // Out of the terminal's reach: Ctrl-C is the controller's business.
    setsid().call("begin a session")?;
    let mut command = Command::new(program);
    command.args(program_args);
    let outcome = if mode == SANDBOX {
        parent.tie(Signal::SIGKILL)?;
        drop(parent);
        furnish(&name.to_string_lossy())?;
        uptime.enter()?;
        if let Some(disk) = disk {
            enter_disk(disk)?;
        }
        init::run(&mut command, begin, init::forward_terminate)
    } else {
        prctl::set_child_subreaper(true).call("adopt orphans")?;
        parent.tie(Signal::SIGHUP)?;
        drop(parent);
        run_plain(&mut command, begin)
    };
    outcome.map_err(|error| StageError {
        message: format!("cannot run {}: {error}", Path::new(program).display()),
        code: CANNOT_RUN,
    })
}

/// As PID 1 of the node's own namespace: a host name and a /proc of its own. Everything below ends
/// with this process, by the kernel.
fn furnish(name: &str) -> Result<(), SystemCall> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)
        .call("create mount and UTS namespaces")?;
    make_mounts_private()?;
    mount_proc()?;
    sethostname(name).call("name the node's host")
}

/// Puts the node's disk over its working directory, which is its data folder, and goes there. When
/// the last process here has ended, the mount is gone.
fn enter_disk(mount: OwnedFd) -> Result<(), SystemCall> {
    let folder = getcwd().call("find the data folder")?;
    attach(mount, &folder)?;
    chdir(&folder).call("go to the node's disk")
}

/// Without a PID namespace this process must end everything below it itself: when its program has
/// ended, and when the controller asks for it or dies.
fn run_plain(command: &mut Command, begin: Begin) -> io::Result<u8> {
    let tie = || prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one system call (prctl), which is
    // async-signal-safe; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(tie) };
    let below = Scope::Descendants { init: getpid() };
    let code = init::run(command, begin, |request, program: Pid| {
        let _ = match request {
            Request::Terminate => kill(program, Signal::SIGTERM).map_err(io::Error::from),
            Request::HangUp => below.kill_all(),
        };
    })?;
    below.kill_all()?;
    // Everything below is killed and adopted, so this ends when all of it is gone.
    while waitpid(None, None).is_ok_and(|_| true) {}
    Ok(code)
}

/// Keeps descriptors that somebody leaked to us from the node's program. On kernels before 5.11
/// they stay open, which harms nobody but the curious.
fn close_at_exec_from(first: RawFd) {
    let flag = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: only marks descriptors for closing at the next exec; none is closed now.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flag) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_without_its_arguments_says_what_it_needs() {
        for count in 0..7 {
            let args = vec![OsString::from("7"); count];
            assert_eq!(run(&args).unwrap_err().code, 2);
        }
        let args = ["zero", SANDBOX, RUNNING, "n1", NO_DISK, "0,0", "true"].map(OsString::from);
        assert_eq!(run(&args).unwrap_err().code, 2);
    }
}

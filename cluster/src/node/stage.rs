//! The init of one node: the hidden stage between the controller and the node's program.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat;
use nix::sys::wait::waitpid;
use nix::unistd::{chdir, getcwd, geteuid, getpid, sethostname, setsid, write};

use crate::disk::mount::attach;
use crate::error::{For, SystemCall};
use crate::hidden::{StageError, parse_fd, stage_command};
use crate::init::{self, Begin, Request};
use crate::lifeline::{ChildEnd, Lifeline, inherit, inherited};
use crate::mode::Mode;
use crate::node::processes::Scope;
use crate::node::uptime::Uptime;
use crate::node::{NodeCommand, User};
use crate::sandbox::namespaces::{make_mounts_private, mount_proc};

/// How the program names itself as the program of a node.
pub(super) use crate::hidden::OWN_EXECUTABLE;

/// The exit code for a program that could not be run, as shells have it.
const CANNOT_RUN: u8 = 127;

const SANDBOX: &str = "sandbox";
const PLAIN: &str = "plain";
const RUNNING: &str = "running";
const STOPPED: &str = "stopped";
/// In the place of a user.
const OWN_USER: &str = "-";
/// Before the numbers of a user and a group that a program really gets.
const REAL_USER: &str = "=";
/// In the place of the mount of a disk of ours.
const NO_DISK: &str = "-";

/// The command that starts the init of a node with these programs below it.
pub(crate) fn command(
    mode: Mode,
    lifeline: &Lifeline,
    begin: Begin,
    name: &str,
    disk: Option<&OwnedFd>,
    uptime: Uptime,
    programs: &[NodeCommand],
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
        .arg(uptime.to_arg());
    for program in programs {
        let user = match program.user {
            None => OWN_USER.into(),
            Some(User::Mapped(user)) => user.to_string(),
            Some(User::Real(user, group)) => format!("{REAL_USER}{user}:{group}"),
        };
        command
            .arg(user)
            .arg((program.args.len() + 1).to_string())
            .arg(&program.program)
            .args(&program.args);
    }
    lifeline.attach(&mut command);
    if let Some(mount) = disk {
        inherit(&mut command, mount);
    }
    Ok(command)
}

/// Runs the node's program, reaps orphans below it, and ends as the program ends.
pub(crate) fn run(args: &[OsString]) -> Result<u8, StageError> {
    let [fd, mode, begin, name, disk, uptime, programs @ ..] = args else {
        return Err(StageError::usage(
            "a pipe, a mode, a beginning, a name, a disk, an uptime and programs",
        ));
    };
    let mut programs = read_programs(programs).ok_or_else(|| {
        StageError::usage("programs, each after its user and the count of its words")
    })?;
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
    let outcome = if mode == SANDBOX {
        parent.tie(Signal::SIGKILL)?;
        drop(parent);
        furnish(&name.to_string_lossy())?;
        uptime.enter()?;
        if let Some(disk) = disk {
            enter_disk(disk)?;
        }
        init::run(&mut programs, begin, init::forward_terminate)
    } else {
        prctl::set_child_subreaper(true).call("adopt orphans")?;
        parent.tie(Signal::SIGHUP)?;
        drop(parent);
        run_plain(&mut programs, begin)
    };
    outcome.map_err(|error| StageError {
        message: error.to_string(),
        code: CANNOT_RUN,
    })
}

/// The commands that the arguments stand for: for each a user, how many words, and the words.
fn read_programs(mut words: &[OsString]) -> Option<Vec<Command>> {
    let mut programs = Vec::new();
    while let [user, count, rest @ ..] = words {
        let count: usize = count.to_str()?.parse().ok()?;
        let (program, rest) = rest.split_at_checked(count)?;
        let (name, args) = program.split_first()?;
        let mut command = Command::new(name);
        command.args(args);
        if user != OWN_USER {
            let user = user.to_str()?;
            match user.strip_prefix(REAL_USER) {
                Some(real) => {
                    let (user, group) = real.split_once(':')?;
                    command.uid(user.parse().ok()?).gid(group.parse().ok()?);
                }
                None => become_user(&mut command, user.parse().ok()?),
            }
        }
        programs.push(command);
        words = rest;
    }
    (words.is_empty() && !programs.is_empty()).then_some(programs)
}

/// Has the program take itself for this user: it gets a user namespace of its own, in which the user
/// is whoever starts it, so that all files stay whose they are. Nothing to do for who is not root.
fn become_user(command: &mut Command, user: u32) {
    if !geteuid().is_root() {
        return;
    }
    let map = format!("{user} 0 1");
    let enter = move || {
        unshare(CloneFlags::CLONE_NEWUSER)?;
        for (file, text) in [
            (c"/proc/self/setgroups", "deny"),
            (c"/proc/self/gid_map", &map),
            (c"/proc/self/uid_map", &map),
        ] {
            let fd = open(file, OFlag::O_WRONLY, stat::Mode::empty())?;
            write(&fd, text.as_bytes())?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls only (unshare, open, write, close),
    // which are async-signal-safe; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(enter) };
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
fn run_plain(programs: &mut [Command], begin: Begin) -> io::Result<u8> {
    let tie = || prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from);
    for command in &mut *programs {
        // SAFETY: between fork and exec the closure makes one system call (prctl), which is
        // async-signal-safe; it allocates nothing and takes no lock.
        unsafe { command.pre_exec(tie) };
    }
    let below = Scope::Descendants { init: getpid() };
    let code = init::run(programs, begin, |request, running| match request {
        Request::Terminate => init::forward_terminate(request, running),
        Request::HangUp => drop(below.kill_all()),
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

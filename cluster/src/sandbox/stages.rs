//! The two processes between the parent and the controller.

use std::ffi::{OsStr, OsString};
use std::process::Command;

use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::waitpid;
use nix::unistd::sethostname;

use crate::error::{For, SystemCall};
use crate::hidden::{StageError, own_command, parse_fd, stage_command};
use crate::init::{self, Begin};
use crate::lifeline::{ChildEnd, Lifeline};
use crate::network::links;
use crate::sandbox::SETUP_FAILED;
use crate::sandbox::namespaces::{make_mounts_private, mount_proc, unshare_all};

/// First stage: leaves the shared namespaces and starts the init of the new ones. Ends as it ends.
pub(crate) fn unshared(name: &OsStr, args: &[OsString]) -> Result<u8, StageError> {
    let parent = ChildEnd::inherited(parse_fd(args.first())?)?;
    parent.tie(Signal::SIGKILL)?;
    set_interrupts(SigHandler::SigIgn)?;
    unshare_all()?;
    // Again: the new user namespace was a change of credentials, which may untie.
    parent.tie(Signal::SIGKILL)?;

    let lifeline = Lifeline::new()?;
    let mut command = stage_command("init").call("start the sandbox's init")?;
    command
        .arg(lifeline.child_fd().to_string())
        .args(args.get(1..).unwrap_or_default());
    lifeline.attach(&mut command);
    let init = spawn(&mut command, name)?;
    loop {
        let status = waitpid(init, None).call("wait for the sandbox's init")?;
        if let Some(code) = init::exit_code(status) {
            return Ok(code);
        }
    }
}

/// Second stage, PID 1: furnishes the namespaces, runs the controller, reaps orphans, and ends as
/// the controller ends.
pub(crate) fn init(name: &OsStr, args: &[OsString]) -> Result<u8, StageError> {
    let parent = ChildEnd::inherited(parse_fd(args.first())?)?;
    parent.tie(Signal::SIGKILL)?;
    drop(parent);
    // As PID 1 this process is immune to Ctrl-C all the same; the controller must not be.
    set_interrupts(SigHandler::SigDfl)?;
    make_mounts_private()?;
    mount_proc()?;
    sethostname("whitewater").call("name the sandbox's host")?;
    links::bring_loopback_up().map_err(|error| failed(&error))?;

    let mut controller = own_command(name);
    controller.args(args.get(1..).unwrap_or_default());
    init::run(
        std::slice::from_mut(&mut controller),
        Begin::Running,
        init::forward_terminate,
    )
    .map_err(|error| failed(&format!("cannot run the controller: {error}")))
}

fn spawn(command: &mut Command, name: &OsStr) -> Result<nix::unistd::Pid, StageError> {
    match command.spawn() {
        Ok(child) => Ok(init::pid_of(&child)),
        Err(error) => Err(failed(&format!(
            "cannot start {} as the sandbox's init: {error}",
            name.to_string_lossy()
        ))),
    }
}

/// Says what Ctrl-C and Ctrl-\ do to this process.
fn set_interrupts(how: SigHandler) -> Result<(), SystemCall> {
    for interrupt in [Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: no handler function is installed, only "ignore" or "default".
        unsafe { signal(interrupt, how) }.call("set what Ctrl-C does")?;
    }
    Ok(())
}

fn failed(why: &dyn std::fmt::Display) -> StageError {
    StageError {
        message: format!("cannot make the sandbox: {why}"),
        code: SETUP_FAILED,
    }
}

impl From<SystemCall> for StageError {
    fn from(error: SystemCall) -> Self {
        failed(&error)
    }
}

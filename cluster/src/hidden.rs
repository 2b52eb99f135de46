//! The hidden subcommands by which a program that uses this crate serves itself.
//!
//! The sandbox, the inits of nodes and the doctor's trials all need a fresh process that runs our
//! code. No file is installed for that: the program's own executable is started again with
//! [`SUBCOMMAND`] as its first argument.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::RawFd;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{doctor, node, remote, sandbox};

/// The first argument of every hidden subcommand.
pub const SUBCOMMAND: &str = "__cluster";

/// The program's own executable, whatever became of its file since it was started.
pub(crate) const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// Whether this program serves its own stages: whether it has called [`run`].
static IS_SERVING: AtomicBool = AtomicBool::new(false);

/// If these are the arguments of a hidden subcommand (program name first), does its work and
/// returns the exit code for `main` to return; `None` for every other command line.
///
/// To be called first thing in `main`, before any thread exists. What goes wrong is printed on
/// standard error: nobody else is there to do it in that process.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    IS_SERVING.store(true, Ordering::Release);
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    if args.next()? != SUBCOMMAND {
        return None;
    }
    let stage = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    let outcome = match stage.to_str() {
        Some("sandbox") => sandbox::stages::unshared(&name, &rest),
        Some("init") => sandbox::stages::init(&name, &rest),
        Some("node") => node::stage::run(&rest),
        Some("janitor") => node::limits::janitor::run(&rest),
        Some("agent") => remote::agent::run(&rest),
        Some("guardian") => remote::agent::run_guardian(&rest),
        Some("container-guardian") => remote::docker::run_guardian(&rest),
        Some("trial") => doctor::trials::run(&rest),
        _ => Err(StageError::usage("a stage that exists")),
    };
    Some(match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{}: {error}", name.to_string_lossy());
            ExitCode::from(error.code)
        }
    })
}

/// Why a hidden stage ended without running what it was for.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct StageError {
    pub message: String,
    pub code: u8,
}

impl StageError {
    /// The arguments lack something; only a person who typed the hidden subcommand sees this.
    pub fn usage(lacks: &str) -> Self {
        Self {
            message: format!("{SUBCOMMAND} is for internal use: it needs {lacks}"),
            code: 2,
        }
    }
}

/// The command that starts this executable again for a hidden stage.
///
/// Refused to a program that has not called [`run`]: started again, it would not serve the stage but
/// do whatever it does, perhaps start itself again, and so without end.
pub(crate) fn stage_command(stage: &str) -> io::Result<Command> {
    if !IS_SERVING.load(Ordering::Acquire) {
        return Err(io::Error::other(
            "this program does not call cluster::hidden::run first thing in its main",
        ));
    }
    let mut command = own_command(&own_name());
    command.arg(SUBCOMMAND).arg(stage);
    Ok(command)
}

/// The command that starts this executable again under a name for process listings.
pub(crate) fn own_command(name: &OsStr) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(OWN_EXECUTABLE);
    command.arg0(name);
    command
}

/// What this process was called as.
pub(crate) fn own_name() -> OsString {
    std::env::args_os().next().unwrap_or_default()
}

/// Reads the number of an inherited file descriptor.
pub(crate) fn parse_fd(arg: Option<&OsString>) -> Result<RawFd, StageError> {
    arg.and_then(|fd| fd.to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .ok_or_else(|| StageError::usage("the number of a pipe"))
}

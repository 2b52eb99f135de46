//! The janitor: a process that removes the cgroups of a run when whoever makes the run has died.
//!
//! Everything else of a run ends with its processes and namespaces. A cgroup is a folder and stays,
//! so somebody must outlive even `kill -9`. The janitor holds one end of a pipe whose other end is
//! held by whoever makes the run, and by nobody else. When it closes, the janitor removes what is
//! left, and ends.

use std::ffi::OsString;
use std::io;
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::unistd::setsid;

use super::cgroup::{self, TOKEN};
use crate::error::For;
use crate::hidden::{StageError, stage_command};

/// Between two looks for groups that are left.
const LOOK: Duration = Duration::from_millis(20);

/// After so long without any there will be none: whoever could make one has been killed by then.
const CALM: Duration = Duration::from_millis(500);

/// How long groups may take to be empty.
const LIMIT: Duration = Duration::from_secs(20);

/// The way to a janitor. Closed by the kernel when this process dies.
#[derive(Debug)]
pub(crate) struct Janitor {
    token: String,
    _line: ChildStdin,
}

impl Janitor {
    /// Starts a janitor, if cgroups can be made here at all. Without one none are made.
    pub fn start() -> Option<Self> {
        if !cgroup::is_likely() {
            return None;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let token = format!("{}-{}", std::process::id(), now.as_nanos());
        let mut command = stage_command("janitor").ok()?;
        let mut child = command
            .arg(&token)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let line = child.stdin.take()?;
        // It is waited for when it has ended; should this process end first, its heir does so.
        let waiting = move || drop(child.wait());
        thread::Builder::new()
            .name("janitor".into())
            .spawn(waiting)
            .ok()?;
        Some(Janitor { token, _line: line })
    }

    /// Tells what this command starts how its groups are to be named.
    pub fn tell(&self, command: &mut Command) {
        command.env(TOKEN, &self.token);
    }

    /// How groups are to be named.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// The janitor's work.
pub(crate) fn run(args: &[OsString]) -> Result<u8, StageError> {
    let [token] = args else {
        return Err(StageError::usage("a token"));
    };
    let token = token.to_string_lossy();
    // Out of the terminal's reach: it must outlive the run.
    setsid().call("begin a session")?;
    // Whatever ends the waiting ends the run.
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    let begin = Instant::now();
    let mut last_seen = begin;
    while last_seen.elapsed() < CALM && begin.elapsed() < LIMIT {
        if cgroup::sweep(&token) {
            last_seen = Instant::now();
        }
        thread::sleep(LOOK);
    }
    Ok(0)
}

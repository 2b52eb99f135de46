//! The controller: what makes a plan happen.
//!
//! Outside is the command the user started, with the terminal. It starts itself again inside a
//! sandbox ([`cluster::Sandbox`]), where the conductor starts the nodes, the clients and the walker of
//! the faults, and tells outside what happens by [`notice`]s. In plain mode there is no sandbox, and
//! the conductor runs in the command's own process; so does the one of runs of Maelstrom's protocol,
//! whose nodes have no network but ours.

pub mod notice;

mod commands;
mod conductor;
mod driven;
mod driver;
mod exits;
mod logs;
mod maelstrom;
mod member_requests;
mod membership;
mod probe;
mod setup;
mod signal;
mod system;
mod view;
mod walker;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::thread;

use cluster::{Mode, Sandbox};

use crate::interrupt::Interrupt;
use crate::plan::{Plan, SandboxMode};
use crate::store::RunFolder;
use notice::{Failure, Notice, UnavailableFault};

/// The first argument by which this program is told to be the conductor inside a sandbox.
pub const CONDUCTOR: &str = "__conductor";

/// How much of what the conductor says on standard error is kept.
const STDERR_BYTES_MAX: u64 = 64 * 1024;

/// What became of conducting a run.
#[derive(Debug, Default)]
pub struct Conducted {
    /// Why the run could not be made, or not to its end.
    pub failure: Option<Failure>,
    /// The fault kinds that could not be injected.
    pub unavailable: Vec<UnavailableFault>,
    /// Whether it was ended early, by request.
    pub stopped: bool,
}

/// Makes a run, from the start of the first node to the end of the last, recording into the folder.
pub fn conduct(
    plan: &Plan,
    folder: &RunFolder,
    interrupt: &Interrupt,
    watch: &mut dyn FnMut(&Notice),
) -> Conducted {
    let mut conducted = Conducted::default();
    let mut finished = false;
    let mut watch = |notice: &Notice| {
        match notice {
            Notice::Sandbox { unavailable, .. } => conducted.unavailable.clone_from(unavailable),
            Notice::Failed(failure) => conducted.failure = Some(failure.clone()),
            Notice::Finished { stopped, .. } => {
                finished = true;
                conducted.stopped = *stopped;
            }
            _ => {}
        }
        watch(notice);
    };
    interrupt.set_run(Some(folder.path()));
    let ended = match (&plan.maelstrom, plan.sandbox) {
        (Some(options), _) => {
            maelstrom::conduct(plan, options, folder, &mut watch);
            None
        }
        // Nodes on hosts and in containers are in no sandbox, and this machine is not touched.
        (None, SandboxMode::Auto) if plan.system.is_here() && Mode::detect().0 == Mode::Sandbox => {
            conduct_in_sandbox(folder, &mut watch)
        }
        (None, _) => {
            conductor::conduct(plan, folder, Mode::Plain, &mut watch);
            None
        }
    };
    interrupt.set_run(None);
    let (status, said) = ended.unwrap_or_default();
    if conducted.failure.is_none() && !finished {
        let text = format!("the controller ended before the run did{status}");
        conducted.failure = Some(text.into());
    }
    if let (Some(failure), false) = (&mut conducted.failure, said.is_empty()) {
        let text = &mut failure.text;
        text.push_str(&format!("; the controller said: {said}"));
    }
    conducted
}

/// Starts this program again inside a sandbox and passes on its notices until it ends. Returns its
/// exit status, to be told when it gave no last notice, and what it said on standard error.
fn conduct_in_sandbox(
    folder: &RunFolder,
    watch: &mut dyn FnMut(&Notice),
) -> Option<(String, String)> {
    let args = [OsString::from(CONDUCTOR), folder.path().into()];
    let sandbox = Sandbox::new(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match sandbox.enter() {
        Ok(child) => child,
        Err(error) => return Some((format!(": {error}"), String::new())),
    };
    let stderr = child.stderr.take().map(|stderr| {
        thread::spawn(move || {
            let mut text = Vec::new();
            let mut stderr = stderr.take(STDERR_BYTES_MAX);
            let _ = stderr.read_to_end(&mut text);
            // Whatever comes after is drained, so that the writer is never blocked.
            let _ = std::io::copy(&mut stderr.into_inner(), &mut std::io::sink());
            String::from_utf8_lossy(&text).trim().to_owned()
        })
    });
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(notice) => watch(&notice),
                // Not ours: something inside wrote to standard output.
                Err(_) => watch(&Notice::Phase { text: line }),
            }
        }
    }
    let status = child.wait();
    let said = stderr
        .and_then(|thread| thread.join().ok())
        .unwrap_or_default();
    Some((format!(" ({status})"), said))
}

/// Inside the sandbox: conducts the run of this folder and prints notices. The exit code only says
/// whether the conductor itself worked.
pub fn conduct_inside(folder: &Path) -> ExitCode {
    let print = &mut |notice: &Notice| {
        let mut line = serde_json::to_vec(notice).unwrap_or_default();
        line.push(b'\n');
        // When nobody listens any more, everything here is about to end anyway.
        let _ = std::io::stdout().lock().write_all(&line);
    };
    // Ctrl-C on a terminal reaches this process too. The command outside answers it, by the stop
    // file; if this process died of it, nobody would be left to heal.
    if let Err(error) = Interrupt::listen() {
        let text = format!("failed to listen for signals: {error}");
        print(&Notice::Failed(text.into()));
        return ExitCode::FAILURE;
    }
    let opened = RunFolder::open(folder).and_then(|folder| Ok((folder.plan()?, folder)));
    match opened {
        Ok((plan, folder)) => {
            conductor::conduct(&plan, &folder, Mode::Sandbox, print);
            ExitCode::SUCCESS
        }
        Err(error) => {
            print(&Notice::Failed(error.to_string().into()));
            ExitCode::FAILURE
        }
    }
}

//! An agent on a host, by ssh.

use std::fs::File;
use std::io::{self, Write};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::error::RemoteError;
use super::host::no_ssh;
use super::opening::{Opening, spawn};
use super::session::{OnExit, Place, Session};
use super::wire::Hello;
use crate::hidden::{OWN_EXECUTABLE, SUBCOMMAND};

/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// How long this executable may be under way to a host, and how long it may take to begin there.
const SEND_LIMIT: Duration = Duration::from_secs(600);

/// How many lines of others, such as a greeting, may come before the first of ours.
const GREETING_LINES_MAX: usize = 1_000;

/// Options that ssh is given, so that it never asks a person and does not wait for ever.
const OPTIONS: [&str; 13] = [
    "-T",
    "-o",
    "BatchMode=yes",
    "-o",
    "ConnectTimeout=15",
    "-o",
    "ServerAliveInterval=5",
    "-o",
    "ServerAliveCountMax=6",
    "-o",
    "RemoteCommand=none",
    "-o",
    "ClearAllForwardings=yes",
];

/// What the shell on the host is told, in a word that every shell takes (no quote, no line end): make a
/// private folder; say so; take exactly the executable; see whether it runs; become it. Whatever goes
/// wrong before that removes the folder.
const SCRIPT: &str = "umask 077; \
    d=$(mktemp -d \"${TMPDIR:-/tmp}/whitewater-XXXXXXXXXX\") || exit 71; \
    trap \"rm -rf \\\"$d\\\"\" 0; trap \"exit 72\" 1 2 15; \
    echo \"whitewater-host $(uname -s) $(uname -m) $d\"; \
    head -c SIZE > \"$d/whitewater\" || exit 73; \
    test \"$(wc -c < \"$d/whitewater\")\" -eq SIZE || exit 74; \
    chmod 700 \"$d/whitewater\"; \
    \"$d/whitewater\" --version > /dev/null || exit 75; \
    trap - 0 1 2 15; \
    exec \"$d/whitewater\" SUBCOMMAND agent \"$d\"";

/// Connects, sends this executable over, and starts it as an agent there.
pub(super) fn open(host: &str, on_exit: OnExit) -> Result<Session, RemoteError> {
    let here = |error: io::Error| {
        RemoteError::Here(format!("failed to read this program's own file: {error}"))
    };
    let executable = File::open(OWN_EXECUTABLE).map_err(here)?;
    let size = executable.metadata().map_err(here)?.len();
    let script = SCRIPT.replace("SIZE", &size.to_string());
    let script = script.replace("SUBCOMMAND", SUBCOMMAND);
    let mut command = Command::new("ssh");
    command
        .args(OPTIONS)
        .args(["--", host, &format!("exec sh -c '{script}'")]);
    let opening = Opening::start(&mut command, on_exit).map_err(|error| no_ssh(host, &error))?;
    let mut ssh = Ssh { host, opening };
    let folder = ssh.greeted()?;
    let hello = ssh.send(executable)?;
    let place = Place::host(host);
    let served = ssh.opening.serve(place, folder, hello);
    served.map_err(|error| RemoteError::Here(format!("ssh is gone: {error}")))
}

/// A connection under way. Dropped, it is over, and the shell on the host removes what it made.
struct Ssh<'a> {
    host: &'a str,
    opening: Opening,
}

impl Ssh<'_> {
    /// The agent's folder, as the shell there says.
    fn greeted(&mut self) -> Result<String, RemoteError> {
        let deadline = Instant::now() + CONNECT_LIMIT;
        for _ in 0..GREETING_LINES_MAX {
            let line = match self.opening.line(deadline) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.no_connection(format!("nothing within {CONNECT_LIMIT:?}")));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            };
            let Some(rest) = line.strip_prefix("whitewater-host ") else {
                continue;
            };
            let mut words = rest.splitn(3, ' ');
            let (system, machine) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            check_machine(self.host, system, machine)?;
            return Ok(words.next().unwrap_or_default().to_owned());
        }
        let why = format!("no answer of ours among the first {GREETING_LINES_MAX} lines");
        Err(self.no_connection(why))
    }

    /// Sends the executable and waits until it says hello.
    fn send(&mut self, mut executable: File) -> Result<Hello, RemoteError> {
        let (done, is_done) = sync_channel(1);
        let stdin = self.opening.stdin.take();
        let sending = spawn("ssh stdin", move || {
            if let Some(mut stdin) = stdin {
                // What goes wrong shows on the other side, or by the end of ssh.
                let _ = io::copy(&mut executable, &mut stdin).and_then(|_| stdin.flush());
                let _ = done.send(stdin);
            }
        });
        sending.map_err(|error| RemoteError::Here(format!("failed to start a thread: {error}")))?;
        match self.opening.hello(Instant::now() + SEND_LIMIT) {
            Ok(hello) => {
                let stdin = is_done.recv().map_err(|_| self.ended())?;
                self.opening.stdin = Some(stdin);
                Ok(hello)
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
            Err(RecvTimeoutError::Timeout) => {
                let why = format!("this program was not there within {SEND_LIMIT:?}");
                Err(self.no_agent(why, "a faster connection to the host"))
            }
        }
    }

    /// ssh ended before the agent was there: what its status and its words mean.
    fn ended(&mut self) -> RemoteError {
        let (status, said) = self.opening.ended();
        let why = |what: &str| match &*said {
            "" => what.to_owned(),
            said => format!("{what}: {said}"),
        };
        let tmpdir = "free some space, or set TMPDIR on the host for ssh's sessions \
                      (sshd_config: `SetEnv TMPDIR=…`)";
        match status.and_then(|status| status.code()) {
            Some(255) if said.is_empty() => self.no_connection("ssh ended without a word".into()),
            Some(255) => self.no_connection(said),
            Some(71) => self.no_agent(why("it has no folder for it"), tmpdir),
            Some(73 | 74) => self.no_agent(why("this program did not arrive whole"), tmpdir),
            Some(75) => self.no_agent(
                why("this program does not run there"),
                "build it for the oldest libc among the hosts, or for musl \
                 (`--target x86_64-unknown-linux-musl`); a temporary folder mounted noexec needs \
                 another TMPDIR (sshd_config: `SetEnv TMPDIR=…`)",
            ),
            code => {
                let code = code.map_or("a signal".into(), |code| format!("status {code}"));
                let what = format!("its shell ended with {code}");
                self.no_agent(why(&what), "`ssh HOST true` must work without a question")
            }
        }
    }

    fn no_connection(&self, why: String) -> RemoteError {
        let hint = match &why {
            why if why.contains("Permission denied") => {
                "ssh-add a key that the host knows: `ssh -o BatchMode=yes HOST true` must work"
            }
            why if why.contains("Host key verification") => {
                "connect once by hand and look at the host's key: `ssh HOST true`"
            }
            _ => "`ssh -o BatchMode=yes HOST true` must work",
        };
        RemoteError::NoConnection {
            host: self.host.to_owned(),
            why,
            hint,
        }
    }

    fn no_agent(&self, why: String, hint: &'static str) -> RemoteError {
        RemoteError::NoAgent {
            place: Place::host(self.host).name,
            why,
            hint,
        }
    }
}

/// Whether this executable may run there at all; whether it does is tried.
fn check_machine(host: &str, system: &str, machine: &str) -> Result<(), RemoteError> {
    let ours = std::env::consts::ARCH;
    let is_same = !["x86_64", "aarch64", "riscv64", "s390x"].contains(&ours) || machine == ours;
    if system == "Linux" && is_same {
        return Ok(());
    }
    Err(RemoteError::NoAgent {
        place: Place::host(host).name,
        why: format!("it is {system} on {machine}, and this program is for Linux on {ours}"),
        hint: "start the run from a machine of the hosts' kind",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_one_word_of_every_shell() {
        assert!(!SCRIPT.contains(['\'', '\n', '!']), "{SCRIPT}");
    }

    #[test]
    fn a_machine_of_another_kind_is_told_from_ours() {
        let ours = std::env::consts::ARCH;
        assert!(check_machine("a", "Linux", ours).is_ok());
        let error = check_machine("a", "Darwin", ours).unwrap_err().to_string();
        assert!(
            error.contains("host a") && error.contains("Darwin"),
            "{error}"
        );
    }
}

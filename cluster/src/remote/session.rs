//! One ssh connection, with an agent at its other end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::error::RemoteError;
use super::host::no_ssh;
use super::wire::{Ask, Exit, Hello, Request, Said};
use crate::hidden::{OWN_EXECUTABLE, SUBCOMMAND};

/// How long an agent may take for an answer, besides the time that what it is asked for takes.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// How long this executable may be under way to a host, and how long it may take to begin there.
const SEND_LIMIT: Duration = Duration::from_secs(600);

/// How long an agent may take to undo everything when its connection ends.
const LEAVE_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks whether ssh has ended.
const LOOK: Duration = Duration::from_millis(5);

/// How many lines of others, such as a greeting, may come before the first of ours.
const GREETING_LINES_MAX: usize = 1_000;

/// How much of what ssh says on standard error is kept.
const STDERR_BYTES_MAX: usize = 4 << 10;

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

/// A connection to an agent. Dropping it ends the agent, which undoes everything first.
#[derive(Debug)]
pub(super) struct Session {
    pub host: String,
    /// The agent's folder on the host.
    pub folder: String,
    pub hello: Hello,
    child: Mutex<Child>,
    stdin: Mutex<Option<ChildStdin>>,
    shared: Arc<Shared>,
    next_id: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    /// Who waits for which answer; none any more when the connection is over.
    waiting: Mutex<Option<BTreeMap<u64, Waiter>>>,
    /// Why the host is taken for lost.
    lost: Mutex<Option<String>>,
    stderr: Mutex<Vec<u8>>,
}

/// Where an answer goes.
type Waiter = SyncSender<Result<Json, String>>;

/// Told of a node that ended by itself.
pub(super) type OnExit = Box<dyn Fn(Exit) + Send>;

impl Session {
    /// Connects, sends this executable over, and starts it as an agent there.
    pub fn open(host: &str, on_exit: OnExit) -> Result<Self, RemoteError> {
        let here = |error: io::Error| {
            RemoteError::Here(format!("failed to read this program's own file: {error}"))
        };
        let executable = File::open(OWN_EXECUTABLE).map_err(here)?;
        let size = executable.metadata().map_err(here)?.len();
        let script = SCRIPT.replace("SIZE", &size.to_string());
        let script = script.replace("SUBCOMMAND", SUBCOMMAND);
        let mut child = Command::new("ssh")
            .args(OPTIONS)
            .args(["--", host, &format!("exec sh -c '{script}'")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Out of the terminal's reach: Ctrl-C is the controller's business.
            .process_group(0)
            .spawn()
            .map_err(|error| no_ssh(host, &error))?;
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Some(BTreeMap::new())),
            lost: Mutex::default(),
            stderr: Mutex::default(),
        });
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        if let Some(stderr) = child.stderr.take() {
            let shared = Arc::clone(&shared);
            spawn("ssh stderr", move || shared.keep_stderr(stderr))?;
        }
        let mut opening = Opening {
            host,
            child: Some(child),
            shared: Arc::clone(&shared),
        };
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(RemoteError::Here("ssh has no standard streams".into()));
        };
        let lines = opening.read(stdout, on_exit)?;
        let folder = opening.greeted(&lines)?;
        let (stdin, hello) = opening.send(stdin, executable, &lines)?;
        let Some(child) = opening.child.take() else {
            return Err(RemoteError::Here("ssh is gone".into()));
        };
        Ok(Session {
            host: host.to_owned(),
            folder,
            hello,
            child: Mutex::new(child),
            stdin: Mutex::new(Some(stdin)),
            shared,
            next_id: AtomicU64::new(1),
        })
    }

    /// Asks, and waits for the answer, at most so long beyond what agents are given for any. An agent
    /// that does not answer is lost: what it was asked for might still come about, at any time.
    pub fn ask<T: DeserializeOwned>(&self, ask: Ask, extra: Duration) -> Result<T, RemoteError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = sync_channel(1);
        match &mut *lock(&self.shared.waiting) {
            Some(waiting) => drop(waiting.insert(id, tell)),
            None => return Err(self.lost_error()),
        }
        let line = serde_json::to_vec(&Request { id, ask });
        let sent = line.map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            match &mut *lock(&self.stdin) {
                Some(stdin) => stdin.write_all(&line),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            }
        });
        if let Err(error) = sent {
            self.shared
                .lose(format!("it cannot be told anything: {error}"));
            return Err(self.lost_error());
        }
        let limit = ANSWER_LIMIT + extra;
        match told.recv_timeout(limit) {
            Ok(Ok(json)) => serde_json::from_value(json).map_err(|error| RemoteError::Refused {
                host: self.host.clone(),
                why: format!("its agent gave an answer that is none: {error}"),
            }),
            Ok(Err(why)) => Err(RemoteError::Refused {
                host: self.host.clone(),
                why,
            }),
            Err(RecvTimeoutError::Disconnected) => Err(self.lost_error()),
            Err(RecvTimeoutError::Timeout) => {
                self.shared
                    .lose(format!("it did not answer within {limit:?}"));
                self.close();
                Err(self.lost_error())
            }
        }
    }

    /// Why the host is lost, if it is.
    pub fn lost(&self) -> Option<RemoteError> {
        let lost = lock(&self.shared.lost).clone();
        lost.map(|why| RemoteError::Lost {
            host: self.host.clone(),
            why,
        })
    }

    fn lost_error(&self) -> RemoteError {
        self.lost().unwrap_or_else(|| RemoteError::Lost {
            host: self.host.clone(),
            why: "its connection is closed".into(),
        })
    }

    /// Asks the agent to undo everything and to leave. What it could not undo is an error.
    pub fn leave(&self) -> Result<(), RemoteError> {
        let problems: Vec<String> = self.ask(Ask::Leave, LEAVE_LIMIT)?;
        self.close();
        self.await_end();
        if problems.is_empty() {
            return Ok(());
        }
        Err(RemoteError::Refused {
            host: self.host.clone(),
            why: format!(
                "not everything could be undone: {} (hint: `whitewater heal --hosts {}`)",
                problems.join("; "),
                self.host
            ),
        })
    }

    /// Ends the connection, which ends the agent.
    fn close(&self) {
        drop(lock(&self.stdin).take());
    }

    fn await_end(&self) {
        end(&mut lock(&self.child), LEAVE_LIMIT);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
        // One that is lost is not waited for.
        let limit = match self.lost() {
            Some(_) => Duration::from_secs(1),
            None => LEAVE_LIMIT,
        };
        end(&mut lock(&self.child), limit);
    }
}

/// Waits for the end of ssh, and ends it when it takes too long.
fn end(child: &mut Child, limit: Duration) {
    let deadline = Instant::now() + limit;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= deadline {
            // It may end at this very moment, so much the better.
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        thread::sleep(LOOK);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), RemoteError> {
    let spawned = thread::Builder::new().name(name.into()).spawn(work);
    let failed = |error| RemoteError::Here(format!("failed to start a thread: {error}"));
    spawned.map(drop).map_err(failed)
}

/// A connection under way. Dropped, it is over, and the shell on the host removes what it made.
struct Opening<'a> {
    host: &'a str,
    child: Option<Child>,
    shared: Arc<Shared>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child, Duration::ZERO);
        }
    }
}

impl Opening<'_> {
    /// Reads what comes, on a thread of its own: the lines until the agent says hello, through the
    /// channel; after that answers, to whoever waits for them.
    fn read(&self, stdout: ChildStdout, on_exit: OnExit) -> Result<Receiver<String>, RemoteError> {
        let (tell, lines) = channel();
        let shared = Arc::clone(&self.shared);
        spawn("ssh stdout", move || {
            let mut early = Some(tell);
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let said = serde_json::from_str(&line).ok();
                match said {
                    Some(Said::Answer { id, result }) => shared.answered(id, result),
                    Some(Said::Exit(exit)) => on_exit(exit),
                    Some(Said::Hello(_)) => {
                        let _ = early.take().map(|tell| tell.send(line));
                    }
                    None => {
                        let _ = early.as_ref().map(|tell| tell.send(line));
                    }
                }
            }
            drop(early);
            shared.over();
        })?;
        Ok(lines)
    }

    /// The agent's folder, as the shell there says.
    fn greeted(&mut self, lines: &Receiver<String>) -> Result<String, RemoteError> {
        let deadline = Instant::now() + CONNECT_LIMIT;
        for _ in 0..GREETING_LINES_MAX {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = match lines.recv_timeout(left) {
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
    fn send(
        &mut self,
        mut stdin: ChildStdin,
        mut executable: File,
        lines: &Receiver<String>,
    ) -> Result<(ChildStdin, Hello), RemoteError> {
        let (done, is_done) = sync_channel(1);
        spawn("ssh stdin", move || {
            // What goes wrong shows on the other side, or by the end of ssh.
            let _ = io::copy(&mut executable, &mut stdin).and_then(|_| stdin.flush());
            let _ = done.send(stdin);
        })?;
        let deadline = Instant::now() + SEND_LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    if let Ok(Said::Hello(hello)) = serde_json::from_str(&line) {
                        let stdin = is_done.recv().map_err(|_| self.ended())?;
                        return Ok((stdin, hello));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) => {
                    let why = format!("this program was not there within {SEND_LIMIT:?}");
                    return Err(self.no_agent(why, "a faster connection to the host"));
                }
            }
        }
    }

    /// ssh ended before the agent was there: what its status and its words mean.
    fn ended(&mut self) -> RemoteError {
        let deadline = Instant::now() + LEAVE_LIMIT;
        let mut status = None;
        if let Some(child) = &mut self.child {
            while status.is_none() && Instant::now() < deadline {
                status = child.try_wait().unwrap_or_default();
                thread::sleep(LOOK);
            }
        }
        let said = self.shared.said();
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
            host: self.host.to_owned(),
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
        host: host.to_owned(),
        why: format!("it is {system} on {machine}, and this program is for Linux on {ours}"),
        hint: "start the run from a machine of the hosts' kind",
    })
}

impl Shared {
    fn answered(&self, id: u64, result: Result<Json, String>) {
        let waiting = match &mut *lock(&self.waiting) {
            Some(waiting) => waiting.remove(&id),
            None => None,
        };
        // Who asked may have given up.
        let _ = waiting.map(|waiting| waiting.send(result));
    }

    /// The connection has ended: nobody will be answered any more.
    fn over(&self) {
        let said = self.said();
        let why = match &*said {
            "" => "its agent or the connection to it ended".to_owned(),
            said => format!("its agent or the connection to it ended: {said}"),
        };
        self.lose(why);
        drop(lock(&self.waiting).take());
    }

    /// The first reason stands.
    fn lose(&self, why: String) {
        lock(&self.lost).get_or_insert(why);
    }

    fn keep_stderr(&self, mut stderr: ChildStderr) {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stderr.read(&mut buffer) {
            let mut kept = lock(&self.stderr);
            kept.extend_from_slice(&buffer[..count]);
            let excess = kept.len().saturating_sub(STDERR_BYTES_MAX);
            kept.drain(..excess);
        }
    }

    /// The last that was said on standard error.
    fn said(&self) -> String {
        // What was said just before the end may still be on its way.
        let deadline = Instant::now() + LOOK * 20;
        while lock(&self.stderr).is_empty() && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        let kept = lock(&self.stderr);
        let text = String::from_utf8_lossy(&kept);
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        last.unwrap_or_default().to_owned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Everything behind these is replaced in one move, or appended to.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

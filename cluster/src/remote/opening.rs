//! A connection to an agent under way: a program whose standard streams are to be the agent's.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::session::{LEAVE_LIMIT, LOOK, OnExit, Place, Session, Shared, end};
use super::wire::{Hello, Said};

/// Dropped, the program is ended, and whatever it reaches sees the end of its input.
pub(super) struct Opening {
    child: Option<Child>,
    /// What the other side gets to read. Taken by whoever has more to send than requests.
    pub stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    shared: Arc<Shared>,
}

impl Opening {
    /// Starts the program, and threads that read what it says.
    pub fn start(command: &mut Command, on_exit: OnExit) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Out of the terminal's reach: Ctrl-C is the controller's business.
            .process_group(0)
            .spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (tell, lines) = channel();
        let opening = Opening {
            child: Some(child),
            stdin,
            lines,
            shared: Arc::default(),
        };
        let shared = Arc::clone(&opening.shared);
        spawn("agent stderr", move || {
            stderr
                .into_iter()
                .for_each(|stderr| shared.keep_stderr(stderr));
        })?;
        let shared = Arc::clone(&opening.shared);
        spawn("agent stdout", move || {
            let read = |stdout| read(&shared, stdout, tell, on_exit);
            stdout.map(read).unwrap_or_default();
            shared.over();
        })?;
        Ok(opening)
    }

    /// The next line before the agent serves; its own first one is the last of them.
    pub fn line(&self, until: Instant) -> Result<String, RecvTimeoutError> {
        let left = until.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(left)
    }

    /// The agent's own first line, whatever comes before it.
    pub fn hello(&self, until: Instant) -> Result<Hello, RecvTimeoutError> {
        loop {
            if let Ok(Said::Hello(hello)) = serde_json::from_str(&self.line(until)?) {
                return Ok(hello);
            }
        }
    }

    /// How the program ended, which it is about to, and the last that it said on standard error.
    pub fn ended(&mut self) -> (Option<ExitStatus>, String) {
        let deadline = Instant::now() + LEAVE_LIMIT;
        let mut status = None;
        if let Some(child) = &mut self.child {
            while status.is_none() && Instant::now() < deadline {
                status = child.try_wait().unwrap_or_default();
                thread::sleep(LOOK);
            }
        }
        (status, self.shared.said())
    }

    /// The connection, now that the agent serves.
    pub fn serve(mut self, place: Place, folder: String, hello: Hello) -> io::Result<Session> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let child = self.child.take().ok_or_else(gone)?;
        let stdin = self.stdin.take();
        let shared = Arc::clone(&self.shared);
        Ok(Session::new(place, folder, hello, child, stdin, shared))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child, Duration::ZERO);
        }
    }
}

/// Passes on what comes: the lines until the agent says hello through the channel, and after that
/// answers to whoever waits for them.
fn read(
    shared: &Shared,
    stdout: ChildStdout,
    tell: std::sync::mpsc::Sender<String>,
    on_exit: OnExit,
) {
    let mut early = Some(tell);
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        match serde_json::from_str(&line).ok() {
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
}

/// Starts a thread that ends by itself.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let spawned = thread::Builder::new().name(name.into()).spawn(work);
    spawned.map(drop)
}

//! The program while it runs.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::ProgramOptions;
use super::answer::Answer;

/// Bytes of a line that are read, at most.
pub(super) const LINE_BYTES_MAX: u64 = 1 << 20;
/// Characters of a line that was not understood that are worth keeping.
const QUOTED_CHARS_MAX: usize = 200;
/// Bytes from the end of its standard error that are looked at.
const LAST_WORDS_BYTES_MAX: u64 = 400;
/// How long a program that closed its output is waited for, to learn how it ended, in milliseconds.
const END_TIMEOUT_MS: u64 = 1_000;
/// How long a program may take to end when it is told to, in milliseconds.
const CLOSE_TIMEOUT_MS: u64 = 500;
/// How often it is looked whether it has, in milliseconds.
const CLOSE_LOOK_MS: u64 = 5;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It could not be started.
    NotStarted(String),
    /// It had ended before it was asked.
    Gone(String),
    /// It ended, or closed its output, when it was asked.
    Ended(String),
    /// It did not answer within so many milliseconds.
    Silent(u64),
    /// It wrote something that is no answer, or not to what was asked.
    Odd(String),
}

impl Trouble {
    /// Whether it certainly was asked for nothing.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Trouble::NotStarted(_) | Trouble::Gone(_))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::NotStarted(why) => write!(f, "cannot be started: {why}"),
            Trouble::Gone(how) => write!(f, "ended without being told to: {how}"),
            Trouble::Ended(how) => write!(f, "ended instead of answering: {how}"),
            Trouble::Silent(limit_ms) => write!(f, "no answer within {limit_ms} ms"),
            Trouble::Odd(what) => write!(f, "unexpected answer: {what}"),
        }
    }
}

/// A program that was started; it is killed, with all that it started, when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    group: Option<Pid>,
    /// Nothing once it was told to end.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// The number of the line asked last.
    asked: u64,
    log: Option<PathBuf>,
}

impl Running {
    /// Starts the program. It is in the network namespace of the calling thread.
    pub fn start(options: &ProgramOptions) -> Result<Self, Trouble> {
        let [program, arguments @ ..] = options.command.as_slice() else {
            return Err(Trouble::NotStarted("no command is given".to_owned()));
        };
        let refused = |error: std::io::Error| Trouble::NotStarted(error.to_string());
        let stderr = match &options.log {
            None => Stdio::null(),
            Some(log) => {
                let log = OpenOptions::new().create(true).append(true).open(log);
                log.map_err(refused)?.into()
            }
        };
        let mut command = Command::new(program);
        if let Some(folder) = &options.folder {
            command.current_dir(folder);
        }
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(refused)?;
        let group = child.id().and_then(|pid| i32::try_from(pid).ok());
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Trouble::NotStarted("it has no pipes".to_owned()));
        };
        Ok(Running {
            child,
            group: group.map(Pid::from_raw),
            stdin: Some(stdin),
            stdout: BufReader::new(stdout),
            asked: 0,
            log: options.log.clone(),
        })
    }

    /// Writes a line, under the next number, and reads the answer to it, within so many milliseconds.
    pub async fn ask(
        &mut self,
        mut line: serde_json::Value,
        limit_ms: u64,
    ) -> Result<Answer, Trouble> {
        // An answer that nobody asked for would be taken for the next one's.
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(Trouble::Gone(describe(status)));
        }
        if !self.stdout.buffer().is_empty() {
            let text = quoted(self.stdout.buffer());
            return Err(Trouble::Odd(format!("{text}, which nobody asked for")));
        }
        self.asked += 1;
        line["id"] = self.asked.into();
        let exchange = async {
            let line = format!("{line}\n");
            let written = match &mut self.stdin {
                Some(stdin) => stdin.write_all(line.as_bytes()).await.is_ok(),
                None => false,
            };
            if !written {
                return Err(Trouble::Ended(self.end().await));
            }
            self.answer().await
        };
        let answer = timeout(Duration::from_millis(limit_ms), exchange).await;
        answer.unwrap_or(Err(Trouble::Silent(limit_ms)))
    }

    async fn answer(&mut self) -> Result<Answer, Trouble> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stdout).take(LINE_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut line).await;
        if read.is_err() || (line.last() != Some(&b'\n') && (line.len() as u64) < LINE_BYTES_MAX) {
            let how = self.end().await;
            let torn = match line.is_empty() {
                true => String::new(),
                false => format!(", amid the line {}", quoted(&line)),
            };
            return Err(Trouble::Ended(how + &torn));
        }
        if line.last() != Some(&b'\n') {
            let why = format!(
                "a line of more than {LINE_BYTES_MAX} bytes: {}",
                quoted(&line)
            );
            return Err(Trouble::Odd(why));
        }
        let answer: Answer = serde_json::from_slice(&line)
            .map_err(|error| Trouble::Odd(format!("{} ({error})", quoted(&line))))?;
        if answer.id != self.asked {
            let asked = self.asked;
            let why = format!("{} (line {asked} was to be answered)", quoted(&line));
            return Err(Trouble::Odd(why));
        }
        Ok(answer)
    }

    /// How it ended, once its output is closed.
    async fn end(&mut self) -> String {
        let limit = Duration::from_millis(END_TIMEOUT_MS);
        match timeout(limit, self.child.wait()).await {
            Ok(Ok(status)) => describe(status),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it closed its output and runs on".to_owned(),
        }
    }

    /// Tells it to end, and gives it a moment to do so.
    pub fn close(mut self) {
        let stdin = self.stdin.take().map(ChildStdin::into_owned_fd);
        if let Some(Ok(stdin)) = stdin {
            // A program that does not read it finds its input closed, or is killed.
            let _ = File::from(stdin).write_all(b"{\"type\":\"close\"}\n");
        }
        let end = std::time::Instant::now() + Duration::from_millis(CLOSE_TIMEOUT_MS);
        while let Ok(None) = self.child.try_wait()
            && std::time::Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(CLOSE_LOOK_MS));
        }
    }

    /// The end of what it said on its standard error.
    pub fn last_words(&self) -> Option<String> {
        let mut log = File::open(self.log.as_ref()?).ok()?;
        let length = log.metadata().ok()?.len();
        let from = length.saturating_sub(LAST_WORDS_BYTES_MAX);
        log.seek(SeekFrom::Start(from)).ok()?;
        let mut words = Vec::new();
        log.read_to_end(&mut words).ok()?;
        let words = String::from_utf8_lossy(&words);
        let last = words.lines().rev().find(|line| !line.trim().is_empty())?;
        Some(last.trim().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // All of its group: a shell's or an interpreter's own children too. It may be gone already.
        if let Some(group) = self.group {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

fn describe(status: ExitStatus) -> String {
    status.to_string()
}

/// The beginning of what it wrote, quoted.
fn quoted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let start: String = text.trim_end().chars().take(QUOTED_CHARS_MAX).collect();
    format!("{start:?}")
}

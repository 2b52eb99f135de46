//! The nodes: programs that read messages on standard input and write them on standard output.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cluster::{Program, ProgramSpec};
use faults::Name;
use serde_json::json;

use crate::errors::ErrorReply;
use crate::message::{Message, body};
use crate::net::Net;
use crate::print::Print;

/// Messages that wait for a node that does not read, at most.
const INBOX_MESSAGES_MAX: usize = 100_000;
/// A longer line is none of a node that is well.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// How much of a line is quoted.
const QUOTED_CHARS_MAX: usize = 200;
/// How many lines of a node's log are quoted when it ended by itself.
const LOG_LINES_QUOTED: usize = 20;
/// How long a node may live on that has closed its standard output.
const EXIT_LIMIT: Duration = Duration::from_secs(2);

/// What runs as each node.
#[derive(Debug, Clone)]
pub struct NodesSpec {
    /// The nodes' names, in order.
    pub names: Vec<Name>,
    /// The program: a path, or a name to be searched for in PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where each node's `stderr.log` is written, in a folder of the node's name.
    pub logs: PathBuf,
    /// Is also given what nodes write on standard error, a line at a time.
    pub show: Option<Print>,
    /// Within how long a node must have answered `init`, in milliseconds.
    pub init_limit_ms: u64,
}

/// The nodes of a run.
pub struct Nodes {
    spec: NodesSpec,
    net: Net,
    lives: BTreeMap<Name, Mutex<Option<Life>>>,
    inits: Arc<Inits>,
}

/// One process of a node, from its start to its end.
struct Life {
    program: Arc<Program>,
    is_end_expected: Arc<AtomicBool>,
}

/// Which nodes have answered `init`.
struct Inits {
    client: Name,
    state: Mutex<InitState>,
    changed: Condvar,
}

#[derive(Default)]
struct InitState {
    /// The number of the last `init`.
    last: i64,
    /// Of each node that has not answered: the number of its `init`, and when it was sent.
    open: BTreeMap<Name, (i64, Instant)>,
}

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No process could be made.
    #[error(transparent)]
    Cluster(#[from] cluster::ClusterError),
    /// Its log cannot be written.
    #[error("failed to open the log {}: {error}", path.display())]
    Log {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// There is no thread for it.
    #[error("failed to start a thread: {0}")]
    Thread(io::Error),
}

impl Nodes {
    /// Nodes that are not started yet.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn new(spec: NodesSpec, net: Net) -> Result<Self, StartError> {
        let (client, answers) = net.new_client();
        net.set_init_client(client.clone());
        let inits = Arc::new(Inits {
            client,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let (listener, of) = (inits.clone(), net.clone());
        spawn("inits".to_owned(), move || listener.listen(&of, &answers))?;
        let lives = spec
            .names
            .iter()
            .map(|name| (name.clone(), Mutex::new(None)));
        Ok(Nodes {
            lives: lives.collect(),
            spec,
            net,
            inits,
        })
    }

    /// Starts every node and waits until each has answered `init`.
    ///
    /// # Errors
    /// In words: which node did not, and what it wrote.
    pub fn start_all(&self) -> Result<(), String> {
        for name in &self.spec.names {
            self.start(name).map_err(|error| error.to_string())?;
        }
        self.await_inits()
    }

    /// Waits until every node that was started has answered `init`.
    ///
    /// # Errors
    /// In words: which node did not in time, or why the run cannot go on.
    pub fn await_inits(&self) -> Result<(), String> {
        const LOOK: Duration = Duration::from_millis(20);
        let limit = Duration::from_millis(self.spec.init_limit_ms);
        let mut state = self.inits.state();
        loop {
            if let Some(failure) = self.net.failure() {
                return Err(failure.to_owned());
            }
            let Some((node, (_, sent))) = state.open.iter().min_by_key(|(_, (_, sent))| *sent)
            else {
                return Ok(());
            };
            if sent.elapsed() >= limit {
                return Err(format!(
                    "node {node} did not answer `init` within {} ms (hint: it must write \
                     {{\"src\": \"{node}\", \"dest\": \"{}\", \"body\": {{\"type\": \"init_ok\", \
                     \"in_reply_to\": …}}}} as one line, and flush its standard output; its log is \
                     nodes/{node}/stderr.log in the run folder)",
                    limit.as_millis(),
                    self.inits.client
                ));
            }
            let waited = self.inits.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Starts a node that does not run; does not wait until it has answered `init`.
    pub(crate) fn start(&self, name: &str) -> Result<(), StartError> {
        let Some((name, life)) = self.lives.get_key_value(name) else {
            return Err(cluster::ClusterError::NoSuchNode(name.to_owned()).into());
        };
        let mut life = locked(life);
        if let Some(life) = &*life
            && life.program.exit().is_none()
        {
            return Ok(());
        }
        *life = Some(self.launch(name)?);
        Ok(())
    }

    fn launch(&self, name: &Name) -> Result<Life, StartError> {
        let log = self.open_log(name)?;
        let (program, pipes) = Program::start(ProgramSpec {
            name: name.clone(),
            program: self.spec.program.clone(),
            args: self.spec.args.clone(),
            folder: PathBuf::from("."),
        })?;
        let program = Arc::new(program);
        let is_end_expected = Arc::new(AtomicBool::new(false));
        let (sender, inbox) = sync_channel(INBOX_MESSAGES_MAX);
        let stdin = pipes.stdin;
        spawn(format!("{name} stdin"), move || feed(stdin, &inbox))?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let show = self.spec.show.clone().map(|show| (name.clone(), show));
        let lines = tail.clone();
        let stderr = pipes.stderr;
        let logger = spawn(format!("{name} stderr"), move || {
            keep_log(stderr, log, &lines, show.as_ref());
        })?;
        let reader = Reader {
            name: name.clone(),
            net: self.net.clone(),
            program: program.clone(),
            is_end_expected: is_end_expected.clone(),
            lines: 0,
        };
        let stdout = pipes.stdout;
        spawn(format!("{name} stdout"), move || {
            reader.read(stdout, move || {
                let _ = logger.join();
                let tail: Vec<String> = locked(&tail).iter().cloned().collect();
                tail
            });
        })?;
        self.send_init(name, sender);
        Ok(Life {
            program,
            is_end_expected,
        })
    }

    fn open_log(&self, name: &Name) -> Result<File, StartError> {
        let folder = self.spec.logs.join(&**name);
        let path = folder.join("stderr.log");
        std::fs::create_dir_all(&folder)
            .and_then(|()| OpenOptions::new().append(true).create(true).open(&path))
            .map_err(|error| StartError::Log { path, error })
    }

    /// The first that a node gets, whatever is on its way to it.
    fn send_init(&self, name: &Name, inbox: SyncSender<String>) {
        let mut state = self.inits.state();
        state.last += 1;
        let number = state.last;
        state.open.insert(name.clone(), (number, Instant::now()));
        drop(state);
        let names: Vec<&str> = self.spec.names.iter().map(|name| &**name).collect();
        let init = body(json!({
            "type": "init", "msg_id": number, "node_id": &**name, "node_ids": names,
        }));
        self.net
            .open_inbox(name, inbox, self.inits.client.clone(), init);
    }

    /// Does something to the node's program, if it was ever started. Whatever it does is expected.
    pub(crate) fn with_program<T>(
        &self,
        name: &str,
        ends: bool,
        act: impl FnOnce(&Program) -> T,
    ) -> Option<T> {
        let (name, life) = self.lives.get_key_value(name)?;
        let life = locked(life);
        let life = life.as_ref()?;
        if ends {
            life.is_end_expected.store(true, Ordering::SeqCst);
            self.net.close_inbox(name);
            self.inits.state().open.remove(name);
        }
        Some(act(&life.program))
    }

    /// Ends every node.
    pub(crate) fn stop(&self) -> Result<(), cluster::ClusterError> {
        let mut outcome = Ok(());
        for name in &self.spec.names {
            let killed = self.with_program(name, true, |program| program.kill().map(drop));
            outcome = outcome.and(killed.unwrap_or(Ok(())));
        }
        outcome
    }

    /// The nodes' names, in order.
    pub fn names(&self) -> &[Name] {
        &self.spec.names
    }
}

impl Inits {
    fn state(&self) -> MutexGuard<'_, InitState> {
        locked(&self.state)
    }

    /// Takes the answers to `init` until there is no network any more.
    fn listen(&self, net: &Net, answers: &Receiver<Message>) {
        for answer in answers {
            if let Some(error) = ErrorReply::of(&answer.body) {
                net.fail(format!("node {} refused `init`: {error}", answer.src));
            }
            let mut state = self.state();
            let open = state.open.get(&answer.src);
            if answer.kind() == "init_ok"
                && open.is_some_and(|(number, _)| answer.in_reply_to() == Some(*number))
            {
                state.open.remove(&answer.src);
            }
            self.changed.notify_all();
        }
    }
}

/// Writes what comes for a node until it has ended or there is nothing to come.
fn feed(mut stdin: ChildStdin, inbox: &Receiver<String>) {
    for line in inbox {
        if stdin.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

/// Keeps what a node writes on standard error.
fn keep_log(
    stderr: impl Read,
    mut log: File,
    tail: &Mutex<VecDeque<String>>,
    show: Option<&(Name, Print)>,
) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut stderr)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line);
        if !matches!(read, Ok(read) if read > 0) {
            return;
        }
        // A full disk takes the log, not the run.
        let _ = log.write_all(&line);
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if let Some((name, show)) = show {
            show.line(&format!("{name}: {text}"));
        }
        let mut tail = locked(tail);
        tail.push_back(text);
        if tail.len() > LOG_LINES_QUOTED {
            tail.pop_front();
        }
    }
}

/// What a node writes on standard output becomes messages.
struct Reader {
    name: Name,
    net: Net,
    program: Arc<Program>,
    is_end_expected: Arc<AtomicBool>,
    /// How many lines this process has written.
    lines: u64,
}

impl Reader {
    fn read(mut self, stdout: ChildStdout, last_lines: impl FnOnce() -> Vec<String>) {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut stdout)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line);
            let is_whole = line.last() == Some(&b'\n');
            if !matches!(read, Ok(read) if read > 0)
                || !is_whole && (line.len() as u64) < LINE_BYTES_MAX
            {
                break;
            }
            self.lines += 1;
            let said = match is_whole {
                true => self.take(&String::from_utf8_lossy(&line)),
                false => Err(format!("is longer than {LINE_BYTES_MAX} bytes")),
            };
            if let Err(why) = said {
                let text = quoted(&String::from_utf8_lossy(&line));
                self.net.fail(format!(
                    "line {} that node {} wrote on standard output {why}: {text}",
                    self.lines, self.name
                ));
                // Whatever comes after is drained, so that the node is not blocked.
                let _ = io::copy(&mut stdout, &mut io::sink());
                return;
            }
        }
        if !self.is_end_expected.load(Ordering::SeqCst) {
            let exit = self.program.exit_within(EXIT_LIMIT);
            let torn = String::from_utf8_lossy(&line).into_owned();
            if !self.is_end_expected.load(Ordering::SeqCst) {
                self.tell_end(exit, &torn, last_lines);
            }
        }
    }

    /// Sends the message that a line is.
    fn take(&self, line: &str) -> Result<(), String> {
        let message = Message::parse(line.trim_end()).map_err(|error| error.to_string())?;
        let message = Message {
            sender: self.name.clone(),
            ..message
        };
        self.net.send(message).map_err(|error| error.to_string())
    }

    fn tell_end(
        &self,
        exit: Option<ExitStatus>,
        torn: &str,
        last_lines: impl FnOnce() -> Vec<String>,
    ) {
        let mut text = match exit {
            Some(exit) => {
                let how = match exit.code() {
                    Some(code) if code > 128 => format!("signal {}", code - 128),
                    Some(code) => format!("exit status {code}"),
                    None => exit.to_string(),
                };
                format!("node {} ended by itself with {how}", self.name)
            }
            None => {
                let name = &self.name;
                return self.net.fail(format!(
                    "node {name} closed its standard output and lives on"
                ));
            }
        };
        text.push_str(&format!(", after {} lines of messages", self.lines));
        if !torn.is_empty() {
            text.push_str(&format!(" and a line without an end: {}", quoted(torn)));
        }
        let lines = last_lines();
        if lines.is_empty() {
            text.push_str("; it wrote nothing on standard error");
        } else {
            text.push_str("; its last lines on standard error:");
        }
        for line in lines {
            text.push_str("\n  | ");
            text.push_str(&line);
        }
        self.net.fail(text);
    }
}

/// A line as it is quoted: not too much of it.
fn quoted(line: &str) -> String {
    let line = line.trim_end();
    match line.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn spawn(
    name: String,
    work: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, StartError> {
    thread::Builder::new()
        .name(name)
        .spawn(work)
        .map_err(StartError::Thread)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

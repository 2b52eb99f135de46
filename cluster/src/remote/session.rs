//! One connection, with an agent at its other end.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::error::RemoteError;
use super::wire::{Ask, Exit, Hello, Request};

/// How long an agent may take for an answer, besides the time that what it is asked for takes.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How long an agent may take to undo everything when its connection ends.
pub(super) const LEAVE_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks whether the program that connects has ended.
pub(super) const LOOK: Duration = Duration::from_millis(5);

/// How much of what it says on standard error is kept.
const STDERR_BYTES_MAX: usize = 4 << 10;

/// Where an agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// For people: `host a`, `container n1`.
    pub name: String,
    /// What undoes there what could not be undone.
    pub heal: String,
}

impl Place {
    pub fn host(host: &str) -> Self {
        Place {
            name: format!("host {host}"),
            heal: format!("whitewater heal --hosts {host}"),
        }
    }

    pub fn container(node: &str) -> Self {
        Place {
            name: format!("container {node}"),
            heal: "whitewater heal --docker".to_owned(),
        }
    }
}

/// A connection to an agent. Dropping it ends the agent, which undoes everything first.
#[derive(Debug)]
pub(super) struct Session {
    pub place: Place,
    /// The agent's folder there.
    pub folder: String,
    pub hello: Hello,
    child: Mutex<Child>,
    stdin: Mutex<Option<ChildStdin>>,
    shared: Arc<Shared>,
    next_id: AtomicU64,
}

/// What the threads that read share with those that ask.
#[derive(Debug)]
pub(super) struct Shared {
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
    pub fn new(
        place: Place,
        folder: String,
        hello: Hello,
        child: Child,
        stdin: Option<ChildStdin>,
        shared: Arc<Shared>,
    ) -> Self {
        Session {
            place,
            folder,
            hello,
            child: Mutex::new(child),
            stdin: Mutex::new(stdin),
            shared,
            next_id: AtomicU64::new(1),
        }
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
                place: self.place.name.clone(),
                why: format!("its agent gave an answer that is none: {error}"),
            }),
            Ok(Err(why)) => Err(RemoteError::Refused {
                place: self.place.name.clone(),
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
            place: self.place.name.clone(),
            why,
        })
    }

    fn lost_error(&self) -> RemoteError {
        self.lost().unwrap_or_else(|| RemoteError::Lost {
            place: self.place.name.clone(),
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
            place: self.place.name.clone(),
            why: format!(
                "not everything could be undone: {} (hint: `{}`)",
                problems.join("; "),
                self.place.heal
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

/// Waits for the end of the program that connects, and ends it when it takes too long.
pub(super) fn end(child: &mut Child, limit: Duration) {
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

impl Default for Shared {
    fn default() -> Self {
        Shared {
            waiting: Mutex::new(Some(BTreeMap::new())),
            lost: Mutex::default(),
            stderr: Mutex::default(),
        }
    }
}

impl Shared {
    pub fn answered(&self, id: u64, result: Result<Json, String>) {
        let waiting = match &mut *lock(&self.waiting) {
            Some(waiting) => waiting.remove(&id),
            None => None,
        };
        // Who asked may have given up.
        let _ = waiting.map(|waiting| waiting.send(result));
    }

    /// The connection has ended: nobody will be answered any more.
    pub fn over(&self) {
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

    pub fn keep_stderr(&self, mut stderr: ChildStderr) {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stderr.read(&mut buffer) {
            let mut kept = lock(&self.stderr);
            kept.extend_from_slice(&buffer[..count]);
            let excess = kept.len().saturating_sub(STDERR_BYTES_MAX);
            kept.drain(..excess);
        }
    }

    /// The last that was said on standard error.
    pub fn said(&self) -> String {
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

//! The recorder: the one place where events get their index and their time.

use std::io::{self, Write};
use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::formats::binary::{self, Chunk};
use crate::formats::jsonl;
use crate::{Encoding, Event, EventType, FailedCas, Fault, Header, Outcome, Point, Process, Value};

/// How many recorded events may wait for the writer. A caller that finds the queue full waits.
pub const QUEUE_EVENTS_MAX: usize = 4096;

/// How many bytes the writer gathers before it writes although more events are waiting.
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// How many events a recorded chunk has at most: fewer than a chunk could have, since what is not
/// written yet is lost when this process is killed.
pub const RECORDED_CHUNK_EVENTS_MAX: usize = 4096;

/// How long a recorded event waits at most for others of its chunk, in milliseconds.
pub const CHUNK_LINGER_MS_MAX: u64 = 50;

/// How long the writer leaves events in the queue before it looks again.
const LINGER: Duration = Duration::from_millis(1);

/// How often the writer looks in vain before it sleeps until it is woken.
const LOOKS_MAX: usize = 20;

/// Sees every event once it is written, on the writer's thread, in order.
pub type Observer = Box<dyn FnMut(&Event) + Send>;

/// What a client is about to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The calling process; it must have no other operation open.
    pub process: u64,
    /// The operation's name.
    pub f: Arc<str>,
    /// The key, where the workload has keys.
    pub key: Option<Value>,
    /// The argument.
    pub value: Value,
    /// The node it will be sent to first, where that is known.
    pub node: Option<Arc<str>>,
}

/// What a client learnt of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The calling process.
    pub process: u64,
    /// The operation's name, as at its invocation.
    pub f: Arc<str>,
    /// The key, as at its invocation.
    pub key: Option<Value>,
    /// How it ended.
    pub outcome: Outcome,
    /// The result.
    pub value: Value,
    /// The node spoken to last.
    pub node: Option<Arc<str>>,
    /// Why it failed or is unknown.
    pub error: Option<Arc<str>>,
    /// Every node tried, where there was more than one.
    pub path: Vec<Arc<str>>,
}

/// How much a recorder has written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    /// All events.
    pub events: u64,
    /// Operations begun.
    pub invoked: u64,
    /// Operations that took effect.
    pub ok: u64,
    /// Operations that certainly did not.
    pub fail: u64,
    /// Operations given up with unknown outcome.
    pub info: u64,
    /// Fault events.
    pub faults: u64,
    /// Bytes, the header included.
    pub bytes: u64,
}

/// Why an event could not be recorded. What was written before stays readable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The history could not be written; every later call says so too.
    #[error("the history cannot be written: {message}")]
    Write {
        /// What kind of failure.
        kind: io::ErrorKind,
        /// The system's words.
        message: String,
    },
    /// The writer's thread ended early, because the observer panicked.
    #[error("the writer of the history stopped: its observer failed")]
    Stopped,
    /// The recorder was finished before.
    #[error("the history is finished already")]
    Finished,
}

/// Records a history as it happens: JSON lines or chunks, written by a thread of its own.
///
/// An operation's interval may be widened, never narrowed, so call [`Recorder::invoke`] *before*
/// the request is sent and [`Recorder::complete`] *after* the response was received. Both take
/// index and time while they hold one short lock, so that the order of the file, of the indexes and
/// of the times is the same. A client that gives up without a completion records nothing: its
/// operation stays open.
///
/// The line of an event is written about a millisecond after it happened, without waiting for the
/// disk: when this process is killed, the events still in the queue are lost, and the last line may
/// be torn. A chunk is written when it has [`RECORDED_CHUNK_EVENTS_MAX`] events or its first is
/// [`CHUNK_LINGER_MS_MAX`] old: so much more is lost then. What is left is always a beginning of
/// the history.
pub struct Recorder {
    stamp: Mutex<Stamp>,
    failure: Arc<OnceLock<RecordError>>,
    writer: Mutex<Writer>,
}

/// What gives events their place: held for as long as that takes, and no longer.
struct Stamp {
    next_index: u64,
    last_time_ns: u64,
    clock: Box<dyn Fn() -> u64 + Send>,
    queue: Option<SyncSender<Event>>,
}

enum Writer {
    Running(JoinHandle<Recorded>),
    Finished(Result<Recorded, RecordError>),
}

impl Recorder {
    /// Starts a history of JSON lines, as [`Recorder::start_as`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start(
        out: impl Write + Send + 'static,
        header: &Header,
        clock: impl Fn() -> u64 + Send + Sync + 'static,
        observer: Option<Observer>,
    ) -> Result<Self, RecordError> {
        Self::start_as(Encoding::Jsonl, out, header, clock, observer)
    }

    /// Starts a history in `out`, which should not buffer: each call of `write` is a batch of whole
    /// lines, or a chunk. `clock` gives nanoseconds since the run's start. The header is written
    /// before this returns.
    ///
    /// # Errors
    ///
    /// When the header cannot be written or the writer's thread cannot be started.
    pub fn start_as(
        encoding: Encoding,
        mut out: impl Write + Send + 'static,
        header: &Header,
        clock: impl Fn() -> u64 + Send + Sync + 'static,
        observer: Option<Observer>,
    ) -> Result<Self, RecordError> {
        let mut beginning = Vec::new();
        match encoding {
            Encoding::Jsonl => {
                jsonl::write_header(header, FailedCas::NoEffect, &mut beginning);
                Ok(())
            }
            Encoding::Binary => {
                binary::write_beginning(header, FailedCas::NoEffect, &mut beginning)
            }
        }
        .and_then(|()| out.write_all(&beginning))
        .and_then(|()| out.flush())
        .map_err(write_error)?;
        let (queue, events) = sync_channel(QUEUE_EVENTS_MAX);
        let failure = Arc::new(OnceLock::new());
        let counts = Recorded {
            bytes: beginning.len() as u64,
            ..Recorded::default()
        };
        let write = {
            let failure = failure.clone();
            let pending = Pending::new(encoding);
            move || write_events(&events, out, pending, observer, counts, &failure)
        };
        let writer = thread::Builder::new()
            .name("history-writer".to_owned())
            .spawn(write)
            .map_err(write_error)?;
        Ok(Recorder {
            stamp: Mutex::new(Stamp {
                next_index: 0,
                last_time_ns: 0,
                clock: Box::new(clock),
                queue: Some(queue),
            }),
            failure,
            writer: Mutex::new(Writer::Running(writer)),
        })
    }

    /// Records that an operation begins. Call it before the request is sent.
    ///
    /// # Errors
    ///
    /// When the history cannot be written; the request should then not be sent.
    pub fn invoke(&self, invocation: Invocation) -> Result<Point, RecordError> {
        let Invocation {
            process,
            f,
            key,
            value,
            node,
        } = invocation;
        self.record(Event {
            index: 0,
            time_ns: 0,
            process: Process::Client(process),
            kind: EventType::Invoke,
            f,
            key,
            value,
            node,
            error: None,
            path: Vec::new(),
        })
    }

    /// Records how an operation ended. Call it after the response was received.
    ///
    /// # Errors
    ///
    /// When the history cannot be written.
    pub fn complete(&self, completion: Completion) -> Result<Point, RecordError> {
        let Completion {
            process,
            f,
            key,
            outcome,
            value,
            node,
            error,
            path,
        } = completion;
        self.record(Event {
            index: 0,
            time_ns: 0,
            process: Process::Client(process),
            kind: match outcome {
                Outcome::Ok => EventType::Ok,
                Outcome::Fail => EventType::Fail,
                Outcome::Info => EventType::Info,
            },
            f,
            key,
            value,
            node,
            error,
            path,
        })
    }

    /// Records what happens to a fault.
    ///
    /// # Errors
    ///
    /// When the history cannot be written.
    pub fn fault(&self, fault: &Fault) -> Result<Point, RecordError> {
        self.record(fault.to_event(0, 0))
    }

    /// Records something else that the nemesis saw or did, such as a change of leader.
    ///
    /// # Errors
    ///
    /// When the history cannot be written.
    pub fn note(&self, f: &str, value: Value) -> Result<Point, RecordError> {
        self.record(Event {
            index: 0,
            time_ns: 0,
            process: Process::Nemesis,
            kind: EventType::Info,
            f: f.into(),
            key: None,
            value,
            node: None,
            error: None,
            path: Vec::new(),
        })
    }

    /// Ends the history: waits until all is written, and says how much that was. Later events are
    /// refused. To finish twice is harmless.
    ///
    /// # Errors
    ///
    /// When not everything could be written.
    pub fn finish(&self) -> Result<Recorded, RecordError> {
        let mut writer = locked(&self.writer);
        locked(&self.stamp).queue = None;
        let before = mem::replace(&mut *writer, Writer::Finished(Err(RecordError::Stopped)));
        let result = match before {
            Writer::Finished(result) => result,
            Writer::Running(thread) => match (thread.join(), self.failure.get()) {
                (_, Some(failure)) => Err(failure.clone()),
                (Ok(counts), None) => Ok(counts),
                (Err(_), None) => Err(RecordError::Stopped),
            },
        };
        *writer = Writer::Finished(result.clone());
        result
    }

    /// Gives the event its index and time and hands it to the writer.
    fn record(&self, mut event: Event) -> Result<Point, RecordError> {
        if let Some(failure) = self.failure.get() {
            return Err(failure.clone());
        }
        let mut stamp = locked(&self.stamp);
        // A clock that goes back would make a history that nobody can read.
        let time_ns = stamp.last_time_ns.max((stamp.clock)());
        let index = stamp.next_index;
        event.index = index;
        event.time_ns = time_ns;
        let Some(queue) = &stamp.queue else {
            return Err(RecordError::Finished);
        };
        if queue.send(event).is_err() {
            return Err(self.failure.get().cloned().unwrap_or(RecordError::Stopped));
        }
        stamp.next_index += 1;
        stamp.last_time_ns = time_ns;
        Ok(Point { index, time_ns })
    }
}

/// A recorder that is dropped unfinished still writes all that it was given.
impl Drop for Recorder {
    fn drop(&mut self) {
        // Whoever wants to know of a failure calls `finish`.
        let _ = self.finish();
    }
}

/// The writer's thread: writes what there is, and waits for more when there is nothing.
fn write_events(
    queue: &Receiver<Event>,
    mut out: impl Write,
    mut pending: Pending,
    mut observer: Option<Observer>,
    mut counts: Recorded,
    failure: &OnceLock<RecordError>,
) -> Recorded {
    let mut batch = Vec::new();
    let mut bytes = Vec::with_capacity(BATCH_BYTES_MAX);
    let mut open = true;
    while open {
        match wait(queue, pending.due) {
            Waited::Event(first) => {
                let mut next = Some(first);
                while let Some(event) = next {
                    pending.push(&event);
                    batch.push(event);
                    next = if pending.is_full() {
                        None
                    } else {
                        queue.try_recv().ok()
                    };
                }
            }
            Waited::Due => {}
            Waited::End => open = false,
        }
        if open && !pending.is_due() {
            continue;
        }
        // After a failure nothing more is written, so that a torn line stays the last one.
        let written = pending
            .take(&mut bytes)
            .and_then(|()| out.write_all(&bytes))
            .and_then(|()| out.flush());
        if let Err(error) = written {
            let _ = failure.set(write_error(error));
            break;
        }
        counts.bytes += bytes.len() as u64;
        bytes.clear();
        for event in batch.drain(..) {
            counts.add(&event);
            if let Some(observer) = &mut observer {
                observer(&event);
            }
        }
    }
    counts
}

/// Events that are not written yet.
struct Pending {
    form: Form,
    /// When they are to be written at the latest; `None` when there are none.
    due: Option<Instant>,
}

/// What events become.
enum Form {
    Lines(Vec<u8>),
    Chunk(Box<Chunk>),
}

impl Pending {
    fn new(encoding: Encoding) -> Self {
        let form = match encoding {
            Encoding::Jsonl => Form::Lines(Vec::with_capacity(BATCH_BYTES_MAX)),
            Encoding::Binary => Form::Chunk(Box::default()),
        };
        Pending { form, due: None }
    }

    fn push(&mut self, event: &Event) {
        match &mut self.form {
            Form::Lines(lines) => jsonl::write_event(event, lines),
            Form::Chunk(chunk) => {
                chunk.push(event);
                let linger = Duration::from_millis(CHUNK_LINGER_MS_MAX);
                self.due.get_or_insert_with(|| Instant::now() + linger);
            }
        }
    }

    /// Whether no more are to be added before they are written.
    fn is_full(&self) -> bool {
        match &self.form {
            Form::Lines(lines) => lines.len() >= BATCH_BYTES_MAX,
            Form::Chunk(chunk) => chunk.len() >= RECORDED_CHUNK_EVENTS_MAX || chunk.is_full(),
        }
    }

    /// Whether they are to be written now: lines always, a chunk when it is worth it or late.
    fn is_due(&self) -> bool {
        match self.form {
            Form::Lines(_) => true,
            Form::Chunk(_) => self.is_full() || self.due.is_some_and(|due| Instant::now() >= due),
        }
    }

    /// Adds what is to be written to `bytes`, and begins anew.
    fn take(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.due = None;
        match &mut self.form {
            Form::Lines(lines) => {
                bytes.append(lines);
                Ok(())
            }
            Form::Chunk(chunk) => chunk.write(bytes),
        }
    }
}

/// What came of waiting.
enum Waited {
    Event(Event),
    /// Nothing, until it was due.
    Due,
    /// There will be no more events.
    End,
}

/// Waits for the next event, until `due` where that is given.
///
/// A caller that finds the writer asleep in `recv` has to wake it, which costs it several times as
/// much as the rest of recording. So the writer goes to look by itself, every so often, and only
/// when nothing came for a while does it go to sleep.
fn wait(queue: &Receiver<Event>, due: Option<Instant>) -> Waited {
    for _ in 0..LOOKS_MAX {
        match queue.try_recv() {
            Ok(event) => return Waited::Event(event),
            Err(TryRecvError::Disconnected) => return Waited::End,
            Err(TryRecvError::Empty) if due.is_some_and(|due| Instant::now() >= due) => {
                return Waited::Due;
            }
            Err(TryRecvError::Empty) => thread::sleep(LINGER),
        }
    }
    let Some(due) = due else {
        return queue.recv().map_or(Waited::End, Waited::Event);
    };
    match queue.recv_timeout(due.saturating_duration_since(Instant::now())) {
        Ok(event) => Waited::Event(event),
        Err(RecvTimeoutError::Timeout) => Waited::Due,
        Err(RecvTimeoutError::Disconnected) => Waited::End,
    }
}

impl Recorded {
    fn add(&mut self, event: &Event) {
        self.events += 1;
        *match (event.process, event.kind) {
            (Process::Nemesis, _) => &mut self.faults,
            (_, EventType::Invoke) => &mut self.invoked,
            (_, EventType::Ok) => &mut self.ok,
            (_, EventType::Fail) => &mut self.fail,
            (_, EventType::Info) => &mut self.info,
        } += 1;
    }
}

// By value, as `map_err` hands it over.
fn write_error(error: io::Error) -> RecordError {
    RecordError::Write {
        kind: error.kind(),
        message: error.to_string(),
    }
}

/// What is behind a lock, also when a clock panicked while holding it: every field is valid at any
/// moment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A whole history in memory, and the operations its events pair up to.

use std::sync::Arc;

use crate::{Events, FailedCas, Inconsistency, Value, validate};

/// A recorded history: header, and events in index order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// What the file says of itself.
    pub header: Header,
    /// The events, sorted by index, proved consistent when read.
    pub events: Events,
    /// Whether the last line was torn (cut off in the middle, as after `kill -9`) and left out.
    pub torn: bool,
    /// How a `fail` of a `cas` is meant here; the reader sets what its format means by it.
    pub failed_cas: FailedCas,
    /// Names of fields in the file that mean nothing here and were passed over, the first twenty or so.
    pub passed_over: Vec<String>,
}

impl History {
    /// Whether the history contradicts itself: index and time never go back, every completion has
    /// its invocation (same name and key), and no process has two operations open.
    ///
    /// # Errors
    ///
    /// The first contradiction, with the line of the event, and of the other event involved.
    pub fn validate(&self) -> Result<(), Inconsistency> {
        validate::validate(&self.events)
    }
}

/// What a history says of its own making. Foreign formats have none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// Set when Whitewater recorded it.
    pub run: Option<RunInfo>,
}

/// How a run of Whitewater made the history; enough to check it again with no other file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunInfo {
    /// The system under test.
    pub system: String,
    /// The workload.
    pub workload: String,
    /// The consistency model's name, as `check --model` takes it; empty where there is none.
    pub model: String,
    /// The nodes' names.
    pub nodes: Vec<String>,
    /// How many clients ran side by side.
    pub clients: u64,
    /// The fault kinds that were scheduled.
    pub faults: Vec<String>,
    /// The seed.
    pub seed: u64,
}

/// A position in a history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// The event's index.
    pub index: u64,
    /// The event's time in nanoseconds since the run's start.
    pub time_ns: u64,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It took effect between its invocation and its completion.
    Ok,
    /// It never took effect.
    Fail,
    /// Unknown: it may have taken effect at any time after its invocation, or never.
    Info,
}

/// One call by one process: an invocation, and perhaps a completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The calling process.
    pub process: u64,
    /// The operation's name.
    pub f: Arc<str>,
    /// The key, where the workload has keys.
    pub key: Option<Value>,
    /// The argument.
    pub input: Value,
    /// The result (`Nil` unless the outcome is `Ok`).
    pub output: Value,
    /// How it ended; `Info` also when no completion was recorded.
    pub outcome: Outcome,
    /// When it was invoked.
    pub invoked: Point,
    /// When its completion was recorded. For an outcome of `Info` this is when the client gave up,
    /// not a bound: such an operation stays open for ever.
    pub ended: Option<Point>,
    /// The node spoken to last.
    pub node: Option<Arc<str>>,
    /// Why it failed or is unknown.
    pub error: Option<Arc<str>>,
    /// All nodes tried, where more than one.
    pub path: Vec<Arc<str>>,
    /// The line of the invocation in the file it was read from, where there is one.
    pub line: Option<u32>,
}

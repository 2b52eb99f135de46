//! Events: the lines of a history.

use std::fmt;
use std::sync::Arc;

use crate::Value;

/// Who an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// A logical single-threaded client.
    Client(u64),
    /// The process that injects and heals faults, as Jepsen calls it.
    Nemesis,
}

/// As people write it: the number, or `nemesis`.
impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Process::Client(number) => write!(f, "{number}"),
            Process::Nemesis => f.write_str("nemesis"),
        }
    }
}

/// What happened to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// The operation began: stamped just before the request was sent.
    Invoke,
    /// It took effect, with this result: stamped just after the response was received.
    Ok,
    /// It certainly did not take effect, and never will.
    Fail,
    /// Nobody knows: it may take effect at any later time. Every fault event has this type too.
    Info,
}

impl EventType {
    /// Every type.
    pub const ALL: [EventType; 4] = [
        EventType::Invoke,
        EventType::Ok,
        EventType::Fail,
        EventType::Info,
    ];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            EventType::Invoke => "invoke",
            EventType::Ok => "ok",
            EventType::Fail => "fail",
            EventType::Info => "info",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Position in the history: 0, 1, 2 …; the one total order.
    pub index: u64,
    /// Nanoseconds since the run's start on the controller's monotonic clock (`time` in files).
    /// Foreign histories without times get their index.
    pub time_ns: u64,
    /// Who.
    pub process: Process,
    /// What happened (`type` in files).
    pub kind: EventType,
    /// The name of the operation (`read`, `write`, `cas`, …) or of the fault.
    pub f: Arc<str>,
    /// The key operated on, where the workload has keys.
    pub key: Option<Value>,
    /// The argument (on `invoke`) or the result (on completion).
    pub value: Value,
    /// The node that the client spoke to last.
    pub node: Option<Arc<str>>,
    /// Why an operation failed, or why its outcome is unknown.
    pub error: Option<Arc<str>>,
    /// Every node tried in order, redirects and repeated attempts included; empty when there was
    /// only one.
    pub path: Vec<Arc<str>>,
}

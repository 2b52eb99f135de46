//! Pairing: from events to operations.

use std::collections::HashMap;

use crate::{Event, EventType, History, Operation, Outcome, Point, Process, Value};

/// How a `fail` of a `cas` that carries no error is to be understood. The formats differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FailedCas {
    /// It looked, and found another value than the one expected: an observation. The operation
    /// becomes `Ok` with the output `false`.
    Observed,
    /// It only says that nothing was changed.
    #[default]
    NoEffect,
}

/// The one operation whose negative answer some formats write as `fail`.
const CAS: &str = "cas";

impl History {
    /// The clients' operations, by invocation: each with its completion where there is one.
    ///
    /// An operation with no completion, or with one of type `info`, is of unknown outcome
    /// ([`Outcome::Info`]). The output of a `cas` that is `ok` is always a `Bool`: formats that
    /// repeat the argument there mean `true`.
    ///
    /// Expects a history that [`History::validate`] accepts, as every reader returns; in others a
    /// completion without invocation is passed over.
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::with_capacity(self.events.len() / 2 + 1);
        let mut open: HashMap<u64, usize> = HashMap::new();
        for (position, event) in self.events.iter().enumerate() {
            let Process::Client(process) = event.process else {
                continue;
            };
            if event.kind == EventType::Invoke {
                open.insert(process, operations.len());
                operations.push(begin(process, event, self.lines.get(position).copied()));
            } else if let Some(at) = open.remove(&process) {
                complete(&mut operations[at], event, self.failed_cas);
            }
        }
        operations
    }
}

/// The operation as far as its invocation tells it.
fn begin(process: u64, event: &Event, line: Option<u32>) -> Operation {
    Operation {
        process,
        f: event.f.clone(),
        key: event.key.clone(),
        input: event.value.clone(),
        output: Value::Nil,
        outcome: Outcome::Info,
        invoked: point(event),
        ended: None,
        node: event.node.clone(),
        error: event.error.clone(),
        path: event.path.clone(),
        line,
    }
}

/// Adds what the completion tells.
fn complete(operation: &mut Operation, event: &Event, failed_cas: FailedCas) {
    let cas = &*operation.f == CAS;
    (operation.outcome, operation.output) = match event.kind {
        EventType::Ok if cas && !matches!(event.value, Value::Bool(_)) => {
            (Outcome::Ok, Value::Bool(true))
        }
        EventType::Ok => (Outcome::Ok, event.value.clone()),
        EventType::Fail if cas && event.error.is_none() && failed_cas == FailedCas::Observed => {
            (Outcome::Ok, Value::Bool(false))
        }
        EventType::Fail => (Outcome::Fail, Value::Nil),
        EventType::Info | EventType::Invoke => (Outcome::Info, Value::Nil),
    };
    operation.ended = Some(point(event));
    if event.node.is_some() {
        operation.node.clone_from(&event.node);
    }
    if event.error.is_some() {
        operation.error.clone_from(&event.error);
    }
    if !event.path.is_empty() {
        operation.path.clone_from(&event.path);
    }
}

/// Where an event stands.
pub(crate) fn point(event: &Event) -> Point {
    Point {
        index: event.index,
        time_ns: event.time_ns,
    }
}

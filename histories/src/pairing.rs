//! An operation from its events, one after the other: for whoever reads a history while it grows.
//! [`crate::Operations`] has those of a whole one.

use crate::operations::{CAS, point};
use crate::{Event, EventType, FailedCas, Operation, Outcome, Value};

impl Operation {
    /// The operation that an invocation by this process begins, as far as the invocation tells:
    /// its outcome is unknown.
    pub fn begun_by(process: u64, event: &Event) -> Self {
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
            line: None,
        }
    }

    /// Adds what its completion tells.
    pub fn complete(&mut self, event: &Event, failed_cas: FailedCas) {
        let cas = &*self.f == CAS;
        let says_nothing = event.value.is_nil() || event.value == self.input;
        let observed = failed_cas == FailedCas::Observed && event.error.is_none();
        (self.outcome, self.output) = match event.kind {
            EventType::Ok if cas && says_nothing => (Outcome::Ok, Value::Bool(true)),
            EventType::Ok => (Outcome::Ok, event.value.clone()),
            EventType::Fail if cas && observed => (Outcome::Ok, Value::Bool(false)),
            EventType::Fail => (Outcome::Fail, Value::Nil),
            EventType::Info | EventType::Invoke => (Outcome::Info, Value::Nil),
        };
        self.ended = Some(point(event));
        if event.node.is_some() {
            self.node.clone_from(&event.node);
        }
        if event.error.is_some() {
            self.error.clone_from(&event.error);
        }
        if !event.path.is_empty() {
            self.path.clone_from(&event.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Events, History, Process};

    /// Goal: an operation made from its events one by one is the one of the whole history.
    #[test]
    fn operations_are_the_same_one_by_one_and_of_a_whole_history() {
        let event = |index, kind, f: &str, value: Value| Event {
            index,
            time_ns: 10 * index,
            process: Process::Client(4),
            kind,
            f: f.into(),
            key: Some("k".into()),
            value,
            node: (kind != EventType::Invoke).then(|| "n1".into()),
            error: (kind == EventType::Info).then(|| "timeout".into()),
            path: vec!["n2".into(), "n1".into()],
        };
        for failed_cas in [FailedCas::NoEffect, FailedCas::Observed] {
            for f in ["cas", "read"] {
                for kind in [EventType::Ok, EventType::Fail, EventType::Info] {
                    for value in [Value::Nil, Value::Bool(false), Value::Int(7), Value::Int(1)] {
                        let events = [
                            event(3, EventType::Invoke, f, Value::Int(1)),
                            event(5, kind, f, value),
                        ];
                        let mut operation = Operation::begun_by(4, &events[0]);
                        let mut columns = Events::new();
                        columns.push(events[0].clone());
                        let history = |columns: &Events| History {
                            events: columns.clone(),
                            failed_cas,
                            ..History::default()
                        };
                        assert_eq!(history(&columns).operations().get(0), operation);
                        operation.complete(&events[1], failed_cas);
                        columns.push(events[1].clone());
                        assert_eq!(history(&columns).operations().get(0), operation);
                    }
                }
            }
        }
    }
}

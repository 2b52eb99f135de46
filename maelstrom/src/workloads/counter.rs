//! `g-counter` and `pn-counter`: a number that is added to, and with `pn-counter` also taken from.

use std::sync::Arc;

use histories::Value;
use seeds::Stream;
use serde_json::{Value as Json, json};

use super::{Completion, Generator, Operation, Session, Shared, Workload, json_of};

/// A number that is changed by amounts.
#[derive(Debug)]
pub(super) struct Counter {
    name: &'static str,
    /// The least amount.
    least: i64,
}

/// A number that is added to.
pub(super) static G_COUNTER: Counter = Counter {
    name: "g-counter",
    least: 0,
};

/// A number that is added to and taken from.
pub(super) static PN_COUNTER: Counter = Counter {
    name: "pn-counter",
    least: -5,
};

impl Workload for Counter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn checks(&self) -> &'static [&'static str] {
        &["final-counter"]
    }

    fn settles(&self) -> bool {
        true
    }

    fn generator(&self, shared: &Arc<Shared>, client: u32) -> Box<dyn Generator> {
        Box::new(Deltas {
            stream: shared.stream(client),
            least: self.least,
        })
    }

    fn final_operations(&self, _: &Shared, _: u32) -> Vec<Operation> {
        vec![Operation::new("read", Value::Nil)]
    }

    fn invoke(&self, session: &mut Session, operation: &Operation) -> Result<Completion, String> {
        invoke(session, operation)
    }
}

fn invoke(session: &mut Session, operation: &Operation) -> Result<Completion, String> {
    match &*operation.f {
        "read" => {
            let read = session.call("read", json!({})).and_then(|answer| {
                let int = |value: &Json| value.as_i64().map(Value::Int);
                session.field(&answer, "value", "a whole number", int)
            });
            Completion::of(read, false)
        }
        _ => {
            let added = session.call("add", json!({"delta": json_of(&operation.value)}));
            Completion::of(added.map(|_| Value::Nil), true)
        }
    }
}

struct Deltas {
    stream: Stream,
    /// What is added at least; at most it is 4.
    least: i64,
}

impl Generator for Deltas {
    fn next(&mut self) -> Operation {
        match self.stream.chance(1, 2) {
            true => {
                let spread = (5 - self.least).unsigned_abs();
                let delta = self.least + self.stream.below(spread).cast_signed();
                Operation::new("add", delta)
            }
            false => Operation::new("read", Value::Nil),
        }
    }
}

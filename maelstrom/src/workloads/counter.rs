//! `g-counter` and `pn-counter`: a number that is added to, and with `pn-counter` also taken from.

use std::sync::Arc;

use histories::Value;
use seeds::Stream;
use serde_json::{Value as Json, json};

use super::{Completion, Generator, Operation, Session, Shared, Workload, json_of};

/// A number that is added to.
#[derive(Debug)]
pub(super) struct GCounter;

/// A number that is added to and taken from.
#[derive(Debug)]
pub(super) struct PnCounter;

impl Workload for GCounter {
    fn name(&self) -> &'static str {
        "g-counter"
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
            least: 0,
        })
    }

    fn final_operations(&self, _: &Shared, _: u32) -> Vec<Operation> {
        vec![Operation::new("read", Value::Nil)]
    }

    fn invoke(&self, session: &mut Session, operation: &Operation) -> Result<Completion, String> {
        invoke(session, operation)
    }
}

impl Workload for PnCounter {
    fn name(&self) -> &'static str {
        "pn-counter"
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
            least: -5,
        })
    }

    fn final_operations(&self, shared: &Shared, client: u32) -> Vec<Operation> {
        GCounter.final_operations(shared, client)
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

//! `lin-kv`: registers of whole numbers under keys of whole numbers, which must be linearizable.
//!
//! A key that does not exist and a compare-and-set that found another value are observations, and
//! are judged as such: a node that forgets a key, or refuses every compare-and-set, is found out.

use std::sync::Arc;

use histories::Value;
use seeds::Stream;
use serde_json::{Value as Json, json};

use super::{
    Completion, Fresh, Generator, Operation, Session, Shared, Workload, json_of, value_of,
};
use crate::CallError;
use crate::errors::{KEY_DOES_NOT_EXIST, PRECONDITION_FAILED};

/// Final reads of one run, at most.
const FINAL_READS_MAX: usize = 500;

/// Registers under keys.
#[derive(Debug)]
pub(super) struct LinKv;

impl Workload for LinKv {
    fn name(&self) -> &'static str {
        "lin-kv"
    }

    fn model(&self) -> Option<&'static str> {
        Some("cas-register")
    }

    fn keys(&self) -> u64 {
        3
    }

    fn generator(&self, shared: &Arc<Shared>, client: u32) -> Box<dyn Generator> {
        Box::new(Mixed {
            stream: shared.stream(client),
            fresh: Fresh::new(shared, client),
            seen: Vec::new(),
            shared: shared.clone(),
        })
    }

    fn final_operations(&self, shared: &Shared, client: u32) -> Vec<Operation> {
        let used = shared.keys.used(FINAL_READS_MAX).into_iter();
        let own = used
            .skip(client as usize)
            .step_by(shared.clients.max(1) as usize);
        own.map(|key| operation("read", key, Value::Nil)).collect()
    }

    fn invoke(&self, session: &mut Session, operation: &Operation) -> Result<Completion, String> {
        let key = operation.key.as_ref().map(json_of);
        let value = &operation.value;
        match &*operation.f {
            "read" => {
                let read = session.call("read", json!({"key": key}));
                let read = read.and_then(|answer| {
                    session.field(&answer, "value", "there", |value| Some(value_of(value)))
                });
                Completion::of(observed(read, &[KEY_DOES_NOT_EXIST], &Value::Nil), false)
            }
            "write" => {
                let fields = json!({"key": key, "value": json_of(value)});
                let written = session.call("write", fields).map(|_| Value::Nil);
                Completion::of(written, true)
            }
            _ => {
                let ends = value.as_list().unwrap_or(&[]);
                let end = |at: usize| ends.get(at).map_or(Json::Null, json_of);
                let fields = json!({"key": key, "from": end(0), "to": end(1)});
                let swapped = session.call("cas", fields).map(|_| true.into());
                let refusals = [KEY_DOES_NOT_EXIST, PRECONDITION_FAILED];
                Completion::of(observed(swapped, &refusals, &false.into()), true)
            }
        }
    }
}

/// An answer with one of these codes is an observation with this result.
fn observed(
    called: Result<Value, CallError>,
    codes: &[i64],
    result: &Value,
) -> Result<Value, CallError> {
    match called {
        Err(CallError::Error(error)) if codes.contains(&error.code) => Ok(result.clone()),
        other => other,
    }
}

fn operation(f: &str, key: i64, value: Value) -> Operation {
    Operation {
        f: f.into(),
        key: Some(key.into()),
        value,
    }
}

struct Mixed {
    stream: Stream,
    fresh: Fresh,
    /// The value last seen of a few keys: what a compare-and-set expects.
    seen: Vec<(Value, Value)>,
    shared: Arc<Shared>,
}

/// How many keys' values are remembered.
const SEEN_MAX: usize = 64;

impl Mixed {
    fn seen(&self, key: i64) -> Value {
        let known = self
            .seen
            .iter()
            .rev()
            .find(|(seen, _)| seen.as_int() == Some(key));
        known.map_or(Value::Nil, |(_, value)| value.clone())
    }
}

impl Generator for Mixed {
    fn next(&mut self) -> Operation {
        let slot = self.stream.below(self.shared.keys.slots());
        let (key, _) = self.shared.keys.take(slot);
        match self.stream.below(100) {
            0..40 => operation("read", key, Value::Nil),
            40..70 => operation("write", key, self.fresh.draw().into()),
            _ => {
                // What nobody wrote is as good as any other expectation.
                let from = match self.seen(key) {
                    Value::Nil => (-1).into(),
                    seen => seen,
                };
                let ends = vec![from, self.fresh.draw().into()];
                operation("cas", key, Value::List(ends))
            }
        }
    }

    fn observe(&mut self, operation: &Operation, completion: &Completion) {
        let Some(key) = &operation.key else { return };
        if completion.outcome != histories::Outcome::Ok {
            return;
        }
        let value = match (&*operation.f, operation.value.as_list()) {
            ("read", _) => completion.value.clone(),
            ("cas", Some([_, to])) if completion.value == true.into() => to.clone(),
            ("cas", _) => return,
            _ => operation.value.clone(),
        };
        self.seen.retain(|(seen, _)| seen != key);
        self.seen.push((key.clone(), value));
        if self.seen.len() > SEEN_MAX {
            self.seen.remove(0);
        }
    }
}

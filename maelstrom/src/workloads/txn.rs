//! `txn-list-append` and `txn-rw-register`: transactions of reads and writes of several keys.
//!
//! A transaction is a list of `[f key value]`: `r` reads (the value is `nil` until it is known),
//! `append` adds to the list under the key, `w` writes the register under it.

use std::sync::Arc;

use histories::Value;
use seeds::Stream;
use serde_json::{Value as Json, json};

use super::{Completion, Generator, Operation, Session, Shared, Workload, json_of, value_of};

/// Final reads of one run, at most.
const FINAL_READS_MAX: usize = 200;

/// Transactions on lists.
#[derive(Debug)]
pub(super) struct ListAppend;

/// Transactions on registers.
#[derive(Debug)]
pub(super) struct RwRegister;

impl Workload for ListAppend {
    fn name(&self) -> &'static str {
        "txn-list-append"
    }

    fn checks(&self) -> &'static [&'static str] {
        &["list-append"]
    }

    fn keys(&self) -> u64 {
        10
    }

    fn generator(&self, shared: &Arc<Shared>, client: u32) -> Box<dyn Generator> {
        Box::new(Transactions::new("append", shared, client))
    }

    fn final_operations(&self, shared: &Shared, client: u32) -> Vec<Operation> {
        final_reads(shared, client)
    }

    fn invoke(&self, session: &mut Session, operation: &Operation) -> Result<Completion, String> {
        invoke(session, operation)
    }
}

impl Workload for RwRegister {
    fn name(&self) -> &'static str {
        "txn-rw-register"
    }

    fn checks(&self) -> &'static [&'static str] {
        &["rw-register"]
    }

    fn keys(&self) -> u64 {
        10
    }

    fn generator(&self, shared: &Arc<Shared>, client: u32) -> Box<dyn Generator> {
        Box::new(Transactions::new("w", shared, client))
    }

    fn final_operations(&self, shared: &Shared, client: u32) -> Vec<Operation> {
        final_reads(shared, client)
    }

    fn invoke(&self, session: &mut Session, operation: &Operation) -> Result<Completion, String> {
        invoke(session, operation)
    }
}

/// A read of every key that this client is to read in the end, each a transaction.
fn final_reads(shared: &Shared, client: u32) -> Vec<Operation> {
    let used = shared.keys.used(FINAL_READS_MAX).into_iter();
    let own = used
        .skip(client as usize)
        .step_by(shared.clients.max(1) as usize);
    own.map(|key| Operation::new("txn", Value::List(vec![step("r", key, Value::Nil)])))
        .collect()
}

fn step(f: &str, key: i64, value: Value) -> Value {
    Value::List(vec![f.into(), key.into(), value])
}

fn invoke(session: &mut Session, operation: &Operation) -> Result<Completion, String> {
    let asked = operation.value.as_list().unwrap_or(&[]);
    let changes = asked
        .iter()
        .any(|step| step.as_list().and_then(|step| step.first()) != Some(&"r".into()));
    let called = session.call("txn", json!({"txn": json_of(&operation.value)}));
    let called = called.and_then(|answer| {
        let expected = "the transaction that was asked for, with what its reads found";
        session.field(&answer, "txn", expected, |txn| completed(asked, txn))
    });
    Completion::of(called, changes)
}

/// The transaction with what its reads found; `None` where it is not the one asked for.
fn completed(asked: &[Value], answer: &Json) -> Option<Value> {
    let steps = answer.as_array()?;
    if steps.len() != asked.len() {
        return None;
    }
    let same = |(asked, answer): (&Value, &Json)| {
        let answer = value_of(answer);
        let ([f, key, value], [of_f, of_key, of_value]) = (asked.as_list()?, answer.as_list()?)
        else {
            return None;
        };
        let is_read = *f == "r".into();
        (f == of_f && key == of_key && (is_read || value == of_value)).then_some(answer)
    };
    let steps: Option<Vec<Value>> = asked.iter().zip(steps).map(same).collect();
    steps.map(Value::List)
}

struct Transactions {
    stream: Stream,
    write: &'static str,
    shared: Arc<Shared>,
}

impl Transactions {
    fn new(write: &'static str, shared: &Arc<Shared>, client: u32) -> Self {
        Transactions {
            stream: shared.stream(client),
            write,
            shared: shared.clone(),
        }
    }

    /// Half of all is about one key, a quarter about the next, and so on: some are contended.
    fn slot(&mut self) -> u64 {
        let zeros = u64::from(self.stream.next_u64().trailing_zeros());
        zeros.min(self.shared.keys.slots() - 1)
    }
}

impl Generator for Transactions {
    fn next(&mut self) -> Operation {
        let length = 1 + self.stream.below(self.shared.options.max_txn_length.max(1));
        let steps = (0..length).map(|_| {
            let slot = self.slot();
            match self.stream.chance(1, 2) {
                true => {
                    let (key, uses) = self.shared.keys.take(slot);
                    step(self.write, key, Value::Int(uses.cast_signed() + 1))
                }
                false => step("r", self.shared.keys.look(slot), Value::Nil),
            }
        });
        let steps = steps.collect();
        Operation::new("txn", Value::List(steps))
    }
}

//! `g-set`: a set that elements are added to and none is taken from.

use std::sync::Arc;

use histories::Value;
use serde_json::json;

use super::broadcast::AddsAndReads;
use super::{Completion, Generator, Operation, Session, Shared, Workload, ints, json_of};

/// A set that only grows.
#[derive(Debug)]
pub(super) struct GSet;

impl Workload for GSet {
    fn name(&self) -> &'static str {
        "g-set"
    }

    fn checks(&self) -> &'static [&'static str] {
        &["set", "eventual-set"]
    }

    fn settles(&self) -> bool {
        true
    }

    fn generator(&self, shared: &Arc<Shared>, client: u32) -> Box<dyn Generator> {
        Box::new(AddsAndReads::new("add", shared, client))
    }

    fn final_operations(&self, _: &Shared, _: u32) -> Vec<Operation> {
        vec![Operation::new("read", Value::Nil)]
    }

    fn invoke(&self, session: &mut Session, operation: &Operation) -> Result<Completion, String> {
        match &*operation.f {
            "read" => {
                let read = session.call("read", json!({})).and_then(|answer| {
                    session.field(&answer, "value", "a list of whole numbers", ints)
                });
                Completion::of(read, false)
            }
            _ => {
                let fields = json!({"element": json_of(&operation.value)});
                let added = session.call("add", fields);
                Completion::of(added.map(|_| Value::Nil), true)
            }
        }
    }
}

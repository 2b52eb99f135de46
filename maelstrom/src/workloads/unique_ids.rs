//! `unique-ids`: a node makes an identifier that no node ever makes again.

use std::sync::Arc;

use serde_json::json;

use super::{Completion, Generator, Operation, Session, Shared, Workload, value_of};

/// A node makes an identifier that no node ever makes again.
#[derive(Debug)]
pub(super) struct UniqueIds;

struct Generates;

impl Workload for UniqueIds {
    fn name(&self) -> &'static str {
        "unique-ids"
    }

    fn checks(&self) -> &'static [&'static str] {
        &["unique-ids"]
    }

    fn generator(&self, _: &Arc<Shared>, _: u32) -> Box<dyn Generator> {
        Box::new(Generates)
    }

    fn final_operations(&self, _: &Shared, _: u32) -> Vec<Operation> {
        vec![Generates.next()]
    }

    fn invoke(&self, session: &mut Session, _: &Operation) -> Result<Completion, String> {
        let called = session.call("generate", json!({})).and_then(|answer| {
            session.field(&answer, "id", "there", |id| {
                (!id.is_null()).then(|| value_of(id))
            })
        });
        Completion::of(called, true)
    }
}

impl Generator for Generates {
    fn next(&mut self) -> Operation {
        Operation {
            f: "generate".into(),
            key: None,
            value: histories::Value::Nil,
        }
    }
}

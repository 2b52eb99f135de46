//! `echo`: a node answers with what it was sent.

use std::sync::Arc;

use serde_json::json;

use super::{Completion, Generator, Operation, Session, Shared, Workload, json_of, value_of};

/// A node answers with what it was sent.
#[derive(Debug)]
pub(super) struct Echo;

struct Echoes {
    client: u32,
    count: u64,
}

impl Workload for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn checks(&self) -> &'static [&'static str] {
        &["echo"]
    }

    fn generator(&self, _: &Arc<Shared>, client: u32) -> Box<dyn Generator> {
        Box::new(Echoes { client, count: 0 })
    }

    fn final_operations(&self, _: &Shared, client: u32) -> Vec<Operation> {
        vec![Operation::new(
            "echo",
            format!("client {client}, at the end"),
        )]
    }

    fn invoke(&self, session: &mut Session, operation: &Operation) -> Result<Completion, String> {
        let sent = json_of(&operation.value);
        let called = session
            .call("echo", json!({"echo": sent}))
            .and_then(|answer| {
                session.field(&answer, "echo", "what was sent", |echo| {
                    Some(value_of(echo))
                })
            });
        Completion::of(called, false)
    }
}

impl Generator for Echoes {
    fn next(&mut self) -> Operation {
        self.count += 1;
        Operation::new("echo", format!("client {}, {}", self.client, self.count))
    }
}

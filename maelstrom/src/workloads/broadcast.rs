//! `broadcast`: what one node is told becomes known to all.

use std::sync::Arc;

use histories::Value;
use seeds::Stream;
use serde_json::{Map, Value as Json, json};

use super::{Completion, Fresh, Generator, Operation, Session, Shared, Workload, ints, json_of};
use crate::Client;

/// How long a node may take to answer what it is told of its neighbours, in milliseconds.
const TOPOLOGY_LIMIT_MS: u64 = 10_000;

/// What one node is told becomes known to all.
#[derive(Debug)]
pub(super) struct Broadcast;

impl Workload for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }

    fn checks(&self) -> &'static [&'static str] {
        &["set", "eventual-set"]
    }

    fn settles(&self) -> bool {
        true
    }

    fn prepare(&self, shared: &Shared, client: &mut Client) -> Result<(), String> {
        let topology = shared.options.topology.neighbours(&shared.nodes);
        let neighbours = |(node, others): &(faults::Name, Vec<faults::Name>)| {
            let others: Vec<&str> = others.iter().map(|other| &**other).collect();
            (node.to_string(), json!(others))
        };
        let topology: Map<String, Json> = topology.iter().map(neighbours).collect();
        for node in &shared.nodes {
            let fields = json!({"topology": topology});
            client
                .call(node, "topology", fields, TOPOLOGY_LIMIT_MS)
                .map_err(|error| format!("node {node} did not take its `topology`: {error}"))?;
        }
        Ok(())
    }

    fn generator(&self, shared: &Arc<Shared>, client: u32) -> Box<dyn Generator> {
        Box::new(AddsAndReads::new("broadcast", shared, client))
    }

    fn final_operations(&self, _: &Shared, _: u32) -> Vec<Operation> {
        vec![Operation::new("read", Value::Nil)]
    }

    fn invoke(&self, session: &mut Session, operation: &Operation) -> Result<Completion, String> {
        match &*operation.f {
            "read" => {
                let read = session.call("read", json!({})).and_then(|answer| {
                    session.field(&answer, "messages", "a list of whole numbers", ints)
                });
                Completion::of(read, false)
            }
            _ => {
                let fields = json!({"message": json_of(&operation.value)});
                let told = session.call("broadcast", fields);
                Completion::of(told.map(|_| Value::Nil), true)
            }
        }
    }
}

/// Numbers added and reads of all of them, as often.
pub(super) struct AddsAndReads {
    stream: Stream,
    fresh: Fresh,
    add: &'static str,
}

impl AddsAndReads {
    pub fn new(add: &'static str, shared: &Shared, client: u32) -> Self {
        AddsAndReads {
            stream: shared.stream(client),
            fresh: Fresh::new(shared, client),
            add,
        }
    }
}

impl Generator for AddsAndReads {
    fn next(&mut self) -> Operation {
        match self.stream.chance(1, 2) {
            true => Operation::new(self.add, self.fresh.draw()),
            false => Operation::new("read", Value::Nil),
        }
    }
}

//! What clients ask, and what the answers mean: a file for each workload.

mod broadcast;
mod counter;
mod echo;
mod g_set;
mod kafka;
mod keys;
mod lin_kv;
mod txn;
mod unique_ids;

use std::sync::Arc;

use faults::Name;
use histories::{Outcome, Value};
use seeds::{Purpose, Stream};
use serde_json::Value as Json;

use crate::{CallError, Client, MaelstromOptions, Net};
use keys::Keys;

/// A workload: a set of operations with their mix, and how a node is asked for them.
pub trait Workload: Sync + std::fmt::Debug {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The consistency model that judges its histories, if one does.
    fn model(&self) -> Option<&'static str> {
        None
    }

    /// The checks of its own that judge its histories.
    fn checks(&self) -> &'static [&'static str] {
        &[]
    }

    /// How many keys are in use at once unless something else is asked for.
    fn keys(&self) -> u64 {
        1
    }

    /// Whether what one node was told is to become known to all in time: then they are left alone
    /// for a while before the last reads.
    fn settles(&self) -> bool {
        false
    }

    /// Told to the nodes before the first operation.
    ///
    /// # Errors
    /// In words: which node did not understand.
    fn prepare(&self, _shared: &Shared, _client: &mut Client) -> Result<(), String> {
        Ok(())
    }

    /// The generator of one client's operations.
    fn generator(&self, shared: &Arc<Shared>, client: u32) -> Box<dyn Generator>;

    /// What this client asks in the end, when everything is healed.
    fn final_operations(&self, shared: &Shared, client: u32) -> Vec<Operation>;

    /// Does one operation.
    ///
    /// # Errors
    /// In words: the node's answer is not what the protocol says.
    fn invoke(&self, session: &mut Session, operation: &Operation) -> Result<Completion, String>;
}

/// One client's operations, drawn one by one.
pub trait Generator: Send {
    /// The next operation.
    fn next(&mut self) -> Operation;

    /// One more operation in the end, after the workload's final ones, given what came of those.
    fn next_final(&mut self) -> Option<Operation> {
        None
    }

    /// What came of the operation drawn last.
    fn observe(&mut self, _operation: &Operation, _completion: &Completion) {}
}

/// An operation about to be invoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its name.
    pub f: Arc<str>,
    /// The key it acts on, where the workload has keys.
    pub key: Option<Value>,
    /// Its argument.
    pub value: Value,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// How.
    pub outcome: Outcome,
    /// The result.
    pub value: Value,
    /// Why it failed, or why its outcome is unknown.
    pub error: Option<Arc<str>>,
}

/// What all clients of a run share.
#[derive(Debug)]
pub struct Shared {
    /// The seed.
    pub seed: u64,
    /// How many clients there are.
    pub clients: u32,
    /// The nodes.
    pub nodes: Vec<Name>,
    /// What was asked for.
    pub options: MaelstromOptions,
    keys: Keys,
}

impl Shared {
    /// For a run of this workload with so many keys in use at once, each retired after so many
    /// operations.
    pub fn new(
        seed: u64,
        clients: u32,
        nodes: Vec<Name>,
        options: MaelstromOptions,
        [keys, uses_per_key]: [u64; 2],
    ) -> Self {
        Shared {
            seed,
            clients,
            nodes,
            options,
            keys: Keys::new(keys, uses_per_key),
        }
    }

    fn stream(&self, client: u32) -> Stream {
        Stream::new(self.seed, Purpose::Client, client)
    }
}

/// One client at its node.
pub struct Session {
    client: Client,
    node: Name,
    timeout_ms: u64,
}

impl Session {
    /// A fresh client of this node.
    pub fn new(net: &Net, node: Name, timeout_ms: u64) -> Self {
        Session {
            client: Client::new(net),
            node,
            timeout_ms,
        }
    }

    /// The node it asks.
    pub fn node(&self) -> &Name {
        &self.node
    }

    fn call(&mut self, kind: &str, fields: Json) -> Result<crate::Body, CallError> {
        self.client.call(&self.node, kind, fields, self.timeout_ms)
    }

    fn field<T>(
        &self,
        answer: &crate::Body,
        name: &str,
        expected: &str,
        read: impl FnOnce(&Json) -> Option<T>,
    ) -> Result<T, CallError> {
        Client::field(&self.node, answer, name, expected, read)
    }
}

/// Every workload.
pub const ALL: [&dyn Workload; 10] = [
    &echo::Echo,
    &broadcast::Broadcast,
    &g_set::GSet,
    &counter::G_COUNTER,
    &counter::PN_COUNTER,
    &unique_ids::UniqueIds,
    &lin_kv::LinKv,
    &txn::ListAppend,
    &txn::RwRegister,
    &kafka::Kafka,
];

/// The workload of this name.
pub fn by_name(name: &str) -> Option<&'static dyn Workload> {
    ALL.into_iter().find(|workload| workload.name() == name)
}

impl Operation {
    fn new(f: &str, value: impl Into<Value>) -> Self {
        Operation {
            f: f.into(),
            key: None,
            value: value.into(),
        }
    }
}

impl Completion {
    fn ok(value: Value) -> Self {
        Completion {
            outcome: Outcome::Ok,
            value,
            error: None,
        }
    }

    /// What a call means for an operation, in general: a definite error promises that it did not
    /// happen, and so does any answered error of one that changes nothing. Everything else that is
    /// no result leaves its outcome open.
    ///
    /// # Errors
    /// The node's answer is not what the protocol says.
    fn of(called: Result<Value, CallError>, changes: bool) -> Result<Self, String> {
        let ended = |outcome, error: &dyn std::fmt::Display| Completion {
            outcome,
            value: Value::Nil,
            error: Some(error.to_string().into()),
        };
        match called {
            Ok(value) => Ok(Completion::ok(value)),
            Err(error @ CallError::Timeout(_)) => Ok(ended(Outcome::Info, &error)),
            Err(CallError::Error(error)) if error.is_definite() || !changes => {
                Ok(ended(Outcome::Fail, &error))
            }
            Err(CallError::Error(error)) => Ok(ended(Outcome::Info, &error)),
            Err(CallError::Wrong(why)) => Err(why),
        }
    }
}

/// A JSON value as histories have it. Numbers that are not whole are kept as they were written.
fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(truth) => (*truth).into(),
        Json::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.to_string().into(),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(elements) => Value::List(elements.iter().map(value_of).collect()),
        Json::Object(fields) => {
            let field = |(name, json): (&String, &Json)| (name.as_str().into(), value_of(json));
            Value::Map(fields.iter().map(field).collect())
        }
    }
}

/// A value of a history as JSON.
fn json_of(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Text(text) => (&**text).into(),
        Value::List(values) => values.iter().map(json_of).collect(),
        Value::Map(entries) => {
            let entry = |(key, value): &(Value, Value)| {
                let name = key.as_text().map_or_else(|| key.to_string(), str::to_owned);
                (name, json_of(value))
            };
            Json::Object(entries.iter().map(entry).collect())
        }
    }
}

/// An answer's list of whole numbers.
fn ints(json: &Json) -> Option<Value> {
    let elements = json.as_array()?;
    let ints: Option<Vec<Value>> = elements
        .iter()
        .map(|int| int.as_i64().map(Value::Int))
        .collect();
    ints.map(Value::List)
}

/// Numbers that no client draws twice and no other draws: the client's own, then more by the number
/// of clients each.
#[derive(Debug)]
struct Fresh {
    next: i64,
    step: i64,
}

impl Fresh {
    fn new(shared: &Shared, client: u32) -> Self {
        Fresh {
            next: i64::from(client),
            step: i64::from(shared.clients.max(1)),
        }
    }

    fn draw(&mut self) -> i64 {
        let number = self.next;
        self.next += self.step;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorReply;

    #[test]
    fn an_outcome_is_never_guessed() {
        let error = |code| Err(CallError::Error(ErrorReply { code, text: None }));
        let rows = [
            (Ok(Value::Nil), true, Ok(Outcome::Ok)),
            (Err(CallError::Timeout(5)), true, Ok(Outcome::Info)),
            (Err(CallError::Timeout(5)), false, Ok(Outcome::Info)),
            (error(11), true, Ok(Outcome::Fail)),
            (error(22), true, Ok(Outcome::Fail)),
            (error(0), true, Ok(Outcome::Info)),
            (error(13), true, Ok(Outcome::Info)),
            (error(13), false, Ok(Outcome::Fail)),
            (error(1_000), true, Ok(Outcome::Info)),
            (error(99), true, Ok(Outcome::Info)),
            (Err(CallError::Wrong("no".to_owned())), true, Err(())),
        ];
        for (called, changes, expected) in rows {
            let found = Completion::of(called.clone(), changes);
            let found = found.map(|completion| completion.outcome).map_err(drop);
            assert_eq!(found, expected, "{called:?}");
        }
    }

    #[test]
    fn values_pass_through_json() {
        let json = serde_json::json!({"a": [1, null, true, "x"], "b": {"c": -7}});
        assert_eq!(json_of(&value_of(&json)), json);
        assert_eq!(value_of(&serde_json::json!(1.5)), Value::from("1.5"));
    }
}

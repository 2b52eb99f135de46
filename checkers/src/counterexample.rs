//! The operations that contradict each other, as data for reports.

use histories::{Operation, Outcome, Value};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::Guarantees;

/// Why a history is not linearizable: a few of its operations that contradict each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Counterexample {
    /// The key they are on, where the history has keys.
    #[serde(serialize_with = "optional_json")]
    pub key: Option<Value>,
    /// The operations, in order of invocation. By themselves they are not linearizable.
    #[serde(rename = "operations")]
    pub core: Vec<CoreOperation>,
    /// The place in `core` of the operation that cannot be placed any more when it returns.
    pub culprit: usize,
    /// Whether what happened before these operations is left out: then no order explains them
    /// whatever the value was, of all that were ever written until then, when they begin.
    pub any_start: bool,
    /// How many events of this key it takes, from the start, until no order explains them.
    pub prefix_events: u64,
    /// Whether an exhaustive search of its own confirmed that `core` is not linearizable (made
    /// when the core is small enough).
    pub confirmed: bool,
    /// Whether every further weakening of `core` was tried and made it linearizable.
    pub minimal: bool,
    /// Plain sentences: for each way to order the operations, why it fails.
    pub explanation: Vec<String>,
    /// What weaker guarantees the key still keeps; `None` where they were not looked at.
    pub guarantees: Option<Guarantees>,
}

/// One operation of a counterexample.
#[derive(Debug, Clone, PartialEq)]
pub struct CoreOperation {
    /// As it was recorded.
    pub operation: Operation,
    /// Whether the contradiction remains even if this operation, which completed, is allowed to
    /// take effect at any later time or never: only its invocation counts.
    pub weakened: bool,
}

impl CoreOperation {
    /// Whether it has an end that the contradiction counts on.
    pub fn is_bounded(&self) -> bool {
        self.operation.outcome == Outcome::Ok && !self.weakened
    }
}

impl Serialize for CoreOperation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let operation = &self.operation;
        let outcome = match operation.outcome {
            Outcome::Ok => "ok",
            Outcome::Fail => "fail",
            Outcome::Info => "info",
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("index", &operation.invoked.index)?;
        map.serialize_entry("end_index", &operation.ended.map(|end| end.index))?;
        map.serialize_entry("process", &operation.process)?;
        map.serialize_entry("f", &*operation.f)?;
        map.serialize_entry("key", &operation.key.as_ref().map(Json))?;
        map.serialize_entry("input", &Json(&operation.input))?;
        map.serialize_entry("output", &Json(&operation.output))?;
        map.serialize_entry("outcome", outcome)?;
        map.serialize_entry("invoked_ns", &operation.invoked.time_ns)?;
        map.serialize_entry("ended_ns", &operation.ended.map(|end| end.time_ns))?;
        map.serialize_entry("node", &operation.node.as_deref())?;
        map.serialize_entry("error", &operation.error.as_deref())?;
        map.serialize_entry("line", &operation.line)?;
        map.serialize_entry("weakened", &self.weakened)?;
        map.end()
    }
}

pub(crate) fn optional_json<S: Serializer>(
    value: &Option<Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(Json).serialize(serializer)
}

/// A value as JSON: maps whose keys are not text get the keys as a person reads them.
struct Json<'a>(&'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Nil => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(&Json(value))?;
                }
                list.end()
            }
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    match key.as_text() {
                        Some(text) => map.serialize_entry(text, &Json(value))?,
                        None => map.serialize_entry(&key.to_string(), &Json(value))?,
                    }
                }
                map.end()
            }
        }
    }
}

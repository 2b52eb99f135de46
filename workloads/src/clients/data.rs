//! What the keys of a workload hold, and how it is written in a system that knows texts only.

use std::str::FromStr;

use histories::Value;

/// What the keys of a workload hold. Two workloads may have operations of the same name, as `read`:
/// a client for several must know which of them it serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Data {
    /// A whole number: `read`, `write`, `cas`.
    #[default]
    Register,
    /// A text: `get`, `put`, `append`, `cas`, `delete`.
    Kv,
    /// A set: `add`, `read`.
    Set,
    /// A list: `append`, `read`.
    List,
    /// A queue: `enqueue`, `dequeue`.
    Queue,
    /// A number: `add`, `read`.
    Counter,
    /// A lock: `acquire`, `release`.
    Lock,
    /// A lock whose holder is told a token.
    FencedLock,
    /// Accounts: `transfer`, `read`.
    Bank,
    /// A value and all its changes: `put`, `watch`.
    Watch,
}

/// Each with the name of its workload.
const NAMES: [(Data, &str); 10] = [
    (Data::Register, "register"),
    (Data::Kv, "kv"),
    (Data::Set, "set"),
    (Data::List, "append"),
    (Data::Queue, "queue"),
    (Data::Counter, "counter"),
    (Data::Lock, "lock"),
    (Data::FencedLock, "fenced-lock"),
    (Data::Bank, "bank"),
    (Data::Watch, "watch"),
];

impl Data {
    /// The name of the workload.
    pub fn workload(self) -> &'static str {
        let named = NAMES.iter().find(|(data, _)| *data == self);
        named.map_or("register", |(_, name)| name)
    }
}

/// A workload that this client does not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no built-in client serves the workload {workload:?}")]
pub struct UnservedWorkload {
    /// Its name.
    pub workload: String,
}

impl FromStr for Data {
    type Err = UnservedWorkload;

    fn from_str(workload: &str) -> Result<Self, UnservedWorkload> {
        let found = NAMES.iter().find(|(_, name)| *name == workload);
        found
            .map(|(data, _)| *data)
            .ok_or_else(|| UnservedWorkload {
                workload: workload.to_owned(),
            })
    }
}

/// A number or a text as a text.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Int(number) => Some(number.to_string()),
        Value::Text(text) => Some((**text).to_owned()),
        _ => None,
    }
}

/// The number that was written as this text: "07" is not what anybody wrote.
pub(crate) fn number_in(text: &str) -> Option<Value> {
    let number = text.parse::<i64>().ok()?;
    (number.to_string() == text).then_some(Value::Int(number))
}

/// An element of a set or list as JSON: a number and a text that looks like it stay two things.
pub(crate) fn element_text(value: &Value) -> Option<String> {
    match value {
        Value::Int(_) | Value::Text(_) => serde_json::to_string(value).ok(),
        _ => None,
    }
}

/// The element that was written as this JSON.
pub(crate) fn element_in(text: &str) -> Option<Value> {
    match serde_json::from_str(text).ok()? {
        serde_json::Value::Number(_) => number_in(text),
        serde_json::Value::String(text) => Some(text.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_known_by_its_name() {
        for (data, name) in NAMES {
            assert_eq!((name.parse(), data.workload()), (Ok(data), name));
        }
        let error = "sat"
            .parse::<Data>()
            .expect_err("there is none")
            .to_string();
        assert_eq!(error, "no built-in client serves the workload \"sat\"");
    }

    #[test]
    fn elements_are_read_as_they_were_written() {
        for value in [
            Value::Int(5),
            Value::Int(i64::MIN),
            "5".into(),
            "".into(),
            "a \"b\"\n,".into(),
        ] {
            let text = element_text(&value).expect("it can be written");
            assert_eq!(element_in(&text), Some(value));
        }
        for odd in [
            "",
            "05",
            "5.0",
            "[5]",
            "null",
            "true",
            "5 6",
            "18446744073709551615",
        ] {
            assert_eq!(element_in(odd), None, "{odd}");
        }
        assert_eq!(element_text(&Value::Nil), None);
        for odd in ["", "+5", "05", " 5", "5.0", "x"] {
            assert_eq!(number_in(odd), None, "{odd}");
        }
    }
}

//! The program's side of the protocol.

use histories::Value;
use serde::{Deserialize, Deserializer};

/// A line that the program wrote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The number of the line it answers.
    pub id: u64,
    /// The result; nothing where none is given, which is not the same as null.
    #[serde(default, deserialize_with = "given")]
    pub value: Option<Value>,
    /// Why it failed or is unknown.
    #[serde(default)]
    pub error: Option<String>,
    /// The node that was asked.
    #[serde(default)]
    pub node: Option<String>,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Ok,
    Fail,
    Info,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

//! Who holds a lock: the conventions that the locks with owners share.

use std::fmt;

use histories::{Operation, Value};

use crate::ModelError;
use crate::model::is_known;

/// Names under which the argument of an operation on a lock may name who it is for.
const NAMES: [&str; 2] = ["client", "owner"];

/// Names under which it may name the token of a fenced lock instead.
pub(super) const TOKENS: [&str; 2] = ["token", "fence"];

/// Who takes and gives back a lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The process, where the operation names nobody.
    Process(u64),
    /// Whom the argument names.
    Client(Value),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Process(process) => write!(f, "process {process}"),
            Owner::Client(Value::Text(name)) => f.write_str(name),
            Owner::Client(name) => write!(f, "{name}"),
        }
    }
}

impl Owner {
    /// Whom an operation is for: the argument names it, by itself or in a map under `client` or
    /// `owner`; else it is the process.
    ///
    /// A name that only the result gives is refused: an operation of unknown outcome has no
    /// result, so it would be for the process, and others of the same client not.
    pub(crate) fn of(model: &'static str, operation: &Operation) -> Result<Self, ModelError> {
        let error =
            |found: String, expected: &str| Err(ModelError::new(model, operation, found, expected));
        let owner = match &operation.input {
            Value::Nil => None,
            name @ (Value::Text(_) | Value::Int(_)) => Some(name),
            map @ Value::Map(_) => {
                let name = named(map);
                if name.is_none() && TOKENS.into_iter().all(|token| map.get(token).is_none()) {
                    return error(
                        format!("{} with the argument {map}", operation.f),
                        "a map with the client's name under client",
                    );
                }
                name
            }
            Value::Bool(_) | Value::List(_) => {
                return error(
                    format!("{} with the argument {}", operation.f, operation.input),
                    "nil, a client's name, or a map with the client's name under client",
                );
            }
        };
        match named(&operation.output).filter(|_| is_known(operation)) {
            Some(answered) if Some(answered) != owner => error(
                format!(
                    "the client {answered} in the result of {}, which the argument {} does not \
                     name",
                    operation.f, operation.input
                ),
                "the invocation to name the client too",
            ),
            _ => Ok(owner.map_or(Owner::Process(operation.process), |name| {
                Owner::Client(name.clone())
            })),
        }
    }
}

/// What was asked of a lock: of whom it is for nothing is said where that is the process, which is
/// named besides.
pub(crate) fn describe(what: &str, owner: &Owner) -> String {
    match owner {
        Owner::Process(_) => what.to_owned(),
        Owner::Client(_) => format!("{what} for {owner}"),
    }
}

/// The client that a map names.
fn named(map: &Value) -> Option<&Value> {
    let name = NAMES.into_iter().find_map(|name| map.get(name))?;
    (!name.is_nil()).then_some(name)
}

/// Whether a lock answered that it did what was asked: `false` is the answer that it did not,
/// because of who held it; nil, `true`, a map and the argument repeated say that it did.
pub(crate) fn answered(
    model: &'static str,
    operation: &Operation,
    hint: &str,
) -> Result<bool, ModelError> {
    match &operation.output {
        Value::Bool(done) => Ok(*done),
        Value::Nil | Value::Map(_) => Ok(true),
        output if *output == operation.input => Ok(true),
        output => Err(ModelError::new(
            model,
            operation,
            format!("{} with the result {output}", operation.f),
            format!("nil, true, or false (it was refused){hint}"),
        )),
    }
}

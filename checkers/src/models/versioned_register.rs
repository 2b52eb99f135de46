//! A register whose every value has a version: what etcd, Consul or ZooKeeper answer with a key.

mod monitor;

use std::sync::Arc;

use histories::{Operation, Value};
use rustc_hash::FxHashSet;

use crate::model::{asks_nothing, brief, cas_input, is_known};
use crate::models::InitialError;
use crate::oracle::Interval;
use crate::{Marks, Model, ModelError, Monitored, NilReads};

/// The model `versioned-register`: each key holds a value with a version; every change gives it a
/// larger version. Versions may leave gaps, as revisions do that count the changes of all keys.
///
/// The versions say in which order the changes happened, so that a history is judged in
/// time `n log n` (see `monitor`).
#[derive(Debug, Clone)]
pub struct VersionedRegister {
    initial: Versioned,
    nil_reads: NilReads,
}

/// What an operation did to a versioned register.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum VersionedOp {
    /// Found this version with this value.
    Read(u64, Value),
    /// Left this value, with this version or (`None`) nobody knows with which.
    Write(Value, Option<u64>),
    /// Found the first version and left this value, likewise.
    Cas(u64, Value, Option<u64>),
    /// Found another version than this one, and changed nothing.
    Mismatch(u64),
}

/// What is known of the register: its value, and which versions it may have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Versioned {
    value: Value,
    /// The version, or where it is not known the smallest possible.
    version: u64,
    /// Where the version is not known, larger versions that it certainly is not, in order; `None`
    /// where it is known.
    excluded: Option<Arc<[u64]>>,
}

impl VersionedRegister {
    /// Registers start as `initial` says: a list of version and value; with nothing or nil, version
    /// 0 and nil.
    pub fn new(initial: Option<&Value>, nil_reads: NilReads) -> Result<Self, InitialError> {
        let pair = match initial {
            None | Some(Value::Nil) => Some((0, Value::Nil)),
            Some(value) => version_and_value(value),
        };
        let Some((version, value)) = pair else {
            return Err(InitialError {
                model: "versioned-register",
                initial: initial.cloned().unwrap_or_default().to_string(),
                expected: "a list of version and value",
            });
        };
        let initial = Versioned::exactly(version, value);
        Ok(VersionedRegister { initial, nil_reads })
    }

    fn refused(&self, operation: &Operation, expected: &str) -> ModelError {
        let found = format!("a {} with the result {}", operation.f, operation.output);
        ModelError::new(self.name(), operation, found, expected)
    }

    /// The version that a change says it made, in a pair with what it wrote or alone.
    fn made(&self, operation: &Operation, written: &Value) -> Result<Option<u64>, ModelError> {
        let refused = || {
            self.refused(
                operation,
                "the version it made, or a list of that version and the value written",
            )
        };
        if !is_known(operation) {
            return Ok(None);
        }
        if let Some(version) = operation.output.as_u64() {
            return Ok(Some(version));
        }
        match version_and_value(&operation.output) {
            Some((version, value)) if value == *written => Ok(Some(version)),
            _ => Err(refused()),
        }
    }

    fn parse_read(&self, operation: &Operation) -> Result<Option<VersionedOp>, ModelError> {
        asks_nothing(self.name(), operation)?;
        match &operation.output {
            _ if !is_known(operation) => Ok(None),
            Value::Nil if self.nil_reads == NilReads::Any => Ok(None),
            Value::Nil => Ok(Some(VersionedOp::Read(0, Value::Nil))),
            output => match version_and_value(output) {
                Some((version, value)) => Ok(Some(VersionedOp::Read(version, value))),
                None => Err(self.refused(operation, "a list of version and value")),
            },
        }
    }

    fn parse_cas(&self, operation: &Operation) -> Result<VersionedOp, ModelError> {
        let (expected, value) = cas_input(self.name(), operation)?;
        let expected = expected.as_u64().ok_or_else(|| {
            ModelError::new(
                self.name(),
                operation,
                format!("a cas with the argument {}", operation.input),
                "a list of the version expected and the new value",
            )
        })?;
        if is_known(operation) && operation.output == Value::Bool(false) {
            return Ok(VersionedOp::Mismatch(expected));
        }
        let made = match &operation.output {
            Value::Bool(true) => None,
            _ => self.made(operation, value)?,
        };
        Ok(VersionedOp::Cas(expected, value.clone(), made))
    }
}

/// A list of two, of which the first is a version.
fn version_and_value(pair: &Value) -> Option<(u64, Value)> {
    match pair.as_list()? {
        [version, value] => Some((version.as_u64()?, value.clone())),
        _ => None,
    }
}

impl Versioned {
    fn exactly(version: u64, value: Value) -> Self {
        Versioned {
            value,
            version,
            excluded: None,
        }
    }

    /// Any version above all that this one may have had at least.
    fn above(version: u64, value: Value) -> Option<Self> {
        Some(Versioned {
            value,
            version: version.checked_add(1)?,
            excluded: Some([].into()),
        })
    }

    fn may_be(&self, version: u64) -> bool {
        match &self.excluded {
            None => version == self.version,
            Some(excluded) => version >= self.version && excluded.binary_search(&version).is_err(),
        }
    }

    /// The same, but not of this version.
    fn without(&self, version: u64) -> Option<Self> {
        if !self.may_be(version) {
            return Some(self.clone());
        }
        let mut excluded = self.excluded.as_ref()?.to_vec();
        let place = excluded.partition_point(|other| *other < version);
        excluded.insert(place, version);
        // The smallest possible version is one that is possible.
        let mut smallest = self.version;
        while excluded.first() == Some(&smallest) {
            excluded.remove(0);
            smallest = smallest.checked_add(1)?;
        }
        Some(Versioned {
            value: self.value.clone(),
            version: smallest,
            excluded: Some(excluded.into()),
        })
    }
}

impl Model for VersionedRegister {
    type State = Versioned;
    type Op = VersionedOp;

    fn name(&self) -> &'static str {
        "versioned-register"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<VersionedOp>, ModelError> {
        match &*operation.f {
            "read" | "get" => self.parse_read(operation),
            "write" | "put" => {
                let made = self.made(operation, &operation.input)?;
                Ok(Some(VersionedOp::Write(operation.input.clone(), made)))
            }
            "cas" => self.parse_cas(operation).map(Some),
            _ => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "read (get), write (put) or cas",
            )),
        }
    }

    fn part(&self, operation: &Operation, _op: &VersionedOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Versioned {
        self.initial.clone()
    }

    fn step(&self, state: &Versioned, op: &VersionedOp) -> Option<Versioned> {
        match op {
            VersionedOp::Read(version, value) => (state.may_be(*version) && state.value == *value)
                .then(|| Versioned::exactly(*version, value.clone())),
            VersionedOp::Write(value, None) => Versioned::above(state.version, value.clone()),
            VersionedOp::Write(value, Some(version)) => {
                (*version > state.version).then(|| Versioned::exactly(*version, value.clone()))
            }
            VersionedOp::Cas(expected, ..) if !state.may_be(*expected) => None,
            VersionedOp::Cas(expected, value, None) => Versioned::above(*expected, value.clone()),
            VersionedOp::Cas(expected, value, Some(version)) => {
                (version > expected).then(|| Versioned::exactly(*version, value.clone()))
            }
            VersionedOp::Mismatch(version) => state.without(*version),
        }
    }

    /// Versions only grow.
    fn marks(&self, op: &VersionedOp) -> Option<(Value, Marks)> {
        let marks = match op {
            VersionedOp::Read(version, _) => Marks::Level((*version).into()),
            VersionedOp::Write(_, version) | VersionedOp::Cas(_, _, version) => {
                Marks::Leaves((*version)?.into())
            }
            VersionedOp::Mismatch(_) => return None,
        };
        Some((Value::Nil, marks))
    }

    /// What an open write of a value that nobody read has left can still be told by its version,
    /// if somebody names versions alone.
    fn unobserved(
        &self,
        _starts: &[Self::State],
        completed: &[&VersionedOp],
        open: &[&VersionedOp],
    ) -> Vec<bool> {
        let names_version =
            |op: &&VersionedOp| matches!(op, VersionedOp::Cas(..) | VersionedOp::Mismatch(_));
        let vague = completed.iter().chain(open).any(names_version);
        let mut read: FxHashSet<&Value> = FxHashSet::default();
        for op in completed {
            if let VersionedOp::Read(_, value) = op {
                read.insert(value);
            }
        }
        open.iter()
            .map(|op| match op {
                VersionedOp::Read(..) | VersionedOp::Mismatch(_) => true,
                VersionedOp::Write(value, _) => !vague && !read.contains(value),
                VersionedOp::Cas(..) => false,
            })
            .collect()
    }

    fn monitor(&self, initial: &Versioned, history: &[Interval<VersionedOp>]) -> Option<Monitored> {
        if initial.excluded.is_some() {
            return None;
        }
        monitor::decide(initial.version, &initial.value, history)
    }

    fn state_bytes(&self, state: &Versioned) -> usize {
        let excluded = state.excluded.as_ref().map_or(0, |excluded| excluded.len());
        size_of::<Versioned>() + excluded * size_of::<u64>()
    }

    fn describe(&self, op: &VersionedOp) -> String {
        let short = |value: &Value| brief(&value.to_string());
        let made = |version: &Option<u64>| {
            version.map_or_else(String::new, |version| format!(" as version {version}"))
        };
        match op {
            VersionedOp::Read(version, value) => {
                format!("read of {} in version {version}", short(value))
            }
            VersionedOp::Write(value, version) => {
                format!("write of {}{}", short(value), made(version))
            }
            VersionedOp::Cas(expected, value, version) => format!(
                "cas from version {expected} to {}{}",
                short(value),
                made(version)
            ),
            VersionedOp::Mismatch(expected) => {
                format!("cas that found another version than {expected}")
            }
        }
    }

    fn describe_state(&self, state: &Versioned) -> String {
        let value = brief(&state.value.to_string());
        match &state.excluded {
            None => format!("the value is {value} in version {}", state.version),
            Some(_) => format!(
                "the value is {value} in some version from {} on",
                state.version
            ),
        }
    }
}

#[cfg(test)]
mod tests;

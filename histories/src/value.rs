//! The values operations carry: what a client wrote, read or compared.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A value as a history records it, the same in every format.
///
/// An EDN keyword (`:x`) is read as `Text("x")`: histories do not use a keyword and a string of the
/// same name for different things. Maps are equal when they hold the same, in whatever order it was
/// written: a client that reads what another wrote may get the entries in another order.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// Nothing: `null` in JSON, `nil` in EDN.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A string, a keyword, or a number that does not fit `Int` (kept as it was written).
    Text(Arc<str>),
    /// A list or vector, in the order written, or a set, sorted.
    List(Vec<Value>),
    /// A map, in the order written.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// The text of a `Text`.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an `Int`.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The number of a whole number that is not negative, also of one that fits `u64` only.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Int(number) => u64::try_from(*number).ok(),
            Value::Text(text) => text.parse().ok().filter(|number| *number > i64::MAX as u64),
            _ => None,
        }
    }

    /// The elements of a `List`.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(values) => Some(values),
            _ => None,
        }
    }

    /// What a `Map` holds under a text key.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries
                .iter()
                .find_map(|(key, value)| (key.as_text() == Some(name)).then_some(value)),
            _ => None,
        }
    }

    /// Whether this is `Nil`.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// Which kind of value it is, as a number: values of different kinds are ordered by it.
    fn kind(&self) -> u8 {
        match self {
            Value::Nil => 0,
            Value::Bool(_) => 1,
            Value::Int(_) => 2,
            Value::Text(_) => 3,
            Value::List(_) => 4,
            Value::Map(_) => 5,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Nil, Value::Nil) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => hold_the_same(a, b),
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind().hash(state);
        match self {
            Value::Nil => {}
            Value::Bool(truth) => truth.hash(state),
            Value::Int(number) => number.hash(state),
            Value::Text(text) => text.hash(state),
            Value::List(values) => values.hash(state),
            Value::Map(entries) => digest(entries).hash(state),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::List(a), Value::List(b)) => a.cmp(b),
            (Value::Map(a), Value::Map(b)) => compare(a, b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

/// Whether two maps hold the same. Of an entry and another no more than once is asked whether they are
/// equal, so that nesting does not multiply the work.
fn hold_the_same(entries: &[(Value, Value)], others: &[(Value, Value)]) -> bool {
    let count = others.len();
    let mut taken = vec![false; count];
    entries.len() == count
        && entries.iter().enumerate().all(|(at, entry)| {
            // Most often it stands in the same place.
            let found = (at..count)
                .chain(0..at)
                .find(|&other| !taken[other] && others[other] == *entry);
            found.map(|other| taken[other] = true).is_some()
        })
}

/// A number that is the same for maps that hold the same.
fn digest(entries: &[(Value, Value)]) -> u64 {
    let of_entry = |entry: &(Value, Value)| {
        let mut hasher = DefaultHasher::new();
        entry.hash(&mut hasher);
        hasher.finish()
    };
    entries.iter().map(of_entry).fold(0, u64::wrapping_add)
}

/// Any total order of maps. They are sorted only where their digests do not tell them apart: with
/// every level of nesting that would double the work.
fn compare(entries: &[(Value, Value)], others: &[(Value, Value)]) -> Ordering {
    let by_digest = digest(entries).cmp(&digest(others));
    let by_entries = || match hold_the_same(entries, others) {
        true => Ordering::Equal,
        false => sorted(entries).cmp(&sorted(others)),
    };
    by_digest.then_with(by_entries)
}

fn sorted(entries: &[(Value, Value)]) -> Vec<&(Value, Value)> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_unstable();
    entries
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Value::List(values)
    }
}

/// As a person reads it in a report: `nil`, `5`, `"text"`, `[1 2]`, `{x 1}`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Bool(truth) => write!(f, "{truth}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::List(values) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
            Value::Map(entries) => {
                f.write_str("{")?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key} {value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    /// Values in pairs that are equal, and between them only values that are not.
    #[test]
    fn maps_are_equal_in_whatever_order_they_were_written() {
        let rows = [
            ["{:a 1, :b 2}", "{:b 2, :a 1}"],
            ["{:a 2, :b 1}", "{:b 1, :a 2}"],
            ["{:a 1}", "{:a 1}"],
            ["{}", "{}"],
            ["[{:a {1 2, 3 4}} 1]", "[{:a {3 4, 1 2}} 1]"],
            ["[{:a {1 4, 3 2}} 1]", "[{:a {3 2, 1 4}} 1]"],
            ["{{:a 1, :b 2} 3, 4 5}", "{4 5, {:b 2, :a 1} 3}"],
            ["#{3 1 2}", "#{2 3 1}"],
            ["[1 3 2]", "[1 3 2]"],
            ["#{#{2 1} #{4 3}}", "#{#{3 4} #{1 2}}"],
        ];
        let values = rows.map(|pair| pair.map(|text| crate::edn::parse_value(text).expect(text)));
        let state = RandomState::new();
        for (i, [a, b]) in values.iter().enumerate() {
            assert_eq!(a, b);
            assert_eq!(a.cmp(b), Ordering::Equal, "{a} {b}");
            assert_eq!(state.hash_one(a), state.hash_one(b), "{a} {b}");
            for [other, _] in &values[..i] {
                assert_ne!(b, other);
                assert_eq!(b.cmp(other), other.cmp(b).reverse(), "{b} {other}");
                assert_ne!(b.cmp(other), Ordering::Equal, "{b} {other}");
            }
        }
    }

    /// Were each level compared twice, this would take for ever.
    #[test]
    fn maps_in_maps_are_compared_in_good_time() {
        let nest = |leaf: i64, turn: bool| {
            (0..60).fold(Value::Int(leaf), |inner, depth| {
                let mut entries = vec![(inner, Value::Nil), (Value::Int(depth), Value::Nil)];
                if turn {
                    entries.reverse();
                }
                Value::Map(entries)
            })
        };
        assert_eq!(nest(1, false), nest(1, true));
        assert_ne!(nest(1, false), nest(2, true));
        assert_ne!(nest(1, false).cmp(&nest(2, true)), Ordering::Equal);
    }
}

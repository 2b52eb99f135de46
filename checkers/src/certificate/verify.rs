//! The verifier: small, and independent of everything that finds orders.

use std::collections::hash_map::Entry;

use histories::{Operation, Operations, Outcome, Point, Value};
use rustc_hash::FxHashMap;

use super::PartOrder;
use crate::{JudgeError, Model, ModelError};

/// What an accepted certificate shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// How many operations have a place in an order.
    pub placed: u64,
    /// How many parts (keys) there are.
    pub parts: u64,
}

/// Why a certificate was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError<E> {
    /// It does not show what it claims.
    #[error(transparent)]
    Refused(Refusal),
    /// The history cannot be judged by the model.
    #[error(transparent)]
    Judge(JudgeError),
    /// It cannot be read.
    #[error("{0}")]
    Read(E),
}

/// Where and why a certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Refusal {
    /// The line, counted from 1, which is the header's; of what is missing, the line after the
    /// last.
    pub line: u64,
    /// Why.
    pub why: Refused,
}

/// Why a certificate is refused. Operations are named by the indexes of their invocations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is of another check.
    #[error("the {what} of the certificate is {found}, that of this check {asked}")]
    OtherCheck {
        /// What differs.
        what: &'static str,
        /// As the certificate says.
        found: String,
        /// As this check has it.
        asked: String,
    },
    /// It is of another history.
    #[error("the certificate is of another history, or of this one read with other options")]
    OtherHistory,
    /// The history has no such part.
    #[error("the history has no part {0}")]
    NoSuchPart(String),
    /// The part had a line before.
    #[error("there is an order for the part {0} already")]
    PartTwice(String),
    /// The part has no line.
    #[error("there is no order for the part {0}")]
    PartMissing(String),
    /// There is no operation of that index.
    #[error("the history has no operation {0}")]
    NoSuchOperation(u64),
    /// A failed operation is in the order.
    #[error("operation {0} failed, so it must not be in an order")]
    Failed(u64),
    /// An operation is in the order that the model does not know how to place.
    #[error("operation {0} says nothing to the model, so it must not be in an order")]
    SaysNothing(u64),
    /// An operation is in the order of another part than its own.
    #[error("operation {0} is of another part")]
    OtherPart(u64),
    /// An operation is in the order twice.
    #[error("operation {0} is there twice")]
    Twice(u64),
    /// A completed operation is not in the order.
    #[error("operation {0} completed, but is missing")]
    Missing(u64),
    /// The order turns time back.
    #[error("operation {index} ended before operation {before} began, which is placed before it")]
    TooLate {
        /// The operation that comes too late.
        index: u64,
        /// One before it, which began after its end.
        before: u64,
    },
    /// The operation cannot happen there.
    #[error("operation {index}, {what}, cannot happen there: {state}")]
    Impossible {
        /// The operation.
        index: u64,
        /// In words.
        what: String,
        /// The state there, in words.
        state: String,
    },
}

/// One operation of the history.
#[derive(Debug)]
struct Known<Op> {
    index: u64,
    meaning: Meaning<Op>,
    is_placed: bool,
}

#[derive(Debug)]
enum Meaning<Op> {
    Failed,
    Nothing,
    Constrains(Placed<Op>),
}

/// An operation that has a place in an order, or may have one.
#[derive(Debug)]
struct Placed<Op> {
    op: Op,
    part: u32,
    completed: bool,
    /// It can take effect only after this moment of its part.
    begins: u64,
    /// It must take effect before this moment of its part.
    ends: u64,
}

/// An operation begins or ends.
#[derive(Debug)]
struct Event {
    part: u32,
    index: u64,
    ends: bool,
    entry: u32,
    time_ns: u64,
    process: u64,
}

#[derive(Debug)]
struct Part {
    key: Option<Value>,
    completed: u64,
    is_ordered: bool,
}

/// Checks orders one after another, so that they need not be in memory together.
#[derive(Debug)]
pub struct Verifier<'m, M: Model> {
    model: &'m M,
    /// By index.
    entries: Vec<Known<M::Op>>,
    parts: Vec<Part>,
    /// The parts by the names they have in certificates.
    names: FxHashMap<Option<String>, u32>,
    line: u64,
    placed: u64,
}

impl<'m, M: Model> Verifier<'m, M> {
    /// A verifier for this history.
    ///
    /// # Errors
    ///
    /// When an operation means nothing to the model.
    pub fn new(model: &'m M, operations: &Operations<'_>) -> Result<Self, ModelError> {
        let mut verifier = Verifier {
            model,
            entries: Vec::with_capacity(operations.len()),
            parts: Vec::new(),
            names: FxHashMap::default(),
            line: 1,
            placed: 0,
        };
        let mut keys = Keys::default();
        let mut events = Vec::with_capacity(2 * operations.len());
        for operation in operations {
            let meaning = meaning(model, &operation, &mut keys)?;
            verifier.add(&operation, meaning, &mut events);
        }
        verifier.divide(keys, &mut events);
        events.sort_by_key(|event| (event.part, event.index, event.ends, event.entry));
        for events in events.chunk_by(|a, b| a.part == b.part) {
            verifier.stamp(events);
        }
        verifier.entries.sort_by_key(|entry| entry.index);
        Ok(verifier)
    }

    /// Checks the next order.
    ///
    /// # Errors
    ///
    /// When it is refused.
    pub fn check(&mut self, order: &PartOrder) -> Result<(), Refusal> {
        self.line += 1;
        self.check_order(order).map_err(|why| Refusal {
            line: self.line,
            why,
        })
    }

    /// Checks that no part is missing, after the last order.
    ///
    /// # Errors
    ///
    /// When one is.
    pub fn finish(self) -> Result<Accepted, Refusal> {
        match self.parts.iter().find(|part| !part.is_ordered) {
            Some(part) => Err(Refusal {
                line: self.line + 1,
                why: Refused::PartMissing(shown(&name(part.key.as_ref()))),
            }),
            None => Ok(Accepted {
                placed: self.placed,
                parts: self.parts.len() as u64,
            }),
        }
    }

    fn check_order(&mut self, order: &PartOrder) -> Result<(), Refused> {
        let Some(&number) = self.names.get(&order.part) else {
            return Err(Refused::NoSuchPart(shown(&order.part)));
        };
        let part = &mut self.parts[number as usize];
        if std::mem::replace(&mut part.is_ordered, true) {
            return Err(Refused::PartTwice(shown(&order.part)));
        }
        let mut state = self.model.initial(part.key.as_ref());
        let mut completed = 0;
        // Of the operations so far the one that began last.
        let mut last_begun = (0, 0);
        for &index in &order.order {
            let placed = place(&mut self.entries, number, index)?;
            if placed.ends < last_begun.0 {
                let before = last_begun.1;
                return Err(Refused::TooLate { index, before });
            }
            last_begun = last_begun.max((placed.begins, index));
            let next = self.model.step(&state, &placed.op);
            state = next.ok_or_else(|| Refused::Impossible {
                index,
                what: self.model.describe(&placed.op),
                state: self.model.describe_state(&state),
            })?;
            completed += u64::from(placed.completed);
        }
        self.placed += order.order.len() as u64;
        if completed == part.completed {
            return Ok(());
        }
        let missing = self.entries.iter().find(|entry| entry.is_missing(number));
        Err(Refused::Missing(missing.map_or(0, |entry| entry.index)))
    }

    /// Adds an operation with what it means and the number of its key.
    fn add(
        &mut self,
        operation: &Operation,
        meaning: Option<(M::Op, u32)>,
        events: &mut Vec<Event>,
    ) {
        let entry = self.entries.len() as u32;
        let meaning = match meaning {
            _ if operation.outcome == Outcome::Fail => Meaning::Failed,
            None => Meaning::Nothing,
            Some((op, part)) => {
                let completed = operation.outcome == Outcome::Ok;
                let event = |point: Point, ends| Event {
                    part,
                    index: point.index,
                    ends,
                    entry,
                    time_ns: point.time_ns,
                    process: operation.process,
                };
                events.push(event(operation.invoked, false));
                if completed {
                    // Known to have happened, not known by when: not before all others ended.
                    let never = Point {
                        index: u64::MAX,
                        time_ns: u64::MAX,
                    };
                    events.push(event(operation.ended.unwrap_or(never), true));
                }
                Meaning::Constrains(Placed {
                    op,
                    part,
                    completed,
                    begins: 0,
                    ends: u64::MAX,
                })
            }
        };
        self.entries.push(Known {
            index: operation.invoked.index,
            meaning,
            is_placed: false,
        });
    }

    /// Makes the parts: numbers of keys become numbers of parts.
    fn divide(&mut self, keys: Keys, events: &mut [Event]) {
        let (names, parts) = keys.parts();
        for (number, key) in (0..).zip(names) {
            // Were two parts ever of one name, the second would be one that is missing.
            self.names.entry(name(key.as_ref())).or_insert(number);
            self.parts.push(Part {
                key,
                completed: 0,
                is_ordered: false,
            });
        }
        for event in events {
            event.part = parts[event.part as usize];
        }
        for entry in &mut self.entries {
            if let Meaning::Constrains(placed) = &mut entry.meaning {
                placed.part = parts[placed.part as usize];
                self.parts[placed.part as usize].completed += u64::from(placed.completed);
            }
        }
    }

    /// Gives the operations of one part their moments: ends are odd, beginnings even, so that no
    /// two are ever equal.
    ///
    /// Events count in order of index, but of two events of different processes stamped with the
    /// same time nobody knows which came first. So among events of one time an operation begins
    /// before all of them, except for the returns up to the last one of its own process: a client
    /// knows the order of its own operations.
    fn stamp(&mut self, events: &[Event]) {
        let mut last_return: FxHashMap<u64, u64> = FxHashMap::default();
        let mut position = 0;
        for tied in events.chunk_by(|a, b| a.time_ns == b.time_ns) {
            let first = 2 * position;
            last_return.clear();
            for event in tied {
                if let Meaning::Constrains(placed) = &mut self.entries[event.entry as usize].meaning
                {
                    if event.ends {
                        placed.ends = 2 * position + 1;
                        last_return.insert(event.process, placed.ends);
                    } else {
                        let own = last_return.get(&event.process);
                        placed.begins = own.map_or(first, |end| end + 1);
                    }
                }
                position += 1;
            }
        }
    }
}

impl<Op> Known<Op> {
    /// Whether it is an operation of the part that should have a place and has none.
    fn is_missing(&self, part: u32) -> bool {
        match &self.meaning {
            Meaning::Constrains(placed) => {
                placed.part == part && placed.completed && !self.is_placed
            }
            Meaning::Failed | Meaning::Nothing => false,
        }
    }
}

/// Takes the operation of that index, which must be of the part and not taken yet.
fn place<Op>(entries: &mut [Known<Op>], part: u32, index: u64) -> Result<&Placed<Op>, Refused> {
    let found = entries
        .binary_search_by_key(&index, |entry| entry.index)
        .map_err(|_| Refused::NoSuchOperation(index))?;
    let entry = &mut entries[found];
    match &entry.meaning {
        Meaning::Failed => Err(Refused::Failed(index)),
        Meaning::Nothing => Err(Refused::SaysNothing(index)),
        Meaning::Constrains(placed) if placed.part != part => Err(Refused::OtherPart(index)),
        Meaning::Constrains(_) if entry.is_placed => Err(Refused::Twice(index)),
        Meaning::Constrains(placed) => {
            entry.is_placed = true;
            Ok(placed)
        }
    }
}

/// The keys of the history, in order of appearance, and what ties them together.
#[derive(Debug, Default)]
struct Keys {
    keys: Vec<Value>,
    numbers: FxHashMap<Value, u32>,
    /// Pairs that an operation touches both of.
    ties: Vec<(u32, u32)>,
    /// Whether an operation touches everything, so that all is one part.
    is_whole: bool,
}

impl Keys {
    fn number(&mut self, key: Value) -> u32 {
        match self.numbers.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.keys.push(new.key().clone());
                *new.insert(self.keys.len() as u32 - 1)
            }
        }
    }

    /// The parts' keys (a list where several are tied), in order of appearance, and for each number
    /// the part it is in.
    fn parts(self) -> (Vec<Option<Value>>, Vec<u32>) {
        if self.is_whole {
            // Number 0 stands for the key of an operation that touches everything.
            return (vec![None], vec![0; self.keys.len().max(1)]);
        }
        let mut tied: Vec<Vec<u32>> = vec![Vec::new(); self.keys.len()];
        for (a, b) in self.ties {
            tied[a as usize].push(b);
            tied[b as usize].push(a);
        }
        let mut parts = vec![u32::MAX; self.keys.len()];
        let mut groups: Vec<Vec<Value>> = Vec::new();
        for first in 0..self.keys.len() as u32 {
            let mut reached = vec![first];
            while let Some(number) = reached.pop() {
                if parts[number as usize] == u32::MAX {
                    parts[number as usize] = groups.len() as u32;
                    reached.extend(&tied[number as usize]);
                }
            }
            if parts[first as usize] == groups.len() as u32 {
                groups.push(Vec::new());
            }
        }
        for (key, part) in self.keys.into_iter().zip(&parts) {
            groups[*part as usize].push(key);
        }
        let name = |mut group: Vec<Value>| match group.len() {
            1 => group.pop(),
            _ => Some(Value::List(group)),
        };
        (groups.into_iter().map(name).collect(), parts)
    }
}

/// What the operation means, and the number of its key.
fn meaning<M: Model>(
    model: &M,
    operation: &Operation,
    keys: &mut Keys,
) -> Result<Option<(M::Op, u32)>, ModelError> {
    if operation.outcome == Outcome::Fail {
        return Ok(None);
    }
    if let Some(ended) = operation.ended
        && ended.index < operation.invoked.index
    {
        return Err(ModelError::new(
            model.name(),
            operation,
            format!("its end (event {}) before its beginning", ended.index),
            "every operation to begin before it ends",
        ));
    }
    let Some(op) = model.parse(operation)? else {
        return Ok(None);
    };
    let number = match model.part(operation, &op) {
        Some(key) => keys.number(key),
        None => {
            keys.is_whole = true;
            0
        }
    };
    for other in model.joins(operation, &op) {
        let other = keys.number(other);
        keys.ties.push((number, other));
    }
    Ok(Some((op, number)))
}

/// The name of a part in a certificate.
fn name(key: Option<&Value>) -> Option<String> {
    key.map(ToString::to_string)
}

/// The name of a part in a sentence.
fn shown(name: &Option<String>) -> String {
    name.clone().unwrap_or_else(|| "(the whole)".to_owned())
}

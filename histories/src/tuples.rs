//! Independent keys as Jepsen writes them: the value of an operation is a tuple `[key value]`.

use crate::{EventType, Events, History, Packed, Process, Value};

/// Whether the values of a history are tuples of key and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuples {
    /// They are not.
    No,
    /// They can be taken for tuples, and for lists of two as well.
    Perhaps,
    /// They can be taken for nothing else: no event has a key, every operation is a `read`, `write`
    /// or `cas`, the argument of every read is `[key nil]` (and there is one), that of every cas
    /// `[key [expected new]]`, and that of every write a list of two.
    Surely,
}

/// Why the values of a history are not tuples of key and value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {index}: expected a tuple [key value], found {found}")]
pub struct NotTuples {
    /// The event's index.
    pub index: u64,
    /// What it has instead.
    pub found: String,
}

impl History {
    /// Whether the values are tuples of key and value.
    pub fn tuples(&self) -> Tuples {
        let events = &self.events;
        let (mut surely, mut reads, mut any) = (true, false, false);
        for position in 0..events.len() {
            if events.process(position) == Process::Nemesis {
                continue;
            }
            if !events.key(position).is_nil() {
                return Tuples::No;
            }
            if events.kinds[position] != EventType::Invoke {
                continue;
            }
            let Some([_, value]) = tuple(events, events.values[position]) else {
                return Tuples::No;
            };
            any = true;
            match events.symbol_name(events.fs[position]) {
                "read" => {
                    reads = true;
                    surely &= value.is_nil();
                }
                "cas" => surely &= value.as_list().is_some_and(|pair| pair.len() == 2),
                "write" => {}
                _ => return Tuples::No,
            }
        }
        match (any, surely && reads) {
            (false, _) => Tuples::No,
            (true, true) => Tuples::Surely,
            (true, false) => Tuples::Perhaps,
        }
    }

    /// Takes the key of every operation out of its value, `[key value]`. A completion may have a
    /// value of nil instead, as after a timeout.
    ///
    /// # Errors
    ///
    /// The first value of a client that is no tuple; the history is then as before.
    pub fn split_tuples(&mut self) -> Result<(), NotTuples> {
        let mut split: Vec<(Packed, Packed)> = Vec::with_capacity(self.events.len());
        for position in 0..self.events.len() {
            let (key, value) = (self.events.key(position), self.events.values[position]);
            let completes = self.events.kinds[position] != EventType::Invoke;
            let nemesis = self.events.process(position) == Process::Nemesis;
            if nemesis || (completes && value.is_nil()) {
                split.push((key, value));
                continue;
            }
            match tuple(&self.events, value) {
                Some([first, second]) if key.is_nil() => {
                    let second = self.events.pack(&second);
                    split.push((self.events.pack(&first), second));
                }
                _ => {
                    let value = self.events.value_of(value);
                    let found = match key.is_nil() {
                        true => value.to_string(),
                        false => format!("{value} and a key of its own"),
                    };
                    let index = self.events.index(position);
                    return Err(NotTuples { index, found });
                }
            }
        }
        let len = self.events.len();
        self.events.keys.resize(len, Packed::NIL);
        let columns = self.events.keys.iter_mut().zip(&mut self.events.values);
        for ((key, value), split) in columns.zip(split) {
            (*key, *value) = split;
        }
        Ok(())
    }
}

/// The two values of a list of two.
fn tuple(events: &Events, packed: Packed) -> Option<[Value; 2]> {
    match events.value_of(packed) {
        Value::List(values) => values.try_into().ok(),
        _ => None,
    }
}

//! From events to the payload of a chunk.
//!
//! Names, values that do not stand for themselves, and client processes come first, each list with
//! its length; columns refer to them by number. Then one byte of type for each event, and the
//! columns: gaps of the index, differences of time, process (0 for the nemesis, else one more than
//! its number), operation, key, value, node (0 for none, else one more than its name's number).
//! Errors and paths come last, by position.

use std::io;

use super::{CHUNK_EVENTS_MAX, CHUNK_FRAME, CHUNK_TEXT_BYTES_MAX, write_frame};
use crate::events::{NEMESIS, Packed};
use crate::{Event, Events, Value, json};

/// A text, as it is.
pub(super) const TEXT: u8 = 0;
/// Any other value, as JSON.
pub(super) const JSON: u8 = 1;

/// A chunk that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    events: Events,
    /// About how long its texts are.
    text_bytes: usize,
}

impl Chunk {
    /// Adds an event.
    pub fn push(&mut self, event: &Event) {
        self.text_bytes += event.key.as_ref().map_or(0, text_bytes) + text_bytes(&event.value);
        self.text_bytes += event.error.as_ref().map_or(0, |error| error.len());
        self.events.push_with_line(event, 0);
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it is to be written now.
    pub fn is_full(&self) -> bool {
        self.len() >= CHUNK_EVENTS_MAX || self.text_bytes >= CHUNK_TEXT_BYTES_MAX
    }

    /// Writes the chunk, if there is anything in it, and begins the next.
    pub fn write(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if !self.events.is_empty() {
            let mut payload = Vec::new();
            encode(&self.events, &mut payload);
            write_frame(CHUNK_FRAME, self.events.len(), &payload, out)?;
            *self = Chunk::default();
        }
        Ok(())
    }
}

/// About how long the texts of a value are.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::List(values) => values.iter().map(|value| 8 + text_bytes(value)).sum(),
        Value::Map(entries) => {
            let both = |(key, value): &(Value, Value)| 8 + text_bytes(key) + text_bytes(value);
            entries.iter().map(both).sum()
        }
        Value::Nil | Value::Bool(_) | Value::Int(_) => 0,
    }
}

fn encode(events: &Events, out: &mut Vec<u8>) {
    let names = events.symbols.names();
    put_varint(names.len() as u64, out);
    for name in names {
        put_bytes(name.as_bytes(), out);
    }
    let table = events.table.table();
    put_varint(table.len() as u64, out);
    let mut json = Vec::new();
    for value in table {
        match value {
            Value::Text(text) => {
                out.push(TEXT);
                put_bytes(text.as_bytes(), out);
            }
            other => {
                json.clear();
                json::write(other, &mut json);
                out.push(JSON);
                put_bytes(&json, out);
            }
        }
    }
    let clients = events.processes.clients();
    put_varint(clients.len() as u64, out);
    clients.iter().for_each(|client| put_varint(*client, out));
    put_columns(events, out);
    put_rare(events, out);
}

fn put_columns(events: &Events, out: &mut Vec<u8>) {
    let len = events.len();
    out.extend(events.kinds.iter().map(|kind| *kind as u8));
    // The first event has 0 for the event before it, and wraps: its index is found by adding one.
    let gap = |at: usize| {
        let before = at.checked_sub(1).map_or(u64::MAX, |at| events.index(at));
        events.index(at).wrapping_sub(before).wrapping_sub(1)
    };
    out.extend_from_slice(&gap(0).to_le_bytes());
    put_column((1..len).map(gap), out);
    out.extend_from_slice(&events.times[0].to_le_bytes());
    let pairs = events.times.windows(2);
    put_column(pairs.map(|pair| pair[1].wrapping_sub(pair[0])), out);
    let slot = |slot: &u32| {
        if *slot == NEMESIS {
            0
        } else {
            u64::from(*slot) + 1
        }
    };
    put_column(events.slots.iter().map(slot), out);
    put_column(events.fs.iter().map(|f| u64::from(f.0)), out);
    put_column((0..len).map(|at| zigzag(events.key(at))), out);
    put_column(events.values.iter().map(|value| zigzag(*value)), out);
    let node = |at: usize| events.nodes.get(at).copied().map_or(0, u64::from);
    put_column((0..len).map(node), out);
}

fn put_rare(events: &Events, out: &mut Vec<u8>) {
    put_varint(events.errors.len() as u64, out);
    for (position, error) in &events.errors {
        put_varint(u64::from(*position), out);
        put_varint(u64::from(error.0), out);
    }
    put_varint(events.paths.len() as u64, out);
    for (position, _) in &events.paths {
        let path = events.path(*position as usize);
        put_varint(u64::from(*position), out);
        put_varint(path.len() as u64, out);
        path.iter()
            .for_each(|node| put_varint(u64::from(node.0), out));
    }
}

/// The bits of a packed value, with whole numbers near zero made small, also negative ones.
pub(super) fn zigzag(packed: Packed) -> u64 {
    match packed.as_int() {
        // 63 bits, so that a bit is left for the sign.
        Some(number) => ((number << 1) ^ (number >> 63)).cast_unsigned() << 1,
        None => packed.to_bits(),
    }
}

/// The bits of the packed value that [`zigzag`] made this of.
#[inline]
pub(super) fn unzigzag(bits: u64) -> u64 {
    if bits & 1 == 1 {
        return bits;
    }
    let zigzag = bits >> 1;
    let number = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
    number << 1
}

/// Writes numbers in as many bytes each as the largest needs.
fn put_column(numbers: impl Iterator<Item = u64> + Clone, out: &mut Vec<u8>) {
    let largest = numbers.clone().fold(0, |all, number| all | number);
    let width: u8 = match largest {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    out.push(width);
    if width > 0 {
        for number in numbers {
            out.extend_from_slice(&number.to_le_bytes()[..usize::from(width)]);
        }
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

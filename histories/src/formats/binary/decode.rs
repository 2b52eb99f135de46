//! From the payload of a chunk to events. Whatever the bytes say, nothing is taken on trust: every
//! number is checked against what it refers to, and no memory is asked for that the bytes do not
//! account for.

use super::encode::{JSON, TEXT, unzigzag};
use crate::events::{NEMESIS, Packed, Symbol};
use crate::{EventType, Events, Value, json};

/// What was expected where something else is.
type Bad = &'static str;

/// Adds the events of a chunk, or says what was expected; some may be added then all the same.
pub(super) fn chunk(events: &mut Events, count: usize, payload: &[u8]) -> Result<(), Bad> {
    let mut bytes = Bytes(payload);
    let names = names(events, &mut bytes)?;
    let table = table(events, &mut bytes)?;
    let slots = clients(events, &mut bytes)?;
    let base = events.next_position();
    if count == 0 {
        return Err("a chunk of one event at least");
    }
    kinds(events, bytes.take(count)?)?;
    stamps(events, &mut bytes, count)?;

    let mut good = true;
    let nemesis = &mut events.nemesis;
    let mut position = base;
    let column = &mut events.slots;
    bytes.column(count)?.extend(column, |number| {
        let slot = match number.checked_sub(1) {
            None => {
                nemesis.push(position);
                NEMESIS
            }
            Some(at) => find(&slots, at, &mut good),
        };
        position += 1;
        slot
    });
    let column = &mut events.fs;
    bytes
        .column(count)?
        .extend(column, |number| find(&names, number, &mut good));
    let nameless = events.symbols.find("");
    if nameless.is_some()
        && events.fs[base as usize..]
            .iter()
            .any(|f| Some(*f) == nameless)
    {
        return Err("an operation's name");
    }
    for column in [&mut events.keys, &mut events.values] {
        bytes
            .column(count)?
            .extend(column, |number| packed(&table, number, &mut good));
    }
    nodes(events, &mut bytes, base, count, &names)?;
    rare(events, &mut bytes, base, count, &names)?;
    events.lines.repeat(0, count);
    match (good, bytes.0) {
        (false, _) => Err("a number of what the chunk holds"),
        (true, []) => Ok(()),
        (true, _) => Err("the end of the chunk"),
    }
}

/// What a number stands for; `good` becomes false when it stands for nothing.
#[inline]
fn find<T: Copy + Default>(things: &[T], number: u64, good: &mut bool) -> T {
    match things.get(number as usize) {
        Some(thing) => *thing,
        None => {
            *good = false;
            T::default()
        }
    }
}

/// The packed value that these bits mean.
#[inline]
fn packed(table: &[Packed], bits: u64, good: &mut bool) -> Packed {
    let bits = unzigzag(bits);
    if let Some(packed) = Packed::from_inline_bits(bits) {
        return packed;
    }
    match Packed::table_number_of_bits(bits) {
        Some(number) => find(table, number, good),
        None => {
            *good = false;
            Packed::NIL
        }
    }
}

/// The symbols of the chunk's names.
fn names(events: &mut Events, bytes: &mut Bytes<'_>) -> Result<Vec<Symbol>, Bad> {
    let mut names = Vec::new();
    for _ in 0..bytes.varint()? {
        names.push(events.symbols.intern(bytes.text()?));
    }
    Ok(names)
}

/// The packed forms of the chunk's values.
fn table(events: &mut Events, bytes: &mut Bytes<'_>) -> Result<Vec<Packed>, Bad> {
    let mut table = Vec::new();
    for _ in 0..bytes.varint()? {
        table.push(match bytes.take(1)? {
            [TEXT] => events.table.pack_text(bytes.text()?),
            [JSON] => {
                let value: Value = json::parse(bytes.text()?).map_err(|_| "a value as JSON")?;
                events.table.pack_owned(value)
            }
            _ => return Err("a kind of value that is known"),
        });
    }
    Ok(table)
}

/// The slots of the chunk's client processes.
fn clients(events: &mut Events, bytes: &mut Bytes<'_>) -> Result<Vec<u32>, Bad> {
    let mut slots = Vec::new();
    for _ in 0..bytes.varint()? {
        slots.push(events.processes.client_slot(bytes.varint()?));
    }
    Ok(slots)
}

fn kinds(events: &mut Events, bytes: &[u8]) -> Result<(), Bad> {
    if bytes
        .iter()
        .any(|kind| usize::from(*kind) >= EventType::ALL.len())
    {
        return Err("a type of event");
    }
    let kind = |kind: &u8| EventType::ALL[usize::from(*kind & 3)];
    events.kinds.extend(bytes.iter().map(kind));
    Ok(())
}

/// Indexes and times.
fn stamps(events: &mut Events, bytes: &mut Bytes<'_>, count: usize) -> Result<(), Bad> {
    let mut index = bytes.fixed()?;
    events.indexes.push(index);
    let gaps = bytes.column(count - 1)?;
    if gaps.width == 0 {
        events.indexes.count_from(index.wrapping_add(1), count - 1);
    } else {
        gaps.for_each(|gap| {
            index = index.wrapping_add(gap).wrapping_add(1);
            events.indexes.push(index);
        });
    }
    let mut time_ns = bytes.fixed()?;
    let times = &mut events.times;
    times.push(time_ns);
    bytes.column(count - 1)?.extend(times, |difference| {
        time_ns = time_ns.wrapping_add(difference);
        time_ns
    });
    Ok(())
}

fn nodes(
    events: &mut Events,
    bytes: &mut Bytes<'_>,
    base: u32,
    count: usize,
    names: &[Symbol],
) -> Result<(), Bad> {
    let column = bytes.column(count)?;
    if column.width == 0 {
        return Ok(());
    }
    let mut good = true;
    let nodes = &mut events.nodes;
    nodes.resize(base as usize, 0);
    column.extend(nodes, |number| match number.checked_sub(1) {
        None => 0,
        Some(at) => find(names, at, &mut good).0 + 1,
    });
    good.then_some(()).ok_or("the number of a node")
}

/// Errors and paths.
fn rare(
    events: &mut Events,
    bytes: &mut Bytes<'_>,
    base: u32,
    count: usize,
    names: &[Symbol],
) -> Result<(), Bad> {
    let name = |bytes: &mut Bytes<'_>| {
        let number = usize::try_from(bytes.varint()?).unwrap_or(usize::MAX);
        names.get(number).copied().ok_or("the number of a name")
    };
    let mut next = 0;
    for _ in 0..bytes.varint()? {
        let position = base + position(bytes, &mut next, count)?;
        events.errors.push((position, name(bytes)?));
    }
    next = 0;
    for _ in 0..bytes.varint()? {
        let position = base + position(bytes, &mut next, count)?;
        let length = bytes.varint()?;
        if length == 0 {
            return Err("a node of a path");
        }
        for _ in 0..length {
            let node = name(bytes)?;
            events.path_nodes.push(node);
        }
        events.end_path(position);
    }
    Ok(())
}

/// The position of an event in the chunk, not before `next`.
fn position(bytes: &mut Bytes<'_>, next: &mut u64, count: usize) -> Result<u32, Bad> {
    let position = bytes.varint()?;
    if position < *next || position >= count as u64 {
        return Err("positions in order");
    }
    *next = position + 1;
    Ok(position as u32)
}

/// Bytes that are still to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("more bytes")?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed(&mut self) -> Result<u64, Bad> {
        let bytes = self.take(8)?.first_chunk().copied();
        Ok(u64::from_le_bytes(bytes.unwrap_or_default()))
    }

    fn varint(&mut self) -> Result<u64, Bad> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err("a number of 64 bits");
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("a number of 64 bits")
    }

    fn text(&mut self) -> Result<&'a str, Bad> {
        let length = usize::try_from(self.varint()?).map_err(|_| "more bytes")?;
        std::str::from_utf8(self.take(length)?).map_err(|_| "UTF-8 text")
    }

    fn column(&mut self, count: usize) -> Result<Column<'a>, Bad> {
        let width = usize::from(self.take(1)?[0]);
        if ![0, 1, 2, 4, 8].contains(&width) {
            return Err("a column of 0, 1, 2, 4 or 8 bytes");
        }
        let bytes = self.take(width * count)?;
        Ok(Column {
            width,
            count,
            bytes,
        })
    }
}

/// Numbers of one width.
struct Column<'a> {
    width: usize,
    count: usize,
    bytes: &'a [u8],
}

impl Column<'_> {
    #[inline]
    fn for_each(&self, each: impl FnMut(u64)) {
        let mut done: Vec<()> = Vec::new();
        self.extend(&mut done, each);
    }

    /// Adds to `out` what `of` makes of each number.
    #[inline]
    fn extend<T>(&self, out: &mut Vec<T>, mut of: impl FnMut(u64) -> T) {
        match self.width {
            0 => out.extend((0..self.count).map(|_| of(0))),
            1 => out.extend(self.bytes.iter().map(|byte| of(u64::from(*byte)))),
            2 => {
                let (numbers, _) = self.bytes.as_chunks::<2>();
                out.extend(
                    numbers
                        .iter()
                        .map(|n| of(u64::from(u16::from_le_bytes(*n)))),
                );
            }
            4 => {
                let (numbers, _) = self.bytes.as_chunks::<4>();
                out.extend(
                    numbers
                        .iter()
                        .map(|n| of(u64::from(u32::from_le_bytes(*n)))),
                );
            }
            _ => {
                let (numbers, _) = self.bytes.as_chunks::<8>();
                out.extend(numbers.iter().map(|n| of(u64::from_le_bytes(*n))));
            }
        }
    }
}

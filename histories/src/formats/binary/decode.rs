//! From the payload of a chunk to events. Whatever the bytes say, nothing is taken on trust: every
//! number is checked against what it refers to, and no memory is asked for that the bytes do not
//! account for.
//!
//! The stamps and the contents of a chunk are decoded apart, by two threads or one after the other;
//! each passes over what is the other's.

use super::chunks::{Bad, Raw};
use super::encode::{JSON, TEXT, unzigzag};
use crate::events::{Contents, NEMESIS, Packed, Stamps, Symbol};
use crate::{EventType, Value, json};

/// What was expected where something else is.
type Expected = &'static str;

/// Adds the events of a chunk, or says what was expected; some may be added then.
pub(super) fn both(
    to_stamps: &mut Stamps<'_>,
    to_contents: &mut Contents<'_>,
    raw: &Raw,
) -> Result<(), Bad> {
    match (stamps(to_stamps, raw), contents(to_contents, raw)) {
        (Ok(()), Ok(())) => Ok(()),
        (Err(bad), Ok(())) | (Ok(()), Err(bad)) => Err(bad),
        (Err(one), Err(other)) => Err(one.min(other)),
    }
}

/// Adds the stamps of a chunk's events, or says what was expected; some may be added then.
pub(super) fn stamps(stamps: &mut Stamps<'_>, raw: &Raw) -> Result<(), Bad> {
    if let Some(events) = raw.room {
        stamps.reserve(events);
    }
    let mut bytes = Bytes(&raw.payload);
    try_stamps(stamps, raw, &mut bytes).map_err(|expected| raw.bad(bytes.0.len(), expected))
}

/// Adds the contents of a chunk's events, or says what was expected; some may be added then.
pub(super) fn contents(contents: &mut Contents<'_>, raw: &Raw) -> Result<(), Bad> {
    if let Some(events) = raw.room {
        contents.reserve(events);
    }
    let mut bytes = Bytes(&raw.payload);
    try_contents(contents, raw, &mut bytes).map_err(|expected| raw.bad(bytes.0.len(), expected))
}

fn try_stamps(stamps: &mut Stamps<'_>, raw: &Raw, bytes: &mut Bytes<'_>) -> Result<(), Expected> {
    bytes.pass_names()?;
    bytes.pass_table()?;
    let mut slots = Vec::new();
    for _ in 0..bytes.varint()? {
        slots.push(stamps.processes.client_slot(bytes.varint()?));
    }
    let count = raw.events;
    if count == 0 {
        return Err("a chunk of one event at least");
    }
    kinds(stamps, bytes.take(count)?)?;
    indexes(stamps, bytes, count)?;
    let mut time_ns = bytes.fixed()?;
    stamps.times.push(time_ns);
    bytes.column(count - 1)?.extend(stamps.times, |difference| {
        time_ns = time_ns.wrapping_add(difference);
        time_ns
    });
    let mut good = true;
    let mut position = raw.first;
    let nemesis = &mut *stamps.nemesis;
    bytes.column(count)?.extend(stamps.slots, |number| {
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
    stamps.lines.repeat(0, count);
    good.then_some(()).ok_or(NUMBER)
}

fn try_contents(
    contents: &mut Contents<'_>,
    raw: &Raw,
    bytes: &mut Bytes<'_>,
) -> Result<(), Expected> {
    let names = names(contents, bytes)?;
    let table = table(contents, bytes)?;
    let count = raw.events;
    bytes.pass_clients()?;
    if count == 0 {
        return Err("a chunk of one event at least");
    }
    bytes.take(count)?;
    for columns_len in [count - 1, count - 1] {
        bytes.fixed()?;
        bytes.column(columns_len)?;
    }
    bytes.column(count)?;

    let mut good = true;
    let nameless = contents.symbols.find("");
    let mut named = true;
    bytes.column(count)?.extend(contents.fs, |number| {
        let name = find(&names, number, &mut good);
        named &= Some(name) != nameless;
        name
    });
    if good && !named {
        return Err("an operation's name");
    }
    let column = bytes.column(count)?;
    if !column.is_nil() {
        contents.keys.resize(raw.first as usize, Packed::NIL);
        column.extend(contents.keys, |bits| packed(&table, bits, &mut good));
    }
    bytes
        .column(count)?
        .extend(contents.values, |bits| packed(&table, bits, &mut good));
    nodes(contents, bytes, raw, &names)?;
    rare(contents, bytes, raw, &names)?;
    match (good, bytes.0) {
        (false, _) => Err(NUMBER),
        (true, []) => Ok(()),
        (true, _) => Err("the end of the chunk"),
    }
}

/// Where a number stands for nothing in the chunk.
const NUMBER: Expected = "a number of what the chunk holds";

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
fn names(contents: &mut Contents<'_>, bytes: &mut Bytes<'_>) -> Result<Vec<Symbol>, Expected> {
    let mut names = Vec::new();
    for _ in 0..bytes.varint()? {
        names.push(contents.symbols.intern(bytes.text()?));
    }
    Ok(names)
}

/// The packed forms of the chunk's values.
fn table(contents: &mut Contents<'_>, bytes: &mut Bytes<'_>) -> Result<Vec<Packed>, Expected> {
    let mut table = Vec::new();
    for _ in 0..bytes.varint()? {
        table.push(match bytes.take(1)? {
            [TEXT] => contents.table.pack_text(bytes.text()?),
            [JSON] => {
                let value: Value = json::parse(bytes.text()?).map_err(|_| "a value as JSON")?;
                contents.table.pack_owned(value)
            }
            _ => return Err("a kind of value that is known"),
        });
    }
    Ok(table)
}

fn kinds(stamps: &mut Stamps<'_>, bytes: &[u8]) -> Result<(), Expected> {
    let is_unknown = |kind: &u8| usize::from(*kind) >= EventType::ALL.len();
    if bytes.iter().any(is_unknown) {
        return Err("a type of event");
    }
    let kind = |kind: &u8| EventType::ALL[usize::from(*kind & 3)];
    stamps.kinds.extend(bytes.iter().map(kind));
    Ok(())
}

fn indexes(stamps: &mut Stamps<'_>, bytes: &mut Bytes<'_>, count: usize) -> Result<(), Expected> {
    let mut index = bytes.fixed()?;
    stamps.indexes.push(index);
    let gaps = bytes.column(count - 1)?;
    if gaps.width == 0 {
        stamps.indexes.count_from(index.wrapping_add(1), count - 1);
    } else {
        gaps.for_each(|gap| {
            index = index.wrapping_add(gap).wrapping_add(1);
            stamps.indexes.push(index);
        });
    }
    Ok(())
}

fn nodes(
    contents: &mut Contents<'_>,
    bytes: &mut Bytes<'_>,
    raw: &Raw,
    names: &[Symbol],
) -> Result<(), Expected> {
    let column = bytes.column(raw.events)?;
    if column.width == 0 {
        return Ok(());
    }
    let mut good = true;
    let nodes = &mut *contents.nodes;
    nodes.resize(raw.first as usize, 0);
    column.extend(nodes, |number| match number.checked_sub(1) {
        None => 0,
        Some(at) => find(names, at, &mut good).0 + 1,
    });
    good.then_some(()).ok_or("the number of a node")
}

/// Errors and paths.
fn rare(
    contents: &mut Contents<'_>,
    bytes: &mut Bytes<'_>,
    raw: &Raw,
    names: &[Symbol],
) -> Result<(), Expected> {
    let name = |bytes: &mut Bytes<'_>| {
        let number = usize::try_from(bytes.varint()?).unwrap_or(usize::MAX);
        names.get(number).copied().ok_or("the number of a name")
    };
    let mut next = 0;
    for _ in 0..bytes.varint()? {
        let position = raw.first + position(bytes, &mut next, raw.events)?;
        contents.errors.push((position, name(bytes)?));
    }
    next = 0;
    for _ in 0..bytes.varint()? {
        let position = raw.first + position(bytes, &mut next, raw.events)?;
        let length = bytes.varint()?;
        if length == 0 {
            return Err("a node of a path");
        }
        for _ in 0..length {
            let node = name(bytes)?;
            contents.path_nodes.push(node);
        }
        contents.end_path(position);
    }
    Ok(())
}

/// The position of an event in the chunk, not before `next`.
fn position(bytes: &mut Bytes<'_>, next: &mut u64, count: usize) -> Result<u32, Expected> {
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
    fn take(&mut self, count: usize) -> Result<&'a [u8], Expected> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("more bytes")?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed(&mut self) -> Result<u64, Expected> {
        let bytes = self.take(8)?.first_chunk().copied();
        Ok(u64::from_le_bytes(bytes.unwrap_or_default()))
    }

    fn varint(&mut self) -> Result<u64, Expected> {
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

    fn text(&mut self) -> Result<&'a str, Expected> {
        let text = Bytes(self.0).text_bytes()?;
        let text = std::str::from_utf8(text).map_err(|_| "UTF-8 text")?;
        self.text_bytes()?;
        Ok(text)
    }

    fn text_bytes(&mut self) -> Result<&'a [u8], Expected> {
        let length = usize::try_from(self.varint()?).map_err(|_| "more bytes")?;
        self.take(length)
    }

    /// Passes over the chunk's names.
    fn pass_names(&mut self) -> Result<(), Expected> {
        for _ in 0..self.varint()? {
            self.text_bytes()?;
        }
        Ok(())
    }

    /// Passes over the chunk's values.
    fn pass_table(&mut self) -> Result<(), Expected> {
        for _ in 0..self.varint()? {
            self.take(1)?;
            self.text_bytes()?;
        }
        Ok(())
    }

    /// Passes over the chunk's client processes.
    fn pass_clients(&mut self) -> Result<(), Expected> {
        for _ in 0..self.varint()? {
            self.varint()?;
        }
        Ok(())
    }

    fn column(&mut self, count: usize) -> Result<Column<'a>, Expected> {
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
    /// Whether the values of these bits are all nil, as the keys of a history without keys are.
    fn is_nil(&self) -> bool {
        let nil = Packed::NIL.to_bits();
        self.width == 1 && self.bytes.iter().all(|byte| u64::from(*byte) == nil)
    }

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

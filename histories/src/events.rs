//! The events of a history as columns: about 28 bytes an event, 8 more where there are keys, names
//! and values by number.

mod halves;
mod intern;
mod packed;
mod processes;
mod steps;

use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;

pub use intern::Symbol;
pub use packed::Packed;

pub(crate) use halves::{Contents, Stamps};
pub(crate) use intern::Symbols;
pub(crate) use packed::Values;
pub(crate) use processes::{NEMESIS, Processes};
pub(crate) use steps::Steps;

use crate::{Event, EventType, Process, Value};

/// How many events one history can hold.
pub const EVENTS_MAX: usize = u32::MAX as usize - 1;

/// Room is made for so many events at once at most: a file's beginning may mislead.
const RESERVED_EVENTS_MAX: usize = 1 << 24;

/// The events of a history, in order, each at a position from 0.
///
/// Every field is a column. Names (of operations, nodes, errors) are [`Symbol`]s and values are
/// [`Packed`], both by number in tables of this history. [`Events::get`] puts an [`Event`]
/// together; the columns themselves are at hand for whoever looks at millions of events.
///
/// Two are equal when their events are, whatever the numbers, and whether or not they were read
/// from lines.
#[derive(Clone, Default)]
pub struct Events {
    pub(crate) times: Vec<u64>,
    /// As long as up to the last event that has a key; nil is none.
    pub(crate) keys: Vec<Packed>,
    pub(crate) values: Vec<Packed>,
    pub(crate) fs: Vec<Symbol>,
    /// The process of each event, by its number in `processes`.
    pub(crate) slots: Vec<u32>,
    pub(crate) kinds: Vec<EventType>,
    pub(crate) indexes: Steps,
    /// 0 for an event that was not read from a line.
    pub(crate) lines: Steps,
    /// The node's symbol plus one, 0 for none; as long as up to the last event that has one.
    pub(crate) nodes: Vec<u32>,
    /// Position and error, of the events that have one.
    pub(crate) errors: Vec<(u32, Symbol)>,
    /// Of the events that have a path: position, and where it ends in `path_nodes`.
    pub(crate) paths: Vec<(u32, u32)>,
    pub(crate) path_nodes: Vec<Symbol>,
    /// The positions of the nemesis' events.
    pub(crate) nemesis: Vec<u32>,
    pub(crate) processes: Processes,
    pub(crate) symbols: Symbols,
    pub(crate) table: Values,
    /// Which events are one operation, where that was given and is not to be found out by process.
    pub(crate) pairs: Option<Vec<[u32; 2]>>,
}

impl Events {
    /// No events.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds an event at the end. A key of nil is no key.
    ///
    /// # Panics
    ///
    /// When there are [`EVENTS_MAX`] already: more than 150 GB of them.
    pub fn push(&mut self, event: Event) {
        self.push_with_line(&event, 0);
    }

    /// The event at a position.
    ///
    /// # Panics
    ///
    /// When there is none, as a slice does.
    pub fn get(&self, position: usize) -> Event {
        let name = |symbol: Symbol| self.symbols.name(symbol).clone();
        let key = self.key(position);
        Event {
            index: self.index(position),
            time_ns: self.times[position],
            process: self.process(position),
            kind: self.kinds[position],
            f: name(self.fs[position]),
            key: (!key.is_nil()).then(|| self.value_of(key)),
            value: self.value_of(self.values[position]),
            node: self.node(position).map(name),
            error: self.error(position).map(name),
            path: self.path(position).iter().copied().map(name).collect(),
        }
    }

    /// The first event.
    pub fn first(&self) -> Option<Event> {
        (!self.is_empty()).then(|| self.get(0))
    }

    /// The last event.
    pub fn last(&self) -> Option<Event> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    /// Every event, in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            events: self,
            positions: 0..self.len(),
        }
    }

    /// The events of the nemesis, in order, found without a look at the others.
    pub fn nemesis(&self) -> impl Iterator<Item = Event> + '_ {
        self.nemesis.iter().map(|at| self.get(*at as usize))
    }

    /// The positions of the nemesis' events, in order.
    pub fn nemesis_positions(&self) -> &[u32] {
        &self.nemesis
    }

    /// The index of the event at a position.
    #[inline]
    pub fn index(&self, position: usize) -> u64 {
        self.indexes.get(position)
    }

    /// The line that the event at a position was read from, 1-based.
    #[inline]
    pub fn line(&self, position: usize) -> Option<u32> {
        match self.lines.get(position) {
            0 => None,
            line => Some(u32::try_from(line).unwrap_or(u32::MAX)),
        }
    }

    /// The process of the event at a position.
    #[inline]
    pub fn process(&self, position: usize) -> Process {
        self.processes.process(self.slots[position])
    }

    /// The node of the event at a position.
    #[inline]
    pub fn node(&self, position: usize) -> Option<Symbol> {
        let node = self.nodes.get(position).copied()?;
        node.checked_sub(1).map(Symbol)
    }

    /// The error of the event at a position.
    pub fn error(&self, position: usize) -> Option<Symbol> {
        let at = self
            .errors
            .binary_search_by_key(&position, |(at, _)| *at as usize);
        at.ok().map(|at| self.errors[at].1)
    }

    /// The path of the event at a position.
    pub fn path(&self, position: usize) -> &[Symbol] {
        let found = self
            .paths
            .binary_search_by_key(&position, |(at, _)| *at as usize);
        let Ok(at) = found else {
            return &[];
        };
        let begin = at.checked_sub(1).map_or(0, |before| self.paths[before].1);
        &self.path_nodes[begin as usize..self.paths[at].1 as usize]
    }

    /// The column of times, in nanoseconds.
    pub fn times_ns(&self) -> &[u64] {
        &self.times
    }

    /// The column of types.
    pub fn kinds(&self) -> &[EventType] {
        &self.kinds
    }

    /// The column of operations' names.
    pub fn fs(&self) -> &[Symbol] {
        &self.fs
    }

    /// The key of the event at a position; nil is none.
    #[inline]
    pub fn key(&self, position: usize) -> Packed {
        self.keys.get(position).copied().unwrap_or(Packed::NIL)
    }

    /// The column of values.
    pub fn values(&self) -> &[Packed] {
        &self.values
    }

    /// The name of a symbol of this history.
    ///
    /// # Panics
    ///
    /// When it is a symbol of another history that has more names.
    #[inline]
    pub fn symbol_name(&self, symbol: Symbol) -> &str {
        self.symbols.name(symbol)
    }

    /// The symbol of a name, if the name occurs in this history.
    pub fn symbol(&self, name: &str) -> Option<Symbol> {
        self.symbols.find(name)
    }

    /// How many symbols there are: their numbers are below this.
    pub fn symbols_len(&self) -> usize {
        self.symbols.names().len()
    }

    /// The value of a packed one of this history.
    ///
    /// # Panics
    ///
    /// When it is of another history that has more values.
    pub fn value_of(&self, packed: Packed) -> Value {
        self.table.value_of(packed)
    }

    /// The packed form of a value that occurs in this history or stands for itself.
    pub fn find(&self, value: &Value) -> Option<Packed> {
        self.table.find(value)
    }

    /// The packed form of a value, which gets a number now if it needs one.
    pub fn pack(&mut self, value: &Value) -> Packed {
        self.table.pack(value)
    }

    /// About how many bytes all this takes on the heap, but for what texts, lists and maps hold.
    pub fn heap_bytes(&self) -> usize {
        fn of<T>(column: &Vec<T>) -> usize {
            column.capacity() * size_of::<T>()
        }
        let wide = of(&self.times) + of(&self.keys) + of(&self.values) + of(&self.fs);
        let narrow = of(&self.slots) + of(&self.kinds) + of(&self.nodes) + of(&self.nemesis);
        let rare = of(&self.errors) + of(&self.paths) + of(&self.path_nodes);
        let steps = self.indexes.heap_bytes() + self.lines.heap_bytes();
        wide + narrow + rare + steps + self.table.heap_bytes()
    }

    /// Adds an event that was read from a line (0 for none).
    pub(crate) fn push_with_line(&mut self, event: &Event, line: u32) {
        let position = self.next_position();
        let f = self.symbols.intern_shared(&event.f);
        let key = event.key.as_ref().unwrap_or(&Value::Nil);
        let (key, value) = (self.table.pack(key), self.table.pack(&event.value));
        let slot = self.processes.slot(event.process);
        self.push_row(slot, event.kind, f, key, value);
        self.stamp(event.index, event.time_ns, line);
        if let Some(node) = &event.node {
            let node = self.symbols.intern_shared(node);
            self.set_node(position, node);
        }
        if let Some(error) = &event.error {
            let error = self.symbols.intern_shared(error);
            self.errors.push((position, error));
        }
        if !event.path.is_empty() {
            for node in &event.path {
                let node = self.symbols.intern_shared(node);
                self.path_nodes.push(node);
            }
            self.end_path(position);
        }
    }

    /// The name of a symbol, shared.
    pub(crate) fn shared_name(&self, symbol: Symbol) -> Arc<str> {
        self.symbols.name(symbol).clone()
    }

    /// Makes room for so many events, as far as a guess is worth it.
    pub(crate) fn reserve(&mut self, events: usize) {
        let events = events.min(RESERVED_EVENTS_MAX);
        self.times.reserve(events);
        self.values.reserve(events);
        self.fs.reserve(events);
        self.slots.reserve(events);
        self.kinds.reserve(events);
        if !self.keys.is_empty() {
            self.keys.reserve(events);
        }
        if !self.nodes.is_empty() {
            self.nodes.reserve(events);
        }
    }

    /// Gives the events the indexes from `first` on.
    pub(crate) fn number_from(&mut self, first: u64) {
        self.indexes = Steps::default();
        self.indexes.count_from(first, self.len());
    }

    /// Takes each event's index for its time.
    pub(crate) fn count_as_time(&mut self) {
        for (position, time_ns) in self.times.iter_mut().enumerate() {
            *time_ns = self.indexes.get(position);
        }
    }

    /// Adds all events of another history, whose lines begin so many lines later here.
    pub(crate) fn append(&mut self, mut other: Events, line_base: u32) {
        let base = self.next_position();
        let room = EVENTS_MAX - self.len();
        assert!(other.len() <= room, "a history holds 2^32 events at most");
        let names = other.symbols.names().iter();
        let names: Vec<Symbol> = names.map(|name| self.symbols.intern_shared(name)).collect();
        let table = other.table.take_table().into_iter();
        let table: Vec<Packed> = table.map(|value| self.table.pack_owned(value)).collect();
        let clients = other.processes.clients().iter();
        let slots: Vec<u32> = clients
            .map(|client| self.processes.client_slot(*client))
            .collect();
        let name = |symbol: Symbol| names[symbol.number()];
        let packed = |packed: &Packed| packed.table_number().map_or(*packed, |at| table[at]);
        let slot = |slot: &u32| slots.get(*slot as usize).copied().unwrap_or(NEMESIS);

        self.times.append(&mut other.times);
        self.kinds.append(&mut other.kinds);
        if !other.keys.is_empty() {
            self.keys.resize(base as usize, Packed::NIL);
            self.keys.extend(other.keys.iter().map(packed));
        }
        self.values.extend(other.values.iter().map(packed));
        self.fs.extend(other.fs.iter().map(|f| name(*f)));
        self.slots.extend(other.slots.iter().map(slot));
        self.indexes.append(&other.indexes, 0);
        self.lines.append(&other.lines, u64::from(line_base));
        if !other.nodes.is_empty() {
            self.nodes.resize(base as usize, 0);
            let node = |node: &u32| node.checked_sub(1).map_or(0, |at| names[at as usize].0 + 1);
            self.nodes.extend(other.nodes.iter().map(node));
        }
        let errors = other.errors.iter();
        self.errors
            .extend(errors.map(|(at, error)| (base + at, name(*error))));
        let begin = u32::try_from(self.path_nodes.len());
        let begin = begin.expect("paths of less than 16 GB");
        let paths = other.paths.iter();
        self.paths
            .extend(paths.map(|(at, end)| (base + at, begin + end)));
        self.path_nodes
            .extend(other.path_nodes.iter().copied().map(name));
        self.nemesis
            .extend(other.nemesis.iter().map(|at| base + at));
        self.pairs = None;
    }

    /// The position that the next event gets.
    #[inline]
    pub(crate) fn next_position(&self) -> u32 {
        assert!(
            self.len() < EVENTS_MAX,
            "a history holds 2^32 events at most"
        );
        self.len() as u32
    }

    /// Adds what every event has but its stamp ([`Events::stamp`] must follow).
    #[inline]
    pub(crate) fn push_row(
        &mut self,
        slot: u32,
        kind: EventType,
        f: Symbol,
        key: Packed,
        value: Packed,
    ) {
        if slot == NEMESIS {
            self.nemesis.push(self.kinds.len() as u32);
        }
        if !key.is_nil() {
            self.keys.resize(self.kinds.len(), Packed::NIL);
            self.keys.push(key);
        }
        self.slots.push(slot);
        self.kinds.push(kind);
        self.fs.push(f);
        self.values.push(value);
        self.pairs = None;
    }

    /// Adds index, time and line of the event that was begun with [`Events::push_row`].
    #[inline]
    pub(crate) fn stamp(&mut self, index: u64, time_ns: u64, line: u32) {
        self.indexes.push(index);
        self.lines.push(u64::from(line));
        self.times.push(time_ns);
    }

    /// Says which node the event at `position`, the last so far, is of.
    #[inline]
    pub(crate) fn set_node(&mut self, position: u32, node: Symbol) {
        if self.nodes.len() < position as usize {
            self.nodes.resize(position as usize, 0);
        }
        self.nodes.push(node.0 + 1);
    }

    /// Makes what was added to the nodes of paths the path of the event at `position`.
    pub(crate) fn end_path(&mut self, position: u32) {
        let end = u32::try_from(self.path_nodes.len());
        self.paths
            .push((position, end.expect("paths of less than 16 GB")));
    }
}

impl PartialEq for Events {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Events {}

impl PartialEq<[Event]> for Events {
    fn eq(&self, other: &[Event]) -> bool {
        self.len() == other.len() && self.iter().zip(other).all(|(mine, other)| mine == *other)
    }
}

impl PartialEq<Vec<Event>> for Events {
    fn eq(&self, other: &Vec<Event>) -> bool {
        *self == other[..]
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Extend<Event> for Events {
    fn extend<I: IntoIterator<Item = Event>>(&mut self, events: I) {
        events.into_iter().for_each(|event| self.push(event));
    }
}

impl FromIterator<Event> for Events {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        let mut columns = Events::new();
        columns.extend(events);
        columns
    }
}

impl From<Vec<Event>> for Events {
    fn from(events: Vec<Event>) -> Self {
        events.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = Event;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The events of a history, one after the other.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    events: &'a Events,
    positions: std::ops::Range<usize>,
}

impl Iterator for Iter<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.positions.next().map(|at| self.events.get(at))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.positions.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Event> {
        self.positions.next_back().map(|at| self.events.get(at))
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}

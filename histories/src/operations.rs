//! Pairing: from events to operations, and back.

use std::iter::FusedIterator;

use crate::events::NEMESIS;
use crate::{
    Event, EventType, Events, History, Operation, Outcome, Packed, Point, Process, Symbol, Value,
};

/// How a `fail` of a `cas` that carries no error is to be understood. The formats differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FailedCas {
    /// It looked, and found another value than the one expected: an observation. The operation
    /// becomes `Ok` with the output `false`.
    Observed,
    /// It only says that nothing was changed.
    #[default]
    NoEffect,
}

/// The one operation whose negative answer some formats write as `fail`.
pub(crate) const CAS: &str = "cas";

/// Stands for "no completion" in a pair.
const NONE: u32 = u32::MAX;

/// The clients' operations of a history, by invocation: each with its completion where there is
/// one. Made by [`History::operations`]; can be read by several threads at once.
///
/// An operation with no completion, or with one of type `info`, is of unknown outcome
/// ([`Outcome::Info`]). The output of a `cas` that is `ok` and says nothing, or repeats the argument, is
/// `true`: some formats mean that.
#[derive(Debug, Clone)]
pub struct Operations<'a> {
    events: &'a Events,
    failed_cas: FailedCas,
    /// Positions of invocation and completion.
    pairs: Vec<[u32; 2]>,
    /// The symbol of `cas`, if there is one.
    cas: Option<Symbol>,
}

/// One operation's beginning or end, in the order of the events: see [`Operations::turns`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Turn {
    /// The operation's number.
    pub number: u32,
    /// The event's position in [`Events`].
    pub position: u32,
    /// Whether the operation has its completion here, and not its invocation.
    pub ends: bool,
    /// A number below [`Operations::berths_len`] that no other operation has meanwhile: what is
    /// known of an operation under way is found by it without a table of all operations.
    pub berth: u32,
}

/// Where in a history something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The event's position in [`Events`].
    pub position: u32,
    /// The event's index.
    pub index: u64,
    /// The event's time in nanoseconds since the run's start.
    pub time_ns: u64,
}

/// An operation without its texts: cheap to make and to copy. Its symbols and values are those of
/// its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PackedOperation {
    /// The calling process.
    pub process: u64,
    /// The operation's name.
    pub f: Symbol,
    /// The key; nil where there is none.
    pub key: Packed,
    /// The argument.
    pub input: Packed,
    /// The result (nil unless the outcome is `Ok`).
    pub output: Packed,
    /// How it ended; `Info` also when no completion was recorded.
    pub outcome: Outcome,
    /// When it was invoked.
    pub invoked: Place,
    /// When its completion was recorded.
    pub ended: Option<Place>,
}

impl History {
    /// The clients' operations, by invocation.
    ///
    /// Expects a history that [`History::validate`] accepts, as every reader returns; in others a
    /// completion without invocation is passed over.
    pub fn operations(&self) -> Operations<'_> {
        let pairs = self.events.pairs.clone();
        Operations {
            events: &self.events,
            failed_cas: self.failed_cas,
            pairs: pairs.unwrap_or_else(|| pair(&self.events)),
            cas: self.events.symbol(CAS),
        }
    }

    /// A history of these operations: that which [`History::operations`] gives back, in order of
    /// invocation (of two with one index, in the order given).
    ///
    /// Unlike in a recorded history, a process may have several of them open at once, and an
    /// operation may end before it begins, so that a checker's own checks can be tried. Where an
    /// invocation and a completion have one index, the invocation comes first. An operation that
    /// has an outcome but no end gets one after everything else.
    pub fn from_operations(operations: &[Operation]) -> History {
        let points = operations
            .iter()
            .flat_map(|operation| operation.ended.into_iter().chain([operation.invoked]));
        let last = points.max().unwrap_or_default();
        let mut events: Vec<(Event, u32, usize)> = Vec::with_capacity(operations.len() * 2);
        for (number, operation) in operations.iter().enumerate() {
            let (invocation, completion) = events_of(operation, last);
            events.push((invocation, operation.line.unwrap_or(0), number));
            events.extend(completion.map(|completion| (completion, 0, number)));
        }
        events.sort_by_key(|(event, ..)| (event.index, event.kind != EventType::Invoke));
        let mut columns = Events::new();
        let mut pairs: Vec<[u32; 2]> = vec![[NONE; 2]; operations.len()];
        for (event, line, number) in &events {
            let completes = usize::from(event.kind != EventType::Invoke);
            pairs[*number][completes] = columns.next_position();
            columns.push_with_line(event, *line);
        }
        pairs.sort_unstable();
        columns.pairs = Some(pairs);
        History {
            events: columns,
            ..History::default()
        }
    }
}

/// The events that an operation is made of.
fn events_of(operation: &Operation, last: Point) -> (Event, Option<Event>) {
    let ended = operation
        .ended
        .or_else(|| (operation.outcome != Outcome::Info).then_some(last.after()));
    let mut invocation = Event {
        index: operation.invoked.index,
        time_ns: operation.invoked.time_ns,
        process: Process::Client(operation.process),
        kind: EventType::Invoke,
        f: operation.f.clone(),
        key: operation.key.clone(),
        value: operation.input.clone(),
        node: None,
        error: None,
        path: Vec::new(),
    };
    let mut completion = ended.map(|ended| Event {
        index: ended.index,
        time_ns: ended.time_ns,
        kind: match operation.outcome {
            Outcome::Ok => EventType::Ok,
            Outcome::Fail => EventType::Fail,
            Outcome::Info => EventType::Info,
        },
        value: operation.output.clone(),
        ..invocation.clone()
    });
    let last = completion.as_mut().unwrap_or(&mut invocation);
    last.node.clone_from(&operation.node);
    last.error.clone_from(&operation.error);
    last.path.clone_from(&operation.path);
    (invocation, completion)
}

/// Finds the completion of each invocation.
fn pair(events: &Events) -> Vec<[u32; 2]> {
    let mut pairs: Vec<[u32; 2]> = Vec::with_capacity(events.len() / 2 + 1);
    // The operation that each process has open, by number; NONE for none.
    let mut open: Vec<u32> = vec![NONE; events.processes.len()];
    let rows = events.kinds.iter().zip(&events.slots);
    for (position, (kind, slot)) in (0_u32..).zip(rows) {
        if *slot == NEMESIS {
            continue;
        }
        let open = &mut open[*slot as usize];
        if *kind == EventType::Invoke {
            *open = pairs.len() as u32;
            pairs.push([position, NONE]);
        } else if *open != NONE {
            pairs[*open as usize][1] = position;
            *open = NONE;
        }
    }
    pairs
}

impl<'a> Operations<'a> {
    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The events they are of.
    #[inline]
    pub fn events(&self) -> &'a Events {
        self.events
    }

    /// The name of a symbol.
    ///
    /// # Panics
    ///
    /// When it is a symbol of another history that has more names.
    #[inline]
    pub fn symbol_name(&self, symbol: Symbol) -> &'a str {
        self.events.symbol_name(symbol)
    }

    /// The value of a packed one.
    ///
    /// # Panics
    ///
    /// When it is of another history that has more values.
    pub fn value_of(&self, packed: Packed) -> Value {
        self.events.value_of(packed)
    }

    /// The positions in the events of the invocation and of the completion.
    ///
    /// # Panics
    ///
    /// When there is no such operation, as a slice does.
    #[inline]
    pub fn positions(&self, number: usize) -> (usize, Option<usize>) {
        let [invoked, ended] = self.pairs[number];
        (invoked as usize, (ended != NONE).then_some(ended as usize))
    }

    /// How an operation ended, and its result (nil unless the outcome is `Ok`).
    ///
    /// # Panics
    ///
    /// When there is no such operation, as a slice does.
    #[inline]
    pub fn outcome(&self, number: usize) -> (Outcome, Packed) {
        let (invoked, ended) = self.positions(number);
        match ended {
            Some(ended) => self.result(invoked, ended),
            None => (Outcome::Info, Packed::NIL),
        }
    }

    /// An operation without its texts.
    ///
    /// # Panics
    ///
    /// When there is no such operation, as a slice does.
    #[inline]
    pub fn packed(&self, number: usize) -> PackedOperation {
        let (invoked, ended) = self.positions(number);
        let events = self.events;
        let f = events.fs[invoked];
        let (outcome, output) = self.outcome(number);
        PackedOperation {
            process: events.processes.client(events.slots[invoked]),
            f,
            key: events.key(invoked),
            input: events.values[invoked],
            output,
            outcome,
            invoked: self.place(invoked),
            ended: ended.map(|ended| self.place(ended)),
        }
    }

    /// An operation.
    ///
    /// # Panics
    ///
    /// When there is no such operation, as a slice does.
    pub fn get(&self, number: usize) -> Operation {
        let packed = self.packed(number);
        let (invoked, ended) = self.positions(number);
        let events = self.events;
        let name = |symbol: Symbol| events.shared_name(symbol);
        let node = ended.and_then(|ended| events.node(ended));
        let error = ended.and_then(|ended| events.error(ended));
        let path = ended.map_or(&[][..], |ended| events.path(ended));
        let path = if path.is_empty() {
            events.path(invoked)
        } else {
            path
        };
        Operation {
            process: packed.process,
            f: name(packed.f),
            key: (!packed.key.is_nil()).then(|| events.value_of(packed.key)),
            input: events.value_of(packed.input),
            output: events.value_of(packed.output),
            outcome: packed.outcome,
            invoked: packed.invoked.point(),
            ended: packed.ended.map(Place::point),
            node: node.or_else(|| events.node(invoked)).map(name),
            error: error.or_else(|| events.error(invoked)).map(name),
            path: path.iter().copied().map(name).collect(),
            line: events.line(invoked),
        }
    }

    /// Every beginning and end of an operation, in the order of the events.
    pub fn turns(&self) -> Turns<'_> {
        let number_of = match self.events.pairs.is_some() {
            true => self.by_position(),
            false => vec![NONE; self.berths_len()],
        };
        Turns {
            operations: self,
            given: self.events.pairs.is_some(),
            number_of,
            next: 0,
            position: 0,
        }
    }

    /// How many different berths the operations have while they are under way.
    pub fn berths_len(&self) -> usize {
        match self.events.pairs.is_some() {
            true => self.len(),
            false => self.events.processes.len(),
        }
    }

    /// For each event the operation that ends there.
    fn by_position(&self) -> Vec<u32> {
        let mut number_of = vec![NONE; self.events.len()];
        for (number, [_, ended]) in (0_u32..).zip(&self.pairs) {
            if let Some(at) = number_of.get_mut(*ended as usize) {
                *at = number;
            }
        }
        number_of
    }

    /// Every operation, in order of invocation.
    pub fn iter(&self) -> OperationIter<'_> {
        OperationIter {
            operations: self,
            numbers: 0..self.len(),
        }
    }

    /// Every operation, in order of invocation, at once.
    pub fn to_vec(&self) -> Vec<Operation> {
        self.iter().collect()
    }

    /// Outcome and result, as the completion at a position says.
    #[inline]
    fn result(&self, invoked: usize, ended: usize) -> (Outcome, Packed) {
        let value = self.events.values[ended];
        let cas = Some(self.events.fs[invoked]) == self.cas;
        let says_nothing = || value.is_nil() || value == self.events.values[invoked];
        match self.events.kinds[ended] {
            EventType::Ok if cas && says_nothing() => (Outcome::Ok, Packed::TRUE),
            EventType::Ok => (Outcome::Ok, value),
            EventType::Fail
                if cas
                    && self.failed_cas == FailedCas::Observed
                    && self.events.error(ended).is_none() =>
            {
                (Outcome::Ok, Packed::FALSE)
            }
            EventType::Fail => (Outcome::Fail, Packed::NIL),
            EventType::Info | EventType::Invoke => (Outcome::Info, Packed::NIL),
        }
    }

    #[inline]
    fn place(&self, position: usize) -> Place {
        Place {
            position: position as u32,
            index: self.events.index(position),
            time_ns: self.events.times[position],
        }
    }
}

impl Place {
    /// Index and time alone.
    pub fn point(self) -> Point {
        Point {
            index: self.index,
            time_ns: self.time_ns,
        }
    }
}

impl Point {
    /// The next index, at the same time.
    fn after(self) -> Point {
        Point {
            index: self.index.saturating_add(1),
            ..self
        }
    }
}

impl<'a> IntoIterator for &'a Operations<'_> {
    type Item = Operation;
    type IntoIter = OperationIter<'a>;

    fn into_iter(self) -> OperationIter<'a> {
        self.iter()
    }
}

/// The operations of a history, one after the other.
#[derive(Debug, Clone)]
pub struct OperationIter<'a> {
    operations: &'a Operations<'a>,
    numbers: std::ops::Range<usize>,
}

impl Iterator for OperationIter<'_> {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        self.numbers
            .next()
            .map(|number| self.operations.get(number))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.numbers.size_hint()
    }
}

impl DoubleEndedIterator for OperationIter<'_> {
    fn next_back(&mut self) -> Option<Operation> {
        self.numbers
            .next_back()
            .map(|number| self.operations.get(number))
    }
}

impl ExactSizeIterator for OperationIter<'_> {}
impl FusedIterator for OperationIter<'_> {}

/// The beginnings and ends of operations, one after the other.
///
/// Where operations are told apart by process, a process has one under way at a time, which is
/// remembered by the process' number; where they were given, by the position of its end.
#[derive(Debug, Clone)]
pub struct Turns<'a> {
    operations: &'a Operations<'a>,
    given: bool,
    number_of: Vec<u32>,
    /// The operation that begins next.
    next: u32,
    position: u32,
}

impl Iterator for Turns<'_> {
    type Item = Turn;

    #[inline]
    fn next(&mut self) -> Option<Turn> {
        let events = self.operations.events;
        loop {
            let position = self.position;
            let slot = *events.slots.get(position as usize)?;
            self.position += 1;
            let begins = self.operations.pairs.get(self.next as usize);
            if begins.is_some_and(|[invoked, _]| *invoked == position) {
                let number = self.next;
                self.next += 1;
                if !self.given {
                    self.number_of[slot as usize] = number;
                }
                return Some(self.turn(number, position, slot, false));
            }
            if slot == NEMESIS {
                continue;
            }
            let at = if self.given { position } else { slot };
            let number = std::mem::replace(&mut self.number_of[at as usize], NONE);
            if number != NONE {
                return Some(self.turn(number, position, slot, true));
            }
        }
    }
}

impl Turns<'_> {
    #[inline]
    fn turn(&self, number: u32, position: u32, slot: u32, ends: bool) -> Turn {
        Turn {
            number,
            position,
            ends,
            berth: if self.given { number } else { slot },
        }
    }
}

impl FusedIterator for Turns<'_> {}

/// Where an event stands.
pub(crate) fn point(event: &Event) -> Point {
    Point {
        index: event.index,
        time_ns: event.time_ns,
    }
}

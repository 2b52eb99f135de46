//! The columns in two halves of about the same size, so that two threads can fill them.

use super::{Events, Packed, Processes, RESERVED_EVENTS_MAX, Steps, Symbol, Symbols, Values};
use crate::EventType;

/// When something happened, and who did it.
pub(crate) struct Stamps<'a> {
    pub times: &'a mut Vec<u64>,
    pub slots: &'a mut Vec<u32>,
    pub kinds: &'a mut Vec<EventType>,
    pub indexes: &'a mut Steps,
    pub lines: &'a mut Steps,
    pub nemesis: &'a mut Vec<u32>,
    pub processes: &'a mut Processes,
}

/// What it was.
pub(crate) struct Contents<'a> {
    pub keys: &'a mut Vec<Packed>,
    pub values: &'a mut Vec<Packed>,
    pub fs: &'a mut Vec<Symbol>,
    pub nodes: &'a mut Vec<u32>,
    pub errors: &'a mut Vec<(u32, Symbol)>,
    pub paths: &'a mut Vec<(u32, u32)>,
    pub path_nodes: &'a mut Vec<Symbol>,
    pub symbols: &'a mut Symbols,
    pub table: &'a mut Values,
}

impl Events {
    /// Both halves. Whoever adds an event adds all of it, in both.
    pub(crate) fn halves(&mut self) -> (Stamps<'_>, Contents<'_>) {
        self.pairs = None;
        let stamps = Stamps {
            times: &mut self.times,
            slots: &mut self.slots,
            kinds: &mut self.kinds,
            indexes: &mut self.indexes,
            lines: &mut self.lines,
            nemesis: &mut self.nemesis,
            processes: &mut self.processes,
        };
        let contents = Contents {
            keys: &mut self.keys,
            values: &mut self.values,
            fs: &mut self.fs,
            nodes: &mut self.nodes,
            errors: &mut self.errors,
            paths: &mut self.paths,
            path_nodes: &mut self.path_nodes,
            symbols: &mut self.symbols,
            table: &mut self.table,
        };
        (stamps, contents)
    }
}

impl Stamps<'_> {
    /// Makes room for so many events, as far as a guess is worth it.
    pub fn reserve(&mut self, events: usize) {
        let events = events.min(RESERVED_EVENTS_MAX);
        self.times.reserve(events);
        self.slots.reserve(events);
        self.kinds.reserve(events);
    }
}

impl Contents<'_> {
    /// Makes room for so many events, as far as a guess is worth it.
    pub fn reserve(&mut self, events: usize) {
        let events = events.min(RESERVED_EVENTS_MAX);
        self.values.reserve(events);
        self.fs.reserve(events);
    }

    /// Makes what was added to the nodes of paths the path of the event at `position`.
    pub fn end_path(&mut self, position: u32) {
        let end = u32::try_from(self.path_nodes.len());
        self.paths
            .push((position, end.expect("paths of less than 16 GB")));
    }
}

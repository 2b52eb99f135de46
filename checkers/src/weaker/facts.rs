//! A register's history as the guarantees see it: processes, reads, and who may have written what.

use rustc_hash::FxHashMap;

use crate::registers::{Access, OPEN, RegisterHistory};

/// The write that stands for the value at the start.
pub(super) const START: u32 = 0;

/// One operation. Times are positions in the history, from 1; 0 is before everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub begins: u32,
    /// [`OPEN`] when its outcome is unknown.
    pub ends: u32,
    /// What it does.
    pub access: Access<u32>,
    /// The value it found, as its caller knows.
    pub reads: Option<u32>,
    /// The write that it is.
    pub write: Option<u32>,
}

impl Call {
    pub(super) fn is_completed(&self) -> bool {
        self.ends != OPEN
    }
}

/// One write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub value: u32,
    pub begins: u32,
    /// [`OPEN`] when its outcome is unknown.
    pub ends: u32,
    /// The operation; none for the start.
    pub call: Option<u32>,
}

impl Write {
    /// Whether it is before the other in real time.
    pub(super) fn is_before(&self, other: &Write) -> bool {
        self.ends < other.begins
    }
}

/// Where a value that was found may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Nothing,
    /// This write, for certain.
    One(u32),
    Several,
}

/// A history of one register.
#[derive(Debug)]
pub(super) struct Facts {
    /// In order of beginning.
    pub calls: Vec<Call>,
    /// In order of beginning, [`START`] first.
    pub writes: Vec<Write>,
    /// The operations of each process, in order of beginning.
    pub processes: Vec<Vec<u32>>,
    /// All positions are below this.
    pub end: u32,
    /// The writes by value, those of one value in order of beginning.
    by_value: Vec<u32>,
    /// For each value where in `by_value` its writes begin; one more at the end.
    first_of: Vec<u32>,
}

impl Facts {
    /// `process` says whose operation it is, `has_seen` whether its caller knows what a
    /// compare-and-set found.
    pub(super) fn new(
        history: &RegisterHistory,
        process: impl Fn(u32) -> u64,
        has_seen: impl Fn(u32) -> bool,
    ) -> Self {
        let mut writes = vec![Write {
            value: history.starts.first().copied().unwrap_or(0),
            begins: 0,
            ends: 0,
            call: None,
        }];
        let mut calls = Vec::with_capacity(history.calls.len());
        let mut processes: Vec<Vec<u32>> = Vec::new();
        let mut numbers: FxHashMap<u64, usize> = FxHashMap::default();
        for (number, call) in (0..).zip(&history.calls) {
            let begins = call.begins + 1;
            let ends = match call.returns {
                OPEN => OPEN,
                returns => returns + 1,
            };
            let access = match call.access {
                // It changes nothing.
                Access::Cas(old, new) if old == new => Access::Read(old),
                access => access,
            };
            let write = match access {
                Access::Write(value) | Access::Cas(_, value) => {
                    writes.push(Write {
                        value,
                        begins,
                        ends,
                        call: Some(number),
                    });
                    Some(writes.len() as u32 - 1)
                }
                Access::Read(_) | Access::Not(_) => None,
            };
            let reads = match access {
                Access::Read(value) => Some(value),
                Access::Cas(old, _) if has_seen(number) => Some(old),
                Access::Cas(..) | Access::Write(_) | Access::Not(_) => None,
            };
            calls.push(Call {
                begins,
                ends,
                access,
                reads: reads.filter(|_| ends != OPEN),
                write,
            });
            let place = *numbers.entry(process(number)).or_insert_with(|| {
                processes.push(Vec::new());
                processes.len() - 1
            });
            processes[place].push(number);
        }
        let (by_value, first_of) = by_value(&writes, history.values.max(1));
        Facts {
            calls,
            writes,
            processes,
            end: history.moments.len() as u32 + 1,
            by_value,
            first_of,
        }
    }

    /// The writes of a value, in order of beginning.
    pub(super) fn writers(&self, value: u32) -> &[u32] {
        let from = self.first_of[value as usize] as usize;
        let to = self.first_of[value as usize + 1] as usize;
        &self.by_value[from..to]
    }

    /// The writes of a value that began before a position.
    pub(super) fn writers_before(&self, value: u32, position: u32) -> &[u32] {
        let writers = self.writers(value);
        let begun = |&write: &u32| self.writes[write as usize].begins < position;
        &writers[..writers.partition_point(begun)]
    }

    /// Where the value that a call read may come from: of the writes that began before it ended.
    pub(super) fn source(&self, call: &Call, value: u32) -> Source {
        Source::among(self.writers_before(value, call.ends))
    }
}

impl Source {
    pub(super) fn among(writes: &[u32]) -> Self {
        match writes {
            [] => Source::Nothing,
            [write] => Source::One(*write),
            _ => Source::Several,
        }
    }
}

fn by_value(writes: &[Write], values: u32) -> (Vec<u32>, Vec<u32>) {
    let mut first_of = vec![0_u32; values as usize + 2];
    for write in writes {
        first_of[write.value as usize + 2] += 1;
    }
    for value in 2..first_of.len() {
        first_of[value] += first_of[value - 1];
    }
    let mut sorted = vec![0; writes.len()];
    for (number, write) in (0..).zip(writes) {
        let place = &mut first_of[write.value as usize + 1];
        sorted[*place as usize] = number;
        *place += 1;
    }
    first_of.pop();
    (sorted, first_of)
}

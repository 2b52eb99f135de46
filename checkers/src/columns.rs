//! Histories of plain registers, straight from the columns: no operation is put together, no value
//! copied, so that reading the file stays the greater part of the work.

use std::ops::Range;

use histories::{Operations, Outcome, Packed, Value};
use rustc_hash::FxHashMap;

use crate::normalise::{Stamped, order_moments};
use crate::registers::{Access, OPEN, RegisterCall, RegisterHistory};
use crate::{NilReads, Register};

/// What the columns have to be read by.
#[derive(Debug, Clone)]
pub(crate) struct PlainRegister {
    /// The value at the start.
    pub initial: Value,
    /// What a read of nil means.
    pub nil_reads: NilReads,
    /// Whether there is compare-and-set.
    pub with_cas: bool,
}

impl PlainRegister {
    /// The same as a model.
    pub(crate) fn model(&self) -> Register {
        match self.with_cas {
            true => Register::with_cas(self.initial.clone(), self.nil_reads),
            false => Register::new(self.initial.clone(), self.nil_reads),
        }
    }
}

/// The operations on one register.
#[derive(Debug)]
pub(crate) struct RegisterPart {
    /// Its key.
    pub key: Option<Value>,
    /// For each call its operation, by its place in the caller's list.
    pub sources: Vec<u32>,
    /// What they do.
    pub history: RegisterHistory,
}

/// The parts of a history; `None` where something in it needs a closer look (an operation the model
/// does not know, an interval that ends before it begins): the model then says what is wrong.
pub(crate) fn register_parts(
    operations: &Operations<'_>,
    register: &PlainRegister,
) -> Option<Vec<RegisterPart>> {
    let mut reader = Reader {
        operations,
        register,
        roles: roles(operations, register.with_cas),
        numbers: Numbers::new(operations),
        parts: Vec::new(),
        lasts: Vec::new(),
        part_of_key: FxHashMap::default(),
        last: (Packed::NIL, u32::MAX),
        tied: Vec::new(),
    };
    let initial = reader.numbers.of_value(&register.initial);
    reader.read()?;
    let Reader {
        mut parts,
        numbers,
        tied,
        ..
    } = reader;
    for (part, tied) in tied {
        parts[part as usize].widen_at_tie(tied, operations);
    }
    let mut reordered = false;
    for part in &mut parts {
        reordered |= part.number_by_beginning();
    }
    if let ([part], false) = (&mut parts[..], reordered) {
        // Numbered as they came, the initial one first.
        part.history.values = numbers.count;
        part.history.starts = vec![initial];
        return Some(parts);
    }
    let mut local = vec![(u32::MAX, 0); numbers.count as usize];
    for (number, part) in (0..).zip(&mut parts) {
        renumber_values(&mut part.history, initial, number, &mut local);
    }
    Some(parts)
}

impl RegisterPart {
    /// Takes of two events of one time and different processes the beginning as the first, as
    /// [`order_moments`] says: all moments in `tied` have the same time.
    fn widen_at_tie(&mut self, tied: Range<usize>, operations: &Operations<'_>) {
        let from = tied.start;
        let stamped = (0..).zip(&self.history.moments[tied.clone()]);
        let stamped = stamped.map(|(index, &moment)| {
            let source = self.sources[(moment >> 1) as usize];
            Stamped {
                index,
                time_ns: 0,
                moment,
                process: operations.packed(source as usize).process,
            }
        });
        let moments = order_moments(stamped.collect());
        for (position, &moment) in (from as u32..).zip(&moments) {
            let call = &mut self.history.calls[(moment >> 1) as usize];
            match moment & 1 {
                0 => call.begins = position,
                _ => call.returns = position,
            }
        }
        self.history.moments[tied].copy_from_slice(&moments);
    }

    /// Numbers the calls in order of beginning again, if ties changed that, and says whether.
    fn number_by_beginning(&mut self) -> bool {
        let RegisterHistory { calls, moments, .. } = &mut self.history;
        if calls.is_sorted_by_key(|call| call.begins) {
            return false;
        }
        let mut order: Vec<u32> = (0..calls.len() as u32).collect();
        order.sort_unstable_by_key(|&call| calls[call as usize].begins);
        let mut number = vec![0_u32; calls.len()];
        for (new, &old) in (0..).zip(&order) {
            number[old as usize] = new;
        }
        for moment in moments {
            *moment = number[(*moment >> 1) as usize] << 1 | (*moment & 1);
        }
        *calls = order.iter().map(|&old| calls[old as usize]).collect();
        let sources = &mut self.sources;
        *sources = order.iter().map(|&old| sources[old as usize]).collect();
        true
    }
}

/// What an operation of some name does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Read,
    Write,
    Cas,
    Unknown,
}

/// The role of every name in the history.
fn roles(operations: &Operations<'_>, with_cas: bool) -> Vec<Role> {
    let events = operations.events();
    let mut roles = vec![Role::Unknown; events.symbols_len()];
    let names = [
        ("read", Role::Read),
        ("get", Role::Read),
        ("write", Role::Write),
        ("put", Role::Write),
        ("cas", Role::Cas),
    ];
    for (name, role) in names {
        if let Some(symbol) = events.symbol(name)
            && (role != Role::Cas || with_cas)
        {
            roles[symbol.number()] = role;
        }
    }
    roles
}

struct Reader<'a> {
    operations: &'a Operations<'a>,
    register: &'a PlainRegister,
    roles: Vec<Role>,
    numbers: Numbers<'a>,
    parts: Vec<RegisterPart>,
    /// For each part its last moment.
    lasts: Vec<Last>,
    part_of_key: FxHashMap<Packed, u32>,
    /// The key asked for last, and its part.
    last: (Packed, u32),
    /// Where moments of a part that follow each other have the same time.
    tied: Vec<(u32, Range<usize>)>,
}

/// The last moment of a part.
#[derive(Debug, Clone, Copy)]
struct Last {
    time_ns: u64,
    /// The place in `tied` of the part's last tie.
    tie: usize,
}

/// Where an operation went: its part and its call there.
const NOWHERE: (u32, u32) = (u32::MAX, u32::MAX);

impl Reader<'_> {
    /// Fills the parts, in one walk along the events.
    fn read(&mut self) -> Option<()> {
        let operations = self.operations;
        let times_ns = operations.events().times_ns();
        let mut under_way = vec![NOWHERE; operations.berths_len()];
        for turn in operations.turns() {
            let went = &mut under_way[turn.berth as usize];
            let went = if turn.ends {
                std::mem::replace(went, NOWHERE)
            } else {
                *went = self.begin(turn.number)?;
                *went
            };
            if went != NOWHERE {
                self.add_moment(went, turn.ends, times_ns[turn.position as usize]);
            }
        }
        Some(())
    }

    /// Adds the call of an operation to its part, if it constrains anything.
    #[inline]
    fn begin(&mut self, number: u32) -> Option<(u32, u32)> {
        let (invoked, ended) = self.operations.positions(number as usize);
        if ended.is_some_and(|ended| ended < invoked) {
            return None;
        }
        let (outcome, output) = self.operations.outcome(number as usize);
        if outcome == Outcome::Fail {
            return Some(NOWHERE);
        }
        let Some(access) = self.access(invoked, outcome, output)? else {
            return Some(NOWHERE);
        };
        let part = self.part(self.operations.events().key(invoked));
        let RegisterPart {
            sources, history, ..
        } = &mut self.parts[part as usize];
        let call = history.calls.len() as u32;
        sources.push(number);
        history.calls.push(RegisterCall {
            access,
            begins: 0,
            // Whether it returns at all; where is known when it does.
            returns: if outcome == Outcome::Ok { 0 } else { OPEN },
        });
        Some((part, call))
    }

    /// Adds the beginning or the end of a call.
    #[inline]
    fn add_moment(&mut self, (part, number): (u32, u32), ends: bool, time_ns: u64) {
        let RegisterHistory { calls, moments, .. } = &mut self.parts[part as usize].history;
        let position = moments.len() as u32;
        let call = &mut calls[number as usize];
        if !ends {
            call.begins = position;
        } else if call.returns == OPEN {
            return;
        } else {
            call.returns = position;
        }
        moments.push(number << 1 | u32::from(ends));
        let last = &mut self.lasts[part as usize];
        if last.time_ns == time_ns {
            let position = position as usize;
            match self.tied.get_mut(last.tie) {
                Some((_, range)) if range.end == position => range.end += 1,
                _ => {
                    last.tie = self.tied.len();
                    self.tied.push((part, position - 1..position + 1));
                }
            }
        }
        last.time_ns = time_ns;
    }

    /// What the operation invoked at a position does, if it constrains anything.
    fn access(
        &mut self,
        invoked: usize,
        outcome: Outcome,
        output: Packed,
    ) -> Option<Option<Access<u32>>> {
        let known = outcome == Outcome::Ok;
        let events = self.operations.events();
        let input = events.values()[invoked];
        let numbers = &mut self.numbers;
        Some(match self.roles[events.fs()[invoked].number()] {
            Role::Read if !known => None,
            // What may mean something, the model refuses with words.
            Role::Read if !(input.is_nil() || input == output) => return None,
            Role::Write if known && !(is_done(output) || input == output) => return None,
            Role::Read if output.is_nil() && self.register.nil_reads == NilReads::Any => None,
            Role::Read => Some(Access::Read(numbers.of(output))),
            Role::Write => Some(Access::Write(numbers.of(input))),
            Role::Cas => {
                let failed = known && output.as_bool() == Some(false);
                if known && output.as_bool().is_none() {
                    return None;
                }
                let numbers = &mut self.numbers;
                match input.as_pair() {
                    Some((old, _)) if failed => Some(Access::Not(numbers.of_int(old))),
                    Some((old, new)) => {
                        let old = numbers.of_int(old);
                        Some(Access::Cas(old, numbers.of_int(new)))
                    }
                    None => {
                        let input = self.operations.value_of(input);
                        let [old, new] = input.as_list()? else {
                            return None;
                        };
                        let old = numbers.of_value(old);
                        match failed {
                            true => Some(Access::Not(old)),
                            false => Some(Access::Cas(old, numbers.of_value(new))),
                        }
                    }
                }
            }
            Role::Unknown => return None,
        })
    }

    /// The part of a key.
    fn part(&mut self, key: Packed) -> u32 {
        if self.last.1 != u32::MAX && self.last.0 == key {
            return self.last.1;
        }
        let (parts, lasts) = (&mut self.parts, &mut self.lasts);
        // Without keys all is one part; with keys nobody knows how much each gets.
        let keyless = key.is_nil() && parts.is_empty();
        let room = if keyless { self.operations.len() } else { 0 };
        let number = *self.part_of_key.entry(key).or_insert_with(|| {
            parts.push(RegisterPart {
                key: Some(self.operations.value_of(key)),
                sources: Vec::with_capacity(room),
                history: RegisterHistory {
                    calls: Vec::with_capacity(room),
                    moments: Vec::with_capacity(2 * room),
                    values: 0,
                    starts: Vec::new(),
                },
            });
            lasts.push(Last {
                time_ns: u64::MAX,
                tie: usize::MAX,
            });
            parts.len() as u32 - 1
        });
        self.last = (key, number);
        number
    }
}

/// Whether the result of a change only says that it was made.
fn is_done(output: Packed) -> bool {
    output.is_nil() || output == Packed::TRUE
}

/// Numbers the values of one register from 0, the initial one first. `local` holds, for each value
/// of the whole history, the part that numbered it last, and its number there.
fn renumber_values(
    history: &mut RegisterHistory,
    initial: u32,
    part: u32,
    local: &mut [(u32, u32)],
) {
    let mut values = 0;
    let mut number = |value: &mut u32| {
        let known = &mut local[*value as usize];
        if known.0 != part {
            *known = (part, values);
            values += 1;
        }
        *value = known.1;
    };
    let mut start = initial;
    number(&mut start);
    for call in &mut history.calls {
        match &mut call.access {
            Access::Read(value) | Access::Write(value) | Access::Not(value) => number(value),
            Access::Cas(old, new) => {
                number(old);
                number(new);
            }
        }
    }
    history.values = values;
    history.starts = vec![start];
}

/// Numbers for all values of a history.
struct Numbers<'a> {
    operations: &'a Operations<'a>,
    count: u32,
    /// For whole numbers from 0 that are not large, as most are, one more; 0 for none yet, so that
    /// what is never looked up takes no memory.
    small: Vec<u32>,
    others: FxHashMap<Packed, u32>,
    /// Values that are parts of others, and nowhere by themselves.
    unpacked: FxHashMap<Value, u32>,
}

impl<'a> Numbers<'a> {
    fn new(operations: &'a Operations<'a>) -> Self {
        Numbers {
            operations,
            count: 0,
            small: vec![0; 2 * operations.len() + 1024],
            others: FxHashMap::default(),
            unpacked: FxHashMap::default(),
        }
    }

    fn of(&mut self, value: Packed) -> u32 {
        let small = value
            .as_int()
            .and_then(|int| self.small.get_mut(usize::try_from(int).ok()?));
        let number = match small {
            Some(number) => number,
            None => self.others.entry(value).or_insert(0),
        };
        if *number == 0 {
            self.count += 1;
            *number = self.count;
        }
        *number - 1
    }

    fn of_value(&mut self, value: &Value) -> u32 {
        if let Some(packed) = self.operations.events().find(value) {
            return self.of(packed);
        }
        let count = &mut self.count;
        *self.unpacked.entry(value.clone()).or_insert_with(|| {
            *count += 1;
            *count - 1
        })
    }

    fn of_int(&mut self, int: i64) -> u32 {
        match Packed::from_int(int) {
            Some(packed) => self.of(packed),
            None => self.of_value(&Value::Int(int)),
        }
    }
}

#[cfg(test)]
mod tests;

//! From recorded operations to parts: parsed, divided, in order of time.

use std::hash::Hash;
use std::sync::Arc;

use histories::{Operation, Operations, Outcome, Value};
use rustc_hash::FxHashMap;

use crate::oracle::Interval;
use crate::registers::{OPEN, RegisterCall, RegisterHistory};
use crate::search::{Call, Moment, Problem};
use crate::{Model, ModelError, RegisterView};

/// The operations confined to one part of the system.
#[derive(Debug, Clone)]
pub(crate) struct Part<Op> {
    /// Which part, or which parts where several are joined (a list of them); `None` when the history
    /// is judged as a whole.
    pub key: Option<Value>,
    /// Each operation that constrains something, in order of beginning.
    pub members: Vec<Member<Op>>,
    /// Beginnings and returns in order of time: the member's place, times two, plus one if it
    /// returns there. Members of unknown outcome do not return.
    pub moments: Vec<u32>,
}

/// One operation of a part.
#[derive(Debug, Clone)]
pub(crate) struct Member<Op> {
    /// Its place in the caller's list.
    pub source: u32,
    /// What it means.
    pub op: Op,
    /// Whether its outcome is unknown.
    pub open: bool,
}

/// Divides a history into parts that can be judged on their own.
pub(crate) fn parts<M: Model>(
    model: &M,
    operations: &Operations<'_>,
) -> Result<Vec<Part<M::Op>>, ModelError> {
    let mut keys = Keys::default();
    let mut parsed: Vec<(u32, Member<M::Op>)> = Vec::new();
    let mut is_whole = false;
    for source in 0..operations.len() {
        if operations.packed(source).outcome == Outcome::Fail {
            continue;
        }
        let operation = operations.get(source);
        check_interval(model, &operation)?;
        if let Some(op) = model.parse(&operation)? {
            let part = model.part(&operation, &op).map(|part| keys.number(part));
            // One operation that touches everything ties all parts together.
            is_whole |= part.is_none();
            let part = part.unwrap_or_default();
            for other in model.joins(&operation, &op) {
                keys.join(part, other);
            }
            let member = Member {
                source: source as u32,
                op,
                open: operation.outcome != Outcome::Ok,
            };
            parsed.push((part, member));
        }
    }
    let (names, places) = match is_whole {
        true => (vec![None], vec![0; keys.keys.len().max(1)]),
        false => keys.joined(),
    };
    let mut parts: Vec<Part<M::Op>> = names
        .into_iter()
        .map(|key| Part {
            key,
            members: Vec::new(),
            moments: Vec::new(),
        })
        .collect();
    for (part, member) in parsed {
        parts[places[part as usize]].members.push(member);
    }
    for part in &mut parts {
        part.put_in_order(operations);
    }
    Ok(parts)
}

/// Whether an operation that the model says is in `part` is judged with those of `key`
/// ([`Part::key`]).
pub(crate) fn is_within(part: Option<&Value>, key: Option<&Value>) -> bool {
    match (part, key) {
        (_, None) => true,
        (Some(part), Some(Value::List(joined))) if joined.contains(part) => true,
        (part, key) => part == key,
    }
}

/// The parts that operations name, numbered in order of appearance, and which of them are joined.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    keys: Vec<Value>,
    numbers: FxHashMap<Value, u32>,
    /// For each part one it is joined with that has a smaller number, or itself.
    parents: Vec<u32>,
}

impl Keys {
    pub(crate) fn number(&mut self, key: Value) -> u32 {
        *self.numbers.entry(key).or_insert_with_key(|key| {
            let number = self.keys.len() as u32;
            self.keys.push(key.clone());
            self.parents.push(number);
            number
        })
    }

    pub(crate) fn join(&mut self, part: u32, other: Value) {
        let other = self.number(other);
        let (a, b) = (self.first(part), self.first(other));
        self.parents[a.max(b) as usize] = a.min(b);
    }

    /// The first of the parts that a part is joined with.
    fn first(&mut self, mut part: u32) -> u32 {
        while self.parents[part as usize] != part {
            let parent = self.parents[part as usize];
            self.parents[part as usize] = self.parents[parent as usize];
            part = parent;
        }
        part
    }

    /// What is judged together: the names, and for each part the place of its own among them.
    pub(crate) fn joined(mut self) -> (Vec<Option<Value>>, Vec<usize>) {
        let mut groups: Vec<Vec<Value>> = Vec::new();
        let mut places = Vec::with_capacity(self.keys.len());
        for (number, key) in (0..).zip(std::mem::take(&mut self.keys)) {
            let first = self.first(number);
            if first == number {
                places.push(groups.len());
                groups.push(vec![key]);
            } else {
                let place = places[first as usize];
                places.push(place);
                groups[place].push(key);
            }
        }
        let name = |mut group: Vec<Value>| match group.len() {
            1 => group.pop(),
            _ => Some(Value::List(group)),
        };
        (groups.into_iter().map(name).collect(), places)
    }
}

fn check_interval<M: Model>(model: &M, operation: &Operation) -> Result<(), ModelError> {
    match operation.ended {
        Some(ended) if ended.index < operation.invoked.index => Err(ModelError::new(
            model.name(),
            operation,
            format!("its end (event {}) before its beginning", ended.index),
            "every operation to begin before it ends",
        )),
        _ => Ok(()),
    }
}

impl<Op: Clone + Eq + Hash> Part<Op> {
    /// The part as the generic engines see it.
    pub(crate) fn problem<'m, M: Model<Op = Op>>(
        &self,
        model: &'m M,
        drop_unobserved: bool,
    ) -> Problem<'m, M> {
        let mut classes: Vec<Op> = Vec::new();
        let mut numbers: FxHashMap<&Op, u32> = FxHashMap::default();
        let mut calls = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let class = *numbers.entry(&member.op).or_insert_with(|| {
                classes.push(member.op.clone());
                classes.len() as u32 - 1
            });
            calls.push(Call {
                class,
                source: member.source,
                open: member.open,
            });
        }
        let moment = |moment: &u32| Moment {
            call: moment >> 1,
            returns: moment & 1 == 1,
        };
        let initial = model.initial(self.key.as_ref());
        let moments = self.moments.iter().map(moment).collect();
        let classes = Arc::from(classes);
        Problem::new(model, initial, classes, calls, moments, drop_unobserved)
    }

    /// What the operations of the part mean otherwise; those that mean nothing are left out.
    pub(crate) fn reread(&self, meaning: impl Fn(&Op) -> Option<Op>) -> Self {
        let mut numbers = vec![None; self.members.len()];
        let mut members = Vec::new();
        for (number, member) in numbers.iter_mut().zip(&self.members) {
            if let Some(op) = meaning(&member.op) {
                *number = Some(members.len() as u32);
                members.push(Member {
                    op,
                    ..member.clone()
                });
            }
        }
        let renumbered = |moment: &u32| {
            let number = numbers[(moment >> 1) as usize]?;
            Some(number << 1 | (moment & 1))
        };
        Part {
            key: self.key.clone(),
            members,
            moments: self.moments.iter().filter_map(renumbered).collect(),
        }
    }

    /// The part of which these are the intervals, in order of beginning.
    pub(crate) fn of_intervals(key: Option<Value>, intervals: &[Interval<Op>]) -> Self {
        let mut stamped = Vec::with_capacity(2 * intervals.len());
        for (member, interval) in (0_u32..).zip(intervals) {
            stamped.push((interval.begins, member << 1));
            stamped.extend(interval.ends.map(|ends| (ends, member << 1 | 1)));
        }
        stamped.sort_unstable();
        let members = (0..).zip(intervals).map(|(source, interval)| Member {
            source,
            op: interval.op.clone(),
            open: interval.ends.is_none(),
        });
        Part {
            key,
            members: members.collect(),
            moments: stamped.into_iter().map(|(_, moment)| moment).collect(),
        }
    }

    /// The part as monitors and views see it: the position in `moments` is the time.
    pub(crate) fn intervals(&self) -> Vec<Interval<Op>> {
        let mut intervals: Vec<Interval<Op>> = self
            .members
            .iter()
            .map(|member| Interval {
                op: member.op.clone(),
                begins: 0,
                ends: None,
            })
            .collect();
        for (position, moment) in (0..).zip(&self.moments) {
            let interval = &mut intervals[(moment >> 1) as usize];
            match moment & 1 {
                0 => interval.begins = position,
                _ => interval.ends = Some(position),
            }
        }
        intervals
    }

    /// The part as the register engines see it; `view` is of this part's intervals.
    pub(crate) fn registers(&self, view: &RegisterView) -> RegisterHistory {
        let mut calls: Vec<RegisterCall> = view
            .accesses
            .iter()
            .map(|access| RegisterCall {
                access: *access,
                begins: 0,
                returns: OPEN,
            })
            .collect();
        for (position, moment) in (0..).zip(&self.moments) {
            let call = &mut calls[(moment >> 1) as usize];
            match moment & 1 {
                0 => call.begins = position,
                _ => call.returns = position,
            }
        }
        RegisterHistory {
            calls,
            moments: self.moments.clone(),
            values: view.values,
            starts: vec![0],
        }
    }

    /// Fills `moments`, and puts `members` in order of beginning.
    fn put_in_order(&mut self, operations: &Operations<'_>) {
        let mut stamped = Vec::with_capacity(2 * self.members.len());
        for (number, member) in (0..).zip(&self.members) {
            let operation = operations.packed(member.source as usize);
            let process = operation.process;
            stamped.push(Stamped {
                index: operation.invoked.index,
                time_ns: operation.invoked.time_ns,
                moment: number << 1,
                process,
            });
            if !member.open {
                // Known to have happened, not known by when: not before the end of the history.
                let (index, time_ns) = operation
                    .ended
                    .map_or((u64::MAX, u64::MAX), |end| (end.index, end.time_ns));
                stamped.push(Stamped {
                    index,
                    time_ns,
                    moment: number << 1 | 1,
                    process,
                });
            }
        }
        self.moments = order_moments(stamped);
        self.number_by_beginning();
    }

    /// Renumbers the members so that they are in order of beginning.
    fn number_by_beginning(&mut self) {
        let mut numbers = vec![0_u32; self.members.len()];
        let begins = self.moments.iter().filter(|moment| *moment & 1 == 0);
        for (number, moment) in (0..).zip(begins) {
            numbers[(moment >> 1) as usize] = number;
        }
        if numbers.is_sorted() {
            return;
        }
        for moment in &mut self.moments {
            *moment = numbers[(*moment >> 1) as usize] << 1 | (*moment & 1);
        }
        let mut numbered: Vec<(u32, Member<Op>)> = numbers
            .into_iter()
            .zip(std::mem::take(&mut self.members))
            .collect();
        numbered.sort_unstable_by_key(|(number, _)| *number);
        self.members = numbered.into_iter().map(|(_, member)| member).collect();
    }
}

/// A moment with what orders it.
pub(crate) struct Stamped {
    pub index: u64,
    pub time_ns: u64,
    pub moment: u32,
    pub process: u64,
}

/// Beginnings and returns in order of index, but with closed intervals. Of two events of different
/// processes stamped with the same time nobody knows which came first, so there an operation that
/// begins is taken to begin before others return. This only ever widens intervals.
pub(crate) fn order_moments(mut stamped: Vec<Stamped>) -> Vec<u32> {
    stamped.sort_by_key(|stamped| (stamped.index, stamped.moment & 1));
    for tied in stamped.chunk_by_mut(|a, b| a.time_ns == b.time_ns) {
        if tied.len() > 1 {
            put_beginnings_first(tied);
        }
    }
    stamped.into_iter().map(|stamped| stamped.moment).collect()
}

/// Moves every beginning before the returns of other processes, but not before the last return of
/// its own process: a client knows the order of its own operations.
fn put_beginnings_first(tied: &mut [Stamped]) {
    let mut last_return: FxHashMap<u64, u64> = FxHashMap::default();
    for (place, stamped) in (1..).zip(tied.iter_mut()) {
        // From here on `index` only says where in the group it goes.
        if stamped.moment & 1 == 1 {
            last_return.insert(stamped.process, place);
            stamped.index = place;
        } else {
            stamped.index = last_return.get(&stamped.process).copied().unwrap_or(0);
        }
    }
    // At one place the return comes first, then the beginnings that had to wait for it; the sort
    // is stable.
    tied.sort_by_key(|stamped| (stamped.index, stamped.moment & 1 == 0));
}

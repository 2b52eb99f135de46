//! From recorded operations to problems: parsed, divided into parts, in order of time.

use std::sync::Arc;

use histories::{Operation, Outcome, Value};
use rustc_hash::FxHashMap;

use crate::search::{Call, Moment, Problem};
use crate::{Model, ModelError};

/// The operations confined to one part of the system.
#[derive(Debug)]
pub(crate) struct Part<Op> {
    /// Which part; `None` when the history is judged as a whole.
    pub key: Option<Value>,
    /// Each operation that constrains something: its place in the caller's list, and its meaning.
    pub members: Vec<(u32, Op)>,
}

/// Divides a history into parts that can be judged on their own.
pub(crate) fn parts<M: Model>(
    model: &M,
    operations: &[Operation],
) -> Result<Vec<Part<M::Op>>, ModelError> {
    let mut keys: Vec<Option<Value>> = Vec::new();
    let mut parsed: Vec<(u32, Option<u32>, M::Op)> = Vec::new();
    let mut numbers: FxHashMap<Option<Value>, u32> = FxHashMap::default();
    for (source, operation) in operations.iter().enumerate() {
        if operation.outcome == Outcome::Fail {
            continue;
        }
        check_interval(model, operation)?;
        if let Some(op) = model.parse(operation)? {
            let part = model.part(operation, &op).map(|part| {
                *numbers.entry(Some(part)).or_insert_with_key(|part| {
                    keys.push(part.clone());
                    keys.len() as u32 - 1
                })
            });
            parsed.push((source as u32, part, op));
        }
    }
    // One operation that touches several parts ties all of them together.
    if parsed.iter().any(|(_, part, _)| part.is_none()) {
        let members = parsed
            .into_iter()
            .map(|(source, _, op)| (source, op))
            .collect();
        return Ok(vec![Part { key: None, members }]);
    }
    let mut parts: Vec<Part<M::Op>> = keys
        .into_iter()
        .map(|key| Part {
            key,
            members: Vec::new(),
        })
        .collect();
    for (source, part, op) in parsed {
        if let Some(part) = part {
            parts[part as usize].members.push((source, op));
        }
    }
    Ok(parts)
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

impl<Op: Clone + Eq + std::hash::Hash> Part<Op> {
    /// The part as the engines see it.
    pub(crate) fn problem<'m, M: Model<Op = Op>>(
        &self,
        model: &'m M,
        operations: &[Operation],
        drop_unobserved: bool,
    ) -> Problem<'m, M> {
        let mut classes: Vec<Op> = Vec::new();
        let mut numbers: FxHashMap<&Op, u32> = FxHashMap::default();
        let mut calls = Vec::with_capacity(self.members.len());
        for (source, op) in &self.members {
            let class = *numbers.entry(op).or_insert_with(|| {
                classes.push(op.clone());
                classes.len() as u32 - 1
            });
            let open = operations[*source as usize].outcome != Outcome::Ok;
            calls.push(Call {
                class,
                source: *source,
                open,
            });
        }
        let moments = in_order(&calls, operations);
        Problem::new(
            model,
            model.initial(self.key.as_ref()),
            Arc::from(classes),
            calls,
            moments,
            drop_unobserved,
        )
    }
}

/// A moment with what orders it.
struct Stamped {
    index: u64,
    time_ns: u64,
    moment: Moment,
    process: u64,
}

/// The beginnings and returns in order of their index, but with closed intervals: of two events of
/// different processes stamped with the same time nobody knows which came first, so there an
/// operation that begins is taken to begin before others return. This only ever widens intervals.
fn in_order(calls: &[Call], operations: &[Operation]) -> Vec<Moment> {
    let mut stamped = Vec::with_capacity(2 * calls.len());
    for (number, call) in calls.iter().enumerate() {
        let operation = &operations[call.source as usize];
        let process = operation.process;
        let moment = Moment {
            call: number as u32,
            returns: false,
        };
        let (index, time_ns) = (operation.invoked.index, operation.invoked.time_ns);
        stamped.push(Stamped {
            index,
            time_ns,
            moment,
            process,
        });
        if !call.open {
            let moment = Moment {
                call: number as u32,
                returns: true,
            };
            // Known to have happened, not known by when: not before the end of the history.
            let (index, time_ns) = operation
                .ended
                .map_or((u64::MAX, u64::MAX), |end| (end.index, end.time_ns));
            stamped.push(Stamped {
                index,
                time_ns,
                moment,
                process,
            });
        }
    }
    stamped.sort_by_key(|stamped| (stamped.index, stamped.moment.returns));
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
        if stamped.moment.returns {
            last_return.insert(stamped.process, place);
            stamped.index = place;
        } else {
            stamped.index = last_return.get(&stamped.process).copied().unwrap_or(0);
        }
    }
    // At one place the return comes first, then the beginnings that had to wait for it; the sort
    // is stable.
    tied.sort_by_key(|stamped| (stamped.index, !stamped.moment.returns));
}

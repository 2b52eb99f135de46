//! Sentences about why a core has no order.

use histories::{Operation, Operations, Outcome, Point, Value};
use rustc_hash::FxHashSet;

use super::intervals;
use crate::model::brief;
use crate::normalise;
use crate::oracle::{self, Interval};
use crate::search::Problem;
use crate::words::amount;
use crate::{Model, Moves};

/// How many sentences are given at most.
const REASONS_MAX: usize = 8;
/// Of larger cores no reason is given.
const CALLS_MAX: usize = 64;
/// How many ways to end are looked for.
const ENDS_MAX: usize = 64;
/// How many sets of placed operations are looked at for them.
const NODES_MAX: usize = 50_000;

/// What is wrong with the core, the plainest first.
pub(crate) fn reasons<M: Model>(
    core: &Problem<'_, M>,
    operations: &Operations<'_>,
    key: Option<&Value>,
) -> Vec<String> {
    let has_times = (0..operations.len()).any(|number| {
        let invoked = operations.packed(number).invoked;
        invoked.time_ns != invoked.index
    });
    if core.calls.len() > CALLS_MAX {
        let calls = core.calls.len();
        return vec![format!(
            "too many operations ({calls}) are left in the contradiction for a reason in words"
        )];
    }
    let recorded = core.calls.iter();
    let (writers, knows_all_writers) = writers(core, operations, key);
    let story = Story {
        core,
        recorded: recorded
            .map(|call| operations.get(call.source as usize))
            .collect(),
        writers,
        knows_all_writers,
        has_times,
    };
    let mut reasons: Vec<String> = (0..core.calls.len())
        .filter_map(|call| story.of_observation(call).or_else(|| story.of_lack(call)))
        .collect();
    if reasons.is_empty() {
        reasons.extend(story.of_takes(operations, key));
    }
    if reasons.is_empty() {
        reasons = story.of_orders();
    }
    if (core.starts.len() > 1 || core.pinned.is_some())
        && let Some(first) = core.calls.first()
    {
        let index = operations.packed(first.source as usize).invoked.index;
        reasons.push(format!(
            "this is so whatever the value was before operation {index} began"
        ));
    }
    if reasons.len() > REASONS_MAX {
        let more = reasons.len() - REASONS_MAX + 1;
        reasons.truncate(REASONS_MAX - 1);
        reasons.push(format!("and so on, {more} more"));
    }
    reasons
}

/// `process 4 on n2`.
pub(crate) fn who(operation: &Operation) -> String {
    match &operation.node {
        Some(node) => format!("process {} on {node}", operation.process),
        None => format!("process {}", operation.process),
    }
}

/// An update of the same key that leaves a known value, failed ones included.
struct Writer {
    /// Its place in the caller's list.
    source: u32,
    operation: Operation,
    value: Value,
}

/// How one or more orders end.
struct DeadEnd {
    text: String,
    /// The shortest of them.
    order: Vec<usize>,
    others: u64,
}

struct Story<'a, 'm, M: Model> {
    core: &'a Problem<'m, M>,
    /// The operation of each call of the core.
    recorded: Vec<Operation>,
    writers: Vec<Writer>,
    /// Whether no operation of the part leaves a value that the model cannot name.
    knows_all_writers: bool,
    /// Foreign histories without times have the index in their place.
    has_times: bool,
}

impl<M: Model> Story<'_, '_, M> {
    /// Why an observation of one value is impossible by itself: never written, not yet written,
    /// or overwritten.
    fn of_observation(&self, call: usize) -> Option<String> {
        let reader = self.operation(call);
        if self.core.calls[call].open {
            return None;
        }
        // Where values come about in ways that the model cannot name (an append), nothing follows
        // from who wrote which.
        let op = self.op(call);
        let value = self
            .core
            .model
            .observed(op)
            .filter(|_| self.knows_all_writers)?;
        let shown = brief(&value.to_string());
        let is_initial = self.core.model.step(&self.core.initial, op).is_some();
        let (failed, possible): (Vec<&Writer>, Vec<_>) = self
            .writers
            .iter()
            .filter(|w| w.value == value && w.source != self.core.calls[call].source)
            .partition(|w| w.operation.outcome == Outcome::Fail);
        let subject = format!("the {} by {}", self.core.model.describe(op), who(reader));
        let early: Vec<&Writer> = possible
            .iter()
            .copied()
            .filter(|w| begins_before_end(&w.operation, reader))
            .collect();
        if is_initial || !early.is_empty() {
            return self.overwritten(reader, &subject, &value, &early);
        }
        if let Some(first) = possible.iter().min_by_key(|w| w.operation.invoked.index) {
            let gap = self.gap(reader.ended?, first.operation.invoked);
            return Some(format!(
                "{subject} ended {gap} before the first write of {shown}, by {}, began",
                who(&first.operation)
            ));
        }
        Some(match failed.first() {
            Some(writer) => format!(
                "{subject} is of a value that only operation {} of process {} would have \
                 written, which failed and so must never take effect",
                writer.operation.invoked.index, writer.operation.process
            ),
            None => format!("{subject} is of a value that nothing wrote"),
        })
    }

    /// What an observation should show and does not: an update that was over before it began, with
    /// nothing that could have overwritten it since.
    fn of_lack(&self, call: usize) -> Option<String> {
        let reader = self.operation(call);
        let observation = self.op(call);
        let kept = |update: &Operation| {
            self.writers
                .iter()
                .filter(|w| w.operation.outcome != Outcome::Fail)
                .all(|writer| {
                    let over = bounded_end(&writer.operation);
                    over.is_some_and(|end| end < update.invoked.index)
                        || !begins_before_end(&writer.operation, reader)
                })
        };
        let missing = (0..self.core.calls.len())
            .filter(|&other| self.core.model.lacks(observation, self.op(other)))
            .filter(|&other| !self.core.calls[other].open && !self.core.calls[call].open)
            .filter(|&other| {
                let end = bounded_end(self.operation(other));
                end.is_some_and(|end| end < reader.invoked.index) && kept(self.operation(other))
            })
            .max_by_key(|&other| self.operation(other).invoked.index)?;
        let ago = self.gap(self.operation(missing).ended?, reader.invoked);
        Some(format!(
            "the {} by {} does not show the {} by {}, which ended {ago} before it began",
            self.core.model.describe(observation),
            who(reader),
            self.core.model.describe(self.op(missing)),
            who(self.operation(missing))
        ))
    }

    /// A value that was taken more often than it had been put in by then.
    fn of_takes(&self, operations: &Operations<'_>, key: Option<&Value>) -> Option<String> {
        let model = self.core.model;
        let last = self.core.moments.last().filter(|moment| moment.returns)?;
        let taker = self.operation(last.call as usize);
        let Some(Moves::Takes(value)) = model.moves(self.op(last.call as usize)) else {
            return None;
        };
        let takes = (0..self.core.calls.len()).filter(|&call| {
            let takes = model.moves(self.op(call)) == Some(Moves::Takes(value.clone()));
            takes && !self.core.calls[call].open
        });
        let held = model.contents(&self.core.initial)?;
        let held = held.iter().filter(|held| **held == value).count();
        let puts = (0..operations.len()).map(|source| operations.get(source));
        let puts = puts.filter(|operation| {
            operation.outcome != Outcome::Fail
                && model.parse(operation).ok().flatten().is_some_and(|op| {
                    model.moves(&op) == Some(Moves::Puts(value.clone()))
                        && normalise::is_within(model.part(operation, &op).as_ref(), key)
                })
        });
        let (early, late): (Vec<Operation>, Vec<Operation>) =
            puts.partition(|put| begins_before_end(put, taker));
        let subject = format!(
            "the {} by {}",
            self.core.model.describe(self.op(last.call as usize)),
            who(taker)
        );
        let shown = brief(&value.to_string());
        match (takes.count(), held + early.len()) {
            (taken, put) if taken <= put => None,
            (_, 0) => Some(match late.iter().min_by_key(|put| put.invoked.index) {
                None => format!("{subject} is of a value that nothing put in"),
                Some(first) => format!(
                    "{subject} ended {} before the first {} of {shown}, by {}, began",
                    self.gap(taker.ended?, first.invoked),
                    first.f,
                    who(first)
                ),
            }),
            (taken, put) => Some(format!(
                "{shown} was taken {taken} times when {subject} ended, and had been put in only {}",
                match put {
                    1 => "once".to_owned(),
                    put => format!("{put} times"),
                }
            )),
        }
    }

    /// A stale observation: another value was certainly written in between.
    fn overwritten(
        &self,
        reader: &Operation,
        subject: &str,
        value: &Value,
        writers: &[&Writer],
    ) -> Option<String> {
        let last_end = writers
            .iter()
            .map(|writer| bounded_end(&writer.operation))
            .try_fold(None, |last, end| Some(last.max(Some(end?))))?;
        let overwriter = self
            .writers
            .iter()
            .filter(|other| other.value != *value && self.is_bounded_in_core(other))
            .filter(|other| last_end.is_none_or(|last| last < other.operation.invoked.index))
            .filter(|other| {
                bounded_end(&other.operation).is_some_and(|end| end < reader.invoked.index)
            })
            .max_by_key(|other| other.operation.invoked.index)?;
        let ended = overwriter.operation.ended?;
        let ago = self.gap(ended, reader.invoked);
        let shown = brief(&value.to_string());
        let before = match last_end {
            Some(_) => format!("began after every write of {shown} had ended and"),
            None => format!("(nothing writes {shown}, the initial value)"),
        };
        Some(format!(
            "{subject} is of a value already overwritten: the write of {} by {} {before} ended \
             {ago} before it began",
            brief(&overwriter.value.to_string()),
            who(&overwriter.operation)
        ))
    }

    /// For each way to order the operations, where it comes to an end.
    fn of_orders(&self) -> Vec<String> {
        let intervals = intervals(self.core);
        if intervals.len() > oracle::OPERATIONS_MAX {
            return vec![format!(
                "no order explains these {} operations",
                intervals.len()
            )];
        }
        let mut ends: Vec<DeadEnd> = Vec::new();
        let mut complete = true;
        // Whether from some state that may have been there no operation that ended has a place.
        let mut nowhere = false;
        let mut seen = FxHashSet::default();
        let starts = self.core.starts.iter().rev();
        let mut stack: Vec<(u64, M::State, Vec<usize>)> =
            starts.map(|start| (0, start.clone(), Vec::new())).collect();
        while let Some((placed, state, order)) = stack.pop() {
            if seen.len() >= NODES_MAX || ends.len() >= ENDS_MAX {
                complete = false;
                break;
            }
            if !seen.insert((placed, state.clone())) {
                continue;
            }
            let next = self.steps(&intervals, placed, &state);
            let any_start = self.core.starts.len() > 1;
            if next.is_empty() && any_start && !self.places_a_bounded_one(&order) {
                nowhere = true;
            } else if next.is_empty() {
                let text = self.dead_end(&intervals, placed, &state);
                match ends.iter_mut().find(|end| end.text == text) {
                    None => ends.push(DeadEnd {
                        text,
                        order: order.clone(),
                        others: 0,
                    }),
                    Some(end) => {
                        end.others += 1;
                        if order.len() < end.order.len() {
                            end.order.clone_from(&order);
                        }
                    }
                }
            }
            for (call, state) in next.into_iter().rev() {
                let mut order = order.clone();
                order.push(call);
                stack.push((placed | 1 << call, state, order));
            }
        }
        let mut reasons: Vec<String> = ends.iter().map(|end| self.say(end)).collect();
        if nowhere {
            reasons.push("from any other state none of those that ended has a place".to_owned());
        }
        if !complete {
            reasons.push("there are more orders than can be listed".to_owned());
        }
        reasons
    }

    /// Whether one of them has an end.
    fn places_a_bounded_one(&self, order: &[usize]) -> bool {
        order.iter().any(|&call| !self.core.calls[call].open)
    }

    /// What can be placed next. An observer that is legal goes first and alone: it changes
    /// nothing (R1). An operation of unknown outcome that would change nothing is left alone.
    fn steps(
        &self,
        intervals: &[Interval<M::Op>],
        placed: u64,
        state: &M::State,
    ) -> Vec<(usize, M::State)> {
        let mut steps = Vec::new();
        for call in oracle::candidates(intervals, placed) {
            let Some(next) = self.core.model.step(state, self.op(call)) else {
                continue;
            };
            if self.core.model.is_observer(self.op(call)) {
                return vec![(call, next)];
            }
            if intervals[call].ends.is_some() || next != *state {
                steps.push((call, next));
            }
        }
        steps
    }

    /// Where nothing can be placed any more: the state, and what has no place there.
    fn dead_end(&self, intervals: &[Interval<M::Op>], placed: u64, state: &M::State) -> String {
        let state = self.core.model.describe_state(state);
        let blocked: Vec<String> = oracle::candidates(intervals, placed)
            .filter(|&call| intervals[call].ends.is_some())
            .map(|call| self.name(call))
            .collect();
        match blocked.is_empty() {
            true => format!("{state}: nothing more can be placed"),
            false => format!("{state}: no place for the {}", blocked.join(" nor the ")),
        }
    }

    fn say(&self, end: &DeadEnd) -> String {
        let order: Vec<String> = end.order.iter().map(|&call| self.name(call)).collect();
        let others = match end.others {
            0 => String::new(),
            1 => " (one other order ends the same way)".to_owned(),
            others => format!(" ({others} other orders end the same way)"),
        };
        match order.is_empty() {
            true => format!("at the start {}{others}", end.text),
            false => format!(
                "after the {}, {}{others}",
                order.join(", then the "),
                end.text
            ),
        }
    }

    /// The time between two moments, as a person says it.
    fn gap(&self, from: Point, to: Point) -> String {
        if !self.has_times {
            return amount(to.index.saturating_sub(from.index), "event");
        }
        let gap_ns = to.time_ns.saturating_sub(from.time_ns);
        match gap_ns {
            0..1_000 => format!("{gap_ns} ns"),
            1_000..1_000_000 => format!("{} µs", gap_ns / 1_000),
            1_000_000..10_000_000_000 => format!("{} ms", gap_ns / 1_000_000),
            _ => format!("{} s", gap_ns / 1_000_000_000),
        }
    }

    /// Whether the operation is in the core, and with its end.
    fn is_bounded_in_core(&self, writer: &Writer) -> bool {
        let calls = &self.core.calls;
        calls
            .iter()
            .any(|call| !call.open && call.source == writer.source)
    }

    fn name(&self, call: usize) -> String {
        let description = self.core.model.describe(self.op(call));
        format!("{description} by process {}", self.operation(call).process)
    }

    fn op(&self, call: usize) -> &M::Op {
        &self.core.classes[self.core.calls[call].class as usize]
    }

    fn operation(&self, call: usize) -> &Operation {
        &self.recorded[call]
    }
}

/// The updates of the part that leave a value the model can name: of all values, or (for there may
/// be a million of them) of those that the core observes, and those in the core. Also whether there is no
/// update that leaves a value it cannot name.
fn writers<M: Model>(
    core: &Problem<'_, M>,
    operations: &Operations<'_>,
    key: Option<&Value>,
) -> (Vec<Writer>, bool) {
    let model = core.model;
    let observed: FxHashSet<Value> = core
        .classes
        .iter()
        .filter_map(|op| model.observed(op))
        .collect();
    let lacks = |a: &M::Op| core.classes.iter().any(|b| model.lacks(a, b));
    let all = core.classes.iter().any(lacks);
    let mut knows_all = true;
    let of = |source: u32| {
        let mut operation = operations.get(source as usize);
        // What a failed operation would have done is what one of unknown outcome may do.
        let outcome = operation.outcome;
        if outcome == Outcome::Fail {
            operation.outcome = Outcome::Info;
        }
        let op = model.parse(&operation).ok()??;
        let same_part = normalise::is_within(model.part(&operation, &op).as_ref(), key);
        if !same_part || model.is_observer(&op) {
            return None;
        }
        let value = model.written(&op);
        knows_all &= value.is_some();
        let value = value?;
        let wanted = all || observed.contains(&value);
        let in_core = || core.calls.iter().any(|call| call.source == source);
        if !wanted && !in_core() {
            return None;
        }
        Some(Writer {
            source,
            operation: Operation {
                outcome,
                ..operation
            },
            value,
        })
    };
    let writers = (0..operations.len() as u32).filter_map(of).collect();
    (writers, knows_all)
}

fn begins_before_end(writer: &Operation, reader: &Operation) -> bool {
    reader
        .ended
        .is_none_or(|ended| writer.invoked.index < ended.index)
}

/// When an operation certainly is over.
fn bounded_end(operation: &Operation) -> Option<u64> {
    let ended = operation
        .ended
        .filter(|_| operation.outcome == Outcome::Ok)?;
    Some(ended.index)
}

//! What tests share: histories from rows of text, from chance, and from exhaustive enumeration.

use std::sync::Arc;

use histories::{History, Operation, Outcome, Point, Value};
use seeds::{Purpose, Stream};

use crate::certificate::{self, CertifyError};
use crate::normalise::{Member, Part};
use crate::oracle::Interval;
use crate::search::{Call, Moment, Problem};
use crate::{
    Access, Cancel, Limits, Model, ModelError, ModelOptions, RegisterOp, Verdict, linearizability,
};

/// A stream of chance for a test.
pub(crate) fn chance(seed: u64) -> Stream {
    Stream::new(seed, Purpose::Client, 0)
}

/// `Int` for digits, `Nil` for `nil`, else `Text`.
pub(crate) fn value(text: &str) -> Value {
    match text {
        "nil" => Value::Nil,
        _ => text.parse().map_or_else(|_| text.into(), Value::Int),
    }
}

/// Operations from a row as `0 w 1 0 5; 1 r 1 6 9`: process, what, value, beginning, end.
///
/// What: `w` `r` `c` (cas, value `old:new`), `m` (a cas that found another value), `p` `g` `a` `d`
/// (put, get, append, delete). End: a time, `?` (unknown) or `x` (failed). An operation may carry
/// a key as in `w@k`.
pub(crate) fn operations(row: &str) -> Vec<Operation> {
    let mut operations: Vec<Operation> = row
        .split(';')
        .filter(|part| !part.trim().is_empty())
        .map(operation)
        .collect();
    operations.sort_by_key(|operation| operation.invoked.index);
    operations
}

fn operation(text: &str) -> Operation {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [process, what, text, begin, end] = words[..] else {
        panic!("row {text:?}")
    };
    let (what, key) = what
        .split_once('@')
        .map_or((what, None), |(w, k)| (w, Some(value(k))));
    let point = |text: &str| {
        let index = text.parse().unwrap();
        Point {
            index,
            time_ns: index * 1_000_000 + 1,
        }
    };
    let outcome = match end {
        "?" => Outcome::Info,
        "x" => Outcome::Fail,
        _ => Outcome::Ok,
    };
    let pair = || match text.split_once(':') {
        Some((old, new)) => Value::List(vec![value(old), value(new)]),
        None => value(text),
    };
    let (f, input, output) = match what {
        "w" => ("write", value(text), Value::Nil),
        "r" => ("read", Value::Nil, value(text)),
        "c" => ("cas", pair(), Value::Bool(true)),
        "m" => ("cas", pair(), Value::Bool(false)),
        "p" => ("put", value(text), Value::Nil),
        "g" => ("get", Value::Nil, value(text)),
        "a" => ("append", value(text), Value::Nil),
        "d" => ("delete", Value::Nil, Value::Nil),
        other => (other, value(text), Value::Nil),
    };
    Operation {
        process: process.parse().unwrap(),
        f: f.into(),
        key,
        input,
        output: if outcome == Outcome::Ok {
            output
        } else {
            Value::Nil
        },
        outcome,
        invoked: point(begin),
        ended: (outcome == Outcome::Ok).then(|| point(end)),
        node: None,
        error: None,
        path: Vec::new(),
        line: None,
    }
}

/// Operations from a row as `0 push 1 -> nil @0 5; 1 pop@k nil -> ? @6 ?`: process, what (and on
/// which key), argument, result, beginning, end. Argument and result are EDN; the result of an
/// operation of unknown outcome is `?`, of a failed one `x`. The process (0) and the times (one
/// after the other) may be left out.
pub(crate) fn samples(row: &str) -> Vec<Operation> {
    let entries = row.split(';').map(str::trim);
    (0..)
        .zip(entries.filter(|entry| !entry.is_empty()))
        .map(|(number, entry)| sample(number, entry))
        .collect()
}

fn sample(number: u64, entry: &str) -> Operation {
    let edn = |text: &str| histories::edn::parse_value(text.trim()).unwrap();
    let (call, result) = entry.split_once(" -> ").unwrap();
    let (result, times) = match result.rsplit_once(" @") {
        Some((result, times)) => (result, times.split_once(' ').unwrap()),
        None => (result, ("", "")),
    };
    let (process, call) = match call.split_once(' ') {
        Some((process, rest)) if process.parse::<u64>().is_ok() => (process.parse().unwrap(), rest),
        _ => (0, call),
    };
    let (f, input) = call.split_once(' ').unwrap();
    let (f, key) = f
        .split_once('@')
        .map_or((f, None), |(f, key)| (f, Some(value(key))));
    let outcome = match result.trim() {
        "?" => Outcome::Info,
        "x" => Outcome::Fail,
        _ => Outcome::Ok,
    };
    let is_known = outcome == Outcome::Ok;
    let point = |time: &str, otherwise: u64| {
        let index = time.parse().unwrap_or(otherwise);
        Point {
            index,
            time_ns: index * 1_000_000 + 1,
        }
    };
    Operation {
        process,
        f: f.into(),
        key,
        input: edn(input),
        output: if is_known { edn(result) } else { Value::Nil },
        outcome,
        invoked: point(times.0, 2 * number),
        ended: is_known.then(|| point(times.1, 2 * number + 1)),
        node: None,
        error: None,
        path: Vec::new(),
        line: None,
    }
}

/// The history of a row as for [`samples`].
pub(crate) fn history_of(row: &str) -> History {
    let mut operations = samples(row);
    operations.sort_by_key(|operation| operation.invoked.index);
    History::from_operations(&operations)
}

/// Judges histories given as for [`samples`]: every verdict is the one expected, and every
/// violation is confirmed, minimal and explained.
pub(crate) fn judge_rows(options: &ModelOptions, rows: &[(&str, Verdict)]) {
    for (row, expected) in rows {
        let history = history_of(row);
        let judged = linearizability(
            &history.operations(),
            options,
            &Limits::default(),
            &Cancel::new(),
        )
        .unwrap();
        assert_eq!(judged.check.verdict, *expected, "{row}\n{judged:#?}");
        assert_eq!(
            judged.counterexample.is_some(),
            *expected == Verdict::Invalid
        );
        if let Some(found) = judged.counterexample {
            let explained = found.confirmed && found.minimal && !found.explanation.is_empty();
            assert!(explained, "{row}\n{found:#?}");
        }
        let certified = certify_and_verify(&history, options);
        let placed = certified.unwrap_or_else(|problem| panic!("{row}: {problem}"));
        assert_eq!(placed.is_some(), *expected == Verdict::Valid, "{row}");
    }
}

/// How many operations the history's certificate orders, once that is verified; `None` when there
/// is no order.
fn certify_and_verify(history: &History, options: &ModelOptions) -> Result<Option<u64>, String> {
    let operations = history.operations();
    let found = certificate::certify(&operations, options, &Limits::default(), &Cancel::new());
    let found = match found {
        Err(CertifyError::NotLinearizable { .. }) => return Ok(None),
        found => found.map_err(|error| error.to_string())?,
    };
    let orders = found.orders.into_iter().map(Ok::<_, String>);
    let verified = certificate::verify(&operations, options, &found.header, orders);
    let accepted = verified.map_err(|error| error.to_string())?;
    Ok(Some(accepted.placed))
}

/// The intervals as an engine sees them.
pub(crate) fn problem<'m, M: Model>(
    model: &'m M,
    intervals: &[Interval<M::Op>],
    drop_unobserved: bool,
) -> Problem<'m, M> {
    let mut classes: Vec<M::Op> = Vec::new();
    let mut calls = Vec::new();
    let mut stamped = Vec::new();
    for (number, interval) in (0..).zip(intervals) {
        let class = match classes.iter().position(|class| *class == interval.op) {
            Some(class) => class as u32,
            None => {
                classes.push(interval.op.clone());
                classes.len() as u32 - 1
            }
        };
        calls.push(Call {
            class,
            source: number,
            open: interval.ends.is_none(),
        });
        stamped.push((
            interval.begins,
            Moment {
                call: number,
                returns: false,
            },
        ));
        stamped.extend(interval.ends.map(|end| {
            (
                end,
                Moment {
                    call: number,
                    returns: true,
                },
            )
        }));
    }
    stamped.sort_by_key(|(time, _)| *time);
    let moments = stamped.into_iter().map(|(_, moment)| moment).collect();
    let initial = model.initial(None);
    Problem::new(
        model,
        initial,
        Arc::from(classes),
        calls,
        moments,
        drop_unobserved,
    )
}

/// The part that these intervals are.
pub(crate) fn part<Op: Clone>(intervals: &[Interval<Op>]) -> Part<Op> {
    let mut stamped: Vec<(u64, u32)> = Vec::new();
    let mut members = Vec::new();
    for (number, interval) in (0..).zip(intervals) {
        members.push(Member {
            source: number,
            op: interval.op.clone(),
            open: interval.ends.is_none(),
        });
        stamped.push((interval.begins, number << 1));
        stamped.extend(interval.ends.map(|end| (end, number << 1 | 1)));
    }
    stamped.sort_by_key(|(time, _)| *time);
    Part {
        key: None,
        members,
        moments: stamped.into_iter().map(|(_, moment)| moment).collect(),
    }
}

/// All ways in which `count` operations can overlap, in order of beginning, each open or not.
pub(crate) fn shapes(count: usize) -> Vec<Vec<(u64, Option<u64>)>> {
    let mut found = Vec::new();
    extend_shapes(count, 0, &mut Vec::new(), &mut found);
    found
}

/// `u64::MAX` as an end stands for: bounded, but not ended yet.
fn extend_shapes(
    count: usize,
    time: u64,
    shape: &mut Vec<(u64, Option<u64>)>,
    found: &mut Vec<Vec<(u64, Option<u64>)>>,
) {
    if shape.len() < count {
        for end in [None, Some(u64::MAX)] {
            shape.push((time, end));
            extend_shapes(count, time + 1, shape, found);
            shape.pop();
        }
    } else if !shape.iter().any(|(_, end)| *end == Some(u64::MAX)) {
        found.push(shape.clone());
        return;
    }
    for ended in 0..shape.len() {
        if shape[ended].1 == Some(u64::MAX) {
            shape[ended].1 = Some(time);
            extend_shapes(count, time + 1, shape, found);
            shape[ended].1 = Some(u64::MAX);
        }
    }
}

/// Each `stride`-th of all ways in which `count` of the operations can be chosen and overlap, and
/// its number among them all.
pub(crate) fn each_history<Op: Clone>(
    count: usize,
    stride: usize,
    ops: &[Op],
    mut looks: impl FnMut(usize, &[Interval<Op>]),
) {
    let shapes = shapes(count);
    let all = ops.len().pow(count as u32) * shapes.len();
    for number in (stride..=all).step_by(stride) {
        let mut chosen = (number - 1) / shapes.len();
        let shape = &shapes[(number - 1) % shapes.len()];
        let intervals: Vec<Interval<Op>> = shape
            .iter()
            .map(|&(begins, ends)| {
                let op = ops[chosen % ops.len()].clone();
                chosen /= ops.len();
                Interval { op, begins, ends }
            })
            .collect();
        looks(number, &intervals);
    }
}

/// Intervals by chance: `count` operations, up to `width` under way together.
pub(crate) fn random_intervals<Op>(
    chance: &mut Stream,
    count: usize,
    width: usize,
    mut op: impl FnMut(&mut Stream) -> Op,
) -> Vec<Interval<Op>> {
    let mut intervals: Vec<Interval<Op>> = Vec::new();
    let mut under_way: Vec<usize> = Vec::new();
    let mut time = 0;
    while intervals.len() < count || !under_way.is_empty() {
        let may_begin = intervals.len() < count && under_way.len() < width;
        if may_begin && (under_way.is_empty() || chance.chance(1, 2)) {
            if !chance.chance(1, 6) {
                under_way.push(intervals.len());
            }
            intervals.push(Interval {
                op: op(chance),
                begins: time,
                ends: None,
            });
        } else {
            let ends = under_way.swap_remove(chance.below(under_way.len() as u64) as usize);
            intervals[ends].ends = Some(time);
        }
        time += 1;
    }
    intervals
}

/// All operations on a register that holds one of so many values.
pub(crate) fn register_ops(values: i64, with_cas: bool) -> Vec<RegisterOp> {
    let mut ops = Vec::new();
    for a in (0..values).map(Value::Int) {
        ops.push(RegisterOp::Read(a.clone()));
        ops.push(RegisterOp::Write(a.clone()));
        if with_cas {
            ops.push(RegisterOp::Mismatch(a.clone()));
            ops.extend((0..values).map(|b| RegisterOp::Cas(a.clone(), Value::Int(b))));
        }
    }
    ops
}

/// A register that holds a number: what views and engines for registers are compared with.
pub(crate) struct Plain;

impl Model for Plain {
    type State = u32;
    type Op = Access<u32>;

    fn name(&self) -> &'static str {
        "accesses"
    }
    fn parse(&self, _: &Operation) -> Result<Option<Access<u32>>, ModelError> {
        Ok(None)
    }
    fn part(&self, _: &Operation, _: &Access<u32>) -> Option<Value> {
        None
    }
    fn initial(&self, _: Option<&Value>) -> u32 {
        0
    }
    fn step(&self, state: &u32, op: &Access<u32>) -> Option<u32> {
        match *op {
            Access::Read(value) => (*state == value).then_some(value),
            Access::Write(value) => Some(value),
            Access::Cas(old, new) => (*state == old).then_some(new),
            Access::Not(value) => (*state != value).then_some(*state),
        }
    }
    fn describe(&self, op: &Access<u32>) -> String {
        format!("{op:?}")
    }
    fn describe_state(&self, state: &u32) -> String {
        state.to_string()
    }
}

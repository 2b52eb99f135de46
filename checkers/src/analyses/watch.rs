//! Watches: everybody who watches a key sees every change of it, once, in order.
//!
//! A watch asks for all events from a revision on, or (nil) to go on where the same process was told
//! last, and is answered with those that came until it ended.
//! - *Replayed*: an event came after one of the same or a newer revision, or is older than what was
//!   asked for.
//! - *Gaps*: an answer leaves out a revision, known from an acknowledged put or from another watch,
//!   that lies between what was asked for and the last event in the answer.
//! - *Contradictions*: two of put and watches have different values for one revision.
//! - *Revisions went back*: a put was given no larger revision than one that had ended before it
//!   began.
//! - *Unexpected*: an event has a value that nobody put, or that was put only later.
//!
//! That an event has not come yet proves nothing; a put that no watch ever showed is counted.

use std::collections::BTreeMap;

use histories::{Operation, Value};
use rustc_hash::{FxHashMap, FxHashSet};

use super::tally::Tally;
use super::{by_key, done_at, is_before, may_have_happened, name_of};
use crate::Check;
use crate::words::amount;

const COUNTS: [&str; 11] = [
    "puts",
    "acknowledged",
    "watches",
    "events",
    "replayed",
    "gaps",
    "contradictions",
    "revisions went back",
    "unexpected",
    "never watched",
    "strange",
];

/// Judges `put` (answers the revision) and `watch`.
pub(super) fn check(operations: &[Operation]) -> Check {
    let mut tally = Tally::new("watch", &COUNTS);
    for (key, operations) in by_key(operations) {
        let stream = Stream::of(&operations, &mut tally);
        stream.judge(&key, &mut tally);
    }
    let [acknowledged, events, unwatched] =
        ["acknowledged", "events", "never watched"].map(|name| tally.count(name));
    if acknowledged == 0 {
        tally.unknown("no put was acknowledged with its revision");
    }
    if events == 0 {
        tally.unknown("no watch was told of any event");
    } else if unwatched > 0 {
        tally.unknown(format!(
            "in no watch's answer: {}",
            amount(unwatched, "acknowledged put")
        ));
    }
    tally.unknown_if_strange("watches");
    tally.finish()
}

struct Event<'a> {
    revision: i64,
    value: &'a Value,
}

struct Answer<'a> {
    operation: &'a Operation,
    /// The first revision asked for, where it was said.
    from: Option<i64>,
    events: Vec<Event<'a>>,
}

#[derive(Default)]
struct Stream<'a> {
    /// Puts that did not fail, by value.
    puts: FxHashMap<&'a Value, Vec<&'a Operation>>,
    /// Those that were acknowledged, with their revisions.
    acknowledged: Vec<(&'a Operation, i64)>,
    answers: Vec<Answer<'a>>,
}

impl<'a> Stream<'a> {
    fn of(operations: &[&'a Operation], tally: &mut Tally) -> Self {
        let mut stream = Stream::default();
        for &operation in operations {
            let is_known = done_at(operation).is_some();
            match &*operation.f {
                "put" | "delete" if !may_have_happened(operation) => tally.add("puts", 1),
                "put" | "delete" => {
                    tally.add("puts", 1);
                    let nil = &Value::Nil;
                    let value = if &*operation.f == "put" {
                        &operation.input
                    } else {
                        nil
                    };
                    stream.puts.entry(value).or_default().push(operation);
                    if let Some(revision) = revision(&operation.output).filter(|_| is_known) {
                        tally.add("acknowledged", 1);
                        stream.acknowledged.push((operation, revision));
                    }
                }
                "watch" if is_known => match answer(operation) {
                    Some(answer) => {
                        tally.add("watches", 1);
                        tally.add("events", answer.events.len());
                        stream.answers.push(answer);
                    }
                    None => tally.add("strange", 1),
                },
                "watch" | "get" | "read" => {}
                _ => tally.add("strange", 1),
            }
        }
        stream
    }

    fn judge(&self, key: &Value, tally: &mut Tally) {
        self.judge_puts(key, tally);
        let known = self.known(key, tally);
        let mut seen: FxHashMap<u64, i64> = FxHashMap::default();
        for answer in &self.answers {
            let process = answer.operation.process;
            let last_seen = seen.get(&process).copied();
            judge_answer(key, answer, last_seen, &known, tally);
            self.judge_values(key, answer, tally);
            let newest = answer.events.iter().map(|event| event.revision).max();
            // Who asks for a revision begins anew.
            let before = last_seen.filter(|_| answer.from.is_none());
            if let Some(newest) = newest.max(before) {
                seen.insert(process, newest);
            }
        }
        let events = self.answers.iter().flat_map(|answer| &answer.events);
        let told: FxHashSet<i64> = events.map(|event| event.revision).collect();
        let unwatched = self
            .acknowledged
            .iter()
            .filter(|(_, revision)| !told.contains(revision));
        tally.add("never watched", unwatched.count());
    }

    /// Revisions grow from put to put.
    fn judge_puts(&self, key: &Value, tally: &mut Tally) {
        let mut ended: Vec<&(&Operation, i64)> = self.acknowledged.iter().collect();
        ended.sort_by_key(|(put, _)| done_at(put));
        let mut ended = ended.into_iter().peekable();
        let mut newest: Option<&(&Operation, i64)> = None;
        for (put, revision) in &self.acknowledged {
            while let Some(other) = ended.next_if(|(other, _)| is_before(other, put)) {
                if newest.is_none_or(|(_, newest)| *newest < other.1) {
                    newest = Some(other);
                }
            }
            if let Some((other, larger)) = newest.filter(|(_, newest)| newest >= revision) {
                let text = || {
                    let (name, other) = (name_of(put), name_of(other));
                    format!("{name} was given the revision {revision}, after {other} had {larger}")
                };
                tally.violation("revisions went back", key, text, &[other, put]);
            }
        }
    }

    /// Every revision that somebody told of, with its value; two that differ are told.
    fn known(&self, key: &Value, tally: &mut Tally) -> BTreeMap<i64, (&'a Value, &'a Operation)> {
        let nil = &Value::Nil;
        let of_put = |(put, revision): &(&'a Operation, i64)| {
            let value = if &*put.f == "put" { &put.input } else { nil };
            (*revision, value, *put)
        };
        let of_answer = |answer: &Answer<'a>| {
            let operation = answer.operation;
            let events = answer.events.iter();
            let told = events.map(move |event| (event.revision, event.value, operation));
            told.collect::<Vec<_>>()
        };
        let puts = self.acknowledged.iter().map(of_put);
        let mut known: BTreeMap<i64, (&Value, &Operation)> = BTreeMap::new();
        for (revision, value, operation) in puts.chain(self.answers.iter().flat_map(of_answer)) {
            match known.get(&revision) {
                None => {
                    known.insert(revision, (value, operation));
                }
                Some((other, by)) if *other != value => {
                    let text = || {
                        let (name, by) = (name_of(operation), name_of(by));
                        format!("revision {revision} is {other} for {by} and {value} for {name}")
                    };
                    tally.violation("contradictions", key, text, &[by, operation]);
                }
                Some(_) => {}
            }
        }
        known
    }

    fn judge_values(&self, key: &Value, answer: &Answer<'a>, tally: &mut Tally) {
        for event in &answer.events {
            let puts = self.puts.get(event.value);
            let first = puts.and_then(|puts| puts.first());
            let name = name_of(answer.operation);
            let (value, revision) = (event.value, event.revision);
            match first {
                None => {
                    let text = || format!("{name} shows {value} at {revision}, which nobody put");
                    tally.violation("unexpected", key, text, &[answer.operation]);
                }
                Some(put) if is_before(answer.operation, put) => {
                    let text = || {
                        format!(
                            "{name} shows {value} at {revision}, put later, by {}",
                            name_of(put)
                        )
                    };
                    tally.violation("unexpected", key, text, &[answer.operation, put]);
                }
                Some(_) => {}
            }
        }
    }
}

fn judge_answer(
    key: &Value,
    answer: &Answer<'_>,
    last_seen: Option<i64>,
    known: &BTreeMap<i64, (&Value, &Operation)>,
    tally: &mut Tally,
) {
    let operation = answer.operation;
    let name = name_of(operation);
    let asked = answer.from.or_else(|| last_seen?.checked_add(1));
    let mut newest: Option<i64> = None;
    for event in &answer.events {
        let revision = event.revision;
        let too_old = asked.filter(|asked| revision < *asked);
        if let Some(newest) = newest.filter(|newest| revision <= *newest) {
            let text = || format!("{name} shows revision {revision} after {newest}");
            tally.violation("replayed", key, text, &[operation]);
        } else if let Some(asked) = too_old {
            let text = || format!("{name} shows revision {revision}, and was to begin at {asked}");
            tally.violation("replayed", key, text, &[operation]);
        }
        newest = newest.max(Some(revision));
    }
    let (Some(first), Some(newest)) = (answer.events.first(), newest) else {
        return;
    };
    let from = asked.unwrap_or(first.revision);
    if from > newest {
        return;
    }
    let mut shown: Vec<i64> = answer.events.iter().map(|event| event.revision).collect();
    shown.sort_unstable();
    for (revision, (value, by)) in known.range(from..=newest) {
        if shown.binary_search(revision).is_err() {
            let text = || {
                format!(
                    "{name} leaves out revision {revision} ({value}), known from {}",
                    name_of(by)
                )
            };
            tally.violation("gaps", key, text, &[operation, by]);
        }
    }
}

/// The revision in a result: by itself, or in a map.
fn revision(value: &Value) -> Option<i64> {
    match value {
        Value::Map(_) => value.get("revision")?.as_int(),
        other => other.as_int(),
    }
}

fn answer(operation: &Operation) -> Option<Answer<'_>> {
    let from = match &operation.input {
        Value::Nil => None,
        input => Some(revision(input)?),
    };
    let events = match &operation.output {
        Value::Nil => Some(Vec::new()),
        Value::List(events) => events.iter().map(event).collect(),
        _ => None,
    };
    Some(Answer {
        operation,
        from,
        events: events?,
    })
}

fn event(value: &Value) -> Option<Event<'_>> {
    let (revision, value) = match value {
        Value::List(pair) => match &pair[..] {
            [revision, value] => (revision.as_int()?, value),
            _ => return None,
        },
        map => (map.get("revision")?.as_int()?, map.get("value")?),
    };
    Some(Event { revision, value })
}

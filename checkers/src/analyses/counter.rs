//! Counters: what is read lies between what must and what may have been added.
//!
//! A read must count every add that was acknowledged before it began, and may count every other one
//! that began before it ended and did not fail. So the smallest it may find is what must be there
//! with all negative amounts that may be there, and the largest that with all positive ones.

use std::collections::BTreeSet;

use histories::{Operation, Value};

use super::tally::Tally;
use super::{AnalysisContext, by_key, done_at, is_ok, may_have_happened, name_of};
use crate::Check;
use crate::words::amount;

/// Sums of amounts of unknown outcome that are kept; where there are more only the bounds count.
const SUMS_MAX: usize = 1 << 16;

struct Change<'a> {
    operation: &'a Operation,
    amount: i128,
}

/// An operation that says what the counter was.
struct Read<'a> {
    operation: &'a Operation,
    found: i128,
    /// What the operation itself had added by then.
    own: i128,
}

#[derive(Default)]
struct Changes<'a> {
    changes: Vec<Change<'a>>,
    reads: Vec<Read<'a>>,
    strange: usize,
}

/// Judges every read of `add`, `increment`, `decrement`, `add-and-get` and `read` (`get`).
pub(super) fn check(operations: &[Operation], initial: Option<&Value>) -> Check {
    let counts = [
        "adds",
        "acknowledged",
        "reads",
        "too low",
        "too high",
        "strange",
    ];
    let mut tally = Tally::new("counter", &counts);
    let start = initial.and_then(Value::as_int).map_or(0, i128::from);
    for (key, operations) in by_key(operations) {
        let all = Changes::of(&operations, &mut tally);
        let bounds = Bounds::of(&all.changes);
        for read in &all.reads {
            let Some(ended) = done_at(read.operation) else {
                continue;
            };
            tally.add("reads", 1);
            let (low, high) = bounds.at(read.operation.invoked.index, ended);
            let (low, high) = (
                start + low + read.own.max(0),
                start + high + read.own.min(0),
            );
            let name = name_of(read.operation);
            let found = read.found;
            let text = || format!("{name} found {found}, and only {low} to {high} is possible");
            if found < low {
                tally.violation("too low", &key, text, &[read.operation]);
            } else if found > high {
                tally.violation("too high", &key, text, &[read.operation]);
            }
        }
    }
    if tally.count("reads") == 0 {
        tally.unknown("no read was answered");
    }
    say_what_is_unknown(&mut tally);
    tally.finish()
}

/// Judges only the reads that began after every acknowledged add had ended, and had had time to become
/// visible where the history says when that was.
pub(super) fn check_final(operations: &[Operation], context: &AnalysisContext<'_>) -> Check {
    let counts = [
        "adds",
        "acknowledged",
        "reads",
        "final reads",
        "impossible",
        "strange",
    ];
    let mut tally = Tally::new("final-counter", &counts);
    let start = context
        .initial
        .and_then(Value::as_int)
        .map_or(0, i128::from);
    for (key, operations) in by_key(operations) {
        let all = Changes::of(&operations, &mut tally);
        let certain = all.changes.iter().filter(|change| is_ok(change.operation));
        let settled = certain
            .clone()
            .map(|change| done_at(change.operation).unwrap_or(u64::MAX));
        let settled = settled.max();
        let sum: i128 = start + certain.map(|change| change.amount).sum::<i128>();
        let open: Vec<&Change<'_>> = all
            .changes
            .iter()
            .filter(|change| !is_ok(change.operation))
            .collect();
        let mut sums = Sums::of(sum);
        let mut counted = 0;
        let mut reads: Vec<&Read<'_>> = all.reads.iter().collect();
        reads.sort_by_key(|read| done_at(read.operation));
        for read in reads {
            let Some(ended) = done_at(read.operation) else {
                continue;
            };
            tally.add("reads", 1);
            let invoked = read.operation.invoked.index;
            let is_early = context
                .settled_index
                .is_some_and(|settled| invoked < settled);
            if is_early || settled.is_some_and(|settled| settled >= invoked) {
                continue;
            }
            tally.add("final reads", 1);
            while let Some(change) = open
                .get(counted)
                .filter(|one| one.operation.invoked.index < ended)
            {
                sums.add(change.amount);
                counted += 1;
            }
            if !sums.may_be(read.found) {
                let (name, found) = (name_of(read.operation), read.found);
                let text = || {
                    format!(
                        "{name} found {found}, but {sum} was acknowledged, and {} of unknown outcome \
                         cannot make up for it",
                        amount(counted as u64, "add")
                    )
                };
                tally.violation("impossible", &key, text, &[read.operation]);
            }
        }
    }
    if tally.count("final reads") == 0 {
        tally.unknown("no read began after the last acknowledged add");
    }
    say_what_is_unknown(&mut tally);
    tally.finish()
}

fn say_what_is_unknown(tally: &mut Tally) {
    if tally.count("acknowledged") == 0 {
        tally.unknown("no add was acknowledged");
    }
    tally.unknown_if_strange("counters");
}

impl<'a> Changes<'a> {
    fn of(operations: &[&'a Operation], tally: &mut Tally) -> Self {
        let mut all = Changes::default();
        for operation in operations {
            all.take(operation);
        }
        let acknowledged = all.changes.iter().filter(|change| is_ok(change.operation));
        tally.add("adds", all.changes.len());
        tally.add("acknowledged", acknowledged.count());
        tally.add("strange", all.strange);
        all
    }

    fn take(&mut self, operation: &'a Operation) {
        if !may_have_happened(operation) {
            return;
        }
        let amount = match &operation.input {
            Value::Nil => Some(1),
            Value::Int(amount) => Some(i128::from(*amount)),
            _ => None,
        };
        let found = operation.output.as_int().map(i128::from);
        match (&*operation.f, amount, found) {
            ("add" | "increment", Some(amount), _) => {
                self.changes.push(Change { operation, amount })
            }
            ("decrement", Some(amount), _) => {
                self.changes.push(Change {
                    operation,
                    amount: -amount,
                });
            }
            ("add-and-get", Some(amount), found) => {
                self.changes.push(Change { operation, amount });
                if let Some(found) = found.filter(|_| is_ok(operation)) {
                    self.reads.push(Read {
                        operation,
                        found,
                        own: amount,
                    });
                }
            }
            ("read" | "get", _, Some(found)) if is_ok(operation) => {
                self.reads.push(Read {
                    operation,
                    found,
                    own: 0,
                });
            }
            ("read" | "get", ..) if !is_ok(operation) => {}
            _ => self.strange += 1,
        }
    }
}

/// Sums of amounts: of those begun, and of those acknowledged, before a time.
struct Bounds {
    /// When each add began, with the sums of the negative and positive amounts until then.
    begun: Vec<(u64, i128, i128)>,
    /// When each was acknowledged, likewise.
    done: Vec<(u64, i128, i128)>,
}

impl Bounds {
    fn of(changes: &[Change<'_>]) -> Self {
        let begun = changes
            .iter()
            .map(|one| (one.operation.invoked.index, one.amount));
        let done = changes
            .iter()
            .filter_map(|one| Some((done_at(one.operation)?, one.amount)));
        Bounds {
            begun: summed(begun.collect()),
            done: summed(done.collect()),
        }
    }

    /// The least and the most that operations can have added, for one of these times.
    fn at(&self, invoked: u64, ended: u64) -> (i128, i128) {
        let (may_lose, may_gain) = before(&self.begun, ended);
        let (lost, gained) = before(&self.done, invoked);
        (gained + may_lose, lost + may_gain)
    }
}

fn summed(mut amounts: Vec<(u64, i128)>) -> Vec<(u64, i128, i128)> {
    amounts.sort_unstable();
    let mut sums = (0, 0);
    let add = |(at, amount): (u64, i128)| {
        sums = (sums.0 + amount.min(0), sums.1 + amount.max(0));
        (at, sums.0, sums.1)
    };
    amounts.into_iter().map(add).collect()
}

fn before(sums: &[(u64, i128, i128)], time: u64) -> (i128, i128) {
    let place = sums.partition_point(|(at, ..)| *at < time);
    place
        .checked_sub(1)
        .map_or((0, 0), |last| (sums[last].1, sums[last].2))
}

/// What a sum can be when each of some amounts may be in it or not.
struct Sums {
    exact: Option<BTreeSet<i128>>,
    low: i128,
    high: i128,
}

impl Sums {
    fn of(sum: i128) -> Self {
        Sums {
            exact: Some(BTreeSet::from([sum])),
            low: sum,
            high: sum,
        }
    }

    fn add(&mut self, amount: i128) {
        self.low += amount.min(0);
        self.high += amount.max(0);
        if let Some(exact) = &mut self.exact {
            let more: Vec<i128> = exact.iter().map(|sum| sum + amount).collect();
            exact.extend(more);
            if exact.len() > SUMS_MAX {
                self.exact = None;
            }
        }
    }

    fn may_be(&self, sum: i128) -> bool {
        match &self.exact {
            Some(exact) => exact.contains(&sum),
            None => (self.low..=self.high).contains(&sum),
        }
    }
}

//! Elements that are added to something and read back with all others: what sets and logs share.
//!
//! For each element of each key:
//! - It is *known* from the end of its first acknowledged add on, or from the end of the first read
//!   that found it: every read that begins later has to find it.
//! - It is *lost* when it is acknowledged, one that begins later than that does not find it, and
//!   neither does any read that ended after that one began.
//! - It has *vanished* when the same is true of one that was only found by a read.
//! - It is *stale* when such a read does not find it, but a later one does. That alone a system may
//!   be allowed to do that promises less than linearizability (the models say whether it did).
//! - It is *unexpected* when it was found by a read that ended before any add of it began, which did
//!   not fail.

use histories::{Operation, Point, Value};
use rustc_hash::{FxHashMap, FxHashSet};

use super::tally::Tally;
use super::{done_at, is_ok, may_have_happened, name_of};
use crate::words::amount;

pub(super) const COUNTS: [&str; 10] = [
    "attempts",
    "acknowledged",
    "read",
    "recovered",
    LOST,
    VANISHED,
    STALE,
    "never read",
    "duplicated",
    "unexpected",
];
const STALE: &str = "stale";
const LOST: &str = "lost";
const VANISHED: &str = "vanished";

/// How often one element may be in one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    /// Once.
    One,
    /// As often as it was added.
    AsAdded,
}

/// A read of everything there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read<'a> {
    pub operation: &'a Operation,
    pub elements: &'a [Value],
}

/// What was done with one key.
#[derive(Debug, Default)]
pub(super) struct Elements<'a> {
    pub reads: Vec<Read<'a>>,
    by_value: FxHashMap<&'a Value, Element<'a>>,
    /// In the order in which they first came up.
    order: Vec<&'a Value>,
    removed: FxHashSet<&'a Value>,
    /// Operations that say nothing about elements.
    pub strange: usize,
}

#[derive(Debug, Default)]
struct Element<'a> {
    adds: Vec<&'a Operation>,
    /// The reads that found it, by number, in order.
    found_by: Vec<usize>,
    /// The read with most copies of it, and how many.
    copies: (usize, usize),
}

impl<'a> Elements<'a> {
    /// Sorts the operations of one key, given by invocation.
    pub fn of(operations: &[&'a Operation], add_names: &[&str]) -> Self {
        let mut all = Elements::default();
        for operation in operations {
            match &*operation.f {
                f if add_names.contains(&f) => all.element(&operation.input).adds.push(operation),
                "read" if is_ok(operation) && done_at(operation).is_some() => {
                    all.take_read(operation)
                }
                "read" => {}
                "remove" if may_have_happened(operation) => {
                    all.removed.insert(&operation.input);
                }
                "remove" | "contains" => {}
                _ => all.strange += 1,
            }
        }
        all
    }

    fn element(&mut self, value: &'a Value) -> &mut Element<'a> {
        self.by_value.entry(value).or_insert_with(|| {
            self.order.push(value);
            Element::default()
        })
    }

    fn take_read(&mut self, operation: &'a Operation) {
        let elements = match &operation.output {
            Value::List(elements) => elements.as_slice(),
            Value::Nil => &[],
            _ => {
                self.strange += 1;
                return;
            }
        };
        let number = self.reads.len();
        self.reads.push(Read {
            operation,
            elements,
        });
        let mut copies: FxHashMap<&Value, usize> = FxHashMap::default();
        for value in elements {
            let count = copies.entry(value).or_default();
            *count += 1;
            let count = *count;
            let element = self.element(value);
            if count == 1 {
                element.found_by.push(number);
            }
            if count > element.copies.1 {
                element.copies = (number, count);
            }
        }
    }

    /// Judges every element.
    pub fn judge(&self, key: &Value, copies: Copies, tally: &mut Tally) {
        tally.add("strange", self.strange);
        for value in &self.order {
            if let Some(element) = self.by_value.get(value) {
                self.judge_element(key, value, element, copies, tally);
            }
        }
    }

    fn judge_element(
        &self,
        key: &Value,
        value: &Value,
        element: &Element<'a>,
        copies: Copies,
        tally: &mut Tally,
    ) {
        let acknowledged = element
            .adds
            .iter()
            .copied()
            .filter(|add| done_at(add).is_some());
        let acknowledged = acknowledged.min_by_key(|add| done_at(add));
        tally.add("attempts", usize::from(!element.adds.is_empty()));
        tally.add("acknowledged", usize::from(acknowledged.is_some()));
        tally.add("read", usize::from(!element.found_by.is_empty()));
        let recovered = acknowledged.is_none()
            && !element.found_by.is_empty()
            && element.adds.iter().any(|add| may_have_happened(add));
        tally.add("recovered", usize::from(recovered));
        self.judge_origin(key, value, element, tally);
        let allowed = match copies {
            Copies::One => 1,
            Copies::AsAdded => element
                .adds
                .iter()
                .filter(|add| may_have_happened(add))
                .count(),
        };
        let (reader, count) = element.copies;
        if count > allowed.max(1) {
            let read = self.reads[reader].operation;
            let text = || format!("{} found {value} {count} times", name_of(read));
            tally.violation("duplicated", key, text, &[read]);
        }
        if !self.removed.contains(value) {
            self.judge_survival(key, value, element, acknowledged, tally);
        }
    }

    /// Whether it was added before it was read.
    fn judge_origin(&self, key: &Value, value: &Value, element: &Element<'a>, tally: &mut Tally) {
        let reads = element
            .found_by
            .iter()
            .map(|&number| self.reads[number].operation);
        let Some(first) = reads.min_by_key(|read| done_at(read)) else {
            return;
        };
        let adds = element.adds.iter().filter(|add| may_have_happened(add));
        let begun = adds.min_by_key(|add| add.invoked.index);
        match begun {
            None => {
                let why = match element.adds.is_empty() {
                    true => "which nobody added",
                    false => "of which every add failed",
                };
                let text = || format!("{} found {value}, {why}", name_of(first));
                let mut shown_by = vec![first];
                shown_by.extend(element.adds.first());
                tally.violation("unexpected", key, text, &shown_by);
            }
            Some(add) if done_at(first).is_some_and(|ended| ended < add.invoked.index) => {
                let text = || {
                    format!(
                        "{} found {value}, which was added later, by {}",
                        name_of(first),
                        name_of(add)
                    )
                };
                tally.violation("unexpected", key, text, &[first, add]);
            }
            Some(_) => {}
        }
    }

    /// Whether it stayed.
    fn judge_survival(
        &self,
        key: &Value,
        value: &Value,
        element: &Element<'a>,
        acknowledged: Option<&'a Operation>,
        tally: &mut Tally,
    ) {
        let found = element
            .found_by
            .iter()
            .map(|&number| self.reads[number].operation);
        let first_found = found.clone().min_by_key(|read| done_at(read));
        let witness = acknowledged
            .into_iter()
            .chain(first_found)
            .min_by_key(|one| done_at(one));
        let Some(witness) = witness else { return };
        let Some(known) = witness.ended else { return };
        let from = self
            .reads
            .partition_point(|read| read.operation.invoked.index <= known.index);
        if from == self.reads.len() && element.found_by.is_empty() {
            tally.add("never read", 1);
            return;
        }
        let Some(last_missed) = self.last_missed(from, &element.found_by) else {
            return;
        };
        let seen_until = found.clone().filter_map(done_at).max().unwrap_or(0);
        let told = match std::ptr::eq(witness, acknowledged.unwrap_or(witness))
            && acknowledged.is_some()
        {
            true => format!("acknowledged by {}", name_of(witness)),
            false => format!("found by {}", name_of(witness)),
        };
        let since = |point: Point| point.time_ns.saturating_sub(known.time_ns);
        if seen_until < last_missed.invoked.index {
            let gone = self.first_missed_for_good(
                from.max(
                    self.reads
                        .partition_point(|read| read.operation.invoked.index <= seen_until),
                ),
                &element.found_by,
            );
            let gone = gone.unwrap_or(last_missed);
            let text = || {
                format!(
                    "{value}, {told}, is not in {} nor in any later read",
                    name_of(gone)
                )
            };
            let is_lost = acknowledged
                .and_then(done_at)
                .is_some_and(|done| done < last_missed.invoked.index);
            let (kind, after) = match is_lost {
                true => (LOST, "lost after"),
                false => (VANISHED, "vanished after"),
            };
            tally.violation(kind, key, text, &[witness, gone]);
            tally.time(after, since(gone.invoked));
        } else {
            let text = || {
                format!(
                    "{value}, {told}, is not in {}, but in a later read",
                    name_of(last_missed)
                )
            };
            tally.oddity(STALE, key, text, &[witness, last_missed]);
            tally.time("stale for", since(last_missed.invoked));
        }
    }

    /// The last read from this number on that is not among those that found it.
    fn last_missed(&self, from: usize, found_by: &[usize]) -> Option<&'a Operation> {
        let mut found = found_by.iter().rev().copied().peekable();
        for number in (from..self.reads.len()).rev() {
            if found.peek() == Some(&number) {
                found.next();
            } else {
                return Some(self.reads[number].operation);
            }
        }
        None
    }

    /// The first read from this number on that is not among those that found it.
    fn first_missed_for_good(&self, from: usize, found_by: &[usize]) -> Option<&'a Operation> {
        let mut found = found_by
            .iter()
            .copied()
            .skip_while(|&number| number < from)
            .peekable();
        for number in from..self.reads.len() {
            if found.peek() == Some(&number) {
                found.next();
            } else {
                return Some(self.reads[number].operation);
            }
        }
        None
    }
}

/// Says what was not looked at, after every key.
pub(super) fn say_what_is_unknown(tally: &mut Tally) {
    let (acknowledged, unread) = (tally.count("acknowledged"), tally.count("never read"));
    if acknowledged == 0 {
        tally.unknown("no add was acknowledged");
    } else if unread > 0 {
        tally.unknown(format!(
            "never looked for again, for no read began after their add: {unread} of {}",
            amount(acknowledged, "acknowledged element")
        ));
    }
    tally.unknown_if_strange("elements");
}

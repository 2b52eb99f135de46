//! Queues: what was enqueued is delivered, once, in order.
//!
//! - A value is *unexpected* when it was delivered before any enqueue of it began that did not fail.
//! - It is *duplicated* when it was delivered more often than it may have been enqueued.
//! - It is *lost* when it was acknowledged, and a dequeue that began later found the queue empty,
//!   and nobody ever got it. A dequeue of unknown outcome may have taken any one value: as many
//!   values as there are such dequeues are not counted as lost.
//! - Two values are *out of order* when the one was acknowledged before the other's enqueue began,
//!   and was taken by a dequeue that began after the other's had ended.
//! - A queue is *wrongly empty* when a dequeue found nothing, though a value was in it all the time:
//!   acknowledged before, and taken by a dequeue that began after.

use histories::{Operation, Value};
use rustc_hash::FxHashMap;

use super::tally::Tally;
use super::{by_key, done_at, is_ok, may_have_happened, name_of};
use crate::Check;
use crate::words::amount;

const COUNTS: [&str; 11] = [
    "attempts",
    "acknowledged",
    "delivered",
    "lost",
    "perhaps taken",
    "not looked for",
    "duplicated",
    "out of order",
    "wrongly empty",
    "unexpected",
    "strange",
];

/// Judges `enqueue` and `dequeue` (nil: it was empty), and `drain` (a list: all there was).
pub(super) fn check(operations: &[Operation], in_order: bool) -> Check {
    let name = if in_order { "queue" } else { "unordered-queue" };
    let mut tally = Tally::new(name, &COUNTS);
    for (key, operations) in by_key(operations) {
        let queue = Queue::of(&operations);
        queue.judge_values(&key, &mut tally);
        queue.judge_loss(&key, &mut tally);
        queue.judge_order(&key, in_order, &mut tally);
        tally.add("strange", queue.strange);
    }
    let [acknowledged, unseen] = ["acknowledged", "not looked for"].map(|name| tally.count(name));
    if acknowledged == 0 {
        tally.unknown("no enqueue was acknowledged");
    } else if unseen > 0 {
        tally.unknown(format!(
            "not delivered: {}; and no dequeue that began later found the queue empty",
            amount(unseen, "acknowledged value")
        ));
    }
    tally.unknown_if_strange("queues");
    tally.finish()
}

#[derive(Default)]
struct Queue<'a> {
    items: FxHashMap<&'a Value, Item<'a>>,
    order: Vec<&'a Value>,
    /// Dequeues that found nothing, and drains.
    empties: Vec<&'a Operation>,
    /// Dequeues of unknown outcome.
    open: Vec<&'a Operation>,
    strange: usize,
}

#[derive(Default)]
struct Item<'a> {
    attempts: usize,
    /// Those that did not fail.
    enqueues: Vec<&'a Operation>,
    deliveries: Vec<&'a Operation>,
}

/// A value that was enqueued and delivered once, both acknowledged.
struct Passage<'a> {
    value: &'a Value,
    enqueue: &'a Operation,
    dequeue: &'a Operation,
}

impl<'a> Queue<'a> {
    fn of(operations: &[&'a Operation]) -> Self {
        let mut queue = Queue::default();
        for operation in operations {
            queue.take(operation);
        }
        queue
    }

    fn take(&mut self, operation: &'a Operation) {
        match (&*operation.f, &operation.output) {
            ("enqueue", _) => {
                let item = self.item(&operation.input);
                item.attempts += 1;
                if may_have_happened(operation) {
                    item.enqueues.push(operation);
                }
            }
            ("dequeue" | "drain", _) if !may_have_happened(operation) => {}
            ("dequeue" | "drain", _) if done_at(operation).is_none() => self.open.push(operation),
            ("dequeue", Value::Nil) => self.empties.push(operation),
            ("dequeue", value) => self.item(value).deliveries.push(operation),
            ("drain", Value::List(values)) => {
                for value in values {
                    self.item(value).deliveries.push(operation);
                }
                self.empties.push(operation);
            }
            ("drain", Value::Nil) => self.empties.push(operation),
            _ => self.strange += 1,
        }
    }

    fn item(&mut self, value: &'a Value) -> &mut Item<'a> {
        self.items.entry(value).or_insert_with(|| {
            self.order.push(value);
            Item::default()
        })
    }

    fn items(&self) -> impl Iterator<Item = (&'a Value, &Item<'a>)> {
        self.order
            .iter()
            .filter_map(|value| Some((*value, self.items.get(value)?)))
    }

    fn judge_values(&self, key: &Value, tally: &mut Tally) {
        for (value, item) in self.items() {
            tally.add("attempts", item.attempts);
            tally.add("acknowledged", item.acknowledged().count());
            tally.add("delivered", item.deliveries.len());
            let first = item
                .deliveries
                .iter()
                .copied()
                .min_by_key(|one| done_at(one));
            let Some(first) = first else { continue };
            let begun = item.enqueues.first().copied();
            let too_early = |enqueue: &Operation| {
                done_at(first).is_some_and(|ended| ended < enqueue.invoked.index)
            };
            match begun {
                None => {
                    let text = || format!("{} got {value}, which nobody enqueued", name_of(first));
                    tally.violation("unexpected", key, text, &[first]);
                }
                Some(enqueue) if too_early(enqueue) => {
                    let text = || {
                        let later = name_of(enqueue);
                        format!(
                            "{} got {value}, which was enqueued later, by {later}",
                            name_of(first)
                        )
                    };
                    tally.violation("unexpected", key, text, &[first, enqueue]);
                }
                Some(_) if item.deliveries.len() > item.enqueues.len() => {
                    let text = || {
                        let (times, most) = (item.deliveries.len(), item.enqueues.len());
                        format!("{value} was delivered {times} times, and enqueued at most {most}")
                    };
                    tally.violation("duplicated", key, text, &item.deliveries);
                }
                Some(_) => {}
            }
        }
    }

    /// What was acknowledged before the last dequeue that found nothing, and that nobody got.
    fn judge_loss(&self, key: &Value, tally: &mut Tally) {
        let last = self
            .empties
            .iter()
            .copied()
            .max_by_key(|one| one.invoked.index);
        let mut gone: Vec<(&Value, &Operation)> = Vec::new();
        for (value, item) in self.items() {
            let missing = item
                .acknowledged()
                .count()
                .saturating_sub(item.deliveries.len());
            let mut before: Vec<&Operation> = item
                .acknowledged()
                .filter(|enqueue| last.is_some_and(|last| super::is_before(enqueue, last)))
                .collect();
            // Deliveries may have been of any of several enqueues of one value.
            let certain = before.len().saturating_sub(item.deliveries.len());
            before.truncate(certain);
            gone.extend(before.into_iter().map(|enqueue| (value, enqueue)));
            tally.add("not looked for", missing - certain.min(missing));
        }
        let Some(last) = last else { return };
        let takers = self
            .open
            .iter()
            .filter(|one| done_at(last).is_some_and(|ended| one.invoked.index < ended));
        let takes_all = takers.clone().any(|one| &*one.f == "drain");
        let takers = if takes_all {
            usize::MAX
        } else {
            takers.count()
        };
        let lost = gone.len().saturating_sub(takers);
        tally.add("perhaps taken", gone.len() - lost);
        for (value, enqueue) in gone.into_iter().take(lost) {
            let text = || match takers {
                0 => format!(
                    "{value}, acknowledged by {}, was never delivered, and {} found the queue empty",
                    name_of(enqueue),
                    name_of(last)
                ),
                some => format!(
                    "{value}, acknowledged by {}, or another value was never delivered: the queue was \
                     empty for {}, and only {some} dequeues have an unknown outcome",
                    name_of(enqueue),
                    name_of(last)
                ),
            };
            tally.violation("lost", key, text, &[enqueue, last]);
        }
    }

    fn judge_order(&self, key: &Value, in_order: bool, tally: &mut Tally) {
        let mut passages: Vec<Passage<'_>> = self.items().filter_map(passage).collect();
        passages.sort_by_key(|passage| done_at(passage.enqueue));
        // Of those acknowledged until then the one that was taken last.
        let mut latest: Vec<usize> = Vec::with_capacity(passages.len());
        for (number, passage) in passages.iter().enumerate() {
            let best = latest.last().copied().filter(|&best: &usize| {
                passages[best].dequeue.invoked.index >= passage.dequeue.invoked.index
            });
            latest.push(best.unwrap_or(number));
        }
        let latest_before = |time: u64| {
            let count =
                passages.partition_point(|one| done_at(one.enqueue).is_some_and(|at| at < time));
            latest
                .get(count.checked_sub(1)?)
                .map(|&number| &passages[number])
        };
        for second in &passages {
            let Some(first) = latest_before(second.enqueue.invoked.index) else {
                continue;
            };
            if !super::is_before(second.dequeue, first.dequeue) {
                continue;
            }
            let text = || {
                format!(
                    "{} was enqueued before {} and taken after it, by {}, which began after {} had ended",
                    first.value,
                    second.value,
                    name_of(first.dequeue),
                    name_of(second.dequeue)
                )
            };
            let shown_by = [first.enqueue, second.enqueue, second.dequeue, first.dequeue];
            match in_order {
                true => tally.violation("out of order", key, text, &shown_by),
                false => tally.oddity("out of order", key, text, &shown_by),
            }
        }
        for empty in self
            .empties
            .iter()
            .copied()
            .filter(|one| &*one.f == "dequeue")
        {
            let Some(kept) = latest_before(empty.invoked.index) else {
                continue;
            };
            if !super::is_before(empty, kept.dequeue) {
                continue;
            }
            let text = || {
                format!(
                    "{} found nothing, though {} was in the queue: acknowledged by {}, taken by {}",
                    name_of(empty),
                    kept.value,
                    name_of(kept.enqueue),
                    name_of(kept.dequeue)
                )
            };
            let shown_by = [kept.enqueue, empty, kept.dequeue];
            match in_order {
                true => tally.violation("wrongly empty", key, text, &shown_by),
                false => tally.oddity("wrongly empty", key, text, &shown_by),
            }
        }
    }
}

impl<'a> Item<'a> {
    fn acknowledged(&self) -> impl Iterator<Item = &'a Operation> {
        self.enqueues
            .iter()
            .copied()
            .filter(|enqueue| done_at(enqueue).is_some())
    }
}

fn passage<'a>((value, item): (&'a Value, &Item<'a>)) -> Option<Passage<'a>> {
    match (&item.enqueues[..], &item.deliveries[..]) {
        ([enqueue], [dequeue]) if is_ok(enqueue) && done_at(enqueue).is_some() => Some(Passage {
            value,
            enqueue,
            dequeue,
        }),
        _ => None,
    }
}

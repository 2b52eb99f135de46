//! First-in first-out queues whose values are unique.
//!
//! An item is a value with the spans of its enqueue, `[e, e']`, and of its dequeue, `[d, d']`.
//! What is never dequeued is as if dequeued after everything else (`d = d' = ∞`), and a dequeue
//! that may or may not have happened as if it may happen that late (`d' = ∞`): an order of
//! everything that ended stays one when the rest is cut off behind it. A value of which enqueue
//! and dequeue are both open can be left out altogether.
//!
//! The history has an order exactly when
//!
//! 1. no value is dequeued more often than enqueued,
//! 2. no dequeue ends before its enqueue begins (`d' < e`),
//! 3. there are no items `a`, `b` with `e'(a) < e(b)` and `d'(b) < d(a)`,
//! 4. no dequeue that found nothing has its whole span inside the union of the times at which
//!    some item is certainly there (`(e', d)`, where `e' < d`).
//!
//! Why this is enough. Write `a → b` when `a` must go through the queue before `b`: `e'(a) < e(b)`
//! or `d'(a) < d(b)` (that `d'(a) < e(b)` follows from either by 2). By 3 no two items precede
//! each other, and then nothing goes round in longer circles: next to each other, two edges of one
//! kind make one, and of two edges of one kind apart from each other, `a → b` and `c → d`, one end
//! can be exchanged, because of two spans before two others the one that ends first is before
//! both; that makes the circle smaller. So the items can be put in one line that keeps `→`, and
//! the enqueues and dequeues, both in this line, can be given times.
//!
//! For 4, choose for every dequeue that found nothing a point in its span at which no item is
//! certainly there. The points divide time into gaps. Put each item, with both its ends, into the
//! first gap that ends after `e` and `d` have begun. It can be done: when `e' < d` no point lies
//! between them, and else its spans overlap. It keeps `→`: if `e'(a) < e(b)`, then `a` goes no later than
//! into the gap of `e'(a)`; if `d'(a) < d(b)`, no later than into that of `d'(a)`. Spans cut down
//! to a gap precede each other only if they did before, so within each gap 2 and 3 still hold.
//!
//! The conditions are those of Henzinger, Sezgin and Vafeiadis, "Aspect-oriented linearizability
//! proofs" (2013), and of Abdulla and others, "Efficient linearizability monitoring" (2025), and
//! Lee and Mathur, "Efficient decrease-and-conquer linearizability monitoring" (2024); the rule
//! for open operations, the sweeps and the proofs here are our own.
//!
//! A dequeue of which nobody knows what it took need not have happened. When there is no order
//! without them, they take what stands in the way of others, as far as they go: an order in which they
//! do is one. When there is none either where from the first of them on everything may be gone that
//! nobody else takes, there is none. Else it is left open.
//!
//! The order that the proof speaks of is made, so that nobody has to believe it. Sorting apart, everything
//! is one pass: `O(n log n)`.

mod order;

use histories::Value;
use rustc_hash::FxHashMap;

use super::{NEVER, Span};
use crate::Monitored;
use crate::models::FifoQueueOp;
use crate::oracle::Interval;

/// How many items may be taken by dequeues of unknown outcome so that the queue is found empty.
const EMPTIED_MAX: usize = 64;

/// What is looked at; all of it but in tests that show that each is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// A value is not dequeued more often than it was enqueued.
    pub counts: bool,
    /// The method does not apply to repeated values.
    pub unique: bool,
    /// A dequeue does not end before its enqueue begins.
    pub causes: bool,
    /// Items leave in the order in which they came.
    pub order: bool,
    /// What is never dequeued stays in front of what came later.
    pub never_dequeued: bool,
    /// A dequeue that may have happened may have emptied the queue.
    pub open_dequeues: bool,
    /// Nothing certainly there when the queue was found empty.
    pub empty: bool,
    /// The certain times of several items together.
    pub union: bool,
    /// A dequeue of unknown outcome can have taken any item.
    pub unknown: bool,
    /// It takes no more than one.
    pub once: bool,
    /// A dequeue belongs to the contradiction where another one that may have happened could stand
    /// in for it.
    pub contested: bool,
}

impl Conditions {
    pub(crate) const ALL: Conditions = Conditions {
        counts: true,
        unique: true,
        causes: true,
        order: true,
        never_dequeued: true,
        open_dequeues: true,
        empty: true,
        union: true,
        unknown: true,
        once: true,
        contested: true,
    };
}

/// Decides the history of a queue that holds `initial` at the start; `None` when a value that
/// comes up more than once, or a dequeue of which nobody knows what it took, leaves it open.
pub(crate) fn decide(
    initial: &[Value],
    history: &[Interval<FifoQueueOp>],
    conditions: Conditions,
) -> Option<Monitored> {
    let values = Values::of(initial, history);
    if conditions.counts
        && let Some(calls) = values.overdrawn(history)
    {
        return Some(Monitored::Violated(calls));
    }
    if conditions.unique && values.repeated() {
        return None;
    }
    let mut items = values.items(initial, history, conditions);
    let unknown = || {
        let all = history.iter().enumerate();
        all.filter(|(_, interval)| interval.op == FifoQueueOp::DequeueUnknown && conditions.unknown)
    };
    if unknown().any(|(_, interval)| interval.ends.is_some()) {
        return None;
    }
    let mut takers: Vec<(u64, usize)> = unknown()
        .map(|(call, interval)| (after(initial, interval.begins), call))
        .collect();
    takers.sort_unstable();
    let unknown = takers.first().map(|(begins, _)| *begins);
    let empties = empties(initial, history, conditions);
    let judge = |items: &[Item]| -> Monitored {
        let points = match contradiction(items, &empties, history, unknown.is_some(), conditions) {
            Ok(points) => points,
            Err(calls) => return Monitored::Violated(calls),
        };
        let order = order::order(items, &empties, &points);
        order.map_or(Monitored::Linearizable, Monitored::Ordered)
    };
    // Without the unknown dequeues there is an order: they need not have happened.
    let found = judge(&items);
    let (Monitored::Violated(_), Some(unknown)) = (&found, unknown) else {
        return Some(found);
    };
    if let Some(items) = taken_by(takers, &items, &empties, conditions)
        && let found = judge(&items)
        && !matches!(found, Monitored::Violated(_))
    {
        return Some(found);
    }
    // As if there were one for every item that nobody else is known to have taken. Where not even
    // that helps, nothing does.
    for item in items.iter_mut().filter(|item| item.leaves.ends == NEVER) {
        item.leaves.begins = item.leaves.begins.min(unknown);
    }
    let found = judge(&items);
    matches!(found, Monitored::Violated(_)).then_some(found)
}

/// What the history says of one value.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    /// Enqueues, what was there at the start included.
    enqueues: u32,
    /// Those of them that certainly happened.
    certain: u32,
    /// Dequeues that certainly happened, and the last of them.
    dequeues: u32,
    dequeue: usize,
    /// The first dequeue that may have happened, and when it begins.
    open_dequeue: Option<(u64, usize)>,
}

/// What the history says of its values, which are numbered.
struct Values<'a> {
    numbers: FxHashMap<&'a Value, u32>,
    told: Vec<Told>,
}

/// A value on its way through the queue.
#[derive(Debug, Clone, Copy)]
struct Item {
    comes: Span,
    leaves: Span,
    /// The calls, where there are some.
    enqueue: Option<usize>,
    dequeue: Option<usize>,
    /// One that may have happened, where none is known to have.
    open_dequeue: Option<usize>,
    /// Whether a dequeue that may have happened could stand in for the one that did.
    contested: bool,
}

/// A dequeue that found nothing.
struct Empty {
    span: Span,
    call: usize,
}

impl<'a> Values<'a> {
    fn of(initial: &'a [Value], history: &'a [Interval<FifoQueueOp>]) -> Self {
        let mut values = Values {
            numbers: FxHashMap::default(),
            told: Vec::new(),
        };
        for value in initial {
            let told = values.told(value);
            told.enqueues += 1;
            told.certain += 1;
        }
        for (call, interval) in history.iter().enumerate() {
            match (&interval.op, interval.ends) {
                (FifoQueueOp::Enqueue(value), ends) => {
                    let told = values.told(value);
                    told.enqueues += 1;
                    told.certain += u32::from(ends.is_some());
                }
                (FifoQueueOp::Dequeue(value), Some(_)) => {
                    let told = values.told(value);
                    told.dequeues += 1;
                    told.dequeue = call;
                }
                (FifoQueueOp::Dequeue(value), None) => {
                    let told = values.told(value);
                    let first = told.open_dequeue.unwrap_or((NEVER, call));
                    told.open_dequeue = Some(first.min((interval.begins, call)));
                }
                (FifoQueueOp::DequeueEmpty | FifoQueueOp::DequeueUnknown, _) => {}
            }
        }
        values
    }

    fn told(&mut self, value: &'a Value) -> &mut Told {
        let next = self.told.len() as u32;
        let number = *self.numbers.entry(value).or_insert(next);
        if number == next {
            self.told.push(Told::default());
        }
        &mut self.told[number as usize]
    }

    /// The dequeues of a value that was dequeued more often than enqueued.
    fn overdrawn(&self, history: &[Interval<FifoQueueOp>]) -> Option<Vec<usize>> {
        self.told
            .iter()
            .find(|told| told.dequeues > told.enqueues)
            .map(|told| {
                let wanted = &history[told.dequeue].op;
                (0..history.len())
                    .filter(|&call| history[call].op == *wanted && history[call].ends.is_some())
                    .collect()
            })
    }

    /// Whether it is not clear which enqueue a dequeue belongs to.
    fn repeated(&self) -> bool {
        self.told.iter().any(|told| match told.dequeues {
            0 => told.certain > 1 && told.open_dequeue.is_some(),
            _ => told.enqueues > 1,
        })
    }

    /// Everything that must go through the queue.
    fn items(
        &self,
        initial: &[Value],
        history: &[Interval<FifoQueueOp>],
        conditions: Conditions,
    ) -> Vec<Item> {
        let there = (0..).zip(initial).filter_map(|(place, value)| {
            let (begins, ends) = (2 * place, 2 * place + 1);
            self.item(value, Span { begins, ends }, initial, history, conditions)
        });
        let enqueued = history.iter().enumerate().filter_map(|(call, interval)| {
            let FifoQueueOp::Enqueue(value) = &interval.op else {
                return None;
            };
            let item = self.item(value, span(initial, interval), initial, history, conditions)?;
            let certain = interval.ends.is_some() || item.dequeue.is_some();
            certain.then_some(Item {
                enqueue: Some(call),
                ..item
            })
        });
        there.chain(enqueued).collect()
    }

    /// The value that comes there then.
    fn item(
        &self,
        value: &Value,
        comes: Span,
        initial: &[Value],
        history: &[Interval<FifoQueueOp>],
        conditions: Conditions,
    ) -> Option<Item> {
        let told = self.told[*self.numbers.get(value)? as usize];
        let open = told.open_dequeue.filter(|_| conditions.open_dequeues);
        let mut item = Item {
            comes,
            leaves: Span {
                begins: open.map_or(NEVER, |(begins, _)| after(initial, begins)),
                ends: NEVER,
            },
            enqueue: None,
            dequeue: None,
            open_dequeue: open.map(|(_, call)| call),
            contested: open.is_some(),
        };
        if told.dequeues > 0 {
            item.leaves = span(initial, &history[told.dequeue]);
            item.dequeue = Some(told.dequeue);
        }
        (conditions.never_dequeued || item.leaves.begins != NEVER).then_some(item)
    }
}

/// The time, moved so that what is there at the start can have come one after the other before.
fn after(initial: &[Value], time: u64) -> u64 {
    time.saturating_add(2 * initial.len() as u64)
}

fn span(initial: &[Value], interval: &Interval<FifoQueueOp>) -> Span {
    Span {
        begins: after(initial, interval.begins),
        ends: interval.ends.map_or(NEVER, |ends| after(initial, ends)),
    }
}

fn empties(
    initial: &[Value],
    history: &[Interval<FifoQueueOp>],
    conditions: Conditions,
) -> Vec<Empty> {
    history
        .iter()
        .enumerate()
        .filter(|(_, interval)| {
            conditions.empty && interval.op == FifoQueueOp::DequeueEmpty && interval.ends.is_some()
        })
        .map(|(call, interval)| Empty {
            span: span(initial, interval),
            call,
        })
        .collect()
}

/// Calls that contradict each other; where there are none, for every dequeue that found nothing an event
/// right after which it may have. `unknown` says whether there are dequeues that could have taken any
/// item.
fn contradiction(
    items: &[Item],
    empties: &[Empty],
    history: &[Interval<FifoQueueOp>],
    unknown: bool,
    conditions: Conditions,
) -> Result<Vec<u64>, Vec<usize>> {
    let taken = |item: &Item| {
        let contested = item.contested || unknown;
        item.dequeue.filter(|_| contested && conditions.contested)
    };
    let early = |item: &&Item| item.leaves.ends < item.comes.begins;
    if let Some(item) = items.iter().find(early).filter(|_| conditions.causes) {
        return Err(item.dequeue.into_iter().collect());
    }
    if let Some((first, second)) = overtaken(items).filter(|_| conditions.order) {
        let calls = [first.enqueue, second.dequeue, taken(&first)];
        return Err(calls.into_iter().flatten().collect());
    }
    let (empty, cover) = match found_empty(items, empties, conditions) {
        Ok(points) => return Ok(points),
        Err(covered) => covered,
    };
    let mut calls = vec![empty];
    for item in cover {
        calls.extend(item.enqueue);
        calls.extend(taken(&item));
    }
    calls.sort_unstable_by_key(|&call| history[call].begins);
    Err(calls)
}

/// The items as they are if the dequeues of unknown outcome, of which we have the beginnings, sorted,
/// took those that stand in the way of others; `None` where they are too few.
///
/// An item that nobody took must be gone when one that came after it is dequeued for certain. Who
/// must go first is taken by the last dequeue that begins before: those that begin earlier are
/// wanted no less by others. What is left over takes what is there when the queue is found empty.
fn taken_by(
    mut takers: Vec<(u64, usize)>,
    items: &[Item],
    empties: &[Empty],
    conditions: Conditions,
) -> Option<Vec<Item>> {
    let mut items = items.to_vec();
    items.sort_unstable_by_key(|item| item.comes.begins);
    // For each the first certain dequeue of what came at or after it.
    let mut first_after = vec![NEVER; items.len() + 1];
    for (place, item) in items.iter().enumerate().rev() {
        first_after[place] = first_after[place + 1].min(item.leaves.ends);
    }
    let mut wanted: Vec<(u64, usize)> = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let after = items.partition_point(|other| other.comes.begins <= item.comes.ends);
        let gone_by = first_after[after];
        if item.leaves.begins == NEVER && gone_by != NEVER {
            wanted.push((gone_by, place));
        }
    }
    wanted.sort_unstable();
    let mut take = |item: &mut Item, gone_by: u64| {
        let last = takers.partition_point(|(begins, _)| *begins < gone_by);
        let taker = last.checked_sub(1)?;
        let (begins, call) = match conditions.once {
            true => takers.remove(taker),
            false => takers[taker],
        };
        item.leaves.begins = begins;
        item.open_dequeue = Some(call);
        Some(())
    };
    for (gone_by, place) in wanted {
        take(&mut items[place], gone_by)?;
    }
    for _ in 0..EMPTIED_MAX {
        let Err((call, _)) = found_empty(&items, empties, conditions) else {
            break;
        };
        let span = empties.iter().find(|empty| empty.call == call)?.span;
        let stays = |item: &&mut Item| item.leaves.begins == NEVER && item.comes.ends < span.ends;
        take(items.iter_mut().find(stays)?, span.ends)?;
    }
    Some(items)
}

/// Two items of which the first came before the second and left after it.
fn overtaken(items: &[Item]) -> Option<(Item, Item)> {
    let mut by_end: Vec<u32> = (0..items.len() as u32).collect();
    by_end.sort_unstable_by_key(|&item| items[item as usize].comes.ends);
    let mut by_begin: Vec<u32> = (0..items.len() as u32).collect();
    by_begin.sort_unstable_by_key(|&item| items[item as usize].comes.begins);
    let mut come = by_end.iter().map(|&item| items[item as usize]).peekable();
    // Of those that came before, the one that leaves last.
    let mut last: Option<Item> = None;
    for second in by_begin.iter().map(|&item| items[item as usize]) {
        while let Some(first) = come.next_if(|first| first.comes.ends < second.comes.begins) {
            if last.is_none_or(|last| last.leaves.begins < first.leaves.begins) {
                last = Some(first);
            }
        }
        if let Some(first) = last.filter(|first| second.leaves.ends < first.leaves.begins) {
            return Some((first, second));
        }
    }
    None
}

/// For every dequeue that found nothing an event in its span right after which no item is certainly
/// there; or one of them without such an event, and items that show it.
fn found_empty(
    items: &[Item],
    empties: &[Empty],
    conditions: Conditions,
) -> Result<Vec<u64>, (usize, Vec<Item>)> {
    if empties.is_empty() {
        return Ok(Vec::new());
    }
    let mut certain: Vec<Item> = items
        .iter()
        .filter(|item| item.comes.ends < item.leaves.begins)
        .copied()
        .collect();
    certain.sort_unstable_by_key(|item| item.comes.ends);
    // Longest stretches of time at every moment of which some item is certainly there.
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for item in &certain {
        let (from, to) = (item.comes.ends, item.leaves.begins);
        match stretches.last_mut() {
            Some((_, end)) if from < *end && conditions.union => *end = to.max(*end),
            _ => stretches.push((from, to)),
        }
    }
    let each = empties.iter().map(|empty| {
        let span = empty.span;
        let begun = stretches.partition_point(|(from, _)| *from <= span.begins);
        let within = begun.checked_sub(1).map(|last| stretches[last].1);
        match within.filter(|end| span.begins < *end) {
            Some(end) if span.ends < end => Err((empty.call, cover(&certain, span))),
            Some(end) => Ok(end),
            None => Ok(span.begins),
        }
    });
    each.collect()
}

/// Few of the items, sorted by when they came, that together are there all through the span.
fn cover(certain: &[Item], span: Span) -> Vec<Item> {
    let mut chosen: Vec<Item> = Vec::new();
    let (mut reached, mut best) = (span.begins, None::<Item>);
    for item in certain {
        if reached > span.ends {
            break;
        }
        if item.comes.ends > reached {
            chosen.extend(best.take());
            reached = chosen.last().map_or(reached, |item| item.leaves.begins);
        }
        if best.is_none_or(|best| best.leaves.begins < item.leaves.begins) {
            best = Some(*item);
        }
    }
    chosen.extend(best.filter(|_| reached <= span.ends));
    chosen
}

#[cfg(test)]
mod tests;

//! An order of the operations of a queue whose items do not contradict each other: what the proof
//! says that there is, made.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Empty, Item};
use crate::monitors::{NEVER, Span};

/// Where an operation takes effect: in which of the times between two at which the queue was found
/// empty, after which event, and there by kind and by the place of its item in the line.
type Place = (usize, u64, Kind, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Enqueue,
    Dequeue,
    Empty,
}

/// An order of all calls. Each of the dequeues that found nothing does so right after one of these
/// events, at which no item is certainly there.
pub(super) fn order(items: &[Item], empties: &[Empty], points: &[u64]) -> Option<Vec<usize>> {
    let mut ends = points.to_vec();
    ends.sort_unstable();
    ends.dedup();
    // The first that ends after both have begun.
    let part = |item: &Item| {
        let begun = item.comes.begins.max(item.leaves.begins);
        ends.partition_point(|end| *end < begun)
    };
    let mut line = line(items)?;
    line.sort_by_key(|&item| part(&items[item]));
    let mut placed: Vec<(Place, usize)> = Vec::new();
    let (mut came, mut left) = (0, 0);
    for (turn, item) in line.into_iter().map(|item| &items[item]).enumerate() {
        let part = part(item);
        let begins = part.checked_sub(1).map_or(0, |before| ends[before]);
        came = item.comes.begins.max(begins).max(came);
        left = item.leaves.begins.max(came).max(left);
        let enqueue = (part, came, Kind::Enqueue, turn);
        placed.extend(item.enqueue.map(|call| (enqueue, call)));
        let dequeue = (part, left, Kind::Dequeue, turn);
        let call = item.dequeue.or(item.open_dequeue);
        placed.extend(call.filter(|_| left != NEVER).map(|call| (dequeue, call)));
    }
    for (empty, point) in empties.iter().zip(points) {
        let part = ends.partition_point(|end| end < point);
        placed.push(((part, *point, Kind::Empty, 0), empty.call));
    }
    placed.sort_unstable();
    Some(placed.into_iter().map(|(_, call)| call).collect())
}

/// The items in a line in which none is behind one that certainly came or left after it.
fn line(items: &[Item]) -> Option<Vec<usize>> {
    let mut sides = [
        Side::of(items.iter().map(|item| item.comes)),
        Side::of(items.iter().map(|item| item.leaves)),
    ];
    let mut line = Vec::with_capacity(items.len());
    let mut placed = vec![false; items.len()];
    let mut may_be_next = vec![0; items.len()];
    let mut next = BinaryHeap::new();
    while line.len() < items.len() {
        for side in &mut sides {
            side.pass(&placed, |item| {
                may_be_next[item] += 1;
                if may_be_next[item] == 2 {
                    next.push(Reverse((items[item].leaves.ends, item)));
                }
            });
        }
        let Reverse((_, item)) = next.pop()?;
        placed[item] = true;
        line.push(item);
    }
    Some(line)
}

/// Either the enqueues or the dequeues.
struct Side {
    spans: Vec<Span>,
    by_begin: Vec<usize>,
    by_end: Vec<usize>,
    begun: usize,
    ended: usize,
}

impl Side {
    fn of(spans: impl Iterator<Item = Span>) -> Self {
        let spans: Vec<Span> = spans.collect();
        let by = |time: fn(&Span) -> u64| {
            let mut sorted: Vec<usize> = (0..spans.len()).collect();
            sorted.sort_by_key(|&item| time(&spans[item]));
            sorted
        };
        Side {
            by_begin: by(|span| span.begins),
            by_end: by(|span| span.ends),
            spans,
            begun: 0,
            ended: 0,
        }
    }

    /// Tells of those that begin before any ends that is not placed.
    fn pass(&mut self, placed: &[bool], mut tell: impl FnMut(usize)) {
        while self
            .by_end
            .get(self.ended)
            .is_some_and(|&item| placed[item])
        {
            self.ended += 1;
        }
        let first = self.by_end.get(self.ended);
        let first = first.map_or(NEVER, |&item| self.spans[item].ends);
        while let Some(&item) = self.by_begin.get(self.begun)
            && self.spans[item].begins <= first
        {
            tell(item);
            self.begun += 1;
        }
    }
}

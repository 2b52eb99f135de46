//! What each guarantee means, word for word, tried out in full: no algorithm of the checker is used.

use crate::Guarantee;
use crate::registers::Access;

/// An operation as the definitions see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Op {
    pub process: usize,
    pub access: Access<u32>,
    pub begins: u64,
    pub ends: Option<u64>,
}

impl Op {
    pub(super) fn found(&self) -> Option<u32> {
        match self.access {
            Access::Read(value) | Access::Cas(value, _) => Some(value),
            Access::Write(_) | Access::Not(_) => None,
        }
    }

    pub(super) fn left(&self) -> Option<u32> {
        match self.access {
            Access::Write(value) => Some(value),
            Access::Cas(old, new) if old != new => Some(new),
            _ => None,
        }
    }
}

/// Which writes an operation may have read: `None` stands for the start.
pub(super) fn candidates(history: &[Op], read: usize) -> Vec<Option<usize>> {
    let value = history[read].found().unwrap();
    let ends = history[read].ends.unwrap();
    let start = (value == 0).then_some(None);
    let writes = (0..history.len()).filter(|&write| {
        write != read && history[write].left() == Some(value) && history[write].begins < ends
    });
    start.into_iter().chain(writes.map(Some)).collect()
}

/// Every order of the writes that is in keeping with real time; the start is first in each.
pub(super) fn write_orders(history: &[Op]) -> Vec<Vec<usize>> {
    fn extend(history: &[Op], order: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
        let left: Vec<usize> = (0..history.len())
            .filter(|write| history[*write].left().is_some() && !order.contains(write))
            .collect();
        if left.is_empty() {
            return found.push(order.clone());
        }
        for &next in &left {
            let late = |other: &usize| history[*other].ends < Some(history[next].begins);
            if left
                .iter()
                .any(|other| history[*other].ends.is_some() && late(other))
            {
                continue;
            }
            order.push(next);
            extend(history, order, found);
            order.pop();
        }
    }
    let mut found = Vec::new();
    extend(history, &mut Vec::new(), &mut found);
    found
}

/// Whether there is an order of the writes, and for each read a write, that keep the guarantee.
pub(super) fn keeps_session(history: &[Op], guarantee: Guarantee) -> bool {
    let reads: Vec<usize> = (0..history.len())
        .filter(|&read| history[read].found().is_some() && history[read].ends.is_some())
        .collect();
    let choices: Vec<Vec<Option<usize>>> = reads
        .iter()
        .map(|&read| candidates(history, read))
        .collect();
    let ways: usize = choices.iter().map(Vec::len).product();
    let orders = write_orders(history);
    (0..ways).any(|mut way| {
        let mut source = vec![None; history.len()];
        for (read, choices) in reads.iter().zip(&choices) {
            source[*read] = Some(choices[way % choices.len()]);
            way /= choices.len();
        }
        orders
            .iter()
            .any(|order| in_order(history, guarantee, &source, order))
    })
}

/// Whether one order of the writes, and one write for each read, keep the guarantee.
pub(super) fn in_order(
    history: &[Op],
    guarantee: Guarantee,
    source: &[Option<Option<usize>>],
    order: &[usize],
) -> bool {
    // Where a write stands; the start before all.
    let rank = |write: Option<usize>| match write {
        None => 0,
        Some(write) => 1 + order.iter().position(|other| *other == write).unwrap(),
    };
    for (second, late) in history.iter().enumerate() {
        for (first, early) in history.iter().enumerate() {
            let is_earlier = early.process == late.process && early.begins < late.begins;
            let wrong = match guarantee {
                Guarantee::MonotonicReads => match (source[first], source[second]) {
                    (Some(old), Some(new)) => is_earlier && rank(new) < rank(old),
                    _ => false,
                },
                Guarantee::ReadYourWrites => match (early.left(), source[second]) {
                    (Some(_), Some(new)) => {
                        is_earlier && early.ends.is_some() && rank(new) < rank(Some(first))
                    }
                    _ => false,
                },
                Guarantee::WritesFollowReads => match (source[first], late.left()) {
                    // A compare-and-set writes after its own read.
                    (Some(old), Some(_)) => {
                        (is_earlier || first == second) && rank(Some(second)) < rank(old)
                    }
                    _ => false,
                },
                _ => unreachable!(),
            };
            if wrong {
                return false;
            }
        }
    }
    true
}

/// Whether some interleaving of the processes explains everything that is left of them.
pub(super) fn is_sequential(processes: &mut [Vec<Op>], value: u32) -> bool {
    if processes.iter().flatten().all(|op| op.ends.is_none()) {
        return true;
    }
    (0..processes.len()).any(|process| {
        if processes[process].is_empty() {
            return false;
        }
        let op = processes[process].remove(0);
        let next = match op.access {
            Access::Read(found) => (found == value).then_some(value),
            Access::Not(other) => (other != value).then_some(value),
            Access::Write(new) => Some(new),
            Access::Cas(old, new) => (old == value).then_some(new),
        };
        let done = next.is_some_and(|next| is_sequential(processes, next))
            || (op.ends.is_none() && is_sequential(processes, value));
        processes[process].insert(0, op);
        done
    })
}

pub(super) fn by_process(history: &[Op]) -> Vec<Vec<Op>> {
    let mut processes: Vec<Vec<Op>> = vec![Vec::new(); 4];
    for op in history {
        processes[op.process].push(*op);
    }
    processes
}

/// By how many writes a read is behind at least, and when the first of these ended; `None` when
/// nothing can have been read.
pub(super) fn behind(
    history: &[Op],
    fits: impl Fn(Option<usize>) -> bool,
    read: &Op,
) -> Option<(u64, u64)> {
    let writes = (0..history.len()).filter(|write| history[*write].left().is_some());
    let candidates = std::iter::once(None).chain(writes.clone().map(Some));
    candidates
        .filter(|candidate| fits(*candidate))
        .filter(|candidate| {
            candidate.is_none_or(|write| history[write].begins < read.ends.unwrap())
        })
        .map(|candidate| {
            let later = writes.clone().filter(|&other| {
                let after = match candidate {
                    None => true,
                    Some(write) => history[write]
                        .ends
                        .is_some_and(|end| end < history[other].begins),
                };
                after && history[other].ends.is_some_and(|end| end < read.begins)
            });
            let first = later.clone().filter_map(|other| history[other].ends).min();
            (later.count() as u64, first.unwrap_or(u64::MAX))
        })
        .min_by_key(|(writes, first)| (*writes, u64::MAX - first))
}

/// Every read by itself: whether all are of writes they may be of, and the greatest distance.
pub(super) fn regular_by_definition(history: &[Op]) -> (bool, u64, Option<u64>) {
    let (mut holds, mut writes, mut longest) = (true, 0, None);
    for (number, op) in history
        .iter()
        .enumerate()
        .filter(|(_, op)| op.ends.is_some())
    {
        let left = |write: Option<usize>| write.map_or(Some(0), |write| history[write].left());
        if let Some(value) = op.found() {
            let fits = |write: Option<usize>| write != Some(number) && left(write) == Some(value);
            match behind(history, fits, op) {
                None => holds = false,
                Some((0, _)) => {}
                Some((count, since)) => {
                    holds = false;
                    writes = writes.max(count);
                    longest = longest.max(Some(op.begins - since));
                }
            }
        }
        if let Access::Not(value) = op.access {
            let other = |write: Option<usize>| left(write) != Some(value);
            holds &= behind(history, other, op).is_some_and(|(count, _)| count == 0);
        }
    }
    (holds, writes, longest)
}

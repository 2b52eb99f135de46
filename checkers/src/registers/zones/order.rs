//! An order of the whole history, built from the zones.

use super::clusters::{self, Cluster};
use super::{BACKWARD, Blocks, NEVER, NONE};
use crate::registers::{Access, OPEN, RegisterHistory};

/// A linearization: the numbers of all completed calls and of the open writes and
/// compare-and-sets that were observed, each once. `None` where there is none or where
/// [`decide`](super::decide) says nothing. Takes time `n log n` in the length.
pub(crate) fn order(history: &RegisterHistory) -> Option<Vec<u32>> {
    let blocks = Blocks::of(history, None)?;
    if blocks.conflict(None).is_some() {
        return None;
    }
    let anchors = anchors(&blocks.marks);
    let reads = Reads::of(history, blocks.clusters.len());
    let mut firsts: Vec<(u32, u32)> = Vec::new();
    for value in 0..blocks.clusters.len() as u32 {
        if blocks.clusters[value as usize].write_begins == NEVER
            || blocks.chains.is_left_by_cas(value)
        {
            continue;
        }
        let zone = blocks.zone(value, &mut 0, None).ok()?;
        if zone.is_forward() {
            firsts.push((zone.first_return, value));
        } else if zone.first_return != NEVER {
            firsts.push((anchors[zone.last_begin as usize], value));
        }
    }
    firsts.sort_unstable();
    let mut order = Vec::with_capacity(history.calls.len());
    for (_, first) in firsts {
        let mut value = Some(first);
        while let Some(met) = value {
            order.extend(write(history, &blocks.clusters[met as usize]));
            order.extend_from_slice(reads.of_value(met));
            value = blocks.chains.next(met);
        }
    }
    Some(order)
}

/// For each place, itself, or the end of the forward zone it is in.
fn anchors(marks: &[u32]) -> Vec<u32> {
    let mut ends = 0;
    (0_u32..)
        .zip(marks)
        .map(|(place, &mark)| {
            let anchor = place.max(ends);
            if mark != NONE && mark & BACKWARD == 0 {
                ends = mark;
            }
            anchor
        })
        .collect()
}

/// The call that wrote the cluster's value; the start is none.
fn write(history: &RegisterHistory, cluster: &Cluster) -> Option<u32> {
    let moment = cluster.write_begins.checked_sub(1)?;
    history.moments.get(moment as usize).map(|call| call >> 1)
}

/// The completed reads of each value, in order of beginning.
struct Reads {
    /// Where those of each value begin in `calls`; one more at the end.
    begins: Vec<u32>,
    calls: Vec<u32>,
}

impl Reads {
    fn of(history: &RegisterHistory, values: usize) -> Self {
        let reads = || {
            (0_u32..)
                .zip(&history.calls)
                .filter(|(_, call)| call.returns != OPEN)
                .filter_map(|(number, call)| match clusters::access(call) {
                    Access::Read(value) => Some((value as usize, number)),
                    Access::Write(_) | Access::Cas(..) | Access::Not(_) => None,
                })
        };
        let mut begins = vec![0_u32; values + 1];
        for (value, _) in reads() {
            begins[value + 1] += 1;
        }
        for value in 0..values {
            begins[value + 1] += begins[value];
        }
        let mut filled = begins.clone();
        let mut calls = vec![0; begins[values] as usize];
        for (value, number) in reads() {
            calls[filled[value] as usize] = number;
            filled[value] += 1;
        }
        Reads { begins, calls }
    }

    fn of_value(&self, value: u32) -> &[u32] {
        let [from, to] = [value as usize, value as usize + 1].map(|i| self.begins[i] as usize);
        &self.calls[from..to]
    }
}

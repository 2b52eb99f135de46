//! Each read by itself: is it of a write it may be of, and how far is it behind?

use super::facts::Facts;
use super::{Answer, Cause};
use crate::registers::{Access, OPEN};

/// A read of a value that was overwritten for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stale {
    /// The read.
    pub read: u32,
    /// How many writes began after the write it found had ended, and ended before it began.
    pub writes: u64,
    /// The first of these to end.
    pub overwriter: u32,
}

/// Whether the history is that of a regular register, and all stale reads, in order of beginning.
pub(super) fn check(facts: &Facts) -> (Answer, Vec<Stale>) {
    let newest_over = newest_over(facts);
    let last_end = last_ends(facts);
    let mut stale: Vec<(u32, u32)> = Vec::new();
    let mut first: Option<(u32, Cause)> = None;
    let mut broken = |ends: u32, cause: Cause| {
        if first.is_none_or(|(first, _)| ends < first) {
            first = Some((ends, cause));
        }
    };
    for (number, call) in (0..)
        .zip(&facts.calls)
        .filter(|(_, call)| call.is_completed())
    {
        // Writes that ended before are no candidates any more.
        let bound = newest_over[call.begins as usize];
        if let Some(value) = call.reads {
            match facts.writers_before(value, call.ends).last() {
                None => broken(call.ends, Cause::FromNothing(number)),
                Some(&write) => {
                    let ends = last_end.of_value[write as usize];
                    if ends < bound {
                        broken(call.ends, Cause::Overwritten(number));
                        stale.push((number, ends));
                    }
                }
            }
        }
        if let Access::Not(value) = call.access {
            let begun = facts
                .writes
                .partition_point(|write| write.begins < call.ends);
            if last_end.but(begun - 1, value) < i64::from(bound) {
                broken(call.ends, Cause::NoOther(number));
            }
        }
    }
    let answer = first.map_or(Answer::Holds, |(_, cause)| Answer::Broken(cause));
    (answer, measured(facts, &stale))
}

/// For each position: of the writes that ended before it, when the one that began last began. 0
/// before any ended.
fn newest_over(facts: &Facts) -> Vec<u32> {
    let mut newest = vec![0; facts.end as usize + 1];
    for write in facts.writes.iter().filter(|write| write.ends != OPEN) {
        newest[write.ends as usize] = write.begins;
    }
    for position in 1..newest.len() {
        newest[position] = newest[position].max(newest[position - 1]);
    }
    newest
}

/// Of the writes up to each one, in order of beginning, when the last ended.
struct LastEnds {
    /// Of those of its own value.
    of_value: Vec<u32>,
    /// The value of which a write ended last, and when.
    first: Vec<(u32, u32)>,
    /// When the last of all other values ended.
    second: Vec<Option<u32>>,
}

impl LastEnds {
    /// When the last write up to this one ended that is of another value; negative when none is.
    fn but(&self, write: usize, value: u32) -> i64 {
        match self.first[write] {
            (first, ends) if first != value => i64::from(ends),
            _ => self.second[write].map_or(-1, i64::from),
        }
    }
}

fn last_ends(facts: &Facts) -> LastEnds {
    let mut by_value: rustc_hash::FxHashMap<u32, u32> = rustc_hash::FxHashMap::default();
    let mut ends = LastEnds {
        of_value: Vec::with_capacity(facts.writes.len()),
        first: Vec::with_capacity(facts.writes.len()),
        second: Vec::with_capacity(facts.writes.len()),
    };
    let (mut first, mut second) = ((facts.writes[0].value, 0), None);
    for write in &facts.writes {
        let last = by_value.entry(write.value).or_insert(write.ends);
        *last = (*last).max(write.ends);
        ends.of_value.push(*last);
        if write.value == first.0 {
            first.1 = first.1.max(write.ends);
        } else if write.ends > first.1 {
            (first, second) = ((write.value, write.ends), Some(first.1));
        } else {
            second = second.max(Some(write.ends));
        }
        ends.first.push(first);
        ends.second.push(second);
    }
    ends
}

/// Measures stale reads, each given with the end of the write it found.
fn measured(facts: &Facts, stale: &[(u32, u32)]) -> Vec<Stale> {
    if stale.is_empty() {
        return Vec::new();
    }
    let mut ended_at: Vec<u32> = vec![u32::MAX; facts.end as usize + 1];
    for (number, write) in (0..).zip(&facts.writes).skip(1) {
        if write.ends != OPEN {
            ended_at[write.ends as usize] = number;
        }
    }
    // Of the writes that began at a position or after it, the first end.
    let mut first_end = vec![OPEN; facts.end as usize + 2];
    for write in facts.writes.iter().skip(1) {
        first_end[write.begins as usize] = write.ends;
    }
    for position in (0..facts.end as usize + 1).rev() {
        first_end[position] = first_end[position].min(first_end[position + 1]);
    }
    // How many of the writes that have ended began up to each position.
    let mut begun = Counts::new(facts.end as usize + 1);
    let (mut position, mut over) = (0, 0);
    let mut measured = Vec::with_capacity(stale.len());
    for &(read, found_end) in stale {
        let began = facts.calls[read as usize].begins;
        while position < began {
            let write = ended_at[position as usize];
            if write != u32::MAX {
                begun.add(facts.writes[write as usize].begins as usize);
                over += 1;
            }
            position += 1;
        }
        let overwriter = ended_at[first_end[found_end as usize] as usize];
        measured.extend(
            facts.writes[overwriter as usize]
                .call
                .map(|overwriter| Stale {
                    read,
                    writes: over - begun.up_to(found_end as usize),
                    overwriter,
                }),
        );
    }
    measured
}

/// Counts by position (Fenwick, "A new data structure for cumulative frequency tables", 1994).
struct Counts(Vec<u64>);

impl Counts {
    fn new(positions: usize) -> Self {
        Counts(vec![0; positions + 1])
    }

    fn add(&mut self, position: usize) {
        let mut at = position + 1;
        while at < self.0.len() {
            self.0[at] += 1;
            at += at & at.wrapping_neg();
        }
    }

    /// How many there are up to a position and at it.
    fn up_to(&self, position: usize) -> u64 {
        let mut at = position + 1;
        let mut sum = 0;
        while at > 0 {
            sum += self.0[at];
            at &= at - 1;
        }
        sum
    }
}

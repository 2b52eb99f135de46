//! Time as monitors see it that place operations: the stretches between two events.
//!
//! An operation that begins with one event and ends with another may take effect in any gap between
//! them, and how many may take effect in one gap has no bound. So a monitor says for each operation
//! in which gap it is, and for those of one gap which comes first.

use crate::oracle::Interval;

/// The events of a history in order, and with each the gap after it.
#[derive(Debug)]
pub(crate) struct Gaps {
    /// When the events are, sorted.
    times: Vec<u64>,
}

/// The gaps in which an operation may take effect: from the first up to but not with the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub first: usize,
    pub end: usize,
}

impl Gaps {
    pub(crate) fn of<Op>(history: &[Interval<Op>]) -> Self {
        let mut times: Vec<u64> = history
            .iter()
            .flat_map(|interval| [Some(interval.begins), interval.ends])
            .flatten()
            .collect();
        times.sort_unstable();
        Gaps { times }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// The first gap after this time.
    pub(crate) fn after(&self, time: u64) -> usize {
        self.times.partition_point(|event| *event < time)
    }

    /// Where an operation may take effect. One that never ends may do so to the last gap.
    pub(crate) fn room<Op>(&self, interval: &Interval<Op>) -> Room {
        Room {
            first: self.after(interval.begins),
            end: interval.ends.map_or(self.len(), |ends| self.after(ends)),
        }
    }
}

/// Gaps that are covered, once and for all.
#[derive(Debug)]
pub(crate) struct Covered {
    /// For each gap that is free itself, else one further on; one more at the end is always free.
    next: Vec<u32>,
    /// For each covered gap the number of what covered it first.
    by: Vec<u32>,
}

impl Covered {
    pub(crate) fn none(gaps: usize) -> Self {
        Covered {
            next: (0..=gaps as u32).collect(),
            by: vec![u32::MAX; gaps],
        }
    }

    /// The first free gap from this one on; the number of gaps where there is none.
    pub(crate) fn free(&mut self, gap: usize) -> usize {
        let mut found = gap;
        while self.next[found] as usize != found {
            found = self.next[found] as usize;
        }
        let mut passed = gap;
        while passed != found {
            passed = std::mem::replace(&mut self.next[passed], found as u32) as usize;
        }
        found
    }

    /// Covers all gaps from the first up to but not with the end.
    pub(crate) fn cover(&mut self, first: usize, end: usize, by: u32) {
        let mut gap = self.free(first);
        while gap < end {
            self.by[gap] = by;
            self.next[gap] = gap as u32 + 1;
            gap = self.free(gap);
        }
    }

    /// What covered this gap, which is covered.
    pub(crate) fn by(&self, gap: usize) -> u32 {
        self.by[gap]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_covered_is_not_free() {
        let mut covered = Covered::none(10);
        covered.cover(2, 5, 0);
        covered.cover(4, 7, 1);
        assert_eq!(
            [0, 2, 4, 6, 7].map(|gap| covered.free(gap)),
            [0, 7, 7, 7, 7]
        );
        assert_eq!([2, 4, 5, 6].map(|gap| covered.by(gap)), [0, 0, 1, 1]);
        covered.cover(7, 10, 2);
        assert_eq!((covered.free(3), covered.free(10)), (10, 10));
    }
}

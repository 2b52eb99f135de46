//! Takes of unknown outcome, each of which may have taken any element: who takes which.

/// So often is it tried for each of them, and all attempts look at so many events at most.
const ATTEMPTS_PER_TAKER: usize = 4;
const EVENTS_LOOKED_AT_MAX: usize = 10_000_000;

/// Takes of which nobody knows what they took.
///
/// Who must be gone by some time is taken by the last that begins before: those that begin earlier are
/// wanted no less by others.
#[derive(Debug)]
pub(crate) struct Takers {
    /// When those begin that have taken nothing, and which calls they are, sorted.
    left: Vec<(usize, usize)>,
    attempts: usize,
}

impl Takers {
    /// They begin in these gaps of so many, and are these calls.
    pub(crate) fn of(all: impl Iterator<Item = (usize, usize)>, gaps: usize) -> Self {
        let mut left: Vec<(usize, usize)> = all.collect();
        left.sort_unstable();
        Takers {
            attempts: (ATTEMPTS_PER_TAKER * left.len()).min(EVENTS_LOOKED_AT_MAX / gaps.max(1)),
            left,
        }
    }

    /// When the first of them begins.
    pub(crate) fn first(&self) -> Option<usize> {
        self.left.first().map(|(begins, _)| *begins)
    }

    /// How often elements may be given to others before that is given up.
    pub(crate) fn attempts(&self) -> usize {
        self.attempts
    }

    /// One to take something so that it is gone by then: when that begins, and which call it is. `None` when
    /// there is none left.
    pub(crate) fn take(&mut self, gone_by: usize) -> Option<(usize, usize)> {
        let last = self.left.partition_point(|(begins, _)| *begins < gone_by);
        Some(self.left.remove(last.checked_sub(1)?))
    }

    /// It takes nothing after all.
    pub(crate) fn put_back(&mut self, begins: usize, call: usize) {
        let place = self.left.partition_point(|other| *other < (begins, call));
        self.left.insert(place, (begins, call));
    }
}

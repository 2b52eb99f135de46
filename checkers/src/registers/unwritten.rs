//! Values found that nothing can have left by then: contradictions of one call, seen in one pass.

use super::{Access, OPEN, RegisterHistory};

/// What is looked at; all of it but in tests that show that each is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// What is there at the start can be found.
    pub start: bool,
    /// So can what an operation of unknown outcome left.
    pub open: bool,
    /// And what a compare-and-set left.
    pub cas: bool,
    /// The value may be left while the call is under way.
    pub until_end: bool,
    /// Calls of unknown outcome need not have found anything.
    pub known: bool,
}

impl Conditions {
    pub(crate) const ALL: Conditions = Conditions {
        start: true,
        open: true,
        cas: true,
        until_end: true,
        known: true,
    };
}

/// The first call to return with a value that was not there at the start, and that no call leaves which began
/// before that.
pub(crate) fn unwritten(history: &RegisterHistory, conditions: Conditions) -> Option<u32> {
    let mut known = vec![false; history.values as usize];
    for &start in history.starts.iter().filter(|_| conditions.start) {
        known[start as usize] = true;
    }
    let looks = |moment: u32, open: bool| match (moment & 1 == 1, open) {
        (returns, false) => returns == conditions.until_end,
        (_, true) => !conditions.known,
    };
    history.moments.iter().find_map(|&moment| {
        let number = moment >> 1;
        let call = history.calls[number as usize];
        let open = call.returns == OPEN;
        let (found, left) = match call.access {
            Access::Read(value) => (Some(value), None),
            Access::Write(value) => (None, Some(value)),
            Access::Cas(old, new) => (
                Some(old),
                Some(new).filter(|_| conditions.cas && old != new),
            ),
            Access::Not(_) => (None, None),
        };
        if let Some(value) = left.filter(|_| moment & 1 == 0 && (!open || conditions.open)) {
            known[value as usize] = true;
        }
        let is_unknown = found.is_some_and(|value| !known[value as usize]);
        (looks(moment, open) && is_unknown).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Monitored;
    use crate::monitors::compare::{Comparison, Tally, assert_all_needed, compare, every, with};
    use crate::oracle::Interval;
    use crate::testing::Plain;

    fn judge(history: &[Interval<Access<u32>>], conditions: Conditions) -> Comparison {
        let (registers, sources) = RegisterHistory::from_intervals(history, 3);
        let found = unwritten(&registers, conditions);
        let blamed = found.map(|call| vec![sources[call as usize] as usize]);
        compare(&Plain, history, blamed.map(Monitored::Violated))
    }

    fn tally(conditions: Conditions) -> Tally {
        let accesses = [
            Access::Read(0),
            Access::Read(1),
            Access::Write(0),
            Access::Write(1),
            Access::Cas(0, 1),
            Access::Cas(1, 2),
            Access::Cas(1, 1),
            Access::Not(1),
        ];
        every(3, &accesses, |_| true, |history| judge(history, conditions))
    }

    /// Goal: what nobody wrote is a contradiction of one call. Method: all small histories, against
    /// the oracle; without any one condition it is wrong about some.
    #[test]
    fn what_nobody_wrote_has_no_order() {
        let right = tally(Conditions::ALL);
        assert_eq!(right.wrong, 0, "{:?}", right.example);
        assert!(right.violated > 1_000, "{right:?}");
        let with = |change: fn(&mut Conditions)| with(Conditions::ALL, change);
        let changed = [
            ("the start", with(|c| c.start = false)),
            ("the open", with(|c| c.open = false)),
            ("cas", with(|c| c.cas = false)),
            ("until the end", with(|c| c.until_end = false)),
            ("the known", with(|c| c.known = false)),
        ];
        assert_all_needed(&changed, |conditions| tally(conditions).is_wrong());
    }
}

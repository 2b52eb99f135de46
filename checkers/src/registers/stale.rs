//! Observations of a value that was certainly overwritten: contradictions that show without any
//! search, and with all that came before left out.

use super::{Access, OPEN, RegisterHistory};

/// A call that shows that a value was gone, and one that found it later all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stale {
    /// Leaves another value. Whatever left the value that is found was over before this began.
    pub overwriter: u32,
    /// Begins after that is over.
    pub observer: u32,
}

/// A call that is over, and what was there after it.
#[derive(Debug, Clone, Copy)]
struct Over {
    call: u32,
    begins: u32,
    value: u32,
}

/// Of the calls that are over the one that began last, and of those with another value likewise.
#[derive(Debug, Clone, Copy, Default)]
struct Latest([Option<Over>; 2]);

impl Latest {
    fn add(&mut self, over: Over) {
        let Latest([first, second]) = self;
        let is_later = |than: &Option<Over>| than.is_none_or(|than| over.begins > than.begins);
        if is_later(first) {
            if first.is_some_and(|first| first.value != over.value) {
                *second = *first;
            }
            *first = Some(over);
        } else if first.is_some_and(|first| first.value != over.value) && is_later(second) {
            *second = Some(over);
        }
    }

    fn other_than(&self, value: u32) -> Option<Over> {
        let mut all = self.0.into_iter().flatten();
        all.find(|over| over.value != value)
    }
}

/// What may leave a value.
#[derive(Debug, Clone, Copy, Default)]
struct Sources {
    under_way: u32,
    /// Where the last one returned.
    last_end: u32,
}

/// A condition for a value to be gone. Tests leave one out, to see that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// Nothing that leaves it is under way.
    NothingUnderWay,
    /// What left it was over before the other value came.
    OverBefore,
    /// The other value is another one.
    Other,
    /// It was there before the observation began.
    Before,
}

/// An observation of a value that was certainly overwritten: the first one by a write, which needs
/// nothing to be there; else the first one.
pub(crate) fn stale(history: &RegisterHistory) -> Option<Stale> {
    let by_write = |access| matches!(access, Access::Write(_));
    stale_without(history, by_write, None).or_else(|| stale_without(history, |_| true, None))
}

fn stale_without(
    history: &RegisterHistory,
    may_overwrite: impl Fn(Access<u32>) -> bool,
    without: Option<Condition>,
) -> Option<Stale> {
    let needs = |condition| without != Some(condition);
    let mut sources = vec![Sources::default(); history.values as usize];
    let mut latest = Latest::default();
    // What was over when each call under way began.
    let mut before: Vec<(u32, Latest)> = Vec::new();
    for (position, &moment) in (0_u32..).zip(&history.moments) {
        let number = moment >> 1;
        let call = history.calls[number as usize];
        let (found, left) = match call.access {
            Access::Read(value) => (Some(value), Some(value)),
            Access::Write(value) => (None, Some(value)),
            Access::Cas(old, new) => (Some(old), Some(new)),
            Access::Not(_) => (None, None),
        };
        let leaves = left.filter(|&left| found != Some(left));
        if moment & 1 == 0 {
            if let Some(value) = leaves {
                sources[value as usize].under_way += 1;
            }
            if call.returns != OPEN {
                before.push((number, latest));
            }
            continue;
        }
        let place = before.iter().position(|(other, _)| *other == number)?;
        let (_, mut over) = before.swap_remove(place);
        if !needs(Condition::Before) {
            over = latest;
        }
        if let Some(value) = found {
            let Sources {
                under_way,
                last_end,
            } = sources[value as usize];
            let other = match needs(Condition::Other) {
                true => over.other_than(value),
                false => over.0[0],
            };
            let overwriter = other
                .filter(|_| under_way == 0 || !needs(Condition::NothingUnderWay))
                .filter(|other| other.begins >= last_end || !needs(Condition::OverBefore));
            if let Some(overwriter) = overwriter {
                return Some(Stale {
                    overwriter: overwriter.call,
                    observer: number,
                });
            }
        }
        if let Some(value) = leaves {
            let of = &mut sources[value as usize];
            of.under_way -= 1;
            of.last_end = position;
        }
        if let Some(value) = left.filter(|_| may_overwrite(call.access)) {
            latest.add(Over {
                call: number,
                begins: call.begins,
                value,
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;
    use crate::limits::Budget;
    use crate::registers::{Excerpt, decide_excerpt};
    use crate::search::Decision;
    use crate::testing::{chance, random_intervals};
    use crate::{Cancel, Limits};

    /// How often something is said to be stale, and how often in a history that has an order.
    fn found(without: Option<Condition>) -> (u64, u64) {
        (0..20_000_u64)
            .into_par_iter()
            .map(|seed| {
                let mut chance = chance(seed);
                let intervals = random_intervals(&mut chance, 8, 3, |chance| {
                    let mut value = || chance.below(4) as u32;
                    let (a, b) = (value(), value());
                    match chance.below(7) {
                        0..3 => Access::Write(a),
                        3..5 => Access::Read(a),
                        5 => Access::Cas(a, b),
                        _ => Access::Not(a),
                    }
                });
                let (history, _) = RegisterHistory::from_intervals(&intervals, 4);
                let by_write = |access| seed % 2 == 0 || matches!(access, Access::Write(_));
                if stale_without(&history, by_write, without).is_none() {
                    return (0, 0);
                }
                let whole = Excerpt::whole(history, true);
                let budget = Budget::new(&Limits::default(), &Cancel::new());
                let has_order = decide_excerpt(&whole, &budget) == Decision::Linearizable;
                (1, u64::from(has_order))
            })
            .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }

    /// Goal: what is stale is a contradiction, by every condition. Method: random histories,
    /// decided by the engine; without any one condition some of them have an order.
    #[test]
    fn what_is_stale_has_no_order() {
        let (stale, wrong) = found(None);
        assert!(stale > 1_000 && wrong == 0, "{stale} {wrong}");
        let conditions = [
            Condition::NothingUnderWay,
            Condition::OverBefore,
            Condition::Other,
            Condition::Before,
        ];
        for condition in conditions {
            let (_, wrong) = found(Some(condition));
            assert!(wrong > 0, "{condition:?} is not needed");
        }
    }
}

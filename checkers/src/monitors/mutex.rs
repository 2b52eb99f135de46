//! Locks with owners, each of whom does one thing after the other.
//!
//! The acquires and releases of one owner must take turns. Where two that certainly happened
//! follow each other and are of one kind, one of the other kind and of unknown outcome must have
//! happened between; the first that began and is not needed yet is as good as any. So every owner's
//! operations become *holds*: from the end of an acquire to the beginning of the release, the lock
//! is certainly held, if that is any time at all. A release of unknown outcome is best when it
//! happens as soon as it can. Where the two ends of a hold overlap, because one of them is of
//! unknown outcome, the lock need only be held for one instant in a *window*: from where both have
//! begun, to where the one that certainly happened ends.
//!
//! The history has an order exactly when every owner's operations take turns, no two times at
//! which the lock is certainly held overlap, and no window lies inside such a time. Then acquires
//! that certainly happened happen at their ends and releases at their beginnings, and the rest at an
//! instant that is in the window and at which nobody holds the lock; as the times at which somebody
//! does are apart, one that does not lie inside one of them has such an instant.
//!
//! It does not apply where an owner does two things at the same time, where acquires *and* releases
//! of one owner are of unknown outcome (together they could split a hold in two), and where
//! somebody found the lock held or not held. An acquire of unknown outcome of an owner that never
//! gave the lock back afterwards need not have happened. `O(n log n)`.

use rustc_hash::FxHashMap;

use super::{NEVER, Span};
use crate::Monitored;
use crate::models::{MutexOp, Owner};
use crate::oracle::Interval;

/// What is looked at; all of it but in tests that show that each is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// An owner's operations take turns.
    pub turns: bool,
    /// Nobody holds the lock while another does.
    pub apart: bool,
    /// Instants at which the lock was held are outside of what others hold.
    pub windows: bool,
    /// Acquires of unknown outcome may have happened.
    pub open_acquires: bool,
    /// Releases of unknown outcome may have happened.
    pub open_releases: bool,
    /// It does not apply when both are of unknown outcome.
    pub not_both: bool,
    /// It does not apply when an owner does two things at a time.
    pub one_at_a_time: bool,
    /// It does not apply when somebody was refused.
    pub refusals: bool,
    /// Where other operations of the owner could stand in, they belong to the contradiction.
    pub all_bound: bool,
    /// So does the release that ended a hold.
    pub sealed: bool,
}

impl Conditions {
    pub(crate) const ALL: Conditions = Conditions {
        turns: true,
        apart: true,
        windows: true,
        open_acquires: true,
        open_releases: true,
        not_both: true,
        one_at_a_time: true,
        refusals: true,
        all_bound: true,
        sealed: true,
    };
}

/// Decides the history of a lock that starts free.
pub(crate) fn decide(history: &[Interval<MutexOp>], conditions: Conditions) -> Option<Monitored> {
    let owners = by_owner(history, conditions)?;
    let mut plan = Plan::default();
    for (number, own) in owners.iter().enumerate() {
        let Err(out_of_turn) = own.plan(number, &mut plan, conditions) else {
            continue;
        };
        if conditions.turns {
            let calls = own.out_of_turn(&out_of_turn, conditions);
            return Some(violated(calls));
        }
    }
    plan.holds.sort_unstable_by_key(|hold| hold.span.begins);
    if conditions.apart
        && let Some((first, second)) = plan.overlap()
    {
        let time = second.span.begins;
        let mut calls = owners[first.owner].holding(&first, time, conditions);
        calls.extend(owners[second.owner].holding(&second, time, conditions));
        return Some(violated(calls));
    }
    if conditions.windows
        && let Some((window, hold)) = plan.closed_window()
    {
        let time = window.span.ends;
        let mut calls = owners[hold.owner].holding(&hold, time, conditions);
        calls.extend(owners[window.owner].ended_by(time, |_| true));
        return Some(violated(calls));
    }
    Some(Monitored::Linearizable)
}

fn violated(mut calls: Vec<usize>) -> Monitored {
    calls.sort_unstable();
    Monitored::Violated(calls)
}

/// What one owner did.
#[derive(Debug, Default)]
struct Own {
    /// What certainly happened, in order of beginning.
    ended: Vec<Turn>,
    /// The beginnings of acquires and releases of unknown outcome, in order.
    open_acquires: Vec<u64>,
    open_releases: Vec<u64>,
}

/// An acquire or release that certainly happened.
#[derive(Debug, Clone, Copy)]
struct Turn {
    span: Span,
    acquires: bool,
    call: usize,
}

/// The operations by owner; `None` where the method does not apply.
fn by_owner(history: &[Interval<MutexOp>], conditions: Conditions) -> Option<Vec<Own>> {
    let mut numbers: FxHashMap<&Owner, usize> = FxHashMap::default();
    let mut owners: Vec<Own> = Vec::new();
    for (call, interval) in history.iter().enumerate() {
        let (owner, acquires) = match &interval.op {
            MutexOp::Acquire(owner) => (owner, true),
            MutexOp::Release(owner) => (owner, false),
            MutexOp::AcquireRefused | MutexOp::ReleaseRefused(_) => {
                if interval.ends.is_some() && conditions.refusals {
                    return None;
                }
                continue;
            }
        };
        let next = owners.len();
        let number = *numbers.entry(owner).or_insert(next);
        if number == next {
            owners.push(Own::default());
        }
        let own = &mut owners[number];
        let begins = interval.begins;
        match (interval.ends, acquires) {
            (Some(ends), _) => own.ended.push(Turn {
                span: Span { begins, ends },
                acquires,
                call,
            }),
            (None, true) if conditions.open_acquires => own.open_acquires.push(begins),
            (None, false) if conditions.open_releases => own.open_releases.push(begins),
            (None, _) => {}
        }
    }
    let applies = |own: &mut Own| own.put_in_order(conditions);
    owners.iter_mut().all(applies).then_some(owners)
}

impl Own {
    /// Whether the method applies.
    fn put_in_order(&mut self, conditions: Conditions) -> bool {
        self.ended.sort_unstable_by_key(|turn| turn.span.begins);
        self.open_releases.sort_unstable();
        self.open_acquires.sort_unstable();
        // Only a release that certainly happened could need one of these.
        let last_release = self.ended.iter().rev().find(|turn| !turn.acquires);
        let needed = last_release.map_or(0, |turn| turn.span.ends);
        let count = self
            .open_acquires
            .partition_point(|begins| *begins < needed);
        self.open_acquires.truncate(count);
        let both = !self.open_acquires.is_empty() && !self.open_releases.is_empty();
        let at_once = |pair: &[Turn]| pair[1].span.begins < pair[0].span.ends;
        !(both && conditions.not_both
            || conditions.one_at_a_time && self.ended.windows(2).any(at_once))
    }

    /// When this owner holds the lock; or the first operation that cannot have its turn.
    fn plan(&self, owner: usize, plan: &mut Plan, conditions: Conditions) -> Result<(), Turn> {
        let mut open_acquires = self.open_acquires.iter().copied().peekable();
        let mut open_releases = self.open_releases.iter().copied().peekable();
        let mut held: Option<Turn> = None;
        for turn in &self.ended {
            let before = |begins: &u64| *begins < turn.span.ends;
            match (held.take(), turn.acquires) {
                (None, true) => held = Some(*turn),
                (Some(acquire), false) => {
                    plan.hold(owner, &acquire, turn.span.begins, Some(turn.span.ends));
                }
                (Some(acquire), true) => {
                    match open_releases.next_if(before) {
                        Some(release) => plan.hold(owner, &acquire, release, None),
                        None if conditions.turns => return Err(*turn),
                        None => plan.hold(owner, &acquire, turn.span.begins, None),
                    }
                    held = Some(*turn);
                }
                (None, false) => match open_acquires.next_if(before) {
                    Some(acquire) => plan.windows.push(Held {
                        owner,
                        span: Span {
                            begins: acquire.max(turn.span.begins),
                            ends: turn.span.ends,
                        },
                        sealed: None,
                    }),
                    None if conditions.turns => return Err(*turn),
                    None => {}
                },
            }
        }
        if let Some(acquire) = held {
            let release = open_releases.next().unwrap_or(NEVER);
            plan.hold(owner, &acquire, release, None);
        }
        Ok(())
    }

    /// What this owner certainly did by `time`, of the kinds wanted.
    fn ended_by(&self, time: u64, wanted: impl Fn(&Turn) -> bool) -> Vec<usize> {
        self.ended
            .iter()
            .filter(|turn| turn.span.ends <= time && wanted(turn))
            .map(|turn| turn.call)
            .collect()
    }

    /// How many of this kind began before `time`.
    fn begun(&self, acquires: bool, time: u64) -> usize {
        let open = match acquires {
            true => &self.open_acquires,
            false => &self.open_releases,
        };
        let ended = self.ended.iter().filter(|turn| turn.acquires == acquires);
        open.partition_point(|begins| *begins < time)
            + ended.filter(|turn| turn.span.begins < time).count()
    }

    /// Calls that show that this owner holds the lock at `time`. Acquires alone do if there is one
    /// release less: all of them are needed between them. A release that could stand in for the
    /// one that ended the hold could not if that one certainly happened.
    fn holding(&self, hold: &Held, time: u64, conditions: Conditions) -> Vec<usize> {
        let acquires = self.ended_by(time, |turn| turn.acquires);
        if self.begun(false, time) < acquires.len() || !conditions.all_bound {
            return acquires;
        }
        let sealed = hold.sealed.filter(|_| conditions.sealed).unwrap_or(0);
        self.ended_by(time.max(sealed), |_| true)
    }

    /// Calls that show that this one cannot have its turn: those of its kind, if there are too few
    /// of the other.
    fn out_of_turn(&self, turn: &Turn, conditions: Conditions) -> Vec<usize> {
        let time = turn.span.ends;
        let alike = self.ended_by(time, |other| other.acquires == turn.acquires);
        let others = self.begun(!turn.acquires, time);
        let needed = alike.len() - usize::from(turn.acquires);
        if others < needed || !conditions.all_bound {
            return alike;
        }
        self.ended_by(time, |_| true)
    }
}

/// Who holds the lock when: all the time, or at one instant in it.
#[derive(Debug, Clone, Copy)]
struct Held {
    owner: usize,
    span: Span,
    /// The end of the release that certainly ended it.
    sealed: Option<u64>,
}

/// When who holds the lock.
#[derive(Debug, Default)]
struct Plan {
    holds: Vec<Held>,
    windows: Vec<Held>,
}

impl Plan {
    /// Adds what lies between an acquire and a release that begins then, and certainly ended the
    /// hold if that is `sealed`.
    fn hold(&mut self, owner: usize, acquire: &Turn, release: u64, sealed: Option<u64>) {
        let Span { begins, ends } = acquire.span;
        let (list, begins, ends) = match ends < release {
            true => (&mut self.holds, ends, release),
            false => (&mut self.windows, begins.max(release), ends),
        };
        let span = Span { begins, ends };
        list.push(Held {
            owner,
            span,
            sealed,
        });
    }

    /// Two that hold the lock at the same time, the second from when the first does.
    fn overlap(&self) -> Option<(Held, Held)> {
        self.holds
            .windows(2)
            .find(|pair| pair[1].span.begins < pair[0].span.ends)
            .map(|pair| (pair[0], pair[1]))
    }

    /// A window and who holds the lock all the time; nobody else does then.
    fn closed_window(&self) -> Option<(Held, Held)> {
        self.windows.iter().find_map(|window| {
            let begun = self
                .holds
                .partition_point(|hold| hold.span.begins < window.span.begins);
            let hold = self.holds[begun.checked_sub(1)?];
            (window.span.ends < hold.span.ends).then_some((*window, hold))
        })
    }
}

#[cfg(test)]
mod tests;

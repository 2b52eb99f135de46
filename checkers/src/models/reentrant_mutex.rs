//! A lock that its holder may take again.

use histories::{Operation, Value};
use rustc_hash::FxHashSet;

use crate::model::is_known;
use crate::models::owner::{self, Owner, answered};
use crate::models::{InitialError, starts_free};
use crate::{Model, ModelError};

/// More states than this are not named: it would take longer than to look at what left them.
const STATES_MAX: usize = 1_024;

/// The model `reentrant-mutex`: each key is a lock that its holder may take again, and that is free
/// when it was given back as often.
#[derive(Debug, Clone)]
pub struct ReentrantMutex(());

/// What an operation did to a reentrant lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReentrantMutexOp {
    /// Took it, while it was free or held by the same owner.
    Acquire(Owner),
    /// Gave it back once.
    Release(Owner),
    /// Found it held by another.
    AcquireRefused(Owner),
    /// Found that this owner does not hold it.
    ReleaseRefused(Owner),
}

/// Who holds a reentrant lock, and how often it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hold {
    owner: Owner,
    depth: u64,
}

impl ReentrantMutex {
    /// All locks start free: `initial` is nothing or nil.
    pub fn new(initial: Option<&Value>) -> Result<Self, InitialError> {
        starts_free("reentrant-mutex", initial)?;
        Ok(ReentrantMutex(()))
    }
}

impl Model for ReentrantMutex {
    /// `None` while it is free.
    type State = Option<Hold>;
    type Op = ReentrantMutexOp;

    fn name(&self) -> &'static str {
        "reentrant-mutex"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<ReentrantMutexOp>, ModelError> {
        let hint = " (hint: the model fenced-lock knows tokens)";
        let done = || Ok(!is_known(operation) || answered(self.name(), operation, hint)?);
        let owner = || Owner::of(self.name(), operation);
        Ok(Some(match &*operation.f {
            "acquire" if done()? => ReentrantMutexOp::Acquire(owner()?),
            "acquire" => ReentrantMutexOp::AcquireRefused(owner()?),
            "release" if done()? => ReentrantMutexOp::Release(owner()?),
            "release" => ReentrantMutexOp::ReleaseRefused(owner()?),
            _ => {
                let expected = "acquire or release";
                return Err(ModelError::unknown_f(self.name(), operation, expected));
            }
        }))
    }

    fn part(&self, operation: &Operation, _op: &ReentrantMutexOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Option<Hold> {
        None
    }

    fn step(&self, state: &Option<Hold>, op: &ReentrantMutexOp) -> Option<Option<Hold>> {
        let held_by = |owner: &Owner| state.as_ref().filter(|hold| hold.owner == *owner);
        match op {
            ReentrantMutexOp::Acquire(owner) => match state {
                None => Some(1),
                Some(_) => held_by(owner).map(|hold| hold.depth.saturating_add(1)),
            }
            .map(|depth| {
                let owner = owner.clone();
                Some(Hold { owner, depth })
            }),
            ReentrantMutexOp::Release(owner) => held_by(owner).map(|hold| {
                let depth = hold.depth - 1;
                let owner = owner.clone();
                (depth > 0).then_some(Hold { owner, depth })
            }),
            ReentrantMutexOp::AcquireRefused(owner) => {
                let refuses = state.is_some() && held_by(owner).is_none();
                refuses.then(|| state.clone())
            }
            ReentrantMutexOp::ReleaseRefused(owner) => {
                held_by(owner).is_none().then(|| state.clone())
            }
        }
    }

    fn is_observer(&self, op: &ReentrantMutexOp) -> bool {
        match op {
            ReentrantMutexOp::AcquireRefused(_) | ReentrantMutexOp::ReleaseRefused(_) => true,
            ReentrantMutexOp::Acquire(_) | ReentrantMutexOp::Release(_) => false,
        }
    }

    /// An open acquire can go when all releases of its owner are open too: with it goes the first
    /// of them that from there on leaves the lock free, so that in between the owner held it a
    /// time less, and afterwards all is as it was. A refusal could tell how long a lock was held:
    /// then all stays.
    fn unobserved(
        &self,
        _starts: &[Self::State],
        completed: &[&ReentrantMutexOp],
        open: &[&ReentrantMutexOp],
    ) -> Vec<bool> {
        let mut released = FxHashSet::default();
        for op in completed {
            match op {
                ReentrantMutexOp::Acquire(_) => continue,
                ReentrantMutexOp::Release(owner) => released.insert(owner),
                ReentrantMutexOp::AcquireRefused(_) | ReentrantMutexOp::ReleaseRefused(_) => {
                    return vec![false; open.len()];
                }
            };
        }
        open.iter()
            .map(|op| match op {
                ReentrantMutexOp::Acquire(owner) => !released.contains(owner),
                ReentrantMutexOp::Release(_) => false,
                ReentrantMutexOp::AcquireRefused(_) | ReentrantMutexOp::ReleaseRefused(_) => true,
            })
            .collect()
    }

    /// Free, or held by whoever took it or gave it back last: so often that the rest can give it
    /// back, or once more, which stands for all that is never given back.
    fn states_after(
        &self,
        updates: &[&ReentrantMutexOp],
        rest: &[&ReentrantMutexOp],
    ) -> Option<Vec<Option<Hold>>> {
        let holder = |op: &&ReentrantMutexOp| match op {
            ReentrantMutexOp::Acquire(owner) | ReentrantMutexOp::Release(owner) => {
                Some(owner.clone())
            }
            ReentrantMutexOp::AcquireRefused(_) | ReentrantMutexOp::ReleaseRefused(_) => None,
        };
        let owners: FxHashSet<Owner> = updates.iter().filter_map(holder).collect();
        if owners.is_empty() {
            return Some(Vec::new());
        }
        let mut states = vec![None];
        for owner in owners {
            let gives_back = |op: &&&ReentrantMutexOp| matches!(op, ReentrantMutexOp::Release(by) if *by == owner);
            let releases = rest.iter().filter(gives_back).count();
            if states.len() + releases >= STATES_MAX {
                return None;
            }
            states.extend((1..=releases as u64 + 1).map(|depth| {
                let owner = owner.clone();
                Some(Hold { owner, depth })
            }));
        }
        Some(states)
    }

    fn describe(&self, op: &ReentrantMutexOp) -> String {
        match op {
            ReentrantMutexOp::Acquire(owner) => owner::describe("acquire", owner),
            ReentrantMutexOp::Release(owner) => owner::describe("release", owner),
            ReentrantMutexOp::AcquireRefused(owner) => owner::describe("refused acquire", owner),
            ReentrantMutexOp::ReleaseRefused(owner) => owner::describe("refused release", owner),
        }
    }

    fn describe_state(&self, state: &Option<Hold>) -> String {
        match state {
            None => "the lock is free".to_owned(),
            Some(Hold { owner, depth: 1 }) => format!("{owner} holds the lock"),
            Some(Hold { owner, depth }) => format!("{owner} holds the lock, taken {depth} times"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{judge_rows, samples};
    use crate::{ModelKind, ModelOptions, Verdict};
    use Verdict::{Invalid, Valid};

    #[test]
    fn reentrant_mutex_histories() {
        judge_rows(
            &ModelOptions::new(ModelKind::ReentrantMutex),
            &[
                (
                    "0 acquire nil -> nil @0 1; 0 acquire nil -> nil @2 3; \
                     0 release nil -> nil @4 5; 0 release nil -> nil @6 7; \
                     1 acquire nil -> nil @8 9",
                    Valid,
                ),
                (
                    "0 acquire nil -> nil @0 1; 0 acquire nil -> nil @2 3; \
                     0 release nil -> nil @4 5; 1 acquire nil -> nil @8 9",
                    Invalid,
                ),
                ("0 release nil -> nil @0 1", Invalid),
                (
                    "0 acquire nil -> nil @0 1; 1 release nil -> nil @2 3",
                    Invalid,
                ),
                (
                    "0 acquire nil -> nil @0 1; 1 acquire nil -> nil @2 5; \
                     0 release nil -> nil @3 4",
                    Valid,
                ),
                // By name: the client is one over all its processes.
                (
                    "0 acquire a -> nil @0 1; 1 release a -> nil @2 3; 1 acquire b -> nil @4 5",
                    Valid,
                ),
                (
                    "0 acquire {:client a} -> {:client a, :uid 1} @0 1; 1 release a -> true @2 3",
                    Valid,
                ),
                ("0 acquire a -> nil @0 1; 0 acquire b -> nil @2 3", Invalid),
                // A refusal is an observation.
                (
                    "0 acquire nil -> true @0 1; 1 acquire nil -> false @2 3",
                    Valid,
                ),
                ("1 acquire nil -> false @2 3", Invalid),
                (
                    "0 acquire nil -> true @0 1; 0 acquire nil -> false @2 3",
                    Invalid,
                ),
                (
                    "0 release nil -> false @0 1; 0 acquire nil -> true @2 3",
                    Valid,
                ),
                (
                    "0 acquire nil -> true @0 1; 0 release nil -> false @2 3",
                    Invalid,
                ),
                // An unknown acquire may hold the lock for ever, or never have been.
                ("0 acquire nil -> ? @0 ?; 1 acquire nil -> nil @1 2", Valid),
                (
                    "0 acquire nil -> ? @0 ?; 1 acquire nil -> false @1 2",
                    Valid,
                ),
                ("0 acquire a -> ? @0 ?; 1 release a -> nil @1 2", Valid),
                (
                    "0 acquire nil -> nil @0 1; 0 release nil -> ? @2 ?; 1 acquire nil -> nil @3 4",
                    Valid,
                ),
                (
                    "0 acquire a -> nil @0 1; 0 acquire a -> nil @2 3; 0 release a -> ? @4 ?; \
                     1 acquire nil -> nil @5 6",
                    Invalid,
                ),
                (
                    "0 acquire nil -> x @0 x; 0 release nil -> nil @2 3",
                    Invalid,
                ),
            ],
        );
    }

    #[test]
    fn what_is_no_lock_is_refused() {
        let rows = [
            (
                "acquire nil -> 5",
                "operation 0 has acquire with the result 5, but the model reentrant-mutex expects \
                 nil, true, or false (it was refused) (hint: the model fenced-lock knows tokens)",
            ),
            (
                "acquire nil -> {:client a}",
                "operation 0 has the client \"a\" in the result of acquire, which the argument \
                 nil does not name, but the model reentrant-mutex expects the invocation to name \
                 the client too",
            ),
            (
                "release [1] -> nil",
                "operation 0 has release with the argument [1], but the model reentrant-mutex \
                 expects nil, a client's name, or a map with the client's name under client",
            ),
            (
                "lock nil -> nil",
                "operation 0 has an operation \"lock\", but the model reentrant-mutex expects \
                 acquire or release",
            ),
        ];
        for (row, expected) in rows {
            let mutex = ReentrantMutex::new(None).unwrap();
            let refused = mutex.parse(&samples(row)[0]).unwrap_err().to_string();
            assert_eq!(refused, expected);
        }
        let refused = ReentrantMutex::new(Some(&Value::Int(1))).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the model reentrant-mutex cannot start from 1 (hint: give nothing: a lock starts free)"
        );
    }
}

//! A lock for one holder at a time.

use histories::{Operation, Value};
use rustc_hash::FxHashSet;

use crate::model::is_known;
use crate::models::owner::{self, Owner, answered};
use crate::models::{InitialError, starts_free};
use crate::monitors::mutex::{self, Conditions};
use crate::oracle::Interval;
use crate::{Access, Model, ModelError, Monitored, RegisterView};

/// The model `mutex`: each key is a lock that one owner at a time holds, and gives back itself.
#[derive(Debug, Clone)]
pub struct Mutex(());

/// What an operation did to a lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MutexOp {
    /// Took it while it was free.
    Acquire(Owner),
    /// Gave it back.
    Release(Owner),
    /// Found it held.
    AcquireRefused,
    /// Found that this owner does not hold it.
    ReleaseRefused(Owner),
}

impl Mutex {
    /// All locks start free: `initial` is nothing or nil.
    ///
    /// # Errors
    ///
    /// When `initial` is something else.
    pub fn new(initial: Option<&Value>) -> Result<Self, InitialError> {
        starts_free("mutex", initial)?;
        Ok(Mutex(()))
    }
}

impl Model for Mutex {
    /// Who holds it; `None` while it is free.
    type State = Option<Owner>;
    type Op = MutexOp;

    fn name(&self) -> &'static str {
        "mutex"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<MutexOp>, ModelError> {
        let hint = " (hint: the model fenced-lock knows tokens)";
        let done = || Ok(!is_known(operation) || answered(self.name(), operation, hint)?);
        let owner = || Owner::of(self.name(), operation);
        Ok(Some(match &*operation.f {
            "acquire" if done()? => MutexOp::Acquire(owner()?),
            "acquire" => owner().map(|_| MutexOp::AcquireRefused)?,
            "release" if done()? => MutexOp::Release(owner()?),
            "release" => MutexOp::ReleaseRefused(owner()?),
            _ => {
                let expected = "acquire or release";
                return Err(ModelError::unknown_f(self.name(), operation, expected));
            }
        }))
    }

    fn part(&self, operation: &Operation, _op: &MutexOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Option<Owner> {
        None
    }

    fn step(&self, state: &Option<Owner>, op: &MutexOp) -> Option<Option<Owner>> {
        match op {
            MutexOp::Acquire(owner) => state.is_none().then(|| Some(owner.clone())),
            MutexOp::Release(owner) => (state.as_ref() == Some(owner)).then_some(None),
            MutexOp::AcquireRefused => state.is_some().then(|| state.clone()),
            MutexOp::ReleaseRefused(owner) => {
                (state.as_ref() != Some(owner)).then(|| state.clone())
            }
        }
    }

    fn is_observer(&self, op: &MutexOp) -> bool {
        matches!(op, MutexOp::AcquireRefused | MutexOp::ReleaseRefused(_))
    }

    /// An open acquire of an owner all of whose releases are open can go, with the release after
    /// it: the lock is only free more often. So can the release, where no acquire of that owner
    /// completed, if the lock may be free at the start: from there all is possible that is once who
    /// held it has released it. A refusal could tell that it was held: then all stays.
    fn unobserved(
        &self,
        starts: &[Self::State],
        completed: &[&MutexOp],
        open: &[&MutexOp],
    ) -> Vec<bool> {
        let (mut acquired, mut released) = (FxHashSet::default(), FxHashSet::default());
        for op in completed {
            match op {
                MutexOp::Acquire(owner) => _ = acquired.insert(owner),
                MutexOp::Release(owner) => _ = released.insert(owner),
                MutexOp::AcquireRefused | MutexOp::ReleaseRefused(_) => {
                    return vec![false; open.len()];
                }
            }
        }
        let may_be_free = starts.contains(&None);
        let is_unobserved = |op: &&MutexOp| match op {
            MutexOp::Acquire(owner) => !released.contains(owner),
            MutexOp::Release(owner) => {
                may_be_free && !released.contains(owner) && !acquired.contains(owner)
            }
            MutexOp::AcquireRefused | MutexOp::ReleaseRefused(_) => false,
        };
        open.iter().map(is_unobserved).collect()
    }

    fn states_after(&self, updates: &[&MutexOp], _rest: &[&MutexOp]) -> Option<Vec<Option<Owner>>> {
        Some(
            updates
                .iter()
                .filter_map(|op| match op {
                    MutexOp::Acquire(owner) => Some(Some(owner.clone())),
                    MutexOp::Release(_) => Some(None),
                    MutexOp::AcquireRefused | MutexOp::ReleaseRefused(_) => None,
                })
                .collect(),
        )
    }

    /// A register that holds who holds the lock.
    fn register_view(
        &self,
        initial: &Option<Owner>,
        history: &[Interval<MutexOp>],
    ) -> Option<RegisterView> {
        RegisterView::of(initial.as_ref(), history, |interval| {
            Some(match &interval.op {
                MutexOp::Acquire(owner) => Access::Cas(None, Some(owner)),
                MutexOp::Release(owner) => Access::Cas(Some(owner), None),
                MutexOp::AcquireRefused => Access::Not(None),
                MutexOp::ReleaseRefused(owner) => Access::Not(Some(owner)),
            })
        })
    }

    fn monitor(&self, initial: &Option<Owner>, history: &[Interval<MutexOp>]) -> Option<Monitored> {
        match initial {
            None => mutex::decide(history, Conditions::ALL),
            Some(_) => None,
        }
    }

    fn describe(&self, op: &MutexOp) -> String {
        match op {
            MutexOp::Acquire(owner) => owner::describe("acquire", owner),
            MutexOp::Release(owner) => owner::describe("release", owner),
            MutexOp::AcquireRefused => "refused acquire".to_owned(),
            MutexOp::ReleaseRefused(owner) => owner::describe("refused release", owner),
        }
    }

    fn describe_state(&self, state: &Option<Owner>) -> String {
        match state {
            None => "the lock is free".to_owned(),
            Some(owner) => format!("{owner} holds the lock"),
        }
    }
}

#[cfg(test)]
mod tests;

//! The models that come with the crate, and their names.

mod append_list;
pub(crate) mod bank;
mod counter;
mod fenced_lock;
mod fifo_queue;
mod kv;
mod multi_register;
mod mutex;
mod owner;
mod priority_queue;
mod reentrant_mutex;
mod register;
mod set;
mod stack;
mod versioned_register;

use std::fmt;
use std::str::FromStr;

use histories::Value;
use thiserror::Error;

pub use append_list::{AppendList, AppendListOp};
pub use bank::{Bank, BankOp, Transfer};
pub use counter::{Counter, CounterOp};
pub use fenced_lock::{Fence, FencedLock, FencedLockOp};
pub use fifo_queue::{FifoQueue, FifoQueueOp};
#[cfg(test)]
pub(crate) use kv::step_of;
pub use kv::{Kv, KvOp};
pub use multi_register::{MultiRegister, Transaction};
pub use mutex::{Mutex, MutexOp};
pub use owner::Owner;
pub use priority_queue::{PriorityQueue, PriorityQueueOp};
pub use reentrant_mutex::{Hold, ReentrantMutex, ReentrantMutexOp};
pub use register::{Register, RegisterOp};
pub use set::{Element, Set, SetOp};
pub use stack::{Pile, Stack, StackOp};
pub use versioned_register::{Versioned, VersionedOp, VersionedRegister};

use crate::columns::PlainRegister;
use crate::{Model, NilReads};

/// A model that comes with the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    /// One value: read and write.
    Register,
    /// One value: read, write and compare-and-set.
    CasRegister,
    /// Several registers, read and written in transactions.
    MultiRegister,
    /// Keys with string values: get, put, append, compare-and-set, delete.
    Kv,
    /// Stacks: push and pop.
    Stack,
    /// Queues of whole numbers, the smallest first: push and pop.
    PriorityQueue,
    /// Locks that their holder may take again: acquire and release.
    ReentrantMutex,
    /// Locks whose every acquire answers a larger token: acquire and release.
    FencedLock,
    /// Accounts: transfers, and reads of all balances.
    Bank,
    /// A queue of values, first in, first out: enqueue and dequeue.
    FifoQueue,
    /// Lists: append, and read of the whole.
    AppendList,
    /// Numbers: changed by amounts, and read.
    Counter,
    /// One value with a version that every change makes larger: read, write and compare-and-set.
    VersionedRegister,
    /// Sets: add, remove, contains, and read of the whole.
    Set,
    /// Locks, for one owner at a time: acquire and release.
    Mutex,
}

impl ModelKind {
    /// What makes histories easy to decide, for those that could not be.
    pub(crate) fn is_easy_with(self) -> &'static str {
        match self {
            ModelKind::Register | ModelKind::CasRegister | ModelKind::Kv => {
                "values that are written only once"
            }
            ModelKind::FifoQueue => "values that are enqueued only once",
            ModelKind::Stack | ModelKind::PriorityQueue => {
                "values that are pushed only once, and known outcomes"
            }
            ModelKind::AppendList => "elements that are appended only once",
            ModelKind::Counter => "changes by one amount",
            ModelKind::Set => "no removals, or `contains` instead of reads of the whole",
            ModelKind::MultiRegister
            | ModelKind::ReentrantMutex
            | ModelKind::FencedLock
            | ModelKind::Bank
            | ModelKind::VersionedRegister
            | ModelKind::Mutex => "fewer clients at once and fewer unknown outcomes",
        }
    }
    /// All of them.
    pub const ALL: [ModelKind; 15] = [
        ModelKind::Register,
        ModelKind::CasRegister,
        ModelKind::MultiRegister,
        ModelKind::Kv,
        ModelKind::Stack,
        ModelKind::PriorityQueue,
        ModelKind::ReentrantMutex,
        ModelKind::FencedLock,
        ModelKind::Bank,
        ModelKind::FifoQueue,
        ModelKind::AppendList,
        ModelKind::Counter,
        ModelKind::VersionedRegister,
        ModelKind::Set,
        ModelKind::Mutex,
    ];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            ModelKind::Register => "register",
            ModelKind::CasRegister => "cas-register",
            ModelKind::MultiRegister => "multi-register",
            ModelKind::Kv => "kv",
            ModelKind::Stack => "stack",
            ModelKind::PriorityQueue => "priority-queue",
            ModelKind::ReentrantMutex => "reentrant-mutex",
            ModelKind::FencedLock => "fenced-lock",
            ModelKind::Bank => "bank",
            ModelKind::FifoQueue => "fifo-queue",
            ModelKind::AppendList => "append-list",
            ModelKind::Counter => "counter",
            ModelKind::VersionedRegister => "versioned-register",
            ModelKind::Set => "set",
            ModelKind::Mutex => "mutex",
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ModelKind {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        ModelKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownModel {
                name: name.to_owned(),
            })
    }
}

/// A name that no model has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no model is named {name:?} (known: {})", ModelKind::ALL.map(ModelKind::as_str).join(", "))]
pub struct UnknownModel {
    /// The name asked for.
    pub name: String,
}

/// A model with what can be set about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelOptions {
    /// Which model.
    pub kind: ModelKind,
    /// The value at the start. Nothing stands for: nil (register, cas-register); a missing key
    /// (kv; give `""` where the system under test cannot tell a missing key from an empty one);
    /// every register nil (multi-register, which takes a map from register to value); version 0 of
    /// nil (versioned-register, which takes a list of version and value); empty (stack,
    /// priority-queue, fifo-queue, append-list, set, which take a list); 0 (counter); no token yet
    /// (fenced-lock, which takes the token that all are larger than). A mutex and a reentrant-mutex
    /// take none and start free; a bank needs a map from account to balance.
    pub initial: Option<Value>,
    /// What a read of nil means.
    pub nil_reads: NilReads,
}

impl ModelOptions {
    /// The model as it is without any option.
    pub fn new(kind: ModelKind) -> Self {
        ModelOptions {
            kind,
            initial: None,
            nil_reads: NilReads::default(),
        }
    }
}

/// Something to be done with a model, whichever it is.
pub(crate) trait Visitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit<M: Model + Clone + Send + 'static>(self, model: &M) -> Self::Output;
}

impl ModelOptions {
    /// The model as a plain register, where it is one.
    pub(crate) fn plain_register(&self) -> Option<PlainRegister> {
        let with_cas = match self.kind {
            ModelKind::Register => false,
            ModelKind::CasRegister => true,
            _ => return None,
        };
        Some(PlainRegister {
            initial: self.initial.clone().unwrap_or_default(),
            nil_reads: self.nil_reads,
            with_cas,
        })
    }

    /// Makes the model and hands it to `visitor`.
    pub(crate) fn visit<V: Visitor>(&self, visitor: V) -> Result<V::Output, InitialError> {
        let initial = self.initial.as_ref();
        let value = || initial.cloned().unwrap_or_default();
        Ok(match self.kind {
            ModelKind::Register => visitor.visit(&Register::new(value(), self.nil_reads)),
            ModelKind::CasRegister => visitor.visit(&Register::with_cas(value(), self.nil_reads)),
            ModelKind::MultiRegister => {
                visitor.visit(&MultiRegister::new(initial, self.nil_reads)?)
            }
            ModelKind::Kv => visitor.visit(&Kv::new(initial, self.nil_reads)?),
            ModelKind::Stack => visitor.visit(&Stack::new(initial)?),
            ModelKind::PriorityQueue => visitor.visit(&PriorityQueue::new(initial)?),
            ModelKind::ReentrantMutex => visitor.visit(&ReentrantMutex::new(initial)?),
            ModelKind::FencedLock => visitor.visit(&FencedLock::new(initial)?),
            ModelKind::Bank => visitor.visit(&Bank::new(initial, self.nil_reads)?),
            ModelKind::FifoQueue => visitor.visit(&FifoQueue::new(initial)?),
            ModelKind::AppendList => visitor.visit(&AppendList::new(initial, self.nil_reads)?),
            ModelKind::Counter => visitor.visit(&Counter::new(initial, self.nil_reads)?),
            ModelKind::VersionedRegister => {
                visitor.visit(&VersionedRegister::new(initial, self.nil_reads)?)
            }
            ModelKind::Set => visitor.visit(&Set::new(initial, self.nil_reads)?),
            ModelKind::Mutex => visitor.visit(&Mutex::new(initial)?),
        })
    }
}

/// An initial value that a model cannot start from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the model {model} cannot start from {initial} (hint: give {expected})")]
pub struct InitialError {
    /// The model.
    pub model: &'static str,
    /// What was given.
    pub initial: String,
    /// What would do.
    pub expected: &'static str,
}

/// For locks, which take no initial value: refuses one.
pub(crate) fn starts_free(
    model: &'static str,
    initial: Option<&Value>,
) -> Result<(), InitialError> {
    match initial {
        None | Some(Value::Nil) => Ok(()),
        Some(other) => Err(InitialError {
            model,
            initial: other.to_string(),
            expected: "nothing: a lock starts free",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cancel, Limits, Verdict, linearizability};

    #[test]
    fn every_name_is_its_own_model() {
        for kind in ModelKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let error = ModelKind::from_str("regster").unwrap_err().to_string();
        let known = ModelKind::ALL.map(ModelKind::as_str).join(", ");
        assert_eq!(
            error,
            format!("no model is named \"regster\" (known: {known})")
        );
        assert!(
            known.contains("cas-register, multi-register, kv"),
            "{known}"
        );
    }

    /// What a model would pass over may mean something, and the verdict then be wrong: so an argument
    /// where there is none, and a result that says more than that a change was made, are refused.
    #[test]
    fn nothing_said_is_passed_over() {
        let rows: &[(&str, &[&str], &[&str])] = &[
            (
                "cas-register",
                &[
                    "write 1 -> 2",
                    "write 1 -> false",
                    "write 1 -> \"x\"",
                    "read 5 -> 1",
                    "cas [1 2] -> 0",
                    "cas [1 2] -> \"false\"",
                    "cas [1 2] -> [1 3]",
                    "cas [1 2 3] -> true",
                ],
                &[
                    "write 1 -> 1",
                    "write 1 -> true",
                    "write false -> false",
                    "read 1 -> 1",
                    "read nil -> 1",
                    "read [nil nil] -> 1",
                    "cas [1 2] -> [1 2]",
                ],
            ),
            (
                "register",
                &["put 1 -> 2", "get 5 -> 1"],
                &["put 1 -> 1", "get nil -> 1"],
            ),
            (
                "kv",
                &[
                    "put 1 -> 2",
                    "append 1 -> false",
                    "get \"k\" -> 1",
                    "cas [1 2] -> 0",
                ],
                &[
                    "put 1 -> true",
                    "append 1 -> 1",
                    "get 1 -> 1",
                    "get nil -> 1",
                ],
            ),
            (
                "versioned-register",
                &[
                    "read 5 -> [1 2]",
                    "cas [5 1] -> [7 2]",
                    "cas [5 1] -> \"x\"",
                    "write 1 -> nil",
                ],
                &[
                    "read [nil nil] -> [1 2]",
                    "cas [5 1] -> [7 1]",
                    "cas [5 1] -> 7",
                ],
            ),
            (
                "multi-register",
                &[
                    "txn [[w x 1]] -> [[w x 2]]",
                    "txn [[w x 1]] -> [[w y 1]]",
                    "txn [[w x 1] [w y 1]] -> [[w x 1]]",
                    "txn [[r x nil]] -> nil",
                    "txn [[r x 5]] -> [[r x 1]]",
                    "txn [[r x nil]] -> [[w x 1]]",
                    "write {x 1} -> {x 2}",
                ],
                &[
                    "txn [[w x 1]] -> nil",
                    "txn [[w x 1] [r y nil]] -> [[w x 1] [r y 5]]",
                    "txn [[r x]] -> [[r x 5]]",
                    "txn [[r x]] -> ?",
                    "write {x 1} -> true",
                    "read nil -> {x 1}",
                ],
            ),
            ("append-list", &["read 1 -> [1]"], &["read nil -> [1]"]),
            ("fifo-queue", &["dequeue 1 -> 2"], &["dequeue nil -> 2"]),
            (
                "stack",
                &["pop 1 -> 2", "push 1 -> 2"],
                &["pop nil -> 2", "push 1 -> 1"],
            ),
            (
                "priority-queue",
                &["pop 1 -> 2", "push 1 -> 2"],
                &["pop nil -> 2"],
            ),
            ("counter", &["read 1 -> 2"], &["read nil -> 2"]),
            (
                "mutex",
                &["acquire {lock 1} -> true"],
                &["acquire {client 1, lock 1} -> true"],
            ),
            (
                "fenced-lock",
                &["release {lock 1} -> true"],
                &["release {token 1} -> true"],
            ),
        ];
        for (model, refused, accepted) in rows {
            let options = ModelOptions::new(model.parse().unwrap());
            let judged = |row: &str| {
                let history = crate::testing::history_of(row);
                let operations = history.operations();
                linearizability(&operations, &options, &Limits::default(), &Cancel::new())
            };
            for row in *refused {
                let error = judged(row)
                    .map(|judged| judged.check)
                    .unwrap_err()
                    .to_string();
                assert!(
                    error.contains(&format!("the model {model} expects")),
                    "{row}: {error}"
                );
            }
            for row in *accepted {
                assert!(judged(row).is_ok(), "{model}: {row}");
            }
        }
    }

    #[test]
    fn a_version_that_a_cas_answers_counts() {
        for (row, verdict) in [
            (
                "write x -> 5; cas [5 y] -> 7; read nil -> [7 y]",
                Verdict::Valid,
            ),
            (
                "write x -> 5; cas [5 y] -> 7; read nil -> [6 y]",
                Verdict::Invalid,
            ),
            ("write x -> 5; cas [5 y] -> 3", Verdict::Invalid),
            (
                "write x -> 5; cas [5 y] -> true; read nil -> [6 y]",
                Verdict::Valid,
            ),
        ] {
            let options = ModelOptions::new(ModelKind::VersionedRegister);
            crate::testing::judge_rows(&options, &[(row, verdict)]);
        }
    }
}

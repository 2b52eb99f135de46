//! Checks that ask for something else than an order of all operations: is everything that was
//! acknowledged still there, is there one holder at a time, one leader in a term?
//!
//! Each is a function from a history to a [`Check`] with [`Findings`](crate::Findings). They share
//! three rules. `invalid` comes only from what is certain: an operation of unknown outcome may have
//! taken effect at any time after its invocation, or never, and one operation is before another
//! only when it ended before the other began. What could not be looked at is `unknown`. And no
//! input makes them fail: what they do not understand they count, and say so.

mod bank;
mod counter;
mod echo;
mod elements;
mod eventual;
mod kafka;
mod leader_election;
mod lock;
mod log;
mod queue;
mod set;
mod tally;
mod transactions;
mod unique_ids;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use histories::{Operation, Operations, Outcome, Value};
use thiserror::Error;

use crate::{Cancel, Check, Limits, Verdict};
use transactions::Objects;
pub use transactions::{Consistency, UnknownConsistency};

/// A check of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Analysis {
    /// Every acknowledged add is in every later read.
    Set,
    /// Every acknowledged enqueue is delivered once, in order.
    Queue,
    /// Every acknowledged enqueue is delivered once, in any order.
    UnorderedQueue,
    /// One holder at a time; fencing tokens grow.
    Lock,
    /// One leader in a term.
    LeaderElection,
    /// Every read lies between what must and what may have been added.
    Counter,
    /// Reads after the last add agree with what was added.
    FinalCounter,
    /// No id twice.
    UniqueIds,
    /// Everybody reads the same, in the same order.
    Log,
    /// Events are in order, once each, and complete.
    Watch,
    /// No money is made, lost or overdrawn, and one order explains all reads.
    Bank,
    /// What anybody knows of a set is known to all in the end.
    EventualSet,
    /// Logs with offsets lose, double and reorder nothing.
    Kafka,
    /// Every answer is what was sent.
    Echo,
    /// Transactions on lists are as isolated as they should be.
    ListAppend,
    /// Transactions on registers are as isolated as they should be.
    RwRegister,
}

/// What an analysis goes by besides the history.
#[derive(Debug, Clone, Copy)]
pub struct AnalysisContext<'a> {
    /// The value at the start, where there is one: a map of balances for the bank.
    pub initial: Option<&'a Value>,
    /// What the check for linearizability by the workload's model said, where it was made.
    pub linearizable: Option<Verdict>,
    /// The event from which on what one node knew had had time to become known to all, where the
    /// history says so.
    pub settled_index: Option<u64>,
    /// What transactions must be: each of these; strictly serializable where there is none.
    pub consistency: &'a [Consistency],
    /// What an analysis that searches may use.
    pub limits: &'a Limits,
    /// Ends a search early.
    pub cancel: &'a Cancel,
}

impl Analysis {
    /// All of them.
    pub const ALL: [Analysis; 16] = [
        Analysis::Set,
        Analysis::Queue,
        Analysis::UnorderedQueue,
        Analysis::Lock,
        Analysis::LeaderElection,
        Analysis::Counter,
        Analysis::FinalCounter,
        Analysis::UniqueIds,
        Analysis::Log,
        Analysis::Watch,
        Analysis::Bank,
        Analysis::EventualSet,
        Analysis::Kafka,
        Analysis::Echo,
        Analysis::ListAppend,
        Analysis::RwRegister,
    ];

    /// Its name on the command line and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Analysis::Set => "set",
            Analysis::Queue => "queue",
            Analysis::UnorderedQueue => "unordered-queue",
            Analysis::Lock => "lock",
            Analysis::LeaderElection => "leader-election",
            Analysis::Counter => "counter",
            Analysis::FinalCounter => "final-counter",
            Analysis::UniqueIds => "unique-ids",
            Analysis::Log => "log",
            Analysis::Watch => "watch",
            Analysis::Bank => "bank",
            Analysis::EventualSet => "eventual-set",
            Analysis::Kafka => "kafka",
            Analysis::Echo => "echo",
            Analysis::ListAppend => "list-append",
            Analysis::RwRegister => "rw-register",
        }
    }

    /// Makes the check.
    pub fn check(self, operations: &Operations<'_>, context: &AnalysisContext<'_>) -> Check {
        let all = operations.to_vec();
        match self {
            Analysis::Set => set::check(&all),
            Analysis::Queue => queue::check(&all, true),
            Analysis::UnorderedQueue => queue::check(&all, false),
            Analysis::Lock => lock::check(&all),
            Analysis::LeaderElection => leader_election::check(&all),
            Analysis::Counter => counter::check(&all, context.initial),
            Analysis::FinalCounter => counter::check_final(&all, context),
            Analysis::UniqueIds => unique_ids::check(&all),
            Analysis::Log => log::check(&all),
            Analysis::Watch => watch::check(&all),
            Analysis::Bank => bank::check(&all, context),
            Analysis::EventualSet => eventual::check(&all, context.settled_index),
            Analysis::Kafka => kafka::check(&all, context.settled_index),
            Analysis::Echo => echo::check(&all),
            Analysis::ListAppend => transactions::check(&all, Objects::Lists, context),
            Analysis::RwRegister => transactions::check(&all, Objects::Registers, context),
        }
    }
}

impl fmt::Display for Analysis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Analysis {
    type Err = UnknownAnalysis;

    fn from_str(name: &str) -> Result<Self, UnknownAnalysis> {
        let found = Analysis::ALL.into_iter().find(|one| one.as_str() == name);
        found.ok_or_else(|| UnknownAnalysis {
            name: name.to_owned(),
        })
    }
}

/// A name that no check of its own has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no check is named {name:?} (known: {})", Analysis::ALL.map(Analysis::as_str).join(", "))]
pub struct UnknownAnalysis {
    /// The name asked for.
    pub name: String,
}

/// The operations on each key, by invocation; nil where there is none.
fn by_key(operations: &[Operation]) -> BTreeMap<Value, Vec<&Operation>> {
    let mut keys: BTreeMap<Value, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        let key = operation.key.clone().unwrap_or_default();
        keys.entry(key).or_default().push(operation);
    }
    keys
}

/// The index at which an operation had certainly taken effect; `None` when that is not known.
fn done_at(operation: &Operation) -> Option<u64> {
    (operation.outcome == Outcome::Ok)
        .then_some(operation.ended?.index)
        .filter(|ended| *ended >= operation.invoked.index)
}

/// Whether the first was over before the second began.
fn is_before(first: &Operation, second: &Operation) -> bool {
    done_at(first).is_some_and(|ended| ended < second.invoked.index)
}

/// Whether it may have taken effect.
fn may_have_happened(operation: &Operation) -> bool {
    operation.outcome != Outcome::Fail
}

fn is_ok(operation: &Operation) -> bool {
    operation.outcome == Outcome::Ok
}

/// How sentences name an operation: `operation 12 (at 1.203 s)`; foreign histories may have no
/// times.
fn name_of(operation: &Operation) -> String {
    let invoked = operation.invoked;
    match invoked.time_ns == invoked.index {
        true => format!("operation {}", invoked.index),
        false => format!(
            "operation {} (at {:.3} s)",
            invoked.index,
            invoked.time_ns as f64 / 1e9
        ),
    }
}

#[cfg(test)]
mod tests;

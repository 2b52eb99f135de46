//! What a workload is, and which there are.

use std::sync::Arc;

use histories::Value;

use crate::{
    APPEND, BANK, BROADCAST, COUNTER, FENCED_LOCK, KeyRing, Kv, LEADER_ELECTION, LOCK, Options,
    Outcome, QUEUE, Register, SET, UNIQUE_IDS, Watch,
};

/// A set of operations with their mix, and the model that judges what came of them.
pub trait Workload: Sync + std::fmt::Debug {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The name of the consistency model, as the checkers know it; none where what the clients saw
    /// need not have one order.
    fn model(&self) -> Option<&'static str>;

    /// The names of the checks of its own, as the checkers know them.
    fn checks(&self) -> &'static [&'static str] {
        &[]
    }

    /// What every key holds before the first operation, in the form of the model; none for
    /// whatever the model says.
    fn initial(&self) -> Option<Value> {
        None
    }

    /// The operation that looks at a key; none where every operation changes something.
    fn read(&self) -> Option<&'static str>;

    /// Every operation it has.
    fn operations(&self) -> Vec<&'static str>;

    /// Those of its operations that it can do without: where a client lacks one, the others are drawn.
    fn optional(&self) -> &'static [&'static str] {
        &[]
    }

    /// How it is run unless something else is asked for.
    fn defaults(&self) -> Options;

    /// The generator of one client's operations. The same seed, context and options give the same
    /// operations, as far as the keys have been used alike and the answers were the same.
    fn generator(&self, seed: u64, context: &Context, options: &Options) -> Box<dyn Generator>;

    /// A read of every key ever used, to be done when everything is healed: what is acknowledged
    /// and not there any more shows here at the latest. The newest keys come first; beyond
    /// [`FINAL_READS_MAX`] the oldest are left out.
    fn final_reads(&self, keys: &KeyRing) -> Vec<Invocation> {
        let Some(f) = self.read() else {
            return Vec::new();
        };
        let f: Arc<str> = f.into();
        let read = |key| Invocation {
            f: f.clone(),
            key: Some(key),
            value: Value::Nil,
        };
        keys.used(FINAL_READS_MAX).into_iter().map(read).collect()
    }

    /// Whether a final read that ended so is to be made once more, as one that took a single one of
    /// many.
    fn is_unfinished(&self, _read: &Invocation, _outcome: &Outcome) -> bool {
        false
    }
}

/// Final reads, at most.
pub const FINAL_READS_MAX: usize = 2_000;

/// One client's operations, drawn one by one. Pure: no clock, no network.
pub trait Generator: Send {
    /// The client's next operation.
    fn next(&mut self, context: &Context) -> Invocation;

    /// What came of the operation drawn last, so that a compare-and-set can expect what was seen.
    fn observe(&mut self, invocation: &Invocation, outcome: &Outcome);
}

/// Who draws, among whom, on which keys.
#[derive(Debug, Clone)]
pub struct Context {
    /// The client's number, below `clients`. It stays the same when its process is retired.
    pub client: u32,
    /// How many clients there are.
    pub clients: u32,
    /// The keys in use, shared by all clients of the run.
    pub keys: Arc<KeyRing>,
}

/// An operation about to be invoked: what the history's `invoke` event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The operation's name.
    pub f: Arc<str>,
    /// The key it acts on.
    pub key: Option<Value>,
    /// Its argument.
    pub value: Value,
}

/// Every workload.
pub const ALL: [&dyn Workload; 13] = [
    &Register,
    &Kv,
    &SET,
    &APPEND,
    &QUEUE,
    &LOCK,
    &FENCED_LOCK,
    &LEADER_ELECTION,
    &COUNTER,
    &UNIQUE_IDS,
    &BROADCAST,
    &Watch,
    &BANK,
];

/// A name that no workload has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown workload {name:?} (known: {})", ALL.map(Workload::name).join(", "))]
pub struct UnknownWorkload {
    /// The name as it was given.
    pub name: String,
}

/// The workload of this name.
///
/// # Errors
/// There is none.
pub fn by_name(name: &str) -> Result<&'static dyn Workload, UnknownWorkload> {
    let found = ALL.into_iter().find(|workload| workload.name() == name);
    found.ok_or_else(|| UnknownWorkload {
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_others_are_refused_with_what_is_known() {
        for workload in ALL {
            let found = by_name(workload.name()).expect("it is in the list");
            assert_eq!(
                (found.name(), found.model()),
                (workload.name(), workload.model())
            );
        }
        let error = by_name("regiser").expect_err("there is none").to_string();
        let expected = "unknown workload \"regiser\" (known: register, kv, set, append,";
        assert!(error.starts_with(expected), "{error}");
    }
}

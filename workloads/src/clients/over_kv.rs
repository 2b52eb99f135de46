//! Sets, lists, queues, locks, counters, ids, banks and elections on a store that has only keys and
//! values.
//!
//! Each structure is the text under one key. What only adds is one `append`. Everything else looks
//! (`get`), decides, and swaps what it saw for what comes of it (`cas`). Outcomes are exact:
//!
//! - A swap that found another value did nothing, so looking and swapping again is still one
//!   operation; after [`ATTEMPTS_MAX`] times it is a `fail`.
//! - A look that was not answered did nothing: the operation is a `fail` where it was to change
//!   something. It need not be followed by [`Client::open`]: nothing is left of it but a connection,
//!   which a client gives up by itself.
//! - A swap or append of unknown outcome makes the operation one.
//! - What is refused (a lock that is held, an account that holds too little, an empty queue) is an
//!   observation by the look, which was answered within the operation: `ok`.
//!
//! | workload | text |
//! |---|---|
//! | `set`, `append`, `broadcast`, `queue` | the elements, each followed by a space |
//! | `lock`, `fenced-lock` | the last token, and the holder if it is held |
//! | `counter` | the number |
//! | `unique-ids` | how many ids were given from here: a process uses one of [`NUMBERS`] keys |
//! | `bank` | the balances |
//! | `leader-election` | the term and its leader |

#[cfg(test)]
mod tests;
mod texts;

use std::pin::Pin;
use std::sync::Arc;

use histories::Value;

use crate::clients::Factory;
use crate::{Client, Completion, Invocation, Outcome};
use texts::{Change, Plan, Step, plan};

/// How often an operation looks and swaps before it gives up.
pub const ATTEMPTS_MAX: u32 = 20;

/// From how many keys ids are given: each has ids of its own, so that not all clients race for one.
pub const NUMBERS: u64 = 4;

/// The workloads that a store of keys and values serves by this adapter.
pub const WORKLOADS: [&str; 10] = [
    "set",
    "append",
    "broadcast",
    "queue",
    "lock",
    "fenced-lock",
    "counter",
    "unique-ids",
    "bank",
    "leader-election",
];

/// Clients for this workload, each made of a store of keys and values that has `get`, `append` and
/// `cas` as the workload `kv` has them; `None` where the workload is none of [`WORKLOADS`].
pub fn factory(workload: &str, stores: Box<dyn Factory>) -> Option<Box<dyn Factory>> {
    let workload = WORKLOADS.into_iter().find(|known| *known == workload)?;
    let adapted = move |number| adapt(workload, stores.client(number));
    Some(Box::new(adapted))
}

fn adapt(workload: &'static str, store: Box<dyn Client>) -> Box<dyn Client> {
    Box::new(OverKv {
        workload,
        store,
        process: 0,
    })
}

/// A structure on a store of keys and values.
struct OverKv {
    workload: &'static str,
    store: Box<dyn Client>,
    process: u64,
}

impl Client for OverKv {
    fn open(&mut self, process: u64) {
        self.process = process;
        self.store.open(process);
    }

    fn invoke<'a>(
        &'a mut self,
        invocation: &'a Invocation,
    ) -> Pin<Box<dyn Future<Output = Completion> + Send + 'a>> {
        Box::pin(self.operate(invocation))
    }
}

impl OverKv {
    async fn operate(&mut self, invocation: &Invocation) -> Completion {
        let mut trail = Trail::default();
        let key = invocation.key.clone();
        // Ids have no key: they come from a few numbers.
        let key = key.unwrap_or_else(|| texts::numbers_key(self.process));
        match plan(self.workload, invocation, self.process) {
            Ok(Plan::Append(text)) => {
                let completion = self.call("append", &key, text.into(), &mut trail).await;
                trail.finish(completion.outcome, completion.error)
            }
            Ok(Plan::Look(read)) => {
                let completion = self.call("get", &key, Value::Nil, &mut trail).await;
                let Outcome::Ok(found) = &completion.outcome else {
                    return trail.finish(completion.outcome, completion.error);
                };
                match read(found.as_text()) {
                    Some(value) => trail.finish(Outcome::Ok(value), None),
                    None => trail.not_understood(found),
                }
            }
            Ok(Plan::Change(change)) => self.change(&key, &change, trail).await,
            Err(why) => trail.finish(Outcome::Fail, Some(why.into())),
        }
    }

    /// Looks and swaps until a swap takes, or something else decides.
    async fn change(&mut self, key: &Value, change: &Change, mut trail: Trail) -> Completion {
        for _ in 0..ATTEMPTS_MAX {
            let completion = self.call("get", key, Value::Nil, &mut trail).await;
            let Outcome::Ok(found) = completion.outcome else {
                return trail.finish(Outcome::Fail, completion.error);
            };
            let (new, result) = match change(found.as_text()) {
                Some(Step::Nothing(observed)) => return trail.finish(Outcome::Ok(observed), None),
                Some(Step::Swap { new, result }) => (new, result),
                // Nothing was changed, nor will it be.
                None => {
                    let why = format!("the store holds {found}, which is none of ours");
                    return trail.finish(Outcome::Fail, Some(why.into()));
                }
            };
            let swap = Value::List(vec![found, new.into()]);
            let completion = self.call("cas", key, swap, &mut trail).await;
            match completion.outcome {
                Outcome::Ok(Value::Bool(false)) => {}
                Outcome::Ok(_) => return trail.finish(Outcome::Ok(result), None),
                outcome => return trail.finish(outcome, completion.error),
            }
        }
        let why = format!("others were faster {ATTEMPTS_MAX} times");
        trail.finish(Outcome::Fail, Some(why.into()))
    }

    async fn call(&mut self, f: &str, key: &Value, value: Value, trail: &mut Trail) -> Completion {
        let invocation = Invocation {
            f: f.into(),
            key: Some(key.clone()),
            value,
        };
        let completion = self.store.invoke(&invocation).await;
        trail.add(&completion);
        completion
    }
}

/// The nodes that an operation has tried.
#[derive(Default)]
struct Trail(Vec<Arc<str>>);

impl Trail {
    fn add(&mut self, completion: &Completion) {
        match completion.path.is_empty() {
            true => self.0.extend(completion.node.clone()),
            false => self.0.extend(completion.path.iter().cloned()),
        }
        // A node that answered several calls in turn is one stop.
        self.0.dedup();
    }

    fn finish(self, outcome: Outcome, error: Option<Arc<str>>) -> Completion {
        let Trail(path) = self;
        Completion {
            outcome,
            node: path.last().cloned(),
            path: if path.len() > 1 { path } else { Vec::new() },
            error,
        }
    }

    fn not_understood(self, found: &Value) -> Completion {
        let why = format!("the store holds {found}, which is none of ours");
        self.finish(Outcome::Info, Some(why.into()))
    }
}

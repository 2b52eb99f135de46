//! The client of etcd, version 3, over its HTTP/JSON gateway (`/v3/…`, from etcd 3.4 on).
//!
//! | data | operation | requests |
//! |---|---|---|
//! | register, kv | `read`, `get` | `kv/range` of the key, linearizable unless [`EtcdOptions::serializable`] |
//! | | `write`, `put` | `kv/put` |
//! | | `cas` | `kv/txn`: put if the value is the expected one (nil: if the key is missing) |
//! | | `delete` | `kv/deleterange` |
//! | kv, list | `append` | `kv/range`, then `kv/txn`: put if the key's revision is still that one |
//! | set | `add` | `kv/put` of a key of the element's own below the set's |
//! | | `read` | `kv/range` of all keys below the set's |
//! | counter | `add` | as `append` |
//! | watch | `put` | `kv/put`; its revision is the result |
//! | | `watch` | `watch`, a stream that is kept from operation to operation; `kv/range` to know its end |
//! | lock, fenced lock | `acquire` | `lease/grant`, then `kv/txn`: put under the lease if the key is missing; its revision is the fencing token |
//! | | `release` | `kv/txn`: delete if the key was made at that revision |
//! | fenced lock | `write` | `kv/txn`: put a key of its own if the lock's key was made at the revision that the token is; without [`EtcdOptions::check_tokens`] a `kv/put` |
//!
//! One operation goes to one node. A transaction whose condition did not hold has changed nothing,
//! so an `append` or counter's `add` reads and tries again, a few times. Nothing else is sent
//! twice. Which of etcd's errors say that nothing happened and never will is the table in `answer`.

mod answer;
mod keeper;
mod request;
#[cfg(test)]
mod tests;
mod watch;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use histories::Value;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::time::Instant;

use crate::clients::data::{element_in, element_text, number_in, text_of};
use crate::clients::http::Line;
use crate::clients::route::{FAIL_PAUSE_MS, Route};
use crate::clients::{Class, Data, Node};
use crate::{Client, Completion, Invocation};
use keeper::Keeper;
use request::Condition;
use watch::Watches;

/// How a client of etcd behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EtcdOptions {
    /// What the keys hold: the workload's business.
    #[serde(skip)]
    pub data: Data,
    /// How long an operation may take before its outcome is unknown, in milliseconds: the plan's
    /// business.
    #[serde(skip)]
    pub timeout_ms: u64,
    /// Whether reads are answered from a node's own state, which may be old.
    pub serializable: bool,
    /// For how long a lock is granted, in seconds.
    pub lease_ttl_s: u64,
    /// Whether the lease of a lock is prolonged for as long as it is held. Without that its holder
    /// is as one that stands still.
    pub keep_leases: bool,
    /// Whether a write of what a lock protects is done only while the token it comes with is that of
    /// the lock's holder.
    pub check_tokens: bool,
    /// How long the client waits before it returns after an operation that failed, in milliseconds.
    pub fail_pause_ms: u64,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        EtcdOptions {
            data: Data::default(),
            timeout_ms: 1_000,
            serializable: false,
            lease_ttl_s: 10,
            keep_leases: true,
            check_tokens: true,
            fail_pause_ms: FAIL_PAUSE_MS,
        }
    }
}

/// How often a change that depends on what was read is tried before it is given up: others were
/// always quicker, and nothing was done.
const CHANGES_MAX: u32 = 5;

/// A client of etcd.
#[derive(Debug)]
pub struct Etcd {
    options: EtcdOptions,
    route: Route,
    line: Line,
    /// The locks this client holds as far as it knows.
    held: Vec<Held>,
    watches: Watches,
}

/// Why an operation ends early.
type Step<T> = Result<T, Class>;

impl Etcd {
    /// Client number `client` of the run with this seed, for the cluster of these nodes.
    pub fn new(seed: u64, client: u32, nodes: Arc<[Node]>, options: EtcdOptions) -> Self {
        Etcd {
            route: Route::new(seed, client, nodes, options.fail_pause_ms),
            options,
            line: Line::default(),
            held: Vec::new(),
            watches: Watches::default(),
        }
    }

    async fn operate(&mut self, invocation: &Invocation) -> Completion {
        let Some((place, node)) = self.choose(invocation) else {
            return self.route.refuse("no nodes".to_owned()).await;
        };
        let until = Instant::now() + Duration::from_millis(self.options.timeout_ms);
        let mut call = Call {
            line: &mut self.line,
            node: &node,
            until,
        };
        let done = match (self.options.data, &*invocation.f) {
            (Data::Watch, "watch") => follow(&mut call, &mut self.watches, invocation, place).await,
            _ => perform(&mut call, &self.options, &mut self.held, invocation).await,
        };
        let class = done.map_or_else(|class| class, Class::Done);
        self.route.complete(place, class).await
    }

    /// The node to ask: that which shows the watch already, else as ever.
    fn choose(&mut self, invocation: &Invocation) -> Option<(usize, Node)> {
        let next = self.route.next();
        let watched = match (self.options.data, &invocation.key) {
            (Data::Watch, Some(Value::Text(key))) if &*invocation.f == "watch" => {
                self.watches.place(key, invocation.value.as_int())
            }
            _ => None,
        };
        let node = |place: usize| Some((place, self.route.nodes().get(place)?.clone()));
        watched.and_then(node).or(next)
    }
}

impl Client for Etcd {
    fn open(&mut self, _process: u64) {
        self.line = Line::default();
        self.held.clear();
        self.watches = Watches::default();
    }

    fn invoke<'a>(
        &'a mut self,
        invocation: &'a Invocation,
    ) -> Pin<Box<dyn Future<Output = Completion> + Send + 'a>> {
        Box::pin(self.operate(invocation))
    }
}

/// The requests of one operation: to one node, until one moment.
struct Call<'a> {
    line: &'a mut Line,
    node: &'a Node,
    until: Instant,
}

impl Call<'_> {
    /// Sends one request and understands its answer.
    async fn ask(&mut self, path: &str, body: &Json) -> Step<Json> {
        let request = request::post(path, body);
        let reply = self
            .line
            .exchange(self.node.address, &request, self.until)
            .await;
        answer::understand(reply)
    }

    /// The same for a request that changes nothing: without an answer the operation has certainly
    /// done nothing.
    async fn look(&mut self, path: &str, body: &Json) -> Step<Json> {
        self.ask(path, body).await.map_err(Class::of_a_read)
    }

    async fn read(&mut self, key: &str, serializable: bool) -> Step<Option<answer::Found>> {
        let answer = self
            .look("kv/range", &request::range(key, serializable))
            .await?;
        let mut found = answer::found(&answer)?;
        Ok(found.pop())
    }

    /// Puts the value; at which revision.
    async fn put(&mut self, key: &str, value: &str) -> Step<i64> {
        let answer = self.ask("kv/put", &request::put(key, value, 0)).await?;
        answer::revision(&answer)
    }

    /// The revision at which a key was changed last, 0 where it is missing: of a linearizable read
    /// that is answered until then.
    async fn newest(&mut self, key: &str, until: Instant) -> Step<i64> {
        let mut call = Call {
            line: &mut *self.line,
            node: self.node,
            until,
        };
        let found = call.read(key, false).await?;
        Ok(found.map_or(0, |found| found.revision))
    }

    /// Puts the value if the condition holds; whether it did, and at which revision.
    async fn put_if(&mut self, condition: &Condition<'_>, then: Json) -> Step<(bool, i64)> {
        let answer = self
            .ask("kv/txn", &request::transaction(condition, &then))
            .await?;
        Ok((answer::succeeded(&answer)?, answer::revision(&answer)?))
    }

    /// Changes a value that depends on the one before.
    async fn change(
        &mut self,
        key: &str,
        change: impl Fn(Option<&str>) -> Result<String, String>,
    ) -> Step<()> {
        for _ in 0..CHANGES_MAX {
            let found = self.read(key, false).await?;
            let (text, revision) = match &found {
                Some(found) => (Some(found.text()?), found.revision),
                None => (None, 0),
            };
            let new = change(text).map_err(Class::NotDone)?;
            let condition = Condition::Revision(key, revision);
            if self.put_if(&condition, request::put(key, &new, 0)).await?.0 {
                return Ok(());
            }
        }
        let why = format!("others changed it each of {CHANGES_MAX} times");
        Err(Class::NotDone(why))
    }
}

/// Watches a key.
async fn follow(
    call: &mut Call<'_>,
    watches: &mut Watches,
    invocation: &Invocation,
    place: usize,
) -> Step<Value> {
    let from = match &invocation.value {
        Value::Nil => None,
        Value::Int(from @ 1..) => Some(*from),
        other => return Err(Class::NotDone(format!("a watch from {other} on"))),
    };
    let key = key_of(invocation)?;
    watches.piece(call, key, from, place).await
}

/// The operation's key.
fn key_of(invocation: &Invocation) -> Step<&str> {
    let key = invocation.key.as_ref().and_then(Value::as_text);
    key.filter(|key| !key.is_empty())
        .ok_or_else(|| Class::NotDone("the key is no text".to_owned()))
}

async fn perform(
    call: &mut Call<'_>,
    options: &EtcdOptions,
    held: &mut Vec<Held>,
    invocation: &Invocation,
) -> Step<Value> {
    let Invocation { f, value, .. } = invocation;
    let key = key_of(invocation)?;
    let refusal = || Class::NotDone(format!("a {f} of the value {value}"));
    let text = |value: &Value| text_of(value).ok_or_else(refusal);
    let serializable = options.serializable;
    match (options.data, &**f) {
        (Data::Register, "read") | (Data::Kv, "get") => {
            let found = call.read(key, serializable).await?;
            let Some(found) = found else {
                return Ok(Value::Nil);
            };
            let text = found.text()?;
            match options.data {
                Data::Register => number_in(text).ok_or_else(|| odd(text)),
                _ => Ok(text.into()),
            }
        }
        (Data::Register, "write") | (Data::Kv, "put") => {
            call.put(key, &text(value)?).await.map(|_| Value::Nil)
        }
        (Data::Watch, "put") => call.put(key, &text(value)?).await.map(Value::Int),
        (Data::Register | Data::Kv, "cas") => {
            let Some([old, new]) = value.as_list() else {
                return Err(refusal());
            };
            let old = match old {
                Value::Nil => None,
                old => Some(text(old)?),
            };
            let condition = match &old {
                None => Condition::Revision(key, 0),
                Some(old) => Condition::Value(key, old),
            };
            let put = request::put(key, &text(new)?, 0);
            Ok(call.put_if(&condition, put).await?.0.into())
        }
        (Data::Kv, "delete") => {
            let answer = call.ask("kv/deleterange", &request::delete(key)).await?;
            Ok((answer::deleted(&answer)? > 0).into())
        }
        (Data::Kv, "append") => {
            let more = text(value)?;
            let change = |text: Option<&str>| Ok(text.unwrap_or_default().to_owned() + &more);
            call.change(key, change).await.map(|()| Value::Nil)
        }
        (Data::List, "append") => {
            let element = element_text(value).ok_or_else(refusal)?;
            // One element a line.
            let change =
                |text: Option<&str>| Ok(format!("{}{element}\n", text.unwrap_or_default()));
            call.change(key, change).await.map(|()| Value::Nil)
        }
        (Data::List, "read") => {
            let found = call.read(key, serializable).await?;
            let text = found.as_ref().map_or(Ok(""), answer::Found::text)?;
            elements(text.lines())
        }
        (Data::Set, "add") => {
            let element = element_text(value).ok_or_else(refusal)?;
            let name = format!("{key}/{element}");
            call.put(&name, "").await.map(|_| Value::Nil)
        }
        (Data::Set, "read") => read_set(call, &format!("{key}/"), serializable).await,
        (Data::Counter, "add" | "increment") => {
            let amount = match value {
                Value::Nil => 1,
                value => value.as_int().ok_or_else(refusal)?,
            };
            add_to_counter(call, key, amount).await
        }
        (Data::Counter, "read") => {
            let found = call.read(key, serializable).await?;
            let text = found.as_ref().map_or(Ok("0"), answer::Found::text)?;
            number_in(text).ok_or_else(|| odd(text))
        }
        (Data::Lock | Data::FencedLock, "acquire") => acquire(call, key, options, held).await,
        (Data::Lock | Data::FencedLock, "release") => release(call, key, held).await,
        (Data::FencedLock, "write") => {
            let token = value.as_int().ok_or_else(refusal)?;
            let guarded = format!("{key}/guarded");
            if !options.check_tokens {
                return call.put(&guarded, &text(value)?).await.map(|_| true.into());
            }
            let put = request::put(&guarded, &text(value)?, 0);
            let condition = Condition::Created(key, token);
            Ok(call.put_if(&condition, put).await?.0.into())
        }
        (data, f) => {
            let workload = data.workload();
            let why =
                format!("the client of etcd has no operation {f} for the workload {workload}");
            Err(Class::NotDone(why))
        }
    }
}

/// The elements of a set: the names below it.
async fn read_set(call: &mut Call<'_>, below: &str, serializable: bool) -> Step<Value> {
    let range = request::range_below(below, serializable);
    let found = answer::found(&call.look("kv/range", &range).await?)?;
    let names = found.iter().map(|found| found.name_below(below));
    elements(names.collect::<Step<Vec<&str>>>()?.into_iter())
}

async fn add_to_counter(call: &mut Call<'_>, key: &str, amount: i64) -> Step<Value> {
    let change = |text: Option<&str>| {
        let held = number_in(text.unwrap_or("0")).and_then(|held| held.as_int());
        let sum = held.and_then(|held| held.checked_add(amount));
        sum.map(|sum| sum.to_string())
            .ok_or_else(|| "the counter holds no number that can grow".to_owned())
    };
    call.change(key, change).await.map(|()| Value::Nil)
}

/// A lock, as far as its holder knows.
#[derive(Debug)]
struct Held {
    key: String,
    /// The revision at which the key was made.
    revision: i64,
    /// Prolongs the lease for as long as this is there.
    _keeper: Option<Keeper>,
}

/// Takes the lock under a lease of its own.
async fn acquire(
    call: &mut Call<'_>,
    key: &str,
    options: &EtcdOptions,
    held: &mut Vec<Held>,
) -> Step<Value> {
    let ttl_s = options.lease_ttl_s;
    // A lease without a lock is nobody's harm: it ends by itself.
    let granted = call.look("lease/grant", &request::grant(ttl_s)).await?;
    let lease = answer::lease(&granted)?;
    let put = request::put(key, "held", lease);
    let (taken, revision) = call.put_if(&Condition::Revision(key, 0), put).await?;
    if !taken {
        // Only to leave nothing behind: whether it works changes nothing.
        let _ = call.look("lease/revoke", &request::lease(lease)).await;
        return Ok(false.into());
    }
    held.retain(|held| held.key != key);
    held.push(Held {
        key: key.to_owned(),
        revision,
        _keeper: options
            .keep_leases
            .then(|| Keeper::start(call.node.address, lease, ttl_s)),
    });
    Ok(match options.data {
        Data::FencedLock => Value::Int(revision),
        _ => true.into(),
    })
}

/// Gives the lock back if it is still the one that was taken.
async fn release(call: &mut Call<'_>, key: &str, held: &mut Vec<Held>) -> Step<Value> {
    let Some(place) = held.iter().position(|held| held.key == key) else {
        return Ok(false.into());
    };
    let held = held.swap_remove(place);
    let condition = Condition::Created(key, held.revision);
    let (released, _) = call.put_if(&condition, request::delete_op(key)).await?;
    Ok(released.into())
}

fn elements<'a>(texts: impl Iterator<Item = &'a str>) -> Step<Value> {
    let elements = texts.map(|text| element_in(text).ok_or_else(|| odd(text)));
    elements.collect::<Step<Vec<_>>>().map(Value::List)
}

/// What a node holds is not what any client of this run writes.
fn odd(text: &str) -> Class {
    Class::Unknown(format!("unexpected value {}", answer::quoted(text)))
}

//! The client of ZooKeeper, in its wire protocol.
//!
//! | data | operation | requests |
//! |---|---|---|
//! | register, kv | `read`, `get` | `getData`, after a `sync` with [`ZookeeperOptions::sync`] |
//! | | `write`, `put` | `setData` of any version, or `create` where there is none |
//! | | `cas` | `sync`, `getData`, then `setData` of that version or `create` |
//! | kv | `delete` | `delete` of any version |
//! | kv, list | `append` | as `cas`, with what it makes of the value |
//! | list | `read` | as `get` |
//! | set | `add` | `create` of a child for the element |
//! | | `read` | `getChildren`, after a `sync` with [`ZookeeperOptions::sync`] |
//! | lock, fenced lock | `acquire` | `create` of an ephemeral node; its transaction is the fencing token |
//! | | `release` | `delete` of it, in the session that made it |
//!
//! ZooKeeper answers a read from the state of the server that was asked, which may be old; after a
//! `sync` it is as new as the leader's was. A change whose condition did not hold has changed
//! nothing, so what depends on the value before is tried again, a few times. Nothing else is sent
//! twice. A session goes on over a new connection; when it has expired the operation fails, and the
//! next one makes another.

mod jute;
mod session;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use histories::Value;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::clients::data::{element_in, element_text, number_in, text_of};
use crate::clients::route::{FAIL_PAUSE_MS, Route};
use crate::clients::{Class, Data, Node};
use crate::{Client, Completion, Invocation};
use jute::{Reader, Writer};
use session::{BAD_VERSION, Kind, NO_NODE, NODE_EXISTS, Reply, Session, Trouble};

/// How a client of ZooKeeper behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ZookeeperOptions {
    /// What the nodes hold: the workload's business.
    #[serde(skip)]
    pub data: Data,
    /// How long an operation may take before its outcome is unknown, in milliseconds: the plan's
    /// business.
    #[serde(skip)]
    pub timeout_ms: u64,
    /// Whether a read is preceded by a `sync`.
    pub sync: bool,
    /// After how long without a sign of life a session ends, in milliseconds; servers have bounds
    /// of their own.
    pub session_timeout_ms: u32,
    /// How long the client waits before it returns after an operation that failed, in milliseconds.
    pub fail_pause_ms: u64,
}

impl Default for ZookeeperOptions {
    fn default() -> Self {
        ZookeeperOptions {
            data: Data::default(),
            timeout_ms: 1_000,
            sync: false,
            session_timeout_ms: 10_000,
            fail_pause_ms: FAIL_PAUSE_MS,
        }
    }
}

/// How often a change that depends on what was read is tried before it is given up: others were
/// always quicker, and nothing was done.
const CHANGES_MAX: u32 = 5;
/// Everything is allowed to everybody.
const PERMISSIONS_ALL: i32 = 31;
/// Flags of a node that is to be made.
const PERSISTENT: i32 = 0;
const EPHEMERAL: i32 = 1;
/// The version that stands for any.
const ANY_VERSION: i32 = -1;
/// Bytes of a node's state before its version: four numbers of eight bytes.
const BEFORE_VERSION_BYTES: usize = 32;

/// A client of ZooKeeper.
#[derive(Debug)]
pub struct Zookeeper {
    options: ZookeeperOptions,
    route: Route,
    session: Session,
    /// The locks taken: the key, and the session that made the node.
    held: Vec<(String, i64)>,
}

/// Why an operation ends early.
type Step<T> = Result<T, Class>;

impl Zookeeper {
    /// Client number `client` of the run with this seed, for the ensemble of these nodes.
    pub fn new(seed: u64, client: u32, nodes: Arc<[Node]>, options: ZookeeperOptions) -> Self {
        Zookeeper {
            route: Route::new(seed, client, nodes, options.fail_pause_ms),
            session: new_session(&options),
            options,
            held: Vec::new(),
        }
    }

    async fn operate(&mut self, invocation: &Invocation) -> Completion {
        let Some((place, node)) = self.route.next() else {
            return self.route.refuse("no nodes".to_owned()).await;
        };
        let until = Instant::now() + Duration::from_millis(self.options.timeout_ms);
        let mut call = Call {
            session: &mut self.session,
            address: node.address,
            until,
        };
        let done = perform(&mut call, &self.options, &mut self.held, invocation).await;
        let class = done.map_or_else(|class| class, Class::Done);
        self.route.complete(place, class).await
    }
}

impl Client for Zookeeper {
    fn open(&mut self, _process: u64) {
        self.session = new_session(&self.options);
        self.held.clear();
    }

    fn invoke<'a>(
        &'a mut self,
        invocation: &'a Invocation,
    ) -> Pin<Box<dyn Future<Output = Completion> + Send + 'a>> {
        Box::pin(self.operate(invocation))
    }
}

fn new_session(options: &ZookeeperOptions) -> Session {
    Session::new(i32::try_from(options.session_timeout_ms).unwrap_or(i32::MAX))
}

/// The requests of one operation: to one server, until one moment.
struct Call<'a> {
    session: &'a mut Session,
    address: SocketAddr,
    until: Instant,
}

/// A value, and the version it has.
type Versioned = (String, i32);

impl Call<'_> {
    async fn ask(
        &mut self,
        kind: Kind,
        fields: impl FnOnce(Writer) -> Writer,
    ) -> Result<Reply, Trouble> {
        self.session
            .ask(self.address, kind, fields, self.until)
            .await
    }

    async fn sync(&mut self, path: &str) -> Step<()> {
        let synced = self.ask(Kind::Sync, |writer| writer.text(path)).await;
        // It changes nothing.
        synced.map(drop).map_err(|why| Class::from(why).of_a_read())
    }

    /// The value and version of a node; nothing where there is none.
    async fn get(&mut self, path: &str, sync: bool) -> Step<Option<Versioned>> {
        if sync {
            self.sync(path).await?;
        }
        let fields = |writer: Writer| writer.text(path).bool(false);
        let reply = match self.ask(Kind::GetData, fields).await {
            Ok(reply) => reply,
            Err(Trouble::Error(NO_NODE)) => return Ok(None),
            Err(trouble) => return Err(Class::from(trouble).of_a_read()),
        };
        let mut reader = Reader(&reply.body);
        let value = reader.text().map(str::to_owned);
        let version = reader
            .0
            .get(BEFORE_VERSION_BYTES..)
            .and_then(|rest| Reader(rest).int());
        let found = value.zip(version);
        found.map(Some).ok_or_else(|| {
            Class::NotDone("an unexpected answer: no text and its version".to_owned())
        })
    }

    async fn children(&mut self, path: &str, sync: bool) -> Step<Vec<String>> {
        if sync {
            self.sync(path).await?;
        }
        let fields = |writer: Writer| writer.text(path).bool(false);
        let reply = match self.ask(Kind::GetChildren, fields).await {
            Ok(reply) => reply,
            Err(Trouble::Error(NO_NODE)) => return Ok(Vec::new()),
            Err(trouble) => return Err(Class::from(trouble).of_a_read()),
        };
        let mut reader = Reader(&reply.body);
        let count = reader.int().unwrap_or(-1);
        let names = (0..count).map(|_| reader.text().map(str::to_owned));
        let names: Option<Vec<String>> = names.collect();
        names
            .filter(|_| count >= 0)
            .ok_or_else(|| Class::NotDone("an unexpected answer: no list of names".to_owned()))
    }

    /// Makes a node; the transaction that made it.
    async fn create(&mut self, path: &str, value: &str, flags: i32) -> Result<i64, Trouble> {
        let fields = |writer: Writer| {
            let writer = writer.text(path).text(value).int(1).int(PERMISSIONS_ALL);
            writer.text("world").text("anyone").int(flags)
        };
        Ok(self.ask(Kind::Create, fields).await?.zxid)
    }

    async fn set(&mut self, path: &str, value: &str, version: i32) -> Result<(), Trouble> {
        let fields = |writer: Writer| writer.text(path).text(value).int(version);
        self.ask(Kind::SetData, fields).await.map(drop)
    }

    async fn delete(&mut self, path: &str) -> Step<bool> {
        let fields = |writer: Writer| writer.text(path).int(ANY_VERSION);
        match self.ask(Kind::Delete, fields).await {
            Ok(_) => Ok(true),
            Err(Trouble::Error(NO_NODE)) => Ok(false),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// Writes a value whatever was there.
    async fn put(&mut self, path: &str, value: &str) -> Step<()> {
        for _ in 0..CHANGES_MAX {
            match self.set(path, value, ANY_VERSION).await {
                Err(Trouble::Error(NO_NODE)) => {}
                done => return done.map_err(Class::from),
            }
            match self.create(path, value, PERSISTENT).await {
                Err(Trouble::Error(NODE_EXISTS)) => {}
                done => return done.map(drop).map_err(Class::from),
            }
        }
        Err(forestalled())
    }

    /// Changes a value that depends on the one before, if `change` makes a new one of it; whether
    /// it did.
    async fn change(
        &mut self,
        path: &str,
        change: impl Fn(Option<&str>) -> Option<String>,
    ) -> Step<bool> {
        for _ in 0..CHANGES_MAX {
            // What decides is not read from an old state.
            let found = self.get(path, true).await?;
            let Some(new) = change(found.as_ref().map(|(value, _)| value.as_str())) else {
                return Ok(false);
            };
            let done = match found {
                Some((_, version)) => self.set(path, &new, version).await,
                None => self.create(path, &new, PERSISTENT).await.map(drop),
            };
            match done {
                Err(Trouble::Error(NO_NODE | BAD_VERSION | NODE_EXISTS)) => {}
                done => return done.map(|()| true).map_err(Class::from),
            }
        }
        Err(forestalled())
    }
}

fn forestalled() -> Class {
    Class::NotDone(format!("others changed it each of {CHANGES_MAX} times"))
}

async fn perform(
    call: &mut Call<'_>,
    options: &ZookeeperOptions,
    held: &mut Vec<(String, i64)>,
    invocation: &Invocation,
) -> Step<Value> {
    let Invocation { f, key, value } = invocation;
    let key = key.as_ref().and_then(Value::as_text);
    let path = match key {
        Some(key) if !key.is_empty() => format!("/{}", escaped(key)),
        _ => return Err(Class::NotDone("the key is no text".to_owned())),
    };
    let path = path.as_str();
    let refusal = || Class::NotDone(format!("a {f} of the value {value}"));
    let text = |value: &Value| text_of(value).ok_or_else(refusal);
    let element = || element_text(value).ok_or_else(refusal);
    match (options.data, &**f) {
        (Data::Register, "read") => match call.get(path, options.sync).await? {
            Some((text, _)) => number_in(&text).ok_or_else(|| odd(&text)),
            None => Ok(Value::Nil),
        },
        (Data::Kv, "get") => {
            let found = call.get(path, options.sync).await?;
            Ok(found.map_or(Value::Nil, |(text, _)| text.into()))
        }
        (Data::Register, "write") | (Data::Kv, "put") => {
            call.put(path, &text(value)?).await.map(|()| Value::Nil)
        }
        (Data::Register | Data::Kv, "cas") => {
            let Some([old, new]) = value.as_list() else {
                return Err(refusal());
            };
            let old = match old {
                Value::Nil => None,
                old => Some(text(old)?),
            };
            let new = text(new)?;
            let change = |found: Option<&str>| (found == old.as_deref()).then(|| new.clone());
            call.change(path, change).await.map(Value::from)
        }
        (Data::Kv, "delete") => call.delete(path).await.map(Value::from),
        (Data::Kv, "append") => {
            let more = text(value)?;
            let change = |found: Option<&str>| Some(found.unwrap_or_default().to_owned() + &more);
            call.change(path, change).await.map(|_| Value::Nil)
        }
        (Data::List, "append") => {
            let element = element()?;
            // One element a line.
            let change =
                |found: Option<&str>| Some(format!("{}{element}\n", found.unwrap_or_default()));
            call.change(path, change).await.map(|_| Value::Nil)
        }
        (Data::List, "read") => {
            let found = call.get(path, options.sync).await?;
            let text = found.map_or_else(String::new, |(text, _)| text);
            elements(text.lines().map(str::to_owned))
        }
        (Data::Set, "add") => {
            let child = format!("{path}/{}", escaped(&element()?));
            add(call, path, &child).await.map(|()| Value::Nil)
        }
        (Data::Set, "read") => {
            let names = call.children(path, options.sync).await?;
            elements(names.iter().map(|name| unescaped(name)))
        }
        (Data::Lock, "acquire") => {
            let token = acquire(call, path, held).await?;
            Ok(token.is_some().into())
        }
        (Data::FencedLock, "acquire") => {
            let token = acquire(call, path, held).await?;
            Ok(token.map_or(false.into(), Value::Int))
        }
        (Data::Lock | Data::FencedLock, "release") => {
            release(call, path, held).await.map(Value::from)
        }
        (data, f) => {
            let workload = data.workload();
            let why =
                format!("the client of ZooKeeper has no operation {f} for the workload {workload}");
            Err(Class::NotDone(why))
        }
    }
}

/// Takes a lock: the transaction that made its node, or none where somebody holds it.
async fn acquire(
    call: &mut Call<'_>,
    path: &str,
    held: &mut Vec<(String, i64)>,
) -> Step<Option<i64>> {
    let zxid = match call.create(path, "held", EPHEMERAL).await {
        Ok(zxid) => zxid,
        Err(Trouble::Error(NODE_EXISTS)) => return Ok(None),
        Err(trouble) => return Err(trouble.into()),
    };
    held.retain(|(other, _)| other != path);
    held.push((path.to_owned(), call.session.id()));
    Ok(Some(zxid))
}

/// Gives a lock back; whether it was still held.
async fn release(call: &mut Call<'_>, path: &str, held: &mut Vec<(String, i64)>) -> Step<bool> {
    let Some(place) = held.iter().position(|(other, _)| other == path) else {
        return Ok(false);
    };
    // The node went with the session that made it.
    if held[place].1 != call.session.id() {
        held.swap_remove(place);
        return Ok(false);
    }
    let released = call.delete(path).await?;
    held.swap_remove(place);
    Ok(released)
}

/// Makes a child, and its parent where that is missing.
async fn add(call: &mut Call<'_>, path: &str, child: &str) -> Step<()> {
    for _ in 0..2 {
        match call.create(child, "", PERSISTENT).await {
            // It is in the set already.
            Ok(_) | Err(Trouble::Error(NODE_EXISTS)) => return Ok(()),
            Err(Trouble::Error(NO_NODE)) => {}
            Err(trouble) => return Err(trouble.into()),
        }
        match call.create(path, "", PERSISTENT).await {
            Ok(_) | Err(Trouble::Error(NODE_EXISTS)) => {}
            // The set is there or is not: its elements are the same.
            Err(trouble) => return Err(Class::from(trouble).of_a_read()),
        }
    }
    Err(Class::NotDone("the set is missing and there".to_owned()))
}

/// A text as one name in a path: what a path could take for something else is percent-encoded.
fn escaped(text: &str) -> String {
    let mut name = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            _ => name += &format!("%{byte:02X}"),
        }
    }
    name
}

/// The text that was escaped so; as it is where none was.
fn unescaped(name: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let byte = after
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(byte) = byte else {
            return name.to_owned();
        };
        bytes.push(byte);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}

fn elements(texts: impl Iterator<Item = String>) -> Step<Value> {
    let elements = texts.map(|text| element_in(&text).ok_or_else(|| odd(&text)));
    elements.collect::<Step<Vec<_>>>().map(Value::List)
}

/// A node holds what no client of this run writes. Only reads look.
fn odd(text: &str) -> Class {
    let start: String = text.chars().take(200).collect();
    Class::NotDone(format!("unexpected value {start:?}"))
}

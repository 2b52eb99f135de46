//! What an answer means: pure functions, no network.

use bytes::Bytes;
use histories::Value;
use serde_json::Value as Json;

use super::request::decode;
use crate::clients::Class;
use crate::clients::http::Reply;

/// Whether an error of etcd says that the request did not take effect and never will.
///
/// Refused before anything was proposed to the cluster, or decided alike by every member when the
/// entry was applied: certain. What the server gave up waiting for may yet happen. Not certain,
/// though it sounds so, is `database space exceeded`: a put that fills the quota is applied, and
/// answered with it. `leader changed` is said of reads and of requests that had to wait for one.
const CERTAIN: [&str; 14] = [
    "etcdserver: key is not provided",
    "etcdserver: duplicate key given in txn request",
    "etcdserver: too many operations in txn request",
    "etcdserver: request is too large",
    "etcdserver: too many requests",
    "etcdserver: requested lease not found",
    "etcdserver: lease already exists",
    "etcdserver: too large lease TTL",
    "etcdserver: no leader",
    "etcdserver: not capable",
    "etcdserver: rpc not supported for learner",
    "etcdserver: permission denied",
    "etcdserver: user name is empty",
    "etcdserver: invalid auth token",
];

/// Codes of gRPC that say so whatever the message: the request was not understood, or there is no
/// such method.
const CERTAIN_CODES: [u64; 2] = [3, 12];

/// The body of an answer of success; else what is known of the request.
pub(super) fn understand(reply: Reply) -> Result<Json, Class> {
    let (status, body) = match reply {
        Reply::NotSent(why) => return Err(Class::NotDone(why)),
        Reply::Lost(why) => return Err(Class::Unknown(why)),
        Reply::Answer { status, body, .. } => (status, body),
    };
    let json = serde_json::from_slice::<Json>(&body)
        .ok()
        .filter(Json::is_object);
    let Some(json) = json else {
        let text = String::from_utf8_lossy(&body);
        let why = format!("unexpected answer {status}: {}", quoted(&text));
        return Err(Class::Unknown(why));
    };
    // Newer versions say only `message`, older ones both.
    let message = json.get("message").or(json.get("error"));
    match message.and_then(Json::as_str) {
        None if status == 200 => Ok(json),
        None => Err(unexpected(&json)),
        Some(message) => {
            let code = json["code"].as_u64();
            let is_certain = CERTAIN.contains(&message)
                || code.is_some_and(|code| CERTAIN_CODES.contains(&code));
            Err(match is_certain {
                true => Class::NotDone(message.to_owned()),
                false => Class::Unknown(message.to_owned()),
            })
        }
    }
}

/// A key that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    key: Vec<u8>,
    value: Vec<u8>,
    /// At which revision it was changed last.
    pub revision: i64,
}

impl Found {
    /// Its value.
    pub fn text(&self) -> Result<&str, Class> {
        std::str::from_utf8(&self.value)
            .map_err(|_| Class::Unknown("a value that is no text".to_owned()))
    }

    /// What follows this in its key.
    pub fn name_below(&self, prefix: &str) -> Result<&str, Class> {
        let key = std::str::from_utf8(&self.key).ok();
        key.and_then(|key| key.strip_prefix(prefix)).ok_or_else(|| {
            let key = String::from_utf8_lossy(&self.key);
            Class::Unknown(format!("the key {} was not asked for", quoted(&key)))
        })
    }
}

/// The keys that a range answers. What is zero or empty is left out by the gateway.
pub(super) fn found(answer: &Json) -> Result<Vec<Found>, Class> {
    revision(answer)?;
    let Some(kvs) = answer.get("kvs") else {
        return Ok(Vec::new());
    };
    let kvs = kvs.as_array().ok_or_else(|| unexpected(answer))?;
    let found = kvs.iter().map(|kv| {
        let bytes = |name: &str| match kv.get(name) {
            None => Some(Vec::new()),
            Some(text) => decode(text.as_str()?),
        };
        Some(Found {
            key: bytes("key")?,
            value: bytes("value")?,
            revision: number(kv.get("mod_revision"))?,
        })
    });
    found
        .collect::<Option<_>>()
        .ok_or_else(|| unexpected(answer))
}

/// Whether the condition of a transaction held.
pub(super) fn succeeded(answer: &Json) -> Result<bool, Class> {
    match answer.get("succeeded") {
        None => Ok(false),
        Some(Json::Bool(succeeded)) => Ok(*succeeded),
        Some(_) => Err(unexpected(answer)),
    }
}

/// How many keys were deleted.
pub(super) fn deleted(answer: &Json) -> Result<i64, Class> {
    revision(answer)?;
    match answer.get("deleted") {
        None => Ok(0),
        Some(deleted) => number(Some(deleted)).ok_or_else(|| unexpected(answer)),
    }
}

/// The store's revision when the request was served: every answer of etcd has one.
pub(super) fn revision(answer: &Json) -> Result<i64, Class> {
    let revision = answer
        .get("header")
        .and_then(|header| number(header.get("revision")));
    revision.ok_or_else(|| unexpected(answer))
}

/// The lease that was granted.
pub(super) fn lease(answer: &Json) -> Result<i64, Class> {
    number(answer.get("ID"))
        .ok_or_else(|| unexpected(answer))
        .map_err(Class::of_a_read)
}

/// The events of one line of a watch: each with its revision and the key's value, nil where it was
/// deleted.
pub(super) fn events(line: &[u8]) -> Result<Vec<(i64, Value)>, Class> {
    let reply = Reply::Answer {
        status: 200,
        location: None,
        body: Bytes::copy_from_slice(line),
    };
    let line = understand(reply)?;
    let Some(result) = line.get("result") else {
        // An error stands alone in a line of a stream.
        let error = line.get("error").unwrap_or(&line);
        let why = error.get("message").and_then(Json::as_str);
        return Err(why.map_or_else(
            || unexpected(&line),
            |why| Class::Unknown(format!("the watch: {why}")),
        ));
    };
    if result
        .get("canceled")
        .is_some_and(|canceled| *canceled == true)
    {
        return Err(Class::Unknown(
            match number(result.get("compact_revision")) {
                Some(revision) => format!("the watch begins before revision {revision}, compacted"),
                None => format!("the watch was canceled: {}", result["cancel_reason"]),
            },
        ));
    }
    let Some(events) = result.get("events") else {
        return Ok(Vec::new());
    };
    let event = |event: &Json| {
        let kv = event.get("kv")?;
        let value = match event.get("type").and_then(Json::as_str) {
            Some("DELETE") => Value::Nil,
            _ => match kv.get("value") {
                None => "".into(),
                Some(value) => String::from_utf8(decode(value.as_str()?)?).ok()?.into(),
            },
        };
        Some((number(kv.get("mod_revision"))?, value))
    };
    let events = events.as_array().map(|events| events.iter().map(event));
    events
        .and_then(Iterator::collect)
        .ok_or_else(|| unexpected(&line))
}

/// A number of 64 bits, which JSON has as text.
fn number(json: Option<&Json>) -> Option<i64> {
    match json? {
        Json::String(text) => text.parse().ok(),
        Json::Number(number) => number.as_i64(),
        _ => None,
    }
}

fn unexpected(answer: &Json) -> Class {
    Class::Unknown(format!("unexpected answer {}", quoted(&answer.to_string())))
}

/// Characters of an answer that was not understood that are worth keeping.
const QUOTED_CHARS_MAX: usize = 200;

/// The beginning of a text, quoted.
pub(super) fn quoted(text: &str) -> String {
    let start: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    format!("{start:?}")
}

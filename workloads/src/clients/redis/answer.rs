//! What an operation asks of Redis, and what an answer means: pure functions, no network.

use histories::Value;

use super::resp::Resp;
use crate::Invocation;
use crate::clients::data::{element_in, element_text, number_in, text_of};
use crate::clients::{Class, Data};

/// Errors by which Redis refuses a command before it does anything.
const CERTAIN: [&str; 18] = [
    "READONLY",
    "NOREPLICAS",
    "MASTERDOWN",
    "LOADING",
    "MISCONF",
    "OOM",
    "BUSY",
    "NOAUTH",
    "NOPERM",
    "DENIED",
    "WRONGTYPE",
    "MOVED",
    "ASK",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "TRYAGAIN",
    "NOSCRIPT",
    "NOPROTO",
];

/// Sets the key if it holds the expected value: `ARGV[1]` says whether it is to be there at all.
const CAS: &str = "local held = redis.call('GET', KEYS[1])
local fits = (ARGV[1] == 'missing' and not held) or (ARGV[1] == 'holds' and held == ARGV[2])
if fits then redis.call('SET', KEYS[1], ARGV[3]) return 1 end
return 0";

/// Deletes the key if it holds the owner's mark.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then
return redis.call('DEL', KEYS[1]) end
return 0";

/// An operation as Redis says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// The command and its arguments.
    pub parts: Vec<String>,
    expected: Expected,
}

/// What the answer is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// `+OK`.
    Done,
    /// Any number, which says nothing.
    Length,
    /// 1 or 0.
    Truth,
    /// A whole number as text, or nothing: then this.
    Number(Option<i64>),
    /// A text, or nothing.
    Text,
    /// Elements, in this order or any.
    Elements,
    /// An element, or nothing.
    Element,
    /// `+OK`, or nothing.
    Taken,
}

impl Request {
    /// The request of an operation; `mark` is the client's own, under which it holds locks for
    /// `lock_ttl_ms`.
    ///
    /// # Errors
    /// What is wrong with the operation.
    pub fn new(
        data: Data,
        invocation: &Invocation,
        mark: &str,
        lock_ttl_ms: u64,
    ) -> Result<Request, String> {
        let Invocation { f, key, value } = invocation;
        let key = key.as_ref().and_then(Value::as_text);
        let key = key.ok_or("the key is no text")?.to_owned();
        let refusal = || format!("a {f} of the value {value}");
        let text = |value: &Value| text_of(value).ok_or_else(refusal);
        let element = || element_text(value).ok_or_else(refusal);
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let (parts, expected): (Vec<String>, Expected) = match (data, &**f) {
            (Data::Register, "read") => (words(&["GET", &key]), Expected::Number(None)),
            (Data::Kv, "get") => (words(&["GET", &key]), Expected::Text),
            (Data::Register, "write") | (Data::Kv, "put") => {
                (words(&["SET", &key, &text(value)?]), Expected::Done)
            }
            (Data::Register | Data::Kv, "cas") => {
                let Some([old, new]) = value.as_list() else {
                    return Err(refusal());
                };
                let (holds, old) = match old {
                    Value::Nil => ("missing", String::new()),
                    old => ("holds", text(old)?),
                };
                let parts = ["EVAL", CAS, "1", &key, holds, &old, &text(new)?];
                (words(&parts), Expected::Truth)
            }
            (Data::Kv, "append") => (words(&["APPEND", &key, &text(value)?]), Expected::Length),
            (Data::Kv, "delete") => (words(&["DEL", &key]), Expected::Truth),
            (Data::Set, "add") => (words(&["SADD", &key, &element()?]), Expected::Length),
            (Data::Set, "read") => (words(&["SMEMBERS", &key]), Expected::Elements),
            (Data::List, "append") | (Data::Queue, "enqueue") => {
                (words(&["RPUSH", &key, &element()?]), Expected::Length)
            }
            (Data::List, "read") => (words(&["LRANGE", &key, "0", "-1"]), Expected::Elements),
            (Data::Queue, "dequeue") => (words(&["LPOP", &key]), Expected::Element),
            (Data::Counter, "add") => {
                let amount = value.as_int().ok_or_else(refusal)?.to_string();
                (words(&["INCRBY", &key, &amount]), Expected::Length)
            }
            (Data::Counter, "read") => (words(&["GET", &key]), Expected::Number(Some(0))),
            (Data::Lock, "acquire") => {
                let ttl = lock_ttl_ms.to_string();
                let parts = ["SET", &key, mark, "NX", "PX", &ttl];
                (words(&parts), Expected::Taken)
            }
            (Data::Lock, "release") => {
                let parts = ["EVAL", RELEASE, "1", &key, mark];
                (words(&parts), Expected::Truth)
            }
            (data, f) => {
                let workload = data.workload();
                return Err(format!(
                    "the client of Redis has no operation {f} for the workload {workload}"
                ));
            }
        };
        Ok(Request { parts, expected })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(
            self.parts.first().map(String::as_str),
            Some("GET" | "SMEMBERS" | "LRANGE")
        )
    }

    /// What an answer means.
    pub fn understand(&self, answer: &Resp) -> Class {
        if let Resp::Error(error) = answer {
            let code = error.split(' ').next().unwrap_or_default();
            return match CERTAIN.contains(&code) {
                true => Class::NotDone(error.clone()),
                false => Class::Unknown(error.clone()),
            };
        }
        let value = self.value(answer);
        value.map_or_else(|| unexpected(answer), Class::Done)
    }

    fn value(&self, answer: &Resp) -> Option<Value> {
        match (self.expected, answer) {
            (Expected::Done, Resp::Simple(ok)) if ok == "OK" => Some(Value::Nil),
            (Expected::Length, Resp::Int(_)) => Some(Value::Nil),
            (Expected::Truth, Resp::Int(truth @ 0..=1)) => Some((*truth == 1).into()),
            (Expected::Taken, Resp::Simple(ok)) if ok == "OK" => Some(true.into()),
            (Expected::Taken, Resp::Nil) => Some(false.into()),
            (Expected::Number(missing), Resp::Nil) => Some(missing.map_or(Value::Nil, Value::Int)),
            (Expected::Number(_), Resp::Bulk(bytes)) => number_in(utf8(bytes)?),
            (Expected::Text | Expected::Element, Resp::Nil) => Some(Value::Nil),
            (Expected::Text, Resp::Bulk(bytes)) => Some(utf8(bytes)?.into()),
            (Expected::Element, Resp::Bulk(bytes)) => element_in(utf8(bytes)?),
            (Expected::Elements, Resp::Array(answers)) => {
                let element = |answer: &Resp| match answer {
                    Resp::Bulk(bytes) => element_in(utf8(bytes)?),
                    _ => None,
                };
                let elements: Option<Vec<Value>> = answers.iter().map(element).collect();
                elements.map(Value::List)
            }
            _ => None,
        }
    }
}

/// What an answer to `WAIT` says of a change that the master has made: enough replicas have it, or
/// nobody knows whether it stays.
pub(super) fn waited(done: Class, answer: &Resp, wanted: u32) -> Class {
    match answer {
        Resp::Int(replicas) if *replicas >= i64::from(wanted) => done,
        Resp::Int(replicas) => Class::Unknown(format!(
            "done by the master, and acknowledged by {replicas} replicas of {wanted}"
        )),
        other => unexpected(other),
    }
}

fn utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn unexpected(answer: &Resp) -> Class {
    let text: String = format!("{answer:?}").chars().take(200).collect();
    Class::Unknown(format!("unexpected answer {text}"))
}

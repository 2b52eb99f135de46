//! What is asked, and what an answer means: pure functions, no network.

use std::fmt::Write;
use std::net::SocketAddr;

use bytes::Bytes;
use histories::Value;
use hyper::Method;
use serde_json::{Value as Json, json};

use crate::Invocation;
use crate::clients::Class;
use crate::clients::http::{self, Reply};

/// An operation as HTTP says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub method: Method,
    pub path: String,
    pub body: Bytes,
    expected: Expected,
}

/// What the answer to a request is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// A whole number as text, or null.
    Number,
    /// A text, or null.
    Text,
    /// Nothing.
    Nothing,
    /// A truth value under this name.
    Truth(&'static str),
}

impl Request {
    /// The request that an invocation stands for; what is wrong with it where it stands for none.
    pub fn new(invocation: &Invocation) -> Result<Request, String> {
        let Invocation { f, key, value } = invocation;
        let key = key.as_ref().and_then(Value::as_text);
        let path = format!("/kv/{}", path_segment(key.ok_or("the key is no text")?));
        let text = |value| as_json(value).filter(|json| !json.is_null());
        let no_value = || format!("a {f} of the value {value}");
        let (method, suffix, body, expected) = match &**f {
            "read" => (Method::GET, "", None, Expected::Number),
            "get" => (Method::GET, "", None, Expected::Text),
            "write" | "put" | "append" => {
                let body = Some(json!({ "value": text(value).ok_or_else(no_value)? }));
                match &**f {
                    "append" => (Method::POST, "/append", body, Expected::Nothing),
                    _ => (Method::PUT, "", body, Expected::Nothing),
                }
            }
            "cas" => {
                let Some([old, new]) = value.as_list() else {
                    return Err(no_value());
                };
                let old = as_json(old).ok_or_else(no_value)?;
                let body = json!({ "old": old, "new": text(new).ok_or_else(no_value)? });
                (Method::POST, "/cas", Some(body), Expected::Truth("swapped"))
            }
            "delete" => (Method::DELETE, "", None, Expected::Truth("existed")),
            _ => return Err(format!("raft-kv has no operation {f}")),
        };
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        Ok(Request {
            method,
            path: path + suffix,
            body,
            expected,
        })
    }

    /// The request for the members that a node knows of.
    pub fn members() -> Request {
        Request {
            method: Method::GET,
            path: "/members".to_owned(),
            body: Bytes::new(),
            expected: Expected::Nothing,
        }
    }

    /// The request for a change of members.
    pub fn change_members(change: &Json) -> Request {
        Request {
            method: Method::POST,
            body: change.to_string().into(),
            ..Request::members()
        }
    }

    /// What goes over the wire, in this session if in any.
    pub fn message(&self, session: Option<Session>) -> http::Request {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if let Some(session) = session {
            headers.push(("session-id".to_owned(), session.id.to_string()));
            headers.push(("request-number".to_owned(), session.request.to_string()));
        }
        http::Request {
            method: self.method.clone(),
            path: self.path.clone(),
            headers,
            body: self.body.clone(),
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        self.method == Method::GET
    }
}

/// A value as raft-kv holds it: text, or null for nothing.
fn as_json(value: &Value) -> Option<Json> {
    match value {
        Value::Nil => Some(Json::Null),
        Value::Int(number) => Some(number.to_string().into()),
        Value::Text(text) => Some((**text).into()),
        _ => None,
    }
}

/// A key as a segment of a path: what could be taken for something else is percent-encoded.
fn path_segment(key: &str) -> String {
    let mut segment = String::new();
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                segment.push(byte.into());
            }
            // Writing to a string cannot fail.
            _ => drop(write!(segment, "%{byte:02X}")),
        }
    }
    segment
}

/// The session of a change and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    pub id: u64,
    pub request: u64,
}

/// What a reply means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not done here: another node is to be asked.
    Redirect(SocketAddr),
    /// Nobody else is to be asked.
    Final(Class),
}

/// Decides what a reply to a request means. Certain that nothing happened is only a request that
/// was never sent, or a server that says so of itself; an answer that is not understood is never
/// taken for either.
pub(super) fn classify(request: &Request, reply: &Reply) -> Verdict {
    let (status, location, body) = match reply {
        Reply::NotSent(why) => return Verdict::Final(Class::NotDone(why.clone())),
        Reply::Lost(why) => return Verdict::Final(Class::Unknown(why.clone())),
        Reply::Answer {
            status,
            location,
            body,
        } => (*status, location.as_deref(), body),
    };
    let json = serde_json::from_slice::<Json>(body)
        .ok()
        .filter(Json::is_object);
    let Some(json) = json else {
        return Verdict::Final(Class::Unknown(unexpected(status, body)));
    };
    if status == 200 {
        let result = result(request.expected, &json);
        let class = result.map_or_else(|| Class::Unknown(unexpected(status, body)), Class::Done);
        return Verdict::Final(class);
    }
    let (Some(error), Some(definite)) = (json["error"].as_str(), json["definite"].as_bool()) else {
        return Verdict::Final(Class::Unknown(unexpected(status, body)));
    };
    match location.filter(|_| status == 307 && definite).map(address) {
        Some(Some(address)) => Verdict::Redirect(address),
        Some(None) => Verdict::Final(Class::NotDone(format!("{error} (redirected to nowhere)"))),
        None if definite => Verdict::Final(Class::NotDone(error.to_owned())),
        None => Verdict::Final(Class::Unknown(error.to_owned())),
    }
}

/// What the answer of success says; nothing when it does not say what it should.
fn result(expected: Expected, answer: &Json) -> Option<Value> {
    match expected {
        // A server that puts an error into an answer of success is not believed.
        Expected::Nothing => answer.get("error").is_none().then_some(Value::Nil),
        Expected::Truth(name) => answer.get(name)?.as_bool().map(Value::Bool),
        Expected::Text | Expected::Number => match answer.get("value")? {
            Json::Null => Some(Value::Nil),
            Json::String(text) if expected == Expected::Text => Some(text.as_str().into()),
            // Only the digits as they were written: "07" is not what anybody wrote.
            Json::String(text) => {
                let number = text.parse::<i64>().ok()?;
                (number.to_string() == *text).then_some(Value::Int(number))
            }
            _ => None,
        },
    }
}

/// The node a `Location: http://IP:PORT/…` points to.
fn address(location: &str) -> Option<SocketAddr> {
    let rest = location.strip_prefix("http://")?;
    rest.split('/').next()?.parse().ok()
}

/// Characters of an answer that was not understood that are worth keeping.
const QUOTED_CHARS_MAX: usize = 200;

fn unexpected(status: u16, body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body)
        .chars()
        .take(QUOTED_CHARS_MAX)
        .collect();
    format!("unexpected answer {status}: {text:?}")
}

#[cfg(test)]
mod tests;

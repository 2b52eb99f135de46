//! The client API: which request means what, and how answers are put.

use std::net::{IpAddr, SocketAddr};

use hyper::Method;
use hyper::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Node, role};
use crate::kv::{Command, Outcome, Request, RequestNumber};
use crate::raft::{MemberChange, Name};
use crate::replica::{Answer, Call};

/// The longest key.
const KEY_BYTES_MAX: usize = 1024;

/// What a client asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Status,
    Members,
    Call(Call),
}

/// What a client is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) location: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueBody {
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasBody {
    /// Must be there, be it `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    old: Option<String>,
    new: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum MembersBody {
    Add(String),
    Learner(String),
    Remove(String),
}

/// What this request means.
pub(super) fn read_request(head: &Parts, body: &[u8]) -> Result<Asked, Reply> {
    let path = head.uri.path();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (&head.method, segments.as_slice()) {
        (&Method::GET, ["status"]) => Ok(Asked::Status),
        (&Method::GET, ["members"]) => Ok(Asked::Members),
        (&Method::POST, ["members"]) => {
            Ok(Asked::Call(Call::ChangeMembers(read_member_change(body)?)))
        }
        (&Method::GET, ["kv", key]) => Ok(Asked::Call(Call::Get(read_key(key)?))),
        (method, ["kv", key, rest @ ..]) => {
            let command = read_command(method, read_key(key)?, rest, body)?;
            let session = read_session(head)?;
            Ok(Asked::Call(Call::Change(Request { session, command })))
        }
        (_, ["status" | "members"]) => Err(wrong_method()),
        _ => Err(unknown_path()),
    }
}

fn read_command(
    method: &Method,
    key: String,
    rest: &[&str],
    body: &[u8],
) -> Result<Command, Reply> {
    match (method, rest) {
        (&Method::PUT, []) => {
            let ValueBody { value } = read_json(body, r#"{"value":"…"}"#)?;
            Ok(Command::Put { key, value })
        }
        (&Method::DELETE, []) => Ok(Command::Delete { key }),
        (&Method::POST, ["append"]) => {
            let ValueBody { value } = read_json(body, r#"{"value":"…"}"#)?;
            Ok(Command::Append { key, value })
        }
        (&Method::POST, ["cas"]) => {
            let CasBody { old, new } = read_json(body, r#"{"old":"…" or null,"new":"…"}"#)?;
            Ok(Command::Cas { key, old, new })
        }
        (_, [] | ["append" | "cas"]) => Err(wrong_method()),
        _ => Err(unknown_path()),
    }
}

fn unknown_path() -> Reply {
    let known = "no such path (hint: /kv/KEY, /kv/KEY/append, /kv/KEY/cas, /status, /members)";
    Reply::error(404, known, true)
}

fn wrong_method() -> Reply {
    Reply::error(405, "this path is not used with this method", true)
}

fn read_json<T: DeserializeOwned>(body: &[u8], expected: &str) -> Result<T, Reply> {
    serde_json::from_slice(body)
        .map_err(|error| Reply::bad_request(format!("the body is not {expected}: {error}")))
}

fn read_member_change(body: &[u8]) -> Result<MemberChange, Reply> {
    let expected = r#"{"add":"NAME=IP"}, {"learner":"NAME=IP"} or {"remove":"NAME"}"#;
    Ok(match read_json(body, expected)? {
        MembersBody::Remove(name) => MemberChange::Remove(name.into()),
        MembersBody::Add(member) => {
            let (name, address) = read_member(&member)?;
            MemberChange::Add(name, address)
        }
        MembersBody::Learner(member) => {
            let (name, address) = read_member(&member)?;
            MemberChange::AddLearner(name, address)
        }
    })
}

fn read_member(member: &str) -> Result<(Name, IpAddr), Reply> {
    member
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .and_then(|(name, ip)| Some((name.into(), ip.parse().ok()?)))
        .ok_or_else(|| Reply::bad_request(format!("`{member}` is not NAME=IP")))
}

fn read_session(head: &Parts) -> Result<Option<RequestNumber>, Reply> {
    let read = |name: &str| match head.headers.get(name) {
        None => Ok(None),
        Some(value) => {
            let number = value
                .to_str()
                .ok()
                .and_then(|text| text.parse::<u64>().ok());
            let error = || Reply::bad_request(format!("{name} is not a whole number"));
            number.map(Some).ok_or_else(error)
        }
    };
    match (read("session-id")?, read("request-number")?) {
        (Some(session), Some(number)) => Ok(Some(RequestNumber { session, number })),
        (None, None) => Ok(None),
        _ => Err(Reply::bad_request(
            "session-id and request-number go together".into(),
        )),
    }
}

/// Reads a key from its place in the path, where bytes may be written as `%` and two digits.
fn read_key(segment: &str) -> Result<String, Reply> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let error = || Reply::bad_request("% in a key is followed by two digits".into());
        bytes.push(decoded.ok_or_else(error)?);
        rest = &after[2..];
    }
    let key =
        String::from_utf8(bytes).map_err(|_| Reply::bad_request("the key is not UTF-8".into()))?;
    match key.len() {
        1..=KEY_BYTES_MAX => Ok(key),
        length => Err(Reply::bad_request(format!(
            "the key has {length} bytes; it needs 1 to {KEY_BYTES_MAX}"
        ))),
    }
}

/// How the replica's answer is put.
pub(super) fn reply(node: &Node, answer: Answer, path: &str) -> Reply {
    match answer {
        Answer::Value(value) => Reply::ok(json!({ "value": value })),
        Answer::Outcome(Outcome::Done) | Answer::MembersChanged => Reply::ok(json!({})),
        Answer::Outcome(Outcome::Swapped(swapped)) => Reply::ok(json!({ "swapped": swapped })),
        Answer::Outcome(Outcome::Existed(existed)) => Reply::ok(json!({ "existed": existed })),
        Answer::Outcome(Outcome::Superseded) => {
            Reply::error(409, "the session has had a later request", false)
        }
        Answer::NotLeader(Some((leader, ip))) => {
            let address = SocketAddr::new(ip, node.settings.client_port);
            let error = "not the leader";
            Reply {
                status: 307,
                body: json!({ "error": error, "leader": &*leader, "definite": true }),
                location: Some(format!("http://{address}{path}")),
            }
        }
        Answer::NotLeader(None) => Reply::error(503, "no leader", true),
        Answer::Refused(refused) => Reply::error(409, &refused.to_string(), true),
        Answer::Unknown => Reply::error(500, "leadership was lost on the way", false),
    }
}

/// The node as it sees itself.
pub(super) fn status(node: &Node) -> Value {
    let replica = node.replica.borrow();
    let raft = replica.raft();
    json!({
        "node": &*node.settings.node,
        "role": role(raft.role()),
        "term": raft.term(),
        "leader": raft.leader().map(AsRef::as_ref),
        "commit": raft.commit(),
        "applied": raft.applied(),
        "last_log": raft.log().last_index(),
        "snapshot": raft.snapshot_index(),
        "members": raft.members().keys().map(AsRef::as_ref).collect::<Vec<&str>>(),
    })
}

/// The members and their addresses, as this node knows them.
pub(super) fn members(node: &Node) -> Value {
    let replica = node.replica.borrow();
    let members = replica.raft().members().iter();
    let learners: Vec<&str> = members
        .clone()
        .filter(|(_, member)| member.learner)
        .map(|(name, _)| name.as_ref())
        .collect();
    let members: serde_json::Map<String, Value> = members
        .map(|(name, member)| (name.to_string(), json!(member.address.to_string())))
        .collect();
    json!({ "members": members, "learners": learners })
}

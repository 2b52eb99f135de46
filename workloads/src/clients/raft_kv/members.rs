//! The members of a cluster of raft-kv: what a node says of them, and changes of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::answer::Request;
use crate::clients::http::{Line, Reply};

/// The members that a node knows of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Members {
    /// Their addresses.
    pub members: BTreeMap<String, String>,
    /// Those that have no vote.
    pub learners: Vec<String>,
}

/// How long a node is given to tell its members, in milliseconds.
const MEMBERS_TIMEOUT_MS: u64 = 300;

/// A node could not be asked for its members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no members from {address}: {why}")]
pub struct MembersError {
    /// The node asked.
    pub address: SocketAddr,
    /// What went wrong.
    pub why: String,
}

/// What came of asking a node for a change of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeAnswer {
    /// The cluster has agreed.
    Agreed,
    /// Another node is said to lead.
    Redirected(SocketAddr),
    /// Nothing was done: why.
    Refused(String),
    /// It may have been done, or may yet be: why that is not known.
    Unknown(String),
}

/// Asks the node at this address which members it knows of, within 300 ms.
///
/// # Errors
/// It did not answer in time, or with something else.
pub async fn members(address: SocketAddr) -> Result<Members, MembersError> {
    let until = Instant::now() + Duration::from_millis(MEMBERS_TIMEOUT_MS);
    let reply = Line::default()
        .exchange(address, &Request::members().message(None), until)
        .await;
    let why = match reply {
        Reply::Answer {
            status: 200, body, ..
        } => match serde_json::from_slice(&body) {
            Ok(members) => return Ok(members),
            Err(error) => format!("unexpected answer: {error}"),
        },
        Reply::Answer { status, .. } => format!("unexpected answer {status}"),
        Reply::NotSent(why) | Reply::Lost(why) => why,
    };
    Err(MembersError { address, why })
}

/// Asks the node at this address, once, for a change such as `{"remove": "n3"}`, and waits at most
/// so long for the answer.
pub async fn change_members(address: SocketAddr, change: &Json, wait_ms: u64) -> ChangeAnswer {
    let until = Instant::now() + Duration::from_millis(wait_ms);
    let request = Request::change_members(change);
    let reply = Line::default()
        .exchange(address, &request.message(None), until)
        .await;
    match reply {
        Reply::NotSent(why) => ChangeAnswer::Refused(why),
        Reply::Lost(why) => ChangeAnswer::Unknown(why),
        Reply::Answer {
            status,
            location,
            body,
        } => match status {
            200 => ChangeAnswer::Agreed,
            307 => match location.as_deref().and_then(address_in) {
                Some(leader) => ChangeAnswer::Redirected(leader),
                None => ChangeAnswer::Refused("redirected to nowhere".to_owned()),
            },
            _ => {
                let body: Json = serde_json::from_slice(&body).unwrap_or_default();
                let why = format!("answer {status}: {}", body["error"].as_str().unwrap_or("?"));
                match body["definite"] == Json::Bool(true) {
                    true => ChangeAnswer::Refused(why),
                    false => ChangeAnswer::Unknown(why),
                }
            }
        },
    }
}

/// The address in `http://ADDRESS/members`.
fn address_in(location: &str) -> Option<SocketAddr> {
    let rest = location.strip_prefix("http://")?;
    rest.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_is_where_the_location_says() {
        let leader = Some(SocketAddr::from(([10, 0, 0, 2], 8080)));
        assert_eq!(address_in("http://10.0.0.2:8080/members"), leader);
        assert_eq!(address_in("10.0.0.2:8080/members"), None);
        assert_eq!(address_in("http://elsewhere/members"), None);
    }
}

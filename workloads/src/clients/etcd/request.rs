//! What is asked: pure functions, no network. Keys and values go as base64, revisions as text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::clients::http::Request;

/// What must hold for a transaction's change.
#[derive(Debug, Clone, Copy)]
pub(super) enum Condition<'a> {
    /// The key holds this value.
    Value(&'a str, &'a str),
    /// The key was changed last at this revision; 0 where it is missing.
    Revision(&'a str, i64),
    /// The key was made at this revision.
    Created(&'a str, i64),
}

/// A request to the gateway.
pub(super) fn post(path: &str, body: &Json) -> Request {
    Request {
        method: hyper::Method::POST,
        path: format!("/v3/{path}"),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into(),
    }
}

pub(super) fn encode(text: &str) -> String {
    STANDARD.encode(text)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// One key.
pub(super) fn range(key: &str, serializable: bool) -> Json {
    json!({ "key": encode(key), "serializable": serializable })
}

/// All keys that begin so.
pub(super) fn range_below(prefix: &str, serializable: bool) -> Json {
    json!({
        "key": encode(prefix),
        "range_end": STANDARD.encode(end_of(prefix)),
        "serializable": serializable,
        "keys_only": true,
    })
}

/// The first key after all that begin so.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // No end: to etcd a zero byte says so.
    vec![0]
}

/// A value under a lease; 0 for none.
pub(super) fn put(key: &str, value: &str, lease: i64) -> Json {
    let mut put = json!({ "key": encode(key), "value": encode(value) });
    if lease != 0 {
        put["lease"] = lease.to_string().into();
    }
    put
}

pub(super) fn delete(key: &str) -> Json {
    json!({ "key": encode(key) })
}

/// The deletion of a key as part of a transaction.
pub(super) fn delete_op(key: &str) -> Json {
    json!({ "request_delete_range": delete(key) })
}

/// A transaction of one condition and one change: a whole operation, or what is to be put.
pub(super) fn transaction(condition: &Condition<'_>, then: &Json) -> Json {
    let compare = match *condition {
        Condition::Value(key, value) => {
            json!({ "key": encode(key), "target": "VALUE", "value": encode(value) })
        }
        Condition::Revision(key, revision) => {
            json!({ "key": encode(key), "target": "MOD", "mod_revision": revision.to_string() })
        }
        Condition::Created(key, revision) => {
            let revision = revision.to_string();
            json!({ "key": encode(key), "target": "CREATE", "create_revision": revision })
        }
    };
    let change = match then.get("request_delete_range") {
        Some(_) => then.clone(),
        None => json!({ "request_put": then }),
    };
    json!({ "compare": [compare], "success": [change] })
}

/// A watch of a key, from this revision on.
pub(super) fn watch(key: &str, from: i64) -> Json {
    json!({ "create_request": { "key": encode(key), "start_revision": from.to_string() } })
}

/// A lease of so many seconds.
pub(super) fn grant(ttl_s: u64) -> Json {
    json!({ "TTL": ttl_s.to_string() })
}

/// A lease by its number, to prolong or to end it.
pub(super) fn lease(lease: i64) -> Json {
    json!({ "ID": lease.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_what_the_gateway_expects() {
        let rows = [
            (range("k", true), r#"{"key":"aw==","serializable":true}"#),
            (put("k", "7", 0), r#"{"key":"aw==","value":"Nw=="}"#),
            (
                put("k", "7", 9),
                r#"{"key":"aw==","lease":"9","value":"Nw=="}"#,
            ),
            (
                transaction(&Condition::Value("k", "7"), &put("k", "8", 0)),
                r#"{"compare":[{"key":"aw==","target":"VALUE","value":"Nw=="}],"success":[{"request_put":{"key":"aw==","value":"OA=="}}]}"#,
            ),
            (
                transaction(&Condition::Revision("k", 0), &put("k", "8", 0)),
                r#"{"compare":[{"key":"aw==","mod_revision":"0","target":"MOD"}],"success":[{"request_put":{"key":"aw==","value":"OA=="}}]}"#,
            ),
            (
                transaction(&Condition::Created("k", 5), &delete_op("k")),
                r#"{"compare":[{"create_revision":"5","key":"aw==","target":"CREATE"}],"success":[{"request_delete_range":{"key":"aw=="}}]}"#,
            ),
            (
                watch("k", 9),
                r#"{"create_request":{"key":"aw==","start_revision":"9"}}"#,
            ),
            (grant(2), r#"{"TTL":"2"}"#),
        ];
        for (body, expected) in rows {
            let expected: Json = serde_json::from_str(expected).expect(expected);
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn a_prefix_ends_before_the_next_key() {
        assert_eq!(end_of("k/"), b"k0");
        assert_eq!(end_of(""), [0]);
    }
}

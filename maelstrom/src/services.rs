//! The services that nodes can ask, as other nodes of the network: a linearizable, a sequentially
//! consistent and a last-write-wins key-value store, and a source of timestamps.
//!
//! They are always up and no partition reaches them; messages to and from them take as long, and are
//! lost as often, as those between nodes.

mod lin_kv;
mod lin_tso;
mod lww_kv;
mod seq_kv;

use serde_json::{Value as Json, json};

use crate::errors::{
    ErrorReply, KEY_DOES_NOT_EXIST, MALFORMED_REQUEST, NOT_SUPPORTED, PRECONDITION_FAILED,
};
use crate::message::{Body, body};

/// The services' names.
pub const SERVICES: [&str; 4] = ["lin-kv", "seq-kv", "lww-kv", "lin-tso"];

/// A service: answers requests one by one.
pub(crate) trait Service: Send {
    /// The answer to a request of this sender, without the number that it answers.
    fn answer(&mut self, src: &str, request: &Body) -> Body;
}

/// The service of this name; its chances are drawn from the seed.
pub(crate) fn by_name(name: &str, seed: u64) -> Option<Box<dyn Service>> {
    Some(match name {
        "lin-kv" => Box::new(lin_kv::LinKv::default()),
        "seq-kv" => Box::new(seq_kv::SeqKv::new(seed)),
        "lww-kv" => Box::new(lww_kv::LwwKv::new(seed)),
        "lin-tso" => Box::new(lin_tso::LinTso::default()),
        _ => return None,
    })
}

/// What is asked of a key-value store.
#[derive(Debug, Clone, PartialEq)]
enum Request {
    Read,
    Write(Json),
    Cas { from: Json, to: Json, create: bool },
}

impl Request {
    /// The key, in the one form that equal keys have, and what is asked of it.
    fn parse(request: &Body) -> Result<(String, Request), ErrorReply> {
        let field = |name: &str| {
            let missing = || refusal(MALFORMED_REQUEST, format!("`{name}` is missing"));
            request.get(name).cloned().ok_or_else(missing)
        };
        let asked = match request.get("type").and_then(Json::as_str) {
            Some("read") => Request::Read,
            Some("write") => Request::Write(field("value")?),
            Some("cas") => Request::Cas {
                from: field("from")?,
                to: field("to")?,
                create: request.get("create_if_not_exists") == Some(&Json::Bool(true)),
            },
            other => return Err(unsupported(other)),
        };
        Ok((field("key")?.to_string(), asked))
    }

    /// What it does where the key has this value: the value afterwards, if it writes, and the answer.
    fn run(self, value: Option<&Json>) -> Result<(Option<Json>, Body), ErrorReply> {
        match self {
            Request::Read => match value {
                Some(value) => Ok((None, body(json!({"type": "read_ok", "value": value})))),
                None => Err(refusal(KEY_DOES_NOT_EXIST, "key does not exist".to_owned())),
            },
            Request::Write(value) => Ok((Some(value), body(json!({"type": "write_ok"})))),
            Request::Cas { from, to, create } => match value {
                Some(value) if *value != from => {
                    let text = format!("current value {value} is not {from}");
                    Err(refusal(PRECONDITION_FAILED, text))
                }
                None if !create => {
                    Err(refusal(KEY_DOES_NOT_EXIST, "key does not exist".to_owned()))
                }
                _ => Ok((Some(to), body(json!({"type": "cas_ok"})))),
            },
        }
    }
}

fn refusal(code: i64, text: String) -> ErrorReply {
    ErrorReply {
        code,
        text: Some(text),
    }
}

fn unsupported(kind: Option<&str>) -> ErrorReply {
    let text = format!("no operation {:?}", kind.unwrap_or_default());
    refusal(NOT_SUPPORTED, text)
}

/// An answer of type `error`.
fn error_body(error: ErrorReply) -> Body {
    body(json!({"type": "error", "code": error.code, "text": error.text}))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests and answers in short: `w 1 5`, `r 1` → `5`, `c 1 5 6` and `C` to create.
    fn ask(service: &mut dyn Service, src: &str, text: &str) -> String {
        let words: Vec<&str> = text.split(' ').collect();
        let json = |at: usize| serde_json::from_str::<Json>(words[at]).expect("JSON");
        let request = match words[0] {
            "r" => json!({"type": "read", "key": json(1)}),
            "w" => json!({"type": "write", "key": json(1), "value": json(2)}),
            "ts" => json!({"type": "ts"}),
            cas => json!({
                "type": "cas", "key": json(1), "from": json(2), "to": json(3),
                "create_if_not_exists": cas == "C",
            }),
        };
        let answer = service.answer(src, &body(request));
        let shown = answer
            .get("value")
            .or(answer.get("ts"))
            .or(answer.get("code"));
        match shown {
            Some(shown) => shown.to_string(),
            None => "ok".to_owned(),
        }
    }

    #[test]
    fn each_key_value_store_answers_one_client_as_a_map_would() {
        let rows = [
            ("r 1", "20"),
            ("c 1 2 3", "20"),
            ("w 1 5", "ok"),
            ("r 1", "5"),
            ("c 1 4 6", "22"),
            ("c 1 5 6", "ok"),
            ("r 1", "6"),
            ("C 2 0 7", "ok"),
            ("r 2", "7"),
            ("r \"1\"", "20"),
        ];
        for name in ["lin-kv", "seq-kv"] {
            let mut service = by_name(name, 1).expect("a service");
            for (request, expected) in rows {
                assert_eq!(
                    ask(&mut *service, "n0", request),
                    expected,
                    "{name}: {request}"
                );
            }
        }
    }

    #[test]
    fn a_sequential_store_is_stale_to_others_and_never_goes_back() {
        let mut service = by_name("seq-kv", 7).expect("a service");
        let (mut was_stale, mut last) = (false, 0);
        for value in 1..=200 {
            assert_eq!(ask(&mut *service, "n0", &format!("w 1 {value}")), "ok");
            assert_eq!(ask(&mut *service, "n0", "r 1"), value.to_string());
            let read = ask(&mut *service, "n1", "r 1");
            // Nothing was there at first.
            let read: i64 = if read == "20" {
                0
            } else {
                read.parse().expect("a number")
            };
            assert!(
                (last.max(value - 32)..=value).contains(&read),
                "{read} after {last}"
            );
            was_stale |= read < value;
            last = read;
        }
        assert!(was_stale);
    }

    #[test]
    fn a_last_write_wins_store_loses_updates_and_settles() {
        let mut service = by_name("lww-kv", 3).expect("a service");
        let mut stale = 0;
        for value in 1..=100 {
            assert_eq!(ask(&mut *service, "n0", &format!("w 1 {value}")), "ok");
            stale += u32::from(ask(&mut *service, "n0", "r 1") != value.to_string());
        }
        assert!(stale > 0);
        let reads: Vec<String> = (0..40).map(|_| ask(&mut *service, "n0", "r 1")).collect();
        assert!(
            reads[20..].iter().all(|read| *read == reads[39]),
            "{reads:?}"
        );
        assert_eq!(ask(&mut *service, "n0", "c 1 1 2"), "10");
    }

    #[test]
    fn timestamps_rise() {
        let mut service = by_name("lin-tso", 1).expect("a service");
        let drawn: Vec<String> = (0..3).map(|_| ask(&mut *service, "n0", "ts")).collect();
        assert_eq!(drawn, ["0", "1", "2"]);
        assert_eq!(ask(&mut *service, "n0", "r 1"), "10");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let mut service = by_name("lin-kv", 1).expect("a service");
        for (request, code) in [
            (json!({"type": "fly"}), NOT_SUPPORTED),
            (json!({"type": "read"}), MALFORMED_REQUEST),
            (json!({"type": "write", "key": 1}), MALFORMED_REQUEST),
        ] {
            let answer = service.answer("n0", &body(request));
            assert_eq!(ErrorReply::of(&answer).map(|error| error.code), Some(code));
        }
    }
}

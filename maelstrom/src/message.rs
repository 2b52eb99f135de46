//! Messages: one JSON object a line.

use faults::Name;
use serde_json::{Map, Value as Json};

/// The fields of a message's body.
pub type Body = Map<String, Json>;

/// A message on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its number in the run, given by the router; every copy of a message has the same.
    pub id: u64,
    /// Who wrote it. That is its `src`, unless a node passes on what another sent, as a follower does
    /// that hands a client's request to its leader.
    pub sender: Name,
    /// Whom it says it is from, and whom an answer goes to.
    pub src: Name,
    /// Who is to get it.
    pub dest: Name,
    /// What it says.
    pub body: Body,
}

/// Why a line is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is not JSON.
    #[error("is not JSON: {0} (hint: logs belong on standard error)")]
    NotJson(String),
    /// A part is missing or of the wrong kind.
    #[error("has no `{field}` that is {expected}")]
    Field {
        /// Which part.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl Message {
    /// A message of its own sender.
    pub fn new(src: Name, dest: Name, body: Body) -> Self {
        Message {
            id: 0,
            sender: src.clone(),
            src,
            dest,
            body,
        }
    }

    /// Reads a line that a node wrote.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &str) -> Result<Self, Malformed> {
        let json: Json =
            serde_json::from_str(line).map_err(|error| Malformed::NotJson(error.to_string()))?;
        let field = |field, expected| Malformed::Field { field, expected };
        let Json::Object(mut parts) = json else {
            return Err(Malformed::NotJson("it is no object".to_owned()));
        };
        let text = |name| match parts.get(name) {
            Some(Json::String(text)) => Ok(Name::from(text.as_str())),
            _ => Err(field(name, "a string")),
        };
        let (src, dest) = (text("src")?, text("dest")?);
        let Some(Json::Object(body)) = parts.remove("body") else {
            return Err(field("body", "an object"));
        };
        if !body.get("type").is_some_and(Json::is_string) {
            return Err(field("body.type", "a string"));
        }
        for name in ["msg_id", "in_reply_to"] {
            if body
                .get(name)
                .is_some_and(|id| !id.is_u64() && !id.is_i64())
            {
                let field = if name == "msg_id" {
                    "body.msg_id"
                } else {
                    "body.in_reply_to"
                };
                return Err(Malformed::Field {
                    field,
                    expected: "a whole number",
                });
            }
        }
        Ok(Message::new(src, dest, body))
    }

    /// The line that a node reads, with its end.
    pub fn to_line(&self) -> String {
        let json = serde_json::json!({
            "id": self.id,
            "src": &*self.src,
            "dest": &*self.dest,
            "body": &self.body,
        });
        format!("{json}\n")
    }

    /// The body's type.
    pub fn kind(&self) -> &str {
        self.body.get("type").and_then(Json::as_str).unwrap_or("")
    }

    /// The sender's number for it, if it gave one.
    pub fn msg_id(&self) -> Option<i64> {
        self.body.get("msg_id").and_then(Json::as_i64)
    }

    /// The number of the message that it answers, if it answers one.
    pub fn in_reply_to(&self) -> Option<i64> {
        self.body.get("in_reply_to").and_then(Json::as_i64)
    }

    /// Whether it goes to a client or was written by one.
    pub fn is_of_client(&self) -> bool {
        is_client(&self.sender) || is_client(&self.dest)
    }
}

/// Whether this is the name of a client.
pub fn is_client(name: &str) -> bool {
    name.starts_with('c')
}

/// A body from its fields.
pub fn body(json: Json) -> Body {
    match json {
        Json::Object(fields) => fields,
        other => Body::from_iter([("value".to_owned(), other)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_or_say_what_they_lack() {
        let rows = [
            (r#"{"src":"n0","dest":"c1","body":{"type":"x"}}"#, Ok(())),
            (
                r#"{"id":7,"src":"n0","dest":"c1","body":{"type":"x","msg_id":1,"in_reply_to":2}}"#,
                Ok(()),
            ),
            ("hello", Err("is not JSON")),
            ("", Err("is not JSON")),
            ("[1]", Err("it is no object")),
            (r#"{"dest":"c1","body":{"type":"x"}}"#, Err("`src`")),
            (
                r#"{"src":null,"dest":"c1","body":{"type":"x"}}"#,
                Err("`src`"),
            ),
            (
                r#"{"src":"n0","dest":1,"body":{"type":"x"}}"#,
                Err("`dest`"),
            ),
            (r#"{"src":"n0","dest":"c1"}"#, Err("`body`")),
            (r#"{"src":"n0","dest":"c1","body":{}}"#, Err("`body.type`")),
            (
                r#"{"src":"n0","dest":"c1","body":{"type":"x","msg_id":"1"}}"#,
                Err("`body.msg_id`"),
            ),
            (
                r#"{"src":"n0","dest":"c1","body":{"type":"x","in_reply_to":1.5}}"#,
                Err("`body.in_reply_to`"),
            ),
        ];
        for (line, expected) in rows {
            match (Message::parse(line), expected) {
                (Ok(message), Ok(())) => {
                    let again = Message::parse(message.to_line().trim_end());
                    assert_eq!(again, Ok(message), "{line}");
                }
                (Err(error), Err(part)) => {
                    assert!(error.to_string().contains(part), "{line}: {error}");
                }
                (found, _) => panic!("{line}: {found:?}"),
            }
        }
    }
}

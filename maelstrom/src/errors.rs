//! The error codes that nodes and services answer with.

use std::fmt;

use crate::message::Body;

/// An answer of type `error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReply {
    /// The code.
    pub code: i64,
    /// What the sender says of it.
    pub text: Option<String>,
}

/// Codes that mean something to Whitewater, with their names.
const CODES: [(i64, &str); 11] = [
    (0, "timeout"),
    (1, "node-not-found"),
    (10, "not-supported"),
    (11, "temporarily-unavailable"),
    (12, "malformed-request"),
    (13, "crash"),
    (14, "abort"),
    (20, "key-does-not-exist"),
    (21, "key-already-exists"),
    (22, "precondition-failed"),
    (30, "txn-conflict"),
];

/// The request's type is none that is known.
pub const NOT_SUPPORTED: i64 = 10;
/// A field is missing or of the wrong kind.
pub const MALFORMED_REQUEST: i64 = 12;
/// There is nothing under this key.
pub const KEY_DOES_NOT_EXIST: i64 = 20;
/// Another value was found than expected.
pub const PRECONDITION_FAILED: i64 = 22;

impl ErrorReply {
    /// The error of an answer's body; `None` where it is no error or has no code.
    pub fn of(body: &Body) -> Option<Self> {
        if body.get("type")?.as_str()? != "error" {
            return None;
        }
        let text = body.get("text").and_then(|text| text.as_str());
        Some(ErrorReply {
            code: body.get("code")?.as_i64()?,
            text: text.map(str::to_owned),
        })
    }

    /// Whether the operation certainly did not and never will take effect. A timeout and a crash
    /// promise nothing, nor do codes of a system's own, nor those that nobody has defined.
    pub fn is_definite(&self) -> bool {
        !matches!(self.code, 0 | 13) && CODES.iter().any(|(code, _)| *code == self.code)
    }
}

/// `22 precondition-failed: expected 4`.
impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some((_, name)) = CODES.iter().find(|(code, _)| *code == self.code) {
            write!(f, " {name}")?;
        }
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_defined_codes_promise_that_nothing_happened() {
        let definite: Vec<i64> = (-1..2_000)
            .filter(|code| {
                let error = ErrorReply {
                    code: *code,
                    text: None,
                };
                error.is_definite()
            })
            .collect();
        assert_eq!(definite, [1, 10, 11, 12, 14, 20, 21, 22, 30]);
    }
}

//! What operations are as HTTP, and what answers mean: `[client.http]` of a definition.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::Pattern;
use crate::clients::route::FAIL_PAUSE_MS;

/// A system spoken to by HTTP, an operation a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpOptions {
    /// Headers of every request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Which node is asked.
    #[serde(default)]
    pub node: NodeChoice,
    /// How many redirects are followed in one operation.
    #[serde(default = "redirects_max")]
    pub redirects_max: u32,
    /// After an operation that failed the client waits so long, in milliseconds: a cluster that
    /// refuses at once would be asked many thousand times a second. What failed took no effect, so
    /// that it seems to last longer misleads nobody.
    #[serde(default = "fail_pause_ms")]
    pub fail_pause_ms: u64,
    /// What answers to any operation mean, where the operation's own say nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// The operations by name, such as `read`. `cas-missing` is a `cas` that expects nothing to be
    /// there, where that is another request.
    pub operations: BTreeMap<String, Operation>,
}

/// One operation as a request, and what its answers mean.
///
/// `path`, `body` and the texts in `json` are templates: `{key}`, `{value}` and, of a `cas`, `{old}`
/// and `{new}`; `{key.base64}` is the same in base64. In a path they are percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers besides those of every request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body as JSON. A text that is one placeholder only, such as `"{value}"`, becomes the value
    /// itself: a number, a text, or null for nothing; `"{value.text}"` is always a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Json>,
    /// The body as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Which node is asked, where not the one that is asked for all operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeChoice>,
    /// What results are; where this is not said, `text` for `get`, `truth` for `cas` and `delete`, else
    /// `number`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultKind>,
    /// What answers mean: the first that fits decides. Of one that none fits nobody knows whether the
    /// operation took effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The status that it has.
    pub status: u16,
    /// The JSON pointer at which it has something other than null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has: Option<String>,
    /// The JSON pointer at which it, being JSON, has nothing or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
    /// What is found in its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<Pattern>,
    /// The operation took effect, and this is its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Source>,
    /// It did not, or that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<Meaning>,
}

/// Where a result is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// There is none, or nothing was there.
    Nil,
    /// It is true.
    True,
    /// It is false.
    False,
    /// The whole body, as text.
    Body,
    /// At this JSON pointer.
    Pointer(String),
    /// At this JSON pointer, a text in base64.
    Base64(String),
    /// In the body, what the expression's first group matches, or else the whole.
    Pattern(Pattern),
}

/// What an answer means that is no success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// The operation did not take effect and never will.
    Fail,
    /// Nobody knows.
    Info,
    /// Nothing was done here: the node in the header `Location` is to be asked.
    Redirect,
}

/// Which node an operation goes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeChoice {
    /// The one that answered last, or the next after one that did not; one operation in five goes to
    /// the client's own, so that every node is asked.
    #[default]
    Any,
    /// The client's own: clients are dealt out over the nodes.
    Own,
    /// The first node.
    First,
}

/// What results of an operation are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultKind {
    /// Whole numbers, or texts of such; lists of them.
    Number,
    /// Texts; lists of them.
    Text,
    /// True or false.
    Truth,
}

fn get() -> String {
    "GET".to_owned()
}

fn redirects_max() -> u32 {
    3
}

fn fail_pause_ms() -> u64 {
    FAIL_PAUSE_MS
}

impl HttpOptions {
    /// Refuses what cannot be asked: the field below `[client.http]` and what is wrong with it.
    ///
    /// # Errors
    /// The first that is found.
    pub fn validate(&self) -> Result<(), (String, String)> {
        check_answers("answers", &self.answers)?;
        for (field, found, max) in [
            ("redirects_max", u64::from(self.redirects_max), 100),
            ("fail_pause_ms", self.fail_pause_ms, 60_000),
        ] {
            if found > max {
                return Err((
                    field.to_owned(),
                    format!("found {found}, expected at most {max}"),
                ));
            }
        }
        if self.operations.is_empty() {
            let hint = "expected at least one (hint: `[client.http.operations.read]`)";
            return Err(("operations".to_owned(), hint.to_owned()));
        }
        for (name, operation) in &self.operations {
            let field = |field: &str| format!("operations.{name}.{field}");
            operation
                .check()
                .map_err(|(name, why)| (field(name), why))?;
            check_answers(&field("answers"), &operation.answers)?;
            let answers = operation.answers.iter().chain(&self.answers);
            if !answers.into_iter().any(|answer| answer.ok.is_some()) {
                let why =
                    "no answer is a success (hint: `answers = [{ status = 200, ok = \"nil\" }]`)";
                return Err((field("answers"), why.to_owned()));
            }
            super::request::try_out(name, operation).map_err(|(part, why)| (field(part), why))?;
        }
        Ok(())
    }
}

impl Operation {
    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.method.parse::<hyper::Method>().is_err() {
            return Err(("method", format!("{:?} is no HTTP method", self.method)));
        }
        if !self.path.starts_with('/') {
            let found = &self.path;
            return Err((
                "path",
                format!("found {found:?}, expected a path that begins with a slash"),
            ));
        }
        if self.json.is_some() && self.body.is_some() {
            return Err(("body", "expected either `json` or `body`".to_owned()));
        }
        Ok(())
    }
}

fn check_answers(field: &str, answers: &[Answer]) -> Result<(), (String, String)> {
    for (at, answer) in answers.iter().enumerate() {
        let problem = |why: String| Err((format!("{field}.{at}"), why));
        if answer.ok.is_some() == answer.is.is_some() {
            return problem(
                "expected either `ok = …`, a result, or `is = \"fail\"`, `\"info\"` or \
                 `\"redirect\"`"
                    .to_owned(),
            );
        }
        if !(100..=599).contains(&answer.status) {
            return problem(format!("{} is no HTTP status", answer.status));
        }
        let result = match &answer.ok {
            Some(Source::Pointer(pointer) | Source::Base64(pointer)) => Some(pointer),
            _ => None,
        };
        let pointers = [result, answer.has.as_ref(), answer.lacks.as_ref()];
        for pointer in pointers.into_iter().flatten() {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                return problem(format!(
                    "found {pointer:?}, expected a JSON pointer such as \"/value\""
                ));
            }
        }
    }
    Ok(())
}

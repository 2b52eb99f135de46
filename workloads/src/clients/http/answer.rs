//! What an answer means: pure, no network.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use histories::Value;
use serde_json::Value as Json;

use super::line::Reply;
use super::options::{Answer, Meaning, ResultKind, Source};

/// What a reply means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Class {
    /// It took effect, with this result.
    Done(Value),
    /// It did not take effect and never will.
    NotDone(String),
    /// Nobody knows.
    Unknown(String),
    /// Not done here: the node at this location is to be asked, if there is one.
    Elsewhere(Option<String>),
}

/// Characters of an answer that was not understood that are worth keeping.
const QUOTED_CHARS_MAX: usize = 200;

/// Decides what a reply means by the first of the answers that fits. Certain that nothing happened is
/// only what was never sent, or an answer that the definition calls so; one that is not understood is
/// taken for neither.
pub(super) fn classify<'a>(
    answers: impl Iterator<Item = &'a Answer>,
    kind: ResultKind,
    reply: &Reply,
) -> Class {
    let (status, location, body) = match reply {
        Reply::NotSent(why) => return Class::NotDone(why.clone()),
        Reply::Lost(why) => return Class::Unknown(why.clone()),
        Reply::Answer {
            status,
            location,
            body,
        } => (*status, location, body),
    };
    let heard = Heard {
        status,
        text: String::from_utf8_lossy(body).into_owned(),
        json: serde_json::from_slice(body).ok(),
    };
    for answer in answers {
        if !heard.fits(answer) {
            continue;
        }
        return match (&answer.ok, answer.is) {
            (Some(source), _) => match heard.result(source, kind) {
                Some(value) => Class::Done(value),
                None => Class::Unknown(heard.unexpected()),
            },
            (None, Some(Meaning::Fail)) => Class::NotDone(heard.told()),
            (None, Some(Meaning::Redirect)) => Class::Elsewhere(location.clone()),
            (None, Some(Meaning::Info) | None) => Class::Unknown(heard.told()),
        };
    }
    Class::Unknown(heard.unexpected())
}

/// An answer as it came.
struct Heard {
    status: u16,
    text: String,
    json: Option<Json>,
}

impl Heard {
    fn fits(&self, answer: &Answer) -> bool {
        let there = |pointer: &str| match &self.json {
            Some(json) => json.pointer(pointer).is_some_and(|found| !found.is_null()),
            None => false,
        };
        self.status == answer.status
            && answer.has.as_deref().is_none_or(there)
            && answer.lacks.as_deref().is_none_or(|pointer| {
                self.json.as_ref().is_some_and(Json::is_object) && !there(pointer)
            })
            && answer
                .matches
                .as_ref()
                .is_none_or(|pattern| pattern.regex().is_match(&self.text))
    }

    /// The result that stands there; nothing when it does not say what it should.
    fn result(&self, source: &Source, kind: ResultKind) -> Option<Value> {
        let at = |pointer: &str| self.json.as_ref()?.pointer(pointer);
        match source {
            Source::Nil => Some(Value::Nil),
            Source::True => Some(true.into()),
            Source::False => Some(false.into()),
            Source::Body => of_text(&self.text, kind),
            Source::Pattern(pattern) => of_text(pattern.find(&self.text)?, kind),
            Source::Pointer(pointer) => of_json(at(pointer)?, kind),
            Source::Base64(pointer) => {
                let bytes = STANDARD.decode(at(pointer)?.as_str()?).ok()?;
                of_text(std::str::from_utf8(&bytes).ok()?, kind)
            }
        }
    }

    fn told(&self) -> String {
        let text: String = self.text.trim().chars().take(QUOTED_CHARS_MAX).collect();
        format!("answer {}: {text:?}", self.status)
    }

    fn unexpected(&self) -> String {
        format!("unexpected {}", self.told())
    }
}

fn of_text(text: &str, kind: ResultKind) -> Option<Value> {
    match kind {
        ResultKind::Text => Some(text.into()),
        ResultKind::Number => number(text.trim()),
        ResultKind::Truth => text.trim().parse().ok().map(Value::Bool),
    }
}

fn of_json(json: &Json, kind: ResultKind) -> Option<Value> {
    match (json, kind) {
        (Json::Null, _) => Some(Value::Nil),
        (Json::Bool(truth), ResultKind::Truth) => Some((*truth).into()),
        (Json::String(text), kind) => of_text(text, kind),
        (Json::Number(found), ResultKind::Number) => found.as_i64().map(Value::Int),
        (Json::Number(found), ResultKind::Text) => Some(found.to_string().as_str().into()),
        (Json::Array(items), ResultKind::Number | ResultKind::Text) => {
            let items = items.iter().map(|item| of_json(item, kind));
            Some(Value::List(items.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

/// Only digits as they are written: "07" is not what anybody wrote.
fn number(text: &str) -> Option<Value> {
    let number = text.parse::<i64>().ok()?;
    (number.to_string() == text).then_some(Value::Int(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(answers: &Json, kind: ResultKind, reply: &Reply, expected: &str) {
        let answers: Vec<Answer> = serde_json::from_value(answers.clone()).expect("answers");
        let found = match classify(answers.iter(), kind, reply) {
            Class::Done(value) => format!("ok {value}"),
            Class::NotDone(why) => format!("fail {why}"),
            Class::Unknown(why) => format!("info {why}"),
            Class::Elsewhere(location) => format!("redirect {location:?}"),
        };
        assert!(
            found.starts_with(expected),
            "{reply:?}: {found}, not {expected}"
        );
    }

    fn answer(status: u16, body: &str) -> Reply {
        Reply::Answer {
            status,
            location: Some("http://n2/".to_owned()),
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn only_what_the_definition_says_is_known() {
        let answers = json!([
            { "status": 200, "has": "/kvs", "ok": { "base64": "/kvs/0/value" } },
            { "status": 200, "lacks": "/kvs", "has": "/header", "ok": "nil" },
            { "status": 404, "matches": "no such key", "ok": "nil" },
            { "status": 503, "is": "fail" },
            { "status": 504, "is": "info" },
            { "status": 307, "is": "redirect" },
        ]);
        for (status, body, expected) in [
            (200, r#"{"kvs":[{"value":"Nw=="}]}"#, "ok 7"),
            (
                200,
                r#"{"kvs":[{"value":"MDc="}]}"#,
                "info unexpected answer 200",
            ),
            (
                200,
                r#"{"kvs":[{"value":"???"}]}"#,
                "info unexpected answer 200",
            ),
            (200, r#"{"header":{}}"#, "ok nil"),
            (200, r#"{}"#, "info unexpected answer 200"),
            (200, "<html>", "info unexpected answer 200: \"<html>\""),
            (404, "no such key", "ok nil"),
            (404, "no such page", "info unexpected answer 404"),
            (503, "busy\n", "fail answer 503: \"busy\""),
            (504, "", "info answer 504"),
            (307, "", "redirect Some(\"http://n2/\")"),
            (500, "", "info unexpected answer 500"),
        ] {
            check(
                &answers,
                ResultKind::Number,
                &answer(status, body),
                expected,
            );
        }
        let kind = ResultKind::Number;
        check(
            &answers,
            kind,
            &Reply::NotSent("refused".into()),
            "fail refused",
        );
        check(&answers, kind, &Reply::Lost("reset".into()), "info reset");
    }

    #[test]
    fn results_are_of_their_kind_or_not_understood() {
        use ResultKind::{Number, Text, Truth};
        for (ok, kind, body, expected) in [
            (json!("body"), Number, "12\n", "ok 12"),
            (json!("body"), Number, "12a", "info"),
            (json!("body"), Number, "", "info"),
            (json!("body"), Text, "1.2 ", "ok \"1.2 \""),
            (json!("body"), Truth, "true", "ok true"),
            (json!({ "pointer": "/v" }), Number, r#"{"v":12}"#, "ok 12"),
            (json!({ "pointer": "/v" }), Number, r#"{"v":"12"}"#, "ok 12"),
            (json!({ "pointer": "/v" }), Number, r#"{"v":1.5}"#, "info"),
            (
                json!({ "pointer": "/v" }),
                Number,
                r#"{"v":null}"#,
                "ok nil",
            ),
            (
                json!({ "pointer": "/v" }),
                Number,
                r#"{"v":[1,"2"]}"#,
                "ok [1 2]",
            ),
            (json!({ "pointer": "/v" }), Number, r#"{"v":true}"#, "info"),
            (json!({ "pointer": "/v" }), Number, r#"{"w":1}"#, "info"),
            (json!({ "pointer": "/v" }), Text, r#"{"v":12}"#, "ok \"12\""),
            (
                json!({ "pointer": "/v" }),
                Truth,
                r#"{"v":false}"#,
                "ok false",
            ),
            (json!({ "pointer": "/v" }), Truth, r#"{"v":"no"}"#, "info"),
            (
                json!({ "pattern": "value=(\\d+)" }),
                Number,
                "value=3;",
                "ok 3",
            ),
            (
                json!({ "pattern": "value=(\\d+)" }),
                Number,
                "value=;",
                "info",
            ),
        ] {
            let answers = json!([{ "status": 200, "ok": ok }]);
            check(&answers, kind, &answer(200, body), expected);
        }
    }
}

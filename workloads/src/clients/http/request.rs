//! An operation put into a request: pure, no network.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use histories::Value;
use serde_json::Value as Json;

use super::line::Request;
use super::options::Operation;
use crate::Invocation;
use crate::template::fill;

/// What an invocation's placeholders stand for.
struct Known<'a>(Vec<(&'static str, &'a Value)>);

/// The request that an invocation stands for; what cannot be said where it stands for none. Headers
/// are those of the operation, after these.
pub(super) fn request(
    operation: &Operation,
    headers: &[(String, String)],
    invocation: &Invocation,
) -> Result<Request, String> {
    let request = of(operation, &Known::of(invocation)?).map_err(|(_, why)| why)?;
    let headers = headers.iter().cloned().chain(request.headers).collect();
    Ok(Request { headers, ..request })
}

/// Whether every template of an operation can be filled in; else the field and why not.
pub(super) fn try_out(name: &str, operation: &Operation) -> Result<(), (&'static str, String)> {
    let (key, value) = (Value::from("key"), Value::from(1));
    let mut known = Known(vec![("key", &key), ("value", &value)]);
    if name.starts_with("cas") {
        known.0.extend([("old", &value), ("new", &value)]);
    }
    of(operation, &known).map(drop)
}

fn of(operation: &Operation, known: &Known<'_>) -> Result<Request, (&'static str, String)> {
    let path = fill(&operation.path, |name| {
        known.text(name).map(|text| percent_encoded(&text))
    });
    let path = path.map_err(|error| ("path", known.problem(&error)))?;
    let mut headers: Vec<(String, String)> = operation.headers.clone().into_iter().collect();
    let body: Bytes = match (&operation.json, &operation.body) {
        (Some(json), _) => {
            let json = known.json(json).map_err(|why| ("json", why))?;
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
            json.to_string().into()
        }
        (None, Some(body)) => {
            let body = fill(body, |name| known.text(name));
            body.map_err(|error| ("body", known.problem(&error)))?
                .into()
        }
        (None, None) => Bytes::new(),
    };
    let method = operation.method.parse();
    Ok(Request {
        method: method.map_err(|_| ("method", "no HTTP method".to_owned()))?,
        path,
        headers,
        body,
    })
}

impl<'a> Known<'a> {
    fn of(invocation: &'a Invocation) -> Result<Self, String> {
        let mut known = Vec::new();
        known.extend(invocation.key.as_ref().map(|key| ("key", key)));
        known.push(("value", &invocation.value));
        if &*invocation.f == "cas" {
            let Some([old, new]) = invocation.value.as_list() else {
                return Err(format!("a cas of the value {}", invocation.value));
            };
            known.extend([("old", old), ("new", new)]);
        }
        Ok(Known(known))
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    /// What a placeholder in a text stands for. Nothing has no text.
    fn text(&self, name: &str) -> Option<String> {
        let (name, form) = name.split_once('.').unwrap_or((name, "text"));
        let text = plain(self.value(name)?)?;
        match form {
            "text" => Some(text),
            "base64" => Some(STANDARD.encode(text)),
            _ => None,
        }
    }

    /// A JSON template filled in.
    fn json(&self, template: &Json) -> Result<Json, String> {
        Ok(match template {
            Json::String(text) => {
                let name = text
                    .strip_prefix('{')
                    .and_then(|text| text.strip_suffix('}'));
                match name.and_then(|name| self.value(name)) {
                    Some(value) => as_json(value).ok_or_else(|| format!("{value} is no JSON"))?,
                    None => {
                        let filled = fill(text, |name| self.text(name));
                        filled.map_err(|error| self.problem(&error))?.into()
                    }
                }
            }
            Json::Array(items) => {
                let items = items.iter().map(|item| self.json(item));
                Json::Array(items.collect::<Result<_, _>>()?)
            }
            Json::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, item)| Ok((name.clone(), self.json(item)?)));
                Json::Object(fields.collect::<Result<_, String>>()?)
            }
            scalar => scalar.clone(),
        })
    }

    /// A placeholder that is known and has no text stands for nothing, and that cannot be said.
    fn problem(&self, error: &crate::template::TemplateError) -> String {
        let names: Vec<String> = self
            .0
            .iter()
            .map(|(name, _)| format!("{{{name}}}"))
            .collect();
        match error {
            crate::template::TemplateError::Unknown(name) => {
                let stem = name.split('.').next().unwrap_or(name);
                match self.value(stem) {
                    Some(value) if plain(value).is_none() => {
                        format!("{{{stem}}} is {value}, which has no text")
                    }
                    _ => format!(
                        "unknown placeholder {{{name}}}, expected one of {} (each also as \
                         {{key.base64}})",
                        names.join(", ")
                    ),
                }
            }
            error => error.to_string(),
        }
    }
}

/// A value as a text; none for nothing and for what consists of several.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Int(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn as_json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Nil => Json::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Text(text) => (**text).into(),
        Value::List(items) => Json::Array(items.iter().map(as_json).collect::<Option<_>>()?),
        _ => return None,
    })
}

/// A text as part of a path: what could be taken for something else is percent-encoded.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operation as TOML would have it, an invocation, and the request in a line.
    #[track_caller]
    fn check(operation: Json, f: &str, value: Value, expected: &str) {
        let operation: Operation = serde_json::from_value(operation).expect("an operation");
        let invocation = Invocation {
            f: f.into(),
            key: Some("a/b".into()),
            value,
        };
        let found = match request(&operation, &[], &invocation) {
            Ok(request) => {
                let body = String::from_utf8_lossy(&request.body);
                format!("{} {} {body}", request.method, request.path)
            }
            Err(why) => why,
        };
        assert_eq!(found.trim_end(), expected, "{f}");
    }

    #[test]
    fn an_operation_becomes_a_request() {
        use serde_json::json;
        let get = json!({ "path": "/kv/{key}?v={value}" });
        check(get.clone(), "read", 7.into(), "GET /kv/a%2Fb?v=7");
        check(get, "read", Value::Nil, "{value} is nil, which has no text");
        let put = json!({ "method": "PUT", "path": "/{key}", "body": "{value}" });
        check(put.clone(), "write", 7.into(), "PUT /a%2Fb 7");
        check(put, "put", "1.2 ".into(), "PUT /a%2Fb 1.2 ".trim_end());
        let json = json!({ "path": "/", "json": { "v": "{value}", "t": "{value.text}!", "n": 1 } });
        check(json, "write", 7.into(), r#"GET / {"n":1,"t":"7!","v":7}"#);
        let cas = json!({ "path": "/", "json": ["{old}", "{new.base64}", "{{x}}"] });
        let pair = |old: Value| Value::List(vec![old, "new".into()]);
        check(
            cas.clone(),
            "cas",
            pair(Value::Nil),
            r#"GET / [null,"bmV3","{x}"]"#,
        );
        check(
            cas.clone(),
            "cas",
            pair("a".into()),
            r#"GET / ["a","bmV3","{x}"]"#,
        );
        check(cas, "cas", 7.into(), "a cas of the value 7");
    }
}

//! How many messages there were, for people and for programs.

use std::fmt::Write;

use histories::Value;
use serde_json::{Map, Value as Json};

/// `messages  all 1230 sent, 1204 received, 12.30 for each operation`, and so for clients and
/// servers; then what became of those that were not received, if there are any.
pub fn lines(messages: Option<&Value>) -> String {
    let Some(messages) = messages else {
        return String::new();
    };
    let mut text = String::new();
    let number = |value: Option<&Value>| value.and_then(Value::as_int).unwrap_or(0);
    for (name, label) in [
        ("all", "messages"),
        ("clients", "  of clients"),
        ("servers", "  of servers"),
    ] {
        let Some(counts) = messages.get(name) else {
            continue;
        };
        let each = counts.get("per_operation").and_then(Value::as_text);
        let _ = writeln!(
            text,
            "  {label:<14} {:>8} sent  {:>8} received  {:>8} for each operation",
            number(counts.get("sent")),
            number(counts.get("received")),
            each.unwrap_or("?"),
        );
    }
    let mut fates: Vec<String> = Vec::new();
    if let Some(Value::Map(dropped)) = messages.get("dropped") {
        let fate = |(why, count): &(Value, Value)| {
            format!("{count} {}", why.as_text().unwrap_or("dropped"))
        };
        fates.extend(dropped.iter().map(fate));
    }
    for name in ["duplicated", "overtaken"] {
        match number(messages.get(name)) {
            0 => {}
            count => fates.push(format!("{count} {name}")),
        }
    }
    if !fates.is_empty() {
        let _ = writeln!(text, "  {:<14} {}", "", fates.join(", "));
    }
    text
}

/// The same as JSON, as the history has it.
pub fn json(value: &Value) -> Json {
    match value {
        Value::Int(number) => (*number).into(),
        Value::Text(text) => (&**text).into(),
        Value::Map(entries) => {
            let entry =
                |(key, value): &(Value, Value)| Some((key.as_text()?.to_owned(), json(value)));
            Json::Object(entries.iter().filter_map(entry).collect::<Map<_, _>>())
        }
        _ => Json::Null,
    }
}

//! JSON values, one line at a time (RFC 8259).
//!
//! Numbers keep what was written when they do not fit `i64`, and objects keep their order; common
//! parsers lose both. An EDN map may have keys that are no strings: it is written as
//! `{"$map":[[key,value],…]}`, and read back from that.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io::Write;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Value;
use crate::scanner::{Scanner, SyntaxError};

/// How deep values may be nested: the reader recurses, and the stack is finite. Enough for every
/// value that the EDN reader accepts, one level of which takes at most three here.
const DEPTH_MAX: usize = 256;

/// The key that marks a map whose keys are not all text.
const MAP: &str = "$map";

/// Reads a text that is one JSON value and nothing else.
pub(crate) fn parse(text: &str) -> Result<Value, SyntaxError> {
    let mut scanner = Scanner::new(text);
    let value = value(&mut scanner, 0)?;
    end(&mut scanner)?;
    Ok(value)
}

/// Reads the value at the beginning of a text, as that of a member of an object, and says how long
/// it is.
pub(crate) fn parse_member(text: &str) -> Option<(Value, usize)> {
    let mut scanner = Scanner::new(text);
    let value = value(&mut scanner, 1).ok()?;
    Some((value, scanner.offset()))
}

/// Reads a text that is one JSON object, and hands each member to `member`.
pub(crate) fn parse_object(
    text: &str,
    mut member: impl FnMut(&str, Value) -> Result<(), String>,
) -> Result<Result<(), String>, SyntaxError> {
    let mut scanner = Scanner::new(text);
    let complaint = next_object(&mut scanner, &mut member)?;
    end(&mut scanner)?;
    Ok(complaint)
}

/// Reads the JSON object that is next, and hands each member to `member`.
pub(crate) fn next_object(
    scanner: &mut Scanner<'_>,
    mut member: impl FnMut(&str, Value) -> Result<(), String>,
) -> Result<Result<(), String>, SyntaxError> {
    skip_space(scanner);
    if scanner.peek() != Some(b'{') {
        return Err(scanner.error("a JSON object, `{`"));
    }
    // The first complaint of `member` is kept: the syntax of the whole line comes first, so that
    // a torn line is never taken for a wrong one.
    let mut complaint = Ok(());
    members(scanner, 0, |name, value| {
        if complaint.is_ok() {
            complaint = member(&name, value);
        }
    })?;
    Ok(complaint)
}

/// Writes a value, on one line.
pub(crate) fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => write_number(number, out),
        Value::Text(text) => write_text(text, out),
        Value::List(values) => write_list(values.iter(), out, write),
        Value::Map(entries) => write_map(entries, out),
    }
}

/// Writes a number.
pub(crate) fn write_number(number: impl Display, out: &mut Vec<u8>) {
    write!(out, "{number}").expect("a vector takes all that is written to it");
}

/// Writes a string with its quotes.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Writes `[…]`.
pub(crate) fn write_list<T>(
    items: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    write_item: impl Fn(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_item(item, out);
    }
    out.push(b']');
}

fn write_map(entries: &[(Value, Value)], out: &mut Vec<u8>) {
    match names(entries) {
        Some(names) => {
            out.push(b'{');
            for (i, (name, (_, value))) in names.into_iter().zip(entries).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_text(name, out);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
        None => {
            out.push(b'{');
            write_text(MAP, out);
            out.push(b':');
            write_list(entries.iter(), out, |(key, value), out| {
                write_list([key, value].into_iter(), out, write);
            });
            out.push(b'}');
        }
    }
}

/// The keys, when all are text and the first one cannot be taken for [`MAP`].
fn names(entries: &[(Value, Value)]) -> Option<Vec<&str>> {
    let names: Vec<&str> = entries
        .iter()
        .map(|(key, _)| key.as_text())
        .collect::<Option<_>>()?;
    (names.first() != Some(&MAP)).then_some(names)
}

/// The same JSON as in a history.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Nil => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(values) => serializer.collect_seq(values),
            Value::Map(entries) => match names(entries) {
                Some(names) => {
                    let values = entries.iter().map(|(_, value)| value);
                    serializer.collect_map(names.into_iter().zip(values))
                }
                None => serializer.collect_map([(MAP, entries)]),
            },
        }
    }
}

/// From the same JSON as in a history. A number that does not fit is refused: whoever needs it as
/// it was written reads the history.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a truth value, a whole number of 64 bits, a string, a list or an object")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        let refused = |_| E::invalid_value(de::Unexpected::Unsigned(number), &self);
        i64::try_from(number).map(Value::Int).map_err(refused)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            entries.push((name.as_str().into(), value));
        }
        Ok(map_of(entries))
    }
}

fn value(scanner: &mut Scanner<'_>, depth: usize) -> Result<Value, SyntaxError> {
    if depth > DEPTH_MAX {
        return Err(scanner.error(format!("at most {DEPTH_MAX} levels of nesting")));
    }
    skip_space(scanner);
    match scanner.peek() {
        Some(b'"') => Ok(Value::Text(string(scanner)?.into())),
        Some(b'{') => object(scanner, depth),
        Some(b'[') => list(scanner, depth),
        Some(b'-' | b'0'..=b'9') => number(scanner),
        _ => word(scanner),
    }
}

fn word(scanner: &mut Scanner<'_>) -> Result<Value, SyntaxError> {
    const WORDS: [(&str, Value); 3] = [
        ("null", Value::Nil),
        ("true", Value::Bool(true)),
        ("false", Value::Bool(false)),
    ];
    let from = scanner.offset();
    let word = scanner.take_while(|byte| byte.is_ascii_alphanumeric());
    let end = scanner.peek().is_none();
    for (name, value) in WORDS {
        if word == name {
            return Ok(value);
        }
        if end && name.starts_with(word) {
            return Err(scanner.error("a JSON value"));
        }
    }
    Err(scanner.error_at(from, "a JSON value"))
}

fn number(scanner: &mut Scanner<'_>) -> Result<Value, SyntaxError> {
    let from = scanner.offset();
    scanner.take(b'-');
    let whole = digits(scanner)?;
    if whole.len() > 1 && whole.starts_with('0') {
        return Err(scanner.error_at(from, "a number without a leading zero"));
    }
    if scanner.take(b'.') {
        digits(scanner)?;
    }
    if scanner.take(b'e') || scanner.take(b'E') {
        if !scanner.take(b'-') {
            scanner.take(b'+');
        }
        digits(scanner)?;
    }
    let text = scanner.slice(from, scanner.offset());
    Ok(text.parse().map_or_else(|_| Value::from(text), Value::Int))
}

fn digits<'a>(scanner: &mut Scanner<'a>) -> Result<&'a str, SyntaxError> {
    let digits = scanner.take_while(|byte| byte.is_ascii_digit());
    if digits.is_empty() {
        Err(scanner.error("a digit"))
    } else {
        Ok(digits)
    }
}

fn list(scanner: &mut Scanner<'_>, depth: usize) -> Result<Value, SyntaxError> {
    scanner.take(b'[');
    let mut values = Vec::new();
    skip_space(scanner);
    if scanner.take(b']') {
        return Ok(Value::List(values));
    }
    loop {
        values.push(value(scanner, depth + 1)?);
        skip_space(scanner);
        if scanner.take(b']') {
            return Ok(Value::List(values));
        }
        if !scanner.take(b',') {
            return Err(scanner.error("`,` or `]`"));
        }
    }
}

fn object(scanner: &mut Scanner<'_>, depth: usize) -> Result<Value, SyntaxError> {
    let mut entries = Vec::new();
    members(scanner, depth, |name, value| {
        entries.push((Value::Text(name.into()), value))
    })?;
    Ok(map_of(entries))
}

/// The map that the members of an object stand for.
fn map_of(entries: Vec<(Value, Value)>) -> Value {
    match entries.as_slice() {
        [(Value::Text(name), Value::List(pairs))] if **name == *MAP => match pairs_of(pairs) {
            Some(pairs) => Value::Map(pairs),
            None => Value::Map(entries),
        },
        _ => Value::Map(entries),
    }
}

fn pairs_of(pairs: &[Value]) -> Option<Vec<(Value, Value)>> {
    let pair = |pair: &Value| match pair.as_list()? {
        [key, value] => Some((key.clone(), value.clone())),
        _ => None,
    };
    pairs.iter().map(pair).collect()
}

fn members(
    scanner: &mut Scanner<'_>,
    depth: usize,
    mut member: impl FnMut(Cow<'_, str>, Value),
) -> Result<(), SyntaxError> {
    scanner.take(b'{');
    skip_space(scanner);
    if scanner.take(b'}') {
        return Ok(());
    }
    loop {
        skip_space(scanner);
        if scanner.peek() != Some(b'"') {
            return Err(scanner.error("a name in quotes"));
        }
        let name = string(scanner)?;
        skip_space(scanner);
        if !scanner.take(b':') {
            return Err(scanner.error("`:`"));
        }
        member(name, value(scanner, depth + 1)?);
        skip_space(scanner);
        if scanner.take(b'}') {
            return Ok(());
        }
        if !scanner.take(b',') {
            return Err(scanner.error("`,` or `}`"));
        }
    }
}

fn string<'a>(scanner: &mut Scanner<'a>) -> Result<Cow<'a, str>, SyntaxError> {
    scanner.take(b'"');
    let plain = |byte: u8| byte != b'"' && byte != b'\\' && byte >= 0x20;
    let mut text = Cow::Borrowed(scanner.take_while(plain));
    loop {
        if scanner.take(b'"') {
            return Ok(text);
        }
        if !scanner.take(b'\\') {
            return Err(scanner.error("the closing `\"` of a string"));
        }
        let text = text.to_mut();
        text.push(escape(scanner)?);
        text.push_str(scanner.take_while(plain));
    }
}

fn escape(scanner: &mut Scanner<'_>) -> Result<char, SyntaxError> {
    let from = scanner.offset();
    match scanner.take_char() {
        Some(c @ ('"' | '\\' | '/')) => Ok(c),
        Some('b') => Ok('\u{8}'),
        Some('f') => Ok('\u{c}'),
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('t') => Ok('\t'),
        Some('u') => scanner.take_unicode_escape(),
        _ => Err(scanner.error_at(from, "an escape that JSON knows")),
    }
}

fn end(scanner: &mut Scanner<'_>) -> Result<(), SyntaxError> {
    skip_space(scanner);
    match scanner.peek() {
        None => Ok(()),
        Some(_) => Err(scanner.error("the end of the line")),
    }
}

/// Passes over space.
pub(crate) fn skip_space(scanner: &mut Scanner<'_>) {
    scanner.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_read_values_as_a_history_does() {
        for text in [
            "null",
            "true",
            "-9223372036854775808",
            r#""a \"b\" \u00e9""#,
            r#"[1,[],{"a":null,"b":[true]}]"#,
            r#"{"$map":[[1,"a"],[[2],"b"]]}"#,
            r#"{"$map":[[1]]}"#,
        ] {
            let expected = parse(text).expect(text);
            let found: Value = serde_json::from_str(text).expect(text);
            assert_eq!(found, expected, "{text}");
            let written = serde_json::to_string(&found).expect(text);
            assert_eq!(parse(&written), Ok(expected), "{text}");
        }
        for odd in ["1.5", "9223372036854775808", "", "[1"] {
            assert!(serde_json::from_str::<Value>(odd).is_err(), "{odd}");
        }
    }
}

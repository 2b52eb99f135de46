//! The JSON that Elle's command line reads: operations as objects, in one array or one after the
//! other.
//!
//! ```text
//! [{"index":0,"process":0,"type":"invoke","f":"txn","value":[["append",3,1],["r",3,null]]},
//!  {"index":1,"process":0,"type":"ok","f":"txn","value":[["append",3,1],["r",3,[1]]]}]
//! ```
//!
//! The fields are those of our own format. An operation without `f` is a transaction. Where no
//! operation has a `process`, one process called them all, one after the other.

use std::io::Read;

use super::error::ReadError;
use super::fields::{Assembly, Fields, Style};
use super::window::Window;
use crate::scanner::{Scanner, SyntaxError};
use crate::{History, json};

/// What an operation is that has no name.
const TRANSACTION: &str = "txn";

/// Reads either shape.
pub(super) fn read(mut text: Window<impl Read>) -> Result<History, ReadError> {
    let mut assembly = Assembly::new(Style::Json);
    let is_array = text.take(|rest| Ok(taking(rest, b'[')))?;
    let mut more = text.take(|rest| Ok(first(rest, is_array)))?;
    while more {
        let begin = text.begin();
        let fields = text.take(|rest| {
            let mut scanner = Scanner::new(rest);
            Ok((operation(&mut scanner, begin)?, scanner.offset()))
        })?;
        let mut fields = fields?;
        assembly.name_process(&mut fields)?;
        fields.f.get_or_insert_with(|| TRANSACTION.into());
        assembly.push(fields)?;
        more = text.take(|rest| has_next(rest, is_array))?;
    }
    text.take(|rest| {
        let mut scanner = Scanner::new(rest);
        json::skip_space(&mut scanner);
        match scanner.peek() {
            Some(_) => Err(scanner.error("the end of the history")),
            None => Ok(((), rest.len())),
        }
    })?;
    assembly.finish(true)
}

/// Whether this byte is next after space; both are passed over.
fn taking(text: &str, byte: u8) -> (bool, usize) {
    let mut scanner = Scanner::new(text);
    json::skip_space(&mut scanner);
    (scanner.take(byte), scanner.offset())
}

/// Whether there is a first operation, passing over what is before it, or comes instead.
fn first(text: &str, is_array: bool) -> (bool, usize) {
    let mut scanner = Scanner::new(text);
    json::skip_space(&mut scanner);
    let end = match is_array {
        true => scanner.take(b']'),
        false => scanner.peek().is_none(),
    };
    (!end, scanner.offset())
}

/// Whether another operation comes after one, passing over what is before it, or comes instead.
fn has_next(text: &str, is_array: bool) -> Result<(bool, usize), SyntaxError> {
    if !is_array {
        return Ok(first(text, false));
    }
    let mut scanner = Scanner::new(text);
    json::skip_space(&mut scanner);
    if scanner.take(b']') {
        return Ok((false, scanner.offset()));
    }
    if !scanner.take(b',') {
        return Err(scanner.error("`,` or the `]` of the history"));
    }
    json::skip_space(&mut scanner);
    Ok((true, scanner.offset()))
}

/// Reads the fields of one operation, which begins at `begin` (line and column).
fn operation(
    scanner: &mut Scanner<'_>,
    begin: (u32, u32),
) -> Result<Result<Fields, ReadError>, SyntaxError> {
    let mut fields = Fields {
        line: begin.0,
        column: Some(begin.1),
        ..Fields::default()
    };
    let set = json::next_object(scanner, |name, value| fields.set(Style::Json, name, value))?;
    Ok(match set {
        Ok(()) => Ok(fields),
        Err(what) => Err(fields.malformed(what)),
    })
}

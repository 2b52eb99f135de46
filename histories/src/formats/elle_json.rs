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

use super::error::ReadError;
use super::fields::{Assembly, Fields, Style};
use super::maps::{Places, syntax};
use crate::scanner::{Scanner, SyntaxError};
use crate::{History, Value, json};

/// What an operation is that has no name.
const TRANSACTION: &str = "txn";

/// Reads either shape.
pub(crate) fn read(text: &str) -> Result<History, ReadError> {
    let mut scanner = Scanner::new(text);
    let mut assembly = Assembly::new(Style::Json);
    let mut anonymous = None;
    let mut places = Places::new(text);
    let mut begin = (1, 1);
    let failed = |error: SyntaxError, begin| syntax(text, &error, Some(begin));
    json::skip_space(&mut scanner);
    let array = scanner.take(b'[');
    let mut first = true;
    loop {
        json::skip_space(&mut scanner);
        match scanner.peek() {
            None if !array => break,
            Some(b']') if array && first => {
                scanner.take(b']');
                break;
            }
            _ => {}
        }
        first = false;
        begin = places.of(scanner.offset());
        let fields = operation(&mut scanner, begin).map_err(|error| failed(error, begin))?;
        push(&mut assembly, fields?, &mut anonymous)?;
        if array {
            json::skip_space(&mut scanner);
            if scanner.take(b']') {
                break;
            }
            if !scanner.take(b',') {
                return Err(failed(
                    scanner.error("`,` or the `]` of the history"),
                    begin,
                ));
            }
        }
    }
    json::skip_space(&mut scanner);
    if scanner.peek().is_some() {
        return Err(failed(scanner.error("the end of the history"), begin));
    }
    Ok(assembly.finish(true)?)
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

fn push(
    assembly: &mut Assembly,
    mut fields: Fields,
    anonymous: &mut Option<bool>,
) -> Result<(), ReadError> {
    if *anonymous.get_or_insert(fields.process.is_none()) {
        if fields.process.is_some() {
            let what = "expected no \"process\", as in the operations before, found one";
            return Err(fields.malformed(what.to_owned()));
        }
        fields.process = Some(Value::Int(0));
    }
    fields.f.get_or_insert_with(|| TRANSACTION.into());
    assembly.push(fields)?;
    Ok(())
}

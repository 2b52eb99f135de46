//! Histories of EDN maps: Jepsen's `history.edn`, and the key-value histories of Porcupine's tests.

use std::io::Read;
use std::str;

use super::blocks::each_line;
use super::error::{ReadError, ReadErrorKind, column};
use super::fields::{Assembly, Fields, Style};
use super::window::Window;
use crate::edn::Reader;
use crate::scanner::SyntaxError;
use crate::{History, Value};

/// What a transaction is called where a history has nothing but transactions, and no names.
const TRANSACTION: &str = "txn";

/// The operations of a key-value history of Porcupine.
const KV_OPERATIONS: [&str; 3] = ["get", "put", "append"];

/// Reads either shape: one list or vector of operations, or one operation after the other.
pub(super) fn read_edn(mut text: Window<impl Read>) -> Result<History, ReadError> {
    let mut operations = Operations {
        assembly: Assembly::new(Style::Edn),
        unnamed: None,
    };
    let close = text.take(opening)?;
    while text.take(|rest| has_next(rest, close))? {
        let begin = text.begin();
        let fields = text.take(|rest| {
            let mut reader = Reader::new(rest);
            Ok((operation(&mut reader, begin)?, reader.offset()))
        })?;
        operations.push(fields?)?;
    }
    operations.assembly.finish(true)
}

/// How the list or vector ends that the text is, if it is one.
fn opening(text: &str) -> Result<(Option<u8>, usize), SyntaxError> {
    let mut reader = Reader::new(text);
    if reader.at_end()? {
        return Ok((None, text.len()));
    }
    let close = match reader.peek()? {
        Some(b'[') => Some(b']'),
        Some(b'(') => Some(b')'),
        Some(_) => return Ok((None, 0)),
        None => return Err(reader.error("a value")),
    };
    reader.open();
    Ok((close, reader.offset()))
}

/// Whether another operation comes, passing over what is before it, or all that comes instead.
fn has_next(rest: &str, close: Option<u8>) -> Result<(bool, usize), SyntaxError> {
    let mut reader = Reader::new(rest);
    let mut end = reader.at_end()?;
    if let Some(close) = close {
        end = reader.take(close);
        if end && !reader.at_end()? {
            return Err(reader.error("the end of the history"));
        }
    }
    Ok((!end, reader.offset()))
}

/// Reads one operation a line.
pub(super) fn read_porcupine_kv(source: impl Read) -> Result<History, ReadError> {
    let mut assembly = Assembly::new(Style::Edn);
    each_line(source, |number, line| {
        let (line, whole) = (line.trim_ascii_end(), line.ends_with('\n'));
        let failed = |error: SyntaxError| {
            let place = (number, column(line, error.offset));
            match error.cut_off() && !whole {
                true => ReadErrorKind::CutOff(error.to_string()).at(place),
                false => ReadErrorKind::Malformed(error.to_string()).at(place),
            }
        };
        if let Some(fields) = kv_line(line, number).map_err(failed)? {
            assembly.push(fields?)?;
        }
        Ok(())
    })?;
    assembly.finish(true)
}

/// The operation on a line, if there is one.
fn kv_line(line: &str, number: u32) -> Result<Option<Result<Fields, ReadError>>, SyntaxError> {
    let mut reader = Reader::new(line);
    if reader.at_end()? {
        return Ok(None);
    }
    let fields = operation(&mut reader, (number, 1))?;
    if !reader.at_end()? {
        return Err(reader.error("the end of the line"));
    }
    let name = |fields: &Fields| {
        fields
            .f
            .as_ref()
            .and_then(Value::as_text)
            .map(str::to_owned)
    };
    Ok(Some(fields.and_then(|fields| match name(&fields) {
        Some(name) if !KV_OPERATIONS.contains(&&*name) => {
            let wanted = KV_OPERATIONS.map(|name| format!(":{name}")).join(", ");
            Err(fields.malformed(format!("expected :f to be one of {wanted}, found :{name}")))
        }
        _ => Ok(fields),
    })))
}

/// Whether the first line is an operation of a key-value history.
pub(crate) fn is_porcupine_kv(bytes: &[u8]) -> bool {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let Ok(line) = str::from_utf8(line) else {
        return false;
    };
    let Ok(Ok(fields)) = operation(&mut Reader::new(line), (1, 1)) else {
        return false;
    };
    let name = fields.f.as_ref().and_then(Value::as_text);
    name.is_some_and(|name| KV_OPERATIONS.contains(&name))
        && fields
            .key
            .as_ref()
            .is_some_and(|key| key.as_text().is_some())
}

/// Reads the fields of one operation, which begins at `begin` (line and column).
fn operation(
    reader: &mut Reader<'_>,
    begin: (u32, u32),
) -> Result<Result<Fields, ReadError>, SyntaxError> {
    let mut fields = Fields {
        line: begin.0,
        column: Some(begin.1),
        ..Fields::default()
    };
    let set = reader.map(|key, is_keyword, value| {
        let Some(name) = key.as_text() else {
            return Ok(());
        };
        fields.value_is_keyword |= is_keyword && name == "value";
        fields.set(Style::Edn, name, value)
    })?;
    Ok(match set {
        Ok(()) => Ok(fields),
        Err(what) => Err(fields.malformed(what)),
    })
}

/// The operations of an EDN history, as they come.
struct Operations {
    assembly: Assembly,
    /// Whether the operations have no `:f`, as in some examples of Elle: all are transactions.
    unnamed: Option<bool>,
}

impl Operations {
    fn push(&mut self, mut fields: Fields) -> Result<(), ReadError> {
        self.assembly.name_process(&mut fields)?;
        let is_client = fields
            .process
            .as_ref()
            .is_some_and(|it| it.as_u64().is_some());
        if is_client && *self.unnamed.get_or_insert(fields.f.is_none()) {
            fields.f.get_or_insert_with(|| TRANSACTION.into());
        }
        self.assembly.push(fields)?;
        Ok(())
    }
}

//! Histories of EDN maps: Jepsen's `history.edn`, and the key-value histories of Porcupine's tests.

use std::str;

use super::error::{ReadError, ReadErrorKind};
use super::fields::{Assembly, Fields, Style};
use crate::edn::Reader;
use crate::scanner::SyntaxError;
use crate::{History, Value};

/// What a transaction is called where a history has nothing but transactions, and no names.
const TRANSACTION: &str = "txn";

/// The operations of a key-value history of Porcupine.
const KV_OPERATIONS: [&str; 3] = ["get", "put", "append"];

/// Reads either shape: one list or vector of operations, or one operation after the other.
pub(crate) fn read_edn(text: &str) -> Result<History, ReadError> {
    let mut reader = Reader::new(text);
    let mut operations = Operations {
        assembly: Assembly::new(Style::Edn),
        anonymous: None,
        unnamed: None,
    };
    let mut places = Places::new(text);
    let mut begin = (1, 1);
    let failed = |error: SyntaxError, begin| syntax(text, &error, Some(begin));
    let close = match reader.peek().map_err(|error| failed(error, begin))? {
        Some(b'[') => Some(b']'),
        Some(b'(') => Some(b')'),
        _ => None,
    };
    if close.is_some() {
        reader.open();
    }
    loop {
        let end = reader.at_end().map_err(|error| failed(error, begin))?;
        match close {
            None if end => break,
            Some(close) if reader.take(close) => match reader.at_end() {
                Ok(true) => break,
                Ok(false) => {
                    return Err(failed(reader.error("the end of the history"), begin));
                }
                Err(error) => return Err(failed(error, begin)),
            },
            _ => {}
        }
        begin = places.of(reader.offset());
        let fields = operation(&mut reader, begin).map_err(|error| failed(error, begin))?;
        operations.push(fields?)?;
    }
    Ok(operations.assembly.finish(true)?)
}

/// Reads one operation a line.
pub(crate) fn read_porcupine_kv(text: &str) -> Result<History, ReadError> {
    let mut assembly = Assembly::new(Style::Edn);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let (line, whole) = (line.trim_ascii_end(), line.ends_with('\n'));
        let failed = |error: SyntaxError| {
            let (_, column) = Places::new(line).of(error.offset);
            match error.cut_off() && !whole {
                true => ReadErrorKind::CutOff(error.to_string()).at((number, column)),
                false => ReadErrorKind::Malformed(error.to_string()).at((number, column)),
            }
        };
        if let Some(fields) = kv_line(line, number).map_err(failed)? {
            assembly.push(fields?)?;
        }
    }
    Ok(assembly.finish(true)?)
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
    /// Whether the operations have no `:process`, as in some examples of Elle: then one process
    /// called them all, one after the other.
    anonymous: Option<bool>,
    /// Whether the operations have no `:f`, as in others of its examples: all are transactions.
    unnamed: Option<bool>,
}

impl Operations {
    fn push(&mut self, mut fields: Fields) -> Result<(), ReadError> {
        if *self.anonymous.get_or_insert(fields.process.is_none()) {
            if fields.process.is_some() {
                let what = "expected no :process, as in the operations before, found one";
                return Err(fields.malformed(what.to_owned()));
            }
            fields.process = Some(Value::Int(0));
        }
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

/// Lines and columns of offsets that only grow.
pub(super) struct Places<'a> {
    text: &'a str,
    counted: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Places<'a> {
    pub fn new(text: &'a str) -> Self {
        Places {
            text,
            counted: 0,
            line: 1,
            line_start: 0,
        }
    }

    /// The line and column of an offset, both 1-based.
    pub fn of(&mut self, offset: usize) -> (u32, u32) {
        let bytes = self.text.as_bytes();
        let end = offset.min(bytes.len());
        for (at, byte) in bytes.iter().enumerate().take(end).skip(self.counted) {
            if *byte == b'\n' {
                self.line = self.line.saturating_add(1);
                self.line_start = at + 1;
            }
        }
        self.counted = end;
        let before = self.text.get(self.line_start..end).unwrap_or_default();
        (
            self.line,
            u32::try_from(before.chars().count())
                .unwrap_or(u32::MAX)
                .saturating_add(1),
        )
    }
}

/// The error of text that is not in its format; `begin` is where the operation it is in begins.
pub(super) fn syntax(text: &str, error: &SyntaxError, begin: Option<(u32, u32)>) -> ReadError {
    let place = Places::new(text).of(error.offset);
    let what = match begin {
        Some((line, _)) if line != place.0 => {
            format!("{error} (the last operation begins on line {line})")
        }
        _ => error.to_string(),
    };
    match error.cut_off() {
        true => ReadErrorKind::CutOff(what).at(place),
        false => ReadErrorKind::Malformed(what).at(place),
    }
}

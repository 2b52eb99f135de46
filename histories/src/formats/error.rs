//! Why a history cannot be read: which file, which line, what was expected.

use std::fmt;
use std::io;

use crate::{At, Inconsistency};

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub struct ReadError {
    /// What the history is called: the file's path.
    pub file: String,
    /// The line, 1-based, where one is to blame.
    pub line: Option<u32>,
    /// The column in characters, 1-based, where known.
    pub column: Option<u32>,
    /// What is wrong.
    pub kind: ReadErrorKind,
}

/// What is wrong with a history.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// The system does not let us read it.
    Unreadable(io::Error),
    /// It is longer than [`crate::HISTORY_BYTES_MAX`].
    TooLong,
    /// There is nothing in it.
    Empty,
    /// It is in none of the formats.
    Unrecognised,
    /// It is compressed.
    Compressed {
        /// The program that takes it apart.
        program: &'static str,
    },
    /// It is not UTF-8.
    NotText,
    /// It is a Whitewater history of a version this program does not know.
    Version {
        /// The version it says it has.
        found: String,
    },
    /// It is not what the format demands.
    Malformed(String),
    /// It ends in the middle.
    CutOff(String),
    /// A chunk of a binary history is not as it was written.
    Damaged {
        /// Its number, from 0.
        chunk: usize,
        /// The position of its first event.
        first: usize,
        /// The position after its last event, where that is known.
        last: Option<usize>,
    },
    /// It contradicts itself.
    Inconsistent(Inconsistency),
    /// It names no process, and contradicts that one called all operations.
    InconsistentAlone(Box<Inconsistency>),
}

impl ReadErrorKind {
    pub(crate) fn nowhere(self) -> ReadError {
        ReadError {
            file: String::new(),
            line: None,
            column: None,
            kind: self,
        }
    }

    pub(crate) fn at_line(self, line: usize) -> ReadError {
        ReadError {
            line: Some(u32::try_from(line).unwrap_or(u32::MAX)),
            ..self.nowhere()
        }
    }

    pub(crate) fn at(self, (line, column): (u32, u32)) -> ReadError {
        ReadError {
            line: Some(line),
            column: Some(column),
            ..self.nowhere()
        }
    }
}

/// The column, 1-based and in characters, of the byte at an offset in a line.
pub(crate) fn column(line: &str, offset: usize) -> u32 {
    let before = line.get(..offset).unwrap_or(line);
    let chars = u32::try_from(before.chars().count());
    chars.unwrap_or(u32::MAX).saturating_add(1)
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.file.is_empty() {
            "history"
        } else {
            &self.file
        })?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl fmt::Display for ReadErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadErrorKind::Unreadable(error) => write!(f, "cannot be read: {error}"),
            ReadErrorKind::TooLong => {
                write!(f, "is longer than {} bytes", crate::HISTORY_BYTES_MAX)
            }
            ReadErrorKind::Empty => f.write_str("is empty: expected a history"),
            ReadErrorKind::Unrecognised => f.write_str(
                "is in no known format of histories \
                 (hint: name one of jsonl, binary, jepsen-log, edn, elle-json and porcupine-kv)",
            ),
            ReadErrorKind::Compressed { program } => write!(
                f,
                "is compressed (hint: {program} -dc FILE | whitewater check - …)"
            ),
            ReadErrorKind::NotText => f.write_str("expected UTF-8 text, found other bytes"),
            ReadErrorKind::Version { found } => write!(
                f,
                "has format version {found}, and only version {} is known here \
                 (hint: use the Whitewater that recorded it, or a newer one)",
                super::VERSION,
            ),
            ReadErrorKind::Malformed(what) => f.write_str(what),
            ReadErrorKind::CutOff(what) => write!(f, "is cut off: {what}"),
            ReadErrorKind::Damaged { chunk, first, last } => {
                write!(f, "chunk {chunk}, events {first} to ")?;
                match last {
                    Some(last) => write!(f, "{}", last.saturating_sub(1))?,
                    None => f.write_str("?")?,
                }
                f.write_str(", is damaged: its checksum is wrong")
            }
            ReadErrorKind::Inconsistent(Inconsistency { contradiction, .. }) => {
                write!(f, "the history contradicts itself: {contradiction}")
            }
            ReadErrorKind::InconsistentAlone(alone) => write!(
                f,
                "no operation names a process, so that one, 0, is taken to have called them all; but \
                 then {} (hint: give every operation its process)",
                alone.contradiction
            ),
        }
    }
}

/// The error of an event at a line.
impl From<Inconsistency> for ReadError {
    fn from(inconsistency: Inconsistency) -> Self {
        let at = inconsistency.at;
        let kind = ReadErrorKind::Inconsistent(inconsistency);
        match at {
            At::Line(line) => kind.at_line(line as usize),
            At::Index(_) => kind.nowhere(),
        }
    }
}

//! The formats histories come in: which one it is, and what it says.

pub(crate) mod binary;
mod blocks;
mod elle_json;
mod error;
mod fields;
mod jepsen_log;
pub(crate) mod jsonl;
mod maps;
mod tail;
pub(crate) mod window;
mod write;

use std::fmt;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use std::str::FromStr;

use window::Window;

pub use binary::{CHUNK_EVENTS_MAX, write_binary};
pub use error::{ReadError, ReadErrorKind};
pub use jsonl::{VERSION, write_jsonl};
pub use tail::Tail;
pub use write::{CannotExpress, WriteError, compare, left_out, write};

use crate::History;

/// How long a history may be, in bytes: lines are counted in 32 bits, and all of it is in memory.
pub const HISTORY_BYTES_MAX: u64 = 4 << 30;

/// How many lines of a log may come before the first operation, for it to be recognised.
const CHATTER_LINES_MAX: usize = 100_000;

/// As much of a file as is looked at first to recognise its format.
const BEGINNING_BYTES: u64 = 1 << 20;

/// A format of histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Ours: one JSON object a line, with or without our header.
    Jsonl,
    /// Ours for machines: chunks of columns, each with a checksum.
    Binary,
    /// The text log that Jepsen prints while it runs, or its `history.txt`.
    JepsenLog,
    /// What `elle-cli` reads: one JSON array of operations, or one operation after the other.
    ElleJson,
    /// Jepsen's `history.edn`: one list of operation maps, or one map after the other.
    Edn,
    /// The key-value histories in the tests of Porcupine: one EDN map a line.
    PorcupineKv,
}

/// A format that histories are recorded in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JSON lines, for people.
    #[default]
    Jsonl,
    /// Chunks, for machines.
    Binary,
}

impl Encoding {
    /// Every one.
    pub const ALL: [Encoding; 2] = [Encoding::Jsonl, Encoding::Binary];

    /// The format it is.
    pub fn format(self) -> Format {
        match self {
            Encoding::Jsonl => Format::Jsonl,
            Encoding::Binary => Format::Binary,
        }
    }

    /// What the history of a run is called when it is recorded so.
    pub fn file_name(self) -> &'static str {
        match self {
            Encoding::Jsonl => "history.jsonl",
            Encoding::Binary => "history.bin",
        }
    }
}

/// A format's name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format {0:?}: expected jsonl, binary, jepsen-log, edn, elle-json or porcupine-kv")]
pub struct UnknownFormat(pub String);

impl Format {
    /// Every format.
    pub const ALL: [Format; 6] = [
        Format::Jsonl,
        Format::Binary,
        Format::JepsenLog,
        Format::Edn,
        Format::ElleJson,
        Format::PorcupineKv,
    ];

    /// Its name, as `--format` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Binary => "binary",
            Format::JepsenLog => "jepsen-log",
            Format::Edn => "edn",
            Format::ElleJson => "elle-json",
            Format::PorcupineKv => "porcupine-kv",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let named = Self::ALL.into_iter().find(|format| format.name() == name);
        named.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// Reads the history in a file; with no `format`, in the one it is recognised to be.
///
/// # Errors
///
/// When the file cannot be read, and all that [`read`] complains of.
pub fn read_file(path: &Path, format: Option<Format>) -> Result<History, ReadError> {
    let name = path.display().to_string();
    read_open(path, format).map_err(|error| ReadError {
        file: name,
        ..error
    })
}

/// Reads a file block by block, where it is one and its format allows; else as a whole.
fn read_open(path: &Path, format: Option<Format>) -> Result<History, ReadError> {
    let unreadable = |error| ReadErrorKind::Unreadable(error).nowhere();
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_file() && metadata.len() > HISTORY_BYTES_MAX {
        return Err(ReadErrorKind::TooLong.nowhere());
    }
    let mut bytes = Vec::new();
    let mut beginning = (&mut file).take(BEGINNING_BYTES);
    beginning.read_to_end(&mut bytes).map_err(unreadable)?;
    match format.or_else(|| detect(&bytes).ok()) {
        Some(Format::Jsonl) if metadata.is_file() => jsonl::read(file, metadata.len()),
        Some(format) => read_source(Cursor::new(bytes).chain(file), metadata.len(), format),
        // What the beginning does not show, the whole may.
        None => read_bytes(&all(Cursor::new(bytes).chain(file))?, None),
    }
}

/// All bytes of a source.
fn all(source: impl Read) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let mut source = source.take(HISTORY_BYTES_MAX + 1);
    source
        .read_to_end(&mut bytes)
        .map_err(|error| ReadErrorKind::Unreadable(error).nowhere())?;
    match bytes.len() as u64 > HISTORY_BYTES_MAX {
        true => Err(ReadErrorKind::TooLong.nowhere()),
        false => Ok(bytes),
    }
}

/// Reads the history in `bytes`; with no `format`, in the one it is recognised to be. `name` is
/// what messages call it.
///
/// The history is consistent when it is returned, and its times are in order.
///
/// # Errors
///
/// When the format is not recognised, and when a line is malformed, cut off (but for the last line
/// of [`Format::Jsonl`]) or contradicts another; with the line.
pub fn read(name: &str, bytes: &[u8], format: Option<Format>) -> Result<History, ReadError> {
    read_bytes(bytes, format).map_err(|error| ReadError {
        file: name.to_owned(),
        ..error
    })
}

fn read_bytes(bytes: &[u8], format: Option<Format>) -> Result<History, ReadError> {
    let format = match format {
        Some(format) => format,
        None => detect(bytes)?,
    };
    match format {
        Format::Jsonl => jsonl::read(Cursor::new(bytes), bytes.len() as u64),
        format => read_source(bytes, bytes.len() as u64, format),
    }
}

/// Reads a history of about `length` bytes, of which no more is in memory than has to be.
fn read_source(source: impl Read, length: u64, format: Format) -> Result<History, ReadError> {
    match format {
        // It may have to be read twice.
        Format::Jsonl => read_bytes(&all(source)?, Some(format)),
        Format::Binary => binary::read(source, length),
        Format::JepsenLog => jepsen_log::read(source),
        Format::Edn => maps::read_edn(Window::new(source)),
        Format::ElleJson => elle_json::read(Window::new(source)),
        Format::PorcupineKv => maps::read_porcupine_kv(source),
    }
}

/// Tells by the beginning of a file which format it is in.
///
/// # Errors
///
/// When there is nothing in the file, or it is in none of the formats.
pub fn detect(bytes: &[u8]) -> Result<Format, ReadError> {
    if bytes.starts_with(&binary::MAGIC) {
        return Ok(Format::Binary);
    }
    let compressed = COMPRESSED.iter();
    if let Some((_, program)) = { compressed }.find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(ReadErrorKind::Compressed { program }.nowhere());
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let start = bytes.trim_ascii_start();
    let next = |count: usize| {
        start
            .get(count..)
            .unwrap_or_default()
            .trim_ascii_start()
            .first()
    };
    match start.first() {
        None => Err(ReadErrorKind::Empty.nowhere()),
        Some(b'{') if next(1) == Some(&b'"') => Ok(Format::Jsonl),
        Some(b'{') if maps::is_porcupine_kv(start) => Ok(Format::PorcupineKv),
        Some(b'{' | b'(' | b'#' | b'^' | b';') => Ok(Format::Edn),
        Some(b'[') if start[1..].trim_ascii_start().starts_with(b"{\"") => Ok(Format::ElleJson),
        Some(b'[') if matches!(next(1), Some(b'{' | b']' | b'#' | b'^' | b';')) => Ok(Format::Edn),
        Some(_) if jepsen_log::is_log(start, CHATTER_LINES_MAX) => Ok(Format::JepsenLog),
        Some(_) => Err(ReadErrorKind::Unrecognised.nowhere()),
    }
}

/// How compressed files begin, and what takes them apart.
const COMPRESSED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ", "xz"),
    (b"BZh", "bzip2"),
];

/// What some editors put at the beginning of a text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

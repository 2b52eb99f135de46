//! Text without lines that mean anything, of which no more is in memory than is being read.
//!
//! Readers take one thing after the other from its beginning. Where the text that is there may end
//! in the middle of what they take, they are asked again with more of it.

use std::io::Read;

use super::HISTORY_BYTES_MAX;
use super::error::{ReadError, ReadErrorKind};
use crate::scanner::SyntaxError;

/// How much is read at once, in bytes.
const BLOCK_BYTES: usize = 1 << 20;

/// What is wrong at least so many bytes before the end of what is there is wrong whatever follows:
/// no name and no number is as long.
const MARGIN_BYTES: usize = 1 << 16;

/// How far readers look beyond what they take: `#` alone may become `#_`.
const AHEAD_BYTES: usize = 1;

/// The rest of a text.
pub(super) struct Window<R> {
    source: R,
    block_bytes: usize,
    /// What is there of it. All before `at` is taken.
    text: String,
    at: usize,
    /// The bytes of a character whose end is not there yet.
    torn: Vec<u8>,
    /// How many bytes came from the source.
    bytes: u64,
    /// Whether the first character is there.
    begun: bool,
    ended: bool,
    /// Where the rest begins.
    place: Place,
    /// Where the operation begins that is being taken, or was last.
    begin: Place,
}

/// A line and a column, both 1-based.
type Place = (u32, u32);

impl<R: Read> Window<R> {
    /// The whole text of a source. A byte order mark at its beginning is left out.
    pub fn new(source: R) -> Self {
        Window::with_blocks(source, BLOCK_BYTES)
    }

    /// The same, read in blocks of so many bytes.
    pub(super) fn with_blocks(source: R, block_bytes: usize) -> Self {
        Window {
            source,
            block_bytes,
            text: String::new(),
            at: 0,
            torn: Vec::new(),
            bytes: 0,
            begun: false,
            ended: false,
            place: (1, 1),
            begin: (1, 1),
        }
    }

    /// Says that an operation begins here, and where that is.
    pub fn begin(&mut self) -> Place {
        self.begin = self.place;
        self.begin
    }

    /// Takes what `read` finds at the beginning of the rest, with how long it is.
    ///
    /// # Errors
    ///
    /// What `read` complains of, and what the source does.
    pub fn take<T>(
        &mut self,
        read: impl Fn(&str) -> Result<(T, usize), SyntaxError>,
    ) -> Result<T, ReadError> {
        loop {
            let rest = &self.text[self.at..];
            let found = read(rest);
            let reached = match &found {
                Ok((_, length)) => *length + AHEAD_BYTES >= rest.len(),
                Err(error) => error.cut_off() || error.offset + MARGIN_BYTES >= rest.len(),
            };
            if reached && !self.ended {
                self.read_more()?;
                continue;
            }
            return match found {
                Ok((found, length)) => {
                    self.place = self.place_of(length);
                    self.at += length;
                    Ok(found)
                }
                Err(error) => Err(self.malformed(&error)),
            };
        }
    }

    /// Where the rest has gone on for so many bytes.
    fn place_of(&self, offset: usize) -> Place {
        let rest = &self.text[self.at..];
        let passed = rest.get(..offset).unwrap_or(rest);
        let lines = passed.bytes().filter(|byte| *byte == b'\n').count();
        let (line, column) = self.place;
        let (column, on_line) = match passed.rfind('\n') {
            Some(newline) => (1, &passed[newline + 1..]),
            None => (column, passed),
        };
        (add(line, lines), add(column, on_line.chars().count()))
    }

    /// The error of a rest that is not in its format.
    fn malformed(&self, error: &SyntaxError) -> ReadError {
        let place = self.place_of(error.offset);
        let what = match self.begin.0 {
            line if line != place.0 => {
                format!("{error} (the last operation begins on line {line})")
            }
            _ => error.to_string(),
        };
        match error.cut_off() {
            true => ReadErrorKind::CutOff(what).at(place),
            false => ReadErrorKind::Malformed(what).at(place),
        }
    }

    /// Makes the rest at least twice as long, unless the source ends; what is taken is forgotten.
    fn read_more(&mut self) -> Result<(), ReadError> {
        self.text.drain(..self.at);
        self.at = 0;
        let wanted = self.text.len().max(self.block_bytes) as u64;
        let mut bytes = std::mem::take(&mut self.torn);
        let before = bytes.len();
        let mut some = (&mut self.source).take(wanted);
        let unreadable = |error| ReadErrorKind::Unreadable(error).nowhere();
        some.read_to_end(&mut bytes).map_err(unreadable)?;
        let count = (bytes.len() - before) as u64;
        self.ended = count < wanted;
        self.bytes += count;
        if self.bytes > HISTORY_BYTES_MAX {
            return Err(ReadErrorKind::TooLong.nowhere());
        }
        self.add(&bytes)?;
        if !self.begun && !self.text.is_empty() {
            self.begun = true;
            if self.text.starts_with('\u{feff}') {
                self.text.remove(0);
            }
        }
        Ok(())
    }

    /// Adds what is text of these bytes. The rest may be the beginning of a character.
    fn add(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let (text, torn) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, &[][..]),
            Err(error) => {
                let (text, rest) = bytes.split_at(error.valid_up_to());
                let is_wrong = error.error_len().is_some() || self.ended;
                let text = std::str::from_utf8(text).unwrap_or_default();
                if is_wrong {
                    self.text.push_str(text);
                    let (line, _) = self.place_of(self.text.len());
                    return Err(ReadErrorKind::NotText.at_line(line as usize));
                }
                (text, rest)
            }
        };
        self.text.push_str(text);
        self.torn = torn.to_vec();
        Ok(())
    }
}

fn add(number: u32, more: usize) -> u32 {
    number.saturating_add(u32::try_from(more).unwrap_or(u32::MAX))
}

/// Whether a text that is read in pieces of any size says what it says as a whole.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn ways_agree(format: super::Format, bytes: &[u8]) -> bool {
    let read = |block_bytes| {
        let window = Window::with_blocks(bytes, block_bytes);
        match format {
            super::Format::Edn => super::maps::read_edn(window),
            _ => super::elle_json::read(window),
        }
    };
    let whole = read(bytes.len() + 1);
    [1, 7, 100]
        .into_iter()
        .all(|size| match (&whole, read(size)) {
            (Ok(whole), Ok(pieces)) => *whole == pieces,
            (Err(whole), Err(pieces)) => {
                // What is not text is found out sooner where all is read at once.
                matches!(whole.kind, ReadErrorKind::NotText)
                    || whole.to_string() == pieces.to_string()
            }
            _ => false,
        })
}

#[cfg(test)]
mod tests;

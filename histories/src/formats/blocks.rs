//! Text in blocks that end at line ends, so that no more of a file is in memory than is being
//! read, and several threads can read.

use std::io::{self, Read};

use super::error::{ReadError, ReadErrorKind};
use super::{BYTE_ORDER_MARK, HISTORY_BYTES_MAX};

/// How long a block is; longer where a line is.
const BLOCK_BYTES: usize = 1 << 20;

/// The blocks of a text.
pub(crate) struct Blocks<R> {
    source: R,
    /// The beginning of a line whose end is not read yet.
    rest: Vec<u8>,
    bytes: u64,
    bytes_max: u64,
    first: bool,
    ended: bool,
}

/// Hands each line of a text over, with its end, and its number from 1.
///
/// # Errors
///
/// Those of `each`, and what is wrong with the text.
pub(crate) fn each_line(
    source: impl Read,
    mut each: impl FnMut(u32, &str) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut blocks = Blocks::new(source, HISTORY_BYTES_MAX);
    let mut block = Vec::new();
    let mut number = 0_u32;
    while blocks.next_into(&mut block)? {
        for line in block.split_inclusive(|byte| *byte == b'\n') {
            number = number.saturating_add(1);
            let line = std::str::from_utf8(line);
            let line = line.map_err(|_| ReadErrorKind::NotText.at_line(number as usize))?;
            each(number, line)?;
        }
    }
    Ok(())
}

/// Why there is no next block.
#[derive(Debug)]
pub(crate) enum BlockError {
    /// The source fails.
    Io(io::Error),
    /// The source is longer than it may be.
    TooLong,
}

impl<R: Read> Blocks<R> {
    /// The blocks of a source of at most so many bytes.
    pub fn new(source: R, bytes_max: u64) -> Self {
        Blocks {
            source,
            rest: Vec::new(),
            bytes: 0,
            bytes_max,
            first: true,
            ended: false,
        }
    }

    /// Puts the next block into `block` instead of what is in it: whole lines, but for the last
    /// line of the last block, which may lack its end. A byte order mark at the beginning of the
    /// text is left out. Whether there was a block.
    pub fn next_into(&mut self, block: &mut Vec<u8>) -> Result<bool, BlockError> {
        block.clear();
        block.append(&mut self.rest);
        while !self.ended {
            let searched = block.len();
            self.fill(block)?;
            if self.ended {
                break;
            }
            let newline = block[searched..].iter().rposition(|byte| *byte == b'\n');
            if let Some(newline) = newline {
                let end = searched + newline + 1;
                self.rest.extend_from_slice(&block[end..]);
                block.truncate(end);
                break;
            }
        }
        if self.first {
            self.first = false;
            if block.starts_with(BYTE_ORDER_MARK) {
                block.drain(..BYTE_ORDER_MARK.len());
            }
        }
        Ok(!block.is_empty())
    }

    /// Reads [`BLOCK_BYTES`] more, or what there is before the source ends.
    fn fill(&mut self, block: &mut Vec<u8>) -> Result<(), BlockError> {
        block.reserve(BLOCK_BYTES);
        let mut some = (&mut self.source).take(BLOCK_BYTES as u64);
        let count = some.read_to_end(block).map_err(BlockError::Io)?;
        self.ended = count < BLOCK_BYTES;
        self.bytes += count as u64;
        if self.bytes > self.bytes_max {
            return Err(BlockError::TooLong);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that gives a few bytes at a time.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(out.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn blocks(text: &[u8], dribble: usize) -> Vec<Vec<u8>> {
        let mut blocks = Blocks::new(Dribble(text, dribble), u64::MAX);
        let mut found = Vec::new();
        let mut block = Vec::new();
        while blocks.next_into(&mut block).unwrap() {
            found.push(block.clone());
        }
        found
    }

    #[test]
    fn blocks_are_the_text_cut_at_line_ends() {
        let long = [b"x".repeat(BLOCK_BYTES * 2 + 5), b"\ny\nz".to_vec()].concat();
        let many = b"0123456789abcdef\n".repeat(BLOCK_BYTES / 8);
        for text in [&b""[..], b"\n", b"no end", b"a\nb\n", &long, &many] {
            for dribble in [4097, usize::MAX] {
                let blocks = blocks(text, dribble);
                assert_eq!(blocks.concat(), text);
                for block in blocks.iter().rev().skip(1) {
                    assert!(block.is_empty() || block.ends_with(b"\n"));
                }
            }
        }
        assert_eq!(
            blocks("\u{feff}a\n\u{feff}".as_bytes(), 2).concat(),
            "a\n\u{feff}".as_bytes()
        );
    }

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        let mut block = Vec::new();
        let mut exact = Blocks::new(&b"12345"[..], 5);
        assert!(exact.next_into(&mut block).is_ok());
        let mut long = Blocks::new(&b"123456"[..], 5);
        assert!(matches!(
            long.next_into(&mut block),
            Err(BlockError::TooLong)
        ));
    }
}

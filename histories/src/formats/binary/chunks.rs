//! The chunks of a history, read one after the other and decoded side by side.
//!
//! One thread reads, checks the checksums and decodes the stamps; the other decodes the contents of
//! the same chunks ([`super::decode`]), each into columns of its own. What is reported is the first
//! thing that is wrong, whichever thread came upon it sooner.

use std::io::{Read, Take};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::{panic, thread};

use super::{
    CHUNK_EVENTS_MAX, FRAME_BYTES, Frame, Next, check_frame, decode, malformed, read_frame,
};
use crate::Events;
use crate::events::EVENTS_MAX;
use crate::formats::HISTORY_BYTES_MAX;
use crate::formats::error::{ReadError, ReadErrorKind};

/// How many chunks wait for the second thread, at most.
const WAITING_CHUNKS_MAX: usize = 4;

/// The bytes of a chunk, and where its events come in the history.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// Its number, from 0.
    pub number: usize,
    /// The position of its first event.
    pub first: u32,
    /// How many events it has.
    pub events: usize,
    /// Of the first chunk: about how many events all of them have.
    pub room: Option<usize>,
    pub payload: Vec<u8>,
}

impl Raw {
    /// That something else was expected so many bytes before the end.
    pub fn bad(&self, rest_bytes: usize, expected: &'static str) -> Bad {
        Bad {
            chunk: self.number,
            offset: self.payload.len() - rest_bytes,
            first: self.first as usize,
            events: self.events,
            expected,
        }
    }
}

/// What is wrong with a chunk. What is the least is wrong first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bad {
    chunk: usize,
    offset: usize,
    first: usize,
    events: usize,
    expected: &'static str,
}

impl Bad {
    /// The same as an error, the chunk's first event coming after so many others.
    pub fn error(self, before: usize) -> ReadError {
        let first = before + self.first;
        malformed(&format!(
            "chunk {}, events {first} to {}: expected {}, found something else",
            self.chunk,
            first + self.events,
            self.expected
        ))
    }
}

/// The chunks of a source, of which all before the first chunk is read.
pub(super) struct Chunks<R> {
    source: Take<R>,
    length: u64,
    number: usize,
    events: usize,
    torn: bool,
}

impl<R: Read> Chunks<R> {
    /// The chunks of a history of about `length` bytes.
    pub fn new(source: Take<R>, length: u64) -> Self {
        Chunks {
            source,
            length,
            number: 0,
            events: 0,
            torn: false,
        }
    }

    /// Reads and decodes all; whether the last one is torn.
    pub fn read(&mut self, events: &mut Events) -> Result<bool, ReadError> {
        let (mut stamps, mut contents) = events.halves();
        let mut raw = Raw::default();
        while self.next_into(&mut raw)? {
            decode::both(&mut stamps, &mut contents, &raw).map_err(|bad| bad.error(0))?;
        }
        Ok(self.torn)
    }

    /// The same, with a second thread.
    pub fn read_on_two_threads(&mut self, events: &mut Events) -> Result<bool, ReadError> {
        let (mut stamps, mut contents) = events.halves();
        let (mine, others) = thread::scope(|scope| {
            let (to_other, raws) = sync_channel::<Arc<Raw>>(WAITING_CHUNKS_MAX);
            let other = scope.spawn(move || {
                raws.iter()
                    .try_for_each(|raw| decode::contents(&mut contents, &raw))
            });
            let mut spare: Vec<Arc<Raw>> = Vec::new();
            let mine = loop {
                let mut raw = take_unused(&mut spare);
                match Arc::get_mut(&mut raw).map(|raw| self.next_into(raw)) {
                    Some(Ok(true)) => {}
                    Some(Err(error)) => break Err(Wrong::Unread(error)),
                    Some(Ok(false)) | None => break Ok(()),
                }
                // When the other found something wrong it wants no more.
                if to_other.send(raw.clone()).is_err() {
                    break Ok(());
                }
                if let Err(bad) = decode::stamps(&mut stamps, &raw) {
                    break Err(Wrong::Undecoded(bad));
                }
                spare.push(raw);
            };
            drop(to_other);
            let others = other.join();
            (
                mine,
                others.unwrap_or_else(|panic| panic::resume_unwind(panic)),
            )
        });
        match (mine, others) {
            (Ok(()), Ok(())) => Ok(self.torn),
            (Err(Wrong::Undecoded(mine)), Err(others)) => Err(mine.min(others).error(0)),
            (Err(Wrong::Undecoded(bad)), Ok(())) => Err(bad.error(0)),
            // What is read is decoded before more is read.
            (_, Err(bad)) => Err(bad.error(0)),
            (Err(Wrong::Unread(error)), Ok(())) => Err(error),
        }
    }

    /// Puts the next chunk into `raw` instead of what is in it; whether there was one.
    fn next_into(&mut self, raw: &mut Raw) -> Result<bool, ReadError> {
        let (number, first) = (self.number, self.events);
        if self.source.limit() == 0 || first > EVENTS_MAX - CHUNK_EVENTS_MAX {
            return Err(ReadErrorKind::TooLong.nowhere());
        }
        let frame = match read_frame(&mut self.source, &mut raw.payload, number, first)? {
            Next::Frame(frame) => frame,
            Next::Torn if self.source.limit() == 0 => {
                return Err(ReadErrorKind::TooLong.nowhere());
            }
            Next::Torn => {
                self.torn = true;
                return Ok(false);
            }
            Next::End => return Ok(false),
        };
        check_frame(&frame, number)?;
        raw.number = number;
        raw.first = first as u32;
        raw.events = frame.events;
        raw.room = (number == 0).then(|| room(&frame, self.length));
        self.number += 1;
        self.events += frame.events;
        Ok(true)
    }
}

/// Why this thread went no further.
enum Wrong {
    /// The next chunk cannot be had.
    Unread(ReadError),
    /// It cannot be decoded.
    Undecoded(Bad),
}

/// A chunk's room that nobody uses any more.
fn take_unused(spare: &mut Vec<Arc<Raw>>) -> Arc<Raw> {
    let unused = spare.iter_mut().position(|raw| Arc::get_mut(raw).is_some());
    unused.map_or_else(Arc::default, |at| spare.swap_remove(at))
}

/// How many events there are, if the chunks are all like this one.
fn room(frame: &Frame, length: u64) -> usize {
    let bytes = u64::from(frame.length) + FRAME_BYTES as u64;
    let chunks = length.min(HISTORY_BYTES_MAX) / bytes + 1;
    // A chunk has a byte for each event at least, whatever it claims.
    let per_chunk = (frame.events as u64).min(u64::from(frame.length));
    per_chunk.saturating_mul(chunks) as usize
}

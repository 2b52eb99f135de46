//! Our format for machines: the same history in about a tenth of the bytes and of the time.
//!
//! ```text
//! magic (8 bytes), version (4 bytes)
//! frame: kind 1, flags 1, zero 2, events 4, length 4, CRC32 of the payload 4, CRC32 of all this 4
//!        payload: of a header frame the first line of the JSON format, of a chunk its events
//! ```
//!
//! All numbers are little-endian. A chunk holds up to [`CHUNK_EVENTS_MAX`] events and every name
//! and value they use, so that it can be read by itself. Each column of it has a width of 0, 1, 2,
//! 4 or 8 bytes, the least that its largest number needs: such a column is read at the speed of
//! memory, which bytes of varying length are not. Indexes and times are differences to the event
//! before. See `encode` and `decode` for the columns.
//!
//! A file that ends within a frame, as after `kill -9`, is read without that frame, and the history
//! says that it is torn. A checksum that is wrong is an error: of a frame's first 20 bytes, which
//! say how long it is, as well as of the rest.

mod chunks;
mod decode;
mod encode;

use std::io::{self, Read, Write};
use std::num::NonZero;
use std::thread;

pub(crate) use encode::Chunk;

use chunks::{Chunks, Raw};

use super::HISTORY_BYTES_MAX;
use super::error::{ReadError, ReadErrorKind};
use super::jsonl;
use crate::{Event, Events, FailedCas, Fault, Header, History, json};

/// How a binary history begins. The first byte is no text, the last ones change when a tool takes
/// the file for text all the same.
pub(crate) const MAGIC: [u8; 8] = *b"\x89WWH\r\n\x1a\n";

/// The version that is written here, and the only one that is read.
const VERSION: u32 = 1;

/// The most events of one chunk.
pub const CHUNK_EVENTS_MAX: usize = 1 << 16;

/// A chunk whose names and values are longer than this is ended.
const CHUNK_TEXT_BYTES_MAX: usize = 8 << 20;

/// A history shorter than this is read on one thread.
const THREADS_BYTES_MIN: u64 = 1 << 18;

/// The kinds of frames.
const HEADER_FRAME: u8 = 1;
const CHUNK_FRAME: u8 = 2;

/// The length of what stands before a frame's payload.
const FRAME_BYTES: usize = 20;

/// Writes a history in the binary format, so that reading it gives the same events.
///
/// # Errors
///
/// Those of `out`.
pub fn write_binary(history: &History, mut out: impl Write) -> io::Result<()> {
    let mut bytes = Vec::new();
    write_beginning(&history.header, history.failed_cas, &mut bytes)?;
    let mut chunk = Chunk::default();
    for event in &history.events {
        chunk.push(&event);
        if chunk.is_full() {
            chunk.write(&mut bytes)?;
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    chunk.write(&mut bytes)?;
    out.write_all(&bytes)?;
    out.flush()
}

/// Writes what stands before the first event.
pub(crate) fn write_beginning(
    header: &Header,
    failed_cas: FailedCas,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    let mut line = Vec::new();
    jsonl::write_header(header, failed_cas, &mut line);
    write_frame(HEADER_FRAME, 0, &line, out)
}

/// Writes a frame of so many events.
fn write_frame(kind: u8, events: usize, payload: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let too_long = |_| io::Error::other("a chunk of a history is longer than 4 GB");
    let length = u32::try_from(payload.len()).map_err(too_long)?;
    let begin = out.len();
    out.extend_from_slice(&[kind, 0, 0, 0]);
    out.extend_from_slice(&u32::try_from(events).map_err(too_long)?.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    let crc = crc32fast::hash(&out[begin..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

/// What stands before a frame's payload.
struct Frame {
    kind: u8,
    flags: u8,
    events: usize,
    length: u32,
    payload_crc: u32,
}

impl Frame {
    /// `None` when its checksum is wrong.
    fn parse(bytes: &[u8; FRAME_BYTES]) -> Option<Frame> {
        let number = |at: usize| {
            let four = bytes[at..].first_chunk::<4>();
            u32::from_le_bytes(four.copied().unwrap_or_default())
        };
        (crc32fast::hash(&bytes[..FRAME_BYTES - 4]) == number(FRAME_BYTES - 4)).then(|| Frame {
            kind: bytes[0],
            flags: bytes[1],
            events: number(4) as usize,
            length: number(8),
            payload_crc: number(12),
        })
    }
}

/// Reads a binary history of about `length` bytes.
pub(crate) fn read(source: impl Read, length: u64) -> Result<History, ReadError> {
    let threads = match length {
        0..THREADS_BYTES_MIN => 1,
        _ => thread::available_parallelism().map_or(1, NonZero::get),
    };
    read_with(source, length, threads > 1)
}

/// Reads a binary history, on two threads or on this one; the result is the same.
fn read_with(source: impl Read, length: u64, two: bool) -> Result<History, ReadError> {
    let mut source = source.take(HISTORY_BYTES_MAX + 1);
    let mut payload = Vec::new();
    let mut history = History::default();
    if !read_beginning(&mut source, &mut payload, &mut history)? {
        history.torn = true;
        return Ok(history);
    }
    let mut chunks = Chunks::new(source, length);
    let events = &mut history.events;
    history.torn = match two {
        true => chunks.read_on_two_threads(events)?,
        false => chunks.read(events)?,
    };
    check_faults(&history.events)?;
    history.validate()?;
    Ok(history)
}

/// Whether reading on two threads gives what reading on one does.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn ways_agree(bytes: &[u8]) -> bool {
    let length = bytes.len() as u64;
    match [false, true].map(|two| read_with(bytes, length, two)) {
        [Ok(one), Ok(other)] => one == other,
        [Err(one), Err(other)] => one.to_string() == other.to_string(),
        _ => false,
    }
}

/// Makes all checksums right, also of frames that say something else than was written.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn repair(bytes: &mut [u8]) {
    let mut at = MAGIC.len() + 4;
    while bytes.len() >= at + FRAME_BYTES {
        let length = bytes[at + 8..].first_chunk::<4>().copied();
        let length = u32::from_le_bytes(length.unwrap_or_default()) as usize;
        let begin = at + FRAME_BYTES;
        let end = begin.saturating_add(length).min(bytes.len());
        let crc = crc32fast::hash(&bytes[begin..end]);
        bytes[at + 12..at + 16].copy_from_slice(&crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[at..begin - 4]);
        bytes[begin - 4..begin].copy_from_slice(&crc.to_le_bytes());
        at = end;
    }
}

/// A binary history as it grows, in pieces that may end anywhere.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    /// What belongs to a frame whose end has not come yet.
    rest: Vec<u8>,
    /// Whether the header has come.
    began: bool,
    /// How many chunks have come, and how many events in them.
    chunks: usize,
    events: usize,
}

impl Growing {
    /// The events of the chunks that end in these bytes, which follow those given before.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, ReadError> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut at = 0;
        if !self.began {
            let mut source = &self.rest[..];
            let mut payload = Vec::new();
            if !read_beginning(&mut source, &mut payload, &mut History::default())? {
                return Ok(events);
            }
            at = self.rest.len() - source.len();
            self.began = true;
        }
        while let Some((frame, payload)) = self.frame(at)? {
            let raw = Raw {
                number: self.chunks,
                first: 0,
                events: frame.events,
                room: None,
                payload: payload.to_vec(),
            };
            check_frame(&frame, self.chunks)?;
            let mut chunk = Events::new();
            let (mut stamps, mut contents) = chunk.halves();
            decode::both(&mut stamps, &mut contents, &raw).map_err(|bad| bad.error(self.events))?;
            at += FRAME_BYTES + raw.payload.len();
            events.extend(chunk.iter());
            self.chunks += 1;
            self.events += frame.events;
        }
        self.rest.drain(..at);
        Ok(events)
    }

    /// The frame at an offset, if it is there as a whole.
    fn frame(&self, at: usize) -> Result<Option<(Frame, &[u8])>, ReadError> {
        let rest = self.rest.get(at..).unwrap_or_default();
        let Some((head, rest)) = rest.split_first_chunk::<FRAME_BYTES>() else {
            return Ok(None);
        };
        let (chunk, first) = (self.chunks, self.events);
        let damaged = |last| ReadErrorKind::Damaged { chunk, first, last }.nowhere();
        let frame = Frame::parse(head).ok_or_else(|| damaged(None))?;
        let Some(payload) = rest.get(..frame.length as usize) else {
            return Ok(None);
        };
        match crc32fast::hash(payload) == frame.payload_crc {
            true => Ok(Some((frame, payload))),
            false => Err(damaged(Some(first + frame.events))),
        }
    }
}

/// Reads the magic number, the version and the header; whether they are all there.
fn read_beginning(
    source: &mut impl Read,
    payload: &mut Vec<u8>,
    history: &mut History,
) -> Result<bool, ReadError> {
    let mut beginning = [0; MAGIC.len() + 4];
    let count = read_some(source, &mut beginning)?;
    let (magic, version) = beginning.split_at(MAGIC.len());
    if count == 0 {
        return Err(ReadErrorKind::Empty.nowhere());
    }
    if !MAGIC.starts_with(&magic[..count.min(MAGIC.len())]) {
        return Err(malformed("expected a binary history, found other bytes"));
    }
    if count < beginning.len() {
        return Ok(false);
    }
    let version = u32::from_le_bytes(version.first_chunk().copied().unwrap_or_default());
    if version != VERSION {
        let found = version.to_string();
        return Err(ReadErrorKind::Version { found }.nowhere());
    }
    let frame = match read_frame(source, payload, 0, 0)? {
        Next::Frame(frame) => frame,
        Next::Torn | Next::End => return Ok(false),
    };
    if frame.kind != HEADER_FRAME || frame.flags != 0 {
        return Err(malformed("expected the header first, found another frame"));
    }
    let line = std::str::from_utf8(payload).map_err(|_| ReadErrorKind::NotText.nowhere())?;
    let value = json::parse(line).map_err(|error| malformed(&format!("its header: {error}")))?;
    let (header, failed_cas) = jsonl::read_header(&value).map_err(ReadErrorKind::nowhere)?;
    (history.header, history.failed_cas) = (header, failed_cas);
    Ok(true)
}

/// What comes next in a file.
enum Next {
    /// A frame, whose payload is read.
    Frame(Frame),
    /// A part of a frame.
    Torn,
    /// Nothing.
    End,
}

/// Reads the frame of chunk number `chunk`, which comes after so many events.
fn read_frame(
    source: &mut impl Read,
    payload: &mut Vec<u8>,
    chunk: usize,
    first: usize,
) -> Result<Next, ReadError> {
    let damaged = |events_len: Option<usize>| {
        let last = events_len.map(|len| first + len);
        ReadErrorKind::Damaged { chunk, first, last }.nowhere()
    };
    let mut bytes = [0; FRAME_BYTES];
    match read_some(source, &mut bytes)? {
        0 => return Ok(Next::End),
        FRAME_BYTES => {}
        _ => return Ok(Next::Torn),
    }
    let frame = Frame::parse(&bytes).ok_or_else(|| damaged(None))?;
    payload.clear();
    let mut rest = source.take(u64::from(frame.length));
    let count = rest.read_to_end(payload).map_err(unreadable)?;
    if count < frame.length as usize {
        return Ok(Next::Torn);
    }
    if crc32fast::hash(payload) != frame.payload_crc {
        return Err(damaged(Some(frame.events)));
    }
    Ok(Next::Frame(frame))
}

/// Refuses a frame that is no chunk, or one that is written in a way that is unknown here.
fn check_frame(frame: &Frame, chunk: usize) -> Result<(), ReadError> {
    if frame.kind != CHUNK_FRAME || frame.events > CHUNK_EVENTS_MAX {
        return Err(malformed(&format!(
            "chunk {chunk} is of a kind or size that is unknown here \
             (hint: use the Whitewater that recorded it, or a newer one)"
        )));
    }
    if frame.flags != 0 {
        return Err(malformed(&format!(
            "chunk {chunk} is written in a way that is unknown here, perhaps compressed \
             (hint: use the Whitewater that recorded it, or a newer one)"
        )));
    }
    Ok(())
}

/// Nothing of what a run did may be passed over: whatever looks like a fault event is one.
fn check_faults(events: &Events) -> Result<(), ReadError> {
    for event in events.nemesis() {
        if event.value.get("id").is_some() && event.value.get("phase").is_some() {
            Fault::try_from(&event)
                .map_err(|error| malformed(&format!("event {}: {error}", event.index)))?;
        }
    }
    Ok(())
}

/// Reads until the buffer is full or the source ends; how much there was.
fn read_some(source: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ReadError> {
    let mut count = 0;
    while count < buffer.len() {
        match source.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    Ok(count)
}

fn unreadable(error: io::Error) -> ReadError {
    ReadErrorKind::Unreadable(error).nowhere()
}

fn malformed(what: &str) -> ReadError {
    ReadErrorKind::Malformed(what.to_owned()).nowhere()
}

#[cfg(test)]
mod tests;

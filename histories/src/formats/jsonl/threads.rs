//! Blocks of lines, read by several threads and put together in order.

use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZero;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::lines::Lines;
use crate::History;
use crate::formats::HISTORY_BYTES_MAX;
use crate::formats::blocks::{BlockError, Blocks};
use crate::formats::error::ReadError;

/// About how long a line is, so that columns are made room for at once.
const USUAL_LINE_BYTES: usize = 80;

/// How many threads read one file, at most: beyond that, putting together takes longer.
const THREADS_MAX: usize = 8;

/// Reads all lines of a source of about `length` bytes. `None` when a line is wrong, or may be:
/// the exact reader is to say.
pub(super) fn read(source: impl Read + Send, length: u64) -> Result<Option<History>, ReadError> {
    let mut blocks = Blocks::new(source, HISTORY_BYTES_MAX);
    let mut block = Vec::new();
    if !blocks.next_into(&mut block)? {
        return Ok(Some(History::default()));
    }
    let mut whole = Lines::new(true);
    if whole.read(&block, true).is_err() {
        return Ok(None);
    }
    if block.len() as u64 >= length || whole.torn {
        // One block, as far as one can tell.
        while blocks.next_into(&mut block)? {
            if whole.read(&block, true).is_err() {
                return Ok(None);
            }
        }
        return Ok(Some(whole.finish()));
    }
    let read_so_far = block.len() as u64;
    let events = whole.assembly.events_len() as u64;
    let expected = events.saturating_mul(length.min(HISTORY_BYTES_MAX)) / read_so_far;
    // A little more than expected, lest the columns move.
    whole.assembly.reserve((expected + expected / 32) as usize);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let whole = read_on(whole, blocks, threads.min(THREADS_MAX))?;
    Ok(whole.map(Lines::finish))
}

/// A block's number, and what it says; `None` when it is wrong.
type Part = (usize, Result<Option<Lines>, BlockError>);

/// Reads the blocks after the first.
fn read_on(
    mut whole: Lines,
    blocks: Blocks<impl Read + Send>,
    threads: usize,
) -> Result<Option<Lines>, ReadError> {
    let blocks = Mutex::new((blocks, 0));
    let (parts_in, parts) = sync_channel(2 * threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (blocks, parts_in) = (&blocks, parts_in.clone());
            scope.spawn(move || read_blocks(blocks, &parts_in));
        }
        drop(parts_in);
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        for (number, part) in parts {
            waiting.insert(number, part);
            while let Some(part) = waiting.remove(&next) {
                let Some(part) = part? else {
                    return Ok(None);
                };
                if !append(&mut whole, part) {
                    return Ok(None);
                }
                next += 1;
            }
        }
        Ok(Some(whole))
    })
}

/// Reads one block after the other, until there are none or nobody wants them.
fn read_blocks(blocks: &Mutex<(Blocks<impl Read>, usize)>, parts: &SyncSender<Part>) {
    let mut block = Vec::new();
    loop {
        let (number, got) = {
            let mut blocks = blocks.lock().unwrap_or_else(PoisonError::into_inner);
            let number = blocks.1;
            blocks.1 += 1;
            (number, blocks.0.next_into(&mut block))
        };
        let part = match got {
            Ok(false) => return,
            Ok(true) => {
                let mut lines = Lines::new(false);
                lines.assembly.reserve(block.len() / USUAL_LINE_BYTES);
                Ok(lines.read(&block, true).is_ok().then_some(lines))
            }
            Err(error) => Err(error),
        };
        if parts.send((number, part)).is_err() {
            return;
        }
    }
}

/// Adds the lines of the next block; whether they go together with those before.
fn append(whole: &mut Lines, part: Lines) -> bool {
    if whole.torn {
        return false;
    }
    let base = u32::try_from(whole.count).unwrap_or(u32::MAX);
    whole.count += part.count;
    whole.torn = part.torn;
    whole.assembly.append(part.assembly, base)
        && (whole.header.is_none() || whole.assembly.is_stamped())
}

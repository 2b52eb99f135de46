//! The log in memory: the entries behind a starting point, before which a snapshot stands.

use std::sync::Arc;

use super::types::{Entry, Payload};

/// The entries from a starting point on, in order and without gap.
#[derive(Debug, Default)]
pub struct Log {
    /// Index and term of the entry before the first one held.
    start: (u64, u64),
    entries: Vec<Arc<Entry>>,
}

impl Log {
    /// A log whose entries follow `start`.
    pub fn new(start: (u64, u64), entries: Vec<Arc<Entry>>) -> Log {
        Log { start, entries }
    }

    /// Index and term of the entry before the first one held.
    pub fn start(&self) -> (u64, u64) {
        self.start
    }

    /// Index and term of the last entry.
    pub fn last(&self) -> (u64, u64) {
        self.entries
            .last()
            .map_or(self.start, |entry| (entry.index, entry.term))
    }

    /// The cluster's time as of the last entry, if one is held.
    pub fn last_time_ms(&self) -> Option<u64> {
        self.entries.last().map(|entry| entry.time_ms)
    }

    /// The index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.last().0
    }

    /// The entry at an index, if it is held.
    pub fn get(&self, index: u64) -> Option<&Arc<Entry>> {
        let place = index.checked_sub(self.start.0 + 1)?;
        self.entries.get(usize::try_from(place).ok()?)
    }

    /// The term of the entry at an index, if known.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        match index == self.start.0 {
            true => Some(self.start.1),
            false => self.get(index).map(|entry| entry.term),
        }
    }

    /// Up to `count_max` entries from an index on, ending where they would exceed `bytes_max`
    /// (but at least one).
    pub fn slice(&self, from: u64, count_max: usize, bytes_max: usize) -> Vec<Arc<Entry>> {
        let place = from.saturating_sub(self.start.0 + 1) as usize;
        let mut bytes = 0_usize;
        let following = self.entries.iter().skip(place).take(count_max);
        following
            .take_while(|entry| {
                let fits = bytes < bytes_max;
                bytes += size_of_entry(entry);
                fits
            })
            .cloned()
            .collect()
    }

    /// Every entry from an index on.
    pub fn tail(&self, from: u64) -> Vec<Arc<Entry>> {
        self.slice(from, usize::MAX, usize::MAX)
    }

    /// Adds an entry behind the last.
    pub fn push(&mut self, entry: Arc<Entry>) {
        debug_assert_eq!(entry.index, self.last_index() + 1);
        self.entries.push(entry);
    }

    /// Drops the entries from an index on.
    pub fn truncate(&mut self, from: u64) {
        self.entries
            .truncate(from.saturating_sub(self.start.0 + 1) as usize);
    }

    /// Drops the entries up to an index, which becomes the start. Without effect when the entry
    /// there is not held.
    pub fn compact(&mut self, to: u64) {
        if let Some(term) = self.term_at(to) {
            self.entries.drain(..(to - self.start.0) as usize);
            self.start = (to, term);
        }
    }

    /// The first index of the run of entries with the same term that ends at `index`.
    pub fn first_of_term(&self, index: u64) -> u64 {
        let term = self.term_at(index);
        let mut first = index;
        while first > self.start.0 + 1 && self.term_at(first - 1) == term {
            first -= 1;
        }
        first
    }

    /// The entries, last first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter().rev()
    }
}

/// About how many bytes an entry takes on the wire and on disk.
fn size_of_entry(entry: &Entry) -> usize {
    use crate::kv::Command::{Append, Cas, Delete, Put};
    const FRAME_BYTES: usize = 32;
    FRAME_BYTES
        + match &entry.payload {
            Payload::Noop => 0,
            Payload::Members(members) => members.len() * FRAME_BYTES,
            Payload::Request(request) => match &request.command {
                Put { key, value } | Append { key, value } => key.len() + value.len(),
                Cas { key, old, new } => {
                    key.len() + new.len() + old.as_ref().map_or(0, String::len)
                }
                Delete { key } => key.len(),
            },
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(start: (u64, u64), terms: &[u64]) -> Log {
        let mut log = Log::new(start, Vec::new());
        for &term in terms {
            let index = log.last_index() + 1;
            log.push(Arc::new(Entry {
                index,
                term,
                time_ms: 0,
                payload: Payload::Noop,
            }));
        }
        log
    }

    #[test]
    fn an_index_leads_to_its_entry_wherever_the_log_starts() {
        let log = log((10, 2), &[2, 3, 3]);
        let terms: Vec<_> = (9..15).map(|index| log.term_at(index)).collect();
        assert_eq!(terms, [None, Some(2), Some(2), Some(3), Some(3), None]);
        assert_eq!((log.last(), log.first_of_term(13)), ((13, 3), 12));
        assert_eq!(log.first_of_term(11), 11);
    }

    #[test]
    fn truncating_and_compacting_keep_what_lies_between() {
        let mut log = log((0, 0), &[1, 1, 2, 2, 3]);
        log.truncate(5);
        log.compact(2);
        assert_eq!((log.start(), log.last()), ((2, 1), (4, 2)));
        log.compact(9);
        assert_eq!(log.start(), (2, 1));
        log.truncate(1);
        assert_eq!(log.last(), (2, 1));
    }

    #[test]
    fn a_slice_ends_at_its_limits_but_is_never_empty() {
        let log = log((0, 0), &[1, 1, 1]);
        assert_eq!(log.slice(1, 2, 1000).len(), 2);
        assert_eq!(log.slice(2, 9, 1).len(), 1);
        assert_eq!(log.slice(4, 9, 1000).len(), 0);
        assert_eq!(log.tail(2).len(), 2);
    }
}

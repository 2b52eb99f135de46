//! What a follower does: takes entries and snapshots from the leader (paper, sections 5.3 and 7).

use std::sync::Arc;

use super::types::{Body, Entry, Mismatch, Name, Snapshot};
use super::{Log, Raft, Role};
use crate::bugs::Bug;

/// The largest snapshot that is accepted.
const SNAPSHOT_BYTES_MAX: u64 = 1 << 30;

/// A snapshot that is arriving in parts.
#[derive(Debug)]
pub(super) struct Incoming {
    from: Name,
    term: u64,
    last: (u64, u64),
    total: u64,
    bytes: Vec<u8>,
}

impl Raft {
    pub(super) fn on_append(
        &mut self,
        from: Name,
        previous: (u64, u64),
        entries: Vec<Arc<Entry>>,
        commit: u64,
        round: u64,
    ) {
        // Two leaders in one term cannot be; only a bug makes them, and then neither gives way.
        if self.role == Role::Leader {
            return;
        }
        self.heed(&from);
        if !self.has_previous(previous) {
            let retry_from = match previous.0 > self.log.last_index() {
                true => self.log.last_index() + 1,
                false => self.log.first_of_term(previous.0).max(1),
            };
            let mismatch = Mismatch {
                refused: previous.0,
                retry_from,
            };
            let body = Body::AppendReply {
                result: Err(mismatch),
                round,
            };
            return self.send(from, body);
        }
        let matched = previous.0 + entries.len() as u64;
        self.take_entries(previous.0, entries);
        // Bug: entries behind those just matched may be left over from another leader, and must
        // not be taken for committed.
        let known = match self.config.bugs.has(Bug::CommitPastMatch) {
            true => self.log.last_index(),
            false => matched,
        };
        self.commit = self.commit.max(commit.min(known));
        self.send(
            from,
            Body::AppendReply {
                result: Ok(matched),
                round,
            },
        );
    }

    /// The answer to a leader of an earlier term: what counts is the term it carries.
    pub(super) fn refuse_append(&mut self, from: Name, refused: u64, round: u64) {
        let mismatch = Mismatch {
            refused,
            retry_from: refused,
        };
        self.send(
            from,
            Body::AppendReply {
                result: Err(mismatch),
                round,
            },
        );
    }

    /// Whether the log has this entry. Up to the start of the log everything is committed, and
    /// hence the same everywhere.
    fn has_previous(&self, (index, term): (u64, u64)) -> bool {
        // Bug: that there is an entry in this place says nothing about what comes before it.
        if self.config.bugs.has(Bug::NoPrevTermCheck) && index <= self.log.last_index() {
            return true;
        }
        index <= self.log.start().0 || self.log.term_at(index) == Some(term)
    }

    fn take_entries(&mut self, previous: u64, mut entries: Vec<Arc<Entry>>) {
        // Bug: an append that was overtaken by a later one removes what that one brought, though
        // it may have been acknowledged and committed.
        if self.config.bugs.has(Bug::TruncateAlways) {
            self.truncate_from(previous + 1);
        }
        let (start, last) = (self.log.start().0, self.log.last_index());
        // Bug: entries that are there already are put behind the others once more.
        let is_here = |entry: &Arc<Entry>| self.log.term_at(entry.index) == Some(entry.term);
        if self.config.bugs.has(Bug::DuplicateAppend) && entries.first().is_some_and(is_here) {
            return self.append_again(entries);
        }
        // Bug: what is there stays, though it is another leader's.
        let keeps = self.config.bugs.has(Bug::KeepConflict);
        let known = entries.iter().take_while(|entry| {
            entry.index <= start
                || self.log.term_at(entry.index) == Some(entry.term)
                || (keeps && entry.index <= last)
        });
        let fresh = entries.split_off(known.count());
        if let Some(first) = fresh.first() {
            self.truncate_from(first.index);
            self.append_entries(fresh);
        }
    }

    /// Puts entries behind the last, wherever they belong.
    fn append_again(&mut self, entries: Vec<Arc<Entry>>) {
        let next = self.log.last_index() + 1;
        let again = (next..).zip(entries).map(|(index, entry)| {
            let payload = entry.payload.clone();
            Arc::new(Entry {
                index,
                payload,
                ..*entry
            })
        });
        self.append_entries(again.collect());
    }

    fn truncate_from(&mut self, index: u64) {
        let index = index.max(self.log.start().0 + 1);
        if index <= self.log.last_index() {
            self.log.truncate(index);
            self.actions.writes.push(super::Write::Truncate(index));
            self.forget_members_from(index);
        }
    }

    pub(super) fn on_install(
        &mut self,
        from: Name,
        last: (u64, u64),
        offset: u64,
        total: u64,
        bytes: &[u8],
        round: u64,
    ) {
        if self.role == Role::Leader {
            return;
        }
        self.heed(&from);
        // An older snapshot must never replace newer state.
        let outdated = last.0 <= self.commit && !self.config.bugs.has(Bug::InstallRollsBack);
        let received = match outdated || total > SNAPSHOT_BYTES_MAX {
            true => None,
            false => self.take_chunk(&from, last, offset, total, bytes),
        };
        self.send(
            from,
            Body::InstallReply {
                index: last.0,
                received,
                round,
            },
        );
    }

    /// Returns how many bytes have arrived; `None` when they were the last.
    fn take_chunk(
        &mut self,
        from: &Name,
        last: (u64, u64),
        offset: u64,
        total: u64,
        bytes: &[u8],
    ) -> Option<u64> {
        let term = self.term();
        let same = |incoming: &Incoming| {
            (&incoming.from, incoming.term, incoming.last, incoming.total)
                == (from, term, last, total)
        };
        let mut incoming = self
            .incoming
            .take()
            .filter(same)
            .unwrap_or_else(|| Incoming {
                from: Arc::clone(from),
                term,
                last,
                total,
                bytes: Vec::new(),
            });
        if incoming.bytes.len() as u64 == offset {
            incoming.bytes.extend_from_slice(bytes);
        }
        let received = incoming.bytes.len() as u64;
        if received < total {
            self.incoming = Some(incoming);
            return Some(received);
        }
        match postcard::from_bytes::<Snapshot>(&incoming.bytes) {
            Ok(snapshot) if (snapshot.index, snapshot.term) == last => {
                self.note(format!("installs the snapshot at {} from {from}", last.0));
                self.replace_state(Arc::new(snapshot));
                None
            }
            // Garbled on the way: from the start again.
            _ => Some(0),
        }
    }

    /// Makes a snapshot the state; entries behind it stay if the log contains it.
    pub(super) fn replace_state(&mut self, snapshot: Arc<Snapshot>) {
        let (index, term) = (snapshot.index, snapshot.term);
        // Bug: whatever the log has behind the snapshot is dropped, though it was acknowledged.
        let keeps = !self.config.bugs.has(Bug::InstallRollsBack);
        match keeps && self.log.term_at(index) == Some(term) {
            true => self.drop_log(index),
            false => {
                self.log = Log::new((index, term), Vec::new());
                self.members_at_start = snapshot.members.clone();
                self.find_members();
            }
        }
        self.commit = index;
        self.handed_out = index;
        self.snapshot = Some(Arc::clone(&snapshot));
        self.restored = Some(snapshot);
        self.write_snapshot();
    }
}

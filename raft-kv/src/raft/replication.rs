//! What a leader does: sends its log to the others and counts who has it (paper, section 5.3).

use std::sync::Arc;

use super::reads::Reads;
use super::types::{Body, Mismatch, Name};
use super::{Raft, Role};
use crate::bugs::Bug;

/// How many entries may be on the way to one follower.
const ENTRIES_ON_THE_WAY_MAX: u64 = 4096;
/// How many entries go into one message.
const ENTRIES_PER_MESSAGE_MAX: usize = 1024;

/// What a leader knows about one of the others.
#[derive(Debug)]
pub(super) struct Progress {
    /// The last entry known to be on its disk.
    matched: u64,
    /// The next entry to send.
    next: u64,
    /// Where the logs part is not known: one message at a time, until one is accepted.
    probing: Option<Probe>,
    /// What `matched` was at the last heartbeat.
    matched_at_heartbeat: u64,
    /// When it last answered.
    pub(super) heard_ms: u64,
    /// The latest round of reads it has confirmed.
    pub(super) round: u64,
    /// The latest round it was asked to confirm.
    asked: u64,
    transfer: Option<Transfer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    Due,
    Sent,
}

/// A snapshot on its way.
#[derive(Debug)]
struct Transfer {
    last: (u64, u64),
    bytes: Arc<[u8]>,
    offset: usize,
}

impl Progress {
    pub(super) fn new(next: u64, now_ms: u64) -> Progress {
        Progress {
            matched: 0,
            next,
            probing: Some(Probe::Due),
            matched_at_heartbeat: 0,
            heard_ms: now_ms,
            round: 0,
            asked: 0,
            transfer: None,
        }
    }

    fn answered(&mut self, now_ms: u64, round: u64) {
        self.heard_ms = now_ms;
        self.round = self.round.max(round);
    }

    fn accepted(&mut self, matched: u64) {
        self.matched = self.matched.max(matched);
        if matched + 1 >= self.next {
            self.probing = None;
        }
        self.next = self.next.max(self.matched + 1);
    }

    fn refused(&mut self, mismatch: Mismatch) {
        let Mismatch {
            refused,
            retry_from,
        } = mismatch;
        let late = match self.probing {
            Some(_) => refused + 1 != self.next,
            None => refused >= self.next,
        };
        if refused < self.matched || (late && refused != self.matched) || refused == 0 {
            return;
        }
        // It once had this entry: either the answer is old, or its disk was emptied. To take back
        // what is known about it is safe in both cases.
        if refused == self.matched {
            self.matched = 0;
        }
        self.next = retry_from.clamp(self.matched + 1, refused);
        self.probing = Some(Probe::Due);
    }

    /// At a heartbeat: what was sent without an answer may be lost.
    fn doubt(&mut self) {
        let stuck = self.matched == self.matched_at_heartbeat;
        if self.probing.is_some() {
            self.probing = Some(Probe::Due);
        } else if stuck && self.next > self.matched + 1 {
            self.next = self.matched + 1;
            self.probing = Some(Probe::Due);
        }
        self.matched_at_heartbeat = self.matched;
    }
}

impl Raft {
    pub(super) fn tick_leader(&mut self) {
        if !self.hears_quorum() {
            self.note("hears from no majority".to_owned());
            return self.become_follower(self.term(), None);
        }
        if self.now_ms >= self.heartbeat_due_ms {
            self.heartbeat_due_ms = self.now_ms + self.config.heartbeat_ms;
            let late = self.late_heartbeats();
            self.peers.values_mut().for_each(Progress::doubt);
            self.start_round();
            if self.config.reads == Reads::Lease {
                self.round += 1;
                self.note_round();
            }
            self.replicate(true);
            for (name, previous) in late {
                self.send_append(&name, previous, Vec::new());
            }
        }
    }

    /// Whether a majority has answered within the longest election timeout (check-quorum).
    fn hears_quorum(&self) -> bool {
        // Bug: a leader that never doubts itself goes on answering reads while cut off. And for
        // a forgotten term or a deposed leader's own entries to matter, the leader of an earlier
        // term must still be there, with clients that wait.
        // The same goes for a lease that lasts too long.
        let doubtless = [
            Bug::StaleRead,
            Bug::ForgetTerm,
            Bug::CommitPastMatch,
            Bug::NoPrevTermCheck,
            Bug::KeepConflict,
            Bug::VoteLogLengthOnly,
            Bug::DeposedLeaderAppends,
            Bug::LeaseTooLong,
            Bug::LeaseByWallClock,
        ];
        if doubtless.iter().any(|bug| self.config.bugs.has(*bug)) {
            return true;
        }
        let patience_ms = 2 * self.config.election_ms;
        // Bug: a learner's word counts here, too.
        let learners = self.config.bugs.has(Bug::LeaseCountsLearners);
        let heard = self.reached_by_quorum(learners, |name| match self.peers.get(name) {
            Some(peer) => peer.heard_ms,
            None => self.now_ms,
        });
        self.now_ms <= heard + patience_ms
    }

    /// Sends every follower what it lacks; with `heartbeat`, something in any case.
    pub(super) fn replicate(&mut self, heartbeat: bool) {
        for name in self.other_members() {
            self.replicate_to(&name, heartbeat);
        }
    }

    fn replicate_to(&mut self, name: &Name, heartbeat: bool) {
        let (start, last) = (self.log.start().0, self.log.last_index());
        let asks = self.rounds.back().map_or(0, |round| round.number);
        let Some(peer) = self.peers.get_mut(name) else {
            return;
        };
        let must_send = heartbeat || asks > peer.asked;
        peer.asked = peer.asked.max(asks);
        if peer.transfer.is_some() || peer.next <= start {
            return self.transfer_to(name, must_send);
        }
        // With this bug, followers have to hear the commit index before they have been told which
        // entries match: heartbeats go ahead of entries.
        if must_send && self.config.bugs.has(Bug::CommitPastMatch) {
            let matched = peer.matched;
            self.send_append(name, matched, Vec::new());
        }
        let mut sent = false;
        while let Some(peer) = self.peers.get_mut(name) {
            let may_send = match peer.probing {
                Some(probe) => probe == Probe::Due,
                None => peer.next - peer.matched <= ENTRIES_ON_THE_WAY_MAX,
            };
            if peer.next > last || !may_send {
                break;
            }
            let from = peer.next;
            let entries =
                self.log
                    .slice(from, self.entries_per_message(), self.config.message_bytes);
            let Some(peer) = self.peers.get_mut(name) else {
                break;
            };
            match peer.probing {
                Some(_) => peer.probing = Some(Probe::Sent),
                None => peer.next += entries.len() as u64,
            }
            self.send_append(name, from - 1, entries);
            sent = true;
        }
        if must_send && !sent {
            let previous = self
                .peers
                .get(name)
                .map_or(0, |peer| self.heartbeat_base(peer));
            self.send_append(name, previous, Vec::new());
        }
    }

    /// What the last heartbeats built on, to be sent once more behind the next. With this bug, what
    /// a message that comes late does has to be met, and networks are seldom so unkind.
    fn late_heartbeats(&self) -> Vec<(Name, u64)> {
        if !self.config.bugs.has(Bug::TruncateAlways) {
            return Vec::new();
        }
        let known = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.probing.is_none() && peer.matched_at_heartbeat > 0);
        known
            .map(|(name, peer)| (Arc::clone(name), peer.matched_at_heartbeat))
            .collect()
    }

    /// The entry that an empty append builds on: the last that is known to match.
    fn heartbeat_base(&self, peer: &Progress) -> u64 {
        // With this bug, a follower whose log is being searched would have all of it truncated
        // over and over, and the cluster would stand still before anything is lost: there, build
        // on the entry asked about.
        match peer.probing.is_some() && self.config.bugs.has(Bug::TruncateAlways) {
            true => peer.next - 1,
            false => peer.matched,
        }
    }

    fn entries_per_message(&self) -> usize {
        // The bug is about entries that only some followers have: let there be many of them.
        match self.config.bugs.has(Bug::CommitOldTerm) {
            true => 1,
            false => ENTRIES_PER_MESSAGE_MAX,
        }
    }

    fn send_append(&mut self, to: &Name, previous: u64, entries: Vec<Arc<super::Entry>>) {
        // Before the start of the log everything is committed, and so is the empty log.
        let previous = self
            .log
            .term_at(previous)
            .map_or((0, 0), |term| (previous, term));
        // With this bug, followers have to lag behind what is committed for it to matter: they hear
        // of that with heartbeats only.
        let lags = self.config.bugs.has(Bug::ReadBeforeNoop) && !entries.is_empty();
        let body = Body::Append {
            previous,
            commit: if lags { 0 } else { self.commit },
            entries,
            round: self.round,
        };
        self.send(Arc::clone(to), body);
    }

    pub(super) fn on_append_reply(
        &mut self,
        from: &Name,
        result: Result<u64, Mismatch>,
        round: u64,
    ) {
        let (last, bugs) = (self.log.last_index(), self.config.bugs);
        let Some(peer) = self
            .peers
            .get_mut(from)
            .filter(|_| self.role == Role::Leader)
        else {
            return;
        };
        peer.answered(self.now_ms, round);
        let result = match result {
            // Bug: an answer to one append is taken for the answer to all that were sent.
            Ok(matched) if bugs.has(Bug::MatchFromReplyOrder) && peer.probing.is_none() => {
                Ok(matched.max(peer.next - 1))
            }
            // Bug: a heartbeat fits wherever the logs are known to match; that says nothing
            // about what comes behind.
            Ok(matched) if bugs.has(Bug::HeartbeatCountsAsMatch) && matched == peer.matched => {
                Ok(last)
            }
            result => result,
        };
        match result {
            Ok(matched) => peer.accepted(matched.min(last)),
            Err(mismatch) => peer.refused(mismatch),
        }
        self.confirm_rounds();
        self.advance_commit();
    }

    /// Commits what a majority has on disk, if it ends in an entry of this term: an earlier one
    /// could still be replaced (section 5.4.2, figure 8).
    pub(super) fn advance_commit(&mut self) {
        // Bug: what learners have counts as if they had a vote.
        let learners = self.config.bugs.has(Bug::NonVoterCounted);
        let reached = self.reached_by_quorum(learners, |name| match self.peers.get(name) {
            Some(peer) => peer.matched,
            None if *name == self.config.name => self.durable,
            None => 0,
        });
        let own_term = self.log.term_at(reached) == Some(self.term());
        // Bug: an entry of an earlier term on a majority is taken for committed; a node with a
        // later term's entry in that place can still be elected and replace it.
        if reached > self.commit && (own_term || self.config.bugs.has(Bug::CommitOldTerm)) {
            self.commit = reached;
            self.leave_if_removed();
        }
    }

    fn transfer_to(&mut self, name: &Name, must_send: bool) {
        let begins = self
            .peers
            .get(name)
            .is_some_and(|peer| peer.transfer.is_none());
        if begins && !self.begin_transfer(name) {
            return;
        }
        if must_send || begins {
            self.send_chunk(name);
        }
    }

    /// Sends the snapshot to all who are not being sent one.
    pub(super) fn offer_snapshot(&mut self) {
        for name in self.other_members() {
            self.transfer_to(&name, false);
        }
    }

    fn begin_transfer(&mut self, name: &Name) -> bool {
        let Some(snapshot) = self.snapshot.clone() else {
            return false;
        };
        // The encoding of plain data into memory does not fail; if it did, the next heartbeat
        // would try again.
        let Ok(bytes) = postcard::to_stdvec(&*snapshot) else {
            return false;
        };
        let last = (snapshot.index, snapshot.term);
        self.note(format!("sends {name} the snapshot at {}", snapshot.index));
        if let Some(peer) = self.peers.get_mut(name) {
            peer.transfer = Some(Transfer {
                last,
                bytes: bytes.into(),
                offset: 0,
            });
        }
        true
    }

    fn send_chunk(&mut self, name: &Name) {
        let chunk_bytes = self.config.message_bytes.max(1);
        let transfer = self.peers.get(name).and_then(|peer| peer.transfer.as_ref());
        let Some(Transfer {
            last,
            bytes,
            offset,
        }) = transfer
        else {
            return;
        };
        let end = bytes.len().min(offset + chunk_bytes);
        let body = Body::Install {
            last: *last,
            offset: *offset as u64,
            total: bytes.len() as u64,
            bytes: bytes.get(*offset..end).unwrap_or_default().to_vec(),
            round: self.round,
        };
        self.send(Arc::clone(name), body);
    }

    pub(super) fn on_install_reply(
        &mut self,
        from: &Name,
        index: u64,
        received: Option<u64>,
        round: u64,
    ) {
        let Some(peer) = self
            .peers
            .get_mut(from)
            .filter(|_| self.role == Role::Leader)
        else {
            return;
        };
        peer.answered(self.now_ms, round);
        let transfer = peer
            .transfer
            .as_mut()
            .filter(|transfer| transfer.last.0 == index);
        match (received, transfer) {
            (Some(received), Some(transfer)) => {
                let offset = transfer.bytes.len().min(received as usize);
                // A repeated answer must not set off a second train of chunks.
                if std::mem::replace(&mut transfer.offset, offset) != offset {
                    self.send_chunk(from);
                }
            }
            (None, Some(_)) => {
                peer.transfer = None;
                peer.next = index + 1;
                peer.matched = peer.matched.max(index);
                peer.next = peer.next.max(peer.matched + 1);
                peer.probing = Some(Probe::Due);
            }
            (_, None) => {}
        }
        self.confirm_rounds();
        self.advance_commit();
    }
}

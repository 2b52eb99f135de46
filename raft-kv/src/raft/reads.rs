//! Linearizable reads without writing to the log: the read-index (dissertation, section 6.4).
//!
//! A read may be answered from the state at the commit index that held when it arrived, once a
//! majority has confirmed, in a round of messages sent after it arrived, that the leader still
//! leads. One round is under way at a time; reads that arrive meanwhile share the next.

use std::str::FromStr;

use super::types::Name;
use super::{NotLeader, Raft, Role};
use crate::bugs::Bug;

/// What a leader does before it answers a read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reads {
    /// It asks a majority whether it still leads.
    #[default]
    ReadIndex,
    /// It looks at its clock, as long as its lease lasts; else it asks.
    Lease,
}

impl FromStr for Reads {
    type Err = String;

    fn from_str(text: &str) -> Result<Reads, String> {
        match text {
            "read-index" => Ok(Reads::ReadIndex),
            "lease" => Ok(Reads::Lease),
            _ => Err("expected read-index or lease".to_owned()),
        }
    }
}

/// Reads that wait for one round of confirmations.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) number: u64,
    commit: u64,
    reads: Vec<u64>,
}

impl Raft {
    /// Asks for a read, known by a token: [`Raft::take_ready_reads`] tells when it may be answered.
    ///
    /// # Errors
    /// When this node does not lead.
    pub fn read(&mut self, token: u64) -> Result<(), NotLeader> {
        if self.role != Role::Leader {
            return Err(NotLeader);
        }
        // Bug: another leader may have been elected, and may have committed writes that this one
        // does not know of.
        let believes = self.config.bugs.has(Bug::StaleRead)
            || (self.config.reads == Reads::Lease && self.has_lease());
        if believes && self.has_committed_in_term() {
            self.reads_ready.push((token, self.commit));
        } else {
            self.reads_waiting.push(token);
        }
        Ok(())
    }

    /// The reads that may be answered, each when the entry at the index beside it is applied.
    pub fn take_ready_reads(&mut self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.reads_ready)
    }

    pub(super) fn start_round_if_idle(&mut self) {
        if self.rounds.is_empty() {
            self.start_round();
        }
    }

    pub(super) fn start_round(&mut self) {
        // Bug: a new leader knows only what its predecessor had told it to be committed, which may
        // be less than what that one had acknowledged.
        let knows_commit =
            self.has_committed_in_term() || self.config.bugs.has(Bug::ReadBeforeNoop);
        if self.reads_waiting.is_empty() || !knows_commit {
            return;
        }
        self.round += 1;
        self.note_round();
        let reads = std::mem::take(&mut self.reads_waiting);
        self.rounds.push_back(Round {
            number: self.round,
            commit: self.commit,
            reads,
        });
        self.confirm_rounds();
    }

    /// Releases the reads whose round a majority has confirmed.
    pub(super) fn confirm_rounds(&mut self) {
        // Bug: a learner's word counts in the question whether this node still leads.
        let learners = self.config.bugs.has(Bug::LeaseCountsLearners);
        let confirmed =
            self.reached_by_quorum(learners, |name: &Name| match self.peers.get(name) {
                Some(peer) => peer.round,
                None if *name == self.config.name => self.round,
                None => 0,
            });
        self.lease.confirmed(confirmed);
        while self
            .rounds
            .front()
            .is_some_and(|round| round.number <= confirmed)
        {
            let Some(Round { commit, reads, .. }) = self.rounds.pop_front() else {
                break;
            };
            self.reads_ready
                .extend(reads.into_iter().map(|token| (token, commit)));
        }
    }

    /// Whether an entry of this leader's term is committed, so that its commit index is not behind.
    pub(super) fn has_committed_in_term(&self) -> bool {
        self.log.term_at(self.commit) == Some(self.term())
    }
}

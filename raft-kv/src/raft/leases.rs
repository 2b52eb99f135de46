//! Leases: for a while after a majority has heard from the leader no other can be elected, and the
//! leader may answer reads without asking anybody (dissertation, section 6.4.1).
//!
//! This rests on the nodes' monotonic clocks running equally fast, to within [`MARGIN_PERMILLE`],
//! and on nodes that do not vote within the shortest election timeout after they have heard from a
//! leader, or have started.

use super::{Raft, Role};
use crate::bugs::Bug;

/// By how much clocks may differ in speed.
const MARGIN_PERMILLE: u64 = 100;
/// How many rounds may wait for confirmations; the oldest are given up.
const ROUNDS_MAX: usize = 64;

/// The lease of a leader.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// Rounds not yet confirmed, and when each began: by the node's clock and by the time of day.
    rounds: std::collections::VecDeque<(u64, Moment)>,
    /// When the latest confirmed round began.
    from: Option<Moment>,
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    ms: u64,
    wall_ms: u64,
}

impl Lease {
    pub(super) fn confirmed(&mut self, round: u64) {
        while let Some(&(number, began)) = self.rounds.front()
            && number <= round
        {
            self.rounds.pop_front();
            self.from = Some(began);
        }
    }
}

impl Raft {
    /// A round of messages is about to be sent.
    pub(super) fn note_round(&mut self) {
        let moment = self.moment();
        let rounds = &mut self.lease.rounds;
        rounds.push_back((self.round, moment));
        if rounds.len() > ROUNDS_MAX {
            rounds.pop_front();
        }
    }

    pub(super) fn has_lease(&self) -> bool {
        let Some(from) = self.lease.from.filter(|_| self.role == Role::Leader) else {
            return false;
        };
        let now = self.moment();
        // Bug: who sets the time of day back, or stops it, prolongs the lease.
        let passed_ms = match self.config.bugs.has(Bug::LeaseByWallClock) {
            true => now.wall_ms.saturating_sub(from.wall_ms),
            false => now.ms.saturating_sub(from.ms),
        };
        // Bug: others may be elected before this leader stops answering.
        let lease_ms = match self.config.bugs.has(Bug::LeaseTooLong) {
            true => 8 * self.config.election_ms,
            false => self.config.election_ms * (1000 - MARGIN_PERMILLE) / 1000,
        };
        passed_ms < lease_ms
    }

    fn moment(&self) -> Moment {
        Moment {
            ms: self.now_ms,
            wall_ms: self.time.wall_ms,
        }
    }
}

//! The bugs that can be switched on by name: classic mistakes in Raft implementations, each one
//! condition in an otherwise correct server.
//!
//! Sections: P is the extended Raft paper (Ongaro and Ousterhout, 2014), D is Ongaro's
//! dissertation (2014).

use std::fmt;
use std::str::FromStr;

/// One way to get Raft wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bug {
    /// A leader answers reads without confirming that it still leads.
    StaleRead,
    /// Any node answers reads from its own state.
    FollowerRead,
    /// A leader answers reads before it has committed an entry of its own term.
    ReadBeforeNoop,
    /// A vote is not recorded.
    ForgetVote,
    /// A term learned from another node is not recorded.
    ForgetTerm,
    /// Entries of earlier terms are committed by counting replicas.
    CommitOldTerm,
    /// Votes are granted without comparing logs.
    VoteWithoutLogCheck,
    /// A majority is taken to be half of the nodes, rounded down.
    QuorumMinusOne,
    /// Writes are acknowledged when the leader has appended them.
    AckBeforeCommit,
    /// Retried requests are applied again.
    ApplyTwiceOnRetry,
    /// Every append truncates the log behind the entry it builds on.
    TruncateAlways,
    /// A follower takes over the leader's commit index unchecked.
    CommitPastMatch,
    /// Nothing is synced to disk before it is acknowledged.
    SkipFsync,
    /// The table of client sessions is left out of snapshots.
    SnapshotForgetsSessions,
}

/// What has to happen before a bug can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Any of these kinds of faults, under load, shows it; an empty slice means that no fault is
    /// needed.
    Faults(&'static [&'static str]),
    /// No fault the harness has so far shows it: this one is needed.
    WaitsFor(&'static str),
}

/// Everything known about one bug, kept in one place.
struct Facts {
    name: &'static str,
    summary: &'static str,
    needs: &'static str,
    section: &'static str,
    exposure: Exposure,
}

impl Bug {
    /// Every bug, in the order of [`Bug`].
    pub const ALL: [Bug; 14] = [
        Bug::StaleRead,
        Bug::FollowerRead,
        Bug::ReadBeforeNoop,
        Bug::ForgetVote,
        Bug::ForgetTerm,
        Bug::CommitOldTerm,
        Bug::VoteWithoutLogCheck,
        Bug::QuorumMinusOne,
        Bug::AckBeforeCommit,
        Bug::ApplyTwiceOnRetry,
        Bug::TruncateAlways,
        Bug::CommitPastMatch,
        Bug::SkipFsync,
        Bug::SnapshotForgetsSessions,
    ];

    /// The name by which it is switched on, such as `stale-read`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// What goes wrong.
    pub fn summary(self) -> &'static str {
        self.facts().summary
    }

    /// What must happen for it to show.
    pub fn needs(self) -> &'static str {
        self.facts().needs
    }

    /// The section of the paper (P) or the dissertation (D) that it violates.
    pub fn section(self) -> &'static str {
        self.facts().section
    }

    /// Which faults expose it to the clients.
    pub fn exposed_by(self) -> Exposure {
        self.facts().exposure
    }

    /// The bug whose name is nearest to `name`, for a hint.
    pub fn nearest(name: &str) -> Bug {
        let distance = |bug: &&Bug| strsim::damerau_levenshtein(bug.name(), name);
        Bug::ALL
            .iter()
            .min_by_key(distance)
            .copied()
            .unwrap_or(Bug::StaleRead)
    }

    fn facts(self) -> Facts {
        use Exposure::{Faults, WaitsFor};
        let (name, summary, needs, section, exposure) = match self {
            Bug::StaleRead => (
                "stale-read",
                "a leader answers reads from its state without confirming that it still leads, \
                 and never doubts it (check-quorum is off)",
                "a leader cut off or paused while another is elected",
                "P 8, D 6.4",
                Faults(&["partition", "pause"]),
            ),
            Bug::FollowerRead => (
                "follower-read",
                "any node answers reads from its own state, however old",
                "reads sent to several nodes",
                "P 8, D 6.4",
                Faults(&[]),
            ),
            Bug::ReadBeforeNoop => (
                "read-before-noop",
                "a new leader answers reads at the commit index it knew as a follower, and \
                 appends no entry of its own to learn the true one (followers hear what is \
                 committed with heartbeats only)",
                "a change of leader, and a read before the first write after it",
                "P 8, D 6.4",
                Faults(&["kill", "pause", "partition"]),
            ),
            Bug::ForgetVote => (
                "forget-vote",
                "a vote is recorded neither on disk nor in memory, so a node votes for every \
                 candidate of a term (election timeouts are close together, so that two \
                 candidates meet)",
                "a change of leader in which two nodes stand at once",
                "P 5.2, figure 2",
                Faults(&["kill", "pause", "partition"]),
            ),
            Bug::ForgetTerm => (
                "forget-term",
                "a term learned from another node is recorded neither on disk nor in memory, so \
                 the entries of a deposed leader are still accepted (and it does not step down \
                 by itself: check-quorum is off)",
                "a leader that comes back after another was elected, with writes on the way",
                "P 5.1, figure 2",
                Faults(&["pause", "partition"]),
            ),
            Bug::CommitOldTerm => (
                "commit-old-term",
                "a leader commits entries of earlier terms by counting replicas (and sends one \
                 entry at a time, so that some followers have what others lack)",
                "three changes of leader, each within moments of the one before, with entries \
                 partly replicated",
                "P 5.4.2, figure 8",
                WaitsFor("packet loss and delay between nodes, or kills timed by elections"),
            ),
            Bug::VoteWithoutLogCheck => (
                "vote-without-log-check",
                "votes are granted to candidates whose log is behind (and, so that these are \
                 heard, while there is a leader)",
                "a node that lags, and a change of leader",
                "P 5.4.1",
                Faults(&["kill", "pause", "partition"]),
            ),
            Bug::QuorumMinusOne => (
                "quorum-minus-one",
                "a majority of n nodes is taken to be n/2 instead of n/2 + 1",
                "a partition with at least n/2 nodes on each side, or a leader cut off with \
                 one follower",
                "P 5.2, 5.3",
                Faults(&["partition"]),
            ),
            Bug::AckBeforeCommit => (
                "ack-before-commit",
                "writes are acknowledged when the leader has appended them, before a majority \
                 has",
                "a leader killed or cut off under load",
                "P 5.3",
                Faults(&["kill", "pause", "partition"]),
            ),
            Bug::ApplyTwiceOnRetry => (
                "apply-twice-on-retry",
                "the session table is not consulted, so a retried request is applied again",
                "a lost reply, and a client that repeats the request under the same number",
                "P 8, D 6.3",
                Faults(&["kill", "pause", "partition"]),
            ),
            Bug::TruncateAlways => (
                "truncate-always",
                "every append, even an empty or late one, truncates the log behind the entry \
                 it builds on (a leader's last heartbeat is repeated behind the next)",
                "a change of leader under load",
                "P figure 2, append rule 3",
                Faults(&["kill", "pause", "partition"]),
            ),
            Bug::CommitPastMatch => (
                "commit-past-match",
                "a follower takes over the leader's commit index beyond the entries known to \
                 match, and applies whatever it has there (heartbeats go ahead of entries, and \
                 clients of a leader cut off, which does not doubt itself, wait to learn what \
                 became of their writes)",
                "a deposed leader with entries of its own that comes back under another",
                "P figure 2, append rule 5",
                Faults(&["pause", "partition"]),
            ),
            Bug::SkipFsync => (
                "skip-fsync",
                "log and votes are acknowledged without syncing them to disk",
                "power loss on a majority (a killed process loses nothing: the kernel has it)",
                "P 5.6, D 10.2",
                WaitsFor("power loss"),
            ),
            Bug::SnapshotForgetsSessions => (
                "snapshot-forgets-sessions",
                "the table of client sessions is left out of snapshots (which are taken every \
                 few entries, and a node goes on from its own as it would after a restart)",
                "a lost reply, and a client that repeats the request under the same number \
                 after the next snapshot",
                "P 7, D 6.3",
                Faults(&["kill", "pause", "partition"]),
            ),
        };
        Facts {
            name,
            summary,
            needs,
            section,
            exposure,
        }
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No bug has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no bug is called `{name}` (hint: did you mean `{nearest}`? --list-bugs shows them all)")]
pub struct UnknownBug {
    /// What was asked for.
    pub name: String,
    /// The bug whose name is nearest.
    pub nearest: Bug,
}

impl FromStr for Bug {
    type Err = UnknownBug;

    fn from_str(name: &str) -> Result<Bug, UnknownBug> {
        let found = Bug::ALL.into_iter().find(|bug| bug.name() == name);
        found.ok_or_else(|| UnknownBug {
            name: name.to_owned(),
            nearest: Bug::nearest(name),
        })
    }
}

/// The bugs that are switched on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bugs(u64);

impl Bugs {
    /// Whether this bug is on.
    pub fn has(self, bug: Bug) -> bool {
        self.0 & (1 << bug as u32) != 0
    }

    /// The bugs that are on, in the order of [`Bug::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Bug> {
        Bug::ALL.into_iter().filter(move |&bug| self.has(bug))
    }
}

impl FromIterator<Bug> for Bugs {
    fn from_iter<I: IntoIterator<Item = Bug>>(bugs: I) -> Bugs {
        Bugs(bugs.into_iter().fold(0, |set, bug| set | 1 << bug as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_is_found_by_its_name_and_by_a_near_one() {
        for bug in Bug::ALL {
            assert_eq!(bug.name().parse(), Ok(bug));
            let typo = format!("{}s", bug.name());
            assert_eq!(typo.parse::<Bug>().map_err(|error| error.nearest), Err(bug));
        }
    }

    #[test]
    fn a_set_has_what_was_put_in_and_nothing_else() {
        let bugs: Bugs = [Bug::SkipFsync, Bug::StaleRead].into_iter().collect();
        assert_eq!(
            bugs.iter().collect::<Vec<_>>(),
            [Bug::StaleRead, Bug::SkipFsync]
        );
        assert_eq!(Bugs::default().iter().count(), 0);
    }
}

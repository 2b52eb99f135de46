//! The bugs that can be switched on by name: classic mistakes in Raft implementations, each one
//! condition in an otherwise correct server.
//!
//! What is known about each, and how runs look for it, is data in the files below. Sections there:
//! P is the extended Raft paper (Ongaro and Ousterhout, 2014), D is Ongaro's dissertation (2014).

mod durability;
mod elections;
mod membership;
mod reads;
mod replication;
mod sessions;
mod snapshots;

use std::fmt;
use std::str::FromStr;

macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident,)*) => {
        /// One way to get Raft wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Bug {
            $($(#[$doc])* $bug,)*
        }

        impl Bug {
            /// Every bug, in the order of [`Bug`].
            pub const ALL: [Bug; [$(Bug::$bug),*].len()] = [$(Bug::$bug),*];
        }
    };
}

bugs! {
    /// A vote is not recorded.
    ForgetVote,
    /// A term learned from another node is not recorded.
    ForgetTerm,
    /// Votes are granted without comparing logs.
    VoteWithoutLogCheck,
    /// Logs are compared by length only.
    VoteLogLengthOnly,
    /// A majority is taken to be half of the nodes, rounded down.
    QuorumMinusOne,
    /// Replies to vote requests are counted, not voters.
    CountVoteTwice,
    /// Every node waits equally long for a leader.
    FixedElectionTimeout,
    /// Votes are granted while there is a leader.
    VoteWhileLed,
    /// Entries of earlier terms are committed by counting replicas.
    CommitOldTerm,
    /// Writes are acknowledged when the leader has appended them.
    AckBeforeCommit,
    /// Entries are applied when they are appended.
    ApplyBeforeCommit,
    /// A follower takes over the leader's commit index unchecked.
    CommitPastMatch,
    /// A follower does not compare the term of the entry before those it appends.
    NoPrevTermCheck,
    /// Every append truncates the log behind the entry it builds on.
    TruncateAlways,
    /// Entries in conflict with the leader's are kept.
    KeepConflict,
    /// Entries that come twice are appended twice.
    DuplicateAppend,
    /// An answer to one append is taken for the answer to all.
    MatchFromReplyOrder,
    /// A successful heartbeat is taken for a complete log.
    HeartbeatCountsAsMatch,
    /// A deposed leader goes on appending.
    DeposedLeaderAppends,
    /// Nothing is synced to disk before it is acknowledged.
    SkipFsync,
    /// Nodes reply first and sync then.
    FsyncAfterReply,
    /// That a sync failed is ignored.
    IgnoreFsyncError,
    /// Folders are not synced after a rename.
    RenameWithoutDirSync,
    /// Half a record at the end of the log is accepted.
    TornAccepted,
    /// Checksums are not compared.
    IgnoreCrc,
    /// A damaged record silently ends the log.
    TruncateOnBadCrc,
    /// The table of client sessions is left out of snapshots.
    SnapshotForgetsSessions,
    /// Snapshots do not hold the term of their last entry.
    SnapshotWithoutTerm,
    /// A snapshot received replaces newer state.
    InstallRollsBack,
    /// After a restart, entries within the snapshot are applied again.
    ReplayAfterSnapshot,
    /// After a restart, entries behind the snapshot are not applied.
    SkipAfterSnapshot,
    /// A leader answers reads without confirming that it still leads.
    StaleRead,
    /// Any node answers reads from its own state.
    FollowerRead,
    /// A leader answers reads before it has committed an entry of its own term.
    ReadBeforeNoop,
    /// Reads do not wait until the state has come as far as they need.
    ReadBeforeApply,
    /// The lease outlasts the election timeout.
    LeaseTooLong,
    /// The lease is measured by the time of day.
    LeaseByWallClock,
    /// The lease is measured in ticks.
    LeaseSurvivesPause,
    /// Learners confirm the lease.
    LeaseCountsLearners,
    /// Retried requests are applied again.
    ApplyTwiceOnRetry,
    /// Sessions expire by each node's own time of day.
    SessionExpiryByLocalClock,
    /// A compare-and-set is decided when it is proposed.
    CasAtPropose,
    /// Of two writes the one with the later time of day wins.
    LastWriteWinsClock,
    /// Learners count in majorities.
    NonVoterCounted,
    /// Members are changed before an entry of the leader's term is committed.
    ChangeWithoutNoop,
    /// Members are changed while another change is under way.
    OverlappingChanges,
    /// A leader that was removed counts itself.
    RemovedLeaderCountsItself,
}

/// What a bug breaks: a property of figure 3 of the paper, what is promised to clients, or that
/// anything happens at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// At most one leader in a term.
    ElectionSafety,
    /// Logs with the same entry in one place are the same up to it.
    LogMatching,
    /// Every later leader has what is committed.
    LeaderCompleteness,
    /// No two nodes apply different entries in the same place.
    StateMachineSafety,
    /// Replicas that have applied the same entries are the same.
    Determinism,
    /// Every operation takes effect once, between its invocation and its completion.
    Linearizability,
    /// A healthy majority goes on to serve.
    Liveness,
}

impl Property {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Property::ElectionSafety => "election safety",
            Property::LogMatching => "log matching",
            Property::LeaderCompleteness => "leader completeness",
            Property::StateMachineSafety => "state machine safety",
            Property::Determinism => "determinism of replicas",
            Property::Linearizability => "linearizability",
            Property::Liveness => "liveness",
        }
    }
}

/// How runs look for a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// What `whitewater run` is told, as it is typed, besides `--bug` and `--seed`.
    pub options: &'static str,
    /// The faults one by one, as the `schedule` of a plan; empty where they are drawn.
    pub schedule: &'static str,
}

/// Everything known about one bug, kept in one place.
#[derive(Debug)]
struct Facts {
    bug: Bug,
    name: &'static str,
    summary: &'static str,
    needs: &'static str,
    symptom: &'static str,
    source: &'static str,
    breaks: Property,
    recipe: Recipe,
}

const CATALOGUE: [&[Facts]; 7] = [
    elections::FACTS,
    replication::FACTS,
    durability::FACTS,
    snapshots::FACTS,
    reads::FACTS,
    sessions::FACTS,
    membership::FACTS,
];

impl Bug {
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

    /// What clients see of it.
    pub fn symptom(self) -> &'static str {
        self.facts().symptom
    }

    /// The section of the paper (P) or the dissertation (D) that it violates, or where it was
    /// found.
    pub fn source(self) -> &'static str {
        self.facts().source
    }

    /// The property that it breaks.
    pub fn breaks(self) -> Property {
        self.facts().breaks
    }

    /// How runs look for it.
    pub fn recipe(self) -> Recipe {
        self.facts().recipe
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

    fn facts(self) -> &'static Facts {
        let mut all = CATALOGUE.iter().copied().flatten();
        // A test requires that each bug has its facts.
        all.find(|facts| facts.bug == self)
            .unwrap_or(&reads::FACTS[0])
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
    fn every_bug_has_its_facts_once_and_a_name_of_its_own() {
        let all: Vec<&Facts> = CATALOGUE.iter().copied().flatten().collect();
        assert_eq!(all.len(), Bug::ALL.len());
        assert!(Bug::ALL.len() <= u64::BITS as usize);
        for bug in Bug::ALL {
            assert_eq!(
                all.iter().filter(|facts| facts.bug == bug).count(),
                1,
                "{bug:?}"
            );
            assert_eq!(
                all.iter().filter(|facts| facts.name == bug.name()).count(),
                1
            );
            let texts = [bug.summary(), bug.needs(), bug.symptom(), bug.source()];
            assert!(texts.iter().all(|text| !text.is_empty()), "{bug}");
        }
    }

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
            [Bug::SkipFsync, Bug::StaleRead]
        );
        assert_eq!(Bugs::default().iter().count(), 0);
    }
}

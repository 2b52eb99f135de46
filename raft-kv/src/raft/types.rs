//! What nodes say to each other, and what the log holds.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::kv::Request;

/// The name of a node.
pub type Name = Arc<str>;

/// The nodes of the cluster.
pub type Members = BTreeMap<Name, Member>;

/// One node of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where it is.
    pub address: IpAddr,
    /// Whether it is sent the log but counts in no majority (dissertation, 4.2.1).
    pub learner: bool,
}

impl From<IpAddr> for Member {
    /// A member with a vote.
    fn from(address: IpAddr) -> Member {
        Member {
            address,
            learner: false,
        }
    }
}

/// What a node's clocks show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Time {
    /// The clock that never goes back, in milliseconds.
    pub ms: u64,
    /// The time of day, in milliseconds since 1970. It may jump, and the correct protocol does not
    /// look at it.
    pub wall_ms: u64,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the log, from 1.
    pub index: u64,
    /// The term of the leader that created it.
    pub term: u64,
    /// The cluster's time when it was created: it goes on with the leader's clock from where the
    /// log before it had come to, and never back (dissertation, 6.3). In milliseconds.
    pub time_ms: u64,
    /// What it says.
    pub payload: Payload,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// Nothing: a new leader appends it to learn what is committed (section 8 of the paper).
    Noop,
    /// A client's request.
    Request(Request),
    /// From this entry on, the cluster has these members.
    Members(Members),
}

/// The term and the vote in it: what a node must never forget.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term seen.
    pub term: u64,
    /// The candidate voted for in this term.
    pub vote: Option<Name>,
}

/// The replicated state up to an entry, which stands for all entries up to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The index of the last entry included.
    pub index: u64,
    /// The term of that entry.
    pub term: u64,
    /// The cluster's time as of that entry.
    pub time_ms: u64,
    /// The members as of that entry.
    pub members: Members,
    /// The state.
    pub data: Vec<u8>,
}

/// A message from one node to another. Each stands for itself: it may be lost, doubled, late or
/// overtaken without harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who sent it.
    pub from: Name,
    /// To whom.
    pub to: Name,
    /// The sender's term.
    pub term: u64,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Would you vote for me in this term, which I have not begun? (Dissertation, 9.6.)
    PreVote {
        /// The term the sender would stand in.
        proposed: u64,
        /// The index and term of the sender's last entry.
        last: (u64, u64),
    },
    /// The answer to a [`Body::PreVote`].
    PreVoteReply {
        /// The term that was asked about.
        proposed: u64,
        /// Whether the answer is yes.
        granted: bool,
    },
    /// Vote for me in my term.
    Vote {
        /// The index and term of the sender's last entry.
        last: (u64, u64),
    },
    /// The answer to a [`Body::Vote`] in the same term.
    VoteReply {
        /// Whether the vote is given.
        granted: bool,
    },
    /// Entries to append; none is a heartbeat.
    Append {
        /// The index and term of the entry before them.
        previous: (u64, u64),
        /// The entries, in order and without gap.
        entries: Vec<Arc<Entry>>,
        /// The leader's commit index.
        commit: u64,
        /// The leader's round of asking whether it still leads.
        round: u64,
    },
    /// The answer to a [`Body::Append`].
    AppendReply {
        /// Up to where the logs are known to match, or why they do not.
        result: Result<u64, Mismatch>,
        /// The round of the append answered.
        round: u64,
    },
    /// Part of a snapshot, for a node so far behind that the entries it lacks are gone.
    Install {
        /// Index and term of the last entry that the snapshot includes.
        last: (u64, u64),
        /// Where in the encoded snapshot the bytes belong.
        offset: u64,
        /// How many bytes the whole has.
        total: u64,
        /// The bytes.
        bytes: Vec<u8>,
        /// As in [`Body::Append`].
        round: u64,
    },
    /// The answer to a [`Body::Install`].
    InstallReply {
        /// The snapshot's index.
        index: u64,
        /// The bytes received from the start without gap; `None` when the snapshot is installed or
        /// no longer needed.
        received: Option<u64>,
        /// The round of the message answered.
        round: u64,
    },
}

/// A follower's log does not have the entry that an append builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The index that was refused.
    pub refused: u64,
    /// Where the leader should try next: the end of a log that is too short, or the first entry
    /// of the term in conflict (section 5.3 of the paper).
    pub retry_from: u64,
}

/// What has to be on disk before the messages that depend on it are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The term and vote are now these.
    HardState(HardState),
    /// Entries from this index on are gone.
    Truncate(u64),
    /// These entries follow.
    Append(Vec<Arc<Entry>>),
    /// A snapshot, and the log anew: nothing written earlier counts.
    Snapshot(Arc<Snapshot>, LogImage),
}

/// A whole log: what stays of it when its beginning is dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogImage {
    /// The term and vote.
    pub hard_state: HardState,
    /// The index and term of the entry before the first.
    pub start: (u64, u64),
    /// The members when the log was begun, for a node that has no snapshot.
    pub members: Members,
    /// The entries.
    pub entries: Vec<Arc<Entry>>,
}

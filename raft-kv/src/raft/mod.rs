//! Consensus as a pure state machine: no clock, no I/O, no threads. Time, messages and proposals
//! go in; messages, log writes and committed entries come out.
//!
//! The algorithm is Raft as in Ongaro and Ousterhout, "In Search of an Understandable Consensus
//! Algorithm (Extended Version)", 2014, with pre-vote (Ongaro's dissertation, 9.6), check-quorum
//! and leader stickiness (6.2, 4.2.3), linearizable reads by read-index or by lease (6.4), learners
//! (4.2.1), and membership changes of one server at a time (4.1) with the correction of 2015: no
//! change before an entry of the leader's own term is committed.

mod actions;
mod chance;
mod config;
mod elections;
mod followers;
mod leases;
mod log;
mod membership;
mod reads;
mod replication;
mod types;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub use actions::Actions;
pub use chance::Chance;
pub use config::{Config, Recovered};
pub use log::Log;
pub use membership::{ChangeRefused, MemberChange};
pub use reads::Reads;
pub use types::{
    Body, Entry, HardState, LogImage, Member, Members, Message, Mismatch, Name, Payload, Snapshot,
    Time, Write,
};

use crate::bugs::Bug;
use followers::Incoming;
use leases::Lease;
use reads::Round;
use replication::Progress;

/// How often at least a node is told the time.
pub const TICK_MS: u64 = 10;

/// What a node is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether it would be elected.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

/// This node does not lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the leader")]
pub struct NotLeader;

/// One node's part in the consensus.
#[derive(Debug)]
pub struct Raft {
    config: Config,
    chance: Chance,
    /// What the node takes for the time since it started.
    now_ms: u64,
    time: Time,
    role: Role,
    hard_state: HardState,
    hard_state_changed: bool,
    log: Log,
    /// The last entry known to be on this node's disk.
    durable: u64,
    commit: u64,
    /// The last committed entry handed out.
    handed_out: u64,
    snapshot: Option<Arc<Snapshot>>,
    members: Members,
    /// When it was last deposed.
    deposed_ms: Option<u64>,
    /// Where `members` come from; 0 when not from an entry of the log held.
    members_index: u64,
    /// The members as of the start of the log.
    members_at_start: Members,
    leader: Option<Name>,
    heard_leader_ms: u64,
    election_due_ms: u64,
    heartbeat_due_ms: u64,
    votes: BTreeSet<Name>,
    /// Votes that came twice, which only a bug counts.
    votes_repeated: usize,
    /// When it asks for the votes of the term it stands in, where a bug has it wait.
    asks_late_ms: Option<u64>,
    /// The cluster's time at which this node began to lead, and its own.
    led_since_ms: (u64, u64),
    peers: BTreeMap<Name, Progress>,
    round: u64,
    reads_waiting: Vec<u64>,
    rounds: VecDeque<Round>,
    lease: Lease,
    reads_ready: Vec<(u64, u64)>,
    incoming: Option<Incoming>,
    restored: Option<Arc<Snapshot>>,
    actions: Actions,
}

impl Raft {
    /// A node that starts, or starts again, with what its disk holds.
    pub fn new(config: Config, recovered: Recovered, time: Time) -> Raft {
        let now_ms = time.ms;
        let Recovered {
            log: image,
            snapshot,
        } = recovered;
        let mut raft = Raft {
            chance: Chance::new(config.seed),
            config,
            now_ms,
            time,
            role: Role::Follower,
            hard_state: image.hard_state,
            hard_state_changed: false,
            log: Log::new(image.start, image.entries),
            durable: 0,
            commit: image.start.0,
            handed_out: image.start.0,
            snapshot: None,
            members: Members::new(),
            deposed_ms: None,
            members_index: 0,
            members_at_start: image.members,
            leader: None,
            // With leases, a node that has forgotten whom it heard must not vote at once.
            heard_leader_ms: now_ms,
            election_due_ms: 0,
            heartbeat_due_ms: 0,
            votes: BTreeSet::new(),
            votes_repeated: 0,
            asks_late_ms: None,
            led_since_ms: (0, 0),
            peers: BTreeMap::new(),
            round: 0,
            reads_waiting: Vec::new(),
            rounds: VecDeque::new(),
            lease: Lease::default(),
            reads_ready: Vec::new(),
            incoming: None,
            restored: None,
            actions: Actions::default(),
        };
        raft.find_members();
        if let Some(snapshot) = snapshot {
            raft.start_from(snapshot);
        }
        // Bug: the log is taken for applied as far as it goes, though the state is older.
        if raft.config.bugs.has(Bug::SkipAfterSnapshot) {
            raft.commit = raft.log.last_index();
            raft.handed_out = raft.commit;
        }
        raft.durable = raft.log.last_index();
        raft.wait_for_election();
        raft
    }

    /// Takes up the snapshot found on disk. If the node stopped between writing it and writing
    /// the log anew, that is done now.
    fn start_from(&mut self, snapshot: Arc<Snapshot>) {
        let continues = self.log.term_at(snapshot.index) == Some(snapshot.term);
        match continues {
            true => {
                self.commit = snapshot.index;
                // Bug: what the snapshot includes is applied once more.
                self.handed_out = match self.config.bugs.has(Bug::ReplayAfterSnapshot) {
                    true => self.log.start().0,
                    false => snapshot.index,
                };
                self.restored = Some(Arc::clone(&snapshot));
                self.snapshot = Some(snapshot);
            }
            false => self.replace_state(snapshot),
        }
    }

    /// Time goes on. To be called before anything else is given to the node.
    pub fn tick(&mut self, time: Time) {
        let passed_ms = time.ms.saturating_sub(self.time.ms);
        self.time = Time {
            ms: self.time.ms.max(time.ms),
            ..time
        };
        // Bug: the node counts ticks instead of looking at a clock, so that the time for which it
        // was stopped never was.
        self.now_ms += match self.config.bugs.has(Bug::LeaseSurvivesPause) {
            true => passed_ms.min(TICK_MS),
            false => passed_ms,
        };
        match self.role {
            Role::Leader => self.tick_leader(),
            _ if self.now_ms >= self.election_due_ms => self.election_timeout(),
            Role::Candidate if self.asks_late_ms.is_some_and(|at| self.now_ms >= at) => {
                self.ask_for_votes();
            }
            _ => {}
        }
    }

    /// A message has arrived.
    pub fn receive(&mut self, message: Message) {
        let Message {
            from,
            to,
            term,
            body,
        } = message;
        if to != self.config.name {
            return;
        }
        if let Body::PreVote { proposed, last } = body {
            return self.on_pre_vote(from, proposed, last);
        }
        // Whoever hears from a leader does not let itself be drawn into an election (D 4.2.3).
        if matches!(body, Body::Vote { .. }) && self.has_live_leader() {
            return;
        }
        // Bug: the terms that others report are not kept, so that a follower believes any leader
        // as if it had never heard of a later one; a deposed leader's entries replace its own.
        let forgets = self.config.bugs.has(Bug::ForgetTerm)
            && self.role == Role::Follower
            && matches!(body, Body::Append { .. } | Body::Install { .. });
        if term > self.term() || (forgets && term != self.term()) {
            self.become_follower(term, None);
        }
        let current = term == self.term();
        match body {
            Body::PreVote { .. } => {}
            Body::PreVoteReply { proposed, granted } => {
                self.on_pre_vote_reply(from, proposed, granted);
            }
            Body::Vote { last } => self.on_vote(from, current, last),
            Body::VoteReply { granted } if current => self.on_vote_reply(from, granted),
            Body::Append {
                previous,
                entries,
                commit,
                round,
            } => match current {
                true => self.on_append(from, previous, entries, commit, round),
                false => self.refuse_append(from, previous.0, round),
            },
            Body::AppendReply { result, round } if current => {
                self.on_append_reply(&from, result, round);
            }
            Body::Install {
                last,
                offset,
                total,
                bytes,
                round,
            } => match current {
                true => self.on_install(from, last, offset, total, &bytes, round),
                false => self.refuse_append(from, last.0, round),
            },
            Body::InstallReply {
                index,
                received,
                round,
            } if current => {
                self.on_install_reply(&from, index, received, round);
            }
            // Answers to questions of an earlier term.
            Body::VoteReply { .. } | Body::AppendReply { .. } | Body::InstallReply { .. } => {}
        }
    }

    /// Appends an entry, if this node leads. Returns its index and term.
    ///
    /// # Errors
    /// When it does not lead: then nothing was appended.
    pub fn propose(&mut self, payload: Payload) -> Result<(u64, u64), NotLeader> {
        // Bug: a leader that was just deposed takes up what comes in as if it still led, in the
        // term of its successor.
        let was_leader = self.config.bugs.has(Bug::DeposedLeaderAppends)
            && self.role == Role::Follower
            && (self.deposed_ms).is_some_and(|at| self.now_ms < at + 4 * self.config.election_ms);
        if self.role != Role::Leader && !was_leader {
            return Err(NotLeader);
        }
        Ok(self.append_own(payload))
    }

    /// Sends what is waiting to be sent. To be called after a batch of inputs.
    pub fn flush(&mut self) {
        if self.role == Role::Leader {
            self.start_round_if_idle();
            self.replicate(false);
        }
    }

    /// What is to be done now: writes, then messages; then [`Raft::persisted`] is due.
    pub fn take_actions(&mut self) -> Actions {
        let mut actions = std::mem::take(&mut self.actions);
        // Bug: what promises that something is on disk goes out before it is.
        if self.config.bugs.has(Bug::FsyncAfterReply) {
            actions.early.append(&mut actions.messages);
        }
        if self.hard_state_changed {
            self.hard_state_changed = false;
            // A leader's appends may overtake its own log writes (D 10.2.1), never its term.
            if !self.config.bugs.has(Bug::FsyncAfterReply) {
                actions.messages.splice(0..0, actions.early.drain(..));
            }
            // Bug: a node that restarts has forgotten its term, and with it whom it voted for.
            if !self.config.bugs.has(Bug::ForgetTerm) {
                actions
                    .writes
                    .push(Write::HardState(self.hard_state.clone()));
            }
        }
        actions
    }

    /// The writes of the last [`Raft::take_actions`] are on disk.
    pub fn persisted(&mut self) {
        self.durable = self.log.last_index();
        if self.role == Role::Leader {
            self.advance_commit();
        }
    }

    /// The next committed entry that was not yet handed out, to be applied; `None` while a
    /// snapshot that comes before it was not yet taken up.
    pub fn next_committed(&mut self) -> Option<Arc<Entry>> {
        let next = self.handed_out + 1;
        // Bug: entries are applied when they are appended, which may yet be replaced.
        let known = match self.config.bugs.has(Bug::ApplyBeforeCommit) {
            true => self.log.last_index(),
            false => self.commit,
        };
        if next > known || self.restored.is_some() {
            return None;
        }
        let entry = self.log.get(next).cloned()?;
        self.handed_out = next;
        Some(entry)
    }

    /// A snapshot that has replaced the state, to be taken up before any further entry.
    pub fn take_restored(&mut self) -> Option<Arc<Snapshot>> {
        self.restored.take()
    }

    /// The state as of the last entry handed out was encoded as `data`: makes it the snapshot and
    /// drops the log up to `entries_kept` before it.
    pub fn compact(&mut self, data: Vec<u8>, entries_kept: u64) {
        let index = self.handed_out;
        let Some(term) = self.log.term_at(index) else {
            return;
        };
        let members = self.members_as_of(index);
        let entry_ms = self.log.get(index).map(|entry| entry.time_ms);
        let time_ms = entry_ms.unwrap_or_else(|| self.latest_time_ms());
        // Bug: a log that begins behind such a snapshot seems older than any other.
        let term = match self.config.bugs.has(Bug::SnapshotWithoutTerm) {
            true => 0,
            false => term,
        };
        self.snapshot = Some(Arc::new(Snapshot {
            index,
            term,
            time_ms,
            members,
            data,
        }));
        self.drop_log(index.saturating_sub(entries_kept));
        self.write_snapshot();
        self.note(format!("took a snapshot at {index}"));
        // With this bug, snapshots have to be on their way for it to matter: each is offered to
        // all, needed or not.
        if self.config.bugs.has(Bug::InstallRollsBack) && self.role == Role::Leader {
            self.offer_snapshot();
        }
    }

    /// Its term.
    pub fn term(&self) -> u64 {
        self.hard_state.term
    }

    /// Its role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.config.name
    }

    /// The leader, as far as it knows.
    pub fn leader(&self) -> Option<&Name> {
        self.leader.as_ref()
    }

    /// The members of the cluster, as far as it knows.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The last entry known to be committed.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    /// The last committed entry handed out.
    pub fn applied(&self) -> u64 {
        self.handed_out
    }

    /// The index of the latest snapshot, 0 when there is none.
    pub fn snapshot_index(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.index)
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Whether a node has a vote.
    fn votes(&self, name: &Name) -> bool {
        self.members.get(name).is_some_and(|member| !member.learner)
    }

    /// How many nodes with a vote make a majority.
    fn quorum(&self) -> usize {
        let nodes = self
            .members
            .values()
            .filter(|member| !member.learner)
            .count();
        // Bug: with an even split, or when a leader keeps a single follower of four, both sides
        // elect a leader and commit.
        match self.config.bugs.has(Bug::QuorumMinusOne) {
            true => (nodes / 2).max(1),
            false => nodes / 2 + 1,
        }
    }

    /// What a majority of the nodes with a vote has reached, when each has reached `reached`; with
    /// `learners`, these are counted as if they had one.
    fn reached_by_quorum(&self, learners: bool, reached: impl Fn(&Name) -> u64) -> u64 {
        let counted = self
            .members
            .keys()
            .filter(|name| learners || self.votes(name));
        let mut all: Vec<u64> = counted.map(&reached).collect();
        // Bug: a leader that is not a member any more is one more for its majority.
        if self.config.bugs.has(Bug::RemovedLeaderCountsItself)
            && !self.members.contains_key(&self.config.name)
        {
            all.push(reached(&self.config.name));
        }
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.get(self.quorum() - 1).copied().unwrap_or(0)
    }

    fn other_members(&self) -> Vec<Name> {
        self.members
            .keys()
            .filter(|name| **name != self.config.name)
            .cloned()
            .collect()
    }

    fn send(&mut self, to: Name, body: Body) {
        let message = Message {
            from: Arc::clone(&self.config.name),
            to,
            term: self.term(),
            body,
        };
        let from_leader = matches!(message.body, Body::Append { .. } | Body::Install { .. });
        match from_leader {
            true => self.actions.early.push(message),
            false => self.actions.messages.push(message),
        }
    }

    fn append_own(&mut self, payload: Payload) -> (u64, u64) {
        let (index, term) = (self.log.last_index() + 1, self.term());
        let time_ms = self.cluster_time_ms();
        self.append_entries(vec![Arc::new(Entry {
            index,
            term,
            time_ms,
            payload,
        })]);
        (index, term)
    }

    /// The cluster's time, for an entry of this leader.
    fn cluster_time_ms(&self) -> u64 {
        // Bug: this is the time of day instead, by which one write is said to be later than
        // another.
        if self.config.bugs.has(Bug::LastWriteWinsClock) {
            return self.time.wall_ms;
        }
        let (cluster_ms, own_ms) = self.led_since_ms;
        let now_ms = cluster_ms + self.now_ms.saturating_sub(own_ms);
        now_ms.max(self.latest_time_ms())
    }

    /// The cluster's time as far as this node's log and snapshot have come.
    fn latest_time_ms(&self) -> u64 {
        let snapshot_ms = self
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.time_ms);
        self.log.last_time_ms().unwrap_or(0).max(snapshot_ms)
    }

    fn append_entries(&mut self, entries: Vec<Arc<Entry>>) {
        for entry in &entries {
            if let Payload::Members(members) = &entry.payload {
                self.adopt_members(entry.index, members.clone());
            }
            self.log.push(Arc::clone(entry));
        }
        if let Some(Write::Append(waiting)) = self.actions.writes.last_mut() {
            waiting.extend(entries);
        } else if !entries.is_empty() {
            self.actions.writes.push(Write::Append(entries));
        }
    }

    fn write_snapshot(&mut self) {
        let Some(snapshot) = &self.snapshot else {
            return;
        };
        let forgets = self.config.bugs.has(Bug::ForgetTerm);
        let hard_state = if forgets {
            HardState::default()
        } else {
            self.hard_state.clone()
        };
        let image = LogImage {
            hard_state,
            start: self.log.start(),
            members: self.members_at_start.clone(),
            entries: self.log.tail(self.log.start().0 + 1),
        };
        // It holds the whole log, so what was waiting to be written need not be.
        self.actions.writes = vec![Write::Snapshot(Arc::clone(snapshot), image)];
    }

    fn note(&mut self, line: String) {
        self.actions.notes.push(line);
    }
}

//! One replica of the key-value store, still without clock or I/O: consensus, the state it
//! replicates, and the clients that wait for an answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::bugs::{Bug, Bugs};
use crate::kv::{Command, Kv, Outcome, Place, Request};
use crate::raft::{
    Actions, ChangeRefused, Config, Entry, MemberChange, Message, Name, Payload, Raft, Recovered,
    Role, Time,
};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// The value of a key.
    Get(String),
    /// A change of the state.
    Change(Request),
    /// A change of the members.
    ChangeMembers(MemberChange),
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The value of the key.
    Value(Option<String>),
    /// What came of the change.
    Outcome(Outcome),
    /// The members are changed.
    MembersChanged,
    /// Another node leads, if one is known; nothing was done and nothing will be.
    NotLeader(Option<(Name, IpAddr)>),
    /// The members cannot be changed; nothing was done.
    Refused(ChangeRefused),
    /// Leadership was lost on the way: the change may yet take effect, or not.
    Unknown,
}

/// What a replica wants done: the writes, then the messages, then the answers; then
/// [`Replica::persisted`] is due.
#[derive(Debug, Default)]
pub struct Output {
    /// What consensus wants done.
    pub actions: Actions,
    /// Answers to calls, by token.
    pub answers: Vec<(u64, Answer)>,
    /// Entries applied since the last output.
    pub applied: Vec<Arc<Entry>>,
}

impl Output {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.answers.is_empty() && self.applied.is_empty()
    }
}

/// The stored state cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot at {index} does not hold a state: {cause}")]
pub struct BadState {
    /// The snapshot.
    pub index: u64,
    /// Why it is none.
    pub cause: String,
}

/// One replica.
#[derive(Debug)]
pub struct Replica {
    raft: Raft,
    kv: Kv,
    bugs: Bugs,
    /// A snapshot is taken after so many entries.
    snapshot_entries: u64,
    /// The time of day.
    wall_ms: u64,
    /// How many more entries may be applied before the next tick.
    entries_now: u64,
    /// Up to where the log was when this replica started.
    started_at: u64,
    /// Reads that may be answered when the entry at this index is applied.
    ready: Vec<(u64, u64)>,
    /// Calls by the index of the entry they wait for, with its term.
    changes: BTreeMap<u64, (u64, u64)>,
    reads: BTreeMap<u64, String>,
    /// The term in which `changes` and `reads` came in.
    led_term: u64,
    answers: Vec<(u64, Answer)>,
    applied: Vec<Arc<Entry>>,
}

impl Replica {
    /// A replica that starts, or starts again, with what its disk holds.
    ///
    /// # Errors
    /// When the snapshot on disk does not hold a state.
    pub fn new(
        config: Config,
        recovered: Recovered,
        snapshot_entries: u64,
        time: Time,
    ) -> Result<Replica, BadState> {
        let bugs = config.bugs;
        // The bug shows when a snapshot covers requests that clients may still repeat.
        const FEW_ENTRIES: u64 = 20;
        let snapshot_entries = match bugs.has(Bug::SnapshotForgetsSessions) {
            true => snapshot_entries.min(FEW_ENTRIES),
            false => snapshot_entries.max(1),
        };
        let raft = Raft::new(config, recovered, time);
        let mut replica = Replica {
            started_at: raft.snapshot_index(),
            raft,
            kv: Kv::default(),
            bugs,
            snapshot_entries,
            wall_ms: time.wall_ms,
            entries_now: u64::MAX,
            ready: Vec::new(),
            changes: BTreeMap::new(),
            reads: BTreeMap::new(),
            led_term: 0,
            answers: Vec::new(),
            applied: Vec::new(),
        };
        replica.settle()?;
        Ok(replica)
    }

    /// Time goes on. To be called before anything else is given to the replica.
    pub fn tick(&mut self, time: Time) {
        self.wall_ms = time.wall_ms;
        self.raft.tick(time);
        // With this bug it has to take time to apply entries.
        if self.bugs.has(Bug::ReadBeforeApply) {
            self.entries_now = 1;
        }
        self.give_up_if_deposed();
    }

    /// A message has arrived.
    pub fn receive(&mut self, message: Message) {
        self.raft.receive(message);
        // With this bug entries are applied at once: the next message of the same batch would
        // replace the wrong ones.
        if self.bugs.has(Bug::CommitPastMatch) {
            self.apply_committed();
        }
        self.give_up_if_deposed();
    }

    /// A client calls; the token comes back with the answer.
    pub fn call(&mut self, token: u64, call: Call) {
        match call {
            Call::Get(key) => self.get(token, key),
            Call::Change(request) => self.change(token, request),
            Call::ChangeMembers(change) => match self.raft.propose_change(change) {
                Ok(Some((index, term))) => self.wait_for(token, index, term),
                Ok(None) => self.answers.push((token, Answer::MembersChanged)),
                Err(ChangeRefused::NotLeader) => self.answer_not_leader(token),
                Err(refused) => self.answers.push((token, Answer::Refused(refused))),
            },
        }
    }

    fn get(&mut self, token: u64, key: String) {
        // Bug: a follower may not know of writes that were acknowledged long ago.
        if self.bugs.has(Bug::FollowerRead) {
            let value = self.kv.get(&key).map(str::to_owned);
            self.answers.push((token, Answer::Value(value)));
        } else if self.raft.read(token).is_ok() {
            self.led_term = self.raft.term();
            self.reads.insert(token, key);
        } else {
            self.answer_not_leader(token);
        }
    }

    fn change(&mut self, token: u64, request: Request) {
        // Bug: what is in the log already, or gets there first, is not looked at.
        if let Command::Cas { key, old, .. } = &request.command
            && self.bugs.has(Bug::CasAtPropose)
            && self.raft.role() == Role::Leader
            && self.kv.get(key) != old.as_deref()
        {
            let outcome = Outcome::Swapped(false);
            return self.answers.push((token, Answer::Outcome(outcome)));
        }
        let blind = matches!(
            request.command,
            Command::Put { .. } | Command::Append { .. }
        );
        let Ok((index, term)) = self.raft.propose(Payload::Request(request)) else {
            return self.answer_not_leader(token);
        };
        // Bug: if this leader is lost before a majority has the entry, so is the acknowledged
        // write. (A write whose answer depends on the state waits all the same.)
        if blind && self.bugs.has(Bug::AckBeforeCommit) {
            self.answers.push((token, Answer::Outcome(Outcome::Done)));
        } else {
            self.wait_for(token, index, term);
        }
    }

    fn wait_for(&mut self, token: u64, index: u64, term: u64) {
        self.led_term = term;
        self.changes.insert(index, (term, token));
    }

    /// Ends a batch of inputs: what is to be done now.
    ///
    /// # Errors
    /// When a snapshot received does not hold a state.
    pub fn output(&mut self) -> Result<Output, BadState> {
        self.raft.flush();
        self.settle()?;
        Ok(Output {
            actions: self.raft.take_actions(),
            answers: std::mem::take(&mut self.answers),
            applied: std::mem::take(&mut self.applied),
        })
    }

    /// The writes of the last output are on disk.
    pub fn persisted(&mut self) {
        self.raft.persisted();
        self.give_up_if_deposed();
    }

    /// Consensus as it stands.
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// The state as of the last applied entry.
    pub fn kv(&self) -> &Kv {
        &self.kv
    }

    /// Applies what is committed and answers who waited for it.
    fn settle(&mut self) -> Result<(), BadState> {
        if let Some(snapshot) = self.raft.take_restored() {
            self.kv = Kv::from_bytes(&snapshot.data).map_err(|error| BadState {
                index: snapshot.index,
                cause: error.to_string(),
            })?;
            // Their entries are within the snapshot, if anywhere: what came of them is lost.
            let skipped = std::mem::take(&mut self.changes).into_values();
            self.answers
                .extend(skipped.map(|(_, token)| (token, Answer::Unknown)));
        }
        self.apply_committed();
        self.ready.extend(self.raft.take_ready_reads());
        let applied = self.raft.applied();
        // Bug: that the leader still leads is known, and that is taken to be all.
        let hasty = self.bugs.has(Bug::ReadBeforeApply);
        for (token, _) in self
            .ready
            .extract_if(.., |(_, index)| hasty || *index <= applied)
        {
            if let Some(key) = self.reads.remove(&token) {
                let value = self.kv.get(&key).map(str::to_owned);
                self.answers.push((token, Answer::Value(value)));
            }
        }
        self.give_up_if_deposed();
        self.take_snapshot_if_due();
        Ok(())
    }

    fn apply_committed(&mut self) {
        while self.entries_now > 0
            && let Some(entry) = self.raft.next_committed()
        {
            if self.bugs.has(Bug::ReadBeforeApply) {
                self.entries_now -= 1;
            }
            self.apply(&entry);
            self.applied.push(entry);
        }
    }

    fn apply(&mut self, entry: &Entry) {
        let answer = match &entry.payload {
            // Bug: nobody waits for what is replayed, so nobody can have repeated it.
            Payload::Request(request)
                if self.bugs.has(Bug::ReplayAfterSnapshot) && entry.index <= self.started_at =>
            {
                Answer::Outcome(self.kv.execute(&request.command, entry.time_ms, self.bugs))
            }
            Payload::Request(request) => {
                // Bug: sessions grow old as this node's clock says.
                let time_ms = match self.bugs.has(Bug::SessionExpiryByLocalClock) {
                    true => self.wall_ms,
                    false => entry.time_ms,
                };
                let index = entry.index;
                let place = Place { index, time_ms };
                Answer::Outcome(self.kv.apply(place, request, self.bugs))
            }
            Payload::Members(_) => Answer::MembersChanged,
            Payload::Noop => Answer::Unknown,
        };
        if let Some((term, token)) = self.changes.remove(&entry.index) {
            let own = term == entry.term;
            self.answers
                .push((token, if own { answer } else { Answer::Unknown }));
        }
    }

    fn take_snapshot_if_due(&mut self) {
        if self.raft.applied() < self.raft.snapshot_index() + self.snapshot_entries {
            return;
        }
        // Encoding plain data into memory does not fail; if it did, the log would be kept and the
        // next entry would try again.
        if let Ok(data) = self.kv.to_bytes(self.bugs) {
            // With this bug a node goes on from its snapshot as if it had started from it, so that
            // what is left out is missed by all.
            if self.bugs.has(Bug::SnapshotForgetsSessions)
                && let Ok(kv) = Kv::from_bytes(&data)
            {
                self.kv = kv;
            }
            // Some entries stay for followers that are a little behind.
            self.raft.compact(data, self.snapshot_entries / 2);
        }
    }

    fn give_up_if_deposed(&mut self) {
        let leads = self.raft.role() == Role::Leader && self.raft.term() == self.led_term;
        if leads || (self.changes.is_empty() && self.reads.is_empty()) {
            return;
        }
        // What is committed already is answered as it is applied: only the rest is uncertain.
        // (With this bug all wait, so that a leader deposed acknowledges what it wrongly commits.)
        let uncertain = match self.bugs.has(Bug::CommitPastMatch) {
            true => BTreeMap::new(),
            false => self.changes.split_off(&(self.raft.commit() + 1)),
        };
        let lost = uncertain
            .into_values()
            .map(|(_, token)| (token, Answer::Unknown));
        self.answers.extend(lost);
        let leader = self.leader_address();
        self.ready.clear();
        for token in std::mem::take(&mut self.reads).into_keys() {
            self.answers
                .push((token, Answer::NotLeader(leader.clone())));
        }
    }

    fn answer_not_leader(&mut self, token: u64) {
        let leader = self.leader_address();
        self.answers.push((token, Answer::NotLeader(leader)));
    }

    fn leader_address(&self) -> Option<(Name, IpAddr)> {
        let leader = self
            .raft
            .leader()
            .filter(|_| self.raft.role() != Role::Leader)?;
        let member = self.raft.members().get(leader)?;
        Some((Arc::clone(leader), member.address))
    }
}

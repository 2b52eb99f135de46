//! Who leads: pre-vote, vote, stepping down (paper, section 5.2; dissertation, 6.2 and 9.6).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::leases::Lease;
use super::reads::Reads;
use super::replication::Progress;
use super::types::{Body, Name, Payload};
use super::{Raft, Role};
use crate::bugs::Bug;

impl Raft {
    /// The leader did not show itself, or an election came to nothing.
    pub(super) fn election_timeout(&mut self) {
        let due_ms = self.election_due_ms;
        self.wait_for_election();
        self.leader = None;
        if !self.votes(&self.config.name) {
            self.role = Role::Follower;
            return;
        }
        // With this bug, votes have to be divided for it to matter: nodes stand without asking
        // first, and however late they notice that it is time, it is time again one timeout later.
        if self.waits_as_long_as_others() {
            self.stand();
            let next_ms = due_ms + self.config.election_ms;
            self.election_due_ms = match next_ms > self.now_ms {
                true => next_ms,
                false => self.election_due_ms,
            };
            return;
        }
        self.role = Role::PreCandidate;
        self.votes_repeated = 0;
        self.votes = BTreeSet::from([Arc::clone(&self.config.name)]);
        let body = Body::PreVote {
            proposed: self.term() + 1,
            last: self.log.last(),
        };
        self.ask_all(&body);
        self.count_votes();
    }

    fn stand(&mut self) {
        self.wait_for_election();
        self.role = Role::Candidate;
        self.hard_state.term += 1;
        self.hard_state.vote = None;
        self.hard_state_changed = true;
        self.record_vote(Arc::clone(&self.config.name));
        self.votes_repeated = 0;
        self.votes = BTreeSet::from([Arc::clone(&self.config.name)]);
        self.note("stands for election".to_owned());
        // And they take their time to ask, as with a slow disk, until all others stand as well.
        match self.waits_as_long_as_others() {
            true => self.asks_late_ms = Some(self.now_ms + self.config.election_ms / 3),
            false => self.ask_for_votes(),
        }
        self.count_votes();
    }

    /// Whether this node's election timeouts are those of all others, by a bug; not before it has
    /// followed a first leader, without which there would be nothing to lose.
    fn waits_as_long_as_others(&self) -> bool {
        self.config.bugs.has(Bug::FixedElectionTimeout) && self.log.last_index() > 0
    }

    pub(super) fn ask_for_votes(&mut self) {
        self.asks_late_ms = None;
        self.ask_all(&Body::Vote {
            last: self.log.last(),
        });
    }

    fn lead(&mut self) {
        self.role = Role::Leader;
        self.leader = Some(Arc::clone(&self.config.name));
        self.peers.clear();
        let next = self.log.last_index() + 1;
        for name in self.other_members() {
            self.peers.insert(name, Progress::new(next, self.now_ms));
        }
        self.round = 0;
        self.lease = Lease::default();
        self.led_since_ms = (self.latest_time_ms(), self.now_ms);
        self.heartbeat_due_ms = self.now_ms + self.config.heartbeat_ms;
        self.note(format!("leads from {next} on"));
        // Bug: without an entry of its own the leader does not learn what is committed, and it
        // answers reads as if it knew. (With the other bug, there has to be time before an entry of
        // the term is committed.)
        let bugs = self.config.bugs;
        if !bugs.has(Bug::ReadBeforeNoop) && !bugs.has(Bug::ChangeWithoutNoop) {
            self.append_own(Payload::Noop);
        }
    }

    /// Follows, from now on in this term.
    pub(super) fn become_follower(&mut self, term: u64, leader: Option<Name>) {
        if term != self.term() {
            self.hard_state.term = term;
            self.hard_state.vote = None;
            self.hard_state_changed = true;
        }
        if self.role != Role::Follower {
            self.wait_for_election();
        }
        if self.role == Role::Leader {
            self.note("no longer leads".to_owned());
            self.deposed_ms = Some(self.now_ms);
        }
        if leader.is_some() && leader != self.leader {
            self.note(format!("follows {}", leader.as_deref().unwrap_or_default()));
        }
        self.role = Role::Follower;
        self.leader = leader;
        self.peers.clear();
        self.rounds.clear();
        self.reads_waiting.clear();
    }

    /// A message of this term's leader has come.
    pub(super) fn heed(&mut self, leader: &Name) {
        if self.role != Role::Follower || self.leader.as_ref() != Some(leader) {
            self.become_follower(self.term(), Some(Arc::clone(leader)));
        }
        self.heard_leader_ms = self.now_ms;
        self.wait_for_election();
    }

    pub(super) fn wait_for_election(&mut self) {
        let shortest_ms = self.config.election_ms;
        // With two bugs, candidates have to meet for them to matter: let them.
        let bugs = self.config.bugs;
        let spread_ms = match () {
            () if bugs.has(Bug::ForgetVote) => shortest_ms / 20,
            () if bugs.has(Bug::CountVoteTwice) => shortest_ms / 2,
            // Bug: nodes that lose their leader together stand together, and get one vote each,
            // again and again.
            () if self.waits_as_long_as_others() => 0,
            () => shortest_ms,
        };
        self.election_due_ms = self.now_ms + shortest_ms + self.chance.below(spread_ms + 1);
    }

    /// Whether this node leads, or has heard from the leader within the shortest timeout.
    pub(super) fn has_live_leader(&self) -> bool {
        let patience_ms = self.config.election_ms;
        // Bug: whoever stands is heard, though there is a leader that counts on its lease. (With
        // the other two, a node that lags has to be heard for them to matter: a leader that is
        // well does not stand in its way.)
        let hearing = [
            Bug::VoteWhileLed,
            Bug::VoteWithoutLogCheck,
            Bug::VoteLogLengthOnly,
        ];
        if hearing.iter().any(|bug| self.config.bugs.has(*bug)) {
            return false;
        }
        // Where there are leases, a node that has just started may have heard from a leader, too.
        let heard = self.leader.is_some() || self.config.reads == Reads::Lease;
        self.role == Role::Leader || (heard && self.now_ms < self.heard_leader_ms + patience_ms)
    }

    pub(super) fn on_pre_vote(&mut self, from: Name, proposed: u64, last: (u64, u64)) {
        let granted = proposed > self.term() && !self.has_live_leader() && self.is_up_to_date(last);
        self.send(from, Body::PreVoteReply { proposed, granted });
    }

    pub(super) fn on_pre_vote_reply(&mut self, from: Name, proposed: u64, granted: bool) {
        if self.role == Role::PreCandidate && granted && proposed == self.term() + 1 {
            self.take_vote(from);
        }
    }

    pub(super) fn on_vote(&mut self, from: Name, current: bool, last: (u64, u64)) {
        let free = self
            .hard_state
            .vote
            .as_ref()
            .is_none_or(|vote| *vote == from);
        let granted = current && free && self.is_up_to_date(last);
        if granted {
            self.record_vote(Arc::clone(&from));
            self.wait_for_election();
        }
        self.send(from, Body::VoteReply { granted });
    }

    pub(super) fn on_vote_reply(&mut self, from: Name, granted: bool) {
        if self.role == Role::Candidate && granted {
            self.take_vote(from);
        }
    }

    fn take_vote(&mut self, from: Name) {
        // Bug: replies are counted, not voters.
        if !self.votes.insert(from) && self.config.bugs.has(Bug::CountVoteTwice) {
            self.votes_repeated += 1;
        }
        self.count_votes();
    }

    fn record_vote(&mut self, candidate: Name) {
        // Bug: a vote that is not kept can be given again in the same term; when two nodes stand
        // at once, both are elected.
        if !self.config.bugs.has(Bug::ForgetVote) {
            self.hard_state.vote = Some(candidate);
            self.hard_state_changed = true;
        }
    }

    /// Whether a log that ends like this has everything that can be committed (section 5.4.1).
    fn is_up_to_date(&self, (index, term): (u64, u64)) -> bool {
        let (own_index, own_term) = self.log.last();
        // Bug: a long log of an old leader's is taken for one that has everything.
        if self.config.bugs.has(Bug::VoteLogLengthOnly) {
            return index >= own_index;
        }
        // Bug: a node that lags is elected, and its log replaces committed entries.
        (term, index) >= (own_term, own_index) || self.config.bugs.has(Bug::VoteWithoutLogCheck)
    }

    fn count_votes(&mut self) {
        // Bug: learners count.
        let learners = self.config.bugs.has(Bug::NonVoterCounted);
        let counts = |name: &&Name| match learners {
            true => self.members.contains_key(*name),
            false => self.votes(name),
        };
        let counted = self.votes.iter().filter(counts).count();
        if counted + self.votes_repeated < self.quorum() {
            return;
        }
        match self.role {
            Role::PreCandidate => self.stand(),
            Role::Candidate => self.lead(),
            Role::Follower | Role::Leader => {}
        }
    }

    fn ask_all(&mut self, body: &Body) {
        for name in self.other_members() {
            self.send(name, body.clone());
        }
    }
}

//! Who belongs to the cluster. A change adds or removes one server and counts from the moment it
//! is in the log (dissertation, section 4.1).

use std::net::IpAddr;

use super::replication::Progress;
use super::types::{Member, Members, Name, Payload};
use super::{Raft, Role};
use crate::bugs::Bug;

/// A change of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberChange {
    /// This node joins, at this address, with a vote; a learner gets one.
    Add(Name, IpAddr),
    /// This node joins, at this address, without a vote; one that had a vote loses it.
    AddLearner(Name, IpAddr),
    /// This node leaves.
    Remove(Name),
}

/// Why the members cannot be changed now. Nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// This node does not lead.
    #[error("not the leader")]
    NotLeader,
    /// The leader has not yet committed an entry of its term, without which two majorities that
    /// do not overlap could arise (Ongaro's correction of 2015).
    #[error("the leader has just been elected (hint: try again)")]
    TooEarly,
    /// Another change is not yet committed.
    #[error("another change of members is under way (hint: try again)")]
    UnderWay,
    /// The last member cannot be removed.
    #[error("the last member with a vote cannot be removed")]
    LastMember,
}

impl Raft {
    /// Appends a change of members. Returns its index and term, or `None` when the members are
    /// already so.
    ///
    /// # Errors
    /// When no change can be made now.
    pub fn propose_change(
        &mut self,
        change: MemberChange,
    ) -> Result<Option<(u64, u64)>, ChangeRefused> {
        if self.role != Role::Leader {
            return Err(ChangeRefused::NotLeader);
        }
        // Bug: members of which a majority need not have heard may still be in another log, and
        // this leader's own change makes for majorities that do not overlap with theirs.
        let forgoes_noop = self.config.bugs.has(Bug::ChangeWithoutNoop);
        if !self.has_committed_in_term() && !forgoes_noop {
            return Err(ChangeRefused::TooEarly);
        }
        // Bug: two steps at once are a change of two servers.
        let hasty = self.config.bugs.has(Bug::OverlappingChanges);
        if self.members_index > self.commit && !hasty {
            return Err(ChangeRefused::UnderWay);
        }
        let mut members = self.members.clone();
        match change {
            MemberChange::Add(name, address) => members.insert(name, address.into()),
            MemberChange::AddLearner(name, address) => {
                let learner = true;
                members.insert(name, Member { address, learner })
            }
            MemberChange::Remove(name) => members.remove(&name),
        };
        if members.values().all(|member| member.learner) {
            return Err(ChangeRefused::LastMember);
        }
        if members == self.members {
            return Ok(None);
        }
        Ok(Some(self.append_own(Payload::Members(members))))
    }

    pub(super) fn adopt_members(&mut self, index: u64, members: Members) {
        self.note(format!("members are now {}", names(&members)));
        if self.role == Role::Leader {
            let next = self.log.last_index() + 1;
            self.peers.retain(|name, _| members.contains_key(name));
            for name in members.keys().filter(|name| **name != self.config.name) {
                let fresh = || Progress::new(next, self.now_ms);
                self.peers.entry(name.clone()).or_insert_with(fresh);
            }
        }
        self.members = members;
        self.members_index = index;
    }

    /// A leader that was removed leads until that is committed (dissertation, 4.2.2).
    pub(super) fn leave_if_removed(&mut self) {
        // With this bug, it has to go on to count: it does not leave.
        let removed =
            !self.votes(&self.config.name) && !self.config.bugs.has(Bug::RemovedLeaderCountsItself);
        if removed && self.members_index <= self.commit {
            self.become_follower(self.term(), None);
        }
    }

    /// The log now ends before this index: a change behind it never happened.
    pub(super) fn forget_members_from(&mut self, index: u64) {
        if self.members_index >= index {
            self.find_members();
        }
    }

    /// The members are those of the last change in the log.
    pub(super) fn find_members(&mut self) {
        let (index, members) = self.latest_members(u64::MAX);
        self.members_index = index;
        self.members = members;
    }

    pub(super) fn members_as_of(&self, index: u64) -> Members {
        self.latest_members(index).1
    }

    fn latest_members(&self, up_to: u64) -> (u64, Members) {
        let held = self.log.newest_first().filter(|entry| entry.index <= up_to);
        let latest = held.filter_map(|entry| match &entry.payload {
            Payload::Members(members) => Some((entry.index, members.clone())),
            Payload::Noop | Payload::Request(_) => None,
        });
        latest
            .into_iter()
            .next()
            .unwrap_or_else(|| (0, self.members_at_start.clone()))
    }

    /// Drops the log up to an index, but keeps who the members were.
    pub(super) fn drop_log(&mut self, to: u64) {
        if to > self.log.start().0 && to <= self.log.last_index() {
            self.members_at_start = self.members_as_of(to);
            self.log.compact(to);
        }
    }
}

fn names(members: &Members) -> String {
    members
        .iter()
        .map(|(name, member)| match member.learner {
            true => format!("{name} (learner)"),
            false => name.to_string(),
        })
        .collect::<Vec<String>>()
        .join(", ")
}

//! Raft's safety properties, watched from outside (paper, figure 3).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use raft_kv::raft::{Entry, Log, Name, Raft, Role};

#[derive(Debug, Default)]
pub struct Invariants {
    leaders: HashMap<u64, Name>,
    /// What was applied at each index, by whoever applied it first.
    chosen: BTreeMap<u64, Arc<Entry>>,
}

impl Invariants {
    pub fn leaders(&self) -> u64 {
        self.leaders.len() as u64
    }

    /// Election safety; and leader completeness, when someone begins to lead.
    pub fn check_role(&mut self, raft: &Raft) -> Result<(), String> {
        if raft.role() != Role::Leader {
            return Ok(());
        }
        match self.leaders.get(&raft.term()) {
            Some(known) if known == raft.name() => return Ok(()),
            Some(known) => {
                return Err(format!(
                    "election safety: {known} and {} lead in term {}",
                    raft.name(),
                    raft.term()
                ));
            }
            None => {}
        }
        self.leaders.insert(raft.term(), Arc::clone(raft.name()));
        for (&index, entry) in self.chosen.range(raft.log().start().0 + 1..) {
            if raft.log().term_at(index) != Some(entry.term) {
                return Err(format!(
                    "leader completeness: {} leads in term {} without entry {index} of term {}",
                    raft.name(),
                    raft.term(),
                    entry.term
                ));
            }
        }
        Ok(())
    }

    /// State machine safety.
    pub fn check_applied(&mut self, node: &Name, entry: &Arc<Entry>) -> Result<(), String> {
        let known = self
            .chosen
            .entry(entry.index)
            .or_insert_with(|| Arc::clone(entry));
        match known == entry {
            true => Ok(()),
            false => Err(format!(
                "state machine safety: {node} applies {entry:?} where {known:?} was applied"
            )),
        }
    }
}

/// Log matching: up to the last entry in common, two logs are the same.
pub fn check_match(one: &Log, other: &Log) -> Result<(), String> {
    let first = one.start().0.max(other.start().0) + 1;
    let last = one.last_index().min(other.last_index());
    let common = (first..=last)
        .rev()
        .find(|&index| one.term_at(index) == other.term_at(index));
    for index in first..=common.unwrap_or(0) {
        if one.get(index) != other.get(index) {
            return Err(format!(
                "log matching: {:?} and {:?} come before the same entry",
                one.get(index),
                other.get(index)
            ));
        }
    }
    Ok(())
}

//! What befalls the cluster.

use raft_kv::raft::{MemberChange, Name, Role};
use raft_kv::replica::Call;

use super::{Event, MS, Node, TROUBLE_ENDS, World, address};

impl World {
    pub(super) fn trouble(&mut self) -> Result<(), String> {
        if self.now >= TROUBLE_ENDS {
            self.cut.clear();
            for index in 0..self.nodes.len() {
                self.resume(index)?;
            }
            return Ok(());
        }
        let next = 100 * MS + self.chance.below(1_200 * MS);
        self.schedule(next, Event::Trouble);
        let lasts = 100 * MS + self.chance.below(1_500 * MS);
        let victim = self.victim();
        let kind = match self.setting.slow {
            true => 0,
            false => self.chance.below(12),
        };
        match kind {
            8 | 9 => self.set_clock(victim),
            10 => {
                if let Some(storage) = &mut self.nodes[victim].storage {
                    storage.files().sync_fails = true;
                    self.stats.broken_disks += 1;
                    self.schedule(lasts, Event::RepairDisk(victim));
                }
            }
            0 | 1 => self.crash(victim, lasts),
            2 => {
                for index in 0..self.nodes.len() {
                    if self.chance.below(3) > 0 {
                        self.crash(index, 300 * MS);
                    }
                }
            }
            3 | 4 => {
                self.nodes[victim].paused = true;
                self.stats.pauses += 1;
                self.schedule(lasts, Event::Resume(victim));
            }
            _ => {
                self.cut_off(victim);
                self.schedule(lasts, Event::Heal);
            }
        }
        Ok(())
    }

    /// The time of day jumps, forward or back, a little or by hours; or it stands still.
    fn set_clock(&mut self, victim: usize) {
        self.stats.jumps += 1;
        let (kind, amount) = (self.chance.below(5), self.chance.below(3_000) as i64);
        let now_ms = self.now / MS;
        let node = &mut self.nodes[victim];
        match kind {
            0 => node.ahead_ms += amount,
            1 => node.ahead_ms -= amount,
            2 => node.ahead_ms += 7_200_000,
            3 => node.frozen_ms = Some(now_ms),
            _ => node.frozen_ms = None,
        }
    }

    /// A leader as often as not.
    fn victim(&mut self) -> usize {
        let any = self.chance.below(self.nodes.len() as u64) as usize;
        let leads = |node: &Node| {
            let role = node.replica.as_ref().map(|replica| replica.raft().role());
            role == Some(Role::Leader)
        };
        match self.chance.below(2) {
            0 => self.nodes.iter().position(leads).unwrap_or(any),
            _ => any,
        }
    }

    fn cut_off(&mut self, victim: usize) {
        self.stats.cuts += 1;
        let kind = self.chance.below(4);
        let halves = self.chance.next_u64();
        let names: Vec<Name> = self.nodes.iter().map(|node| node.name.clone()).collect();
        self.cut.clear();
        for (i, from) in names.iter().enumerate() {
            for (j, to) in names.iter().enumerate() {
                let apart = match kind {
                    0 => i == victim || j == victim,
                    1 => i == victim,
                    2 => (halves >> i) & 1 != (halves >> j) & 1,
                    // Each link by itself, in each direction by itself.
                    _ => (halves >> (i * 7 + j)) & 1 == 0,
                };
                if apart && i != j {
                    self.cut.insert((from.clone(), to.clone()));
                }
            }
        }
    }

    /// Asks whoever leads to add or remove any node.
    pub(super) fn change_members(&mut self) -> Result<(), String> {
        if self.now >= TROUBLE_ENDS {
            return Ok(());
        }
        let next = 50 * MS + self.chance.below(1_000 * MS);
        self.schedule(next, Event::ChangeMembers);
        let number = self.chance.below(self.nodes.len() as u64) as usize;
        let name = self.nodes[number].name.clone();
        let change = match self.chance.below(4) {
            0 | 1 => MemberChange::Add(name, address(number + 1)),
            2 => MemberChange::AddLearner(name, address(number + 1)),
            _ => MemberChange::Remove(name),
        };
        for index in 0..self.nodes.len() {
            let mut members = 0;
            if let Some(replica) = &self.nodes[index].replica {
                let all = replica.raft().members().values();
                members = all.filter(|member| !member.learner).count();
            }
            // At least three stay, or the loss of one node would be the loss of a majority.
            if members > 3 || matches!(change, MemberChange::Add(..)) {
                self.stats.changes += 1;
                self.tokens += 1;
                let (token, change) = (self.tokens, change.clone());
                self.step(index, |replica| {
                    replica.call(token, Call::ChangeMembers(change))
                })?;
            }
        }
        Ok(())
    }
}

//! What the clients ask, and what comes of it.

use raft_kv::raft::Name;
use raft_kv::replica::Answer;

use super::{ATTEMPTS_MAX, CLIENTS_END, END, Event, MS, NODES, World};
use crate::clients::KEYS;

impl World {
    /// A client begins, or tries again.
    pub(super) fn act(&mut self, index: usize) -> Result<(), String> {
        if self.clients[index].operation.is_none() {
            if self.now < CLIENTS_END {
                // Now and then to another node, which may think that it leads.
                if self.chance.below(8) == 0 {
                    self.clients[index].target = self.chance.below(NODES as u64) as usize;
                }
                self.clients[index].next_operation(&mut self.chance, self.now);
            } else if self.finals_wanted(index) {
                self.clients[index].read(index as u64, self.now);
            } else {
                return Ok(());
            }
        }
        self.tokens += 1;
        let token = self.tokens;
        let client = &mut self.clients[index];
        client.token = Some(token);
        let target = client.target;
        let Some(operation) = &client.operation else {
            return Ok(());
        };
        let call = operation.call.clone();
        self.schedule(400 * MS, Event::TimeOut(index, token));
        self.step(target, |replica| replica.call(token, call))
    }

    /// Every key is read once more, by one client each, when all is over.
    fn finals_wanted(&self, client: usize) -> bool {
        (client as u64) < KEYS && self.now < END - 1_000 * MS
    }

    pub(super) fn answer(&mut self, token: u64, answer: Answer) {
        let Some(index) = self
            .clients
            .iter()
            .position(|client| client.token == Some(token))
        else {
            return;
        };
        match answer {
            Answer::NotLeader(leader) => self.try_again(index, leader.map(|(name, _)| name)),
            Answer::Unknown => self.try_again(index, None),
            answer => self.complete(index, Some(answer)),
        }
    }

    /// The same request under the same number, here or elsewhere, a bounded number of times.
    pub(super) fn try_again(&mut self, index: usize, leader: Option<Name>) {
        let elsewhere = self.chance.below(self.nodes.len() as u64) as usize;
        let named = leader.and_then(|name| self.nodes.iter().position(|node| node.name == name));
        let finals = self.now >= CLIENTS_END;
        let client = &mut self.clients[index];
        client.token = None;
        client.target = named.unwrap_or(elsewhere);
        client.attempts += 1;
        self.stats.retried += 1;
        match self.clients[index].attempts > ATTEMPTS_MAX && !finals {
            true => self.complete(index, None),
            false => {
                let delay = MS + self.chance.below(50 * MS);
                self.schedule(delay, Event::Act(index));
            }
        }
    }

    fn complete(&mut self, index: usize, answer: Option<Answer>) {
        self.history
            .extend(self.clients[index].complete(answer, self.now));
        let pause = match self.now < CLIENTS_END {
            true => self.chance.below(20 * MS),
            false => 1_000 * MS,
        };
        self.schedule(1 + pause, Event::Act(index));
    }
}

//! What must hold of all replicas together.

use raft_kv::replica::Replica;

use super::World;
use crate::invariants;

impl World {
    pub(super) fn compare(&self) -> Result<(), String> {
        let replicas: Vec<&Replica> = self
            .nodes
            .iter()
            .filter_map(|node| node.replica.as_ref())
            .collect();
        for (place, one) in replicas.iter().enumerate() {
            for other in &replicas[place + 1..] {
                invariants::check_match(one.raft().log(), other.raft().log())?;
                let same_point = one.raft().applied() == other.raft().applied();
                if same_point && one.kv() != other.kv() {
                    return Err(format!(
                        "{} and {} have applied the same entries and differ",
                        one.raft().name(),
                        other.raft().name()
                    ));
                }
            }
        }
        Ok(())
    }

    /// After the trouble every key could be read, and the members have the same log.
    pub(super) fn check_recovery(&self) -> Result<(), String> {
        if let Some(client) = self
            .clients
            .iter()
            .find(|client| client.operation.is_some())
        {
            return Err(format!(
                "no recovery: still waiting for {:?}",
                client.operation
            ));
        }
        let replicas = self.nodes.iter().filter_map(|node| node.replica.as_ref());
        let most = replicas
            .clone()
            .max_by_key(|replica| replica.raft().applied());
        let Some(most) = most else {
            return Err("no recovery: no node runs".into());
        };
        for replica in replicas {
            let raft = replica.raft();
            let member = most.raft().members().contains_key(raft.name());
            if member && raft.log().last() != most.raft().log().last() {
                return Err(format!("no recovery: the log of {} is behind", raft.name()));
            }
        }
        Ok(())
    }
}

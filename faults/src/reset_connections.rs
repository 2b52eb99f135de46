//! Reset connections: the kernel ends the TCP connections of a node, once. Both ends get an error at
//! once, and may connect again.

use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared, facts};
use crate::packets::ports_problem;
use crate::standing::Standing;
use crate::{CLIENTS, Name, NetworkAbility, Peers, Role, Target, TargetError, Unavailable, Undo};

/// Ends the TCP connections of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResetConnections {
    /// Which nodes.
    pub target: Role,
    /// Whose connections with them.
    pub peers: Peers,
    /// Only connections to or from one of these ports; none for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
}

impl Default for ResetConnections {
    fn default() -> Self {
        ResetConnections {
            target: Role::default(),
            peers: Peers::All,
            ports: Vec::new(),
        }
    }
}

impl FaultKind for ResetConnections {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.network()?.can(NetworkAbility::ResetConnections)
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        use Role::{All, Follower, Leader, One};
        let target = draws.target_among("reset", &[Leader, Leader, Follower, One, All])?;
        let peers = draws.deal("reset peers", &[Peers::All, Peers::All, Peers::Nodes])?;
        Some(ResetConnections {
            target,
            // A node alone has connections with clients only.
            peers: if draws.nodes.len() < 2 {
                Peers::Clients
            } else {
                peers
            },
            ports: Vec::new(),
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        ports_problem(&self.ports)
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    /// Its nodes go on serving.
    fn takes_majority_down(&self) -> bool {
        false
    }

    /// It is over at once; what lasts is what it led to.
    fn own_length_ms(&self, draws: &mut Draws<'_>) -> Option<u64> {
        Some(draws.between(50, 300))
    }

    fn prepare(&self, order: &[Name], leader: Option<&str>) -> Prepared {
        match self.peers == Peers::Nodes && order.len() < 2 {
            true => Prepared::default(),
            false => self.aim().resolve(order, leader),
        }
    }

    fn undo(&self, _: &Prepared) -> Undo {
        Undo::Nothing
    }

    fn inject(&self, _: u64, prepared: &Prepared, target: &dyn Target, _: &mut Standing) -> Effect {
        let nodes = target.nodes();
        let mut effect = Effect::on_each(&prepared.targets, |node| {
            let mut others: Vec<Name> = Vec::new();
            if self.peers.has_nodes() {
                others.extend(nodes.iter().filter(|other| *other != node).cloned());
            }
            if self.peers.has_clients() {
                others.push(CLIENTS.into());
            }
            let network = target.network();
            let network = network.map_err(|unavailable| TargetError(unavailable.to_string()))?;
            network.reset_connections(node, &others, &self.ports)
        });
        let is_any = |found: &histories::Value| {
            facts(found)
                .iter()
                .any(|fact| fact.as_int().is_some_and(|count| count > 0))
        };
        effect.effective = Some(effect.any(is_any));
        effect
    }

    fn heal(&self, _: u64, _: &Prepared, _: &dyn Target, _: &mut Standing) -> Effect {
        Effect::default()
    }
}

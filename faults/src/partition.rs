//! Partition: directed links cut in one swap; healed by a swap without them.

use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared};
use crate::packets::{impose, lift, link, ports_problem, time_problem};
use crate::standing::Standing;
use crate::{
    CLIENTS, Direction, Link, Name, NetworkAbility, Peers, Rule, Shape, Target, Treatment,
    Unavailable, Undo,
};

/// Divides the nodes from each other, from the clients, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Partition {
    /// How.
    pub shape: Shape,
    /// Whether both directions are cut, or only what comes to the nodes set apart or from them.
    pub direction: Direction,
    /// Whom they are cut off from: the other nodes, the clients, or both.
    pub peers: Peers,
    /// Only packets to or from one of these TCP or UDP ports; none for all packets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Cut in the first half of each period of so many milliseconds and joined in the second; 0 for
    /// cut all the time.
    pub flap_period_ms: u64,
}

impl Partition {
    /// The links that it cuts, given the order of preference and the leader.
    pub(crate) fn links(&self, order: &[Name], leader: Option<&str>) -> Vec<Link> {
        let mut links = self.shape.cuts(self.direction, order, leader);
        if links.is_empty() {
            return links;
        }
        if !self.peers.has_nodes() {
            links.clear();
        }
        if self.peers.has_clients() && self.shape.has_sides() {
            let clients = Name::from(CLIENTS);
            for node in self.shape.targets(order, leader) {
                let (out, into) = (link(&node, &clients), link(&clients, &node));
                links.extend(self.direction.includes(true).then_some(out));
                links.extend(self.direction.includes(false).then_some(into));
            }
        }
        links
    }
}

impl FaultKind for Partition {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.network()?.can(NetworkAbility::Cut)
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        use Direction::{Both, In, Out};
        let divides = |shape: &&Shape| !shape.cuts(Both, draws.nodes, None).is_empty();
        let shapes: Vec<Shape> = Shape::ALL.iter().filter(divides).copied().collect();
        let shape = draws.deal("partition", &shapes)?;
        let direction = draws.deal("partition direction", &[Both, Both, Both, Both, In, Out])?;
        // Clients that still ask a node set apart are what finds wrong answers.
        let reach = [[Peers::Nodes; 7].as_slice(), &[Peers::All]].concat();
        let peers = draws.deal("partition peers", &reach)?;
        let flaps = draws.deal(
            "partition flapping",
            &[false, false, false, false, false, true],
        )?;
        let flap_period_ms = if flaps { draws.between(100, 1_000) } else { 0 };
        Some(Partition {
            shape,
            direction,
            peers: if shape.has_sides() {
                peers
            } else {
                Peers::Nodes
            },
            ports: Vec::new(),
            flap_period_ms,
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        if self.peers.has_clients() && !self.shape.has_sides() {
            let why = format!("a {} sets no nodes apart from the clients", self.shape);
            return Some(("peers", why));
        }
        ports_problem(&self.ports).or_else(|| time_problem("flap_period_ms", self.flap_period_ms))
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Cut(self)
    }

    fn undo(&self, prepared: &Prepared) -> Undo {
        Undo::Rejoin(prepared.links.clone())
    }

    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let rule = Rule {
            fault: id,
            links: prepared.links.clone(),
            ports: self.ports.clone(),
            treatment: Treatment::Cut {
                flap_period_ms: self.flap_period_ms,
            },
        };
        impose(rule, target, standing)
    }

    fn heal(&self, id: u64, _: &Prepared, target: &dyn Target, standing: &mut Standing) -> Effect {
        lift(id, target, standing, |counts| {
            let evidence = vec![("dropped_packets", counts.affected)];
            (evidence, counts.affected > 0)
        })
    }
}

//! Refuse connections: whoever opens a TCP connection gets a reset, as from a host on which nobody
//! listens.

use histories::Value;

use crate::draws::Draws;
use crate::kind::Prepared;
use crate::packets::{DrawnScope, PacketFault, Scope, packet_fault, permille_problem};
use crate::{Direction, Name, Peers, RuleCounts, Target, Treatment};

packet_fault! {
    /// Refuses new TCP connections. The direction is that in which they are opened.
    RefuseConnections for All {
        /// How many attempts of a thousand.
        permille: u32 = 1_000,
        /// Whether the connections that exist are ended first, so that new ones are needed, where
        /// the kernel can.
        reset: bool = true,
    }
}

impl PacketFault for RefuseConnections {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let decks = ["refuse", "refuse peers", "refuse direction"];
        let scope = DrawnScope::draw(draws, decks)?;
        let permille = draws.deal("refuse share", &[1_000, 500])?;
        Some(RefuseConnections {
            permille,
            // Few connect, so that less would seldom show anything.
            peers: Peers::All,
            direction: Direction::Both,
            ..Self::drawn(scope)
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        permille_problem(self.permille)
    }

    fn scope(&self) -> Scope<'_> {
        self.scope_of()
    }

    fn treatment(&self) -> Treatment {
        Treatment::Refuse {
            permille: self.permille,
        }
    }

    fn once_in_force(&self, prepared: &Prepared, target: &dyn Target) -> Vec<(Value, Value)> {
        let Some(network) = target.network().ok().filter(|_| self.reset) else {
            return Vec::new();
        };
        let reset = |node: &Name| {
            let others = prepared.links.iter().filter_map(|link| match node {
                node if link.from == *node => Some(link.to.clone()),
                node if link.to == *node => Some(link.from.clone()),
                _ => None,
            });
            let others: Vec<Name> = others.collect();
            // A kernel that cannot says so here; refusing is what was asked for.
            let done = network.reset_connections(node, &others, &self.ports);
            (
                node.clone(),
                done.unwrap_or_else(|error| error.to_string().into()),
            )
        };
        let done = prepared.targets.iter().map(reset);
        let done = done.map(|(node, done)| (Value::Text(node), done)).collect();
        vec![("ended".into(), Value::Map(done))]
    }

    fn evidence(&self, counts: &RuleCounts) -> Vec<(&'static str, u64)> {
        vec![("attempts", counts.packets), ("refused", counts.affected)]
    }
}

//! Refuse connections: whoever opens a TCP connection gets a reset, as from a host on which nobody
//! listens. Connections that exist go on.

use crate::draws::Draws;
use crate::packets::{DrawnScope, PacketFault, Scope, packet_fault, permille_problem};
use crate::{Direction, Peers, RuleCounts, Treatment};

packet_fault! {
    /// Refuses new TCP connections. The direction is that in which they are opened.
    RefuseConnections {
        /// How many attempts of a thousand.
        permille: u32 = 1_000,
    }
}

impl PacketFault for RefuseConnections {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let decks = ["refuse", "refuse peers", "refuse direction"];
        let scope = DrawnScope::draw(draws, decks)?;
        let permille = draws.deal("refuse share", &[1_000, 500])?;
        Some(RefuseConnections {
            permille,
            // Connections between nodes are few and last, so alone they would seldom show anything.
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

    fn evidence(&self, counts: &RuleCounts) -> Vec<(&'static str, u64)> {
        vec![("attempts", counts.packets), ("refused", counts.affected)]
    }
}

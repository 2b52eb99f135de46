//! Loss: packets are dropped by chance, one by one or in runs.

use crate::draws::Draws;
use crate::packets::{
    DrawnScope, PacketFault, Scope, correlation_problem, packet_fault, permille_problem,
};
use crate::{RuleCounts, Treatment};

packet_fault! {
    /// Drops packets by chance. Of several such faults on one link, each drops some of what those
    /// before it let through.
    Loss {
        /// How many of a thousand.
        permille: u32 = 100,
        /// How likely, in a thousand, a packet shares the fate of the one before it: losses come in
        /// runs then, of 1000 / (1000 - correlation) packets and more.
        correlation_permille: u32 = 0,
    }
}

impl PacketFault for Loss {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let scope = DrawnScope::draw(draws, ["loss", "loss peers", "loss direction"])?;
        let permille = draws.deal("loss share", &[20, 100, 250, 500])?;
        let correlation_permille = draws.deal("loss correlation", &[0, 0, 700, 900])?;
        Some(Loss {
            permille,
            correlation_permille,
            ..Self::drawn(scope)
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        permille_problem(self.permille).or_else(|| correlation_problem(self.correlation_permille))
    }

    fn scope(&self) -> Scope<'_> {
        self.scope_of()
    }

    fn treatment(&self) -> Treatment {
        Treatment::Lose {
            permille: self.permille,
            correlation_permille: self.correlation_permille,
        }
    }

    fn evidence(&self, counts: &RuleCounts) -> Vec<(&'static str, u64)> {
        vec![("packets", counts.packets), ("lost", counts.affected)]
    }
}

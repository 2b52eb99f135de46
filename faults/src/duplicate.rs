//! Duplicate: packets arrive twice.

use crate::draws::Draws;
use crate::packets::{
    DrawnScope, PacketFault, Scope, packet_fault, permille_problem, time_problem,
};
use crate::{RuleCounts, Treatment};

packet_fault! {
    /// Sends packets twice.
    Duplicate {
        /// How many of a thousand.
        permille: u32 = 200,
        /// The second arrives up to so many milliseconds after the first, drawn evenly.
        apart_ms: u64 = 50,
    }
}

impl PacketFault for Duplicate {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let decks = ["duplicate", "duplicate peers", "duplicate direction"];
        let scope = DrawnScope::draw(draws, decks)?;
        let permille = draws.deal("duplicate share", &[50, 200, 500])?;
        let apart_ms = draws.deal("duplicate apart", &[0, 10, 100, 1_000])?;
        Some(Duplicate {
            permille,
            apart_ms,
            ..Self::drawn(scope)
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        permille_problem(self.permille).or_else(|| time_problem("apart_ms", self.apart_ms))
    }

    fn scope(&self) -> Scope<'_> {
        self.scope_of()
    }

    fn treatment(&self) -> Treatment {
        Treatment::Duplicate {
            permille: self.permille,
            apart_us: self.apart_ms.saturating_mul(1_000),
        }
    }

    fn evidence(&self, counts: &RuleCounts) -> Vec<(&'static str, u64)> {
        vec![("packets", counts.packets), ("duplicated", counts.affected)]
    }
}

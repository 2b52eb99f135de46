//! Reorder: some packets are held, and those that were sent after them arrive before them.

use crate::draws::Draws;
use crate::packets::{
    DrawnScope, PacketFault, Scope, packet_fault, permille_problem, time_problem,
};
use crate::{RuleCounts, Treatment};

packet_fault! {
    /// Lets packets overtake others.
    Reorder {
        /// How many of a thousand are held.
        permille: u32 = 200,
        /// For how long.
        hold_ms: u64 = 20,
    }
}

impl PacketFault for Reorder {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let decks = ["reorder", "reorder peers", "reorder direction"];
        let scope = DrawnScope::draw(draws, decks)?;
        let permille = draws.deal("reorder share", &[50, 200, 500])?;
        let hold_ms = draws.deal("reorder hold", &[2, 20, 100, 500])?;
        Some(Reorder {
            permille,
            hold_ms,
            ..Self::drawn(scope)
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        if self.hold_ms == 0 {
            return Some(("hold_ms", "0 holds nothing up".to_owned()));
        }
        permille_problem(self.permille).or_else(|| time_problem("hold_ms", self.hold_ms))
    }

    fn scope(&self) -> Scope<'_> {
        self.scope_of()
    }

    fn treatment(&self) -> Treatment {
        Treatment::Reorder {
            permille: self.permille,
            hold_us: self.hold_ms.saturating_mul(1_000),
        }
    }

    fn evidence(&self, counts: &RuleCounts) -> Vec<(&'static str, u64)> {
        vec![
            ("packets", counts.packets),
            ("held", counts.affected),
            ("overtaken", counts.overtaken),
            ("queue_full", counts.overflowed),
        ]
    }

    fn was_effective(&self, counts: &RuleCounts) -> bool {
        counts.overtaken > 0
    }
}

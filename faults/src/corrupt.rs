//! Corrupt: a bit of some packets is inverted.

use crate::draws::Draws;
use crate::packets::{DrawnScope, PacketFault, Scope, packet_fault, permille_problem};
use crate::{Checksums, RuleCounts, Treatment};

packet_fault! {
    /// Inverts a bit. Drawn schedules leave the checksum wrong: no system that trusts its network
    /// can stand wrong bytes that pass for right ones.
    Corrupt {
        /// How many packets of a thousand.
        permille: u32 = 50,
        /// What becomes of the checksum.
        checksums: Checksums = Checksums::Wrong,
    }
}

impl PacketFault for Corrupt {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let decks = ["corrupt", "corrupt peers", "corrupt direction"];
        let scope = DrawnScope::draw(draws, decks)?;
        let permille = draws.deal("corrupt share", &[20, 100, 300])?;
        Some(Corrupt {
            permille,
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
        Treatment::Corrupt {
            permille: self.permille,
            checksums: self.checksums,
        }
    }

    fn evidence(&self, counts: &RuleCounts) -> Vec<(&'static str, u64)> {
        vec![("packets", counts.packets), ("corrupted", counts.affected)]
    }
}

//! Torn write: the power fails while a write is on its way to the disk, and a first part of it is
//! there.

use serde::{Deserialize, Serialize};

use crate::crash_point::NTH_MAX;
use crate::disk_fault::{DiskFault, TARGETS, pattern_problem, range_problem};
use crate::draws::Draws;
use crate::{Crash, DiskOperation, DiskRule, Role};

/// Cuts the power of nodes at a write, which is torn, and starts them again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TornWrite {
    /// Which nodes; each is cut off at its own write.
    pub target: Role,
    /// At a write to which paths below the data folder: `*` stands for any characters, `?` for any
    /// one.
    pub path: String,
    /// At which of those writes, from 1, counted from now.
    pub nth: u64,
    /// How much of what is not durable of that file reaches the disk, in thousandths of its bytes,
    /// in the order in which they were written.
    pub keep_permille: u64,
    /// The last write that reaches it is cut at a multiple of this offset in the file, in bytes:
    /// 512 for a sector, 4096 for a page, 1 for anywhere.
    pub boundary_bytes: u64,
}

impl Default for TornWrite {
    fn default() -> Self {
        TornWrite {
            target: Role::default(),
            path: "*".to_owned(),
            nth: 1,
            keep_permille: 500,
            boundary_bytes: 512,
        }
    }
}

impl DiskFault for TornWrite {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(TornWrite {
            target: draws.target_among("torn-write", &TARGETS)?,
            path: "*".to_owned(),
            nth: draws.between(1, 30),
            keep_permille: draws.between(1, 999),
            // Records are often shorter than a sector: those are torn by the byte.
            boundary_bytes: draws.deal("torn-write boundary", &[1, 1, 512, 4096])?,
        })
    }

    fn target(&self) -> Role {
        self.target
    }

    fn rule(&self) -> DiskRule {
        DiskRule::Crash {
            operation: DiskOperation::Write,
            path: self.path.clone(),
            nth: self.nth,
            after: true,
            crash: Crash::TornWrite {
                keep_permille: self.keep_permille,
                boundary_bytes: self.boundary_bytes,
            },
        }
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        pattern_problem(&self.path)
            .or_else(|| range_problem("nth", self.nth, 1..=NTH_MAX))
            .or_else(|| range_problem("keep_permille", self.keep_permille, 0..=1000))
            .or_else(|| range_problem("boundary_bytes", self.boundary_bytes, 1..=1 << 20))
    }
}

//! Disk full: nothing on a node's disk can grow or be made.

use serde::{Deserialize, Serialize};

use crate::disk_fault::{DiskFault, TARGETS};
use crate::draws::Draws;
use crate::{DiskRule, Role};

/// Fills the disks of nodes: what would take space fails with ENOSPC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskFull {
    /// Which nodes.
    pub target: Role,
}

impl DiskFault for DiskFull {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let target = draws.target_among("disk-full", &TARGETS)?;
        Some(DiskFull { target })
    }

    fn target(&self) -> Role {
        self.target
    }

    fn rule(&self) -> DiskRule {
        DiskRule::Full
    }
}

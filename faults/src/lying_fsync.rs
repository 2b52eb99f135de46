//! Lying fsync: it succeeds and makes nothing durable, as disks with a volatile cache do that say
//! they have none.
//!
//! With a power failure after it even a correct system loses what it acknowledged, unless enough
//! other nodes still have it: such a violation says something of the disk, not of the system.

use serde::{Deserialize, Serialize};

use crate::disk_fault::{DiskFault, pattern_problem};
use crate::draws::Draws;
use crate::{DiskRule, Role};

/// Lets the fsyncs of nodes lie.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LyingFsync {
    /// Which nodes.
    pub target: Role,
    /// On which paths below the data folder: `*` stands for any characters, `?` for any one.
    pub path: String,
}

impl Default for LyingFsync {
    fn default() -> Self {
        LyingFsync {
            target: Role::default(),
            path: "*".to_owned(),
        }
    }
}

impl DiskFault for LyingFsync {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let target = draws.target("lying-fsync")?;
        Some(LyingFsync {
            target,
            ..LyingFsync::default()
        })
    }

    fn target(&self) -> Role {
        self.target
    }

    fn rule(&self) -> DiskRule {
        DiskRule::LyingFsync {
            path: self.path.clone(),
        }
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        pattern_problem(&self.path)
    }
}

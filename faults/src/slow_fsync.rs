//! Slow fsync: making something durable takes long, or as good as for ever.

use serde::{Deserialize, Serialize};

use crate::disk_fault::{DiskFault, TARGETS, pattern_problem, range_problem};
use crate::draws::Draws;
use crate::{DiskRule, Role};

/// How long an fsync may take, at most: until it is healed for all that matters.
const DELAY_MS_MAX: u64 = 3_600_000;

/// Delays the fsyncs of nodes. Those under way are done when the fault is healed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlowFsync {
    /// Which nodes.
    pub target: Role,
    /// On which paths below the data folder: `*` stands for any characters, `?` for any one.
    pub path: String,
    /// How much longer each takes, in milliseconds; 3600000 for stuck.
    pub added_ms: u64,
}

impl Default for SlowFsync {
    fn default() -> Self {
        SlowFsync {
            target: Role::default(),
            path: "*".to_owned(),
            added_ms: 200,
        }
    }
}

impl DiskFault for SlowFsync {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(SlowFsync {
            target: draws.target_among("slow-fsync", &TARGETS)?,
            path: "*".to_owned(),
            added_ms: draws.deal("slow-fsync delay", &[20, 100, 500, DELAY_MS_MAX])?,
        })
    }

    fn target(&self) -> Role {
        self.target
    }

    fn rule(&self) -> DiskRule {
        DiskRule::SlowFsync {
            path: self.path.clone(),
            delay_ms: self.added_ms,
        }
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        pattern_problem(&self.path)
            .or_else(|| range_problem("added_ms", self.added_ms, 1..=DELAY_MS_MAX))
    }
}

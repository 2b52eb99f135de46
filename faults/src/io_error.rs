//! I/O error: reads, writes or fsyncs of a node fail with EIO.

use serde::{Deserialize, Serialize};

use crate::disk_fault::{DiskFault, TARGETS, pattern_problem};
use crate::draws::Draws;
use crate::{DiskOperation, DiskRule, Role};

/// Lets operations on the disks of nodes fail. What an fsync that failed should have made durable, no
/// later one will.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IoError {
    /// Which nodes.
    pub target: Role,
    /// Which operations.
    pub operation: DiskOperation,
    /// On which paths below the data folder: `*` stands for any characters, `?` for any one.
    pub path: String,
    /// Only the first, instead of all while the fault lasts.
    pub once: bool,
}

impl Default for IoError {
    fn default() -> Self {
        IoError {
            target: Role::default(),
            operation: DiskOperation::Fsync,
            path: "*".to_owned(),
            once: true,
        }
    }
}

/// Operations of drawn errors. Reads are left out: a program that has read its files at its start
/// reads no more.
const OPERATIONS: [DiskOperation; 2] = [DiskOperation::Write, DiskOperation::Fsync];

impl DiskFault for IoError {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(IoError {
            target: draws.target_among("io-error", &TARGETS)?,
            operation: draws.deal("io-error operation", &OPERATIONS)?,
            path: "*".to_owned(),
            once: draws.deal("io-error once", &[true, false])?,
        })
    }

    fn target(&self) -> Role {
        self.target
    }

    fn rule(&self) -> DiskRule {
        DiskRule::Fail {
            operation: self.operation,
            path: self.path.clone(),
            once: self.once,
        }
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        pattern_problem(&self.path)
    }
}

//! Crash point: a node crashes at a certain operation on its disk. Random kills miss what is open
//! for microseconds only, such as the time between a rename and the fsync of its folder.

use serde::{Deserialize, Serialize};

use crate::disk_fault::{DiskFault, TARGETS, pattern_problem, range_problem};
use crate::draws::Draws;
use crate::names::named;
use crate::{Crash, DiskOperation, DiskRule, Role};

named! {
    /// On which side of an operation a node crashes.
    Moment, "moment" {
        /// Just before it is done.
        Before = "before",
        /// Just after it was done, before the node knows.
        After = "after",
    }
}

named! {
    /// How a node crashes at an operation.
    CrashKind, "crash" {
        /// It is killed; what it wrote stays.
        Kill = "kill",
        /// Its power fails; what is not durable is lost.
        PowerLoss = "power-loss",
    }
}

/// The nth operation at which a node crashes, at most.
pub(crate) const NTH_MAX: u64 = 1_000_000_000;

/// Lets nodes crash at an operation, and starts them again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrashPoint {
    /// Which nodes; each crashes at its own operation.
    pub target: Role,
    /// At which sort of operation.
    pub operation: DiskOperation,
    /// On which paths below the data folder: `*` stands for any characters, `?` for any one.
    pub path: String,
    /// At which of those operations, from 1, counted from now.
    pub nth: u64,
    /// Just before or just after it.
    pub moment: Moment,
    /// How.
    pub crash: CrashKind,
}

impl Default for CrashPoint {
    fn default() -> Self {
        CrashPoint {
            target: Role::default(),
            operation: DiskOperation::Write,
            path: "*".to_owned(),
            nth: 1,
            moment: Moment::After,
            crash: CrashKind::PowerLoss,
        }
    }
}

/// Operations of drawn crash points, by weight. Renames are few, and every one of them matters.
const OPERATIONS: [DiskOperation; 5] = [
    DiskOperation::Write,
    DiskOperation::Write,
    DiskOperation::Fsync,
    DiskOperation::Fsync,
    DiskOperation::Rename,
];

impl DiskFault for CrashPoint {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let target = draws.target_among("crash-point", &TARGETS)?;
        let operation = draws.deal("crash-point operation", &OPERATIONS)?;
        let nth = match operation {
            DiskOperation::Rename => 1,
            _ => draws.between(1, 30),
        };
        Some(CrashPoint {
            target,
            operation,
            path: "*".to_owned(),
            nth,
            moment: draws.deal("crash-point moment", Moment::ALL)?,
            crash: draws.deal("crash-point crash", CrashKind::ALL)?,
        })
    }

    fn target(&self) -> Role {
        self.target
    }

    fn rule(&self) -> DiskRule {
        DiskRule::Crash {
            operation: self.operation,
            path: self.path.clone(),
            nth: self.nth,
            after: self.moment == Moment::After,
            crash: match self.crash {
                CrashKind::Kill => Crash::Kill,
                CrashKind::PowerLoss => Crash::PowerLoss,
            },
        }
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        pattern_problem(&self.path).or_else(|| range_problem("nth", self.nth, 1..=NTH_MAX))
    }
}

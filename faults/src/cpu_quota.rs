//! CPU quota: a node gets a small part of a processor, as on a host that is too busy.

use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared};
use crate::limit::{impose, lift};
use crate::standing::Standing;
use crate::{Kind, Resource, Role, Target, Unavailable, Undo};

/// Gives nodes less of a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CpuQuota {
    /// Which nodes.
    pub target: Role,
    /// Percent of one processor that all processes of a node together get; from 1 to 100.
    pub percent: u64,
}

/// What is drawn: so little that a node with work to do is late.
pub(crate) const PERCENT: &[u64] = &[1, 2, 3];

/// What is wrong with so many percent.
pub(crate) fn percent_problem(percent: u64) -> Option<(&'static str, String)> {
    let is_wrong = !(1..=100).contains(&percent);
    is_wrong.then(|| ("percent", "from 1 to 100".to_owned()))
}

impl Default for CpuQuota {
    fn default() -> Self {
        CpuQuota {
            target: Role::default(),
            percent: 2,
        }
    }
}

impl FaultKind for CpuQuota {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.limits().map(|_| ())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(CpuQuota {
            target: draws.target("cpu-quota")?,
            percent: draws.deal("cpu-quota percent", PERCENT)?,
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        percent_problem(self.percent)
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    fn undo(&self, prepared: &Prepared) -> Undo {
        Undo::Lift(Kind::CpuQuota, prepared.targets.clone())
    }

    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let limit = (Resource::CpuPercent, self.percent);
        impose(id, &prepared.targets, limit, target, standing)
    }

    fn heal(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        lift(
            id,
            &prepared.targets,
            Resource::CpuPercent,
            target,
            standing,
        )
    }
}
